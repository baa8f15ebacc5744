// Steps 5 to 8 of choosing a cell, rule by rule: from the cells that may serve to the report. A
// test's name is the rule.
#include <set>

#include "routing_fixture.hpp"

namespace {

using namespace routing;

// ---- 5. Pick

TEST_CASE("rule 5: TWO_CHOICES and LEAST_LOAD propose by load relative to capacity") {
  Topology made = assigning({cell("a", "retail", "us"), cell("b", "retail", "us")});
  made.cells[0].capacity = 100;
  made.cells[0].load = 50;
  made.cells[1].capacity = 1000;
  made.cells[1].load = 400;
  for (const Selection selection : {Selection::kTwoChoices, Selection::kLeastLoad}) {
    made.policy.selection = selection;
    Served served(made);
    CHECK(served.cell_of(served.route("k")) == "b");
    served->region().set_load(served.number_of("b"), 600);
    CHECK(served.cell_of(served.route("k")) == "a");
    served->region().set_load(served.number_of("b"), 500);  // a tie: by id
    CHECK(served.cell_of(served.route("k")) == "a");
  }
}

TEST_CASE("rule 5: a full cell takes no new key; where all are full there is none") {
  Topology made = assigning({cell("a", "retail", "us"), cell("b", "retail", "us")});
  made.cells[0].capacity = 10;
  made.cells[1].capacity = 10;
  made.cells[0].load = 10;
  Served served(made);
  for (int i = 0; i < 50; ++i) {
    CHECK(served.cell_of(served.route("k" + std::to_string(i))) == "b");
  }
  served->region().set_load(served.number_of("b"), 10);
  CHECK(said(served.route("k")) == "NO_ELIGIBLE_CELL ALL_CELLS_FULL");
}

TEST_CASE("rule 5: a STATELESS placement counts as load until the next mark") {
  Topology made = stateless({cell("a", "retail", "us"), cell("b", "retail", "us")});
  made.policy.selection = Selection::kLeastLoad;
  made.cells[0].capacity = 100;
  made.cells[1].capacity = 300;
  Served served(made);
  std::map<std::string, int> counts;
  for (int i = 0; i < 200; ++i) ++counts[served.cell_of(served.route("k" + std::to_string(i)))];
  CHECK(counts["a"] == 50);
  CHECK(counts["b"] == 150);
  CHECK(said(served.route("k")) == "OK LEAST_LOADED");
  CHECK(served->region().load(served.number_of("a")) +
            served->region().load(served.number_of("b")) ==
        201);
}

TEST_CASE("rule 5: placing without reserving counts nothing") {
  Topology made = stateless({cell("a", "retail", "us"), cell("b", "retail", "us")});
  made.policy.selection = Selection::kLeastLoad;
  Served served(made);
  for (int i = 0; i < 20; ++i) CHECK(served.cell_of(served.place("k" + std::to_string(i))) == "a");
}

TEST_CASE("rule 5: shuffle sharding keeps a key to its first k cells, sick ones included") {
  std::vector<Cell> cells;
  for (int i = 0; i < 12; ++i) cells.push_back(cell("c" + std::to_string(i), "retail", "us"));
  Topology made = stateless(cells);
  made.policy.shuffle_shard = 3;
  Served served(made);
  std::vector<std::uint32_t> tried;
  std::set<std::string> shard;
  for (int i = 0; i < 3; ++i) {
    const Decision decision = served.route("k", {.tried = tried});
    REQUIRE(decision.status == Status::kOk);
    shard.insert(served.cell_of(decision));
    tried.push_back(decision.cell);
  }
  CHECK(shard.size() == 3);
  CHECK(said(served.route("k", {.tried = tried})) == "UNAVAILABLE ALL_CELLS_OUT");
}

TEST_CASE("rule 5: bounded load moves on from a cell above its share of what is in flight") {
  std::vector<Cell> cells;
  for (int i = 0; i < 4; ++i) cells.push_back(cell("c" + std::to_string(i), "retail", "us"));
  Topology made = stateless(cells);
  made.policy.bounded_load = 1250;
  made.policy.in_flight = {1000, 60 * kSecond};
  Served served(made);
  std::map<std::string, int> counts;
  for (int i = 0; i < 400; ++i) ++counts[served.cell_of(served.route("one hot key"))];
  CHECK(counts.size() == 4);
  for (const auto& [id, count] : counts) CHECK(count <= 400 * 5 / 16 + 40);
}

// ---- 6. Health and breaker

TEST_CASE("rule 6: a stateful key of a sick cell fails fast and goes nowhere else") {
  auto cells = four_cells();
  Served served(topology(cells));
  std::map<std::string, std::string> before;
  for (int i = 0; i < 200; ++i) {
    const std::string key = "k" + std::to_string(i);
    before[key] = served.cell_of(served.route(key));
  }
  served->region().set_health(served.number_of("r-us-1"), Health::kUnhealthy);
  int failed = 0;
  for (const auto& [key, home] : before) {
    const Decision decision = served.route(key);
    CHECK(served.cell_of(decision) == home);
    if (home == "r-us-1") {
      ++failed;
      CHECK(said(decision) == "UNAVAILABLE CELL_UNHEALTHY");
      CHECK(decision.retry_after > 0);
      CHECK(decision.ticket.empty());
    } else {
      CHECK(decision.status == Status::kOk);
    }
  }
  CHECK(failed > 50);
}

TEST_CASE("rule 6: a READ may go to a declared replica that passes, and says so; a WRITE not") {
  auto cells = four_cells();
  cells[0].replicas = {"r-eu-1", "r-us-2"};
  cells[0].health = Health::kUnhealthy;
  Served served(topology(cells), {record("k", "r-us-1", 2)});
  const Decision read = served.route("k", {.access = Access::kRead});
  CHECK(said(read) == "OK REPLICA");
  CHECK(read.read_only);
  CHECK(read.epoch == 2);
  CHECK(served.cell_of(read) == "r-eu-1");
  CHECK(said(served.route("k")) == "UNAVAILABLE CELL_UNHEALTHY");
  const Decision next =
      served.route("k", {.access = Access::kRead, .tried = {served.number_of("r-eu-1")}});
  CHECK(served.cell_of(next) == "r-us-2");
}

TEST_CASE("rule 6: a replica that breaks a flag or a REQUIRE risk rule serves no read") {
  auto cells = four_cells();
  cells[2].replicas = {"r-us-1"};
  cells[2].health = Health::kUnhealthy;
  Topology made = topology(cells);
  made.policy.risk.mode = RiskMode::kRequire;
  Served served(made);
  const Ask read = {.region = "eu", .access = Access::kRead};
  CHECK(said(served.route("k", read)) == "OK REPLICA");
  Ask resident = read;
  resident.flags = {"EU_RESIDENT"};
  CHECK(said(served.route("k", resident)) == "UNAVAILABLE CELL_UNHEALTHY");
}

TEST_CASE("rule 6: a breaker opens on its failures and tells when to try again") {
  Topology made = topology({cell("a", "retail", "us"), cell("b", "private", "us")});
  made.policy.breaker.consecutive_failures = 3;
  Served served(made);
  served.fail("k", 3);
  const Decision decision = served.route("k");
  CHECK(said(decision) == "UNAVAILABLE BREAKER_OPEN");
  CHECK(decision.retry_after > 20 * kSecond);
  CHECK(decision.retry_after < 60 * kSecond);
  CHECK(said(served.route("k", {.tier = "private"})) == "OK PLACED");
}

TEST_CASE("rule 6: STATELESS goes on in preference order, never to one in tried") {
  std::vector<Cell> cells;
  for (int i = 0; i < 6; ++i) cells.push_back(cell("c" + std::to_string(i), "retail", "us"));
  Served served(stateless(cells));
  const Decision first = served.route("k");
  CHECK(said(first) == "OK PLACED");
  std::vector<std::uint32_t> tried = {first.cell};
  std::set<std::uint32_t> seen = {first.cell};
  while (tried.size() < 6) {
    const Decision next = served.route("k", {.tried = tried});
    REQUIRE(said(next) == "OK SPILLED");
    CHECK(seen.insert(next.cell).second);
    tried.push_back(next.cell);
  }
  CHECK(said(served.route("k", {.tried = tried})) == "UNAVAILABLE ALL_CELLS_OUT");
}

TEST_CASE("rule 6: when every cell is out the answer is UNAVAILABLE, no panic mode") {
  Topology made = stateless({cell("a", "retail", "us"), cell("b", "retail", "us")});
  made.cells[0].health = Health::kUnhealthy;
  made.cells[1].health = Health::kUnhealthy;
  Served served(made);
  const Decision decision = served.route("k");
  CHECK(said(decision) == "UNAVAILABLE ALL_CELLS_OUT");
  CHECK(decision.retry_after > 0);
}

TEST_CASE("rule 6: a stateful request that tried its home is not sent there again") {
  Served served(topology(four_cells()));
  const Decision home = served.route("k");
  CHECK(said(served.route("k", {.tried = {home.cell}})) == "UNAVAILABLE ALREADY_TRIED");
}

// ---- 7. Guards

TEST_CASE("rule 7: a full cell refuses stateful keys and is passed over by stateless ones") {
  Topology made = topology({cell("a", "retail", "us"), cell("b", "retail", "us")});
  made.policy.in_flight = {2, 60 * kSecond};
  Served stateful(made);
  int full = 0;
  for (int i = 0; i < 50; ++i) {
    const Decision decision = stateful.route("k");
    if (decision.status != Status::kOk) {
      ++full;
      CHECK(said(decision) == "UNAVAILABLE CELL_FULL");
      CHECK(decision.retry_after > 0);
    }
  }
  CHECK(full >= 48);
  made.policy.affinity = Affinity::kStateless;
  Served anywhere(made);
  std::set<std::string> cells;
  Decision last;
  for (int i = 0; i < 50; ++i) {
    last = anywhere.route("k");
    if (last.status == Status::kOk) cells.insert(anywhere.cell_of(last));
  }
  CHECK(cells.size() == 2);
  CHECK(said(last) == "UNAVAILABLE ALL_CELLS_OUT");
}

TEST_CASE("rule 7: limits by key, by key and resource, and by cell, each with its reason") {
  Topology made = topology({cell("a", "retail", "us")});
  const auto limit = [](LimitPer per, std::uint64_t requests) {
    return Limit{per,   LimitKind::kWindow, "", requests, 60 * kSecond, 0,
                 false, OnExceed::kRefuse,  {}};
  };
  made.policy.limits = {limit(LimitPer::kKeyAndResource, 3)};
  Served by_resource(made);
  for (int i = 0; i < 3; ++i)
    CHECK(by_resource.route("k", {.resource = "r"}).status == Status::kOk);
  const Decision refused = by_resource.route("k", {.resource = "r"});
  CHECK(said(refused) == "RATE_LIMITED KEY_RESOURCE_LIMIT");
  CHECK(refused.retry_after > 0);
  CHECK(by_resource.route("k", {.resource = "other"}).status == Status::kOk);

  made.policy.limits = {limit(LimitPer::kKey, 3)};
  Served by_key(made);
  for (int i = 0; i < 3; ++i) CHECK(by_key.route("k").status == Status::kOk);
  CHECK(said(by_key.route("k")) == "RATE_LIMITED KEY_LIMIT");
  CHECK(by_key.route("other").status == Status::kOk);

  made.policy.limits = {limit(LimitPer::kCell, 3)};
  Served by_cell(made);
  int admitted = 0;
  for (int i = 0; i < 10; ++i) {
    admitted += by_cell.route("k" + std::to_string(i)).status == Status::kOk;
  }
  CHECK(admitted <= 3);
  CHECK(said(by_cell.route("k")) == "RATE_LIMITED CELL_LIMIT");
}

TEST_CASE("rule 7: a plan's limit stands in place of the general one; a key may have its own") {
  Topology made = topology({cell("a", "retail", "us")});
  Limit general{LimitPer::kKey,    LimitKind::kWindow,    "", 2, 60 * kSecond, 0, false,
                OnExceed::kRefuse, {{"vip", 5, 0, false}}};
  Limit gold = general;
  gold.plan = "gold";
  gold.requests = 4;
  gold.overrides.clear();
  Limit free = gold;
  free.plan = "free";
  free.requests = 0;
  free.unlimited = true;
  made.policy.limits = {general, gold, free};
  Served served(made);
  const auto admitted = [&](std::string_view key, std::string_view plan) {
    int count = 0;
    for (int i = 0; i < 10; ++i) count += served.route(key, {.plan = plan}).status == Status::kOk;
    return count;
  };
  CHECK(admitted("a", "") == 2);
  CHECK(admitted("b", "gold") == 4);
  CHECK(admitted("c", "free") == 10);
  CHECK(admitted("vip", "") == 5);
}

TEST_CASE("rule 7: on_exceed COUNT lets the request through") {
  Topology made = topology({cell("a", "retail", "us")});
  made.policy.limits = {
      {LimitPer::kKey, LimitKind::kWindow, "", 1, 60 * kSecond, 0, false, OnExceed::kCount, {}}};
  Served served(made);
  for (int i = 0; i < 5; ++i) CHECK(said(served.route("k")) == "OK PLACED");
}

TEST_CASE("rule 7: another try of a request is not charged to its key again") {
  Topology made =
      stateless({cell("a", "retail", "us"), cell("b", "retail", "us"), cell("c", "retail", "us")});
  made.policy.limits = {
      {LimitPer::kKey, LimitKind::kWindow, "", 2, 60 * kSecond, 0, false, OnExceed::kRefuse, {}}};
  Served served(made);
  std::vector<std::uint32_t> tried;
  for (int i = 0; i < 3; ++i) {
    const Decision decision = served.route("k", {.tried = tried});
    REQUIRE(decision.status == Status::kOk);
    tried.push_back(decision.cell);
  }
  CHECK(said(served.route("k")) == "OK PLACED");
  CHECK(said(served.route("k")) == "RATE_LIMITED KEY_LIMIT");
}

TEST_CASE("rule 7: a key's own limit ends a STATELESS search, a cell's does not") {
  Topology made = stateless({cell("a", "retail", "us"), cell("b", "retail", "us")});
  made.policy.limits = {
      {LimitPer::kKey, LimitKind::kWindow, "", 1, 60 * kSecond, 0, false, OnExceed::kRefuse, {}}};
  Served by_key(made);
  CHECK(by_key.route("k").status == Status::kOk);
  CHECK(said(by_key.route("k")) == "RATE_LIMITED KEY_LIMIT");
  made.policy.limits[0].per = LimitPer::kCell;
  Served by_cell(made);
  CHECK(said(by_cell.route("k")) == "OK PLACED");
  CHECK(said(by_cell.route("k")) == "OK SPILLED");
  CHECK(said(by_cell.route("k")) == "UNAVAILABLE ALL_CELLS_OUT");
}

// ---- 8. Report

TEST_CASE("rule 8: a report gives the in-flight place back, once") {
  Topology made = topology({cell("a", "retail", "us")});
  made.policy.in_flight = {1, 60 * kSecond};
  Served served(made);
  Decision first = served.route("k");
  REQUIRE(first.status == Status::kOk);
  CHECK(said(served.route("k")) == "UNAVAILABLE CELL_FULL");
  Ticket copy = first.ticket;
  served->report(first.ticket, {}, kNow);
  CHECK(first.ticket.empty());
  Decision second = served.route("k");
  CHECK(second.status == Status::kOk);
  served->report(first.ticket, {}, kNow);  // the emptied ticket changes nothing
  CHECK(said(served.route("k")) == "UNAVAILABLE CELL_FULL");
  static_cast<void>(copy);
}

TEST_CASE("rule 8: one that is never reported leaves the count when its slot comes round") {
  Topology made = topology({cell("a", "retail", "us")});
  made.policy.in_flight = {1, 60 * kSecond};
  Served served(made);
  CHECK(served.route("k").status == Status::kOk);
  CHECK(said(served.route("k", {}, kNow + 40 * kSecond)) == "UNAVAILABLE CELL_FULL");
  CHECK(served.route("k", {}, kNow + 70 * kSecond).status == Status::kOk);
}

TEST_CASE("rule 8: 4xx and the client's own abort are no failures, 502 to 504 and timeouts are") {
  Topology made = topology({cell("a", "retail", "us")});
  made.policy.breaker.consecutive_failures = 2;
  const auto opens = [&](CallEnd end, int status) {
    Served served(made);
    for (int i = 0; i < 2; ++i) {
      Decision decision = served.route("k");
      served->report(decision.ticket, {end, static_cast<std::uint16_t>(status), false}, kNow);
    }
    return served.route("k").reason == Reason::kBreakerOpen;
  };
  for (const int status : {502, 503, 504}) CHECK(opens(CallEnd::kAnswered, status));
  for (const int status : {200, 302, 400, 404, 429, 500, 501}) {
    CHECK_FALSE(opens(CallEnd::kAnswered, status));
  }
  CHECK(opens(CallEnd::kConnectError, 0));
  CHECK(opens(CallEnd::kTimeout, 0));
  CHECK_FALSE(opens(CallEnd::kClientAbort, 0));
}

}  // namespace
