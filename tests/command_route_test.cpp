// cellroute route, explain, validate: what goes in, what comes out, and how it ends.
#include <catch2/catch.hpp>
#include <cstdint>
#include <map>
#include <string>

#include "cellroute/hash.hpp"
#include "command_runner.hpp"

using cellroute::test::jsons_of;
using cellroute::test::lines_of;
using cellroute::test::read_file;
using cellroute::test::Run;
using cellroute::test::small_topology;
using cellroute::test::Workplace;
using Json = nlohmann::ordered_json;

namespace {

const std::string kLine = R"({"key":"a","tier":"retail","region":"us"})";

// A workplace with the small topology.
struct Small : Workplace {
  explicit Small(const std::string& policy = "affinity: STATEFUL") {
    write("t.yaml", small_topology(policy));
  }
  Run route(const std::string& input, std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments{"route", "--topology", "t.yaml", "--input", "-"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments, input);
  }
  std::vector<Json> decisions(const std::string& input, std::vector<std::string> more = {}) const {
    return jsons_of(route(input, std::move(more)).out);
  }
};

std::string reason_of(const Small& small, const std::string& line) {
  const auto decisions = small.decisions(line + "\n");
  REQUIRE(decisions.size() == 1);
  return decisions[0]["reason"];
}

}  // namespace

TEST_CASE("command: help and version end well, a wrong use ends with 2") {
  Workplace place;
  CHECK(place.run({"--help"}).exit == 0);
  CHECK(place.run({"route", "--help"}).exit == 0);
  const Run version = place.run({"--version"});
  CHECK(version.exit == 0);
  CHECK(version.out.starts_with("cellroute "));
  CHECK(place.run({}).exit == 2);
  CHECK(place.run({"no-such-command"}).exit == 2);
  CHECK(place.run({"route", "--no-such-option"}).exit == 2);
  CHECK(place.run({"route", "--topology", "absent.yaml", "key"}).exit == 2);
  place.write("t.yaml", small_topology());
  CHECK(place.run({"route", "--topology", "t.yaml"}).exit == 2);
  CHECK(place.run({"route", "--topology", "t.yaml", "--input", "absent.jsonl"}).exit == 2);
  CHECK(place.run({"route", "--topology", "t.yaml", "--input", "t.yaml"}).exit == 2);
  CHECK(place.run({"route", "--topology", "t.yaml", "--input", "-", "key"}).exit == 2);
}

TEST_CASE("command validate: says what is sound, and every problem with its place") {
  Workplace place;
  place.write("good.yaml", small_topology());
  const Run good = place.run({"validate", "--topology", "good.yaml"});
  CHECK(good.exit == 0);
  CHECK(good.out.find("good.yaml: valid: generation 1, 6 cells, 2 tiers, 2 regions") == 0);
  CHECK(good.out.find("6840743513105534701") == std::string::npos);
  place.write("bad.yaml", small_topology("affinity: STATEFUL\n  strategy: best", "state: ASLEEP"));
  const Run bad = place.run({"validate", "--topology", "good.yaml", "bad.yaml"});
  CHECK(bad.exit == 2);
  CHECK(bad.out.find("good.yaml: valid") == 0);
  CHECK(bad.err.find("bad.yaml:8:") != std::string::npos);
  CHECK(bad.err.find("strategy") != std::string::npos);
}

TEST_CASE("command route: prints exactly these fields, in this order") {
  const Small small;
  const Run run = small.route(kLine + "\n");
  CHECK(run.exit == 0);
  REQUIRE(lines_of(run.out).size() == 1);
  std::vector<std::string> names;
  const Json decision = Json::parse(run.out);
  for (const auto& [name, value] : decision.items()) names.push_back(name);
  CHECK(names == std::vector<std::string>{"key", "status", "cell", "endpoint", "reason", "epoch",
                                          "retry_after_ms"});
  CHECK(decision["key"] == "a");
  CHECK(decision["status"] == "OK");
  CHECK(decision["reason"] == "PLACED");
  CHECK(decision["epoch"] == 0);
  CHECK(decision["retry_after_ms"] == 0);
  const std::string cell = decision["cell"];
  CHECK(decision["endpoint"] == "https://" + cell + ".example.com");
  CHECK(run.err.find("1 key in ") != std::string::npos);
  CHECK(run.err.find(cell) != std::string::npos);
}

