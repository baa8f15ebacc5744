// A mapping file kept up to date with a store, and a store that was put back from a backup.
#include "control/sync.hpp"

#include <filesystem>
#include <map>
#include <random>

#include "child_process.hpp"
#include "control/mutate.hpp"
#include "control/restore.hpp"
#include "forwarding_store.hpp"
#include "mapping_file_fixtures.hpp"
#include "routing_fixture.hpp"
#include "store_records.hpp"

namespace {

using namespace cellroute;
using testing::code_of;
using testing::must;
using testing::TemporaryDirectory;

constexpr Nanos kAt = 1'700'000'000 * kSecond;

void ignore(std::uint64_t) {}

// A store that can be away, or without a feed, or another.
class Switched final : public testing::ForwardingStore {
 public:
  StoreCapabilities capabilities() const noexcept override {
    StoreCapabilities can = store->capabilities();
    can.changes = has_feed;
    return can;
  }
  Lookup get(std::string_view key, Nanos now) override {
    if (away) return {Answer::kUnknown, {}, gone()};
    return store->get(key, now);
  }
  Result<std::uint64_t> put_if(const MappingRecord& record, std::uint64_t expected) override {
    if (away) return gone();
    return store->put_if(record, expected);
  }
  Result<Page> scan(const Cursor& cursor, std::size_t limit, Nanos now) override {
    if (away) return gone();
    return store->scan(cursor, limit, now);
  }
  Result<Page> changes(const Cursor& cursor, std::size_t limit) override {
    if (away || (fails_after != 0 && --fails_after == 0)) return gone();
    return store->changes(cursor, std::min(limit, page));
  }

  Error renew_feed() override { return store->renew_feed(); }

