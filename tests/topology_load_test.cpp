// Topologies from YAML, JSON, textproto and binary: equal where they say the same, and refused
// with the place and the reason where they do not hold.
#include "topology/load.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "cellroute/check/problems.hpp"

namespace cellroute {
namespace {

constexpr auto kYaml = TopologyFormat::kYaml;
constexpr auto kJson = TopologyFormat::kJson;
constexpr auto kTextproto = TopologyFormat::kTextproto;
constexpr auto kBinary = TopologyFormat::kBinary;

const std::string kSource = CELLROUTE_SOURCE_DIR;

Topology loaded(const std::string& bytes, TopologyFormat format = kYaml) {
  const Result<Topology> topology = load_topology(bytes, format, "t");
  if (!topology) FAIL(topology.error().text());
  return *topology;
}

Topology loaded_file(const std::string& path) {
  const Result<Topology> topology = load_topology_file(path);
  if (!topology) FAIL(topology.error().text());
  return *topology;
}

std::string refusal(const std::string& bytes, TopologyFormat format = kYaml) {
  const Result<Topology> topology = load_topology(bytes, format, "t");
  if (topology) return "loaded";
  CHECK(topology.error().code() == ErrorCode::kInvalidArgument);
  return topology.error().text();
}

// The least topology, with more fields for its policy or its cell.
std::string with_policy(const std::string& fields) {
  return "generation: 1\ncells: [{id: a}]\npolicy:\n  " + fields + "\n";
}
std::string with_cell(const std::string& fields) {
  return "generation: 1\ncells:\n- id: a\n  " + fields + "\n";
}

std::string written(const Topology& topology, TopologyFormat format) {
  const Result<std::string> bytes = write_topology(topology, format);
  if (!bytes) FAIL(bytes.error().text());
  return *bytes;
}

TEST_CASE("the financial platform is the same in every format", "[topology_load]") {
  const Topology topology = loaded_file(kSource + "/examples/financial/topology.yaml");
  CHECK(loaded_file(kSource + "/tests/data/financial_topology.json") == topology);
  CHECK(loaded_file(kSource + "/tests/data/financial_topology.textproto") == topology);

  CHECK(topology.generation == 1);
  CHECK(topology.hash_seed == 6840743513105534701u);
  REQUIRE(topology.tiers.size() == 3);
  CHECK(topology.tiers[2].name == "hnw");
  CHECK(topology.tiers[2].aliases == std::vector<std::string>{"high_net_worth"});
  CHECK(topology.regions.size() == 3);
  REQUIRE(topology.cells.size() == 9);
  const Cell& cell = topology.cells[0];
  CHECK(cell.id == "retail-us-east-1");
  CHECK(cell.capacity == 10'000);
  CHECK(topology.cells[3].capacity == 5'000);
  CHECK(topology.cells[6].capacity == 1'000);
  CHECK(cell.replicas == std::vector<std::string>{"corporate-us-east-1"});
  CHECK(cell.labels[0] == std::pair<std::string, std::string>("ledger_table", "ledger-{cell}"));
  const Policy& policy = topology.policy;
  CHECK(policy.risk == RiskRule{800'000'000, "maximum", RiskMode::kPrefer});
  CHECK(policy.flags.size() == 3);
  CHECK(policy.breaker.failure_rate == 500);
  CHECK(policy.breaker.slow_call == 2 * kSecond);
  CHECK(policy.limits[1].plan == "starter");
  CHECK(policy.limits[1].period == 3600 * kSecond);
  CHECK(policy.in_flight.per_cell == 1'000);
}

TEST_CASE("every field is read and written", "[topology_load]") {
  const Topology topology =
      loaded_file(kSource + "/tests/fuzz/corpus/topology_yaml/all_fields.yaml");
  for (const TopologyFormat format : {kYaml, kJson, kTextproto, kBinary}) {
    CHECK(loaded(written(topology, format), format) == topology);
    CHECK(written(topology, format) == written(loaded(written(topology, format), format), format));
  }
  CHECK(topology.generation == 7);
  CHECK(topology.hash_seed == UINT64_MAX);
  CHECK(topology.tiers[1].breaker.open == kSecond);
  const Cell& cell = topology.cells[0];
  CHECK(cell.endpoints[0] == std::pair<std::string, std::string>("orders", "[::1]:80"));
  CHECK(cell.load == 3);
  CHECK(cell.weight == 1);
  CHECK(cell.state == CellState::kOffline);
  CHECK(cell.health == Health::kUnhealthy);
  CHECK(cell.breaker.slow_call == kSecond / 2);
  CHECK(cell.breaker.open == 1);
  const Policy& policy = topology.policy;
  CHECK(policy.affinity == Affinity::kStateless);
  CHECK(policy.unassigned == Unassigned::kAssign);
  CHECK(policy.strategy == StrategyKind::kJump);
  CHECK(policy.order == std::vector<std::string>{"b", "a"});
  CHECK(policy.selection == Selection::kTwoChoices);
  CHECK(policy.shuffle_shard == 2);
  CHECK(policy.bounded_load == 1250);
  CHECK(policy.risk.threshold == 123'456'789);
  CHECK(policy.risk.mode == RiskMode::kRequire);
  CHECK(policy.breaker == BreakerPolicy{2,
                                        1,
                                        3 * kSecond,
                                        1000,
                                        4,
                                        5 * kSecond,
                                        6 * kSecond,
                                        7 * kSecond,
                                        8,
                                        9 * kSecond,
                                        10,
                                        {500, 503}});
  CHECK(policy.limits[0].on_exceed == OnExceed::kCount);
  CHECK(policy.limits[0].overrides == std::vector<LimitOverride>{{"k", 0, 0, true}});
  CHECK(policy.limits[1].kind == LimitKind::kWindow);
  CHECK(policy.limits[2].per == LimitPer::kKeyAndResource);
  CHECK(policy.limits[3].scope == LimitScope::kFleet);
  CHECK(policy.limits[3].kind == LimitKind::kMonthly);
  CHECK(policy.limits[3].name == "calls");
  CHECK(policy.assignments.requests == 9);
  CHECK(policy.max_table_bytes == 1'000'000);
  CHECK(policy.limiter_entries == 2048);
  REQUIRE(topology.tenant);
  CHECK(topology.tenant->on_disagreement == OnDisagreement::kFirst);
  CHECK(topology.tenant->sources[2].letters == TenantCase::kLower);
  CHECK(topology.tenant->trusted_headers == std::vector<std::string>{"X-Tenant-ID"});
}

TEST_CASE("what is left out has the struct's defaults", "[topology_load]") {
  Topology expected;
  expected.generation = 1;
  expected.cells.resize(1);
  expected.cells[0].id = "a";
  CHECK(loaded("generation: 1\ncells: [{id: a}]") == expected);
  CHECK(loaded("generation: 1\ncells: [{id: a, breaker: {}}]\npolicy: {breaker: {}, risk: {}}") ==
        expected);
  CHECK(loaded(R"({"generation":1,"cells":[{"id":"a"}]})", kJson) == expected);
  CHECK(loaded("generation:1 cells{id:'a'}", kTextproto) == expected);
}

TEST_CASE("the file's ending tells the format", "[topology_load]") {
  CHECK(topology_format_of("a/b.yaml") == kYaml);
  CHECK(topology_format_of("b.yml") == kYaml);
  CHECK(topology_format_of("b.json") == kJson);
  for (const char* path : {"b.textproto", "b.txtpb", "b.pbtxt"}) {
    CHECK(topology_format_of(path) == kTextproto);
  }
  CHECK(topology_format_of("b.pb") == kBinary);
  CHECK(topology_format_of("b.binpb") == kBinary);
  CHECK(!topology_format_of("yaml"));
  CHECK(!topology_format_of("b.JSON"));
}

TEST_CASE("files that cannot be read say why", "[topology_load]") {
  const auto error = [](const std::string& path) { return load_topology_file(path).error(); };
  CHECK(error("no/such.yaml").code() == ErrorCode::kNotFound);
  CHECK(error("no/such.yaml").text().find("no/such.yaml: cannot open: ") == 0);
  CHECK(error("no/such").code() == ErrorCode::kInvalidArgument);
  CHECK(error("no/such").text().find(".textproto") != std::string::npos);
  CHECK(load_topology_file(kSource, kYaml).error().code() == ErrorCode::kUnavailable);
  CHECK(load_topology_file("/dev/zero", kJson).error().text().find("67,108,864 bytes") !=
        std::string::npos);
  const std::string path = kSource + "/examples/financial/topology.yaml";
  CHECK(load_topology_file(path, kJson).error().text().find(path + ":1:1: not JSON: ") == 0);
}

TEST_CASE("field names are in either spelling, and given once", "[topology_load]") {
  CHECK(loaded("generation: 1\nhashSeed: 5\ncells: [{id: a}]").hash_seed == 5);
  CHECK(refusal("generation: 1\nhashSeed: 5\nhash_seed: 5\ncells: [{id: a}]") ==
        "t:3:1: hash_seed: is given twice");
  CHECK(refusal("generation: 1\ncells: [{id: a}]\ngeneration: 1") ==
        "t:3:1: \"generation\" is given twice");
  CHECK(refusal("{\"generation\": 1,\n \"cells\": [{\"id\":\"a\", \"id\": \"a\"}]}", kJson) ==
        "t:2:23: \"id\" is given twice");
  CHECK(refusal("generation: 1 cells { id: 'a'\n id: 'b' }", kTextproto).find("t:2:") == 0);
  CHECK(refusal("generation: 1 cells { id: 'a' labels {key:'x'}\n labels {key:'x'}}", kTextproto) ==
        "t:1:31: cells[0].labels[\"x\"]: is given twice");
}

TEST_CASE("unknown fields are refused with the nearest name", "[topology_load]") {
  CHECK(refusal(with_cell("wieght: 1")) ==
        "t:4:3: cells[0]: unknown field \"wieght\"; did you mean \"weight\"?");
  CHECK(refusal(with_cell("zzz: 1")) == "t:4:3: cells[0]: unknown field \"zzz\"");
  CHECK(refusal(R"({"generation":1,"cells":[{"id":"a","Tier":"x"}]})", kJson) ==
        "t:1:36: cells[0]: unknown field \"Tier\"; did you mean \"tier\"?");
  const std::string text = refusal("generation: 1\ncells {id: 'a'\n wieght: 1}", kTextproto);
  CHECK(text.find("t:3:") == 0);
  CHECK(text.find("no field named \"wieght\".; did you mean \"weight\"?") != std::string::npos);
}

TEST_CASE("whole numbers are exact to 64 bits", "[topology_load]") {
  const auto seed = [](const std::string& text, TopologyFormat format) {
    const bool json = format == kJson;
    return json ? "{\"generation\":1,\"cells\":[{\"id\":\"a\"}],\"hash_seed\":" + text + "}"
                : "generation: 1\ncells: [{id: a}]\nhash_seed: " + text;
  };
  for (const TopologyFormat format : {kYaml, kJson}) {
    CHECK(loaded(seed("18446744073709551615", format), format).hash_seed == UINT64_MAX);
    CHECK(loaded(seed("\"18446744073709551615\"", format), format).hash_seed == UINT64_MAX);
    CHECK(loaded(seed("9007199254740993", format), format).hash_seed == 9007199254740993u);
    for (const char* bad : {"18446744073709551616", "-1", "1.0", "1e3", "true", "[]", "{}", "\"\"",
                            "\"1 \"", "\"+1\"", "\"0x1\"", "99999999999999999999999999"}) {
      CAPTURE(bad);
      CHECK(refusal(seed(bad, format), format)
                .find("hash_seed: expected a whole number from 0 to "
                      "18,446,744,073,709,551,615, got ") != std::string::npos);
    }
  }
  CHECK(loaded(seed("0x5EedF00d", kYaml)).hash_seed == 0x5eedf00d);
  for (const char* bad :
       {"0x", "0x10000000000000000", "007", "0o7", "0b1", "1_000", "+1", "0x-1"}) {
    CHECK(refusal(seed(bad, kYaml)).find("expected a whole number") != std::string::npos);
  }
  for (const char* bad : {"0x10", "007", "+1", ".5", "NaN"}) {
    CHECK(refusal(seed(bad, kJson), kJson).find("not JSON: ") != std::string::npos);
  }
  CHECK(refusal(with_policy("slots: 4294967296")) ==
        "t:4:10: policy.slots: expected a whole number from 0 to 4,294,967,295, got "
        "\"4294967296\"");
}

TEST_CASE("weights, rates and factors have at most three decimals", "[topology_load]") {
  const auto weight = [](const std::string& text) {
    return loaded(with_cell("weight: " + text)).cells[0].weight;
  };
  CHECK(weight("1") == 1'000);
  CHECK(weight("0.001") == 1);
  CHECK(weight("\"2.5\"") == 2'500);
  CHECK(weight("1.5e1") == 15'000);
  CHECK(weight("999.999") == 999'999);
  for (std::uint32_t parts = 1; parts <= 5'000; ++parts) {
    char text[16];
    std::snprintf(text, sizeof text, "%u.%03u", parts / 1000, parts % 1000);
    CHECK(weight(text) == parts);
  }
  CHECK(refusal(with_cell("weight: 1.0001")) == "t:4:3: cells[0].weight: has more than 3 decimals");
  for (const char* bad :
       {".nan", ".inf", "NaN", "1e999", "1.", ".5", "0x1p3", "1,5", "yes", "1 2"}) {
    CAPTURE(bad);
    CHECK(refusal(with_cell(std::string("weight: ") + bad))
              .find("t:4:11: cells[0].weight: expected "
                    "a number, got ") == 0);
  }
  CHECK(refusal(with_cell("weight: -1")) ==
        "t:4:3: cells[0].weight: must be a number from 0 to 4,294,967");
  CHECK(refusal(with_cell("weight: 1e300")).find("must be a number from 0") != std::string::npos);
  CHECK(refusal(with_cell("weight: 0")) == "t:4:3: cells[0].weight: must be from 0.001 to 1,000");
  CHECK(refusal("generation:1 cells{id:'a' weight: inf}", kTextproto).find("must be a number") !=
        std::string::npos);
  CHECK(refusal("generation:1 cells{id:'a' weight: nan}", kTextproto).find("must be a number") !=
        std::string::npos);
  const std::string risk = "encryption_levels: [l]\n";
  CHECK(loaded(risk + with_policy("risk: {threshold: 0.800000001, encryption: l}"))
            .policy.risk.threshold == 800'000'001);
  CHECK(refusal(risk + with_policy("risk: {threshold: 0.8000000001, encryption: l}")) ==
        "t:5:10: policy.risk.threshold: has more than 9 decimals");
  CHECK(refusal(with_policy("bounded_load: 1.00001")) ==
        "t:4:3: policy.bounded_load: has more than 3 decimals");
}

TEST_CASE("times are exact to the nanosecond", "[topology_load]") {
  const auto timeout = [](const std::string& text) {
    return loaded(with_policy("timeout: " + text)).policy.timeout;
  };
  CHECK(timeout("10s") == 10 * kSecond);
  CHECK(timeout("0.5s") == kSecond / 2);
  CHECK(timeout("\"1.000000001s\"") == kSecond + 1);
  CHECK(timeout("31622400s") == 31'622'400 * kSecond);
  for (const char* bad :
       {"10", "10ms", "1m", "s", ".5s", "1.s", "1.0000000001s", "-1s", "1e3s", "10 s",
        "315576000001s", "01s", "{seconds: 1}", "99999999999999999999s"}) {
    CAPTURE(bad);
    CHECK(refusal(with_policy(std::string("timeout: ") + bad))
              .find("t:4:12: policy.timeout: expected seconds such as 10s or 0.5s, got ") == 0);
  }
  CHECK(refusal(with_policy("timeout: 0s")) == "t:4:3: policy.timeout: must be longer than 0s");
  CHECK(refusal(with_policy("timeout: 31622401s")).find("366 days") != std::string::npos);
  CHECK(refusal(with_policy("timeout: 10000000000s")).find("out of range") != std::string::npos);
  const auto proto = [](const std::string& duration) {
    return refusal("generation:1 cells{id:'a'} policy{timeout{" + duration + "}}", kTextproto);
  };
  CHECK(proto("seconds: -1").find("policy.timeout: is negative") != std::string::npos);
  CHECK(proto("nanos: -1").find("is negative") != std::string::npos);
  CHECK(proto("nanos: 1000000000").find("out of range") != std::string::npos);
  CHECK(proto("seconds: 9223372036854775807").find("out of range") != std::string::npos);
}

TEST_CASE("enum values go by name, and by number as in JSON", "[topology_load]") {
  CHECK(loaded(with_policy("affinity: STATELESS")).policy.affinity == Affinity::kStateless);
  CHECK(loaded(with_policy("affinity: 1")).policy.affinity == Affinity::kStateless);
  for (const char* bad : {"stateless", "2", "-1", "[]", "\"1\"", "4294967296"}) {
    CAPTURE(bad);
    CHECK(refusal(with_policy(std::string("affinity: ") + bad))
              .find("t:4:13: policy.affinity: expected STATEFUL or STATELESS, got ") == 0);
  }
  CHECK(refusal("generation:1 cells{id:'a'} policy{\naffinity: 2}", kTextproto).find("t:2:") == 0);
  CHECK(refusal("generation:1 cells{id:'a'} policy{limits{requests: 1 kind: HUGE}}", kTextproto)
            .find("HUGE") != std::string::npos);
}

TEST_CASE("strategies go by name", "[topology_load]") {
  CHECK(loaded(with_policy("strategy: ketama-nginx")).policy.strategy ==
        StrategyKind::kKetamaNginx);
  CHECK(refusal(with_policy("strategy: meglev"))
            .find("t:4:3: policy.strategy: unknown strategy \"meglev\"; did you mean \"maglev\"?; "
                  "choose one of rendezvous-slots, ") == 0);
}

TEST_CASE("text is what is written, and nothing is no value", "[topology_load]") {
  const auto label = [](const std::string& text) {
    return loaded(with_cell("labels: {x: " + text + "}")).cells[0].labels[0].second;
  };
  CHECK(label("no") == "no");
  CHECK(label("2024") == "2024");
  CHECK(label("1.10") == "1.10");
  CHECK(label("'null'") == "null");
  CHECK(label("\"a: b\"") == "a: b");
  for (const char* nothing : {"", "~", "null", "Null"}) {
    CHECK(refusal(with_cell(std::string("tier: ") + nothing)) ==
          "t:4:3: cells[0].tier: has no value: write one, or leave the field out");
  }
  CHECK(refusal(R"({"generation":1,"cells":[{"id":null}]})", kJson) ==
        "t:1:27: cells[0].id: has no value: write one, or leave the field out");
  CHECK(refusal(R"({"generation":1,"cells":[{"id":5}]})", kJson) ==
        "t:1:32: cells[0].id: expected text, got the number 5");
  CHECK(refusal(R"({"generation":1,"cells":[{"id":true}]})", kJson) ==
        "t:1:32: cells[0].id: expected text, got true");
  CHECK(refusal(with_cell("tier: [x]")) == "t:4:9: cells[0].tier: expected text, got a list");
  CHECK(refusal(with_policy("limits: [{requests: 1}, {kind: MONTHLY, requests: 5, scope: FLEET,\n"
                            "    period: 1s}]"))
            .find(":5:5: policy.limits[1].period: is for BUCKET and WINDOW") != std::string::npos);
  CHECK(refusal(with_policy("limits: [{requests: 1, scope: REGION}]")).find("scope") !=
        std::string::npos);
  CHECK(refusal(with_policy("limits: [{requests: 1, unlimited: yes}]"))
            .find("policy.limits[0].unlimited: expected true or false, got \"yes\"") !=
        std::string::npos);
  CHECK(refusal("generation: 1\ncells: {id: a}") == "t:2:8: cells: expected a list, got a map");
  CHECK(refusal("generation: 1\ncells: [a]") == "t:2:9: cells[0]: expected a map, got \"a\"");
  CHECK(refusal(with_policy("flags: [x]")) == "t:4:10: policy.flags: expected a map, got a list");
  CHECK(refusal("[]") == "t:1:1: expected a map, got a list");
}

TEST_CASE("rules name the line in every format", "[topology_load]") {
  CHECK(refusal("generation: 1\nregions: [eu]\ncells:\n- id: a\n- id: b\n  region: ue\n") ==
        "t:6:3: cells[1].region: unknown region \"ue\"");
  CHECK(refusal("generation: 1\nregions: [eu]\ncells:\n- id: a\n- id: b\n  region: eus\n") ==
        "t:6:3: cells[1].region: unknown region \"eus\"; did you mean \"eu\"?");
  CHECK(refusal("{\"generation\": 1,\n\"cells\": [{\"id\": \"a\"},\n  {\"id\": \"a\"}]}", kJson) ==
        "t:3:4: cells[1].id: cell \"a\" is given twice");
  CHECK(refusal("generation: 1\ncells { id: 'a' }\ncells {\n  id: 'a'\n}", kTextproto) ==
        "t:4:3: cells[1].id: cell \"a\" is given twice");
  CHECK(refusal("generation: 1\ncells { id: 'a'\n labels {key: 'x' value: '{'}\n}", kTextproto) ==
        "t:3:2: cells[0].labels[\"x\"]: has a { without its }");
  CHECK(refusal("generation: 1\nregions: ['a',\n 'a'] cells {id: 'a' region: 'a'}", kTextproto) ==
        "t:2:1: regions[1]: region \"a\" is given twice");
  CHECK(refusal("generation: 1\ncells {id: 'a'}\npolicy {\n flags {\n  key: 'F'\n  value {\n   "
                "regions: 'x'\n}}}",
                kTextproto) == "t:7:4: policy.flags[\"F\"].regions[0]: unknown region \"x\"");
  CHECK(refusal(with_policy("flags:\n    F:\n      regions:\n      - x")) ==
        "t:7:9: policy.flags[\"F\"].regions[0]: unknown region \"x\"");
  CHECK(refusal(with_policy("inFlight: {deadline: 0s}")) ==
        "t:4:14: policy.in_flight.deadline: must be longer than 0s");
  CHECK(refusal("cells: [{id: a}]") ==
        "t:1:1: generation: must be at least 1, and grow with every change");
}

TEST_CASE("what only policy.breaker sets is refused elsewhere", "[topology_load]") {
  CHECK(refusal(with_cell("breaker: {max_ejected_percent: 5}")) ==
        "t:4:13: cells[0].breaker.max_ejected_percent: is for policy.breaker alone: leave it out "
        "here");
  CHECK(refusal("tiers: [{name: a, breaker: {failure_statuses: [500]}}]\ngeneration: 1\n"
                "cells: [{id: a}]")
            .find("t:1:29: tiers[0].breaker.failure_statuses: is for policy.breaker alone") == 0);
  CHECK(refusal(with_policy("breaker: {failure_statuses: [500, 70000]}"))
            .find("t:4:37: policy.breaker.failure_statuses[1]: must be an HTTP status") == 0);
}

TEST_CASE("all problems are listed in the order of the file, up to a bound", "[topology_load]") {
  CHECK(refusal("generation: x\ncells:\n- id: [a]\n  weight: 0.0001\n  nme: b\n") ==
        "t:1:13: generation: expected a whole number from 0 to 18,446,744,073,709,551,615, got "
        "\"x\"\n"
        "t:3:7: cells[0].id: expected text, got a list\n"
        "t:4:3: cells[0].weight: has more than 3 decimals\n"
        "t:5:3: cells[0]: unknown field \"nme\"");
  std::string many = "generation: 1\ncells:\n";
  for (int i = 0; i < 100; ++i) many += "- {id: c" + std::to_string(i) + ", tier: x}\n";
  const std::string text = refusal(many);
  CHECK(std::count(text.begin(), text.end(), '\n') == kMaxProblems);
  CHECK(text.ends_with("\nt: and there are more problems"));
}

TEST_CASE("YAML that hides what it says is refused", "[topology_load]") {
  CHECK(refusal("generation: &g 1\ncells: [{id: a}]").find("anchors (&name) are refused") !=
        std::string::npos);
  CHECK(refusal("generation: 1\ncells: [{id: *a}]").find("t:2:") == 0);
  CHECK(refusal("generation: !!int 1\ncells: [{id: a}]").find("tags (!name) are refused") !=
        std::string::npos);
  CHECK(refusal("generation: 1\ncells: !x [{id: a}]").find("tags (!name) are refused") !=
        std::string::npos);
  CHECK(refusal("generation: 1\ncells: [{id: a, <<: {tier: x}}]") ==
        "t:2:17: merge keys (<<) are refused: write the values out");
  CHECK(refusal("generation: 1\ncells: [{id: a}]\n---\ngeneration: 2\n")
            .find("a second document: a file holds one topology") != std::string::npos);
  CHECK(refusal("generation: 1\ncells: [{id: a}]\n...\n]\n") != "loaded");
  CHECK(refusal("? [a]\n: 1") == "t:1:3: a list or map as a key");
  CHECK(refusal("~: 1").find("a key without a name") != std::string::npos);
  std::string bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n";
  for (char c = 'b'; c <= 'z'; ++c) {
    const std::string last(1, static_cast<char>(c - 1));
    bomb += std::string(1, c) + ": &" + c + " [*" + last + ", *" + last + ", *" + last + "]\n";
  }
  CHECK(refusal(bomb).find("anchors (&name) are refused") != std::string::npos);
}

TEST_CASE("YAML as people write it is read", "[topology_load]") {
  const Topology plain = loaded(with_cell("labels: {x: y}"));
  CHECK(loaded("# comment\n%YAML 1.2\n---\n" + with_cell("labels: {x: y} # why") + "...\n") ==
        plain);
  CHECK(
      loaded("# \xc3\xa9 \xe2\x82\xac \xed\x9f\xbf \xee\x80\x80 \xf0\x9f\x98\x80 \xf1\x80\x80\x80 "
             "\xf3\xbf\xbf\xbf \xf4\x8f\xbf\xbf\n" +
             with_cell("labels: {x: y}")) == plain);
  CHECK(loaded("\xef\xbb\xbf" + with_cell("labels: {x: y}")) == plain);
  CHECK(loaded("generation: 1\r\ncells:\r\n- id: a\r\n  labels:\r\n    x: y\r\n") == plain);
  CHECK(loaded("\"generation\": 1\ncells:\n  - 'id': 'a'\n    labels: {? x : \"y\"}") == plain);
  CHECK(loaded(written(plain, kJson)) == plain);
  CHECK(refusal("generation: 1\r\ncells:\r\n- id: a\r\n  tire: x\r\n").find("t:4:3: ") == 0);
}

TEST_CASE("what is no YAML, JSON or protobuf says so", "[topology_load]") {
  for (const TopologyFormat format : {kYaml, kJson, kTextproto}) {
    CHECK(refusal("", format) != "loaded");
    CHECK(refusal(" \n", format) != "loaded");
    CHECK(refusal(std::string("generation: 1\0", 14), format) ==
          "t:1:14: control character \"\\x00\"");
    CHECK(refusal("# \x04\n", format) == "t:1:3: control character \"\\x04\"");
    CHECK(refusal("# a\n# \xff\n", format) == "t:2:3: not UTF-8: byte \"\\xff\"");
    for (const char* bad : {"\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\x80",
                            "\xf0\x80\x80\x80", "\xe0\x80\x80", "\xf8\x88\x80\x80\x80"}) {
      CHECK(refusal(bad, format).find("not UTF-8") != std::string::npos);
    }
    CHECK(refusal("\xff\xfeg\0", format).find("not UTF-8") != std::string::npos);
  }
  CHECK(refusal("") == "t: empty: there is no topology in it");
  CHECK(refusal("a: [1, 2").find("not YAML: ") != std::string::npos);
  CHECK(refusal("a: b: c").find("t:1:") == 0);
  CHECK(refusal("{\"generation\": 1,}", kJson).find("t:1:18: not JSON: syntax error ") == 0);
  CHECK(refusal("{\"generation\": 1", kJson).find("not JSON: ") != std::string::npos);
  CHECK(refusal("{} {}", kJson).find("not JSON: ") != std::string::npos);
  CHECK(refusal("{\"generation\": 1 // x\n}", kJson).find("not JSON: ") != std::string::npos);
  CHECK(refusal("{\"a\": \"\\ud800\"}", kJson).find("not JSON: ") != std::string::npos);
  CHECK(refusal("generation", kTextproto).find("t:1:") == 0);
  CHECK(refusal("generation: 1 cells { id: 'a'", kTextproto).find("t:1:") == 0);
  CHECK(refusal("\x08", kBinary) == "t: not a serialized cellroute.v1.Topology");
  CHECK(refusal("\x08\x01\x3a\x03\x0a\x01\xff", kBinary).find("not a serialized") !=
        std::string::npos);
}

TEST_CASE("binary from another release is refused where it says more", "[topology_load]") {
  const std::string least(
      "\x08\x01\x3a\x03\x0a\x01"
      "a",
      7);
  CHECK(loaded(least, kBinary).cells[0].id == "a");
  CHECK(refusal(least + std::string("\xa0\x06\x01", 3), kBinary) ==
        "t: has a field with number 100, which this release does not know");
  CHECK(refusal(std::string("\x08\x01\x3a\x06\x0a\x01"
                            "a\xa0\x06\x01",
                            10),
                kBinary) ==
        "t: cells[0]: has a field with number 100, which this release does not know");
  CHECK(refusal(std::string("\x08\x01\x3a\x05\x0a\x01"
                            "a\x48\x07",
                            9),
                kBinary) == "t: cells[0].state: unknown value 7");
}

TEST_CASE("deep nesting is refused before it costs stack", "[topology_load]") {
  const std::string deep(100'000, '[');
  CHECK(refusal(deep) != "loaded");
  CHECK(refusal(deep + std::string(deep.size(), ']')).find("nested more than 64 deep") !=
        std::string::npos);
  CHECK(refusal(deep, kJson).find("t:1:65: nested more than 64 deep") == 0);
  std::string dashes;
  for (int i = 0; i < 100'000; ++i) dashes += "- ";
  CHECK(refusal(dashes).find("nested more than 64 deep") != std::string::npos);
  std::string messages;
  for (int i = 0; i < 100'000; ++i) messages += "policy { ";
  CHECK(refusal(messages, kTextproto) != "loaded");
  CHECK(refusal(std::string(1'000'000, '<'), kTextproto) != "loaded");
  CHECK(refusal(std::string(1'000'000, '\x0b'), kBinary) != "loaded");
}

TEST_CASE("inputs that would take much memory are refused early", "[topology_load]") {
  CHECK(refusal(std::string((64u << 20) + 1, ' ')) == "t: more than 67,108,864 bytes");
  std::string list = "[";
  for (int i = 0; i < 3'000'000; ++i) list += "0,";
  list += "0]";
  for (const TopologyFormat format : {kYaml, kJson, kTextproto}) {
    CHECK(refusal(list, format).find("more than 2,097,152 values") != std::string::npos);
  }
  std::string cells;
  for (int i = 0; i < 2'000'000; ++i) cells += std::string("\x3a\x00", 2);
  CHECK(refusal(cells, kBinary).find("more than 2,097,152 values") != std::string::npos);
}

TEST_CASE("what is not UTF-8 cannot be written", "[topology_load]") {
  Topology topology = loaded(with_policy("limits: [{requests: 1}]"));
  topology.policy.limits[0].overrides = {{"\xff", 1, 0, false}};
  for (const TopologyFormat format : {kYaml, kJson, kTextproto, kBinary}) {
    CHECK(write_topology(topology, format).error().code() == ErrorCode::kInvalidArgument);
  }
  topology.policy.limits[0].overrides = {{"\xc3\xa9\n\"\x01", 1, 0, false}};
  for (const TopologyFormat format : {kYaml, kJson, kTextproto, kBinary}) {
    CHECK(loaded(written(topology, format), format) == topology);
  }
}

TEST_CASE("a topology of 65,535 cells loads", "[topology_load]") {
  Topology topology;
  topology.generation = 1;
  topology.cells.resize(kMaxCells);
  for (std::size_t i = 0; i < kMaxCells; ++i) {
    topology.cells[i].id = "cell-" + std::to_string(i);
    topology.cells[i].endpoint = "https://cell-" + std::to_string(i) + ".example.com";
    topology.cells[i].labels = {{"schema", "tenant_{key}"}};
  }
  for (const TopologyFormat format : {kJson, kTextproto, kBinary}) {
    CHECK(loaded(written(topology, format), format) == topology);
  }
}

}  // namespace
}  // namespace cellroute
