// What every mapping store does, run over each kind in store_kinds().
#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <map>
#include <numeric>
#include <set>
#include <string>
#include <thread>

#include "store_fixtures.hpp"
#include "store_records.hpp"

namespace cellroute {
namespace {

using testing::full_record;
using testing::must;
using testing::next_op_id;
using testing::plain_record;

constexpr Nanos kNow = 1'700'000'100 * kSecond;

struct OpenStore {
  explicit OpenStore(const testing::StoreKind& kind) : store(kind.open(directory.path())) {}
  testing::TemporaryDirectory directory;
  std::unique_ptr<MappingStore> store;
};

// Opens each kind of store in turn: the test case runs once for each.
#define FOR_EACH_STORE(store)                                     \
  OpenStore opened(GENERATE(from_range(testing::store_kinds()))); \
  MappingStore& store = *opened.store

using testing::code_of;

ErrorCode put_code(MappingStore& store, const MappingRecord& record, std::uint64_t expected) {
  return code_of(store.put_if(record, expected));
}

void put_first(MappingStore& store, const std::string& key, const std::string& cell) {
  REQUIRE(must(store.put_if(plain_record(key, cell), 0)) == 1);
}

MappingRecord stored(MappingStore& store, const std::string& key, Nanos now = kNow) {
  const Lookup found = store.get(key, now);
  INFO(found.error.text());
  REQUIRE(found.answer == Answer::kFound);
  return found.record;
}

MappingRecord move_to(MappingRecord record, const std::string& cell) {
  record.cell = cell;
  ++record.epoch;
  record.op_id = next_op_id();
  return record;
}

MappingRecord delete_it(MappingRecord record, Nanos expires) {
  record.deleted = true;
  record.expires = expires;
  record.op_id = next_op_id();
  return record;
}

// Every record, page by page; a key that comes twice fails.
template <class NextPage>
std::map<std::string, MappingRecord> all_pages(NextPage next_page) {
  std::map<std::string, MappingRecord> all;
  Cursor cursor;
  for (bool done = false; !done;) {
    Page page = must(next_page(cursor));
    for (MappingRecord& record : page.records) {
      const bool added = all.emplace(record.key, record).second;
      CHECK(added);
    }
    done = page.done;
    cursor = page.next;
  }
  return all;
}

std::map<std::string, MappingRecord> scan_all(MappingStore& store, std::size_t limit,
                                              Nanos now = kNow) {
  return all_pages([&](const Cursor& cursor) { return store.scan(cursor, limit, now); });
}

std::set<std::string> keys_of_cell(MappingStore& store, const std::string& cell,
                                   std::size_t limit = 3, Nanos now = kNow) {
  std::set<std::string> keys;
  for (const auto& [key, record] :
       all_pages([&](const Cursor& cursor) { return store.scan_cell(cell, cursor, limit, now); })) {
    keys.insert(key);
  }
  return keys;
}

std::vector<MappingRecord> changes_after(MappingStore& store, Cursor& cursor, std::size_t limit) {
  std::vector<MappingRecord> all;
  for (bool done = false; !done;) {
    Page page = must(store.changes(cursor, limit));
    CHECK(page.records.size() <= limit);
    all.insert(all.end(), page.records.begin(), page.records.end());
    done = page.done;
    cursor = page.next;
  }
  return all;
}

// False where the store has no feed, and says so.
bool has_changes(MappingStore& store) {
  if (store.capabilities().changes) return true;
  CHECK(code_of(store.changes("", 10)) == ErrorCode::kUnsupported);
  return false;
}

std::vector<std::string> keys_of(const std::vector<MappingRecord>& records) {
  std::vector<std::string> keys;
  for (const MappingRecord& record : records) keys.push_back(record.key);
  return keys;
}

TEST_CASE("store: a key that was never written is absent, at revision 0") {
  FOR_EACH_STORE(store);
  const Lookup found = store.get("nobody", kNow);
  CHECK(found.answer == Answer::kAbsent);
  CHECK(found.error.ok());
  CHECK(found.record.revision == 0);
  CHECK(found.record.epoch == 0);
}

TEST_CASE("store: a record is found with all its fields and its revision") {
  FOR_EACH_STORE(store);
  MappingRecord record = full_record("tenant");
  record.expires = kNow + 1;
  CHECK(must(store.put_if(record, 0)) == 1);
  record.revision = 1;
  CHECK(stored(store, "tenant") == record);
  record = move_to(record, "cell-x");
  CHECK(must(store.put_if(record, 1)) == 2);
  record.revision = 2;
  CHECK(stored(store, "tenant") == record);
}

TEST_CASE("store: a put with another revision is a conflict that changes and tells nothing") {
  FOR_EACH_STORE(store);
  put_first(store, "tenant", "the-winner");
  const MappingRecord before = stored(store, "tenant");
  for (const std::uint64_t expected : {0u, 2u, 7u}) {
    const Result<std::uint64_t> lost = store.put_if(plain_record("tenant", "loser"), expected);
    REQUIRE_FALSE(lost.ok());
    CHECK(code_of(lost) == ErrorCode::kConflict);
    CHECK(lost.error().text().find("the-winner") == std::string::npos);
    CHECK(lost.error().text().find("tenant") != std::string::npos);
  }
  CHECK(put_code(store, plain_record("newcomer"), 1) == ErrorCode::kConflict);
  CHECK(store.get("newcomer", kNow).answer == Answer::kAbsent);
  CHECK(stored(store, "tenant") == before);
  CHECK(scan_all(store, 10).size() == 1);
  CHECK(keys_of_cell(store, "loser").empty());
  if (!has_changes(store)) return;
  Cursor cursor;
  CHECK(changes_after(store, cursor, 10).size() == 1);
}

TEST_CASE("store: of many threads that write one revision, one wins") {
  FOR_EACH_STORE(store);
  constexpr int kThreads = 4;
  constexpr std::uint64_t kRounds = 25;
  std::array<int, kThreads> wins{};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (std::uint64_t round = 0; round < kRounds; ++round) {
        MappingRecord record = plain_record("contended", "cell-" + std::to_string(i));
        record.epoch = round + 1;
        for (;;) {
          const Lookup now = store.get("contended", kNow);
          if (now.record.revision > round) break;
          const Result<std::uint64_t> put = store.put_if(record, round);
          if (put.ok()) ++wins[static_cast<std::size_t>(i)];
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(std::accumulate(wins.begin(), wins.end(), 0) == static_cast<int>(kRounds));
  CHECK(stored(store, "contended").revision == kRounds);
}

TEST_CASE("store: an epoch never falls, and another cell needs a higher one") {
  FOR_EACH_STORE(store);
  MappingRecord record = plain_record("tenant", "cell-a");
  record.epoch = 5;
  REQUIRE(store.put_if(record, 0).ok());
  record.op_id = next_op_id();
  record.epoch = 4;
  CHECK(put_code(store, record, 1) == ErrorCode::kRefused);
  record.epoch = 5;
  record.cell = "cell-b";
  CHECK(put_code(store, record, 1) == ErrorCode::kRefused);
  record.cell = "cell-a";
  CHECK(put_code(store, record, 1) == ErrorCode::kOk);
  record = move_to(record, "cell-b");
  CHECK(put_code(store, record, 2) == ErrorCode::kOk);
  CHECK(stored(store, "tenant").cell == "cell-b");
}

TEST_CASE("store: a record that breaks a rule is refused before all else") {
  FOR_EACH_STORE(store);
  const auto code_of = [&store](void (*breaks)(MappingRecord&)) {
    MappingRecord record = plain_record("tenant");
    breaks(record);
    return put_code(store, record, 3);  // a conflict, had it been looked at
  };
  const auto invalid = ErrorCode::kInvalidArgument;
  CHECK(code_of([](MappingRecord& r) { r.key.clear(); }) == invalid);
  CHECK(code_of([](MappingRecord& r) { r.key.assign(1025, 'k'); }) == invalid);
  CHECK(code_of([](MappingRecord& r) { r.cell.clear(); }) == invalid);
  CHECK(code_of([](MappingRecord& r) { r.cell.assign(129, 'c'); }) == invalid);
  CHECK(code_of([](MappingRecord& r) { r.cell = std::string("a\0b", 3); }) == invalid);
  CHECK(code_of([](MappingRecord& r) { r.cell = "a b"; }) == invalid);
  CHECK(code_of([](MappingRecord& r) { r.epoch = 0; }) == invalid);
  CHECK(code_of([](MappingRecord& r) { r.op_id = OpId{}; }) == invalid);
  CHECK(code_of([](MappingRecord& r) { r.target = "cell-b"; }) == invalid);
  CHECK(code_of([](MappingRecord& r) { r.state = MigrationState::kCopying; }) == invalid);
  CHECK(code_of([](MappingRecord& r) { r.state = MigrationState{9}; }) == invalid);
  CHECK(code_of([](MappingRecord& r) { r.expires = kNow; }) == invalid);  // stateful
  CHECK(code_of([](MappingRecord& r) { r.history.resize(17); }) == invalid);
  CHECK(code_of([](MappingRecord& r) { r.history = {{"cell-z", 1, 1}}; }) == invalid);
  CHECK(code_of([](MappingRecord& r) { r.profile.emplace().flags.resize(17, "F"); }) == invalid);
  CHECK(code_of([](MappingRecord& r) { r.profile.emplace().tier.assign(129, 't'); }) == invalid);
  CHECK(code_of([](MappingRecord& r) { r.unknown_fields.assign(4097, 'u'); }) == invalid);
  CHECK(scan_all(store, 10).empty());
}

TEST_CASE("store: a key outside 1 to 1,024 bytes is an error and not absent") {
  FOR_EACH_STORE(store);
  for (const std::size_t size : {std::size_t{0}, std::size_t{1025}, std::size_t{100'000}}) {
    const Lookup found = store.get(std::string(size, 'k'), kNow);
    CHECK(found.answer == Answer::kUnknown);
    CHECK(found.error.code() == ErrorCode::kInvalidArgument);
  }
}

TEST_CASE("store: keys of every length from 1 to 1,024 bytes are kept apart") {
  FOR_EACH_STORE(store);
  std::vector<ConditionalPut> puts;
  for (std::size_t size = 1; size <= kMaxKeyBytes; ++size) {
    puts.push_back({plain_record(std::string(size, '\xff'), "c" + std::to_string(size)), 0});
  }
  for (const Result<std::uint64_t>& result : store.put_many(puts)) CHECK(must(result) == 1);
  for (const ConditionalPut& put : puts) {
    CHECK(stored(store, put.record.key).cell == put.record.cell);
  }
  CHECK(scan_all(store, 100).size() == kMaxKeyBytes);
}

TEST_CASE("store: keys that differ after a NUL, after byte 511 or in the last byte are others") {
  FOR_EACH_STORE(store);
  const std::string long_key(1024, 'x');
  std::vector<std::string> keys = {std::string("a\0b", 3),
                                   std::string("a\0c", 3),
                                   "a",
                                   std::string("a\0", 2),
                                   std::string("\0", 1),
                                   std::string(2, '\0'),
                                   "cells",
                                   "changes",
                                   "expiry"};
  for (const std::size_t at : {509u, 510u, 511u, 512u, 1023u}) {
    std::string key = long_key;
    key[at] = 'y';
    keys.push_back(key);
    keys.push_back(key.substr(0, at));
    keys.push_back(key.substr(0, at + 1));
  }
  for (std::size_t i = 0; i < keys.size(); ++i) {
    INFO(i << " of " << keys[i].size() << " bytes");
    const std::string cell = "c" + std::to_string(i);
    if (store.get(keys[i], kNow).answer == Answer::kFound) continue;  // one of the prefixes
    REQUIRE(put_code(store, plain_record(keys[i], cell), 0) == ErrorCode::kOk);
    CHECK(stored(store, keys[i]).cell == cell);
    CHECK(keys_of_cell(store, cell) == std::set<std::string>{keys[i]});
  }
  CHECK(store.get(long_key, kNow).answer == Answer::kAbsent);
  CHECK(scan_all(store, 4).size() == std::set<std::string>(keys.begin(), keys.end()).size());
}

TEST_CASE("store: get_many answers each key by itself, into memory used before") {
  FOR_EACH_STORE(store);
  std::vector<ConditionalPut> puts;
  for (int i = 0; i < 2500; ++i) puts.push_back({plain_record("k" + std::to_string(i)), 0});
  puts[7].record = full_record("k7");
  puts[7].record.expires = kNow + 1;
  for (const auto& result : store.put_many(puts)) REQUIRE(result.ok());
  const std::string too_long(1025, 'k');
  std::vector<std::string_view> keys;
  for (const ConditionalPut& put : puts) keys.push_back(put.record.key);
  keys[3] = "nobody";
  keys[5] = too_long;
  std::vector<Lookup> out(keys.size());
  for (int round = 0; round < 2; ++round) {
    store.get_many(keys, kNow, out);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      INFO(i);
      if (i == 3) {
        CHECK(out[i].answer == Answer::kAbsent);
        CHECK(out[i].record.revision == 0);
        CHECK(out[i].record.epoch == 0);
      } else if (i == 5) {
        CHECK(out[i].answer == Answer::kUnknown);
        CHECK(out[i].error.code() == ErrorCode::kInvalidArgument);
      } else {
        MappingRecord expected = puts[i].record;
        expected.revision = 1;
        CHECK(out[i].answer == Answer::kFound);
        CHECK(out[i].error.ok());
        CHECK(out[i].record == expected);
      }
    }
    std::rotate(out.begin(), out.begin() + 1, out.end());  // what was full is reused for others
  }
}

TEST_CASE("store: put_many gives each put its own result, in order") {
  FOR_EACH_STORE(store);
  put_first(store, "there", "cell-a");
  std::vector<ConditionalPut> puts = {
      {plain_record("new"), 0},
      {plain_record("there", "cell-b"), 0},         // conflict
      {plain_record(std::string(1025, 'k')), 0},    // invalid
      {move_to(plain_record("new"), "cell-c"), 1},  // follows the first
      {plain_record("new"), 1},                     // conflict with the one before
      {plain_record("there", "cell-b"), 1},         // the epoch does not rise
      {plain_record("other"), 0},
  };
  const std::vector<Result<std::uint64_t>> results = store.put_many(puts);
  REQUIRE(results.size() == puts.size());
  CHECK(must(results[0]) == 1);
  CHECK(code_of(results[1]) == ErrorCode::kConflict);
  CHECK(code_of(results[2]) == ErrorCode::kInvalidArgument);
  CHECK(must(results[3]) == 2);
  CHECK(code_of(results[4]) == ErrorCode::kConflict);
  CHECK(code_of(results[5]) == ErrorCode::kRefused);
  CHECK(must(results[6]) == 1);
  CHECK(stored(store, "new").cell == "cell-c");
  CHECK(stored(store, "there").cell == "cell-a");
  CHECK(store.put_many({}).empty());
}

TEST_CASE("store: a tombstone is absent, and keeps its revision and epoch") {
  FOR_EACH_STORE(store);
  put_first(store, "tenant", "cell-a");
  MappingRecord record = move_to(stored(store, "tenant"), "cell-b");
  REQUIRE(store.put_if(record, 1).ok());
  const MappingRecord tombstone = delete_it(record, kNow + kSecond);
  REQUIRE(must(store.put_if(tombstone, 2)) == 3);
  for (const Nanos now : {kNow, kNow + 2 * kSecond}) {
    const Lookup found = store.get("tenant", now);
    CHECK(found.answer == Answer::kAbsent);
    CHECK(found.record.revision == 3);
    CHECK(found.record.epoch == 2);
    CHECK(found.record.op_id == tombstone.op_id);
  }
  CHECK(scan_all(store, 10).empty());
  CHECK(keys_of_cell(store, "cell-b").empty());
  CHECK(put_code(store, plain_record("tenant"), 0) == ErrorCode::kConflict);
  MappingRecord again = plain_record("tenant", "cell-b");
  again.epoch = 2;
  CHECK(put_code(store, again, 3) == ErrorCode::kRefused);
  again.epoch = 3;
  CHECK(put_code(store, again, 3) == ErrorCode::kOk);
  CHECK(stored(store, "tenant").revision == 4);
  CHECK(keys_of_cell(store, "cell-b") == std::set<std::string>{"tenant"});
}

TEST_CASE("store: an ephemeral key expires at its time, and its revision still counts") {
  FOR_EACH_STORE(store);
  MappingRecord record = plain_record("session", "cell-a");
  record.ephemeral = true;
  record.expires = kNow;
  REQUIRE(store.put_if(record, 0).ok());
  CHECK(store.get("session", kNow - 1).answer == Answer::kFound);
  CHECK(scan_all(store, 5, kNow - 1).size() == 1);
  CHECK(keys_of_cell(store, "cell-a", 5, kNow - 1).size() == 1);
  const Lookup found = store.get("session", kNow);
  CHECK(found.answer == Answer::kAbsent);
  CHECK(found.record.revision == 1);
  CHECK(scan_all(store, 5).empty());
  CHECK(keys_of_cell(store, "cell-a").empty());
  CHECK(put_code(store, record, 0) == ErrorCode::kConflict);
  record.expires = kNow + kSecond;
  record.op_id = next_op_id();
  CHECK(must(store.put_if(record, 1)) == 2);
  CHECK(store.get("session", kNow).answer == Answer::kFound);
}

TEST_CASE("store: purge forgets what expired by then, and nothing else") {
  FOR_EACH_STORE(store);
  for (int i = 0; i < 10; ++i) {
    MappingRecord record = plain_record("session-" + std::to_string(i));
    record.ephemeral = true;
    record.expires = kNow + i;
    REQUIRE(store.put_if(record, 0).ok());
  }
  put_first(store, "tenant", "cell-a");
  CHECK(must(store.purge(kNow - 1, 100)) == 0);
  CHECK(must(store.purge(kNow + 4, 3)) == 3);
  CHECK(must(store.purge(kNow + 4, 100)) == 2);
  CHECK(must(store.purge(kNow + 4, 100)) == 0);
  CHECK(scan_all(store, 4, kNow - 1).size() == 6);
  CHECK(keys_of_cell(store, "cell-a", 4, kNow - 1).size() == 6);
  CHECK(store.get("session-2", kNow - 1).record.revision == 0);
  if (has_changes(store)) {
    Cursor cursor;
    CHECK(changes_after(store, cursor, 4).size() == 6);
  }
  CHECK(must(store.put_if(plain_record("session-2"), 0)) == 1);
  CHECK(store.get("session-9", kNow).answer == Answer::kFound);
  CHECK(code_of(store.purge(kNow, 0)) == ErrorCode::kInvalidArgument);
}

TEST_CASE("store: a scan brings every record once, by pages of any size") {
  FOR_EACH_STORE(store);
  CHECK(scan_all(store, 1).empty());
  std::vector<ConditionalPut> puts;
  for (int i = 0; i < 60; ++i) {
    const std::size_t size = static_cast<std::size_t>(1 + i * 17);
    puts.push_back({plain_record(std::to_string(i) + std::string(size, 'k')), 0});
  }
  for (const auto& result : store.put_many(puts)) REQUIRE(result.ok());
  for (const std::size_t limit : {1u, 7u, 59u, 60u, 61u, 1'000'000u}) {
    const std::map<std::string, MappingRecord> all = scan_all(store, limit);
    REQUIRE(all.size() == puts.size());
    for (const ConditionalPut& put : puts) CHECK(all.at(put.record.key).op_id == put.record.op_id);
  }
  CHECK(must(store.scan("", 7, kNow)).records.size() == 7);
  CHECK(must(store.scan("", 60, kNow)).done);
  CHECK(code_of(store.scan("", 0, kNow)) == ErrorCode::kInvalidArgument);
}

TEST_CASE("store: a scan among writes brings what was there throughout exactly once") {
  FOR_EACH_STORE(store);
  std::vector<ConditionalPut> puts;
  for (int i = 0; i < 200; ++i) puts.push_back({plain_record("k" + std::to_string(i)), 0});
  for (const auto& result : store.put_many(puts)) REQUIRE(result.ok());
  int round = 0;
  const std::map<std::string, MappingRecord> all = all_pages([&](const Cursor& cursor) {
    Result<Page> page = store.scan(cursor, 10, kNow);
    // Keys before and behind the cursor come, change and go.
    const std::string number = std::to_string(round);
    put_first(store, "a-new" + number, "cell-b");
    put_first(store, "z-new" + number, "cell-b");
    const MappingRecord moved = move_to(stored(store, "k" + number), "cell-c");
    REQUIRE(store.put_if(moved, 1).ok());
    const std::string gone = "k" + std::to_string(199 - round);
    REQUIRE(store.put_if(delete_it(stored(store, gone), kNow + kSecond), 1).ok());
    if (round > 0) REQUIRE(must(store.purge(kNow + 2 * kSecond, 1)) == 1);
    ++round;
    return page;
  });
  for (int i = 0; i < 200 - round; ++i) CHECK(all.count("k" + std::to_string(i)) == 1);
}

TEST_CASE("store: a cell's records are found by cell and by migration target") {
  FOR_EACH_STORE(store);
  std::set<std::string> home;
  for (int i = 0; i < 20; ++i) {
    put_first(store, "a" + std::to_string(i), "cell-a");
    home.insert("a" + std::to_string(i));
  }
  put_first(store, "b", "cell-b");
  CHECK(keys_of_cell(store, "cell-a") == home);
  CHECK(keys_of_cell(store, "cell-a", 1) == home);
  CHECK(keys_of_cell(store, "cell-a", 1000) == home);
  CHECK(keys_of_cell(store, "cell-b") == std::set<std::string>{"b"});
  CHECK(keys_of_cell(store, "cell").empty());

  MappingRecord moving = stored(store, "a3");
  moving.state = MigrationState::kCopying;
  moving.target = "cell-b";
  moving.op_id = next_op_id();
  REQUIRE(store.put_if(moving, 1).ok());
  CHECK(keys_of_cell(store, "cell-a") == home);
  CHECK(keys_of_cell(store, "cell-b") == std::set<std::string>{"a3", "b"});

  moving.state = MigrationState::kStable;
  moving.target.clear();
  moving = move_to(moving, "cell-b");
  REQUIRE(store.put_if(moving, 2).ok());
  home.erase("a3");
  CHECK(keys_of_cell(store, "cell-a") == home);
  CHECK(keys_of_cell(store, "cell-b") == std::set<std::string>{"a3", "b"});

  REQUIRE(store.put_if(delete_it(moving, kNow + kSecond), 3).ok());
  CHECK(keys_of_cell(store, "cell-b") == std::set<std::string>{"b"});
  CHECK(code_of(store.scan_cell("", "", 5, kNow)) == ErrorCode::kInvalidArgument);
  CHECK(code_of(store.scan_cell("cell-a", "", 0, kNow)) == ErrorCode::kInvalidArgument);
}

TEST_CASE("store: a scan of a cell goes on although its records leave it") {
  FOR_EACH_STORE(store);
  for (int i = 0; i < 30; ++i) put_first(store, "k" + std::to_string(i), "cell-a");
  int left = 0;
  const auto all = all_pages([&](const Cursor& cursor) {
    Result<Page> page = store.scan_cell("cell-a", cursor, 4, kNow);
    if (page.ok()) {
      for (const MappingRecord& record : page->records) {
        REQUIRE(store.put_if(move_to(record, "cell-b"), 1).ok());
        ++left;
      }
    }
    return page;
  });
  CHECK(left == 30);
  CHECK(keys_of_cell(store, "cell-a").empty());
  CHECK(keys_of_cell(store, "cell-b").size() == 30);
}

TEST_CASE("store: a page of nothing but tombstones ends, and the scan goes on behind it") {
  FOR_EACH_STORE(store);
  std::vector<ConditionalPut> puts;
  for (int i = 0; i < 10'500; ++i) {
    puts.push_back({delete_it(plain_record("dead" + std::to_string(i)), kNow + kSecond), 0});
  }
  for (const auto& result : store.put_many(puts)) REQUIRE(result.ok());
  put_first(store, "zz-alive", "cell-a");
  const Page first = must(store.scan("", 10, kNow));
  CHECK(first.records.size() <= 1);  // the order is the store's
  CHECK_FALSE(first.done);
  CHECK(scan_all(store, 10).size() == 1);
}

TEST_CASE("store: changes come in the order of their writes, each key's newest") {
  FOR_EACH_STORE(store);
  if (!has_changes(store)) return;
  // Where the order is that of each key alone, only which keys come is the same everywhere.
  const auto as_promised = [&store](std::vector<std::string> keys) {
    if (!store.capabilities().ordered_changes) std::sort(keys.begin(), keys.end());
    return keys;
  };
  Cursor cursor;
  CHECK(changes_after(store, cursor, 10).empty());
  const Cursor start = cursor;
  for (const char* key : {"c", "a", "b"}) put_first(store, key, "cell-a");
  CHECK(as_promised(keys_of(changes_after(store, cursor, 2))) == as_promised({"c", "a", "b"}));
  CHECK(changes_after(store, cursor, 2).empty());

  REQUIRE(store.put_if(move_to(stored(store, "a"), "cell-b"), 1).ok());
  REQUIRE(store.put_if(move_to(stored(store, "a"), "cell-c"), 2).ok());
  put_first(store, "d", "cell-a");
  REQUIRE(store.put_if(delete_it(stored(store, "c"), kNow + kSecond), 1).ok());
  const std::vector<MappingRecord> later = changes_after(store, cursor, 1);
  CHECK(as_promised(keys_of(later)) == as_promised({"a", "d", "c"}));
  for (const MappingRecord& record : later) {
    CHECK(record.cell == (record.key == "a" ? "cell-c" : "cell-a"));
    CHECK(record.revision == (record.key == "a" ? 3 : record.key == "c" ? 2 : 1));
    CHECK(record.deleted == (record.key == "c"));
  }

  const std::vector<std::string> compacted = as_promised({"b", "a", "d", "c"});
  Cursor from_empty;
  CHECK(as_promised(keys_of(changes_after(store, from_empty, 3))) == compacted);
  Cursor from_start = start;
  CHECK(as_promised(keys_of(changes_after(store, from_start, 100))) == compacted);
}

TEST_CASE("store: a reader of changes that stops between pages misses nothing") {
  FOR_EACH_STORE(store);
  if (!has_changes(store)) return;
  std::map<std::string, std::uint64_t> seen;
  Cursor cursor;
  for (int round = 0; round < 40; ++round) {
    for (int i = 0; i < 3; ++i) {
      const std::string key = "k" + std::to_string((round * 7 + i) % 20);
      const Lookup found = store.get(key, kNow);
      MappingRecord record = plain_record(key);
      record.epoch = found.record.epoch + 1;
      REQUIRE(store.put_if(record, found.record.revision).ok());
    }
    const Page page = must(store.changes(cursor, 2));
    for (const MappingRecord& record : page.records) {
      CHECK(record.revision > seen[record.key]);
      seen[record.key] = record.revision;
    }
    cursor = page.next;
  }
  for (const MappingRecord& record : changes_after(store, cursor, 2)) {
    seen[record.key] = record.revision;
  }
  for (const auto& [key, revision] : seen) CHECK(stored(store, key).revision == revision);
}

TEST_CASE("store: where the feed was renewed, its readers begin anew, and the records are there") {
  FOR_EACH_STORE(store);
  if (!has_changes(store)) {
    CHECK(store.renew_feed().code() == ErrorCode::kUnsupported);
    return;
  }
  put_first(store, "tenant", "cell-a");
  put_first(store, "other", "cell-b");
  const Cursor first = must(store.changes("", 1)).next;
  Cursor last;
  CHECK(changes_after(store, last, 10).size() == 2);
  REQUIRE(store.renew_feed().ok());
  CHECK(code_of(store.changes(first, 10)) == ErrorCode::kRefused);
  CHECK(code_of(store.changes(last, 10)) == ErrorCode::kRefused);
  CHECK(stored(store, "tenant").cell == "cell-a");
  CHECK(scan_all(store, 10).size() == 2);
}

TEST_CASE("store: a feed reader that a purged tombstone passed by is told to begin anew") {
  FOR_EACH_STORE(store);
  if (!has_changes(store)) return;
  put_first(store, "tenant", "cell-a");
  Cursor early = must(store.changes("", 1)).next;
  put_first(store, "other", "cell-a");
  REQUIRE(store.put_if(delete_it(stored(store, "tenant"), kNow), 1).ok());
  Cursor late;
  CHECK(changes_after(store, late, 10).size() == 2);
  CHECK(must(store.changes(early, 10)).records.size() == 2);
  REQUIRE(must(store.purge(kNow, 10)) == 1);
  CHECK(code_of(store.changes(early, 10)) == ErrorCode::kRefused);
  CHECK(changes_after(store, late, 10).empty());
  put_first(store, "tenant", "cell-b");  // gets a number that was never given out
  CHECK(keys_of(changes_after(store, late, 10)) == std::vector<std::string>{"tenant"});
  Cursor fresh;
  CHECK(changes_after(store, fresh, 1).size() == 2);
}

TEST_CASE("store: a cursor that is damaged or of another call or store is refused") {
  FOR_EACH_STORE(store);
  for (int i = 0; i < 5; ++i) put_first(store, "k" + std::to_string(i), "cell-a");
  const Cursor scan = must(store.scan("", 2, kNow)).next;
  const Cursor cell = must(store.scan_cell("cell-a", "", 2, kNow)).next;
  CHECK(code_of(store.scan(cell, 2, kNow)) == ErrorCode::kInvalidArgument);
  CHECK(code_of(store.scan_cell("cell-a", scan, 2, kNow)) == ErrorCode::kInvalidArgument);
  CHECK_FALSE(store.scan_cell("cell-b", cell, 2, kNow).ok());
  for (const Cursor& whole : {scan, cell}) {
    for (std::size_t size = 1; size < 10; ++size) {
      CHECK_FALSE(store.scan(whole.substr(0, size), 2, kNow).ok());
      CHECK_FALSE(store.scan_cell("cell-a", whole.substr(0, size), 2, kNow).ok());
    }
  }
  CHECK_FALSE(store.scan(scan.substr(0, 9) + std::string(600, 'x'), 2, kNow).ok());
  CHECK_FALSE(store.scan_cell("cell-a", cell.substr(0, 9) + std::string(600, 'x'), 2, kNow).ok());

  testing::TemporaryDirectory elsewhere;
  const testing::StoreKind kind = testing::store_kinds()[0];
  const auto other = kind.open(elsewhere.path());
  put_first(*other, "k", "cell-a");
  CHECK(code_of(store.scan(must(other->scan("", 1, kNow)).next, 2, kNow)) == ErrorCode::kRefused);
}

TEST_CASE("store: a feed's cursor that is damaged or of another call or store is refused") {
  FOR_EACH_STORE(store);
  if (!has_changes(store)) return;
  for (int i = 0; i < 5; ++i) put_first(store, "k" + std::to_string(i), "cell-a");
  const Cursor scan = must(store.scan("", 2, kNow)).next;
  const Cursor feed = must(store.changes("", 2)).next;
  CHECK(code_of(store.scan_cell("cell-a", feed, 2, kNow)) == ErrorCode::kInvalidArgument);
  CHECK(code_of(store.changes(scan, 2)) == ErrorCode::kInvalidArgument);
  for (const Cursor& whole : {scan, feed}) {
    for (std::size_t size = 1; size < 10; ++size) {
      CHECK_FALSE(store.changes(whole.substr(0, size), 2).ok());
      CHECK_FALSE(store.scan(whole.substr(0, size), 2, kNow).ok());
    }
  }
  CHECK_FALSE(store.changes(feed + "x", 2).ok());
  Cursor ahead = feed;
  ahead[16] = '\x7f';  // the lowest byte of its sequence number
  CHECK(code_of(store.changes(ahead, 10)) == ErrorCode::kRefused);

  testing::TemporaryDirectory elsewhere;
  const testing::StoreKind kind = testing::store_kinds()[0];
  const auto other = kind.open(elsewhere.path());
  put_first(*other, "k", "cell-a");
  CHECK(code_of(store.changes(must(other->changes("", 1)).next, 2)) == ErrorCode::kRefused);
}

// A store whose replies to puts are lost, after the put or instead of it.
class LossyStore final : public MappingStore {
 public:
  explicit LossyStore(MappingStore& store) : store_(store) {}

  enum class Loss { kNone, kReply, kRequest, kReplyAndRetried } loss = Loss::kNone;
  bool deaf = false;  // answers no look-up

  StoreCapabilities capabilities() const noexcept override { return store_.capabilities(); }
  Lookup get(std::string_view key, Nanos now) override {
    if (deaf) return Lookup{Answer::kUnknown, {}, Error(ErrorCode::kUnavailable, "no answer")};
    return store_.get(key, now);
  }
  Result<std::uint64_t> put_if(const MappingRecord& record, std::uint64_t expected) override {
    if (loss == Loss::kNone) return store_.put_if(record, expected);
    if (loss != Loss::kRequest) CHECK(store_.put_if(record, expected).ok());
    if (loss == Loss::kReplyAndRetried) return store_.put_if(record, expected);
    return Error(ErrorCode::kUnavailable, "the reply was lost");
  }
  Result<Page> scan(const Cursor& cursor, std::size_t limit, Nanos now) override {
    return store_.scan(cursor, limit, now);
  }
  Result<Page> scan_cell(std::string_view cell, const Cursor& cursor, std::size_t limit,
                         Nanos now) override {
    return store_.scan_cell(cell, cursor, limit, now);
  }
  Result<Page> changes(const Cursor& cursor, std::size_t limit) override {
    return store_.changes(cursor, limit);
  }
  Result<std::size_t> purge(Nanos before, std::size_t limit) override {
    return store_.purge(before, limit);
  }

 private:
  MappingStore& store_;
};

TEST_CASE("store: a put whose reply is lost is read back by its op-id") {
  FOR_EACH_STORE(store);
  LossyStore lossy(store);
  const MappingRecord record = plain_record("tenant");
  lossy.loss = LossyStore::Loss::kRequest;
  CHECK(code_of(put_confirmed(lossy, record, 0, kNow)) == ErrorCode::kUnavailable);
  CHECK(store.get("tenant", kNow).answer == Answer::kAbsent);

  lossy.loss = LossyStore::Loss::kReply;
  CHECK(must(put_confirmed(lossy, record, 0, kNow)) == 1);

  const MappingRecord second = move_to(record, "cell-b");
  lossy.loss = LossyStore::Loss::kReplyAndRetried;  // its own success comes back as a conflict
  CHECK(must(put_confirmed(lossy, second, 1, kNow)) == 2);

  const MappingRecord gone = delete_it(second, kNow);  // absent, and still confirmed
  lossy.loss = LossyStore::Loss::kReply;
  CHECK(must(put_confirmed(lossy, gone, 2, kNow)) == 3);
}

TEST_CASE("store: somebody else's write is no success of one's own") {
  FOR_EACH_STORE(store);
  LossyStore lossy(store);
  put_first(store, "tenant", "cell-a");
  lossy.loss = LossyStore::Loss::kRequest;
  CHECK(code_of(put_confirmed(lossy, plain_record("tenant"), 0, kNow)) == ErrorCode::kUnavailable);
  lossy.loss = LossyStore::Loss::kNone;
  CHECK(code_of(put_confirmed(lossy, plain_record("tenant"), 0, kNow)) == ErrorCode::kConflict);
  lossy.deaf = true;  // whose the conflict is cannot be told
  CHECK(code_of(put_confirmed(lossy, plain_record("tenant"), 0, kNow)) == ErrorCode::kUnavailable);
  CHECK(stored(store, "tenant").cell == "cell-a");
}

}  // namespace
}  // namespace cellroute
