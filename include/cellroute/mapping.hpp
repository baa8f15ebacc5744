// An explicit mapping: which cell serves a key, since which epoch, and what the key is.
//
// A look-up has three answers. Only ABSENT may be placed or assigned: UNKNOWN means that the store
// failed or timed out, and a key must not get a second home because of that.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cellroute/key.hpp"
#include "cellroute/time.hpp"

namespace cellroute {

enum class Answer : std::uint8_t { kFound, kAbsent, kUnknown };

// Where a key stands in its migration (design: Migration). `cell` is the source until the commit.
enum class MigrationState : std::uint8_t { kStable, kCopying, kFreezing, kFrozen };

// Names the write that made a revision, so that a writer whose reply was lost can tell its own
// success from somebody else's. All zero names no write.
using OpId = std::array<std::uint8_t, 16>;

// Bounds of a record: what a store neither takes nor believes beyond.
inline constexpr std::size_t kMaxMappedNameBytes = 128;  // cell, target, tier, region, plan, flag
inline constexpr std::size_t kMaxMappedFlags = 16;
inline constexpr std::size_t kMaxHistory = 16;
inline constexpr std::size_t kMaxUnknownFieldBytes = 4096;

// Attributes of the key that its record pins. They win over the request's; flags are united.
struct MappedProfile {
  std::string tier;
  std::string region;
  std::string plan;                // empty: the request's
  std::vector<std::string> flags;  // at most kMaxMappedFlags

  bool operator==(const MappedProfile&) const = default;
};

// `cell` served the key from `first_epoch` to `last_epoch`, both included.
struct HistoryEntry {
  std::string cell;
  std::uint64_t first_epoch = 0;
  std::uint64_t last_epoch = 0;

  bool operator==(const HistoryEntry&) const = default;
};

// Thread safety: a plain value. src/control/mutate.hpp has the changes that keep its invariants.
struct MappingRecord {
  std::string key;             // 1 to 1,024 bytes, any of them NUL
  std::string cell;            // id; a tombstone keeps the last one
  std::uint64_t epoch = 1;     // 1 for a first record; rises with every change of cell; never falls
  std::uint64_t revision = 0;  // set by the store: 1 for the first write of a key
  OpId op_id{};
  MigrationState state = MigrationState::kStable;
  std::string target;  // where a migration goes; empty when kStable
  Nanos created = 0;
  Nanos updated = 0;
  Nanos expires = 0;  // 0: never. Only ephemeral keys and tombstones may expire
  bool ephemeral = false;
  bool deleted = false;  // a tombstone: the key is ABSENT, the revision goes on
  std::optional<MappedProfile> profile;
  std::vector<HistoryEntry> history;  // oldest first, at most kMaxHistory, without the present
  std::string unknown_fields;  // what a later version stored beside: carried along as it is, so
                               // that changing a record does not lose it

  bool operator==(const MappingRecord&) const = default;

  bool expired(Nanos now) const noexcept { return expires != 0 && now >= expires; }

  // What a look-up answers for this record.
  Answer answer(Nanos now) const noexcept {
    return deleted || expired(now) ? Answer::kAbsent : Answer::kFound;
  }
};

// Of two records of a key, whether `a` is the later one.
inline bool is_newer(const MappingRecord& a, const MappingRecord& b) noexcept {
  return a.epoch != b.epoch ? a.epoch > b.epoch : a.revision > b.revision;
}

namespace detail {

inline constexpr std::array<bool, 256> kMappedNameBytes = [] {
  std::array<bool, 256> allowed{};
  for (unsigned byte = '!'; byte <= '~'; ++byte) {
    allowed[byte] = byte != '"' && byte != '\\' && byte != '{' && byte != '}' && byte != ',';
  }
  return allowed;
}();

}  // namespace detail

// A cell id, tier, region, plan or flag as a topology may spell it: 1 to 128 visible ASCII bytes
// other than " \ { } and comma.
constexpr bool mapped_name_ok(std::string_view name) noexcept {
  if (name.empty() || name.size() > kMaxMappedNameBytes) return false;
  bool ok = true;
  for (const char c : name) ok &= detail::kMappedNameBytes[static_cast<unsigned char>(c)];
  return ok;
}

// The first rule that `record` breaks, as a text without the key; null if it breaks none. Stores
// ask before they write and after they read.
const char* broken_rule(const MappingRecord& record) noexcept;

namespace detail {

inline const char* broken_profile_rule(const MappedProfile& profile) noexcept {
  const auto given_but_bad = [](const std::string& name) {
    return !name.empty() && !mapped_name_ok(name);
  };
  if (given_but_bad(profile.tier)) return "the profile's tier is not 1 to 128 plain ASCII bytes";
  if (given_but_bad(profile.region)) {
    return "the profile's region is not 1 to 128 plain ASCII bytes";
  }
  if (given_but_bad(profile.plan)) return "the profile's plan is not 1 to 128 plain ASCII bytes";
  if (profile.flags.size() > kMaxMappedFlags) return "the profile has more than 16 flags";
  for (const std::string& flag : profile.flags) {
    if (!mapped_name_ok(flag)) return "a flag of the profile is not 1 to 128 plain ASCII bytes";
  }
  return nullptr;
}

inline const char* broken_history_rule(const MappingRecord& record) noexcept {
  if (record.history.size() > kMaxHistory) return "the history has more than 16 entries";
  std::uint64_t after = 0;
  for (const HistoryEntry& entry : record.history) {
    if (!mapped_name_ok(entry.cell))
      return "a cell of the history is not 1 to 128 plain ASCII bytes";
    if (entry.first_epoch <= after || entry.last_epoch < entry.first_epoch) {
      return "the history's epochs do not rise";
    }
    after = entry.last_epoch;
  }
  if (after >= record.epoch) return "the history reaches the present epoch";
  return nullptr;
}

}  // namespace detail

inline const char* broken_rule(const MappingRecord& record) noexcept {
  if (!key_length_ok(record.key)) return "the key is not 1 to 1,024 bytes long";
  if (!mapped_name_ok(record.cell)) return "the cell is not 1 to 128 plain ASCII bytes";
  if (record.epoch == 0) return "the epoch is 0, which means placed and not recorded";
  if (record.op_id == OpId{}) return "the op-id is all zero, which names no write";
  if (record.state > MigrationState::kFrozen) return "the migration state is none that is known";
  if (record.state == MigrationState::kStable) {
    if (!record.target.empty()) return "a stable record has a migration target";
  } else {
    if (!mapped_name_ok(record.target)) return "the target is not 1 to 128 plain ASCII bytes";
    if (record.target == record.cell) return "the migration's target is its source";
    if (record.deleted) return "a tombstone is in migration";
  }
  if (record.expires < 0) return "the expiry lies before 1970";
  if (record.expires != 0 && !record.ephemeral && !record.deleted) {
    return "only a key declared ephemeral, or a tombstone, may expire";
  }
  if (record.unknown_fields.size() > kMaxUnknownFieldBytes) {
    return "the fields of a later version exceed 4,096 bytes";
  }
  if (record.profile) {
    const char* rule = detail::broken_profile_rule(*record.profile);
    if (rule != nullptr) return rule;
  }
  return detail::broken_history_rule(record);
}

}  // namespace cellroute
