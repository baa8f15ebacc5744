// cellroute mapping, assign, route --mappings, route --state: what is kept between runs.
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <map>
#include <string>
#include <vector>

#include "command_runner.hpp"

using cellroute::test::jsons_of;
using cellroute::test::lines_of;
using cellroute::test::Run;
using cellroute::test::small_topology;
using cellroute::test::Workplace;
using Json = nlohmann::ordered_json;

namespace {

const std::string kStore = "lmdb:store";

struct Kept : Workplace {
  explicit Kept(const std::string& policy = "affinity: STATEFUL", const std::string& us_1 = "") {
    write("t.yaml", small_topology(policy, us_1));
  }
  Run mapping(std::vector<std::string> arguments, const std::string& input = {}) const {
    arguments.insert(arguments.begin(), "mapping");
    arguments.insert(arguments.end(), {"--mappings", kStore});
    return run(arguments, input);
  }
  Run put(const std::string& key, const std::string& cell,
          std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments{"put", key, "--cell", cell};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return mapping(arguments);
  }
  Run route(std::vector<std::string> more) const {
    std::vector<std::string> arguments{"route",  "--topology", "t.yaml",   "--mappings", kStore,
                                       "--tier", "retail",     "--region", "us"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments);
  }
  Json routed(const std::string& key) const { return Json::parse(route({key}).out); }
  Run assign(std::vector<std::string> more, const std::string& input = {}) const {
    std::vector<std::string> arguments{"assign", "--topology", "t.yaml", "--mappings", kStore};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments, input);
  }
};

}  // namespace

TEST_CASE("command mapping: put, get, history, list") {
  const Kept kept;
  CHECK(kept.mapping({"get", "a"}).exit == 2);  // no store yet: a wrong path must not look empty
  const Run first = kept.put("a", "us-3", {"--topology", "t.yaml"});
  CHECK(first.exit == 0);
  CHECK(Json::parse(first.out)["epoch"] == 1);
  CHECK(Json::parse(first.out)["revision"] == 1);
  CHECK(kept.mapping({"get", "b"}).exit == 1);
  CHECK(kept.mapping({"get", "a"}).out == first.out);
  CHECK(kept.put("a", "us-3").out == first.out);  // there already
  const Json moved = Json::parse(kept.put("a", "us-4").out);
  CHECK(moved["epoch"] == 2);
  CHECK(moved["revision"] == 2);
  const Json history = Json::parse(kept.mapping({"history", "a"}).out);
  CHECK(history["cell"] == "us-4");
  CHECK(history["history"] == Json::parse(R"([{"cell":"us-3","first_epoch":1,"last_epoch":1}])"));
  CHECK(kept.put("b", "us-1").exit == 0);
  CHECK(jsons_of(kept.mapping({"list"}).out).size() == 2);
  const auto of_cell = jsons_of(kept.mapping({"list", "--cell", "us-1"}).out);
  REQUIRE(of_cell.size() == 1);
  CHECK(of_cell[0]["key"] == "b");
}

TEST_CASE("command mapping put: conditions, epochs and the topology stand in the way") {
  const Kept kept("unassigned: ASSIGN", "state: DRAINING");
  CHECK(kept.put("a", "us-3", {"--expect-revision", "1"}).exit == 1);
  CHECK(kept.put("a", "us-3", {"--expect-revision", "0"}).exit == 0);
  CHECK(kept.put("a", "us-4", {"--expect-revision", "0"}).exit == 1);
  CHECK(kept.put("a", "us-4", {"--epoch", "1"}).exit == 1);
  CHECK(Json::parse(kept.put("a", "us-4", {"--epoch", "9"}).out)["epoch"] == 9);
  CHECK(kept.put("a", "mars-1", {"--topology", "t.yaml"}).exit == 2);
  CHECK(kept.put("a", "us-1", {"--topology", "t.yaml"}).exit == 2);
  CHECK(kept.put("a", "us-2", {"--topology", "t.yaml", "--flag", "PII"}).exit == 2);
  CHECK(kept.put("a", "vault", {"--topology", "t.yaml", "--flag", "PII"}).exit == 0);
  CHECK(kept.put("", "us-2").exit == 2);
  CHECK(kept.put("AAH/", "us-2", {"--base64"}).exit == 0);
  CHECK(Json::parse(kept.mapping({"get", "AAH/", "--base64"}).out)["key_base64"] == "AAH/");
}

