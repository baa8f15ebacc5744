// Each rule of check_topology(): what breaks it, where the problem is, and what it says.
#include "cellroute/topology_check.hpp"

#include <catch2/catch.hpp>
#include <functional>
#include <string>
#include <vector>

namespace cellroute {
namespace {

using Change = std::function<void(Topology&)>;

// A topology that keeps every rule, and uses everything that can be used together.
Topology sound() {
  Topology t;
  t.generation = 1;
  t.tiers = {{"retail", {"shop"}, {}}, {"hnw", {}, {}}};
  t.regions = {"us", "eu"};
  t.certifications = {"SOC2", "FedRAMP"};
  t.encryption_levels = {"standard", "maximum"};
  for (const char* id : {"a", "b", "c"}) {
    Cell cell;
    cell.id = id;
    cell.tier = "retail";
    cell.region = "us";
    t.cells.push_back(cell);
  }
  t.policy.flags = {{"PII", {"FedRAMP"}, {"eu"}, "maximum"}};
  t.policy.limits = {{}};
  t.policy.limits[0].requests = 10;
  return t;
}

std::vector<Problem> problems_of(const Change& change) {
  Topology topology = sound();
  change(topology);
  return check_topology(topology);
}

// The change breaks one rule: at `path`, with a text that has `words`.
void breaks(const std::string& path, const std::string& words, const Change& change) {
  const std::vector<Problem> problems = problems_of(change);
  CAPTURE(path, words);
  for (const Problem& problem : problems) UNSCOPED_INFO(problem.path << ": " << problem.text);
  REQUIRE(problems.size() == 1);
  CHECK(problems[0].path == path);
  CHECK(problems[0].text.find(words) != std::string::npos);
}

void keeps(const Change& change) {
  for (const Problem& problem : problems_of(change)) FAIL(problem.path << ": " << problem.text);
}

TEST_CASE("a sound topology has no problems", "[topology_check]") {
  keeps([](Topology&) {});
}

TEST_CASE("a generation is at least 1", "[topology_check]") {
  breaks("generation", "at least 1", [](Topology& t) { t.generation = 0; });
}

TEST_CASE("a topology without cells, or with too many, is refused", "[topology_check]") {
  breaks("cells", "is empty", [](Topology& t) { t.cells.clear(); });
  breaks("cells", "65,536 entries; at most 65,535", [](Topology& t) { t.cells.resize(65'536); });
}

TEST_CASE("names are 1 to 128 visible ASCII bytes", "[topology_check]") {
  const auto named = [](std::string id) {
    return [id = std::move(id)](Topology& t) { t.cells[1].id = id; };
  };
  keeps(named("x"));
  keeps(named(std::string(128, 'x')));
  keeps(named("cell-1.eu_west:8080/a@b#c'd;e|f~!"));
  breaks("cells[1].id", "is missing", named(""));
  breaks("cells[1].id", "has 129 bytes", named(std::string(129, 'x')));
  for (const std::string bad : {" ", "\"", "\\", "{", "}", ",", "\x7f", "\xc3\xa9", "\n"}) {
    breaks("cells[1].id", "has the character", named("x" + bad + "y"));
  }
  breaks("cells[1].id", "\\x00", named(std::string("x\0y", 3)));
}

TEST_CASE("names are unique among their kind", "[topology_check]") {
  breaks("cells[2].id", "\"a\" is given twice", [](Topology& t) { t.cells[2].id = "a"; });
  breaks("tiers[2].name", "\"hnw\" is given twice", [](Topology& t) {
    t.tiers.push_back({"hnw", {}, {}});
  });
  breaks("tiers[1].aliases[0]", "of another tier",
         [](Topology& t) { t.tiers[1].aliases = {"retail"}; });
  breaks("tiers[1].aliases[0]", "of another tier",
         [](Topology& t) { t.tiers[1].aliases = {"shop"}; });
  breaks("tiers[1].aliases[0]", "has the character",
         [](Topology& t) { t.tiers[1].aliases = {"a b"}; });
  breaks("tiers[0].aliases[1]", "or twice here", [](Topology& t) {
    t.tiers[0].aliases = {"x", "x"};
  });
  breaks("regions[2]", "region \"us\" is given twice",
         [](Topology& t) { t.regions.push_back("us"); });
  breaks("certifications[2]", "given twice",
         [](Topology& t) { t.certifications.push_back("SOC2"); });
  breaks("encryption_levels[2]", "given twice",
         [](Topology& t) { t.encryption_levels.push_back("maximum"); });
  breaks("policy.flags[\"PII\"]", "given twice", [](Topology& t) {
    t.policy.flags.push_back({"PII", {}, {}, ""});
  });
}

TEST_CASE("names that cells refer to are known", "[topology_check]") {
  breaks("cells[0].tier", "unknown tier \"retial\"; did you mean \"retail\"?",
         [](Topology& t) { t.cells[0].tier = "retial"; });
  breaks("cells[0].tier", "is an alias", [](Topology& t) { t.cells[0].tier = "shop"; });
  breaks("cells[0].region", "unknown region \"mars\"",
         [](Topology& t) { t.cells[0].region = "mars"; });
  breaks("cells[0].certifications[1]", "did you mean \"SOC2\"?", [](Topology& t) {
    t.cells[0].certifications = {"FedRAMP", "SOC3"};
  });
  breaks("cells[0].certifications[1]", "given twice", [](Topology& t) {
    t.cells[0].certifications = {"SOC2", "SOC2"};
  });
  breaks("cells[0].encryption", "unknown encryption level",
         [](Topology& t) { t.cells[0].encryption = "rot13"; });
}

TEST_CASE("a tier or region is left out only where there is no choice", "[topology_check]") {
  breaks("cells[2].tier", "2 to choose from", [](Topology& t) { t.cells[2].tier = ""; });
  breaks("cells[2].region", "2 to choose from", [](Topology& t) { t.cells[2].region = ""; });
  keeps([](Topology& t) {
    t.tiers.resize(1);
    t.regions.clear();
    t.policy.flags.clear();
    for (Cell& cell : t.cells) cell.tier = cell.region = "";
  });
}

TEST_CASE("replicas are other cells", "[topology_check]") {
  keeps([](Topology& t) { t.cells[0].replicas = {"c", "b"}; });
  breaks("cells[0].replicas[1]", "unknown cell \"d\"", [](Topology& t) {
    t.cells[0].replicas = {"b", "d"};
  });
  breaks("cells[0].replicas[0]", "the cell itself",
         [](Topology& t) { t.cells[0].replicas = {"a"}; });
  breaks("cells[0].replicas[1]", "given twice", [](Topology& t) {
    t.cells[0].replicas = {"b", "b"};
  });
  breaks("cells[0].replicas", "at most 8", [](Topology& t) { t.cells[0].replicas.assign(9, "b"); });
}

TEST_CASE("weights are from 0.001 to 1,000", "[topology_check]") {
  for (const std::uint32_t weight : {1u, 1'000'000u}) {
    keeps([&](Topology& t) { t.cells[0].weight = weight; });
  }
  for (const std::uint32_t weight : {0u, 1'000'001u}) {
    breaks("cells[0].weight", "from 0.001 to 1,000",
           [&](Topology& t) { t.cells[0].weight = weight; });
  }
}

TEST_CASE("capacity and load are exact in every JSON reader", "[topology_check]") {
  constexpr std::uint64_t kMost = std::uint64_t{1} << 53;
  keeps([](Topology& t) { t.cells[0].capacity = t.cells[0].load = kMost; });
  breaks("cells[0].capacity", "at most", [](Topology& t) { t.cells[0].capacity = kMost + 1; });
  breaks("cells[0].load", "at most", [](Topology& t) { t.cells[0].load = kMost + 1; });
}

TEST_CASE("endpoints are URLs, host:port or unix sockets", "[topology_check]") {
  for (const std::string good :
       {"https://a.example.com", "http://a:1", "https://a:65535/",
        "grpc+tls://10.0.0.1:443/x/y%20z", "https://[::1]/", "https://[2001:DB8:fa::1]:8443/p",
        "a.b:80", "cell_1:8080", "10.1.2.3:80", "[::ffff:1.2.3.4]:80", "[1:2:3:4:5:6:7:8]:1",
        "[::]:1", "[1::8]:1", "unix:/run/cell.sock", "https://a.example.com./",
        "[1:2:3:4:5:6:1.2.3.4]:1", "https://3.example"}) {
    CAPTURE(good);
    keeps([&](Topology& t) { t.cells[0].endpoint = good; });
    keeps([&](Topology& t) { t.cells[0].endpoints = {{"orders", good}}; });
  }
  for (const std::string bad : {"a",
                                "a.example.com",
                                "https://",
                                "https:///x",
                                "://a",
                                "1http://a",
                                "ht tp://a",
                                "a:0",
                                "a:65536",
                                "a:-1",
                                "a:080",
                                "a:",
                                "https://a:",
                                "a:80/x",
                                "https://u@a",
                                "https://u:p@a/",
                                "https://a b",
                                "https://a?x=1",
                                "https://a#f",
                                "https://-a",
                                "https://a-",
                                "https://a..b",
                                "https://[::1",
                                "https://[:::]",
                                "https://[1:2:3:4:5:6:7]",
                                "https://[1:2:3:4:5:6:7:8:9]",
                                "https://[::12345]",
                                "https://[fe80::1%25eth0]",
                                "https://[1::2::3]",
                                "https://[]",
                                "https://[1:]",
                                "https://[:1]",
                                "https://[::1.2.3]",
                                "https://999.1.1.1",
                                "https://1.2.3",
                                "unix:run/x",
                                "unix:/",
                                "https://a\x7f",
                                "https://\xc3\xa9",
                                "[::1]",
                                "[::1]80",
                                "https://a\\b",
                                "https://a<b",
                                "https://a>b",
                                "a_b://c",
                                "a*b://c",
                                "https://[1:2:3:4:5:6:7:1.2.3.4]"}) {
    CAPTURE(bad);
    breaks("cells[0].endpoint", check::quoted(bad),
           [&](Topology& t) { t.cells[0].endpoint = bad; });
    breaks("cells[0].endpoints[\"orders\"]", check::quoted(bad), [&](Topology& t) {
      t.cells[0].endpoints = {{"orders", bad}};
    });
  }
}

TEST_CASE("endpoints are bounded", "[topology_check]") {
  const std::string path(1'024 - 9, 'x');
  keeps([&](Topology& t) { t.cells[0].endpoint = "http://a/" + path; });
  breaks("cells[0].endpoint", "has 1,025 bytes",
         [&](Topology& t) { t.cells[0].endpoint = "http://a/x" + path; });
  keeps([](Topology& t) { t.cells[0].endpoint = "unix:/" + std::string(106, 'x'); });
  breaks("cells[0].endpoint", "at most 107 bytes",
         [](Topology& t) { t.cells[0].endpoint = "unix:/" + std::string(107, 'x'); });
  keeps([](Topology& t) { t.cells[0].endpoint = "https://" + std::string(63, 'x'); });
  breaks("cells[0].endpoint", "no host name",
         [](Topology& t) { t.cells[0].endpoint = "https://" + std::string(64, 'x'); });
  breaks("cells[0].endpoints[\"\"]", "is missing", [](Topology& t) {
    t.cells[0].endpoints = {{"orders", "a:1"}, {"", "a:1"}};
  });
  breaks("cells[0].endpoints[\"orders\"]", "given twice", [](Topology& t) {
    t.cells[0].endpoints = {{"orders", "a:1"}, {"orders", "a:2"}};
  });
  breaks("cells[0].endpoints", "at most 256", [](Topology& t) {
    t.cells[0].endpoints.assign(257, {"x", "a:1"});
  });
}

TEST_CASE("labels are templates of {cell} and {key}", "[topology_check]") {
  const auto label = [](std::string text) {
    return [text = std::move(text)](Topology& t) { t.cells[0].labels = {{"schema", text}}; };
  };
  for (const char* good : {"", "Orders-{cell}", "{key}{cell}", "a b \"c\" \\", "tenant_{key}"}) {
    keeps(label(good));
  }
  keeps(label(std::string(256, 'x')));
  const std::string path = "cells[0].labels[\"schema\"]";
  breaks(path, "{ without its }", label("a{cell"));
  breaks(path, "} without its {", label("a}b"));
  breaks(path, "only {cell} and {key}", label("{tenant}"));
  breaks(path, "only {cell} and {key}", label("{}"));
  breaks(path, "only {cell} and {key}", label("{{cell}}"));
  breaks(path, "printable ASCII", label("a\nb"));
  breaks(path, "257 bytes", label(std::string(257, 'x')));
  breaks("cells[0].labels[\"a b\"]", "the label's name", [](Topology& t) {
    t.cells[0].labels = {{"a b", ""}};
  });
  breaks("cells[0].labels[\"a\"]", "given twice", [](Topology& t) {
    t.cells[0].labels = {{"a", ""}, {"b", ""}, {"a", ""}};
  });
  breaks("cells[0].labels", "at most 64", [](Topology& t) {
    t.cells[0].labels.assign(65, {"a", ""});
  });
}

TEST_CASE("slots are a power of two within bounds", "[topology_check]") {
  for (const std::uint32_t slots : {1u << 10, 1u << 22}) {
    keeps([&](Topology& t) { t.policy.slots = slots; });
  }
  for (const std::uint32_t slots : {0u, 1u << 9, 1u << 23, 65'535u}) {
    breaks("policy.slots", "power of two", [&](Topology& t) { t.policy.slots = slots; });
  }
}

TEST_CASE("an order names every cell once, and only where it is read", "[topology_check]") {
  for (const StrategyKind kind :
       {StrategyKind::kJump, StrategyKind::kModulo, StrategyKind::kMd5Modulo}) {
    const auto ordered = [&](std::vector<std::string> order) {
      return [order = std::move(order), kind](Topology& t) {
        t.policy.strategy = kind;
        t.policy.order = order;
      };
    };
    keeps(ordered({"c", "a", "b"}));
    breaks("policy.order", "is missing", ordered({}));
    breaks("policy.order", "lacks cell \"b\"", ordered({"c", "a"}));
    breaks("policy.order[3]", "given twice", ordered({"c", "a", "b", "a"}));
    breaks("policy.order[3]", "unknown cell \"d\"", ordered({"c", "a", "b", "d"}));
  }
  breaks("policy.order", "is not read by strategy rendezvous-slots", [](Topology& t) {
    t.policy.order = {"a", "b", "c"};
  });
}

TEST_CASE("strategies that know no weights, or whole ones, say so", "[topology_check]") {
  const auto weighted = [](StrategyKind kind, std::uint32_t first, std::uint32_t others) {
    return [=](Topology& t) {
      t.policy.strategy = kind;
      if (Picker::ordered(kind)) t.policy.order = {"a", "b", "c"};
      t.cells[0].weight = first;
      t.cells[1].weight = t.cells[2].weight = others;
      t.cells.erase(t.cells.begin() + 2);
      if (Picker::ordered(kind)) t.policy.order.pop_back();
    };
  };
  for (const StrategyKind kind :
       {StrategyKind::kJump, StrategyKind::kModulo, StrategyKind::kMd5Modulo}) {
    keeps(weighted(kind, 1500, 1500));
    breaks("cells[1].weight", "knows no weights", weighted(kind, 1000, 2000));
  }
  for (const StrategyKind kind : {StrategyKind::kKetama, StrategyKind::kKetamaNginx}) {
    keeps(weighted(kind, 1000, 2000));
    breaks("cells[1].weight", "must be whole", weighted(kind, 1000, 1500));
  }
  keeps(weighted(StrategyKind::kRing, 1000, 1500));
}

TEST_CASE("shuffle shards and bounded load are for STATELESS pools", "[topology_check]") {
  const auto spill = [](Affinity affinity, std::uint32_t shard, std::uint32_t load) {
    return [=](Topology& t) {
      t.policy.affinity = affinity;
      t.policy.shuffle_shard = shard;
      t.policy.bounded_load = load;
    };
  };
  keeps(spill(Affinity::kStateless, 64, 1001));
  keeps(spill(Affinity::kStateless, 1, 100'000));
  breaks("policy.shuffle_shard", "affinity STATELESS", spill(Affinity::kStateful, 2, 0));
  breaks("policy.bounded_load", "affinity STATELESS", spill(Affinity::kStateful, 0, 1250));
  breaks("policy.shuffle_shard", "from 1 to 64", spill(Affinity::kStateless, 65, 0));
  breaks("policy.bounded_load", "above 1", spill(Affinity::kStateless, 0, 1000));
  breaks("policy.bounded_load", "at most 100", spill(Affinity::kStateless, 0, 100'001));
}

TEST_CASE("STATEFUL with PLACE refuses what would move keys", "[topology_check]") {
  const auto policy = [](Affinity affinity, Unassigned unassigned, Selection selection,
                         CellState state) {
    return [=](Topology& t) {
      t.policy.affinity = affinity;
      t.policy.unassigned = unassigned;
      t.policy.selection = selection;
      t.cells[1].state = state;
    };
  };
  using enum CellState;
  const auto stateful = Affinity::kStateful;
  breaks("cells[1].state", "set unassigned: ASSIGN",
         policy(stateful, Unassigned::kPlace, Selection::kByHash, kDraining));
  for (const Selection selection : {Selection::kTwoChoices, Selection::kLeastLoad}) {
    breaks("policy.selection", "set unassigned: ASSIGN",
           policy(stateful, Unassigned::kPlace, selection, kActive));
    keeps(policy(stateful, Unassigned::kAssign, selection, kDraining));
    keeps(policy(stateful, Unassigned::kReject, selection, kDraining));
    keeps(policy(Affinity::kStateless, Unassigned::kPlace, selection, kDraining));
  }
  keeps(policy(stateful, Unassigned::kPlace, Selection::kByHash, kOffline));
}

TEST_CASE("fallbacks name known places, once, and not themselves", "[topology_check]") {
  keeps([](Topology& t) {
    t.policy.tier_fallback = {{"retail", {"hnw"}}, {"hnw", {}}};
    t.policy.region_fallback = {{"us", {"eu"}}, {"eu", {"us"}}};
  });
  const auto tiers = [](std::vector<Fallback> list) {
    return [list](Topology& t) { t.policy.tier_fallback = list; };
  };
  breaks("policy.tier_fallback[0].from", "unknown tier", tiers({{"x", {"hnw"}}}));
  breaks("policy.tier_fallback[0].from", "is an alias", tiers({{"shop", {"hnw"}}}));
  breaks("policy.tier_fallback[0].from", "unknown tier", tiers({{"", {"hnw"}}}));
  breaks("policy.tier_fallback[0].to[1]", "unknown tier", tiers({{"retail", {"hnw", "x"}}}));
  breaks("policy.tier_fallback[0].to[0]", "the one that falls back", tiers({{"hnw", {"hnw"}}}));
  breaks("policy.tier_fallback[0].to[1]", "given twice", tiers({{"retail", {"hnw", "hnw"}}}));
  breaks("policy.tier_fallback[1].from", "has a fallback already",
         tiers({{"retail", {"hnw"}}, {"retail", {}}}));
  breaks("policy.region_fallback[0].to[0]", "unknown region", [](Topology& t) {
    t.policy.region_fallback = {{"us", {"mars"}}};
  });
}

TEST_CASE("risk and flags demand what there is", "[topology_check]") {
  keeps([](Topology& t) { t.policy.risk = {800'000'000, "maximum", RiskMode::kRequire}; });
  breaks("policy.risk.threshold", "from 0 to 1", [](Topology& t) {
    t.policy.risk = {1'000'000'001, "maximum", {}};
  });
  breaks("policy.risk.encryption", "unknown encryption level", [](Topology& t) {
    t.policy.risk = {5, "maximal", {}};
  });
  breaks("policy.risk.encryption", "asks for nothing", [](Topology& t) {
    t.policy.risk = {5, "", {}};
  });
  const auto flag = [](FlagRule rule) { return [rule](Topology& t) { t.policy.flags = {rule}; }; };
  keeps(flag({"F", {}, {}, ""}));
  breaks("policy.flags[\"a b\"]", "the flag's name", flag({"a b", {}, {}, ""}));
  breaks("policy.flags[\"F\"].certifications[0]", "unknown", flag({"F", {"ISO"}, {}, ""}));
  breaks("policy.flags[\"F\"].regions[0]", "unknown", flag({"F", {}, {"mars"}, ""}));
  breaks("policy.flags[\"F\"].encryption", "unknown", flag({"F", {}, {}, "rot13"}));
  breaks("policy.flags", "17 entries; at most 16", [](Topology& t) { t.policy.flags.resize(17); });
}

TEST_CASE("a breaker's thresholds make sense", "[topology_check]") {
  const auto breaker = [](const std::function<void(BreakerPolicy&)>& change) {
    return [change](Topology& t) { change(t.policy.breaker); };
  };
  keeps(breaker([](auto& b) {
    b.failure_rate = b.slow_rate = 1000;
    b.slow_call = 1;
    b.open = b.open_max;
    b.max_ejected_percent = 100;
    b.failure_statuses = {100, 599};
  }));
  const std::string at = "policy.breaker.";
  breaks(at + "failure_rate", "from 0 to 1", breaker([](auto& b) { b.failure_rate = 1001; }));
  breaks(at + "slow_rate", "from 0 to 1", breaker([](auto& b) {
           b.slow_rate = 1001;
           b.slow_call = 1;
         }));
  breaks(at + "slow_rate", "without slow_call", breaker([](auto& b) { b.slow_rate = 1; }));
  breaks(at + "slow_call", "longer than 0s", breaker([](auto& b) { b.slow_call = -1; }));
  breaks(at + "minimum_calls", "at least 1", breaker([](auto& b) { b.minimum_calls = 0; }));
  breaks(at + "probes", "from 1", breaker([](auto& b) { b.probes = 0; }));
  breaks(at + "probes", "to 1,000", breaker([](auto& b) { b.probes = 1001; }));
  breaks(at + "window", "at least 10 ns", breaker([](auto& b) { b.window = 9; }));
  breaks(at + "open", "longer than 0s", breaker([](auto& b) { b.open = 0; }));
  breaks(at + "open", "not be longer than open_max", breaker([](auto& b) { b.open_max = 1; }));
  breaks(at + "probe_deadline", "longer than 0s", breaker([](auto& b) { b.probe_deadline = 0; }));
  breaks(at + "window", "366 days", breaker([](auto& b) { b.window = INT64_MAX; }));
  breaks(at + "max_ejected_percent", "100", breaker([](auto& b) { b.max_ejected_percent = 101; }));
  breaks(at + "failure_statuses[1]", "100 to 599", breaker([](auto& b) {
           b.failure_statuses = {500, 600};
         }));
  breaks(at + "failure_statuses[0]", "100 to 599",
         breaker([](auto& b) { b.failure_statuses = {99}; }));
  breaks(at + "failure_statuses[1]", "500 is given twice", breaker([](auto& b) {
           b.failure_statuses = {500, 500};
         }));
}

TEST_CASE("a tier's and a cell's thresholds are checked with what they inherit",
          "[topology_check]") {
  keeps([](Topology& t) {
    t.tiers[0].breaker.open_max = 10 * kSecond;
    t.tiers[0].breaker.open = 5 * kSecond;
    t.cells[0].breaker.open = 10 * kSecond;
  });
  breaks("tiers[0].breaker.open_max", "not be longer than open_max",
         [](Topology& t) { t.tiers[0].breaker.open_max = 10 * kSecond; });
  breaks("cells[0].breaker.open", "not be longer than open_max", [](Topology& t) {
    t.tiers[0].breaker.open_max = 40 * kSecond;
    t.cells[0].breaker.open = 41 * kSecond;
  });
  breaks("cells[0].breaker.slow_rate", "without slow_call",
         [](Topology& t) { t.cells[0].breaker.slow_rate = 5; });
  breaks("cells[0].breaker.slow_call", "without slow_call", [](Topology& t) {
    t.policy.breaker.slow_rate = 5;
    t.policy.breaker.slow_call = 5;
    t.cells[0].breaker.slow_call = 0;
  });
  breaks("cells[0].breaker.probes", "from 1", [](Topology& t) { t.cells[0].breaker.probes = 0; });
  // What is inherited is the policy's problem alone.
  breaks("policy.breaker.failure_rate", "from 0 to 1", [](Topology& t) {
    t.policy.breaker.failure_rate = 1001;
    t.tiers[0].breaker.probes = 2;
    t.cells[0].breaker.window = kSecond;
  });
  breaks("tiers[1].breaker.window", "10 ns", [](Topology& t) { t.tiers[1].breaker.window = 1; });
}

TEST_CASE("limits make sense", "[topology_check]") {
  const auto limit = [](const std::function<void(Limit&)>& change) {
    return [change](Topology& t) { change(t.policy.limits[0]); };
  };
  const std::string at = "policy.limits[0].";
  breaks(at + "requests", "at least 1", limit([](Limit& l) { l.requests = 0; }));
  keeps(limit([](Limit& l) {
    l.requests = 0;
    l.unlimited = true;
  }));
  breaks(at + "requests", "at most", limit([](Limit& l) { l.requests = UINT64_MAX; }));
  breaks(at + "burst", "at most", limit([](Limit& l) { l.burst = UINT64_MAX; }));
  breaks(at + "period", "longer than 0s", limit([](Limit& l) { l.period = 0; }));
  breaks(at + "period", "366 days", limit([](Limit& l) { l.period = 367 * 86'400 * kSecond; }));
  keeps(limit([](Limit& l) { l.burst = 5; }));
  breaks(at + "burst", "a WINDOW has none", limit([](Limit& l) {
           l.burst = 5;
           l.kind = LimitKind::kWindow;
         }));
  keeps(limit([](Limit& l) { l.plan = "starter"; }));
  breaks(at + "plan", "a limit per CELL has none", limit([](Limit& l) {
           l.plan = "starter";
           l.per = LimitPer::kCell;
         }));
  breaks(at + "plan", "has the character", limit([](Limit& l) { l.plan = "a b"; }));
  breaks("policy.limits", "at most 64", [](Topology& t) { t.policy.limits.resize(65); });
}

TEST_CASE("two limits differ in per, plan, kind or period", "[topology_check]") {
  const auto pair = [](const std::function<void(Limit&)>& change) {
    return [change](Topology& t) {
      t.policy.limits.push_back(t.policy.limits[0]);
      t.policy.limits[1].requests = 77;
      change(t.policy.limits[1]);
    };
  };
  breaks("policy.limits[1]", "of limits[0]", pair([](Limit&) {}));
  keeps(pair([](Limit& l) { l.per = LimitPer::kCell; }));
  keeps(pair([](Limit& l) { l.plan = "starter"; }));
  keeps(pair([](Limit& l) { l.kind = LimitKind::kWindow; }));
  keeps(pair([](Limit& l) { l.period = 2 * kSecond; }));
}

TEST_CASE("limits of the fleet make sense", "[topology_check]") {
  const auto fleet = [](const std::function<void(Limit&)>& change) {
    return [change](Topology& t) {
      Limit& limit = t.policy.limits.emplace_back();
      limit.requests = 1'000;
      limit.scope = LimitScope::kFleet;
      change(limit);
    };
  };
  const auto monthly = [&](const std::function<void(Limit&)>& change) {
    return fleet([change](Limit& l) {
      l.kind = LimitKind::kMonthly;
      change(l);
    });
  };
  const std::string at = "policy.limits[1].";
  keeps(fleet([](Limit&) {}));
  keeps(monthly([](Limit&) {}));
  keeps(monthly([](Limit& l) {
    l.requests = 0;
    l.unlimited = true;
    l.plan = "enterprise";
    l.name = "api-calls";
  }));
  breaks(at + "kind", "set scope: FLEET", monthly([](Limit& l) { l.scope = LimitScope::kRouter; }));
  breaks(at + "name", "leave it out", fleet([](Limit& l) {
           l.scope = LimitScope::kRouter;
           l.plan = "starter";
           l.name = "calls";
         }));
  breaks(at + "name", "1 to 64 letters", fleet([](Limit& l) { l.name = "a:b"; }));
  breaks(at + "name", "1 to 64 letters", fleet([](Limit& l) { l.name = std::string(65, 'n'); }));
  breaks(at + "per", "KEY", fleet([](Limit& l) { l.per = LimitPer::kKeyAndResource; }));
  breaks(at + "per", "KEY", fleet([](Limit& l) { l.per = LimitPer::kCell; }));
  breaks(at + "kind", "BUCKET or MONTHLY", fleet([](Limit& l) { l.kind = LimitKind::kWindow; }));
  breaks(at + "on_exceed", "REFUSE", fleet([](Limit& l) { l.on_exceed = OnExceed::kCount; }));
  breaks(at + "overrides", "a plan of its own", fleet([](Limit& l) {
           l.overrides = {{"k", 5, 0, false}};
         }));
  breaks(at + "period", "0.001s", fleet([](Limit& l) { l.period = kMillisecond - 1; }));
  breaks(at + "period", "calendar months", monthly([](Limit& l) { l.period = 60 * kSecond; }));
  breaks(at + "burst", "calendar months", monthly([](Limit& l) { l.burst = 5; }));
  breaks(at + "burst", "366 days", fleet([](Limit& l) { l.burst = 1'000'000'000'000; }));
  breaks(at + "requests", "at least 1", monthly([](Limit& l) { l.requests = 0; }));
}

TEST_CASE("parts of one limit of the fleet agree, and are not too many", "[topology_check]") {
  const auto pair = [](const std::function<void(Limit&, Limit&)>& change) {
    return [change](Topology& t) {
      t.policy.limits.assign(2, Limit());
      for (Limit& limit : t.policy.limits) {
        limit.requests = 1'000;
        limit.scope = LimitScope::kFleet;
      }
      change(t.policy.limits[0], t.policy.limits[1]);
    };
  };
  breaks("policy.limits[1]", "of limits[0]", pair([](Limit&, Limit&) {}));
  breaks("policy.limits[1]", "of limits[0]", pair([](Limit&, Limit& b) { b.name = "requests"; }));
  keeps(pair([](Limit&, Limit& b) { b.plan = "starter"; }));
  keeps(pair([](Limit&, Limit& b) { b.name = "other"; }));
  keeps(pair([](Limit&, Limit& b) { b.kind = LimitKind::kMonthly; }));
  keeps(pair([](Limit&, Limit& b) { b.scope = LimitScope::kRouter; }));
  breaks("policy.limits[1].period", "that of limits[0]", pair([](Limit&, Limit& b) {
           b.plan = "starter";
           b.period = 2 * kSecond;
         }));
  const auto many = [](int count) {
    return [count](Topology& t) {
      t.policy.limits.clear();
      for (int i = 0; i < count; ++i) {
        Limit& limit = t.policy.limits.emplace_back();
        limit.requests = 1;
        limit.scope = LimitScope::kFleet;
        limit.name = "n" + std::to_string(i);
      }
    };
  };
  keeps(many(4));
  breaks("policy.limits", "at most 4", many(5));
}

TEST_CASE("overrides are for keys, each once", "[topology_check]") {
  const auto overrides = [](std::vector<LimitOverride> list) {
    return [list](Topology& t) { t.policy.limits[0].overrides = list; };
  };
  const std::string at = "policy.limits[0].overrides";
  keeps(
      overrides({{std::string(1'024, 'k'), 5, 6, false}, {std::string("\0\xff", 2), 0, 0, true}}));
  breaks(at + "[0].key", "1 to 1,024 bytes", overrides({{"", 5, 0, false}}));
  breaks(at + "[0].key", "1 to 1,024 bytes", overrides({{std::string(1'025, 'k'), 5, 0, false}}));
  breaks(at + "[1].key", "\"k\" is given twice",
         overrides({{"k", 5, 0, false}, {"k", 6, 0, false}}));
  breaks(at + "[0].requests", "at least 1", overrides({{"k", 0, 0, false}}));
  breaks(at, "a limit per CELL has none", [](Topology& t) {
    t.policy.limits[0].per = LimitPer::kCell;
    t.policy.limits[0].overrides = {{"k", 5, 0, false}};
  });
  breaks(at + "[0].burst", "a WINDOW has none", [](Topology& t) {
    t.policy.limits[0].kind = LimitKind::kWindow;
    t.policy.limits[0].overrides = {{"k", 5, 6, false}};
  });
}

TEST_CASE("times, rates and tables are within bounds", "[topology_check]") {
  breaks("policy.timeout", "longer than 0s", [](Topology& t) { t.policy.timeout = 0; });
  breaks("policy.timeout", "longer than 0s", [](Topology& t) { t.policy.timeout = INT64_MIN; });
  breaks("policy.in_flight.deadline", "longer than 0s",
         [](Topology& t) { t.policy.in_flight.deadline = 0; });
  breaks("policy.in_flight.deadline", "divide by eight",
         [](Topology& t) { t.policy.in_flight.deadline = kSecond + 1; });
  breaks("policy.assignments.period", "longer than 0s",
         [](Topology& t) { t.policy.assignments.period = 0; });
  breaks("policy.assignments.requests", "at most",
         [](Topology& t) { t.policy.assignments.requests = UINT64_MAX; });
  for (const std::uint32_t entries : {1u << 10, 1u << 28}) {
    keeps([&](Topology& t) { t.policy.limiter_entries = entries; });
  }
  breaks("policy.limiter_entries", "from 1,024",
         [](Topology& t) { t.policy.limiter_entries = 1'023; });
  breaks("policy.limiter_entries", "to 268,435,456",
         [](Topology& t) { t.policy.limiter_entries = UINT32_MAX; });
  breaks("policy.max_table_bytes", "at least 1", [](Topology& t) { t.policy.max_table_bytes = 0; });
}

TEST_CASE("lists are bounded", "[topology_check]") {
  const auto names = [](std::size_t count) {
    std::vector<std::string> list;
    for (std::size_t i = 0; i < count; ++i) list.push_back("name" + std::to_string(i));
    return list;
  };
  const auto replaced = [&](auto member, std::size_t count) {
    return [=](Topology& t) {
      for (const std::string& name : names(count)) (t.*member).push_back(name);
    };
  };
  keeps(replaced(&Topology::regions, kMaxRegions - 2));
  breaks("regions", "257 entries; at most 256", replaced(&Topology::regions, kMaxRegions - 1));
  breaks("certifications", "at most 64", replaced(&Topology::certifications, kMaxNames - 1));
  breaks("encryption_levels", "at most 64", replaced(&Topology::encryption_levels, kMaxNames - 1));
  breaks("tiers", "at most 256", [&](Topology& t) {
    for (const std::string& name : names(kMaxTiers - 1)) t.tiers.push_back({name, {}, {}});
  });
  breaks("tiers[0].aliases", "at most 16", [&](Topology& t) { t.tiers[0].aliases = names(17); });
}

TEST_CASE("texts are bounded and escaped", "[topology_check]") {
  const auto problems =
      problems_of([](Topology& t) { t.cells[0].tier = std::string(100'000, '\x1b') + "\n\"\\"; });
  REQUIRE(problems.size() == 1);
  CHECK(problems[0].text.size() < 400);
  CHECK(problems[0].text.find("\\x1b") != std::string::npos);
  CHECK(problems[0].text.find('\x1b') == std::string::npos);
}

TEST_CASE("all problems are found, up to a bound", "[topology_check]") {
  const auto broken = [](std::size_t count) {
    return problems_of([&](Topology& t) {
      t.cells.resize(100, t.cells[2]);
      for (std::size_t i = 0; i < t.cells.size(); ++i) {
        t.cells[i].id = "cell" + std::to_string(i);
        if (i < count) t.cells[i].weight = 0;
      }
    });
  };
  CHECK(broken(kMaxProblems).size() == kMaxProblems);
  const auto problems = broken(kMaxProblems + 1);
  REQUIRE(problems.size() == kMaxProblems + 1);
  CHECK(problems.back().path.empty());
  CHECK(problems.back().text.find("more problems") != std::string::npos);
}

TEST_CASE("65,535 cells are checked, and their problems bounded", "[topology_check]") {
  Topology t = sound();
  t.cells.clear();
  t.policy.strategy = StrategyKind::kJump;
  for (std::size_t i = 0; i < kMaxCells; ++i) {
    Cell cell;
    cell.id = "cell-" + std::to_string(i);
    cell.tier = "retail";
    cell.region = "us";
    cell.endpoint = "https://" + cell.id + ".internal.example.com:8443/";
    cell.certifications = {"SOC2", "FedRAMP"};
    cell.encryption = "maximum";
    cell.replicas = {"cell-" + std::to_string((i + 1) % kMaxCells)};
    cell.labels = {{"schema", "tenant_{key}"}, {"table", "Orders-{cell}"}};
    t.policy.order.push_back(cell.id);
    t.cells.push_back(std::move(cell));
  }
  CHECK(check_topology(t).empty());
  for (Cell& cell : t.cells) {
    cell.tier = "retial";
    cell.replicas = {"cell-x", "cell-y"};
  }
  CHECK(check_topology(t).size() == kMaxProblems + 1);
}

}  // namespace
}  // namespace cellroute
