#include "cellroute/strategy/detail/ring_index.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdint>
#include <limits>
#include <vector>

#include "strategy_pool.hpp"

namespace cellroute::detail {
namespace {

using test::Random;

// The first point at or after, else the first of all; of equal ones the lowest rank.
template <class UInt>
CellIndex by_definition(const std::vector<typename RingIndex<UInt>::Owned>& owned, UInt point) {
  const typename RingIndex<UInt>::Owned* best = &owned.front();
  for (const auto& o : owned) {
    const UInt distance = static_cast<UInt>(o.point - point);  // around the ring
    const UInt best_distance = static_cast<UInt>(best->point - point);
    if (distance < best_distance || (distance == best_distance && o.rank < best->rank)) best = &o;
  }
  return best->cell;
}

template <class UInt>
void check(const std::vector<typename RingIndex<UInt>::Owned>& owned, Random& random) {
  const RingIndex<UInt> index(owned);
  std::vector<UInt> points = {0, 1, std::numeric_limits<UInt>::max()};
  for (const auto& o : owned) {
    points.push_back(o.point);
    points.push_back(static_cast<UInt>(o.point + 1));
    points.push_back(static_cast<UInt>(o.point - 1));
  }
  for (int i = 0; i < 50; ++i) points.push_back(static_cast<UInt>(random.next()));
  for (const UInt point : points) REQUIRE(index.owner(point) == by_definition<UInt>(owned, point));
}

template <class UInt>
void check_many() {
  Random random(12);
  for (int round = 0; round < 300; ++round) {
    std::vector<typename RingIndex<UInt>::Owned> owned;
    // Spread over the ring, or crowded into a corner of it so that one bucket holds them all.
    const auto spread = static_cast<unsigned>(
        random.below(static_cast<std::uint64_t>(std::numeric_limits<UInt>::digits)));
    const UInt corner = static_cast<UInt>(random.next());
    for (std::uint64_t i = 1 + random.below(60); i > 0; --i) {
      const UInt offset = static_cast<UInt>(static_cast<UInt>(random.next()) >> spread);
      const auto owner = static_cast<std::uint16_t>(random.below(20));
      owned.push_back(
          {static_cast<UInt>(corner + offset), owner, static_cast<CellIndex>(owner + 100)});
    }
    check<UInt>(owned, random);
  }
}

TEST_CASE("a ring index finds the first point at or after, 64 bits") {
  check_many<std::uint64_t>();
}
TEST_CASE("a ring index finds the first point at or after, 32 bits") {
  check_many<std::uint32_t>();
}

TEST_CASE("a ring index handles points at the ends of the ring, and one point alone") {
  Random random(13);
  check<std::uint64_t>({{0, 0, 1}}, random);
  check<std::uint64_t>({{UINT64_MAX, 0, 1}}, random);
  check<std::uint64_t>({{UINT64_MAX, 1, 1}, {UINT64_MAX, 0, 2}, {0, 2, 3}, {0, 1, 4}}, random);
  check<std::uint32_t>({{UINT32_MAX, 0, 1}, {0, 1, 2}}, random);
}

}  // namespace
}  // namespace cellroute::detail