TEST_CASE("command route: an endpoint by resource") {
  const Small small;
  std::map<std::string, std::string> endpoints;
  for (int i = 0; i < 50; ++i) {
    const auto decisions =
        small.decisions(R"({"key":")" + std::to_string(i) +
                        R"(","tier":"retail","region":"us","resource":"orders"})");
    endpoints[decisions[0]["cell"]] = decisions[0]["endpoint"];
  }
  CHECK(endpoints["us-2"] == "https://orders.us-2.example.com");
  CHECK(endpoints["us-3"] == "https://us-3.example.com");
}

TEST_CASE("command route: what is unknown or out of bounds is refused with its reason") {
  const Small small;
  CHECK(reason_of(small, R"({"key":"a","tier":"gold","region":"us"})") == "TIER_UNKNOWN");
  CHECK(reason_of(small, R"({"key":"a","region":"us"})") == "TIER_MISSING");
  CHECK(reason_of(small, R"({"key":"a","tier":"retail","region":"mars"})") == "REGION_UNKNOWN");
  CHECK(reason_of(small, R"({"key":"a","tier":"retail"})") == "REGION_MISSING");
  CHECK(reason_of(small, R"({"key":"a","tier":"retail","region":"us","flags":["X"]})") ==
        "FLAG_UNKNOWN");
  CHECK(reason_of(small, R"({"key":"","tier":"retail","region":"us"})") == "KEY_EMPTY");
  CHECK(reason_of(small, R"({"key":")" + std::string(1025, 'k') +
                             R"(","tier":"retail","region":"us"})") == "KEY_TOO_LONG");
  CHECK(reason_of(small, R"({"key":")" + std::string(1024, 'k') +
                             R"(","tier":"retail","region":"us"})") == "PLACED");
  CHECK(reason_of(small, R"({"key":"a","tier":"retail","region":"us","risk":1.5})") ==
        "RISK_OUT_OF_RANGE");
  CHECK(reason_of(small, R"({"key":"a","tier":"private","region":"us"})") == "PLACED");
  const auto csv = small.decisions("key,tier,region,risk\na,retail,us,nan\n", {"--format", "csv"});
  CHECK(csv[0]["reason"] == "RISK_NOT_FINITE");
  CHECK(csv[0]["status"] == "INVALID_ARGUMENT");
}

TEST_CASE("command route: constraints filter before the choice") {
  const Small small;
  auto decisions = small.decisions(R"({"key":"a","tier":"retail","region":"us","flags":["PII"]})");
  CHECK(decisions[0]["cell"] == "vault");
  const Run none = small.route(R"({"key":"a","tier":"retail","region":"us","flags":["EU"]})");
  CHECK(none.exit == 1);
  decisions = jsons_of(none.out);
  CHECK(decisions[0]["status"] == "NO_ELIGIBLE_CELL");
  CHECK(decisions[0]["cell"].is_null());
  CHECK(decisions[0]["endpoint"].is_null());
  decisions = small.decisions(R"({"key":"a","tier":"retail","region":"eu","flags":["EU"]})");
  CHECK(decisions[0]["cell"] == "eu-1");
}

TEST_CASE("command route: a malformed line is answered with its number and stops nothing") {
  const Small small;
  const std::string input = "\xef\xbb\xbf" + kLine + "\r\n" + "{\"key\":\n" + "\n  \n" +
                            std::string("\x00\xff\x01 binary", 10) + "\n" + "[1]\n" +
                            R"({"key":"a","key":"b"})" + "\n" + R"({"key":7})" + "\n" +
                            R"({"tier":"retail"})" + "\n" + kLine + " trailing\n" + kLine;
  const Run run = small.route(input);
  CHECK(run.exit == 1);
  const auto decisions = jsons_of(run.out);
  REQUIRE(decisions.size() == 9);
  CHECK(decisions[0]["key"] == "a");
  CHECK(decisions[8]["key"] == "a");
  const std::uint64_t numbers[] = {2, 5, 6, 7, 8, 9, 10};
  for (std::size_t i = 0; i < 7; ++i) {
    const Json& decision = decisions[i + 1];
    CHECK(decision["key"].is_null());
    CHECK(decision["status"] == "INVALID_ARGUMENT");
    CHECK(decision["reason"] == "MALFORMED_INPUT");
    CHECK(decision["line"] == numbers[i]);
  }
  CHECK(run.err.find("standard input:2: ") != std::string::npos);
}

