// Sorted points on a ring with an index over their top bits: the first point at or after a given
// one in O(1) expected, O(log points) at worst. Shared by ring, ketama and ketama-nginx.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "cellroute/strategy/strategy.hpp"

namespace cellroute::detail {

// UInt is the points' type. Immutable; any number of threads.
template <class UInt>
class RingIndex {
 public:
  struct Owned {
    UInt point;
    std::uint16_t rank;  // the owner's place in byte order of id: of equal points the lowest wins
    CellIndex cell;
  };

  static constexpr std::uint64_t kMaxPoints = std::uint64_t{1} << 30;

  RingIndex() = default;

  // Precondition: 1 to kMaxPoints points.
  explicit RingIndex(std::vector<Owned> owned) {
    std::sort(owned.begin(), owned.end(), [](const Owned& a, const Owned& b) {
      return a.point != b.point ? a.point < b.point : a.rank < b.rank;
    });
    const std::size_t count = owned.size();
    shift_ = kBits - bucket_bits(count);
    points_.reserve(count + kLookahead);
    cells_.reserve(count + 1);
    const std::size_t buckets = std::size_t{1} << bucket_bits(count);
    starts_.reserve(buckets);
    for (const Owned& o : owned) {
      while (starts_.size() <= (o.point >> shift_)) starts_.push_back(size_of(points_));
      points_.push_back(o.point);
      cells_.push_back(o.cell);
    }
    starts_.resize(buckets, size_of(points_));
    points_.resize(count + kLookahead, std::numeric_limits<UInt>::max());
    cells_.push_back(cells_[0]);  // after the last point the ring begins again
  }

  // The owner of the first point at or after `point`. A bucket holds one point or less on
  // average, so counting the smaller ones among a few takes the place of a search and is not
  // mispredicted; the search that remains is for one pick in hundreds.
  CellIndex owner(UInt point) const noexcept {
    std::size_t i = starts_[point >> shift_];
    const UInt* next = &points_[i];
    i += std::size_t{next[0] < point} + std::size_t{next[1] < point} +
         std::size_t{next[2] < point} + std::size_t{next[3] < point};
    if (points_[i] < point) [[unlikely]]
      i = search(i, point);
    return cells_[i];
  }

  std::size_t bytes() const noexcept { return bytes_for(cells_.size() - 1); }

  static constexpr std::uint64_t bytes_for(std::uint64_t points) noexcept {
    return (points + kLookahead) * sizeof(UInt) + (points + 1) * sizeof(CellIndex) +
           (std::uint64_t{1} << bucket_bits(points)) * sizeof(std::uint32_t);
  }

 private:
  static constexpr unsigned kBits = std::numeric_limits<UInt>::digits;
  static constexpr std::size_t kLookahead = 4;

  // At least as many buckets as points; never zero bits, which could not be shifted by.
  static constexpr unsigned bucket_bits(std::uint64_t points) noexcept {
    return std::max(1u, static_cast<unsigned>(std::bit_width(points)));
  }

  static std::uint32_t size_of(const std::vector<UInt>& points) noexcept {
    return static_cast<std::uint32_t>(points.size());
  }

  std::size_t search(std::size_t from, UInt point) const noexcept {
    const auto end = points_.end() - kLookahead;
    const auto begin = points_.begin() + static_cast<std::ptrdiff_t>(from);
    return static_cast<std::size_t>(std::lower_bound(begin, end, point) - points_.begin());
  }

  std::vector<UInt> points_;           // ascending, then kLookahead times the greatest value
  std::vector<CellIndex> cells_;       // their owners, then the first one's again
  std::vector<std::uint32_t> starts_;  // by top bits: the first point with these or greater ones
  unsigned shift_ = 0;
};

}  // namespace cellroute::detail
