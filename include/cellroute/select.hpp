// Step 5, where load and not the hash alone decides: TWO_CHOICES, LEAST_LOAD, bounded load.
//
// Load is the last mark plus the placements since, relative to capacity; both are in one unit of
// the host's choice. Reads marks and counts of the guard region, changes nothing.
#pragma once

#include <cstdint>
#include <span>

#include "cellroute/guard/guards.hpp"
#include "cellroute/snapshot.hpp"
#include "cellroute/strategy/preference.hpp"

namespace cellroute {

// A full cell takes no new key. Capacity 0 is not known, and never full.
inline bool is_full(const Snapshot& snapshot, const Guards& guards, CellIndex cell) noexcept {
  const std::uint64_t capacity = snapshot.compiled().cell(cell).capacity;
  return capacity != 0 && guards.region().load(snapshot.number_of(cell)) >= capacity;
}

// Whether `a` has less load for its capacity than `b`; equals are in order of id. Cells that state
// no capacity count as of capacity 1, so that among them plain load decides.
inline bool less_loaded(const Snapshot& snapshot, const Guards& guards, CellIndex a,
                        CellIndex b) noexcept {
  __extension__ using Wide = unsigned __int128;
  const auto capacity = [&](CellIndex i) -> Wide {
    const std::uint64_t stated = snapshot.compiled().cell(i).capacity;
    return stated == 0 ? 1 : stated;
  };
  const auto load = [&](CellIndex i) -> Wide {
    return guards.region().load(snapshot.number_of(i));
  };
  const Wide of_a = load(a) * capacity(b);
  const Wide of_b = load(b) * capacity(a);
  return of_a != of_b ? of_a < of_b : a < b;
}

// The least loaded of the cells that `order` still yields, at most `choices` of those that `usable`
// accepts; kNoCell where it accepts none.
template <class Usable>
CellIndex least_loaded(const Snapshot& snapshot, const Guards& guards, Preference order,
                       std::size_t choices, const Usable& usable) noexcept {
  CellIndex best = kNoCell;
  for (CellIndex cell = order.next(); cell != kNoCell && choices > 0; cell = order.next()) {
    if (!usable(cell)) continue;
    --choices;
    if (best == kNoCell || less_loaded(snapshot, guards, cell, best)) best = cell;
  }
  return best;
}

// Consistent hashing with bounded loads (Mirrokni, Thorup, Zadimoghaddam 2016): a cell takes
// another request while it has fewer in flight than `factor` (thousandths) times the pool's mean,
// this request counted in.
class LoadBound {
 public:
  LoadBound(const Snapshot& snapshot, const Guards& guards, const Pool& pool) noexcept
      : snapshot_(snapshot), guards_(guards), pool_(pool) {}

  bool accepts(CellIndex cell) noexcept {
    const std::uint64_t factor = snapshot_.compiled().topology().policy.bounded_load;
    const std::uint64_t mine = in_flight(cell);
    if (factor == 0 || mine == 0) return true;
    if (bound_ == 0) {
      std::uint64_t total = 1;
      for (const CellIndex member : pool_.members) total += in_flight(member);
      const std::uint64_t whole = 1000 * pool_.members.size();
      bound_ = (factor * total + whole - 1) / whole;
    }
    return mine < bound_;
  }

 private:
  std::uint64_t in_flight(CellIndex cell) const noexcept {
    return guards_.in_flight_estimate(snapshot_.number_of(cell));
  }

  const Snapshot& snapshot_;
  const Guards& guards_;
  const Pool& pool_;
  std::uint64_t bound_ = 0;  // 0: not counted yet; counting reads a line a member
};

}  // namespace cellroute
