#include "cellroute/strategy/preference.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdint>
#include <vector>

#include "strategy_pool.hpp"

namespace cellroute {
namespace {

using test::Pool;

Picker build(StrategyKind kind, const Pool& pool) {
  StrategyOptions options;
  options.slots = 65'536;
  auto picker = Picker::build(kind, pool.members(), options);
  REQUIRE(picker.ok());
  return std::move(*picker);
}

std::vector<CellIndex> all_of(Preference order) {
  std::vector<CellIndex> cells;
  for (CellIndex cell = order.next(); cell != kNoCell; cell = order.next()) cells.push_back(cell);
  return cells;
}

// Design section 4, step 5, word for word.
std::vector<CellIndex> by_definition(const Picker& picker, const std::vector<CellIndex>& by_id,
                                     Point point) {
  std::vector<CellIndex> order = {picker.pick(point)};
  const auto add = [&](CellIndex cell) {
    if (std::find(order.begin(), order.end(), cell) == order.end()) order.push_back(cell);
  };
  for (std::uint32_t j = 1; j <= 63; ++j)
    add(picker.pick(Picker::derived(picker.kind(), point, j)));
  for (const CellIndex cell : by_id) add(cell);
  return order;
}

TEST_CASE("a preference order is the pick, its derived picks, then the rest by id") {
  for (std::size_t k = 0; k < kStrategyKinds; ++k) {
    const auto kind = static_cast<StrategyKind>(k);
    for (const std::size_t cells : {1u, 2u, 5u, 64u, 65u, 300u}) {
      const Pool pool = Pool::of(cells);
      const Picker picker = build(kind, pool);
      const std::vector<CellIndex> by_id = pool.cells();
      for (std::uint64_t i = 0; i < 20; ++i) {
        const Point point = Picker::derived(kind, {mix(i), mix(~i)}, 0);
        const auto order = all_of(Preference(picker, by_id, point));
        INFO(Picker::name(kind) << ", " << cells << " cells, point " << i);
        REQUIRE(order == by_definition(picker, by_id, point));
        REQUIRE(order.size() == cells);  // everyone, once
      }
    }
  }
}

// The end of the order comes after as many steps as there are cells, and stays the end: no walk
// runs on when every cell is refused.
TEST_CASE("a preference order ends when every cell was refused, and stays ended") {
  const Pool pool = Pool::of(100);
  const std::vector<CellIndex> by_id = pool.cells();
  const Picker picker = build(StrategyKind::kRing, pool);
  Preference order(picker, by_id, {42, 0});
  for (int i = 0; i < 100; ++i) REQUIRE(order.next() != kNoCell);
  for (int i = 0; i < 1'000; ++i) REQUIRE(order.next() == kNoCell);
}

TEST_CASE("a limit cuts a preference order short: shuffle sharding") {
  const Pool pool = Pool::of(10);
  const std::vector<CellIndex> by_id = pool.cells();
  const Picker picker = build(StrategyKind::kRendezvousSlots, pool);
  const auto whole = all_of(Preference(picker, by_id, {42, 0}));
  for (const std::size_t limit : {0u, 1u, 3u, 10u, 11u}) {
    const auto order = all_of(Preference(picker, by_id, {42, 0}, limit));
    REQUIRE(order.size() == std::min<std::size_t>(limit, 10));
    CHECK(std::equal(order.begin(), order.end(), whole.begin()));
  }
}

TEST_CASE("the cells by id are those of the pool, not of policy.order") {
  Pool pool = Pool::of(200);
  const std::vector<CellIndex> by_id = pool.cells();
  std::reverse(pool.members().begin(), pool.members().end());
  const Picker picker = build(StrategyKind::kModulo, pool);
  const auto order = all_of(Preference(picker, by_id, {42, 0}));
  CHECK(order == by_definition(picker, by_id, {42, 0}));
  CHECK(std::is_sorted(order.begin() + 64, order.end()));
}

// Next choices of the keys of one cell spread over all the others: no neighbour inherits all.
TEST_CASE("second choices of one cell's keys are spread") {
  const Pool pool = Pool::of(10);
  const std::vector<CellIndex> by_id = pool.cells();
  for (const auto kind : {StrategyKind::kRendezvousSlots, StrategyKind::kModulo,
                          StrategyKind::kMd5Modulo, StrategyKind::kKetamaNginx}) {
    const Picker picker = build(kind, pool);
    std::vector<int> seconds(10);
    for (std::uint64_t i = 0; i < 20'000; ++i) {
      Preference order(picker, by_id, Picker::derived(kind, {mix(i), mix(~i)}, 0));
      if (order.next() == 0) ++seconds[order.next()];
    }
    CHECK(seconds[0] == 0);
    for (std::size_t cell = 1; cell < 10; ++cell) CHECK(seconds[cell] > 100);  // 222 on average
  }
}

}  // namespace
}  // namespace cellroute
