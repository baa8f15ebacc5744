// maglev: Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer" (NSDI
// 2016), section 3.4. The most even shares of all tables, at the price of a few keys that move
// without need when the pool changes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <queue>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "cellroute/hash.hpp"
#include "cellroute/strategy/detail/checks.hpp"
#include "cellroute/strategy/strategy.hpp"

namespace cellroute {

// The table has as many entries as the smallest prime above options.slots (65,537 by default), so
// that every member's walk reaches every entry. A member of weight w takes its k-th turn
// (k = 0, 1, …) in round ceil(k * heaviest / w); within a round, turns go by id: everyone gets an
// entry, then shares follow weights. Immutable once built; any number of threads.
class Maglev {
 public:
  static constexpr std::string_view kName = "maglev";
  static constexpr bool kMinimal = false;
  static constexpr bool kOrdered = false;
  static constexpr unsigned kPointBits = 64;

  static Result<Maglev> build(std::span<const Member> members, const StrategyOptions& options) {
    if (Error e = detail::check_members(kName, members, kOrdered); !e.ok()) return e;
    if (Error e = detail::check_slots(kName, members.size(), options.slots); !e.ok()) return e;
    const std::uint32_t size = smallest_prime_above(options.slots);
    const std::uint64_t bytes = std::uint64_t{size} * sizeof(CellIndex);
    if (Error e = detail::check_table_bytes(kName, bytes, options); !e.ok()) return e;
    Maglev table(size);
    table.fill(members, options.seed);
    return table;
  }

  static constexpr Point point(std::string_view, std::uint64_t hash) noexcept { return {hash, 0}; }

  CellIndex pick(Point point) const noexcept { return cells_[scale(point.lo, size_)]; }

  std::size_t table_bytes() const noexcept { return size_ * sizeof(CellIndex); }

  // Precondition: n < 2^31.
  static constexpr std::uint32_t smallest_prime_above(std::uint32_t n) noexcept {
    for (++n;; ++n) {
      bool prime = n >= 2;
      for (std::uint32_t d = 2; prime && d * d <= n; ++d) prime = n % d != 0;
      if (prime) return n;
    }
  }

 private:
  // A member's walk: entry offset + j * skip, modulo the size, for j = 0, 1, …
  struct Walk {
    std::uint64_t entry;
    std::uint64_t skip;
    std::uint64_t turns;
  };

  explicit Maglev(std::uint32_t size) : cells_(new CellIndex[size]), size_(size) {}

  void fill(std::span<const Member> members, std::uint64_t seed) {
    std::uint32_t heaviest = 0;
    std::vector<Walk> walks;
    walks.reserve(members.size());
    for (const Member& member : members) {
      const std::uint64_t hash = hash_bytes(seed, member.id);
      walks.push_back({scale(mix(hash, 0), size_), scale(mix(hash, 1), size_ - 1) + 1, 0});
      heaviest = std::max(heaviest, member.weight);
    }
    using Turn = std::pair<std::uint64_t, std::uint32_t>;  // round, member
    std::priority_queue<Turn, std::vector<Turn>, std::greater<>> turns;
    for (std::uint32_t i = 0; i < members.size(); ++i) turns.emplace(0, i);
    std::fill_n(cells_.get(), size_, kNoCell);
    for (std::uint64_t filled = 0; filled < size_; ++filled) {
      const std::uint32_t i = turns.top().second;
      turns.pop();
      take_free_entry(walks[i], members[i].cell);
      const std::uint64_t ahead = ++walks[i].turns * heaviest;
      turns.emplace((ahead + members[i].weight - 1) / members[i].weight, i);
    }
  }

  // Ends within size_ steps: the walk is a permutation, and an entry is free.
  void take_free_entry(Walk& walk, CellIndex cell) noexcept {
    while (cells_[walk.entry] != kNoCell) {
      walk.entry += walk.skip;
      if (walk.entry >= size_) walk.entry -= size_;
    }
    cells_[walk.entry] = cell;
  }

  std::unique_ptr<CellIndex[]> cells_;
  std::uint64_t size_;  // prime
};

static_assert(Strategy<Maglev>);

}  // namespace cellroute