  void put(const std::string& key, const std::string& cell) {
    const Lookup before = store->get(key, kAt);
    const OpId op_id = testing::next_op_id();
    const MappingRecord next = before.answer == Answer::kFound
                                   ? must(moved_to(before.record, cell, op_id, kAt))
                                   : must(first_record(key, cell, {}, before.record, op_id, kAt));
    must(store->put_if(next, before.record.revision));
  }
  void erase(const std::string& key) {
    const Lookup before = store->get(key, kAt);
    const MappingRecord next =
        must(tombstone(before.record, testing::next_op_id(), kAt, 1'000 * kSecond));
    must(store->put_if(next, before.record.revision));
  }

  std::unique_ptr<MappingStore>& store = store_;
  bool away = false;
  bool has_feed = true;
  int fails_after = 0;
  std::size_t page = kMaxPageRecords;

 private:
  static Error gone() { return Error(ErrorCode::kUnavailable, "the store is away"); }
};

struct Place {
  std::unique_ptr<MappingSync> open(std::size_t max_changes = kMaxChanges) const {
    SyncOptions options;
    options.path = path;
    options.feed = "test:";
    options.max_changes = max_changes;
    return must(MappingSync::open(options));
  }
  std::string cell_of(const std::string& key) const {
    const auto files = must(open_mapping_files(path));
    const Lookup found = files->get(key, kAt);
    return found.answer == Answer::kFound ? found.record.cell : "absent";
  }

  TemporaryDirectory directory;
  std::string path = directory.path("base.crm");
};

TEST_CASE("sync: the first step builds a base, the next ones write what changed") {
  const Place here;
  Switched store;
  for (int i = 0; i < 100; ++i) store.put("k" + std::to_string(i), "a");
  const auto sync = here.open();
  SyncReport report = must(sync->step(store, kAt, ignore));
  CHECK(report.folded);
  CHECK(report.generation == 1);
  CHECK(report.keys == 100);
  CHECK(report.changes == 0);
  report = must(sync->step(store, kAt, ignore));
  CHECK_FALSE(report.folded);
  CHECK(report.read == 0);

  store.put("k1", "b");
  store.put("new", "c");
  store.erase("k2");
  report = must(sync->step(store, kAt, ignore));
  CHECK_FALSE(report.folded);
  CHECK(report.changes == 3);
  CHECK(here.cell_of("k1") == "b");
  CHECK(here.cell_of("new") == "c");
  CHECK(here.cell_of("k2") == "absent");
  CHECK(here.cell_of("k3") == "a");

  report = must(sync->fold(store, kAt, ignore));
  CHECK(report.generation == 2);
  CHECK(report.keys == 100);
  CHECK(report.changes == 0);
  CHECK(here.cell_of("k1") == "b");
  CHECK(here.cell_of("k2") == "absent");
  CHECK(must(MappingFile::open(here.path + ".last"))->generation() == 1);
}

TEST_CASE("sync: another process takes up where the last one stood") {
  const Place here;
  Switched store;
  store.put("k", "a");
  must(here.open()->step(store, kAt, ignore));
  store.put("k", "b");
  must(here.open()->step(store, kAt, ignore));
  store.put("j", "c");
  const SyncReport report = must(here.open()->step(store, kAt, ignore));
  CHECK_FALSE(report.folded);
  CHECK(report.read == 1);
  CHECK(report.changes == 2);
  CHECK(here.cell_of("k") == "b");
}

TEST_CASE("sync: one process at a time") {
  const Place here;
  const auto first = here.open();
  SyncOptions options;
  options.path = here.path;
  CHECK(code_of(MappingSync::open(options)) == ErrorCode::kConflict);
}

TEST_CASE("sync: while the store is away the files stay, when it is back nothing is lost") {
  const Place here;
  Switched store;
  store.put("k", "a");
  const auto sync = here.open();
  must(sync->step(store, kAt, ignore));
  store.put("k", "b");
  must(sync->step(store, kAt, ignore));
  store.away = true;
  const std::string base = testing::must(read_changes(changes_path(here.path))).feed.cursor;
  for (int i = 0; i < 3; ++i) {
    CHECK(code_of(sync->step(store, kAt, ignore)) == ErrorCode::kUnavailable);
    CHECK(code_of(sync->fold(store, kAt, ignore)) == ErrorCode::kUnavailable);
  }
  CHECK(must(read_changes(changes_path(here.path))).feed.cursor == base);
  CHECK(here.cell_of("k") == "b");
  CHECK_FALSE(std::filesystem::exists(here.path + ".next"));
  store.away = false;
  store.put("k", "c");  // meanwhile, by others
  must(sync->step(store, kAt, ignore));
  CHECK(here.cell_of("k") == "c");
}

TEST_CASE("sync: a feed that breaks off half-way changes nothing") {
  const Place here;
  Switched store;
  store.put("k", "a");
  const auto sync = here.open();
  must(sync->step(store, kAt, ignore));
  for (int i = 0; i < 10; ++i) store.put("n" + std::to_string(i), "a");
  store.page = 2;
  store.fails_after = 3;
  CHECK(code_of(sync->step(store, kAt, ignore)) == ErrorCode::kUnavailable);
  CHECK(here.cell_of("n0") == "absent");
  const SyncReport report = must(sync->step(store, kAt, ignore));
  CHECK(report.changes == 10);
  CHECK(here.cell_of("n9") == "a");
}

TEST_CASE("sync: changes that become too many are folded at once") {
  const Place here;
  Switched store;
  store.put("k", "a");
  const auto sync = here.open(5);
  must(sync->step(store, kAt, ignore));
  for (int i = 0; i < 5; ++i) store.put("n" + std::to_string(i), "a");
  CHECK(must(sync->step(store, kAt, ignore)).changes == 5);
  store.put("n0", "b");  // known already
  CHECK_FALSE(must(sync->step(store, kAt, ignore)).folded);
  store.put("n5", "a");
  const SyncReport report = must(sync->step(store, kAt, ignore));
  CHECK(report.folded);
  CHECK(report.keys == 7);
  CHECK(report.changes == 0);
  CHECK(here.cell_of("n0") == "b");
}

TEST_CASE("sync: a purged tombstone makes it read anew, and drop the key") {
  const Place here;
  Switched store;
  for (int i = 0; i < 20; ++i) store.put("k" + std::to_string(i), "a");
  const auto sync = here.open();
  must(sync->step(store, kAt, ignore));
  store.erase("k0");
  REQUIRE(must(store.store->purge(kAt + 2'000 * kSecond, 10)) == 1);
  store.put("k1", "b");
  const SyncReport report = must(sync->step(store, kAt, ignore));
  CHECK(report.folded);
  CHECK(here.cell_of("k0") == "absent");
  CHECK(here.cell_of("k1") == "b");
}

TEST_CASE("sync: a store without a feed is read whole at each fold alone") {
  const Place here;
  Switched store;
  store.has_feed = false;
  store.put("k", "a");
  const auto sync = here.open();
  CHECK(must(sync->step(store, kAt, ignore)).folded);
  store.put("k", "b");
  CHECK(must(sync->step(store, kAt, ignore)).read == 0);
  CHECK(here.cell_of("k") == "a");
  must(sync->fold(store, kAt, ignore));
  CHECK(here.cell_of("k") == "b");
}

TEST_CASE("sync: keys that a stream names are read from the store") {
  const Place here;
  Switched store;
  store.has_feed = false;
  for (const char* key : {"moved", "erased", "purged", "same"}) store.put(key, "a");
  const auto sync = here.open();
  must(sync->step(store, kAt, ignore));
  store.put("moved", "b");
  store.put("made", "c");
  store.erase("purged");
  must(store.store->purge(kAt + 2'000 * kSecond, 10));
  store.erase("erased");
  const std::vector<std::string> keys = {"made", "moved", "same", "purged", "erased", "nobody"};
  for (int twice = 0; twice < 2; ++twice) {
    const SyncReport report = must(sync->look(store, keys, kAt, ignore));
    CHECK_FALSE(report.folded);
    CHECK(here.cell_of("moved") == "b");
    CHECK(here.cell_of("made") == "c");
    CHECK(here.cell_of("same") == "a");
    CHECK(here.cell_of("purged") == "absent");
    CHECK(here.cell_of("erased") == "absent");
  }
  // An answer that is behind what the files say changes nothing.
  auto behind = make_memory_store();
  behind.swap(store.store);
  store.put("moved", "a");
  must(sync->look(store, std::vector<std::string>{"moved"}, kAt, ignore));
  CHECK(here.cell_of("moved") == "b");
  store.away = true;
  CHECK(code_of(sync->look(store, keys, kAt, ignore)) == ErrorCode::kUnavailable);
}

TEST_CASE("sync: a store that lost too many keys is refused") {
  const Place here;
  Switched store;
  for (int i = 0; i < 20; ++i) store.put("k" + std::to_string(i), "a");
  const auto sync = here.open();
  must(sync->step(store, kAt, ignore));
  for (int i = 0; i < 3; ++i) store.erase("k" + std::to_string(i));
  CHECK(code_of(sync->fold(store, kAt, ignore)) == ErrorCode::kRefused);
  CHECK(must(MappingFile::open(here.path))->generation() == 1);
  store.store = make_memory_store();
  const auto empty = sync->step(store, kAt, ignore);
  CHECK(code_of(empty) == ErrorCode::kRefused);
  CHECK(here.cell_of("k9") == "a");
}

// Any state in which a process may die between the two renames.
TEST_CASE("sync: a process that dies between two renames leaves files that are whole") {
  const Place here;
  Switched store;
  store.put("k", "a");
  const auto sync = here.open();
  must(sync->step(store, kAt, ignore));
  store.put("k", "b");
  must(sync->step(store, kAt, ignore));
  const testing::FileBytes old_changes = testing::bytes_of(changes_path(here.path));
  store.put("k", "c");
  must(sync->fold(store, kAt, ignore));
  testing::write_bytes(changes_path(here.path), old_changes);  // the second rename never came
  CHECK(here.cell_of("k") == "c");
}

TEST_CASE("sync: killed at any time it leaves files that routers can open") {
  const Place here;
  Switched store;
  for (int i = 0; i < 200; ++i) store.put("k" + std::to_string(i), "a0");
  must(here.open()->step(store, kAt, ignore));
  std::mt19937 random(3);
  for (int round = 1; round <= 30; ++round) {
    testing::Child child([&] {
      SyncOptions options;
      options.path = here.path;
      options.feed = "test:";
      options.max_keys_lost_percent = 0;
      const auto sync = MappingSync::open(options);
      if (!sync.ok()) return 2;
      // A memory store answers in its own process alone; it is filled anew, and ahead of the files.
      Switched own;
      own.store = make_memory_store();
      for (int i = 0; i < 200; ++i) {
        MappingRecord record = testing::plain_record("k" + std::to_string(i));
        record.cell = "a" + std::to_string(round);
        record.epoch = static_cast<std::uint64_t>(round) + 1;
        if (!own.store->put_if(record, 0).ok()) return 3;
      }
      for (;;) {
        if (!(*sync)->fold(own, kAt, ignore).ok()) return 4;
      }
    });
    ::usleep(static_cast<useconds_t>(500 + random() % 20'000));
    child.kill();
    const auto files = open_mapping_files(here.path);
    INFO((files.ok() ? std::string() : files.error().text()));
    REQUIRE(files.ok());
    CHECK((*files)->base->keys() == 200);
  }
}

TEST_CASE("restore: a store put back from a backup is refused until its epochs are raised") {
  const Place here;
  Switched store;
  for (int i = 0; i < 50; ++i) store.put("k" + std::to_string(i), "a");
  store.put("twice", "a");
  // The backup.
  auto backup = make_memory_store();
  const Page all = must(store.store->scan("", 1'000, kAt));
  for (const MappingRecord& record : all.records) must(backup->put_if(record, 0));

  const auto sync = here.open();
  store.put("k1", "b");
  store.put("twice", "b");
  must(sync->step(store, kAt, ignore));  // in the base
  store.put("k2", "c");
  store.put("twice", "c");
  store.erase("k3");
  store.put("made", "d");
  must(sync->step(store, kAt, ignore));  // in the changes

  store.store = std::move(backup);
  const auto behind = sync->fold(store, kAt, ignore);
  REQUIRE(code_of(behind) == ErrorCode::kRefused);
  CHECK(behind.error().text().find("is behind") != std::string::npos);
  CHECK(code_of(sync->step(store, kAt, ignore)) == ErrorCode::kRefused);
  CHECK(here.cell_of("k2") == "c");

  const auto files = must(open_mapping_files(here.path));
  const RestoreReport looked = must(restore_epochs(store, *files, kAt, true, ignore));
  CHECK(store.get("k1", kAt).record.cell == "a");
  const RestoreReport report = must(restore_epochs(store, *files, kAt, false, ignore));
  CHECK(report.behind == looked.behind);
  CHECK(report.records == 51);
  CHECK(report.behind == 4);
  CHECK(report.recreated == 1);
  CHECK(report.conflicts == 0);
  CHECK(report.missing == 0);
  const auto is = [&](const std::string& key) {
    const MappingRecord record = store.get(key, kAt).record;
    return record.cell + " " + std::to_string(record.epoch);
  };
  CHECK(is("k1") == "b 3");  // 2 was given out
  CHECK(is("k2") == "c 3");
  CHECK(is("twice") == "c 4");  // 3 was
  CHECK(is("made") == "d 2");
  CHECK(is("k4") == "a 1");
  CHECK(store.get("k3", kAt).answer == Answer::kAbsent);

  const RestoreReport again = must(restore_epochs(store, *files, kAt, false, ignore));
  CHECK(again.behind == 0);
  CHECK(again.recreated == 0);
  CHECK(must(sync->step(store, kAt, ignore)).folded);  // its feed is another
  CHECK_FALSE(must(sync->step(store, kAt, ignore)).folded);
  CHECK(here.cell_of("twice") == "c");
  CHECK(here.cell_of("k3") == "absent");
}

TEST_CASE("restore: what no tool can know is counted and left alone") {
  const Place here;
  Switched store;
  store.put("torn", "a");
  store.put("hidden", "a");
  store.put("k", "a");
  const auto sync = here.open();
  must(sync->step(store, kAt, ignore));
  store.store = make_memory_store();
  store.put("torn", "b");
  store.put("later", "a");
  store.put("k", "a");
  const auto files = must(open_mapping_files(here.path));
  const RestoreReport report = must(restore_epochs(store, *files, kAt, false, ignore));
  CHECK(report.conflicts == 1);
  CHECK(report.missing == 1);  // hidden: the base knows it by its hash
  CHECK(report.unknown == 1);
  CHECK(store.get("torn", kAt).record.cell == "b");
}

// The whole chain: a store, its files, a router that reads them alone.
TEST_CASE("a router serves by the files while the store is down, through restart and reload") {
  const Place here;
  Switched store;
  std::map<std::string, std::string> truth;
  std::mt19937 random(8);
  const auto cells = routing::four_cells();
  const auto change = [&] {
    const std::string key = "k" + std::to_string(random() % 50);
    const std::string& cell = cells[random() % 3].id;
    if (truth.contains(key) && truth[key] == cell) return;
    store.put(key, cell);
    truth[key] = cell;
  };
  for (int i = 0; i < 200; ++i) change();
  const auto sync = here.open();
  must(sync->step(store, kAt, ignore));
  auto served = std::make_unique<routing::Served>(routing::topology(cells));
  auto file = must(MappingFileStore::open(here.path));
  const auto serve = [&] {
    const auto files = file->files();
    const auto compiled = (**served).snapshot()->shared_compiled();
    REQUIRE((**served).publish(compiled, files->base, files->changes.records).ok());
  };
  const auto check = [&] {
    for (const auto& [key, cell] : truth) {
      INFO(key);
      const Decision decision = served->route(key);
      REQUIRE(routing::said(decision) == "OK MAPPED");
      CHECK(served->cell_of(decision) == cell);
    }
  };
  serve();
  check();
  for (int beat = 0; beat < 20; ++beat) {
    for (int i = 0; i < 5; ++i) change();
    must(beat % 7 == 6 ? sync->fold(store, kAt, ignore) : sync->step(store, kAt, ignore));
    REQUIRE(must(file->refresh()));
    serve();
    check();
  }
  store.away = true;
  CHECK_FALSE(sync->step(store, kAt, ignore).ok());
  CHECK_FALSE(must(file->refresh()));
  check();
  // A restart, and a new topology.
  served = std::make_unique<routing::Served>(routing::topology(cells));
  file = must(MappingFileStore::open(here.path));
  serve();
  check();
  Topology next = routing::topology(cells);
  next.generation = 2;
  const auto compiled = must(compile(next));
  const auto files = file->files();
  REQUIRE((**served).publish(compiled, files->base, files->changes.records, {100, 100, true}).ok());
  check();
  store.away = false;
  for (int i = 0; i < 5; ++i) change();
  must(sync->step(store, kAt, ignore));
  must(file->refresh());
  serve();
  check();
}

}  // namespace
