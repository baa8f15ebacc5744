// Placements, pinned. A red line here means that keys of running deployments would change their
// cell: the change needs a new name of the strategy (`jump.v2`), never new values here. It is the
// same for the two compilers, and for -O0 and -O3.
#include <catch2/catch.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "cellroute/strategy/picker.hpp"
#include "strategy_pool.hpp"

namespace cellroute {
namespace {

using test::Pool;

constexpr std::uint64_t kSeed = 6840743513105534701;

// Six hosts; the names serve the ketama rings, and as ids.
Pool six_hosts(bool weighted) {
  Pool pool;
  const char* const ids[] = {"10.0.0.1:11211", "10.0.0.2:11211", "10.0.0.3:8080",
                             "cache-a:11212",  "cache-b",        "zeta.example.com"};
  const std::uint32_t weights[] = {1000, 2000, 3000, 1000, 5000, 4000};
  for (int i = 0; i < 6; ++i) pool.add(ids[i], weighted ? weights[i] : kUnitWeight);
  return pool;
}

Picker build(StrategyKind kind, const Pool& pool, std::uint32_t slots = 65'536) {
  StrategyOptions options;
  options.seed = kSeed;
  options.slots = slots;
  auto picker = Picker::build(kind, pool.members(), options);
  REQUIRE(picker.ok());
  return std::move(*picker);
}

CellIndex place(const Picker& picker, const std::string& key) {
  return picker.pick(Picker::point(picker.kind(), key, hash_bytes(kSeed, key)));
}

// The cells of "key-0" … "key-19", a digit each.
std::string first_twenty(const Picker& picker) {
  std::string cells;
  for (int i = 0; i < 20; ++i) cells += std::to_string(place(picker, "key-" + std::to_string(i)));
  return cells;
}

// Of a million placements, in order.
std::uint64_t digest(const Picker& picker) {
  std::uint64_t digest = 0;
  for (int i = 0; i < 1'000'000; ++i) {
    digest = mix(digest ^ place(picker, "key-" + std::to_string(i)));
  }
  return digest;
}

struct Golden {
  const char* strategy;
  bool weighted;
  const char* cells;
  std::uint64_t digest;
};

constexpr Golden kGolden[] = {
    {"rendezvous-slots", false, "41535245252150413521", 0x61df8bb3e0a59ecf},
    {"rendezvous", false, "02130113121421152401", 0x638b3f340cb7733a},
    {"ring", false, "25245435041331052321", 0xddc438b549c25b8a},
    {"maglev", false, "05455504234030023343", 0x56db908ac56f6c9b},
    {"ketama", false, "21033055251020332201", 0x27919a72293b4fc6},
    {"ketama-nginx", false, "15434455233042511504", 0x3e487fa59267f219},
    {"jump", false, "10332325451135511511", 0x379a17383f0235a3},
    {"modulo", false, "11054013534550505214", 0x292f4962d956b9e2},
    {"md5-modulo", false, "12041125134424214430", 0xe309043f94b289ae},
    {"rendezvous-slots", true, "41554245252150412522", 0xfe1f72954a0942c4},
    {"rendezvous", true, "02430114121421152401", 0x174663941a72e440},
    {"ring", true, "41245454452521425221", 0x12c2104cd0956caf},
    {"maglev", true, "45455504544044522443", 0xa2ca4157880b8979},
    {"ketama", true, "21144355254020112201", 0xfa478d17a9a95f46},
    {"ketama-nginx", true, "45434445521541211504", 0xf78534b2c5ee0c87},
};

TEST_CASE("every strategy places a million keys over six hosts as it always has") {
  for (const Golden& golden : kGolden) {
    INFO(golden.strategy << (golden.weighted ? ", weighted" : ", equal weights"));
    const auto kind = parse_strategy(golden.strategy);
    REQUIRE(kind.ok());
    const Picker picker = build(*kind, six_hosts(golden.weighted));
    CHECK(first_twenty(picker) == golden.cells);
    CHECK(digest(picker) == golden.digest);
  }
}

// Many cells reach what six do not: a weight of its own for each, ring buckets with several
// points, jump's rounding.
Pool many_cells() {
  Pool pool = Pool::of(1'000);
  for (std::size_t i = 0; i < 1'000; ++i) {
    pool.members()[i].weight = static_cast<std::uint32_t>(1 + 7 * i % 3'000);
  }
  return pool;
}

std::uint64_t sparse_digest(const Picker& picker) {
  std::uint64_t digest = 0;
  for (std::uint64_t i = 0; i < 20'000; ++i) {
    digest = mix(digest ^ picker.pick(Picker::derived(picker.kind(), {mix(i), mix(~i)}, 1)));
  }
  return digest;
}

TEST_CASE("weighted strategies place over a thousand cells of uneven weight as they always have") {
  const Pool pool = many_cells();
  CHECK(sparse_digest(build(StrategyKind::kRendezvousSlots, pool)) == 0x5547578fff187ccc);
  CHECK(sparse_digest(build(StrategyKind::kRendezvous, pool)) == 0x60a8a37563d6835a);
  CHECK(sparse_digest(build(StrategyKind::kRing, pool)) == 0xcbfa8ae1e7e5e19a);
  CHECK(sparse_digest(build(StrategyKind::kMaglev, pool)) == 0x4facc20e9b922307);
}

TEST_CASE("the others place over a thousand cells as they always have") {
  const Pool pool = Pool::of(1'000);
  CHECK(sparse_digest(build(StrategyKind::kRendezvousSlots, pool)) == 0x4472ec06848aa47b);
  CHECK(sparse_digest(build(StrategyKind::kRendezvous, pool)) == 0x3b9fb08f82b2764c);
  CHECK(sparse_digest(build(StrategyKind::kRing, pool)) == 0x48a5197a71ba31f2);
  CHECK(sparse_digest(build(StrategyKind::kMaglev, pool)) == 0x50338dc6aac77c44);
  CHECK(sparse_digest(build(StrategyKind::kKetama, pool)) == 0xe0ff084d7ae0592c);
  CHECK(sparse_digest(build(StrategyKind::kKetamaNginx, pool)) == 0x31d40e26cd837a4c);
  CHECK(sparse_digest(build(StrategyKind::kJump, pool)) == 0x92f7b6574d3012d8);
  CHECK(sparse_digest(build(StrategyKind::kModulo, pool)) == 0x8cc37b3a578bb2a9);
  CHECK(sparse_digest(build(StrategyKind::kMd5Modulo, pool)) == 0x7c3ac6d3987684c2);
}

TEST_CASE("slots other than 65,536 are pinned too") {
  const Pool pool = six_hosts(true);
  CHECK(sparse_digest(build(StrategyKind::kRendezvousSlots, pool, 1024)) == 0xa75ac51dfb48585a);
  CHECK(sparse_digest(build(StrategyKind::kMaglev, pool, 1024)) == 0xde96ac17defe5cc1);
  CHECK(sparse_digest(build(StrategyKind::kRendezvousSlots, pool, 1048576)) == 0x68c35364fc6212c5);
  CHECK(sparse_digest(build(StrategyKind::kMaglev, pool, 1048576)) == 0x33717a187a8f5b7e);
}

// Derived points lead to next choices; they are part of where a key goes when its cell is out.
TEST_CASE("derived points are pinned") {
  CHECK(Picker::derived(StrategyKind::kRendezvousSlots, {42, 43}, 1).lo == 0x28efe333b266f103);
  CHECK(Picker::derived(StrategyKind::kRendezvousSlots, {42, 43}, 1).hi == 0x0000000000000000);
  CHECK(Picker::derived(StrategyKind::kRendezvousSlots, {42, 43}, 63).lo == 0x0b7dcbd429a0baaa);
  CHECK(Picker::derived(StrategyKind::kRendezvousSlots, {42, 43}, 63).hi == 0x0000000000000000);
  CHECK(Picker::derived(StrategyKind::kKetama, {42, 43}, 1).lo == 0x00000000b266f103);
  CHECK(Picker::derived(StrategyKind::kKetama, {42, 43}, 1).hi == 0x0000000000000000);
  CHECK(Picker::derived(StrategyKind::kKetama, {42, 43}, 63).lo == 0x0000000029a0baaa);
  CHECK(Picker::derived(StrategyKind::kKetama, {42, 43}, 63).hi == 0x0000000000000000);
  CHECK(Picker::derived(StrategyKind::kMd5Modulo, {42, 43}, 1).lo == 0x28efe333b266f103);
  CHECK(Picker::derived(StrategyKind::kMd5Modulo, {42, 43}, 1).hi == 0x9cde98852e60034b);
  CHECK(Picker::derived(StrategyKind::kMd5Modulo, {42, 43}, 63).lo == 0x0b7dcbd429a0baaa);
  CHECK(Picker::derived(StrategyKind::kMd5Modulo, {42, 43}, 63).hi == 0x4a9358674577eb5e);
}

}  // namespace
}  // namespace cellroute
