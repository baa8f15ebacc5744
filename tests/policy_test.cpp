// compile(): classes and pools against a slow, obvious derivation from the rules by name.
#include "cellroute/policy.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>
#include <set>

#include "routing_fixture.hpp"

namespace {

using namespace routing;

bool has(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::size_t level(const Topology& topology, const std::string& name) {
  const auto& levels = topology.encryption_levels;
  return name.empty() ? 0
                      : static_cast<std::size_t>(std::find(levels.begin(), levels.end(), name) -
                                                 levels.begin());
}

// Design §4, step 4, word by word, by names.
std::set<std::string> eligible(const Topology& topology, const std::string& tier,
                               const std::string& region, const std::set<std::string>& flags,
                               bool above) {
  const auto order = [](const std::string& own, const std::vector<Fallback>& fallbacks) {
    std::vector<std::string> names{own};
    for (const Fallback& fallback : fallbacks) {
      if (fallback.from == own) names.insert(names.end(), fallback.to.begin(), fallback.to.end());
    }
    return names;
  };
  const RiskRule& risk = topology.policy.risk;
  const auto passes = [&](const Cell& cell) {
    if (cell.state != CellState::kActive) return false;
    for (const FlagRule& rule : topology.policy.flags) {
      if (flags.count(rule.name) == 0) continue;
      for (const std::string& name : rule.certifications) {
        if (!has(cell.certifications, name)) return false;
      }
      if (!rule.regions.empty() && !has(rule.regions, cell.region)) return false;
      if (level(topology, cell.encryption) < level(topology, rule.encryption)) return false;
    }
    return !(above && risk.mode == RiskMode::kRequire &&
             level(topology, cell.encryption) < level(topology, risk.encryption));
  };
  for (const std::string& in_region : order(region, topology.policy.region_fallback)) {
    for (const std::string& of_tier : order(tier, topology.policy.tier_fallback)) {
      std::set<std::string> all, strong;
      for (const Cell& cell : topology.cells) {
        if (cell.region != in_region || cell.tier != of_tier || !passes(cell)) continue;
        all.insert(cell.id);
        if (level(topology, cell.encryption) >= level(topology, risk.encryption)) {
          strong.insert(cell.id);
        }
      }
      if (all.empty()) continue;
      return above && risk.mode == RiskMode::kPrefer && !strong.empty() ? strong : all;
    }
  }
  return {};
}

Topology random_topology(std::mt19937_64& random) {
  const auto below = [&](std::uint64_t n) { return random() % n; };
  Topology made = topology({});
  made.tiers = {{"t0", {}, {}}, {"t1", {}, {}}, {"t2", {}, {}}};
  made.regions = {"r0", "r1", "r2"};
  const auto some = [&](const std::vector<std::string>& names) {
    std::vector<std::string> chosen;
    for (const std::string& name : names) {
      if (below(3) == 0) chosen.push_back(name);
    }
    return chosen;
  };
  const std::uint64_t cells = 1 + below(30);
  for (std::uint64_t i = 0; i < cells; ++i) {
    Cell one = cell("c" + std::to_string(random()), "t" + std::to_string(below(3)),
                    "r" + std::to_string(below(3)), made.encryption_levels[below(3)],
                    some(made.certifications));
    if (below(10) == 0) one.state = CellState::kOffline;
    made.cells.push_back(one);
  }
  made.policy.flags.clear();
  for (const char* name : {"F0", "F1", "F2", "F3"}) {
    made.policy.flags.push_back({name, some(made.certifications), some(made.regions),
                                 below(2) ? made.encryption_levels[below(3)] : ""});
  }
  made.policy.risk.mode = below(2) ? RiskMode::kPrefer : RiskMode::kRequire;
  for (int i = 0; i < 3; ++i) {
    if (below(2)) {
      made.policy.tier_fallback.push_back(
          {"t" + std::to_string(i), {"t" + std::to_string((i + 1) % 3)}});
    }
    if (below(2)) {
      made.policy.region_fallback.push_back(
          {"r" + std::to_string(i), {"r" + std::to_string((i + 2) % 3)}});
    }
  }
  return made;
}

TEST_CASE(
    "classes: every class of random topologies has exactly the cells that the rules give it") {
  std::mt19937_64 random(2024);
  for (int round = 0; round < 60; ++round) {
    const Topology topology = random_topology(random);
    const auto compiled = compile(topology);
    INFO((compiled.ok() ? "" : compiled.error().text()));
    REQUIRE(compiled.ok());
    const CompiledTopology& made = **compiled;
    for (std::uint32_t tier = 0; tier < 3; ++tier) {
      for (std::uint32_t region = 0; region < 3; ++region) {
        for (std::uint32_t flags = 0; flags < 16; ++flags) {
          for (const bool above : {false, true}) {
            std::set<std::string> names;
            for (std::uint32_t bit = 0; bit < 4; ++bit) {
              if (flags >> bit & 1) names.insert(topology.policy.flags[bit].name);
            }
            std::set<std::string> got;
            const PoolIndex pool =
                made.pool_of(tier, region, made.requirements().find(flags, above));
            if (pool != kNoPool) {
              for (const CellIndex i : made.pool(pool).members) got.insert(made.cell(i).id);
            }
            REQUIRE(got == eligible(topology, "t" + std::to_string(tier),
                                    "r" + std::to_string(region), names, above));
          }
        }
      }
    }
  }
}

TEST_CASE("pools: classes with equal members share one, whatever order cells come in") {
  std::vector<Cell> cells;
  for (int i = 0; i < 20; ++i) cells.push_back(cell("c" + std::to_string(i), "retail", "us"));
  Topology forward = topology(cells);
  forward.policy.region_fallback = {{"eu", {"us"}}};
  std::reverse(cells.begin(), cells.end());
  Topology backward = forward;
  backward.cells = cells;
  const auto a = compile(forward);
  const auto b = compile(backward);
  REQUIRE(a.ok());
  CHECK((*a)->pools().size() == 1);
  for (std::uint64_t i = 0; i < 4096; ++i) {
    const Point point{mix(i), 0};
    const CellIndex x = (*a)->pool(0).picker.pick(point);
    const CellIndex y = (*b)->pool(0).picker.pick(point);
    REQUIRE((*a)->cell(x).id == (*b)->cell(y).id);
  }
}

TEST_CASE("pools: tables are the same however many threads build them") {
  Topology made = topology({});
  for (int i = 0; i < 60; ++i) {
    made.cells.push_back(cell("c" + std::to_string(i), i % 2 ? "retail" : "private",
                              i % 3 ? "us" : "eu", i % 5 ? "standard" : "maximum"));
  }
  const auto alone = compile(made, {1});
  const auto together = compile(made, {4});
  REQUIRE(together.ok());
  REQUIRE((*alone)->pools().size() == (*together)->pools().size());
  for (std::size_t pool = 0; pool < (*alone)->pools().size(); ++pool) {
    for (std::uint64_t i = 0; i < 1024; ++i) {
      const Point point{mix(i), 0};
      REQUIRE((*alone)->pools()[pool].picker.pick(point) ==
              (*together)->pools()[pool].picker.pick(point));
    }
  }
}

TEST_CASE("bounds: too many classes and too large tables are refused with the figure") {
  Topology many = topology({cell("a", "retail", "us")});
  for (int i = 0; i < 200; ++i) many.tiers.push_back({"tier" + std::to_string(i), {}, {}});
  for (int i = 0; i < 200; ++i) many.regions.push_back("region" + std::to_string(i));
  const auto classes = compile(many);
  REQUIRE_FALSE(classes.ok());
  CHECK(classes.error().code() == ErrorCode::kRefused);
  CHECK(classes.error().text().find("classes (202 tiers × 202 regions × ") != std::string::npos);

  Topology large = topology({cell("a", "retail", "us"), cell("b", "private", "eu")});
  large.policy.slots = 65'536;
  large.policy.max_table_bytes = 200'000;  // one table of 131,072 bytes fits, two do not
  const auto tables = compile(large);
  REQUIRE_FALSE(tables.ok());
  CHECK(tables.error().code() == ErrorCode::kRefused);
  CHECK(tables.error().text().find("max_table_bytes") != std::string::npos);
}

TEST_CASE("compile: what breaks a rule is refused with the field") {
  Topology made = topology({cell("a", "retail", "us"), cell("a", "retail", "mars")});
  const auto compiled = compile(made);
  REQUIRE_FALSE(compiled.ok());
  CHECK(compiled.error().code() == ErrorCode::kInvalidArgument);
  CHECK(compiled.error().text().find("cells[1]") != std::string::npos);
}

TEST_CASE("requirements: sets of flags that demand the same share one") {
  Topology made = topology({cell("a", "retail", "us")});
  made.policy.flags = {{"A", {}, {"eu"}, ""}, {"B", {}, {"eu"}, ""}, {"C", {}, {}, ""}};
  const Requirements requirements(made);
  CHECK(requirements.size() == 4);  // nothing or eu, calm or risky
  CHECK(requirements.find(1, false) == requirements.find(2, false));
  CHECK(requirements.find(4, false) == requirements.find(0, false));
  CHECK(requirements.find(7, true) == requirements.find(1, true));
  CHECK(requirements.find(0, true) != requirements.find(0, false));
}

}  // namespace
