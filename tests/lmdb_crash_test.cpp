// Processes that race and processes that die: no acknowledged mapping is lost, no file is left that
// does not open.
#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "child_process.hpp"
#include "control/assign.hpp"
#include "control/mutate.hpp"
#include "store_fixtures.hpp"
#include "store_records.hpp"

namespace cellroute {
namespace {

using testing::Child;
using testing::must;
using testing::open_lmdb;
using testing::Pipe;
using testing::plain_record;
using testing::TemporaryDirectory;

constexpr Nanos kNow = 1'700'000'100 * kSecond;

TEST_CASE("lmdb: two processes that race to assign the same 10,000 keys agree on every one") {
  constexpr std::uint32_t kKeys = 10'000;
  const TemporaryDirectory directory;
  const std::string path = directory.path("mappings");
  const auto key_of = [](std::uint32_t i) { return "customer-" + std::to_string(i); };
  struct Side {
    Pipe says;  // for each key in turn, whose cell it has
    Pipe went;  // its own first key is assigned
  };
  Side a_side;
  Side b_side;
  // Key 0 is a's and key 1 is b's, or one might be done before the other begins; then they race.
  const auto racer = [&](Side& mine, Side& other, char cell, std::uint32_t own) {
    return [&mine, &other, &path, &key_of, cell, own] {
      const auto store = open_lmdb_store(path);
      if (!store.ok()) return 1;
      for (std::uint32_t i = 0; i < kKeys; ++i) {
        char went = 0;
        if (i == 1 - own && !other.went.read(went)) return 4;
        const std::string key = key_of(i);
        const auto assigned = assign(**store, {key, std::string_view(&cell, 1), {}}, kNow);
        if (!assigned.ok() || assigned->outcome == AssignOutcome::kRateLimited) return 2;
        if (!mine.says.write(assigned->record.cell[0])) return 3;
        if (i == own && !mine.went.write('!')) return 3;
      }
      return 0;
    };
  };
  Child a(racer(a_side, b_side, 'a', 0));
  Child b(racer(b_side, a_side, 'b', 1));
  std::vector<char> homes(kKeys);
  int wins_of_a = 0;
  for (std::uint32_t i = 0; i < kKeys; ++i) {
    char of_a = 0;
    char of_b = 0;
    REQUIRE((a_side.says.read(of_a) && b_side.says.read(of_b)));
    REQUIRE(of_a == of_b);
    homes[i] = of_a;
    if (of_a == 'a') ++wins_of_a;
  }
  CHECK(a.wait() == 0);
  CHECK(b.wait() == 0);
  CHECK(wins_of_a > 0);
  CHECK(wins_of_a < static_cast<int>(kKeys));
  const auto store = open_lmdb(path);
  for (std::uint32_t i = 0; i < kKeys; ++i) {
    const Lookup found = store->get(key_of(i), kNow);
    REQUIRE(found.answer == Answer::kFound);
    CHECK(found.record.cell[0] == homes[i]);
    CHECK(found.record.revision == 1);
    CHECK(found.record.epoch == 1);
  }
}

// One acknowledged write.
struct Acknowledged {
  std::uint32_t key;
  std::uint64_t revision;
  std::uint64_t epoch;
  bool deleted;
};

std::string key_of(std::uint32_t number) {
  std::string key = "k" + std::to_string(number);
  if (number % 7 == 0) key.resize(600, '-');  // beyond LMDB's own keys
  return key;
}

MappingRecord first_of(const std::string& key) {
  MappingRecord record = plain_record(key);
  record.ephemeral = true;
  return record;
}

// Writes for ever: new keys, moves, tombstones, new lives, batches; tells of each once it is
// acknowledged. Returns only when something fails.
int write_until_killed(const std::string& path, const Pipe& pipe, std::uint32_t seed) {
  StoreOptions options;
  options.map_bytes = 256 * 1024;  // so that some die while the map grows
  const auto opened = open_lmdb_store(path, options);
  if (!opened.ok()) return 1;
  MappingStore& store = **opened;
  std::mt19937 random(seed);
  for (;;) {
    std::vector<ConditionalPut> puts;
    for (std::size_t i = 0, count = random() % 4 == 0 ? 20 : 1; i < count; ++i) {
      const std::string key = key_of(static_cast<std::uint32_t>(random() % 400));
      const Lookup now = store.get(key, kNow);
      if (now.answer == Answer::kUnknown) return 2;
      const OpId id = *new_op_id();
      Result<MappingRecord> next = Error();
      if (now.answer == Answer::kAbsent) {
        next = first_record(key, "cell-a", {}, now.record, id, kNow);
      } else if (random() % 4 == 0) {
        next = tombstone(now.record, id, kNow, kSecond);
      } else {
        next = moved_to(now.record, "cell-" + std::to_string(now.record.epoch), id, kNow);
      }
      if (!next.ok()) return 3;
      puts.push_back({std::move(*next), now.record.revision});
    }
    const auto results = store.put_many(puts);
    for (std::size_t i = 0; i < puts.size(); ++i) {
      if (!results[i].ok()) {
        if (results[i].error().code() == ErrorCode::kConflict) continue;  // twice in a batch
        return 4;
      }
      const std::string& key = puts[i].record.key;
      const auto number = static_cast<std::uint32_t>(std::stoul(key.substr(1, key.find('-') - 1)));
      const Acknowledged done{number, *results[i], puts[i].record.epoch, puts[i].record.deleted};
      if (!pipe.write(done)) return 5;
    }
  }
}

template <class NextPage>
std::vector<MappingRecord> every(NextPage next_page) {
  std::vector<MappingRecord> all;
  Cursor cursor;
  for (bool done = false; !done;) {
    const Page page = must(next_page(cursor));
    all.insert(all.end(), page.records.begin(), page.records.end());
    cursor = page.next;
    done = page.done;
  }
  return all;
}

// Everything the store says of itself, against each other and what was acknowledged.
void check_whole(MappingStore& store, const std::map<std::uint32_t, Acknowledged>& known) {
  for (const auto& [number, last] : known) {
    const Lookup found = store.get(key_of(number), kNow);
    INFO("key " << number << ": " << found.error.text());
    REQUIRE(found.answer != Answer::kUnknown);
    REQUIRE(found.record.revision >= last.revision);
    REQUIRE(found.record.epoch >= last.epoch);
    if (found.record.revision == last.revision) REQUIRE(found.record.deleted == last.deleted);
  }
  const std::vector<MappingRecord> all =
      every([&](const Cursor& at) { return store.scan(at, kMaxPageRecords, kNow); });
  const std::vector<MappingRecord> changed =
      every([&](const Cursor& at) { return store.changes(at, kMaxPageRecords); });
  std::map<std::string, std::size_t> in_cell;
  for (const MappingRecord& record : all) ++in_cell[record.cell];
  for (const auto& [cell, count] : in_cell) {
    const std::string& id = cell;
    REQUIRE(every([&](const Cursor& at) {
              return store.scan_cell(id, at, kMaxPageRecords, kNow);
            }).size() == count);
  }
  const auto alive = std::count_if(changed.begin(), changed.end(),
                                   [](const MappingRecord& record) { return !record.deleted; });
  REQUIRE(static_cast<std::size_t>(alive) == all.size());
}

TEST_CASE("lmdb: a thousand kills of a writer lose no acknowledged mapping and no file") {
  constexpr int kRuns = 1000;
  std::mt19937 random(20'241);
  auto directory = std::make_unique<TemporaryDirectory>();
  std::map<std::uint32_t, Acknowledged> known;
  std::size_t acknowledged = 0;
  for (int run = 0; run < kRuns; ++run) {
    if (run % 20 == 0) {  // a store that is not there yet: some die while they make it
      directory = std::make_unique<TemporaryDirectory>();
      known.clear();
    }
    const std::string path = directory->path("mappings");
    // Half of the runs: a process that lives on has the store open, and inherits the dead one's
    // lock.
    std::unique_ptr<MappingStore> witness;
    if (run % 20 >= 10) witness = open_lmdb(path);
    Pipe pipe;
    const std::uint32_t seed = static_cast<std::uint32_t>(random());
    Child writer([&] {
      pipe.close_read();
      return write_until_killed(path, pipe, seed);
    });
    pipe.close_write();
    const int most = run % 20 == 0 ? 1000 : 6000;
    std::this_thread::sleep_for(std::chrono::microseconds(random() % static_cast<unsigned>(most)));
    ::kill(writer.process(), SIGKILL);
    REQUIRE(writer.wait() == 1000 + SIGKILL);
    Acknowledged last{};
    while (pipe.read(last)) {
      known[last.key] = last;
      ++acknowledged;
    }
    if (witness == nullptr) witness = open_lmdb(path);
    check_whole(*witness, known);
    REQUIRE(witness->put_if(first_of("run " + std::to_string(run)), 0).ok());
  }
  CHECK(acknowledged > 1000);
}

TEST_CASE("lmdb: of two writers one is killed again and again, and the other goes on") {
  const TemporaryDirectory directory;
  const std::string path = directory.path("mappings");
  const auto store = open_lmdb(path);
  std::mt19937 random(7);
  for (std::uint64_t round = 0; round < 50; ++round) {
    Pipe pipe;
    Child victim([&] { return write_until_killed(path, pipe, static_cast<std::uint32_t>(round)); });
    const auto end =
        std::chrono::steady_clock::now() + std::chrono::microseconds(1000 + random() % 4000);
    std::uint64_t mine = 0;
    while (std::chrono::steady_clock::now() < end) {
      const std::string key = "mine-" + std::to_string(round) + "-" + std::to_string(mine++);
      REQUIRE(must(store->put_if(plain_record(key), 0)) == 1);
    }
    victim.kill();
    REQUIRE(must(store->put_if(plain_record("after-" + std::to_string(round)), 0)) == 1);
  }
  check_whole(*store, {});
}

}  // namespace
}  // namespace cellroute
