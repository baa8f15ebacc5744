#include "cellroute/strategy/jump.hpp"

#include <catch2/catch.hpp>
#include <cstdint>
#include <vector>

#include "strategy_pool.hpp"

namespace cellroute {
namespace {

using test::Pool;
using test::Random;

// What figure 1 of the paper computes for b + 1 candidates and (key >> 33) + 1 = d, in doubles.
// `volatile` keeps the two roundings apart.
std::uint64_t successor_in_doubles(std::uint64_t candidates, std::uint64_t d) {
  volatile double quotient = 2147483648.0 / static_cast<double>(d);
  volatile double product = static_cast<double>(candidates) * quotient;
  return static_cast<std::uint64_t>(product);
}

std::uint64_t bucket_in_doubles(std::uint64_t key, std::uint64_t buckets) {
  std::uint64_t bucket = 0;
  for (std::uint64_t next = 0; next < buckets;) {
    bucket = next;
    key = key * 2862933555777941757ULL + 1;
    next = successor_in_doubles(bucket + 1, (key >> 33) + 1);
  }
  return bucket;
}

TEST_CASE("jump equals the paper's doubles for random keys and every size of pool") {
  Random random(9);
  for (const std::size_t cells : {1u, 2u, 3u, 10u, 100u, 1'000u, 10'000u, 65'535u}) {
    const Pool pool = Pool::of(cells);
    const auto table = Jump::build(pool.members(), {});
    REQUIRE(table.ok());
    for (int i = 0; i < 20'000; ++i) {
      const std::uint64_t key = random.next();
      REQUIRE((*table).pick({key, 0}) == bucket_in_doubles(key, cells));
    }
  }
}

// Where the true quotient is whole, two roundings may fall short of it: 49 * (2^31 / 49) comes out
// below 2^31. No random test meets such a step; this one visits them all, and their neighbours.
TEST_CASE("jump falls short of whole quotients exactly where doubles do") {
  int short_of_whole = 0;
  for (std::uint64_t candidates = 1; candidates <= 65'535; ++candidates) {
    for (std::uint64_t odd = 1; odd <= candidates; odd += 2) {
      if (candidates % odd != 0) continue;
      for (std::uint64_t d = odd; d <= std::uint64_t{1} << 31; d *= 2) {
        const std::uint64_t expected = successor_in_doubles(candidates, d);
        if (expected != (candidates << 31) / d) ++short_of_whole;
        if (Jump::successor(candidates, d) != expected) {
          FAIL("candidates " << candidates << ", d " << d);
        }
        if (Jump::successor(candidates, d + 1) != successor_in_doubles(candidates, d + 1)) {
          FAIL("candidates " << candidates << ", d " << d + 1);
        }
      }
    }
    candidates += candidates / 512;  // all of the small ones, a sample of the others
  }
  CHECK(short_of_whole > 1'000);
  CHECK(successor_in_doubles(49, 49) == (std::uint64_t{1} << 31) - 1);
  CHECK(Jump::successor(49, 49) == (std::uint64_t{1} << 31) - 1);
}

TEST_CASE("jump moves keys to a cell that joins at the end, and from nowhere else") {
  const Pool pool = Pool::of(12);
  for (std::size_t cells = 1; cells < 12; ++cells) {
    const std::span<const Member> members(pool.members());
    const auto before = Jump::build(members.first(cells), {});
    const auto after = Jump::build(members.first(cells + 1), {});
    int moved = 0;
    for (std::uint64_t i = 0; i < 10'000; ++i) {
      const Point point{mix(i), 0};
      if ((*before).pick(point) == (*after).pick(point)) continue;
      ++moved;
      REQUIRE((*after).pick(point) == cells);
    }
    const double ideal = 10'000.0 / static_cast<double>(cells + 1);
    CHECK(moved > 0.9 * ideal);
    CHECK(moved < 1.1 * ideal);
  }
}

TEST_CASE("jump takes its cells in the order given") {
  Pool pool = Pool::of(5);
  const auto sorted = Jump::build(pool.members(), {});
  std::reverse(pool.members().begin(), pool.members().end());
  const auto reversed = Jump::build(pool.members(), {});
  REQUIRE(reversed.ok());
  for (std::uint64_t i = 0; i < 1'000; ++i) {
    REQUIRE((*sorted).pick({mix(i), 0}) + (*reversed).pick({mix(i), 0}) == 4);
  }
}

}  // namespace
}  // namespace cellroute
