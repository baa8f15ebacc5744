// What route() is asked.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "cellroute/key.hpp"
#include "cellroute/mapping.hpp"
#include "cellroute/strategy/strategy.hpp"

namespace cellroute {

inline constexpr std::uint16_t kUnnamed = 0xffff;
inline constexpr std::size_t kMaxTried = 7;

enum class Access : std::uint8_t { kWrite, kRead };

// A key's attributes by name, as callers have them. Empty: not given.
struct ProfileNames {
  std::string_view tier;
  std::string_view region;
  std::string_view plan;
  std::span<const std::string_view> flags;
};

// The same in the numbers of one topology: a handle from Snapshot::profile(), good for that
// generation only. Keep it beside the connection or tenant and resolve again when route() answers
// PROFILE_STALE. Thread safety: a plain value.
struct Profile {
  std::uint64_t generation = 0;
  std::uint16_t tier = kUnnamed;  // kUnnamed: the topology has several, none was given
  std::uint16_t region = kUnnamed;
  std::uint16_t flags = 0;  // a bit a flag
  std::uint16_t plan = 0;   // 0: none
};

// A mapping record in the numbers of one topology, from Snapshot::mapped(): good for that
// generation only, as a Profile is.
struct Mapped {
  std::uint64_t generation = 0;
  Answer answer = Answer::kAbsent;
  MigrationState state = MigrationState::kStable;
  bool stale = false;  // the last good answer of a store that does not answer now
  bool has_profile = false;
  bool profile_known = true;  // false: the record names what the topology lacks
  CellIndex cell = kNoCell;   // kNoCell: the topology has no such cell
  Profile profile = {};
  std::uint64_t epoch = 0;
  Nanos expires = 0;  // from then on the key is ABSENT; 0: never
};

struct Request {
  std::string_view key = {};  // 1 to 1,024 bytes
  Profile profile = {};
  // 0 to 1. Under STATEFUL with PLACE give the key's own, not a live one: a risk that changes from
  // request to request would move the key.
  double risk = 0;
  Access access = Access::kWrite;
  // The worker's or thread's number; threads that share one are safe, slower.
  std::uint32_t lane = 0;
  std::string_view resource = {};  // at most 256 bytes; empty: none
  // Numbers of at most 7 cells that it already tried. With any, its key's limits are not charged:
  // they were for the first try.
  std::span<const std::uint32_t> tried = {};
  // What the host's own look-up found; null: the snapshot's mappings decide.
  const Mapped* mapping = nullptr;
};

}  // namespace cellroute