TEST_CASE("command route --mappings: a mapped key goes to its cell or nowhere") {
  const Kept kept;
  CHECK(kept.route({"a"}).exit == 2);  // no store there
  const std::string home =
      kept.run({"route", "--topology", "t.yaml", "--tier", "retail", "--region", "us", "a"}).out;
  const std::string other = home.find("us-3") == std::string::npos ? "us-3" : "us-4";
  CHECK(kept.put("a", other).exit == 0);
  Json decision = kept.routed("a");
  CHECK(decision["cell"] == other);
  CHECK(decision["reason"] == "MAPPED");
  CHECK(decision["epoch"] == 1);
  CHECK(kept.routed("b")["reason"] == "PLACED");

  CHECK(kept.put("a", "us-1").exit == 0);
  kept.write("t.yaml", small_topology("unassigned: ASSIGN", "state: DRAINING"));
  CHECK(kept.routed("a")["cell"] == "us-1");
  kept.write("t.yaml", small_topology("affinity: STATEFUL", "state: OFFLINE"));
  decision = kept.routed("a");
  CHECK(decision["status"] == "UNAVAILABLE");
  CHECK(decision["reason"] == "MAPPED_CELL_OFFLINE");
  CHECK(kept.put("a", "gone").exit == 0);
  CHECK(kept.routed("a")["reason"] == "MAPPED_CELL_UNKNOWN");
  CHECK(kept.put("a", "us-2").exit == 0);
  CHECK(Json::parse(kept.route({"a", "--flag", "PII"}).out)["status"] == "COMPLIANCE");
}

TEST_CASE("command assign: writes once; the first winner stays") {
  const Kept kept("unassigned: ASSIGN");
  const std::vector<std::string> arguments{"a", "--tier", "private", "--region", "us"};
  const Run first = kept.assign(arguments);
  CHECK(first.exit == 0);
  const Json decision = Json::parse(first.out);
  CHECK(decision["status"] == "OK");
  CHECK(decision["reason"] == "MAPPED");
  CHECK(decision["cell"] == "vault");
  CHECK(decision["epoch"] == 1);
  CHECK(first.err.find("new mappings: 1") != std::string::npos);
  const Run second = kept.assign(arguments);
  CHECK(second.out == first.out);
  CHECK(second.err.find("new mappings: 0") != std::string::npos);
  const Json record = Json::parse(kept.mapping({"get", "a"}).out);
  CHECK(record["revision"] == 1);
  CHECK(record["profile"]["tier"] == "hnw");
  // Another's record wins over what would be proposed.
  CHECK(kept.put("b", "us-4").exit == 0);
  CHECK(Json::parse(kept.assign({"b", "--tier", "retail", "--region", "us"}).out)["cell"] ==
        "us-4");
  // The record says tier and region, so that the request need not.
  const Run bare = kept.run({"route", "--topology", "t.yaml", "--mappings", kStore, "a"});
  CHECK(Json::parse(bare.out)["cell"] == "vault");
}

TEST_CASE("command assign: under PLACE too, and what no cell may serve is not written") {
  const Kept kept;
  const Run run =
      kept.assign({"--input", "-"}, R"({"key":"a","tier":"retail","region":"us"})"
                                    "\n"
                                    R"({"key":"b","tier":"retail","region":"us","flags":["EU"]})"
                                    "\n");
  CHECK(run.exit == 1);
  const auto decisions = jsons_of(run.out);
  CHECK(decisions[0]["reason"] == "MAPPED");
  CHECK(decisions[1]["status"] == "NO_ELIGIBLE_CELL");
  CHECK(jsons_of(kept.mapping({"list"}).out).size() == 1);
}

TEST_CASE("command assign: by load, each new key sees those before it") {
  const Kept kept("unassigned: ASSIGN\n  selection: LEAST_LOAD");
  std::string input;
  for (int i = 0; i < 40; ++i) {
    input += R"({"key":")" + std::to_string(i) + R"(","tier":"retail","region":"us"})" + "\n";
  }
  const Run run = kept.assign({"--input", "-"}, input);
  CHECK(run.exit == 0);
  std::map<std::string, int> cells;
  for (const Json& decision : jsons_of(run.out)) ++cells[decision["cell"]];
  CHECK(cells ==
        std::map<std::string, int>{{"us-1", 10}, {"us-2", 10}, {"us-3", 10}, {"us-4", 10}});
}

TEST_CASE("command assign: one key several times in a file gets one record") {
  const Kept kept("unassigned: ASSIGN");
  const std::string line = R"({"key":"a","tier":"retail","region":"us"})";
  const Run run = kept.assign({"--input", "-"}, line + "\n" + line + "\n" + line + "\n");
  CHECK(run.exit == 0);
  CHECK(run.err.find("new mappings: 1") != std::string::npos);
  CHECK(Json::parse(kept.mapping({"get", "a"}).out)["revision"] == 1);
}

