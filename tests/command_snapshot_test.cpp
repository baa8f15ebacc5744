// cellroute snapshot: build, info, verify, as their users see them.
#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "cellroute/mapping_file.hpp"
#include "command_runner.hpp"

using cellroute::Answer;
using cellroute::FileAnswer;
using cellroute::MappingFile;
using cellroute::test::read_file;
using cellroute::test::Run;
using cellroute::test::Workplace;
using Json = nlohmann::ordered_json;

namespace {

struct Snapshots : Workplace {
  Run build(std::vector<std::string> more, const std::string& input = {}) const {
    std::vector<std::string> arguments{"snapshot", "build", "--output", "base.crm"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments, input);
  }
  Json info(const std::string& file = "base.crm") const {
    return Json::parse(run({"snapshot", "info", file}).out);
  }
  // The cell and epoch that the file has for the key.
  std::string found(const std::string& key) const {
    const auto file = MappingFile::open((*this / "base.crm").string());
    REQUIRE(file.ok());
    const FileAnswer answer = (*file)->find(key);
    if (answer.answer != Answer::kFound) return "absent";
    return (*file)->cells()[answer.cell] + " " + std::to_string(answer.epoch);
  }
};

}  // namespace

TEST_CASE("command snapshot build: from a store, and from what it exports") {
  const Snapshots here;
  for (int i = 0; i < 20; ++i) {
    const std::string key = "tenant-" + std::to_string(i);
    REQUIRE(here.run({"mapping", "put", key, "--cell", i % 2 == 0 ? "a" : "b", "--mappings",
                      "lmdb:store", "--tier", "retail"})
                .exit == 0);
  }
  REQUIRE(
      here.run({"mapping", "put", "tenant-3", "--cell", "c", "--mappings", "lmdb:store"}).exit ==
      0);
  const Run built = here.build({"--mappings", "lmdb:store", "--seed", "5"});
  CHECK(built.exit == 0);
  CHECK_THAT(built.err, Catch::StartsWith("20 keys, 1 of them kept aside, in "));
  CHECK(here.found("tenant-2") == "a 1");
  CHECK(here.found("tenant-3") == "c 2");
  CHECK(here.found("tenant-20") == "absent");
  const Json info = here.info();
  CHECK(info["keys"] == 20);
  CHECK(info["generation"] == 1);
  CHECK(info["feeds"][0]["feed"] == "lmdb:store");

  here.write("export.jsonl", here.run({"mapping", "export", "--mappings", "lmdb:store"}).out);
  REQUIRE(here.build({"--input", "export.jsonl", "--seed", "5"}).exit == 0);
  CHECK(here.found("tenant-3") == "c 2");
  CHECK(here.info()["generation"] == 2);
  CHECK(here.info()["feeds"].empty());
}

TEST_CASE("command snapshot build: CSV, with every column") {
  const Snapshots here;
  here.write("m.csv",
             "key,cell,epoch,tier,flags,note\n"
             "alice,us-1,,retail,EU|PII,x\n"
             "\"bo\"\"b\",us-2,0,,,\n"
             "carol,us-1,7,hnw,,\n");
  REQUIRE(here.build({"--input", "m.csv", "--generation", "41"}).exit == 0);
  CHECK(here.found("alice") == "us-1 1");
  CHECK(here.found("bo\"b") == "us-2 0");
  CHECK(here.found("carol") == "us-1 7");
  CHECK(here.info()["generation"] == 41);
  CHECK(here.info()["profiles"] == 3);
  REQUIRE(here.build({"--input", "-", "--format", "csv"}, "key,cell\nalice,z\n").exit == 0);
  CHECK(here.found("alice") == "z 1");
  REQUIRE(here.build({"--input", "-"}, "{\"key\":\"alice\",\"cell\":\"y\",\"epoch\":3}\n").exit ==
          0);
  CHECK(here.found("alice") == "y 3");
  CHECK(here.info()["generation"] == 43);
}

TEST_CASE("command snapshot build: equal records and seed give equal files, no seed another") {
  const Snapshots here;
  const std::string input = "key,cell\na,x\nb,y\nc,z\n";
  const std::vector<std::string> seeded{"--input",      "-", "--format", "csv",
                                        "--generation", "1", "--seed",   "99"};
  REQUIRE(here.build(seeded, input).exit == 0);
  const std::string first = read_file(here / "base.crm");
  REQUIRE(here.build(seeded, "key,cell\nc,z\nb,y\na,x\n").exit == 0);
  CHECK(read_file(here / "base.crm") == first);
  REQUIRE(here.build({"--input", "-", "--format", "csv", "--generation", "1"}, input).exit == 0);
  CHECK(read_file(here / "base.crm") != first);
}