TEST_CASE("command route: lines over 1 MiB are answered, and the next one is read") {
  const Small small;
  const std::string longest = R"({"key":"a","tier":"retail","region":"us","x":")";
  const std::string fits = longest + std::string((1 << 20) - longest.size() - 2, 'x') + "\"}";
  const std::string over = longest + std::string(3 << 20, 'x') + "\"}";
  const auto decisions = small.decisions(fits + "\n" + over + "\n" + kLine + "\n" + over);
  REQUIRE(decisions.size() == 4);
  CHECK(decisions[0]["status"] == "OK");
  CHECK(decisions[1]["line"] == 2);
  CHECK(decisions[2]["status"] == "OK");
  CHECK(decisions[3]["line"] == 4);
}

TEST_CASE("command route --strict: stops at the first malformed line and names it") {
  const Small small;
  const Run run = small.route(kLine + "\nnonsense\n" + kLine + "\n", {"--strict"});
  CHECK(run.exit == 2);
  CHECK(jsons_of(run.out).size() == 1);
  CHECK(run.err.find("standard input:2: ") != std::string::npos);
}

TEST_CASE("command route: keys of any bytes go in and out by base 64") {
  const Small small;
  const auto decisions = small.decisions(R"({"key_base64":"AAH/","tier":"retail","region":"us"})"
                                         "\n"
                                         R"({"key_base64":"YQ==","tier":"retail","region":"us"})"
                                         "\n"
                                         R"({"key":"a\u0000b\n\"","tier":"retail","region":"us"})"
                                         "\n"
                                         R"({"key_base64":"YQ","tier":"retail","region":"us"})");
  REQUIRE(decisions.size() == 4);
  CHECK(decisions[0]["key_base64"] == "AAH/");
  CHECK_FALSE(decisions[0].contains("key"));
  CHECK(decisions[1]["key"] == "a");
  CHECK(decisions[2]["key"] == std::string("a\0b\n\"", 5));
  CHECK(decisions[3]["reason"] == "MALFORMED_INPUT");
  CHECK(small.decisions(kLine)[0]["cell"] == decisions[1]["cell"]);
}

TEST_CASE("command route: CSV, JSON lines and arguments give the same answers") {
  const Small small;
  std::string json, csv = "region,ignored,flags,key,risk,tier\r\n";
  for (int i = 0; i < 300; ++i) {
    const std::string key = "key \"" + std::to_string(i) + "\", no. 1";
    json += Json{{"key", key},
                 {"tier", "retail"},
                 {"region", "us"},
                 {"risk", 0.5},
                 {"flags", i % 3 == 0 ? Json::array({"PII"}) : Json::array()}}
                .dump() +
            "\n";
    csv += "us,\"multi\nline\"," + std::string(i % 3 == 0 ? "PII" : "") + ",\"key \"\"" +
           std::to_string(i) + "\"\", no. 1\",0.5,retail\r\n";
  }
  const Run from_json = small.route(json);
  const Run from_csv = small.route(csv, {"--format", "csv"});
  CHECK(from_json.exit == 0);
  CHECK(from_json.out == from_csv.out);
  small.write("in.csv", csv);
  CHECK(small.run({"route", "--topology", "t.yaml", "--input", "in.csv"}).out == from_json.out);
  const Run one = small.run(
      {"route", "--topology", "t.yaml", "--tier", "retail", "--region", "us", "key \"1\", no. 1"});
  CHECK(one.out == lines_of(from_json.out)[1] + "\n");
}

TEST_CASE("command route: CSV rows that do not fit are answered one by one") {
  const Small small;
  const Run run = small.route(
      "key,tier,region\n"
      "a,retail,us\n"
      "b,retail\n"
      "c\"c,retail,us\n"
      "\"d\"d,retail,us\n"
      "\n"
      "e,retail,us\n"
      "\"never closed,retail,us\n"
      "f,retail,us\n",
      {"--format", "csv"});
  const auto decisions = jsons_of(run.out);
  REQUIRE(decisions.size() == 7);
  std::vector<Json> lines;
  for (const Json& decision : decisions) {
    lines.push_back(decision.contains("line") ? decision["line"] : decision["key"]);
  }
  CHECK(lines == std::vector<Json>{"a", 3, 4, 5, "e", 8, "f"});
  CHECK(small.route("tier,region\nretail,us\n", {"--format", "csv"}).exit == 2);
  CHECK(small.route("key,key\na,b\n", {"--format", "csv"}).exit == 2);
  CHECK(small.route("", {"--format", "csv"}).exit == 2);
}

