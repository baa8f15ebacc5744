// What must hold of a strategy over any topology: placement depends on the set of cells alone,
// keys move only where they must, shares follow weights.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cellroute/strategy/picker.hpp"
#include "strategy_pool.hpp"

namespace cellroute {
namespace {

using test::Pool;
using test::Random;

std::vector<StrategyKind> kinds_where(bool (*holds)(StrategyKind)) {
  std::vector<StrategyKind> kinds;
  for (std::size_t i = 0; i < kStrategyKinds; ++i) {
    if (holds(static_cast<StrategyKind>(i))) kinds.push_back(static_cast<StrategyKind>(i));
  }
  return kinds;
}

Picker build(StrategyKind kind, const std::vector<Member>& members) {
  StrategyOptions options;
  options.seed = 17;
  options.slots = 4096;
  auto picker = Picker::build(kind, members, options);
  INFO(Picker::name(kind));
  REQUIRE(picker.ok());
  return std::move(*picker);
}

Point sample(StrategyKind kind, std::uint64_t i) {
  return Picker::derived(kind, {mix(i), mix(~i)}, 0);
}

using Picks = std::vector<CellIndex>;

Picks picks(const Picker& picker, std::size_t count) {
  Picks picks;
  for (std::uint64_t i = 0; i < count; ++i) {
    picks.push_back(picker.pick(sample(picker.kind(), i)));
  }
  return picks;
}

constexpr std::size_t kSamples = 3'000;

// Which cells stand in the pool, and with what weight.
using Standing = std::map<CellIndex, std::uint32_t>;

Picks picks_of(StrategyKind kind, const Pool& pool, const Standing& standing) {
  std::vector<Member> members;
  for (Member member : pool.members()) {
    const auto found = standing.find(member.cell);
    if (found == standing.end()) continue;
    member.weight = found->second;
    members.push_back(member);
  }
  return picks(build(kind, members), kSamples);
}

std::uint32_t weight_in(const Standing& standing, CellIndex cell) {
  const auto found = standing.find(cell);
  return found == standing.end() ? 0 : found->second;
}

// Adds, drops or re-weighs a random cell or two; whole weights, which every strategy takes.
Standing changed(Standing standing, std::size_t cells, Random& random) {
  for (std::uint64_t changes = 1 + random.below(2); changes > 0; --changes) {
    const auto cell = static_cast<CellIndex>(random.below(cells));
    if (standing.contains(cell) && standing.size() > 1 && random.chance(2)) {
      standing.erase(cell);
    } else {
      standing[cell] = static_cast<std::uint32_t>(1 + random.below(4)) * kUnitWeight;
    }
  }
  return standing;
}

TEST_CASE("minimal strategies: a key moves only from a cell that lost, or to one that gained") {
  for (const StrategyKind kind : kinds_where(&Picker::minimal)) {
    INFO(Picker::name(kind));
    Random random(18);
    for (int topology = 0; topology < 6; ++topology) {
      const std::size_t cells = 2 + random.below(40);
      const Pool pool = Pool::of(cells);
      Standing now{{0, kUnitWeight}};
      Picks before = picks_of(kind, pool, now);
      for (int step = 0; step < 40; ++step) {
        const Standing next = changed(now, cells, random);
        const Picks after = picks_of(kind, pool, next);
        for (std::size_t i = 0; i < kSamples; ++i) {
          if (before[i] == after[i]) continue;
          const bool old_lost = weight_in(next, before[i]) < weight_in(now, before[i]);
          const bool new_gained = weight_in(next, after[i]) > weight_in(now, after[i]);
          REQUIRE((old_lost || new_gained));
        }
        now = next;
        before = after;
      }
    }
  }
}

TEST_CASE("minimal strategies are free of history: the same cells, the same table") {
  for (const StrategyKind kind : kinds_where(&Picker::minimal)) {
    INFO(Picker::name(kind));
    Random random(19);
    std::map<Standing, Picks> seen;
    const Pool pool = Pool::of(4);
    Standing now{{0, kUnitWeight}};
    int again = 0;
    for (int step = 0; step < 200; ++step) {
      now = changed(now, 4, random);
      const Picks after = picks_of(kind, pool, now);
      const auto [entry, first_time] = seen.emplace(now, after);
      if (first_time) continue;
      ++again;
      REQUIRE(entry->second == after);
    }
    CHECK(again > 20);
  }
}

TEST_CASE("minimal strategies: raising a weight moves keys to that cell alone") {
  for (const StrategyKind kind : kinds_where(&Picker::minimal)) {
    INFO(Picker::name(kind));
    Pool pool = Pool::of(20);
    for (const std::uint32_t units : {2u, 3u, 10u}) {
      const Picks before = picks(build(kind, pool.members()), kSamples);
      pool.members()[7].weight = units * kUnitWeight;
      const Picks after = picks(build(kind, pool.members()), kSamples);
      std::size_t moved = 0;
      for (std::size_t i = 0; i < kSamples; ++i) {
        if (before[i] == after[i]) continue;
        ++moved;
        REQUIRE(after[i] == 7);
      }
      CHECK(moved > 0);
    }
  }
}

TEST_CASE("the cells' numbers play no part: only ids and weights do") {
  for (std::size_t k = 0; k < kStrategyKinds; ++k) {
    const auto kind = static_cast<StrategyKind>(k);
    Pool pool = Pool::of(9);
    const Picks before = picks(build(kind, pool.members()), 1'000);
    for (Member& member : pool.members()) member.cell = static_cast<CellIndex>(5'000 - member.cell);
    const Picks after = picks(build(kind, pool.members()), 1'000);
    for (std::size_t i = 0; i < before.size(); ++i) REQUIRE(before[i] + after[i] == 5'000);
  }
}

TEST_CASE("another seed is another placement for the native strategies, the same for legacy ones") {
  for (std::size_t k = 0; k < kStrategyKinds; ++k) {
    const auto kind = static_cast<StrategyKind>(k);
    const Pool pool = Pool::of(9);
    StrategyOptions options;
    options.seed = 1;
    const auto one = Picker::build(kind, pool.members(), options);
    options.seed = 2;
    const auto two = Picker::build(kind, pool.members(), options);
    const bool seeded = kind == StrategyKind::kRendezvousSlots || kind == StrategyKind::kRing ||
                        kind == StrategyKind::kRendezvous || kind == StrategyKind::kMaglev;
    INFO(Picker::name(kind));
    CHECK((picks(*one, 1'000) == picks(*two, 1'000)) == !seeded);
  }
}

// Shares of 100,000 random points. `tolerance`: of a cell's ideal share.
void check_shares(StrategyKind kind, const std::vector<Member>& members, double tolerance) {
  constexpr std::size_t kPoints = 100'000;
  std::map<CellIndex, double> counts;
  for (const CellIndex cell : picks(build(kind, members), kPoints)) counts[cell] += 1;
  double total = 0;
  for (const Member& member : members) total += member.weight;
  for (const Member& member : members) {
    const double ideal = kPoints * member.weight / total;
    INFO(Picker::name(kind) << ", cell " << member.cell << ": " << counts[member.cell] << ", ideal "
                            << ideal);
    CHECK(std::abs(counts[member.cell] - ideal) <= tolerance * ideal);
  }
}

// Random points alone scatter by 1 % (10,000 a cell): five times that, and what the strategy's own
// unevenness adds: 4,096 slots 5 %, 160 points 8 %.
TEST_CASE("equal cells get equal shares") {
  const Pool pool = Pool::of(10);
  for (const auto kind : {StrategyKind::kRendezvous, StrategyKind::kJump, StrategyKind::kMaglev,
                          StrategyKind::kModulo, StrategyKind::kMd5Modulo}) {
    check_shares(kind, pool.members(), 0.05);
  }
  check_shares(StrategyKind::kRendezvousSlots, pool.members(), 0.2);
  check_shares(StrategyKind::kRing, pool.members(), 0.3);
  check_shares(StrategyKind::kKetama, pool.members(), 0.3);
  check_shares(StrategyKind::kKetamaNginx, pool.members(), 0.3);
}

TEST_CASE("cells of uneven weight get shares by weight") {
  Pool pool = Pool::of(6);
  for (std::size_t i = 0; i < 6; ++i) {
    pool.members()[i].weight = static_cast<std::uint32_t>(i + 1) * kUnitWeight;
  }
  check_shares(StrategyKind::kRendezvous, pool.members(), 0.05);
  check_shares(StrategyKind::kMaglev, pool.members(), 0.05);
  check_shares(StrategyKind::kRendezvousSlots, pool.members(), 0.2);
  check_shares(StrategyKind::kRing, pool.members(), 0.3);
  check_shares(StrategyKind::kKetama, pool.members(), 0.3);
  check_shares(StrategyKind::kKetamaNginx, pool.members(), 0.3);
  for (Member& member : pool.members())
    member.weight /= 100;  // fractions, for those that have them
  check_shares(StrategyKind::kRendezvous, pool.members(), 0.05);
  check_shares(StrategyKind::kMaglev, pool.members(), 0.05);
  check_shares(StrategyKind::kRendezvousSlots, pool.members(), 0.2);
}

// With as many members as a pool may hold (the rings, which only take longer, left out), and
// weights at their bounds.
TEST_CASE("strategies build at their bounds") {
  const Pool most = Pool::of(65'535);
  StrategyOptions options;
  for (const auto kind : {StrategyKind::kRendezvous, StrategyKind::kJump, StrategyKind::kMaglev,
                          StrategyKind::kModulo, StrategyKind::kMd5Modulo}) {
    const auto picker = Picker::build(kind, most.members(), options);
    INFO(Picker::name(kind));
    REQUIRE(picker.ok());
    CHECK(picker->pick(sample(kind, 1)) < 65'535);
    CHECK(picker->table_bytes() <= options.max_table_bytes);
  }
  Pool extreme = Pool::of(3);
  extreme.members()[0].weight = 1;
  extreme.members()[2].weight = UINT32_MAX;
  for (const auto kind :
       {StrategyKind::kRendezvous, StrategyKind::kMaglev, StrategyKind::kRendezvousSlots}) {
    const auto picker = Picker::build(kind, extreme.members(), options);
    INFO(Picker::name(kind));
    REQUIRE(picker.ok());
    CHECK(picker->pick(sample(kind, 1)) == 2);
  }
}

}  // namespace
}  // namespace cellroute