TEST_CASE("command assign --rate: caps new mappings, and --wait waits") {
  const Kept kept;
  const std::vector<std::string> rate{"--tier", "retail", "--region", "us", "--rate", "2/h"};
  auto arguments = rate;
  arguments.insert(arguments.end(), {"--", "a", "b", "c", "a"});
  const auto decisions = jsons_of(kept.assign(arguments).out);
  REQUIRE(decisions.size() == 4);
  CHECK(decisions[1]["status"] == "OK");
  CHECK(decisions[2]["status"] == "RATE_LIMITED");
  CHECK(decisions[2]["reason"] == "ASSIGNMENT_RATE");
  CHECK(decisions[2]["retry_after_ms"] > 0);
  CHECK(decisions[3]["status"] == "OK");
  CHECK(kept.assign({"d", "--rate", "none"}).exit == 2);
  CHECK(kept.assign({"d", "--rate", "1/s", "--wait", "--now", "1"}).exit == 2);
  CHECK(kept.assign({"--tier", "retail", "--region", "us", "--rate", "50/s", "--wait", "--", "e",
                     "f", "g"})
            .exit == 0);
}

TEST_CASE("command mapping: export and import are inverse, and import can be run again") {
  const Kept kept;
  for (int i = 0; i < 20; ++i) {
    CHECK(kept.put("key-" + std::to_string(i), i % 2 == 0 ? "us-1" : "us-2").exit == 0);
  }
  CHECK(kept.put("key-3", "us-3", {"--tier", "retail", "--flag", "EU"}).exit == 0);
  CHECK(kept.put("AP8=", "us-3", {"--base64"}).exit == 0);
  const std::string exported = kept.mapping({"export"}).out;
  CHECK(lines_of(exported).size() == 21);

  const std::vector<std::string> other{"--mappings", "lmdb:other"};
  const auto import = [&](const std::string& input) {
    return kept.run({"mapping", "import", "--mappings", "lmdb:other", "--input", "-"}, input);
  };
  const std::string half = exported.substr(0, exported.size() / 2);
  CHECK(import(half.substr(0, half.rfind('\n') + 1)).exit == 0);
  const Run rest = import(exported);
  CHECK(rest.exit == 0);
  CHECK(rest.err.find("0 in conflict, 0 malformed") != std::string::npos);
  const Run again = import(exported);
  CHECK(again.exit == 0);
  CHECK(again.err.find("0 created, 21 unchanged") == 0);
  // All but the revisions, which count the writes of each store.
  const auto before = jsons_of(exported);
  const auto after = jsons_of(kept.run({"mapping", "export", "--mappings", "lmdb:other"}).out);
  REQUIRE(after.size() == before.size());
  for (std::size_t i = 0; i < after.size(); ++i) {
    Json expected = before[i];
    expected["revision"] = 1;
    CHECK(after[i] == expected);
  }
}

TEST_CASE("command mapping import: conflicts and malformed lines leave the store as it is") {
  const Kept kept;
  CHECK(kept.put("a", "us-1").exit == 0);
  const std::string input = R"({"key":"a","cell":"us-2"})"
                            "\n"
                            R"({"key":"b","cell":"us-2"})"
                            "\n"
                            R"({"key":"b","cell":"us-3"})"
                            "\n"
                            R"({"key":"c","cell":"us-3","colour":"red"})"
                            "\nnonsense\n"
                            R"({"key":"d","cell":"us-3","history":[[]]})"
                            "\n";
  const Run run = kept.mapping({"import", "--input", "-"}, input);
  CHECK(run.exit == 1);
  CHECK(run.err.find("1 created, 0 unchanged, 2 in conflict, 3 malformed") != std::string::npos);
  CHECK(run.err.find("standard input:5: ") != std::string::npos);
  CHECK(Json::parse(kept.mapping({"get", "a"}).out)["cell"] == "us-1");
  CHECK(Json::parse(kept.mapping({"get", "b"}).out)["cell"] == "us-2");
  CHECK(kept.mapping({"import", "--input", "absent"}).exit == 2);
}

TEST_CASE("command: stores that cannot be had are a bad configuration") {
  const Kept kept;
  for (const char* url : {"redis://host", "lmdb:", "nonsense", "lmdb:a/b/c"}) {
    CHECK(kept.run({"mapping", "list", "--mappings", url}).exit == 2);
    CHECK(kept.run({"route", "--topology", "t.yaml", "--mappings", url, "a"}).exit == 2);
  }
  CHECK(kept.run({"mapping", "list", "--mappings", "memory:"}).exit == 0);
  CHECK(kept.run({"mapping", "list"}).exit == 2);
  CHECK(kept.run({"mapping"}).exit == 2);
}

