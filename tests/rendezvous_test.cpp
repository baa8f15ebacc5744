#include "cellroute/strategy/rendezvous.hpp"

#include <catch2/catch.hpp>
#include <cstdint>
#include <map>
#include <vector>

#include "cellroute/strategy/rendezvous_slots.hpp"
#include "strategy_pool.hpp"

namespace cellroute {
namespace {

using detail::Contender;
using detail::negative_log2;
using test::Pool;
using test::Random;

constexpr std::uint64_t kSeed = 99;

bool wins(const Contender& a, const Contender& b) {
  return detail::wins(a, b, negative_log2(b.hash));
}

// The definition, with no group, bound or short cut: a logarithm for each member.
CellIndex by_definition(const std::vector<Member>& members, std::uint64_t point) {
  const Member* best = nullptr;
  std::uint64_t best_hash = 0;
  for (const Member& member : members) {
    const std::uint64_t hash = detail::pair_hash(point, hash_bytes(kSeed, member.id));
    const auto score = best == nullptr ? 0 : detail::Uint128{negative_log2(hash)} * best->weight;
    const auto to_beat =
        best == nullptr ? 1 : detail::Uint128{negative_log2(best_hash)} * member.weight;
    if (score < to_beat || (score == to_beat && hash > best_hash)) {
      best = &member;
      best_hash = hash;
    }
  }
  return best->cell;
}

Pool random_pool(Random& random) {
  Pool pool = Pool::of(1 + random.below(60));
  const std::uint64_t kinds = 1 + random.below(6);
  const std::uint64_t most = std::uint64_t{1} << random.below(32);
  std::vector<std::uint32_t> weights;
  for (std::uint64_t i = 0; i < kinds; ++i) {
    weights.push_back(static_cast<std::uint32_t>(1 + random.below(most)));
  }
  const bool all_differ = random.chance(3);
  for (Member& member : pool.members()) {
    member.weight = all_differ ? static_cast<std::uint32_t>(1 + random.below(most))
                               : weights[random.below(kinds)];
  }
  return pool;
}

TEST_CASE("rendezvous picks what the definition says, whatever the weights") {
  Random random(6);
  StrategyOptions options;
  options.seed = kSeed;
  for (int round = 0; round < 300; ++round) {
    const Pool pool = random_pool(random);
    const auto table = Rendezvous::build(pool.members(), options);
    REQUIRE(table.ok());
    for (int i = 0; i < 100; ++i) {
      const std::uint64_t point = random.next();
      REQUIRE((*table).pick({point, 0}) == by_definition(pool.members(), point));
    }
  }
}

TEST_CASE("rendezvous-slots gives slot s to the cell that the definition gives mix(0, s)") {
  Random random(7);
  StrategyOptions options;
  options.seed = kSeed;
  options.slots = 1024;
  for (int round = 0; round < 20; ++round) {
    const Pool pool = random_pool(random);
    const auto table = RendezvousSlots::build(pool.members(), options);
    REQUIRE(table.ok());
    for (std::uint32_t slot = 0; slot < options.slots; ++slot) {
      const CellIndex expected = by_definition(pool.members(), mix(0, slot));
      const std::uint64_t first = std::uint64_t{slot} << 54;  // 2^10 slots
      REQUIRE((*table).pick({first, 0}) == expected);
      REQUIRE((*table).pick({first + (std::uint64_t{1} << 54) - 1, 0}) == expected);
    }
  }
}

TEST_CASE("a tie goes to the larger hash, then to the lower id") {
  const std::uint64_t quarter = (std::uint64_t{1} << 62) - 1;  // -log2(u) = 2
  const std::uint64_t half = (std::uint64_t{1} << 63) - 1;     // -log2(u) = 1
  // 2 / 2000 = 1 / 1000.
  CHECK(wins({half, 1000, 9}, {quarter, 2000, 1}));
  CHECK_FALSE(wins({quarter, 2000, 1}, {half, 1000, 9}));
  // The least bit of difference decides before any tie rule.
  CHECK(wins({quarter, 2001, 9}, {half, 1000, 1}));
  CHECK_FALSE(wins({half, 1000, 1}, {quarter, 2001, 9}));
  // The very same hash and weight.
  CHECK(wins({half, 1000, 1}, {half, 1000, 2}));
  CHECK_FALSE(wins({half, 1000, 2}, {half, 1000, 1}));
  // Both logarithms zero: no weight matters any more.
  CHECK(wins({UINT64_MAX, 1, 1}, {UINT64_MAX, 5, 2}));
  CHECK_FALSE(wins({UINT64_MAX, 5, 2}, {UINT64_MAX, 1, 1}));
}

TEST_CASE("the quick bound is never above the logarithm") {
  Random random(8);
  for (int i = 0; i < 100'000; ++i) {
    const std::uint64_t hash = ~(random.next() >> random.below(64));
    REQUIRE(detail::log_floor(hash) <= negative_log2(hash));
  }
  CHECK(detail::log_floor(0) <= negative_log2(0));
  CHECK(detail::log_floor(UINT64_MAX) == 0);
}

// pair_hash() must make the members of one key, and one member's keys, look independent: with the
// first choice gone, the second is spread over all the others alike (chi-squared, 72 pairs; its
// mean is 72, 130 is beyond one in a hundred thousand).
TEST_CASE("second choices are spread evenly") {
  Pool pool = Pool::of(9);
  StrategyOptions options;
  options.seed = kSeed;
  std::vector<Rendezvous> without;
  for (std::size_t gone = 0; gone < 9; ++gone) {
    std::vector<Member> left = pool.members();
    left.erase(left.begin() + static_cast<std::ptrdiff_t>(gone));
    without.push_back(std::move(*Rendezvous::build(left, options)));
  }
  const auto all = Rendezvous::build(pool.members(), options);
  constexpr int kKeys = 720'000;
  std::map<std::pair<CellIndex, CellIndex>, double> pairs;
  for (std::uint64_t i = 0; i < kKeys; ++i) {
    const Point point{mix(i), 0};
    const CellIndex first = (*all).pick(point);
    pairs[{first, without[first].pick(point)}] += 1;
  }
  CHECK(pairs.size() == 72);
  double chi_squared = 0;
  for (const auto& [pair, count] : pairs) {
    chi_squared += (count - kKeys / 72.0) * (count - kKeys / 72.0) / (kKeys / 72.0);
  }
  CHECK(chi_squared < 130);
  CHECK(chi_squared > 30);
}

}  // namespace
}  // namespace cellroute
