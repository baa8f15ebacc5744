// The order in which a key would have a pool's cells: its pick, its next choices, then everyone.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "cellroute/strategy/picker.hpp"
#include "cellroute/strategy/strategy.hpp"

namespace cellroute {

// Lazy: each next() does the work for one more cell; the first costs what Picker::pick() costs.
// Every cell comes once, within 63 picks and one walk over the pool in all, whatever is asked of
// it. Allocates nothing. Refers to the picker and the cells; for one thread.
class Preference {
 public:
  static constexpr std::uint32_t kDerivedPicks = 63;
  static constexpr std::size_t kNoLimit = SIZE_MAX;

  // `cells_by_id`: the pool's cells in byte order of id, whatever the strategy's own order is.
  // `limit`: end after so many cells (shuffle sharding).
  Preference(const Picker& picker, std::span<const CellIndex> cells_by_id, Point point,
             std::size_t limit = kNoLimit) noexcept
      : picker_(&picker),
        cells_(cells_by_id),
        point_(point),
        left_(std::min(limit, cells_by_id.size())) {}

  // kNoCell at the end, and ever after.
  CellIndex next() noexcept {
    if (left_ == 0) return kNoCell;
    --left_;
    if (step_ == 0) {
      step_ = 1;
      return remember(picker_->pick(point_));
    }
    return next_choice();
  }

 private:
  CellIndex next_choice() noexcept {
    while (step_ <= kDerivedPicks) {
      const CellIndex cell = picker_->pick(Picker::derived(picker_->kind(), point_, step_++));
      if (!picked(cell)) return remember(cell);
    }
    while (rest_ < cells_.size()) {
      const CellIndex cell = cells_[rest_++];
      if (!picked(cell)) return cell;
    }
    return kNoCell;
  }

  bool picked(CellIndex cell) const noexcept {
    const auto end = picked_.begin() + count_;
    return std::find(picked_.begin(), end, cell) != end;
  }

  CellIndex remember(CellIndex cell) noexcept { return picked_[count_++] = cell; }

  const Picker* picker_;
  std::span<const CellIndex> cells_;
  Point point_;
  std::size_t left_;                                 // cells still to come
  std::size_t rest_ = 0;                             // of cells_, once the picks are used up
  std::uint32_t step_ = 0;                           // the next derived point; 0 is the key's own
  std::uint32_t count_ = 0;                          // of picked_
  std::array<CellIndex, kDerivedPicks + 1> picked_;  // left as it is until written to
};

}  // namespace cellroute
