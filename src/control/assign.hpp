// Conditional first assignment: of all who want to give a new key a home, the first writer wins
// and everybody gets the winner's record.
//
// Control path: it blocks on the store. The cell comes from the router's proposal (UNASSIGNED with
// a cell); this code knows nothing of how it was chosen.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "cellroute/mapping_store.hpp"
#include "cellroute/status.hpp"
#include "cellroute/time.hpp"

namespace cellroute {

struct Proposal {
  std::string_view key;
  std::string_view cell;
  std::optional<MappedProfile> profile;  // what the record pins; empty: nothing
};

enum class AssignOutcome : std::uint8_t {
  kFound,        // the key had a home, or another writer was first: `record` is it
  kAssigned,     // this call wrote `record`
  kRateLimited,  // the cap holds: nothing was written; try after `retry_after`
};

struct Assignment {
  AssignOutcome outcome = AssignOutcome::kFound;
  MappingRecord record;   // with its revision; empty when kRateLimited
  Nanos retry_after = 0;  // kRateLimited: nanoseconds
  bool stale = false;     // kFound: the last good record of a store that does not answer
};

// At most `requests` first assignments at once, then `requests` a `period` (a BUCKET as in
// guard/limit.hpp; AssignmentRate has both). A token is taken before the write and not given back,
// whoever wins. `requests` 0: no cap.
// Thread safety: every call, from any thread, no lock. One process; it does not survive it.
class AssignmentLimiter {
 public:
  AssignmentLimiter(std::uint64_t requests, Nanos period) noexcept;

  // 0: go on. Else nanoseconds until there is a token. Time that steps back refills nothing.
  Nanos take(Nanos now) noexcept;

 private:
  std::uint64_t interval_ = 0;  // nanoseconds a token takes; 0: no cap
  std::uint64_t burst_ = 0;     // nanoseconds the bucket holds
  std::atomic<std::uint64_t> arrival_{0};
};

// Looks `proposal.key` up and gives it the proposed cell if, and only if, the store says ABSENT.
//   kInvalidArgument  the key, cell or profile breaks a rule
//   kUnavailable      the store answered UNKNOWN, or it is not known whether the write took place:
//                     nothing may be concluded about the key; calling again is safe
// Other errors (kCorrupt, kWrongProcess, kResourceExhausted) are the store's own; they too leave
// the key UNKNOWN. `limiter` may be null: no cap.
Result<Assignment> assign(MappingStore& store, const Proposal& proposal, Nanos now,
                          AssignmentLimiter* limiter = nullptr);

// assign() for each of `proposals`, with a result each. They are no transaction. Made for bulk:
// where the store can, many share one sync.
std::vector<Result<Assignment>> assign_many(MappingStore& store,
                                            std::span<const Proposal> proposals, Nanos now,
                                            AssignmentLimiter* limiter = nullptr);

}  // namespace cellroute