TEST_CASE("command route: bare keys, any of them") {
  const Small small;
  const std::vector<std::string> base{"route",  "--topology", "t.yaml", "--tier",
                                      "retail", "--region",   "us"};
  auto arguments = base;
  const std::vector<std::string> keys{"a",   "[b,c]", "",   "route", "{}",
                                      "d e", "-",     "--", "-f",    "--"};
  arguments.insert(arguments.end(), keys.begin(), keys.end());
  const auto decisions = jsons_of(small.run(arguments).out);
  REQUIRE(decisions.size() == 9);
  for (std::size_t i = 0; i < 9; ++i) CHECK(decisions[i]["key"] == keys[i < 7 ? i : i + 1]);
  CHECK(decisions[2]["reason"] == "KEY_EMPTY");
  arguments = base;
  arguments.insert(arguments.end(), {"a", "-f"});
  CHECK(small.run(arguments).exit == 2);
  CHECK(decisions[0]["cell"] == small.decisions(kLine)[0]["cell"]);
  arguments = base;
  arguments.insert(arguments.end(), {"--flag", "PII", "a", "b"});
  const auto flagged = jsons_of(small.run(arguments).out);
  REQUIRE(flagged.size() == 2);
  CHECK(flagged[1]["cell"] == "vault");
  CHECK(small.run({"validate", "--topology", "t.yaml", "--", "a"}).exit == 2);
  const auto lines =
      small.decisions("a\nd e\n", {"--format", "keys", "--tier", "retail", "--region", "us"});
  REQUIRE(lines.size() == 2);
  CHECK(lines[1]["key"] == "d e");
}

TEST_CASE("command route --format: words of both sides, and no side twice") {
  const Small small;
  const Run text =
      small.route("key,tier,region\na,retail,us\n", {"--format", "csv", "--format", "text"});
  CHECK(text.exit == 0);
  CHECK(text.out.starts_with("a  OK  us-"));
  CHECK(small.route(kLine, {"--input-format", "jsonl", "--format", "json"}).exit == 0);
  CHECK(small.route(kLine, {"--format", "json", "--format", "text"}).exit == 2);
  CHECK(small.route(kLine, {"--format", "csv", "--format", "jsonl"}).exit == 2);
  CHECK(small.route(kLine, {"--format", "xml"}).exit == 2);
}

TEST_CASE("command route: a sick cell fails its own keys alone, and says when to come back") {
  const Small small;
  std::string input;
  for (int i = 0; i < 200; ++i) {
    input += R"({"key":")" + std::to_string(i) + R"(","tier":"retail","region":"us"})" + "\n";
  }
  const auto healthy = small.decisions(input);
  small.write("t.yaml", small_topology("affinity: STATEFUL", "health: UNHEALTHY"));
  const auto sick = small.decisions(input);
  REQUIRE(sick.size() == healthy.size());
  int failed = 0;
  for (std::size_t i = 0; i < sick.size(); ++i) {
    CHECK(sick[i]["cell"] == healthy[i]["cell"]);
    const bool hurt = healthy[i]["cell"] == "us-1";
    CHECK(sick[i]["status"] == (hurt ? "UNAVAILABLE" : "OK"));
    if (!hurt) continue;
    ++failed;
    CHECK(sick[i]["retry_after_ms"] > 0);
    CHECK(sick[i]["endpoint"].is_null());
  }
  CHECK(failed > 20);
}

