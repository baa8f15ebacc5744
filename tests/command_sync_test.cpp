// cellroute sync and mapping restore, and commands that read a mapping file, as their users see
// them.
#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "child_process.hpp"
#include "command_runner.hpp"

using cellroute::test::jsons_of;
using cellroute::test::read_file;
using cellroute::test::Run;
using cellroute::test::Workplace;

namespace {

constexpr const char* kTopology = R"(
generation: 1
hash_seed: 1
cells: [{id: a}, {id: b}, {id: c}]
policy: {affinity: STATEFUL, slots: 1024}
)";

struct Synced : Workplace {
  Synced() { write("topology.yaml", kTopology); }

  void put(const std::string& key, const std::string& cell) const {
    const Run run_put = run({"mapping", "put", key, "--cell", cell, "--mappings", "lmdb:store"});
    INFO(run_put.err);
    REQUIRE(run_put.exit == 0);
  }
  Run sync(std::vector<std::string> more = {"--once"}) const {
    std::vector<std::string> arguments{"sync", "--mappings", "lmdb:store", "--output", "base.crm"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments);
  }
  std::string routed(const std::string& key) const {
    const Run routed =
        run({"route", "--topology", "topology.yaml", "--mappings", "file:base.crm", "--", key});
    INFO(routed.err);
    REQUIRE(routed.exit == 0);
    const auto decision = jsons_of(routed.out).at(0);
    return decision["cell"].get<std::string>() + " " + decision["reason"].get<std::string>() + " " +
           std::to_string(decision["epoch"].get<int>());
  }
};

TEST_CASE("command sync --once: builds the file, then keeps what changed beside it") {
  const Synced here;
  for (int i = 0; i < 12; ++i) here.put("k" + std::to_string(i), i % 2 == 0 ? "a" : "b");
  Run ran = here.sync();
  CHECK(ran.exit == 0);
  CHECK(ran.err == "base.crm: generation 1, 12 keys, 0 changed since; 12 records read\n");
  CHECK(here.routed("k1") == "b MAPPED 1");
  here.put("k1", "c");
  ran = here.sync();
  CHECK(ran.err == "base.crm: generation 1, 12 keys, 1 changed since; 1 records read\n");
  CHECK(here.routed("k1") == "c MAPPED 2");
  CHECK(here.routed("k2") == "a MAPPED 1");
  CHECK(here.routed("nobody").find(" PLACED 0") != std::string::npos);
  const Run got = here.run({"mapping", "get", "k1", "--mappings", "file:base.crm"});
  CHECK(got.exit == 0);
  CHECK(jsons_of(got.out).at(0)["cell"] == "c");
  const Run listed = here.run({"mapping", "list", "--mappings", "file:base.crm"});
  CHECK(listed.exit == 2);
  CHECK(listed.err.find("a mapping file answers look-ups alone") != std::string::npos);
}

TEST_CASE("command sync: follows until it is told to stop, through a store that comes late") {
  const Synced here;
  here.put("k", "a");
  std::filesystem::rename(here / "store", here / "away");
  cellroute::testing::Child following([&] {
    const std::string log = (here / "sync.err").string();
    const int file = ::open(log.c_str(), O_WRONLY | O_CREAT, 0600);
    if (file < 0 || ::dup2(file, STDERR_FILENO) < 0) return 1;
    if (::chdir((here / ".").c_str()) != 0) return 1;
    ::execl(CELLROUTE_COMMAND, "cellroute", "sync", "--mappings", "lmdb:store", "--output",
            "base.crm", "--every", "0.02", nullptr);
    return 1;
  });
  // Bounded by how long tests may take in all; a machine that is busy only makes it longer.
  const auto wait_for = [](const auto& done) {
    for (int i = 0; i < 2'000 && !done(); ++i) ::usleep(20'000);
    REQUIRE(done());
  };
  const auto log = [&] { return read_file(here / "sync.err"); };
  wait_for([&] { return !log().empty(); });
  CHECK(log().find("store") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(here / "base.crm"));
  std::filesystem::rename(here / "away", here / "store");
  wait_for([&] { return std::filesystem::exists(here / "base.crm.changes"); });
  here.put("k", "b");
  wait_for([&] { return here.routed("k") == "b MAPPED 2"; });
  REQUIRE(::kill(following.process(), SIGTERM) == 0);
  CHECK(following.wait() == 0);
  CHECK(log().find("base.crm: generation 1, 1 keys") != std::string::npos);
}

TEST_CASE("command mapping restore: after a backup was put back") {
  const Synced here;
  here.put("k", "a");
  here.put("other", "a");
  std::filesystem::copy(here / "store", here / "backup");
  REQUIRE(here.sync().exit == 0);
  here.put("k", "b");
  REQUIRE(here.sync().exit == 0);
  std::filesystem::remove_all(here / "store");
  std::filesystem::rename(here / "backup", here / "store");
  const Run refused = here.sync();
  CHECK(refused.exit == 2);
  CHECK(refused.err.find("the store is behind base.crm") != std::string::npos);
  CHECK(here.routed("k") == "b MAPPED 2");
  const auto restore = [&](bool dry) {
    std::vector<std::string> arguments{"mapping",    "restore", "--mappings",
                                       "lmdb:store", "--base",  "base.crm"};
    if (dry) arguments.push_back("--dry-run");
    return here.run(arguments);
  };
  CHECK(restore(true).err ==
        "2 records; 1 are behind, 0 to be made again, 0 conflicts, 0 missing, 0 not in the file\n");
  const Run restored = restore(false);
  CHECK(restored.exit == 0);
  CHECK(restored.err ==
        "2 records; 1 were behind and are raised, 0 made again, 0 conflicts, "
        "0 missing, 0 not in the file\n");
  // The feed has come to where sync stood, by another change: it has a new identity.
  const Run synced = here.sync();
  REQUIRE(synced.exit == 0);
  CHECK(here.routed("k") == "b MAPPED 3");
}

}  // namespace
