// modulo: the key's hash modulo the number of cells, in policy.order. Every change of the pool
// moves nearly every key; it is here for pools that never change, and to leave one behind.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "cellroute/strategy/detail/checks.hpp"
#include "cellroute/strategy/strategy.hpp"

namespace cellroute {

// Refuses unequal weights. Immutable once built; any number of threads.
class Modulo {
 public:
  static constexpr std::string_view kName = "modulo";
  static constexpr bool kMinimal = false;
  static constexpr bool kOrdered = true;
  static constexpr unsigned kPointBits = 64;

  static Result<Modulo> build(std::span<const Member> members, const StrategyOptions& options) {
    auto cells = detail::cells_in_order(kName, members, options);
    if (!cells) return cells.error();
    return Modulo(std::move(*cells));
  }

  static constexpr Point point(std::string_view, std::uint64_t hash) noexcept { return {hash, 0}; }

  CellIndex pick(Point point) const noexcept { return cells_[point.lo % cells_.size()]; }

  std::size_t table_bytes() const noexcept { return cells_.size() * sizeof(CellIndex); }

 private:
  explicit Modulo(std::vector<CellIndex> cells) : cells_(std::move(cells)) {}

  std::vector<CellIndex> cells_;  // in policy.order
};

static_assert(Strategy<Modulo>);

}  // namespace cellroute
