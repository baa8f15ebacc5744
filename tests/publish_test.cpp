// The gate before a topology serves.
#include "cellroute/publish.hpp"

#include "routing_fixture.hpp"

namespace {

using namespace routing;

std::vector<Cell> cells(int count) {
  std::vector<Cell> made;
  for (int i = 0; i < count; ++i) made.push_back(cell("c" + std::to_string(i), "retail", "us"));
  return made;
}

Topology generation(std::uint64_t number, std::vector<Cell> with) {
  Topology made = topology(std::move(with));
  made.generation = number;
  return made;
}

TEST_CASE("publish: an older or equal generation is refused, the last good one serves on") {
  Served served(generation(5, cells(20)));
  for (const std::uint64_t number : {1u, 4u, 5u}) {
    const Error error = served.try_publish(generation(number, cells(20)));
    CHECK(error.code() == ErrorCode::kRefused);
    CHECK(error.text().find("is not newer than 5") != std::string::npos);
  }
  CHECK(served.route("k").generation == 5);
  CHECK(served.try_publish(generation(6, cells(20))).ok());
  CHECK(served.route("k").generation == 6);
}

TEST_CASE("publish: an empty topology is refused") {
  Served served(generation(1, cells(20)));
  CHECK_FALSE(served.try_publish(generation(2, {})).ok());
  CHECK(served.route("k").status == Status::kOk);
}

TEST_CASE("publish: a new seed is refused unless it is allowed") {
  Served served(generation(1, cells(20)));
  Topology seeded = generation(2, cells(20));
  seeded.hash_seed = 43;
  const Error error = served.try_publish(seeded);
  CHECK(error.code() == ErrorCode::kRefused);
  CHECK(error.text().find("hash_seed") != std::string::npos);
  CHECK(error.text().find("42") == std::string::npos);  // the seed itself is a secret
  CHECK(served.try_publish(seeded, {}, {100, 0, true}).ok());
}

TEST_CASE("publish: more moved than allowed is refused with the figure") {
  Served served(generation(1, cells(20)));
  Topology smaller = generation(2, cells(17));
  const Error lost = served.try_publish(smaller);
  CHECK(lost.code() == ErrorCode::kRefused);
  CHECK(lost.text().find("3 cells that serve would be lost") != std::string::npos);
  const Error moved = served.try_publish(smaller, {}, {10, 3, false});
  CHECK(moved.code() == ErrorCode::kRefused);
  CHECK(moved.text().find("% of the hash space would move") != std::string::npos);
  CHECK(served.try_publish(smaller, {}, {20, 3, false}).ok());
}

TEST_CASE("publish: one cell of twenty may go by default, OFFLINE or gone") {
  for (const bool offline : {false, true}) {
    Served served(generation(1, cells(20)));
    Topology next = generation(2, cells(offline ? 20 : 19));
    if (offline) next.cells[19].state = CellState::kOffline;
    CHECK(served.try_publish(next).ok());
  }
}

TEST_CASE("publish: the moved share is what moves") {
  const auto before = compile(generation(1, cells(20)));
  const auto same = compile(generation(2, cells(20)));
  const auto more = compile(generation(2, cells(25)));
  REQUIRE(before.ok());
  CHECK(change_between(**before, **same).moved_thousandths == 0);
  CHECK(change_between(**before, **same).cells_lost == 0);
  // Every class of tier retail, region us and every set of flags shares one pool, or has none.
  const Change grown = change_between(**before, **more);
  CHECK(grown.moved_thousandths > 150);
  CHECK(grown.moved_thousandths < 250);
  const Change shrunk = change_between(**more, **before);
  CHECK(shrunk.cells_lost == 5);
  CHECK(shrunk.moved_thousandths > 150);
}

TEST_CASE("publish: where keys are mapped one by one, a strategy's move moves nobody") {
  Topology first = generation(1, cells(20));
  first.policy.unassigned = Unassigned::kAssign;
  Served served(first);
  Topology other = generation(2, cells(20));
  other.policy.unassigned = Unassigned::kAssign;
  other.policy.strategy = StrategyKind::kRing;
  CHECK(served.try_publish(other).ok());
}

TEST_CASE("publish: the same topology again, with other mappings") {
  Served served(generation(3, cells(20)));
  const auto compiled = served->snapshot()->shared_compiled();
  const std::vector<MappingRecord> mappings = {record("k", "c7", 2)};
  CHECK(served->publish(compiled, mappings).ok());
  CHECK(served.cell_of(served.route("k")) == "c7");
  CHECK(served->publish(compiled).ok());
  CHECK(said(served.route("k")) == "OK PLACED");
}

TEST_CASE("publish: a full directory refuses the topology") {
  RouterOptions options;
  options.geometry = {8, 1, 1024};
  auto router = Router::create(options);
  REQUIRE(router.ok());
  const auto compiled = compile(generation(1, cells(9)));
  CHECK((*router)->publish(*compiled).code() == ErrorCode::kResourceExhausted);
  Request request;
  request.key = "k";
  CHECK(said((*router)->route(request, kNow)) == "UNAVAILABLE NO_SNAPSHOT");
}

TEST_CASE("publish: a cell keeps its number over generations; a removed one's is not given away") {
  Served served(generation(1, cells(3)));
  const std::uint32_t c0 = served.number_of("c0");
  const std::uint32_t c2 = served.number_of("c2");
  served.publish(generation(2, {cell("c0", "retail", "us"), cell("new", "retail", "us")}));
  CHECK(served.number_of("c0") == c0);
  CHECK(served.number_of("new") != c2);
  served.publish(generation(3, cells(3)));
  CHECK(served.number_of("c2") == c2);
}

TEST_CASE("publish: health applies when it differs from the last generation's, and not else") {
  Served served(generation(1, cells(1)));
  served->region().set_health(served.number_of("c0"), Health::kUnhealthy);
  served.publish(generation(2, cells(1)));  // HEALTHY as before: the host's mark stays
  CHECK(said(served.route("k")) == "UNAVAILABLE CELL_UNHEALTHY");
  Topology sick = generation(3, cells(1));
  sick.cells[0].health = Health::kUnhealthy;
  served.publish(sick);
  sick.generation = 4;
  sick.cells[0].health = Health::kHealthy;
  served.publish(sick);
  CHECK(served.route("k").status == Status::kOk);
}

}  // namespace
