// jump: Lamping and Veach, "A Fast, Minimal Memory, Consistent Hash Algorithm" (2014), figure 1.
// No table of points at all, but cells can only come and go at the end of the order.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "cellroute/strategy/detail/checks.hpp"
#include "cellroute/strategy/detail/fixed_log2.hpp"
#include "cellroute/strategy/strategy.hpp"

namespace cellroute {
namespace detail {

// Figure 1 computes a candidate's successor as (b + 1) * (2^31 / d) in doubles. Wherever the true
// quotient is no whole number, both roundings together are too small to cross one (b < 2^16,
// d <= 2^31), so the whole part of the true quotient is the answer. Where it is whole, the doubles
// may fall just short of it, as for b + 1 = 49 and d = 49; this function tells when.
constexpr bool jump_rounds_down(std::uint64_t candidates, std::uint64_t d) noexcept {
  // 2^31 / d as a double: 53 bits, ties to even; the power of two does not matter here.
  const auto width = static_cast<unsigned>(std::bit_width(d));
  const Uint128 numerator = Uint128{1} << (width + 52);  // the quotient is in (2^52, 2^53]
  auto quotient = static_cast<std::uint64_t>(numerator / d);
  const auto remainder = static_cast<std::uint64_t>(numerator % d);
  if (remainder * 2 > d) ++quotient;  // no tie: d would be a power of two
  // The product becomes a double too: it reaches the whole number only if that is the nearest.
  const Uint128 product = Uint128{candidates} * quotient;
  const Uint128 whole = Uint128{candidates} * numerator / d;
  if (product >= whole) return false;
  unsigned dropped = 0;  // bits of the product that a double has no room for
  while ((product >> dropped) >= (Uint128{1} << 53)) ++dropped;
  // A tie goes to the even neighbour, which is `whole`: it ends in more zeros.
  return (whole - product) * 2 > (Uint128{1} << dropped);
}

}  // namespace detail

// Identical to the paper's figure 1 for every key, in integers. Refuses unequal weights: the
// paper has none. Time O(log cells). Immutable once built; any number of threads.
class Jump {
 public:
  static constexpr std::string_view kName = "jump";
  static constexpr bool kMinimal = false;  // only the last cell may leave
  static constexpr bool kOrdered = true;
  static constexpr unsigned kPointBits = 64;

  static Result<Jump> build(std::span<const Member> members, const StrategyOptions& options) {
    auto cells = detail::cells_in_order(kName, members, options);
    if (!cells) return cells.error();
    return Jump(std::move(*cells));
  }

  static constexpr Point point(std::string_view, std::uint64_t hash) noexcept { return {hash, 0}; }

  CellIndex pick(Point point) const noexcept {
    const std::uint64_t cells = cells_.size();
    std::uint64_t key = point.lo;
    std::uint64_t bucket = 0;
    for (std::uint64_t next = 0; next < cells;) {
      bucket = next;
      key = key * 2862933555777941757ULL + 1;
      next = successor(bucket + 1, (key >> 33) + 1);
    }
    return cells_[bucket];
  }

  // The whole part of candidates * 2^31 / d, as doubles compute it. candidates < 2^16, d <= 2^31.
  // The division does not wait for the last step's answer, so the processor overlaps the steps.
  static constexpr std::uint64_t successor(std::uint64_t candidates, std::uint64_t d) noexcept {
    // 2^64 / d exceeds this by more than 0 and at most 1, so the product is short of the true one,
    // but by no more than `candidates`. A whole quotient never takes the quick way.
    const std::uint64_t reciprocal = UINT64_MAX / d;
    const detail::Uint128 product = detail::Uint128{candidates} * reciprocal;
    const std::uint64_t below = static_cast<std::uint64_t>(product) & ((1ULL << 33) - 1);
    if (below < (1ULL << 33) - (1ULL << 16)) [[likely]] {
      return static_cast<std::uint64_t>(product >> 33);
    }
    const std::uint64_t numerator = candidates << 31;
    const bool whole = numerator % d == 0;
    return numerator / d - (whole && detail::jump_rounds_down(candidates, d) ? 1 : 0);
  }

  std::size_t table_bytes() const noexcept { return cells_.size() * sizeof(CellIndex); }

 private:
  explicit Jump(std::vector<CellIndex> cells) : cells_(std::move(cells)) {}

  std::vector<CellIndex> cells_;  // in policy.order
};

static_assert(Strategy<Jump>);

}  // namespace cellroute
