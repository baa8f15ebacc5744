// Limits that all routers of a fleet keep together, and the interface of the stores that know how
// much of them is used. Nothing here is on a request's path: a router takes leases ahead
// (fleet_limit.hpp spends them), and tells what it spent without one.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cellroute/calendar.hpp"
#include "cellroute/mapping_store.hpp"
#include "cellroute/status.hpp"
#include "cellroute/time.hpp"
#include "cellroute/topology.hpp"

namespace cellroute {

enum class FleetKind : std::uint8_t {
  kRate,     // `burst` at once, then `requests` a `period`: GCRA, a word a key
  kMonthly,  // `requests` in each calendar month of UTC: a counter a key and month
};

// What keys of one plan may have.
struct FleetPlan {
  std::string plan;            // "": of every plan that none names
  std::uint64_t requests = 0;  // 1 to kMaxFleetRequests, unless unlimited
  std::uint64_t burst = 0;     // kRate; 0 means `requests`
  bool unlimited = false;      // nothing is refused; by kMonthly it is counted all the same
};

struct FleetLimit {
  std::string name = "requests";  // what the store knows it by: see fleet_name_ok()
  FleetKind kind = FleetKind::kRate;
  Nanos period = kSecond;  // kRate: 1 ms to 366 days
  std::vector<FleetPlan> plans;
};

// The most that a store counts to: exact in the numbers of every store's scripts.
inline constexpr std::uint64_t kMaxFleetRequests = std::uint64_t{1} << 52;

// One key's: what was settled since, and a lease. Views must outlive the call.
struct LeaseOrder {
  std::string_view key;
  std::uint64_t requests = 0;  // as the key's FleetPlan; kMaxFleetRequests where unlimited
  std::uint64_t burst = 0;     // kRate: at least 1
  std::uint64_t wanted = 0;    // tokens; 0: no lease
  Nanos lasting = 0;           // for at most so long
  std::int64_t settled = 0;    // spent without a lease, or below 0: leased and not spent. Of
                               // kRate at most a burst beyond the limit is remembered
  Month month{};               // kMonthly: of what was settled
};

struct LeaseGrant {
  Error error;  // kUnavailable: it is not known whether the order was carried out
  std::uint64_t tokens = 0;
  Nanos lasts = 0;        // from before the call on; never beyond the month
  Nanos retry_after = 0;  // where it is less than was wanted: until there may be more
  Month month{};          // kMonthly: whose tokens they are, by the store's clock
};

// What a key has used of a month: all that was leased, less what came back unspent, and what was
// spent without a lease. A router that is gone has spent what it held.
struct Usage {
  std::string key;
  std::uint64_t used = 0;
};

struct UsagePage {
  std::vector<Usage> usages;  // in the store's own fixed order; each key once
  Cursor next;
  bool done = false;
};

// Thread safety: every call may be made from any thread at the same time. Every call is bounded by
// the store's own timeout. Fork: as a MappingStore.
class LeaseStore {
 public:
  virtual ~LeaseStore() = default;
  LeaseStore(const LeaseStore&) = delete;
  LeaseStore& operator=(const LeaseStore&) = delete;

  // Settles and leases for each of `orders`, into the `grants` of the same place; each is carried
  // out at once or not at all, and never twice, so that no reply that is lost grants anything. The
  // store's own clock decides; `now` only says which months it need know.
  //   kInvalidArgument  the limit's name, a key or a number is out of its bounds, or what is
  //   settled
  //                     is of a month that is neither now's nor next to it: nothing was done
  //   kUnavailable      no answer; or the store's clock is further than a month from `now`
  virtual void settle(const FleetLimit& limit, std::span<const LeaseOrder> orders, Nanos now,
                      std::span<LeaseGrant> grants) = 0;

  // Of a kMonthly limit; 0 for a key that used nothing, or of a month that was forgotten.
  virtual Result<std::uint64_t> usage(std::string_view limit, std::string_view key,
                                      Month month) = 0;

  // All keys that used any, at most `limit` (at least 1) a page. A key that is there throughout is
  // returned exactly once.
  virtual Result<UsagePage> usages(std::string_view name, Month month, const Cursor& cursor,
                                   std::size_t limit) = 0;

 protected:
  LeaseStore() = default;
};

}  // namespace cellroute
