#include "cellroute/strategy/picker.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

#include "strategy_pool.hpp"

namespace cellroute {
namespace {

using Catch::Matchers::Contains;
using test::Pool;

constexpr const char* kNames[] = {"rendezvous-slots", "jump",   "maglev",     "ring",
                                  "rendezvous",       "modulo", "md5-modulo", "ketama",
                                  "ketama-nginx"};

TEST_CASE("strategies are parsed and printed by their names, version 1 being the unversioned one") {
  for (std::size_t i = 0; i < kStrategyKinds; ++i) {
    const auto kind = static_cast<StrategyKind>(i);
    CHECK(Picker::name(kind) == kNames[i]);
    REQUIRE(parse_strategy(kNames[i]).ok());
    CHECK(*parse_strategy(kNames[i]) == kind);
    CHECK(*parse_strategy(std::string(kNames[i]) + ".v1") == kind);
  }
}

TEST_CASE("unknown strategies are refused by name, with the known ones") {
  for (const std::string name :
       {"", "Jump", "jump.v2", "jump.v1.v1", ".v1", "jump ", "ring.V1", "hash"}) {
    const auto kind = parse_strategy(name);
    INFO(name);
    REQUIRE_FALSE(kind.ok());
    CHECK(kind.error().code() == ErrorCode::kInvalidArgument);
    CHECK_THAT(kind.error().text(), Contains('"' + name + '"') && Contains("rendezvous-slots"));
  }
}

TEST_CASE("a strategy number that does not exist is refused") {
  const Pool pool = Pool::of(3);
  const auto picker = Picker::build(static_cast<StrategyKind>(9), pool.members(), {});
  REQUIRE_FALSE(picker.ok());
  CHECK_THAT(picker.error().text(), Contains("number 9"));
}

TEST_CASE("the strategies that are minimal, and those that have an order, are the design's") {
  for (std::size_t i = 0; i < kStrategyKinds; ++i) {
    const auto kind = static_cast<StrategyKind>(i);
    const std::string name(Picker::name(kind));
    INFO(name);
    CHECK(Picker::minimal(kind) == (name == "rendezvous" || name == "rendezvous-slots" ||
                                    name == "ring" || name == "ketama-nginx"));
    CHECK(Picker::ordered(kind) == (name == "jump" || name == "modulo" || name == "md5-modulo"));
  }
}

TEST_CASE("a picker picks what its strategy's own table picks, and moves") {
  const Pool pool = Pool::of(20);
  auto built = Picker::build(StrategyKind::kMaglev, pool.members(), {});
  const auto table = Maglev::build(pool.members(), {});
  REQUIRE((built.ok() && table.ok()));
  const Picker picker = std::move(*built);
  CHECK(picker.kind() == StrategyKind::kMaglev);
  CHECK(picker.table_bytes() == (*table).table_bytes());
  for (std::uint64_t i = 0; i < 1'000; ++i) {
    REQUIRE(picker.pick({mix(i), 0}) == (*table).pick({mix(i), 0}));
  }
}

TEST_CASE("points: the key's hash, or what the legacy router computed from its bytes") {
  CHECK(Picker::point(StrategyKind::kRing, "abc", 77).lo == 77);
  CHECK(Picker::point(StrategyKind::kRing, "abc", 77).hi == 0);
  // MD5 of "abc" is 900150983cd24fb0 d6963f7d28e17f72 (RFC 1321).
  CHECK(Picker::point(StrategyKind::kMd5Modulo, "abc", 77).hi == 0x900150983cd24fb0);
  CHECK(Picker::point(StrategyKind::kMd5Modulo, "abc", 77).lo == 0xd6963f7d28e17f72);
  CHECK(Picker::point(StrategyKind::kKetama, "abc", 77).lo == 0x98500190);
  CHECK(Picker::point(StrategyKind::kKetamaNginx, "123456789", 77).lo == 0xcbf43926);
}

// Expected: int(hashlib.md5(b"customer-N").hexdigest(), 16) % n in Python 3.
TEST_CASE("md5-modulo places as the hand-written Python routers do") {
  const struct {
    std::size_t cells;
    CellIndex expected[5];
  } cases[] = {
      {3, {0, 1, 0, 2, 0}},
      {7, {6, 1, 6, 3, 2}},
      {100, {91, 85, 40, 58, 42}},
      {65535, {53901, 13450, 4515, 47123, 25902}},
  };
  for (const auto& [cells, expected] : cases) {
    const Pool pool = Pool::of(cells);
    const auto table = Md5Modulo::build(pool.members(), {});
    REQUIRE(table.ok());
    for (int i = 0; i < 5; ++i) {
      const std::string key = "customer-" + std::to_string(i);
      CHECK((*table).pick(Md5Modulo::point(key, 0)) == expected[i]);
    }
  }
}

TEST_CASE("md5-modulo divides all 128 bits") {
  __extension__ using Wide = unsigned __int128;
  test::Random random(20);
  for (const std::size_t cells : {1u, 2u, 3u, 255u, 256u, 10'007u, 65'535u}) {
    const Pool pool = Pool::of(cells);
    const auto table = Md5Modulo::build(pool.members(), {});
    REQUIRE(table.ok());
    for (int i = 0; i < 2'000; ++i) {
      const Point point{random.next(), random.next()};
      const Wide whole = (Wide{point.hi} << 64) | point.lo;
      REQUIRE((*table).pick(point) == static_cast<CellIndex>(whole % cells));
    }
    REQUIRE((*table).pick({UINT64_MAX, UINT64_MAX}) == static_cast<CellIndex>(~Wide{0} % cells));
  }
}

}  // namespace
}  // namespace cellroute
