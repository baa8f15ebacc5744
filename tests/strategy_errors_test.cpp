// What the strategies refuse, and how they say it: the strategy, the cell, what is wrong, what to
// do.
#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "cellroute/strategy/picker.hpp"
#include "strategy_pool.hpp"

namespace cellroute {
namespace {

using Catch::Matchers::Contains;
using test::Pool;

std::string refusal(StrategyKind kind, const std::vector<Member>& members,
                    const StrategyOptions& options = {},
                    ErrorCode code = ErrorCode::kInvalidArgument) {
  const auto picker = Picker::build(kind, members, options);
  INFO(Picker::name(kind));
  REQUIRE_FALSE(picker.ok());
  CHECK(picker.error().code() == code);
  CHECK_THAT(picker.error().text(), Contains("strategy " + std::string(Picker::name(kind)) + ": "));
  return picker.error().text();
}

template <class F>
void for_each_kind(F check) {
  for (std::size_t i = 0; i < kStrategyKinds; ++i) check(static_cast<StrategyKind>(i));
}

TEST_CASE("a pool of no cells is refused") {
  for_each_kind([](StrategyKind kind) { CHECK_THAT(refusal(kind, {}), Contains("no cells")); });
}

TEST_CASE("more cells than 16 bits can number are refused") {
  const Pool pool = Pool::of(65'536);
  std::vector<Member> members = pool.members();
  members.back().cell = 0;  // 65,535 is no cell
  for_each_kind([&](StrategyKind kind) {
    CHECK_THAT(refusal(kind, members), Contains("65536 cells") && Contains("65,535"));
  });
}

TEST_CASE("a cell without a number, or of no weight, is refused") {
  for_each_kind([](StrategyKind kind) {
    Pool pool = Pool::of(3);
    pool.members()[1].cell = kNoCell;
    CHECK_THAT(refusal(kind, pool.members()),
               Contains("cell \"cell-00001\"") && Contains("number"));
    pool.members()[1].cell = 1;
    pool.members()[2].weight = 0;
    CHECK_THAT(refusal(kind, pool.members()), Contains("\"cell-00002\"") && Contains("weight 0"));
  });
}

TEST_CASE("cells out of order, or twice, are refused") {
  for_each_kind([](StrategyKind kind) {
    Pool pool = Pool::of(3);
    pool.members()[2].id = "cell-00001";
    CHECK_THAT(refusal(kind, pool.members()), Contains("\"cell-00001\""));
    pool = Pool::of(3);
    std::swap(pool.members()[0], pool.members()[1]);
    if (Picker::ordered(kind)) {
      CHECK(Picker::build(kind, pool.members(), {}).ok());
    } else {
      CHECK_THAT(refusal(kind, pool.members()), Contains("byte order of id"));
    }
  });
}

TEST_CASE("byte order of id means unsigned bytes") {
  Pool pool;
  pool.add("z");
  pool.add("\xc3\xa4");  // a-umlaut: after every ASCII letter
  for_each_kind([&](StrategyKind kind) { CHECK(Picker::build(kind, pool.members(), {}).ok()); });
}

TEST_CASE("jump, modulo and md5-modulo refuse unequal weights") {
  Pool pool = Pool::of(3);
  for (Member& member : pool.members()) member.weight = 2'500;
  for (const auto kind : {StrategyKind::kJump, StrategyKind::kModulo, StrategyKind::kMd5Modulo}) {
    pool.members()[1].weight = 2'500;
    CHECK(Picker::build(kind, pool.members(), {}).ok());
    pool.members()[1].weight = 1'050;
    CHECK_THAT(refusal(kind, pool.members()), Contains("\"cell-00001\" weighs 1.050") &&
                                                  Contains("2.500") && Contains("no weights"));
  }
}

TEST_CASE("the ketama rings refuse weights that their routers cannot have") {
  Pool pool = Pool::of(3);
  pool.members()[2].weight = 1'500;
  for (const auto kind : {StrategyKind::kKetama, StrategyKind::kKetamaNginx}) {
    CHECK_THAT(refusal(kind, pool.members()),
               Contains("\"cell-00002\" weighs 1.500") && Contains("whole weights"));
  }
}

TEST_CASE("slots must be a power of two within bounds, and reach for all cells") {
  const Pool pool = Pool::of(1'025);
  for (const auto kind : {StrategyKind::kRendezvousSlots, StrategyKind::kMaglev}) {
    StrategyOptions options;
    for (const std::uint32_t slots : {0u, 1u, 512u, 65'535u, 65'537u, 1u << 23}) {
      options.slots = slots;
      CHECK_THAT(refusal(kind, pool.members(), options),
                 Contains("slots = " + std::to_string(slots)) && Contains("power of two"));
    }
    options.slots = 1'024;
    CHECK_THAT(refusal(kind, pool.members(), options), Contains("slots = 1024 for 1025 cells"));
    options.slots = 2'048;
    CHECK(Picker::build(kind, pool.members(), options).ok());
    options.slots = 1 << 22;
    CHECK(Picker::build(kind, Pool::of(2).members(), options).ok());
  }
}

TEST_CASE("a table over max_table_bytes is refused, one of just that size is not") {
  for_each_kind([](StrategyKind kind) {
    const Pool pool = Pool::of(40);
    StrategyOptions options;
    const auto picker = Picker::build(kind, pool.members(), options);
    REQUIRE(picker.ok());
    options.max_table_bytes = 39;
    CHECK_THAT(refusal(kind, pool.members(), options, ErrorCode::kRefused),
               Contains("max_table_bytes allows 39"));
    options.max_table_bytes = picker->table_bytes() - 1;
    refusal(kind, pool.members(), options, ErrorCode::kRefused);
    if (kind == StrategyKind::kRendezvous)
      return;  // reckons with a weight of its own for each cell
    options.max_table_bytes = picker->table_bytes();
    CHECK(Picker::build(kind, pool.members(), options).ok());
  });
}

TEST_CASE("weights that ask for too many points are refused before anything is allocated") {
  Pool pool = Pool::of(1'000);
  for (Member& member : pool.members()) member.weight = 4'294'967'000;
  StrategyOptions options;
  for (const auto kind : {StrategyKind::kRing, StrategyKind::kKetamaNginx}) {
    CHECK_THAT(refusal(kind, pool.members(), options, ErrorCode::kRefused), Contains("points"));
    options.max_table_bytes = SIZE_MAX;
    CHECK_THAT(refusal(kind, pool.members(), options, ErrorCode::kRefused), Contains("points"));
  }
}

std::string name_refusal(StrategyKind kind, const std::string& name) {
  Pool pool;
  pool.add("a", kUnitWeight, name);
  return refusal(kind, pool.members());
}

TEST_CASE("ketama refuses server names that are none") {
  const auto refused = [](const std::string& name) {
    return name_refusal(StrategyKind::kKetama, name);
  };
  CHECK_THAT(refused("host:"), Contains("\"a\"") && Contains("\"host:\"") && Contains("port"));
  CHECK_THAT(refused("host:65536"), Contains("port"));
  CHECK_THAT(refused("host:+1"), Contains("port"));
  CHECK_THAT(refused("host:1x"), Contains("port"));
  CHECK_THAT(refused("::1"), Contains("host is missing"));
  CHECK_THAT(refused("fe80::1:11211"), Contains("[IPv6]:port"));
  CHECK_THAT(refused("[::1"), Contains("']' is missing"));
  CHECK_THAT(refused("[::1]11211"), Contains("port"));
  CHECK_THAT(refused("[]:1"), Contains("host is missing"));
  CHECK_THAT(refused(":11211"), Contains("host is missing"));
  CHECK_THAT(refused(std::string("a\0b", 3)), Contains("NUL"));
}

// The picks of 1,000 keys over a pool of two, of which the second one's name varies.
std::vector<CellIndex> picks_with(StrategyKind kind, const std::string& name) {
  Pool pool;
  pool.add("a", kUnitWeight, "10.0.0.1:11211");
  pool.add("b", kUnitWeight, name);
  const auto picker = Picker::build(kind, pool.members(), {});
  REQUIRE(picker.ok());
  std::vector<CellIndex> picks;
  for (std::uint64_t i = 0; i < 1'000; ++i) {
    picks.push_back(picker->pick(Picker::derived(kind, {i, 0}, 0)));
  }
  return picks;
}

TEST_CASE("ketama: port 11211, none and 0 are one name, other ports are others") {
  const auto with = [](const std::string& name) { return picks_with(StrategyKind::kKetama, name); };
  CHECK(with("host:11211") == with("host"));
  CHECK(with("host:0") == with("host"));
  CHECK(with("host:011211") == with("host"));
  CHECK(with("host:11212") != with("host"));
  CHECK(with("[::1]:11211") == with("[::1]"));
  CHECK(with("/socket:0") != with("/socket"));
  CHECK(with("/socket:11211") == with("/socket"));
  CHECK(with("") == with("b"));  // the id, where no name is given
}

TEST_CASE("ketama-nginx: a name is what nginx's server line says, port or none") {
  const auto with = [](const std::string& name) {
    return picks_with(StrategyKind::kKetamaNginx, name);
  };
  CHECK(with("host:80") != with("host"));
  CHECK(with("unix:/path") == with("UNIX:/path"));
  CHECK(with("unix:/path") != with("unix:/path:1"));
  CHECK(with("") == with("b"));
}

TEST_CASE("two cells of one server name are refused") {
  Pool pool;
  pool.add("a", kUnitWeight, "host:11211");
  pool.add("b", kUnitWeight, "host");
  CHECK_THAT(refusal(StrategyKind::kKetama, pool.members()), Contains("server name \"host\""));
  Pool nginx;
  nginx.add("a", kUnitWeight, "host:80");
  nginx.add("b", kUnitWeight, "host:80");
  CHECK_THAT(refusal(StrategyKind::kKetamaNginx, nginx.members()),
             Contains("server name \"host:80\""));
}

}  // namespace
}  // namespace cellroute
