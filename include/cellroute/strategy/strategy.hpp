// What a placement strategy is: a table built from a pool's members that turns a key's point
// into one of them. One header a strategy; picker.hpp chooses among them by name.
//
// A strategy's results are frozen under its name (`rendezvous-slots` means
// `rendezvous-slots.v1` for ever): a change that moves one key needs a new name.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "cellroute/hash.hpp"
#include "cellroute/status.hpp"

namespace cellroute {

// A topology holds at most 65,535 cells, so that tables hold them in 16 bits.
using CellIndex = std::uint16_t;
inline constexpr CellIndex kNoCell = 0xffff;

inline constexpr std::uint32_t kUnitWeight = 1000;  // weights are in thousandths

// One cell of a pool, as strategies see it.
struct Member {
  CellIndex cell = kNoCell;            // what pick() returns
  std::string_view id;                 // stable: placement depends on it and on weight alone
  std::uint32_t weight = kUnitWeight;  // thousandths, at least 1
  std::string_view ketama_name;        // host[:port] as the legacy ring knows it; id if empty
};

struct StrategyOptions {
  std::uint64_t seed = 0;        // the placement seed
  std::uint32_t slots = 65'536;  // power of two, 2^10 to 2^22; rendezvous-slots, maglev
  std::size_t max_table_bytes = 256u << 20;
};

// Where a key stands for a strategy: the seeded XXH3 hash in `lo` for the native strategies, what
// the foreign router computed for md5-modulo (128 bits), ketama and ketama-nginx (32 bits in lo).
struct Point {
  std::uint64_t lo = 0;
  std::uint64_t hi = 0;
};

// Members come in byte order of id, except for strategies with kOrdered, which take them in the
// order of policy.order. build() refuses what it cannot honour (weights in jump, no members, a
// table over max_table_bytes) and never depends on anything but its arguments. pick() is pure,
// bounded, allocates nothing, and is safe from any number of threads.
template <class S>
concept Strategy = requires(std::span<const Member> members, const StrategyOptions& options,
                            const S& table, std::string_view key, Point point) {
  { S::kName } -> std::convertible_to<std::string_view>;
  { S::kMinimal } -> std::convertible_to<bool>;  // history-free, moves only what must move
  { S::kOrdered } -> std::convertible_to<bool>;
  { S::kPointBits } -> std::convertible_to<unsigned>;  // 32, 64 or 128
  { S::build(members, options) } -> std::same_as<Result<S>>;
  { S::point(key, std::uint64_t{}) }
  noexcept->std::same_as<Point>;  // (key, its seeded hash)
  { table.pick(point) }
  noexcept->std::same_as<CellIndex>;
  { table.table_bytes() }
  noexcept->std::same_as<std::size_t>;
};

}  // namespace cellroute