TEST_CASE("command snapshot build: a line that is no mapping ends it, and the old file stays") {
  const Snapshots here;
  REQUIRE(here.build({"--input", "-", "--format", "csv"}, "key,cell\nold,x\n").exit == 0);
  const std::string before = read_file(here / "base.crm");
  const auto refused = [&](const std::string& name, const std::string& input,
                           const std::string& text) {
    here.write(name, input);
    const Run run = here.build({"--input", name});
    CHECK(run.exit == 2);
    CHECK_THAT(run.err, Catch::Contains(text));
    CHECK(read_file(here / "base.crm") == before);
    CHECK_FALSE(std::filesystem::exists(here / "base.crm.new"));
  };
  refused("a.csv", "key,cell\na,x\nb\n", "a.csv:3: the row has more or fewer fields");
  refused("b.csv", "key,cell\na,\n", "b.csv:2: the cell is not");
  refused("c.csv", "key,cell,epoch\na,x,-1\n", "c.csv:2: epoch must be an integer");
  refused("d.csv", "key,cell\na,x\nb,x\na,y\n", "d.csv: records 2 and 4 both map key \"a\"");
  refused("e.csv", "name,cell\na,x\n", "no column is called key");
  refused("f.jsonl", "{\"key\":\"a\",\"cell\":\"x\"}\n{\"key\":\"a\"\n",
          "f.jsonl:2: the line is not JSON");
  refused("g.jsonl", "{\"key\":\"a\",\"cell\":\"x\",\"flag\":1}\n",
          "g.jsonl:1: a field is unknown");
  CHECK(here.build({"--input", "missing.csv"}).exit == 2);
  CHECK(here.build({"--mappings", "lmdb:missing"}).exit == 2);
  CHECK(here.build({}).exit == 2);
  CHECK(here.build({"--input", "a.csv", "--mappings", "memory:"}).exit == 2);
}

TEST_CASE("command snapshot info and verify: sound, damaged, missing") {
  const Snapshots here;
  REQUIRE(here.build({"--input", "-", "--format", "csv"}, "key,cell\na,x\nb,y\n").exit == 0);
  const Run text = here.run({"snapshot", "info", "base.crm", "--format", "text"});
  CHECK(text.exit == 0);
  CHECK_THAT(text.out, Catch::Contains("2 keys, 0 of them kept aside; 2 cells, 1 profiles"));
  CHECK_THAT(text.out, Catch::Contains("is found by mistake once in "));
  const Json info = here.info();
  CHECK(info["identity_bits"] >= 60.0);
  CHECK(info["wrong_hit_odds"] > 0.0);
  CHECK(info["wrong_hit_odds"] < 1e-16);
  const Run sound = here.run({"snapshot", "verify", "base.crm"});
  CHECK(sound.exit == 0);
  CHECK_THAT(sound.err, Catch::StartsWith("base.crm: sound; 2 keys"));

  std::string bytes = read_file(here / "base.crm");
  bytes[300] = static_cast<char>(bytes[300] ^ 4);
  here.write("damaged.crm", bytes);
  const Run damaged = here.run({"snapshot", "verify", "damaged.crm"});
  CHECK(damaged.exit == 1);
  CHECK_THAT(damaged.err, Catch::Contains("damaged.crm: bytes 256 to "));
  CHECK(here.run({"snapshot", "info", "damaged.crm"}).exit == 2);
  CHECK(here.run({"snapshot", "verify", "missing.crm"}).exit == 2);
  CHECK(here.run({"snapshot", "verify"}).exit == 2);
  // Over a damaged file nobody knows which generation is newer.
  here.write("base.crm", bytes);
  const Run over = here.build({"--input", "-", "--format", "csv"}, "key,cell\na,x\n");
  CHECK(over.exit == 2);
  CHECK_THAT(over.err, Catch::Contains("--generation"));
  CHECK(here.build({"--input", "-", "--format", "csv", "--generation", "9"}, "key,cell\na,x\n")
            .exit == 0);
}
