// verify(): a proof has to fail where what it proves is wrong.
#include "control/verify.hpp"

#include <catch2/catch.hpp>
#include <string>

#include "command_runner.hpp"
#include "topology/load.hpp"

using namespace cellroute;

namespace {

std::shared_ptr<const CompiledTopology> compiled(const std::string& yaml) {
  Result<Topology> topology = load_topology(yaml, TopologyFormat::kYaml, "test.yaml");
  INFO((topology.ok() ? "" : topology.error().text()));
  REQUIRE(topology.ok());
  auto result = compile(std::move(*topology));
  REQUIRE(result.ok());
  return *result;
}

// The pools that compile() made, but with `cell` in place of the first of every pool, or added
// where there is none.
PoolMembers with(const CompiledTopology& topology, std::string_view cell,
                 std::vector<CellIndex>& memory) {
  return [&topology, cell, &memory](std::size_t tier, std::size_t region, std::size_t requirement) {
    const PoolIndex pool = topology.pool_of(tier, region, requirement);
    memory.clear();
    if (pool != kNoPool) memory = topology.pool(pool).members;
    memory.push_back(topology.find_cell(cell));
    return std::span<const CellIndex>(memory);
  };
}

std::string joined(const Findings& findings) {
  std::string text;
  for (const std::string& finding : findings.texts) text += finding + "\n";
  return text;
}

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("verify: what compile() makes is proven") {
  const auto topology = compiled(test::small_topology());
  const Verification result = verify(*topology);
  CHECK(result.violations.count == 0);
  CHECK(result.classes == 2 * 2 * 4);  // no flags, PII, EU, both
  CHECK(result.flag_sets == 4);
  CHECK(result.checked_members > 0);
}

TEST_CASE("verify: a pool that breaks a rule is caught, with the rule") {
  const auto topology = compiled(test::small_topology("unassigned: ASSIGN", "state: DRAINING"));
  std::vector<CellIndex> memory;
  const auto found = [&](std::string_view cell) {
    return joined(verify(*topology, with(*topology, cell, memory)).violations);
  };
  CHECK(holds(found("us-2"), "us-2, but it lacks FedRAMP"));
  CHECK(holds(found("us-1"), "us-1, but it is not ACTIVE"));
  CHECK(holds(found("us-2"), "us-2, but its region us is not allowed"));
  CHECK(holds(found("vault"), "vault, but us-2 comes before it"));
  CHECK(holds(found("us-2"), "us-2, but vault comes before it"));
  CHECK(holds(found("eu-1"), "retail in us, no flags: reaches eu-1"));
}

TEST_CASE("verify: a pool without a cell that may serve is caught") {
  const auto topology = compiled(test::small_topology());
  const Verification result = verify(*topology, [](std::size_t, std::size_t, std::size_t) {
    return std::span<const CellIndex>();
  });
  CHECK(holds(joined(result.violations), "retail in us, no flags: cannot reach us-1"));
  CHECK(result.violations.count == 9);
}

TEST_CASE("verify: risk is a rule where it is required") {
  const std::string rule = "risk: {threshold: 0.5, encryption: maximum, mode: ";
  const auto required = compiled(test::small_topology(rule + "REQUIRE}"));
  std::vector<CellIndex> memory;
  const Verification result = verify(*required, with(*required, "us-2", memory));
  CHECK(holds(joined(result.violations), "risk above 0.5: reaches us-2, but its encryption"));
  CHECK(verify(*required).violations.count == 0);
  CHECK(verify(*compiled(test::small_topology(rule + "PREFER}"))).violations.count == 0);
}

TEST_CASE("verify: classes without a cell, by their smallest sets of flags") {
  const Verification result = verify(*compiled(test::small_topology()));
  // hnw in eu has no cell at all; the others lack one for some flags.
  CHECK(result.unserved == 4 + 2 + 2 + 2);
  REQUIRE(result.unserved_groups.size() == 4);
  const UnservedGroup& retail_us = result.unserved_groups[0];
  CHECK(retail_us.tier == "retail");
  CHECK(retail_us.region == "us");
  CHECK(retail_us.least == std::vector<std::string>{"EU"});
  CHECK(result.unserved_groups[3].least == std::vector<std::string>{"no flags"});
}

TEST_CASE("verify: what one lost cell or region leaves") {
  const Verification result = verify(*compiled(test::small_topology()));
  std::map<std::string, std::uint64_t> lost;
  for (const Loss& loss : result.cell_losses) lost[loss.lost] = loss.classes;
  // vault serves hnw in us without flags and with PII, and retail in us with PII.
  CHECK(lost == std::map<std::string, std::uint64_t>{{"eu-1", 2}, {"vault", 3}});
  REQUIRE(result.region_losses.size() == 2);
  CHECK(result.region_losses[0].lost == "us");
  CHECK(result.region_losses[0].classes == 4);
}

TEST_CASE("verify: head-room, balance and warnings") {
  const Verification result = verify(
      *compiled(test::small_topology("risk: {threshold: 0.5, encryption: maximum, mode: PREFER}",
                                     "capacity: 100, load: 150, health: UNHEALTHY")));
  CHECK(result.head_room[0].load == 150);
  CHECK(result.head_room[0].unknown == 3);
  const std::string warnings = joined(result.warnings);
  CHECK(holds(warnings, "us-1 is UNHEALTHY"));
  CHECK(holds(warnings, "us-1 is over its capacity: load 150 of 100"));
  CHECK(holds(warnings, "affinity STATEFUL with unassigned PLACE and a risk rule"));
  CHECK(holds(warnings, "policy.slots is 1,024, but the largest pool has 4 cells"));
  REQUIRE_FALSE(result.balance.empty());
  const PoolBalance& worst = result.balance[0];
  CHECK(worst.cells == 4);
  CHECK(worst.points == 1024);  // every slot
  CHECK(worst.peak_to_mean > 1);
  CHECK(worst.peak_to_mean < 1.3);
}