TEST_CASE("command route --limits: a window holds in the input's own time") {
  const Small small("limits: [{per: KEY, kind: WINDOW, requests: 2, period: 60s}]");
  std::string input;
  for (const std::int64_t seconds : {0, 1, 2, 3, 200}) {
    input += R"({"key":"a","tier":"retail","region":"us","at_ns":)" +
             std::to_string((1'700'000'000 + seconds) * 1'000'000'000) + "}\n";
  }
  const auto limited = small.decisions(input, {"--limits"});
  CHECK(limited[0]["status"] == "OK");
  CHECK(limited[1]["status"] == "OK");
  CHECK(limited[2]["status"] == "RATE_LIMITED");
  CHECK(limited[2]["reason"] == "KEY_LIMIT");
  CHECK(limited[2]["retry_after_ms"] > 0);
  CHECK(limited[3]["status"] == "RATE_LIMITED");
  CHECK(limited[4]["status"] == "OK");
  for (const Json& decision : small.decisions(input)) CHECK(decision["status"] == "OK");
  const std::string same = kLine + "\n" + kLine + "\n" + kLine + "\n";
  const auto at_once = small.decisions(same, {"--limits", "--now", "1700000000000000000"});
  CHECK(at_once[1]["status"] == "OK");
  CHECK(at_once[2]["status"] == "RATE_LIMITED");
}

TEST_CASE("command route: policy ASSIGN proposes, REJECT does not") {
  auto decisions = Small("unassigned: ASSIGN").decisions(kLine);
  CHECK(decisions[0]["status"] == "UNASSIGNED");
  CHECK(decisions[0]["reason"] == "AWAITS_ASSIGNMENT");
  CHECK(decisions[0]["cell"] == Small().decisions(kLine)[0]["cell"]);
  CHECK(decisions[0]["endpoint"].is_null());
  decisions = Small("unassigned: REJECT").decisions(kLine);
  CHECK(decisions[0]["reason"] == "UNASSIGNED_REJECTED");
  CHECK(decisions[0]["cell"].is_null());
}

TEST_CASE("command route: a full disk is an error, a reader that leaves is none") {
  const Small small;
  const std::string command(CELLROUTE_COMMAND);
  const std::string arguments = " route --topology t.yaml --input in.jsonl ";
  std::string input;
  for (int i = 0; i < 20'000; ++i) input += kLine + "\n";
  small.write("in.jsonl", input);
  const Run full = small.run_program({"/bin/sh", "-c", command + arguments + ">/dev/full"}, "");
  CHECK(full.exit == 2);
  CHECK(full.err.find("standard output: ") != std::string::npos);
  const Run left = small.run_program(
      {"/bin/bash", "-c",
       "set -o pipefail; " + command + arguments + "2>err | head -n 1 >/dev/null"},
      "");
  CHECK((left.exit == 141 || left.exit == 2));
  CHECK(read_file(small / "err").empty());
}

TEST_CASE("command explain: tells the derivation and changes nothing") {
  const Small small;
  const std::vector<std::string> arguments{"explain",  "--topology", "t.yaml", "--tier", "retail",
                                           "--region", "us",         "--flag", "PII",    "a"};
  const Run first = small.run(arguments);
  CHECK(first.exit == 0);
  const Json json = Json::parse(first.out);
  CHECK(json["cell"] == "vault");
  CHECK(json["status"] == "OK");
  CHECK(json["steps"].size() >= 5);
  CHECK(first.out.find("FedRAMP") != std::string::npos);
  CHECK(small.run(arguments).out == first.out);
  auto text = arguments;
  text.insert(text.end(), {"--format", "text"});
  CHECK(small.run(text).out.find("a: OK, vault\n") == 0);
  const Run line = small.run({"explain", "--topology", "t.yaml", "--input", "-"},
                             R"({"key":"a","tier":"nope","region":"us"})");
  CHECK(line.exit == 1);
  CHECK(Json::parse(line.out)["reason"] == "TIER_UNKNOWN");
  CHECK(small.run({"explain", "--topology", "absent.yaml", "a"}).exit == 2);
}

TEST_CASE("command route: 100,000 customers of the financial example, as ever") {
  Workplace place;
  const std::string topology = CELLROUTE_SOURCE_DIR "/examples/financial/topology.yaml";
  const Run customers = place.run_program({CELLROUTE_CUSTOMERS}, "");
  REQUIRE(customers.exit == 0);
  REQUIRE(lines_of(customers.out).size() == 100'000);
  // These three change only if the generator, the topology or a placement does; a placement must
  // not under the name of its strategy.
  CHECK(cellroute::hash_bytes(0, customers.out) == 0xb284853238829f86);
  const Run routed = place.run({"route", "--topology", topology, "--input", "-"}, customers.out);
  CHECK(routed.exit == 1);
  CHECK(cellroute::hash_bytes(0, routed.out) == 0x62820deb731d308e);
  std::map<std::string, int> statuses;
  for (const Json& decision : jsons_of(routed.out)) ++statuses[decision["status"]];
  CHECK(statuses == std::map<std::string, int>{{"OK", 99'501}, {"NO_ELIGIBLE_CELL", 499}});
}