TEST_CASE("command route --state: the last good topology serves on") {
  const Kept kept;
  const auto route = [&](std::vector<std::string> more = {}) {
    std::vector<std::string> arguments{"route",  "--topology", "t.yaml",   "--state", "state",
                                       "--tier", "retail",     "--region", "us"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    arguments.push_back("a");
    return kept.run(arguments);
  };
  kept.write("t.yaml", small_topology("affinity: STATEFUL", "", 5));
  const Run first = route();
  CHECK(first.exit == 0);
  struct stat status {};
  REQUIRE(::stat((kept / "state").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0700);
  REQUIRE(::stat((kept / "state/topology.pb").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);

  const auto serves_on = [&](const std::string& topology, const std::string& why) {
    kept.write("t.yaml", topology);
    const Run run = route();
    CHECK(run.exit == 0);
    CHECK(run.out == first.out);
    CHECK(run.err.find(why) != std::string::npos);
    CHECK(run.err.find("generation 5, the last good one, serves on") != std::string::npos);
    CHECK(run.err.find("9182736455463728190") == std::string::npos);  // hash_seed is a secret
  };
  serves_on(small_topology("affinity: STATEFUL", "", 4), "is not newer than 5");
  serves_on(small_topology("affinity: STATELESS", "", 5), "is not newer than 5");
  serves_on(small_topology("affinity: STATEFUL", "weight: 50", 6), "% of the hash space");
  serves_on("generation: 7\ncells: []\n", "t.yaml");
  serves_on("{{{", "t.yaml");

  kept.write("t.yaml", small_topology("affinity: STATEFUL", "weight: 50", 6));
  CHECK(route({"--max-moved-percent", "60"}).err.find("serves on") == std::string::npos);
  CHECK(route().err.find("serves on") == std::string::npos);  // it is the last good one now
  kept.write("t.yaml", small_topology("affinity: STATEFUL", "", 5));
  CHECK(route().err.find("generation 6, the last good one, serves on") != std::string::npos);
}

TEST_CASE("command route --state: guards live on between runs") {
  const Kept kept("limits: [{per: KEY, kind: WINDOW, requests: 2, period: 60s}]");
  std::vector<std::string> statuses;
  for (int i = 0; i < 3; ++i) {
    const Run run =
        kept.run({"route", "--topology", "t.yaml", "--state", "state", "--limits", "--now",
                  "1700000000000000000", "--tier", "retail", "--region", "us", "a"});
    statuses.push_back(Json::parse(run.out)["status"]);
  }
  CHECK(statuses == std::vector<std::string>{"OK", "OK", "RATE_LIMITED"});
  kept.write("state/guards", std::string(4096, 'x'));
  const Run damaged = kept.run({"route", "--topology", "t.yaml", "--state", "state", "a"});
  CHECK(damaged.exit == 2);
  CHECK(damaged.err.find("state/guards") != std::string::npos);
}

TEST_CASE("command verify: proves, tells what is lost, and finds mappings to mend") {
  const Kept kept;
  const Run proven = kept.run({"verify", "--topology", "t.yaml"});
  CHECK(proven.exit == 0);
  CHECK(proven.out.find("proven: ") == 0);
  CHECK(proven.out.find("classes without a cell") != std::string::npos);
  CHECK(proven.out.find("retail in us: ") != std::string::npos);
  CHECK(kept.put("a", "us-3").exit == 0);
  const std::vector<std::string> arguments{"verify", "--topology", "t.yaml", "--mappings",
                                           kStore,   "--format",   "json"};
  const Run sound = kept.run(arguments);
  CHECK(sound.exit == 0);
  CHECK(Json::parse(sound.out)["mappings"]["records"] == 1);
  CHECK(kept.put("b", "gone").exit == 0);
  CHECK(kept.put("c", "us-2", {"--flag", "PII"}).exit == 0);
  const Run broken = kept.run(arguments);
  CHECK(broken.exit == 1);
  const Json json = Json::parse(broken.out);
  CHECK(json["proven"] == true);
  CHECK(json["mappings"]["unknown_cell"] == 1);
  CHECK(json["mappings"]["broken_flags"] == 1);
  CHECK(kept.run({"verify", "--topology", "absent.yaml"}).exit == 2);
}
