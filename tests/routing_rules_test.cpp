// Steps 1 to 4 of choosing a cell, rule by rule: from the request to the cells that may serve it. A
// test's name is the rule.
#include <cmath>
#include <limits>
#include <set>

#include "cellroute/explain.hpp"
#include "routing_fixture.hpp"

namespace {

using namespace routing;

// ---- 1. Validate

TEST_CASE("rule 1: a key has 1 to 1,024 bytes") {
  Served served(topology(four_cells()));
  CHECK(said(served.route("")) == "INVALID_ARGUMENT KEY_EMPTY");
  CHECK(said(served.route(std::string(1, 'k'))) == "OK PLACED");
  CHECK(said(served.route(std::string(1024, 'k'))) == "OK PLACED");
  CHECK(said(served.route(std::string(1025, 'k'))) == "INVALID_ARGUMENT KEY_TOO_LONG");
}

TEST_CASE("rule 1: a NUL is a byte of the key like any other") {
  Topology wide = topology({});
  for (int i = 0; i < 50; ++i) wide.cells.push_back(cell("c" + std::to_string(i), "retail", "us"));
  Served served(wide);
  std::set<std::string> cells;
  for (char last = 'a'; last <= 'z'; ++last) {
    cells.insert(served.cell_of(served.route(std::string("same\0", 5) + last)));
  }
  CHECK(cells.size() > 1);
}

TEST_CASE("rule 1: tier, region, flags and plan are known or refused") {
  Topology made = topology(four_cells());
  made.policy.limits = {
      {LimitPer::kKey, LimitKind::kBucket, "gold", 5, kSecond, 0, false, OnExceed::kRefuse, {}}};
  Served served(made);
  CHECK(said(served.route("k", {.tier = "gold"})) == "INVALID_ARGUMENT TIER_UNKNOWN");
  CHECK(said(served.route("k", {.region = "mars"})) == "INVALID_ARGUMENT REGION_UNKNOWN");
  CHECK(said(served.route("k", {.flags = {"HIGH_RISK", "SHINY"}})) ==
        "INVALID_ARGUMENT FLAG_UNKNOWN");
  CHECK(said(served.route("k", {.plan = "golden"})) == "INVALID_ARGUMENT PLAN_UNKNOWN");
  CHECK(said(served.route("k", {.plan = "gold"})) == "OK PLACED");
  CHECK(served.cell_of(served.route("k", {.tier = "hnw"})) == "p-us-1");  // an alias
}

TEST_CASE("rule 1: risk is finite and within 0 and 1") {
  Served served(topology(four_cells()));
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  CHECK(said(served.route("k", {.risk = nan})) == "INVALID_ARGUMENT RISK_NOT_FINITE");
  CHECK(said(served.route("k", {.risk = -infinity})) == "INVALID_ARGUMENT RISK_NOT_FINITE");
  CHECK(said(served.route("k", {.risk = -0.001})) == "INVALID_ARGUMENT RISK_OUT_OF_RANGE");
  CHECK(said(served.route("k", {.risk = 1.001})) == "INVALID_ARGUMENT RISK_OUT_OF_RANGE");
  CHECK(said(served.route("k", {.risk = 0})) == "OK PLACED");
  CHECK(said(served.route("k", {.risk = 1})) == "OK PLACED");
}

TEST_CASE("rule 1: tier and region may be left out only where there is one") {
  Served served(topology(four_cells()));
  CHECK(said(served.route("k", {.tier = ""})) == "INVALID_ARGUMENT TIER_MISSING");
  CHECK(said(served.route("k", {.region = ""})) == "INVALID_ARGUMENT REGION_MISSING");
  Topology plain;
  plain.generation = 1;
  plain.cells = {cell("only", "", "")};
  Served simple(plain);
  CHECK(simple.cell_of(simple.route("k", {.tier = "", .region = ""})) == "only");
  CHECK(said(simple.route("k", {.tier = "retail", .region = ""})) ==
        "INVALID_ARGUMENT TIER_UNKNOWN");
}

TEST_CASE("rule 1: a stale profile handle, an unknown lane, an eighth try are refused") {
  Served served(topology(four_cells()));
  Request request;
  request.key = "k";
  request.profile = served->snapshot()->profile({"retail", "us", {}, {}}).profile;
  CHECK(said(served->route(request, kNow)) == "OK PLACED");
  request.lane = 2;
  CHECK(said(served->route(request, kNow)) == "INVALID_ARGUMENT LANE_OUT_OF_RANGE");
  request.lane = 1;
  Topology next = topology(four_cells());
  next.generation = 2;
  served.publish(next);
  CHECK(said(served->route(request, kNow)) == "INVALID_ARGUMENT PROFILE_STALE");
  CHECK(said(served.route("k", {.tried = {1, 2, 3, 4, 5, 6, 7, 8}})) ==
        "INVALID_ARGUMENT TOO_MANY_TRIED");
  CHECK(said(served.route("k", {.resource = std::string(257, 'r')})) ==
        "INVALID_ARGUMENT RESOURCE_TOO_LONG");
}

TEST_CASE("rule 1: a handle with numbers that the topology does not have is refused") {
  Served served(topology(four_cells()));
  Request request;
  request.key = "k";
  const Profile sound = served->snapshot()->profile({"retail", "us", {}, {}}).profile;
  const auto refused = [&](const Profile& profile) {
    request.profile = profile;
    return said(served->route(request, kNow)) == "INVALID_ARGUMENT PROFILE_STALE" &&
           said(served->place(request, kNow)) == "INVALID_ARGUMENT PROFILE_STALE";
  };
  CHECK(!refused(sound));
  Profile forged = sound;
  forged.tier = 0xfffe;
  CHECK(refused(forged));
  forged = sound;
  forged.region = 77;
  CHECK(refused(forged));
  forged = sound;
  forged.flags = 0x8000;
  CHECK(refused(forged));
  forged = sound;
  forged.plan = 9;
  CHECK(refused(forged));
}

// ---- 2. Explicit mapping

TEST_CASE("rule 2: a mapping wins over the strategy, whatever tier and region the request has") {
  Served served(topology(four_cells()), {record("k", "p-us-1", 3)});
  const Decision decision = served.route("k", {.tier = "retail", .region = "eu"});
  CHECK(said(decision) == "OK MAPPED");
  CHECK(served.cell_of(decision) == "p-us-1");
  CHECK(decision.epoch == 3);
}

TEST_CASE("rule 2: a mapped key of a DRAINING cell is served") {
  auto cells = four_cells();
  cells[0].state = CellState::kDraining;
  Served served(assigning(cells), {record("k", "r-us-1")});
  CHECK(said(served.route("k")) == "OK MAPPED");
  CHECK(served.cell_of(served.route("k")) == "r-us-1");
}

TEST_CASE("rule 2: a mapped key of an OFFLINE cell is UNAVAILABLE, of an unknown cell too") {
  auto cells = four_cells();
  cells[0].state = CellState::kOffline;
  Served served(topology(cells), {record("k", "r-us-1"), record("lost", "gone-cell")});
  CHECK(said(served.route("k")) == "UNAVAILABLE MAPPED_CELL_OFFLINE");
  CHECK(served.cell_of(served.route("k")) == "r-us-1");
  CHECK(said(served.route("lost")) == "UNAVAILABLE MAPPED_CELL_UNKNOWN");
  CHECK(served.route("lost").cell == kNoCellNumber);
}

TEST_CASE("rule 2: the record's flags are united with the request's, and checked") {
  MappingRecord eu = record("k", "r-us-1");
  eu.profile = MappedProfile{"retail", "us", "", {"EU_RESIDENT"}};
  Served served(topology(four_cells()), {eu, record("plain", "r-us-1"), record("p", "p-us-1")});
  CHECK(said(served.route("k")) == "COMPLIANCE MAPPED_CELL_BREAKS_FLAGS");
  CHECK(said(served.route("plain")) == "OK MAPPED");
  CHECK(said(served.route("plain", {.flags = {"PII_RESTRICTED"}})) ==
        "COMPLIANCE MAPPED_CELL_BREAKS_FLAGS");
  CHECK(said(served.route("p", {.flags = {"PII_RESTRICTED", "HIGH_RISK"}})) == "OK MAPPED");
}

TEST_CASE("rule 2: a REQUIRE risk rule is checked on a mapped key, PREFER is not") {
  Topology made = topology(four_cells());
  Served prefer(made, {record("k", "r-us-1")});
  CHECK(said(prefer.route("k", {.risk = 0.9})) == "OK MAPPED");
  made.policy.risk.mode = RiskMode::kRequire;
  Served require(made, {record("k", "r-us-1"), record("p", "p-us-1")});
  CHECK(said(require.route("k", {.risk = 0.8})) == "OK MAPPED");
  CHECK(said(require.route("k", {.risk = 0.81})) == "COMPLIANCE MAPPED_CELL_BREAKS_RISK");
  CHECK(said(require.route("p", {.risk = 0.81})) == "OK MAPPED");
}

TEST_CASE("rule 2: a record that names what the topology lacks fails closed") {
  MappingRecord odd = record("k", "r-us-1");
  odd.profile = MappedProfile{"retail", "us", "", {"NEW_LAW"}};
  Served served(topology(four_cells()), {odd});
  CHECK(said(served.route("k")) == "COMPLIANCE MAPPED_PROFILE_UNKNOWN");
}

TEST_CASE("rule 2: a migration's state answers: COPYING the source, FREEZING and FROZEN wait") {
  MappingRecord moving = record("k", "r-us-1", 4);
  moving.target = "r-us-2";
  moving.state = MigrationState::kCopying;
  Served copying(topology(four_cells()), {moving});
  CHECK(said(copying.route("k")) == "OK MAPPED");
  CHECK(copying.cell_of(copying.route("k")) == "r-us-1");
  moving.state = MigrationState::kFreezing;
  Served freezing(topology(four_cells()), {moving});
  CHECK(said(freezing.route("k")) == "MIGRATING FREEZING");
  CHECK(freezing.route("k").retry_after > 0);
  moving.state = MigrationState::kFrozen;
  Served frozen(topology(four_cells()), {moving});
  CHECK(said(frozen.route("k", {.access = Access::kRead})) == "MIGRATING FROZEN");
}

TEST_CASE("rule 2: of two records of a key the newer epoch, then revision, wins in any order") {
  MappingRecord old = record("k", "r-us-1", 1);
  MappingRecord moved = record("k", "r-us-2", 2);
  MappingRecord later = record("k", "r-eu-1", 2);
  later.revision = 9;
  Served forward(topology(four_cells()), {old, moved, later});
  Served backward(topology(four_cells()), {later, moved, old});
  CHECK(forward.cell_of(forward.route("k")) == "r-eu-1");
  CHECK(backward.cell_of(backward.route("k")) == "r-eu-1");
}

TEST_CASE("rule 2: a mapping resolved for another generation is refused, not guessed") {
  Served served(topology(four_cells()));
  const Mapped mapped = served->snapshot()->mapped(record("k", "r-us-2", 5));
  CHECK(said(served.route("k", {.mapping = &mapped})) == "OK MAPPED");
  Topology next = topology(four_cells());
  next.generation = 2;
  next.cells.push_back(cell("a-first-by-id", "retail", "us"));  // moves every cell's place by one
  served.publish(next);
  const Decision decision = served.route("k", {.mapping = &mapped});
  CHECK(said(decision) == "INVALID_ARGUMENT MAPPING_STALE");
  CHECK(decision.cell == kNoCellNumber);
}

TEST_CASE("rule 2: a mapping with numbers that the topology does not have is refused") {
  Served served(topology(four_cells()));
  const Mapped sound = served->snapshot()->mapped(record("k", "r-us-2", 5));
  const auto refused = [&](const Mapped& mapped) {
    return said(served.route("k", {.mapping = &mapped})) == "INVALID_ARGUMENT MAPPING_STALE";
  };
  CHECK(!refused(sound));
  Mapped forged = sound;
  forged.cell = 4;
  CHECK(refused(forged));
  Request request{.key = "k",
                  .profile = served->snapshot()->profile({"retail", "us", {}, {}}).profile};
  request.mapping = &forged;
  CHECK(explain(*served, request, kNow).steps[1].text ==
        "FOUND, but resolved for another generation");
  forged = sound;
  forged.has_profile = true;
  forged.profile.flags = 0x4000;
  CHECK(refused(forged));
  forged.profile.flags = 0;
  forged.profile.plan = 1;
  CHECK(refused(forged));
}

// ---- 3. Absent and unknown

TEST_CASE("rule 3: UNKNOWN is never placed, whatever the policy") {
  Mapped unknown;
  unknown.answer = Answer::kUnknown;
  for (const Unassigned policy : {Unassigned::kPlace, Unassigned::kAssign, Unassigned::kReject}) {
    Topology made = topology(four_cells());
    made.policy.unassigned = policy;
    Served served(made);
    const Decision decision = served.route("k", {.mapping = &unknown});
    CHECK(said(decision) == "UNAVAILABLE LOOKUP_UNKNOWN");
    CHECK(decision.cell == kNoCellNumber);
    CHECK(decision.retry_after > 0);
  }
}

TEST_CASE("rule 3: the last good answer serves while the store does not answer, and says so") {
  Served served(topology(four_cells()));
  Mapped stale = served->snapshot()->mapped(record("k", "r-us-2", 5));
  stale.stale = true;
  const Decision decision = served.route("k", {.mapping = &stale});
  CHECK(said(decision) == "OK STALE_MAPPING");
  CHECK(served.cell_of(decision) == "r-us-2");
}

TEST_CASE("rule 3: an ABSENT key is placed, proposed or rejected, as policy says") {
  Served place(topology(four_cells()));
  CHECK(said(place.route("k")) == "OK PLACED");
  CHECK(place.route("k").epoch == 0);
  Served assign(assigning(four_cells()));
  const Decision proposed = assign.route("k");
  CHECK(said(proposed) == "UNASSIGNED AWAITS_ASSIGNMENT");
  CHECK(assign.cell_of(proposed) == place.cell_of(place.route("k")));
  CHECK(proposed.ticket.empty());
  Topology rejecting = topology(four_cells());
  rejecting.policy.unassigned = Unassigned::kReject;
  Served reject(rejecting);
  CHECK(said(reject.route("k")) == "UNASSIGNED UNASSIGNED_REJECTED");
  CHECK(reject.route("k").cell == kNoCellNumber);
}

TEST_CASE("rule 3: a tombstone makes the key ABSENT again") {
  MappingRecord gone = record("k", "p-us-1", 2);
  gone.deleted = true;
  Served served(topology(four_cells()), {record("k", "p-us-1", 1), gone});
  CHECK(said(served.route("k")) == "OK PLACED");
}

TEST_CASE("rule 3: STATEFUL with PLACE refuses DRAINING cells and load-based selection") {
  Topology draining = topology(four_cells());
  draining.cells[1].state = CellState::kDraining;
  CHECK(compile(draining).error().text().find("cells[1].state") != std::string::npos);
  Topology by_load = topology(four_cells());
  by_load.policy.selection = Selection::kLeastLoad;
  CHECK(compile(by_load).error().text().find("policy.selection") != std::string::npos);
  by_load.policy.unassigned = Unassigned::kAssign;
  CHECK(compile(by_load).ok());
}

// ---- 4. Constraints

TEST_CASE("rule 4: own tier and region first") {
  Served served(topology(four_cells()));
  CHECK(served.cell_of(served.route("k", {.region = "eu"})) == "r-eu-1");
  CHECK(served.cell_of(served.route("k", {.tier = "private"})) == "p-us-1");
}

TEST_CASE("rule 4: no set of cells is NO_ELIGIBLE_CELL, nothing falls open") {
  Served served(topology(four_cells()));
  CHECK(said(served.route("k", {.tier = "private", .region = "eu"})) ==
        "NO_ELIGIBLE_CELL NO_CELL_PASSES");
  CHECK(said(served.route("k", {.flags = {"PII_RESTRICTED"}})) ==
        "NO_ELIGIBLE_CELL NO_CELL_PASSES");
  CHECK(said(served.route("k", {.flags = {"EU_RESIDENT"}})) == "NO_ELIGIBLE_CELL NO_CELL_PASSES");
}

TEST_CASE("rule 4: flags filter before choice: the compliant cell is found whenever one exists") {
  std::vector<Cell> cells;
  for (int i = 0; i < 40; ++i) cells.push_back(cell("c" + std::to_string(i), "retail", "us"));
  cells[23].certifications = {"FedRAMP"};
  Served served(topology(cells));
  for (int i = 0; i < 500; ++i) {
    const Decision decision =
        served.route("key" + std::to_string(i), {.flags = {"PII_RESTRICTED"}});
    REQUIRE(said(decision) == "OK PLACED");
    REQUIRE(served.cell_of(decision) == "c23");
  }
}

TEST_CASE("rule 4: flags demand certifications, regions and encryption together") {
  auto cells = four_cells();
  cells.push_back(cell("r-eu-2", "retail", "eu", "maximum", {"SOC2", "FedRAMP"}));
  Served served(topology(cells));
  const std::vector<std::string_view> all = {"PII_RESTRICTED", "EU_RESIDENT", "HIGH_RISK"};
  CHECK(served.cell_of(served.route("k", {.region = "eu", .flags = all})) == "r-eu-2");
  CHECK(said(served.route("k", {.region = "us", .flags = all})) ==
        "NO_ELIGIBLE_CELL NO_CELL_PASSES");
}

TEST_CASE("rule 4: region fallback, then tier fallback, the first set that is not empty wins") {
  Topology made = topology(
      {cell("r-eu", "retail", "eu"), cell("p-us", "private", "us"), cell("p-eu", "private", "eu")});
  made.policy.tier_fallback = {{"retail", {"private"}}};
  Served tiers_only(made);
  CHECK(tiers_only.cell_of(tiers_only.route("k", {.region = "us"})) == "p-us");
  made.policy.region_fallback = {{"us", {"eu"}}};
  Served both(made);
  CHECK(both.cell_of(both.route("k", {.region = "us"})) == "p-us");  // own region before own tier
  made.cells.erase(made.cells.begin() + 1);
  Served far(made);
  CHECK(far.cell_of(far.route("k", {.region = "us"})) == "r-eu");
}

TEST_CASE("rule 4: a region fallback that a flag forbids is not taken") {
  Topology made = topology({cell("r-us", "retail", "us")});
  made.policy.region_fallback = {{"eu", {"us"}}};
  Served served(made);
  CHECK(served.cell_of(served.route("k", {.region = "eu"})) == "r-us");
  CHECK(said(served.route("k", {.region = "eu", .flags = {"EU_RESIDENT"}})) ==
        "NO_ELIGIBLE_CELL NO_CELL_PASSES");
}

TEST_CASE("rule 4: PREFER narrows within the first set, strictly above the threshold") {
  Topology made = topology({cell("weak", "retail", "us"), cell("strong", "retail", "us", "maximum"),
                            cell("far", "private", "us", "maximum")});
  made.policy.tier_fallback = {{"retail", {"private"}}};
  Served served(made);
  std::set<std::string> at, above;
  for (int i = 0; i < 100; ++i) {
    const std::string key = "k" + std::to_string(i);
    at.insert(served.cell_of(served.route(key, {.risk = 0.8})));
    above.insert(served.cell_of(served.route(key, {.risk = 0.800001})));
  }
  CHECK(at == std::set<std::string>{"weak", "strong"});
  CHECK(above == std::set<std::string>{"strong"});
  made.cells.erase(made.cells.begin() + 1);
  Served without(made);  // nothing to narrow to within the set: the set itself serves
  CHECK(without.cell_of(without.route("k", {.risk = 0.9})) == "weak");
}

TEST_CASE("rule 4: REQUIRE filters, so that a fallback tier may serve") {
  Topology made = topology({cell("weak", "retail", "us"), cell("far", "private", "us", "maximum")});
  made.policy.risk.mode = RiskMode::kRequire;
  Served alone(made);
  CHECK(said(alone.route("k", {.risk = 0.9})) == "NO_ELIGIBLE_CELL NO_CELL_PASSES");
  made.policy.tier_fallback = {{"retail", {"private"}}};
  Served served(made);
  CHECK(served.cell_of(served.route("k", {.risk = 0.9})) == "far");
  CHECK(served.cell_of(served.route("k", {.risk = 0.7})) == "weak");
}

TEST_CASE("rule 4: a risk that adds up to the threshold in floating point is not above it") {
  Topology made = topology({cell("weak", "retail", "us"), cell("far", "private", "us", "maximum")});
  made.policy.risk = {300'000'000, "maximum", RiskMode::kRequire};
  Served served(made);
  CHECK(0.1 + 0.2 > 0.3);
  CHECK(said(served.route("k", {.risk = 0.1 + 0.2})) == "OK PLACED");
}

TEST_CASE("rule 4: only ACTIVE cells take new keys") {
  auto cells = four_cells();
  cells[0].state = CellState::kDraining;
  cells[2].state = CellState::kOffline;
  Served served(assigning(cells));
  for (int i = 0; i < 50; ++i) {
    CHECK(served.cell_of(served.route("k" + std::to_string(i))) == "r-us-2");
  }
  CHECK(said(served.route("k", {.region = "eu"})) == "NO_ELIGIBLE_CELL NO_CELL_PASSES");
}

}  // namespace
