// The near cache in front of a store that counts, stops and fails as it is told. Schedules of
// several threads are near_cache_model_test.cpp's.
#include <atomic>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "child_process.hpp"
#include "forwarding_store.hpp"
#include "store_records.hpp"
#include "stores/memory_store.hpp"
#include "stores/near_cache.hpp"

namespace cellroute {
namespace {

using testing::next_op_id;
using testing::plain_record;

constexpr Nanos kNow = 1'700'000'100 * kSecond;
constexpr Nanos kTtl = 300 * kSecond;
constexpr Nanos kStillFresh = kTtl - kTtl / 8;  // whatever the key's jitter

// Counts questions, fails when told, and lets those who ask wait at a gate.
class ToldStore final : public testing::ForwardingStore {
 public:
  std::atomic<int> questions{0};
  std::atomic<bool> fails{false};
  std::function<void(std::string_view)> inside;  // of a question

  void close_gate() {
    const std::lock_guard lock(mutex_);
    open_ = false;
  }
  void open_gate() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    opened_.notify_all();
  }

  Lookup get(std::string_view key, Nanos now) override {
    ++questions;
    if (inside) inside(key);
    {
      std::unique_lock lock(mutex_);
      opened_.wait(lock, [this] { return open_; });
    }
    if (!fails) return store_->get(key, now);
    Lookup failed;
    failed.error = Error(ErrorCode::kUnavailable, "the store is away");
    return failed;
  }

 private:
  std::mutex mutex_;
  std::condition_variable opened_;
  bool open_ = true;
};

struct Cached {
  explicit Cached(const NearCacheOptions& options = {}) : store(std::make_shared<ToldStore>()) {
    auto made = make_near_cache(store, options);
    REQUIRE(made.ok());
    cache = std::move(*made);
  }

  Lookup get(std::string_view key, Nanos now = kNow) { return cache->get(key, now); }
  std::string cell(std::string_view key, Nanos now = kNow) {
    const Lookup found = get(key, now);
    return found.answer == Answer::kFound ? found.record.cell : "";
  }
  // Of another router: behind the cache's back.
  void put_elsewhere(std::string_view key, const std::string& cell, std::uint64_t expected = 0) {
    MappingRecord record = plain_record(key, cell);
    record.epoch = expected + 1;
    REQUIRE(store->put_if(record, expected).ok());
  }
  int asked() const { return store->questions; }
  NearCacheCounts counts() const { return *cache->counts(); }

  std::shared_ptr<ToldStore> store;
  std::unique_ptr<NearCache> cache;
};

NearCacheOptions held(std::size_t entries) {
  NearCacheOptions options;
  options.max_entries = entries;
  return options;
}

TEST_CASE("near cache: a record is asked for once and served until its time is over") {
  Cached c;
  c.put_elsewhere("tenant", "a");
  CHECK(c.cell("tenant") == "a");
  CHECK(c.cell("tenant", kNow + kStillFresh - 1) == "a");
  CHECK(c.asked() == 1);
  c.put_elsewhere("tenant", "b", 1);
  CHECK(c.cell("tenant", kNow + kStillFresh - 1) == "a");
  CHECK(c.cell("tenant", kNow + kTtl) == "b");
  CHECK(c.asked() == 2);
  CHECK(c.counts().hits == 2);
  CHECK(c.counts().misses == 2);
  CHECK(c.counts().entries == 1);
}

TEST_CASE("near cache: a hit is the whole record, as the store gave it") {
  Cached c;
  MappingRecord record = testing::full_record("tenant");
  record.expires = kNow + kSecond;
  REQUIRE(c.store->put_if(record, 0).ok());
  record.revision = 1;
  for (int i = 0; i < 2; ++i) {
    const Lookup found = c.get("tenant");
    CHECK(found.answer == Answer::kFound);
    CHECK_FALSE(found.stale());
    CHECK(found.record == record);
  }
  CHECK(c.asked() == 1);
}

TEST_CASE("near cache: ABSENT is served for a shorter time, and not at all where that is 0") {
  Cached c;
  CHECK(c.get("nobody").answer == Answer::kAbsent);
  CHECK(c.get("nobody", kNow + 4 * kSecond).answer == Answer::kAbsent);
  CHECK(c.get("nobody", kNow + 4 * kSecond).record.epoch == 0);
  CHECK(c.asked() == 1);
  CHECK(c.get("nobody", kNow + 5 * kSecond).answer == Answer::kAbsent);
  CHECK(c.asked() == 2);
  NearCacheOptions options;
  options.negative_ttl = 0;
  Cached without(options);
  CHECK(without.get("nobody").answer == Answer::kAbsent);
  CHECK(without.get("nobody").answer == Answer::kAbsent);
  CHECK(without.asked() == 2);
}

TEST_CASE("near cache: keys that came together do not all expire together") {
  Cached c;
  constexpr int kKeys = 1'000;
  for (int i = 0; i < kKeys; ++i) c.put_elsewhere("tenant-" + std::to_string(i), "a");
  const auto ask_all = [&](Nanos now) {
    const int before = c.asked();
    for (int i = 0; i < kKeys; ++i) (void)c.get("tenant-" + std::to_string(i), now);
    return c.asked() - before;
  };
  CHECK(ask_all(kNow) == kKeys);
  CHECK(ask_all(kNow + kStillFresh - 1) == 0);
  const int early = ask_all(kNow + kTtl - kTtl / 16);
  CHECK(early > kKeys / 3);
  CHECK(early < kKeys - kKeys / 3);
  CHECK(ask_all(kNow + kTtl) == kKeys - early);
}

TEST_CASE("near cache: a record is not served beyond its own expiry") {
  Cached c;
  MappingRecord record = plain_record("chat", "a");
  record.ephemeral = true;
  record.expires = kNow + kSecond;
  REQUIRE(c.store->put_if(record, 0).ok());
  CHECK(c.cell("chat") == "a");
  record.expires = kNow + 9 * kSecond;
  REQUIRE(c.store->put_if(record, 1).ok());
  CHECK(c.cell("chat", kNow + kSecond) == "a");  // the store was asked, and has renewed it
  CHECK(c.asked() == 2);
  CHECK(c.get("chat", kNow + 9 * kSecond).answer == Answer::kAbsent);
  CHECK(c.asked() == 3);
  CHECK(c.get("chat", kNow + 9 * kSecond).answer == Answer::kAbsent);
  CHECK(c.asked() == 3);
  c.store->fails = true;
  CHECK(c.get("chat", kNow + 20 * kSecond).answer == Answer::kUnknown);
}

TEST_CASE("near cache: while the store fails, the last good record is served, and says so") {
  Cached c;
  c.put_elsewhere("tenant", "a");
  (void)c.get("tenant");
  (void)c.get("nobody");
  c.store->fails = true;
  const Nanos later = kNow + kTtl;
  const Lookup stale = c.get("tenant", later);
  CHECK(stale.answer == Answer::kFound);
  CHECK(stale.stale());
  CHECK(stale.record.cell == "a");
  CHECK(stale.error.text() == "the store is away");
  CHECK(c.get("nobody", later).answer == Answer::kUnknown);  // another may have written it
  CHECK(c.get("stranger", later).answer == Answer::kUnknown);
  CHECK(c.counts().stale == 1);
  CHECK(c.counts().errors == 3);
  const Nanos last = kNow + kStillFresh + 3'600 * kSecond - 1;
  CHECK(c.get("tenant", last).stale());
  CHECK(c.get("tenant", kNow + kTtl + 3'600 * kSecond).answer == Answer::kUnknown);
  c.store->fails = false;
  CHECK_FALSE(c.get("tenant", last).stale());
}

TEST_CASE("near cache: a store that failed is not asked again for a key within a second") {
  Cached c;
  c.put_elsewhere("tenant", "a");
  (void)c.get("tenant");
  c.store->fails = true;
  const Nanos later = kNow + 2 * kTtl;
  CHECK(c.get("tenant", later).stale());
  CHECK(c.asked() == 2);
  CHECK(c.get("tenant", later + kSecond - 1).stale());
  CHECK(c.asked() == 2);
  CHECK(c.get("tenant", later + kSecond).stale());
  CHECK(c.asked() == 3);
  CHECK(c.get("tenant", later - kTtl).stale());  // the clock stepped back
  CHECK(c.asked() == 4);
  CHECK(c.get("stranger", later).answer == Answer::kUnknown);
  CHECK(c.get("stranger", later).answer == Answer::kUnknown);
  CHECK(c.asked() == 6);
  c.store->fails = false;
  CHECK_FALSE(c.get("tenant", later + 2 * kSecond).stale());
}

TEST_CASE("near cache: a clock that steps back keeps no entry for longer than its time") {
  Cached c;
  c.put_elsewhere("tenant", "a");
  CHECK(c.cell("tenant", kNow + 1'000'000 * kSecond) == "a");
  c.put_elsewhere("tenant", "b", 1);
  CHECK(c.cell("tenant", kNow) == "a");
  CHECK(c.asked() == 1);
  CHECK(c.cell("tenant", kNow + kTtl) == "b");
  c.store->fails = true;
  CHECK(c.cell("tenant", kNow - 500 * kSecond) == "b");
  CHECK(c.get("tenant", kNow - 500 * kSecond + kTtl).stale());
  CHECK(c.get("tenant", kNow + kTtl + 3'600 * kSecond).answer == Answer::kUnknown);
  for (const Nanos now : {INT64_MIN, INT64_MIN + 1, Nanos{-1}, Nanos{0}, INT64_MAX}) {
    c.store->fails = false;
    CHECK(c.cell("tenant", now) == "b");
  }
}

TEST_CASE("near cache: of many threads that miss a key, one asks the store") {
  Cached c;
  c.put_elsewhere("tenant", "a");
  c.store->close_gate();
  constexpr std::uint64_t kThreads = 8;
  std::atomic<int> right{0};
  std::vector<std::thread> threads;
  for (std::uint64_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] { right += c.cell("tenant") == "a"; });
  }
  while (c.counts().waiting != kThreads - 1) std::this_thread::yield();
  c.store->open_gate();
  for (std::thread& thread : threads) thread.join();
  CHECK(right == kThreads);
  CHECK(c.asked() == 1);
  CHECK(c.counts().misses == kThreads);
  CHECK(c.counts().shared == kThreads - 1);
  CHECK(c.counts().waiting == 0);
}

TEST_CASE("near cache: who waits too long for another's question has the last good record") {
  NearCacheOptions options;
  options.wait = kMillisecond;
  Cached c(options);
  c.put_elsewhere("tenant", "a");
  (void)c.get("tenant");
  c.store->close_gate();
  const Nanos later = kNow + kTtl;
  std::thread slow([&] { (void)c.get("tenant", later); });
  std::thread lost([&] { (void)c.get("stranger", later); });
  while (c.asked() != 3) std::this_thread::yield();
  CHECK(c.get("tenant", later).stale());
  CHECK(c.get("stranger", later).answer == Answer::kUnknown);
  CHECK(c.counts().waiting == 0);
  const std::string_view keys[] = {"tenant", "stranger", "tenant"};
  std::vector<Lookup> out(3);
  c.cache->get_many(keys, later, out);
  CHECK(out[0].stale());
  CHECK(out[1].answer == Answer::kUnknown);
  c.store->open_gate();
  slow.join();
  lost.join();
  CHECK(c.get("stranger", later).answer == Answer::kAbsent);
}

TEST_CASE("near cache: a store that gets the key it is asked for does not wait for itself") {
  Cached c;
  c.put_elsewhere("tenant", "a");
  std::string inner;
  c.store->inside = [&](std::string_view key) {
    c.store->inside = nullptr;
    inner = c.cell(key);
  };
  CHECK(c.cell("tenant") == "a");
  CHECK(inner == "a");
  CHECK(c.asked() == 2);
  CHECK(c.cell("tenant") == "a");
  CHECK(c.asked() == 2);
}

TEST_CASE("near cache: what this router writes is there, without a question") {
  Cached c;
  CHECK(c.get("tenant").answer == Answer::kAbsent);
  REQUIRE(c.cache->put_if(plain_record("tenant", "a"), 0).ok());
  CHECK(c.cell("tenant") == "a");
  CHECK(c.get("tenant").record.revision == 1);
  MappingRecord next = plain_record("tenant", "b");
  next.epoch = 2;
  const ConditionalPut puts[] = {{next, 1}, {plain_record("bulk", "c"), 0}};
  for (const auto& result : c.cache->put_many(puts)) CHECK(result.ok());
  CHECK(c.cell("tenant") == "b");
  CHECK(c.asked() == 1);
  CHECK(c.counts().entries == 1);  // a bulk write says nothing of what will be read
}

TEST_CASE("near cache: a question that fails after this router's write is answered by that") {
  Cached c;
  CHECK(c.get("tenant").answer == Answer::kAbsent);
  c.store->close_gate();
  Lookup found;
  std::thread asker([&] { found = c.get("tenant", kNow + kTtl); });
  while (c.asked() != 2) std::this_thread::yield();
  REQUIRE(c.cache->put_if(plain_record("tenant", "a"), 0).ok());
  c.store->fails = true;
  c.store->open_gate();
  asker.join();
  CHECK(found.record.cell == "a");
  CHECK_FALSE(found.stale());
  CHECK(c.counts().errors == 1);
}

TEST_CASE("near cache: a write that fails makes the next get ask the store") {
  Cached c;
  c.put_elsewhere("tenant", "a");
  (void)c.get("tenant");
  c.put_elsewhere("tenant", "b", 1);
  MappingRecord late = plain_record("tenant", "c");
  late.epoch = 2;
  SECTION("alone") { CHECK_FALSE(c.cache->put_if(late, 1).ok()); }
  SECTION("among many") {
    const ConditionalPut puts[] = {{late, 1}};
    CHECK_FALSE(c.cache->put_many(puts)[0].ok());
  }
  CHECK(c.cell("tenant") == "b");
  CHECK(c.asked() == 2);
  late.cell.clear();
  CHECK_FALSE(c.cache->put_if(late, 2).ok());  // breaks a rule: the store has not even been asked
  CHECK(c.cell("tenant") == "b");
  CHECK(c.asked() == 2);
}

TEST_CASE("near cache: what a feed brings takes the place of what is older, and no other") {
  Cached c;
  c.put_elsewhere("tenant", "a");
  (void)c.get("tenant");
  (void)c.get("new");
  c.put_elsewhere("tenant", "b", 1);
  c.put_elsewhere("new", "n");
  c.put_elsewhere("not held", "x");
  Cursor start;
  SECTION("by observe") {
    const Result<Page> page = c.store->changes(start, 10);
    for (const MappingRecord& record : page->records) CHECK(c.cache->observe(record).ok());
  }
  SECTION("by changes") { CHECK(c.cache->changes(start, 10)->records.size() == 3); }
  CHECK(c.cell("tenant") == "b");
  CHECK(c.cell("new") == "n");
  CHECK(c.asked() == 2);
  CHECK(c.counts().entries == 2);
  MappingRecord before = plain_record("tenant", "a");
  CHECK(c.cache->observe(before).ok());
  CHECK(c.cell("tenant") == "b");
  MappingRecord gone = plain_record("tenant", "b");
  gone.epoch = 2;
  gone.revision = 3;
  gone.deleted = true;
  CHECK(c.cache->observe(gone).ok());
  CHECK(c.get("tenant").answer == Answer::kAbsent);
}

TEST_CASE("near cache: what is observed must be a record with a revision") {
  Cached c;
  MappingRecord record = plain_record("tenant");
  record.revision = 0;
  CHECK(c.cache->observe(record).code() == ErrorCode::kInvalidArgument);
  record.revision = 1;
  record.cell = "";
  CHECK(c.cache->observe(record).code() == ErrorCode::kInvalidArgument);
  CHECK(c.cache->invalidate("").code() == ErrorCode::kInvalidArgument);
  CHECK(c.cache->invalidate(std::string(1'025, 'k')).code() == ErrorCode::kInvalidArgument);
}

TEST_CASE("near cache: what is invalidated is asked for again, and not served stale") {
  Cached c;
  c.put_elsewhere("tenant", "a");
  (void)c.get("tenant");
  CHECK(c.cache->invalidate("tenant").ok());
  CHECK(c.cache->invalidate("stranger").ok());
  c.store->fails = true;
  CHECK(c.get("tenant").answer == Answer::kUnknown);
  c.store->fails = false;
  CHECK(c.cell("tenant") == "a");
  CHECK(c.asked() == 3);
  CHECK(c.cell("tenant") == "a");
  CHECK(c.asked() == 3);
}

TEST_CASE("near cache: an older answer of the store is not taken while a newer one is held") {
  Cached c;
  c.put_elsewhere("tenant", "a");
  (void)c.get("tenant");
  MappingRecord newer = plain_record("tenant", "b");
  newer.epoch = 2;
  newer.revision = 2;
  CHECK(c.cache->observe(newer).ok());  // of a write that this replica has not got yet
  CHECK(c.cache->invalidate("tenant").ok());
  CHECK(c.cell("tenant") == "b");
  CHECK(c.cell("tenant", kNow + kTtl) == "b");
  CHECK(c.asked() == 3);
  CHECK(c.cell("tenant", kNow + kTtl) == "b");
  CHECK(c.asked() == 4);  // and asked for again each time
  CHECK(c.cell("tenant", kNow + kTtl + 3'600 * kSecond) == "a");
}

TEST_CASE("near cache: get_many asks for what is not held, once, in one question") {
  Cached c;
  c.put_elsewhere("a", "cell-a");
  c.put_elsewhere("b", "cell-b");
  (void)c.get("a");
  const std::string long_key(1'025, 'k');
  const std::string_view keys[] = {"a", "b", "nobody", "", "a", long_key};
  std::vector<Lookup> out(6, c.get("a"));
  c.cache->get_many(keys, kNow, out);
  CHECK(c.asked() == 3);
  CHECK(out[0].record.cell == "cell-a");
  CHECK(out[1].record.cell == "cell-b");
  CHECK(out[2].answer == Answer::kAbsent);
  CHECK(out[3].error.code() == ErrorCode::kInvalidArgument);
  CHECK(out[4].record.cell == "cell-a");
  CHECK(out[5].answer == Answer::kUnknown);
  c.cache->get_many(std::span(keys).first(3), kNow, out);
  CHECK(c.asked() == 3);
  c.store->fails = true;
  const std::string_view twice[] = {"c", "c"};
  c.cache->get_many(twice, kNow, out);
  CHECK(out[0].answer == Answer::kUnknown);
  CHECK(out[1].answer == Answer::kUnknown);
  CHECK(c.counts().waiting == 0);
  CHECK(c.counts().entries == 3);
}

TEST_CASE("near cache: neither keys nor bytes go beyond their bounds") {
  std::mt19937_64 random(1);
  NearCacheOptions options = held(500);
  options.max_bytes = 400'000;
  Cached c(options);
  std::vector<std::string> keys;
  for (int i = 0; i < 3'000; ++i) {
    keys.push_back(std::to_string(i) + std::string(random() % 1'000, 'k'));
    if (i % 3 == 0) c.put_elsewhere(keys.back(), "a");
  }
  std::uint64_t most = 0;
  for (const std::string& key : keys) {
    (void)c.get(key);
    CHECK(c.counts().bytes <= options.max_bytes);
    most = std::max(most, c.counts().entries);
  }
  CHECK(most > 100);
  CHECK(most <= 500);
  CHECK(c.counts().entries + c.counts().evictions == keys.size());
  NearCacheOptions tiny;
  tiny.max_bytes = 1;
  Cached none(tiny);
  none.put_elsewhere("tenant", "a");
  CHECK(none.cell("tenant") == "a");
  CHECK(none.cell("tenant") == "a");
  CHECK(none.asked() == 2);
  CHECK(none.counts().bytes == 0);
}

TEST_CASE("near cache: a scan of many keys, once each, leaves those that are asked for again") {
  Cached c(held(1'000));
  const auto ask_hot = [&] {
    const int before = c.asked();
    for (int i = 0; i < 500; ++i) (void)c.get("hot-" + std::to_string(i));
    return c.asked() - before;
  };
  (void)ask_hot();
  (void)ask_hot();
  int again = 0;
  for (int i = 0; i < 20'000; ++i) {
    (void)c.get("scanned-" + std::to_string(i));
    if (i % 200 == 199) again += ask_hot();
  }
  CHECK(again < 500);  // of 50,000
}

TEST_CASE("near cache: options out of their range, and no store, are refused") {
  const std::shared_ptr<MappingStore> store = make_memory_store();
  const auto refused = [&](auto change) {
    NearCacheOptions options;
    change(options);
    const auto made = make_near_cache(store, options);
    return !made.ok() && made.error().code() == ErrorCode::kInvalidArgument;
  };
  CHECK(refused([](NearCacheOptions& o) { o.max_entries = 0; }));
  CHECK(refused([](NearCacheOptions& o) { o.max_entries = (1u << 26) + 1; }));
  CHECK(refused([](NearCacheOptions& o) { o.max_bytes = 0; }));
  CHECK(refused([](NearCacheOptions& o) { o.ttl = 0; }));
  CHECK(refused([](NearCacheOptions& o) { o.negative_ttl = -1; }));
  CHECK(refused([](NearCacheOptions& o) { o.max_stale = -1; }));
  CHECK(refused([](NearCacheOptions& o) { o.wait = 0; }));
  CHECK(refused([](NearCacheOptions& o) { o.wait = 3'601 * kSecond; }));
  CHECK_FALSE(refused([](NearCacheOptions& o) { o.ttl = o.max_stale = INT64_MAX; }));
  CHECK_FALSE(make_near_cache(nullptr).ok());
}

TEST_CASE("near cache: a child of fork is refused, may destroy its copy, and harms no one") {
  Cached c;
  c.put_elsewhere("tenant", "a");
  c.store->close_gate();
  std::thread asker([&] { (void)c.get("tenant"); });
  while (c.asked() != 1) std::this_thread::yield();
  std::thread waiter([&] { (void)c.get("tenant"); });
  while (c.counts().waiting != 1) std::this_thread::yield();
  testing::Child child([&] {
    const auto forked = [](const Error& error) { return error.code() == ErrorCode::kWrongProcess; };
    if (!forked(c.get("tenant").error)) return 1;
    if (!forked(c.cache->put_if(plain_record("x"), 0).error())) return 2;
    if (!forked(c.cache->observe(plain_record("tenant")))) return 3;
    if (!forked(c.cache->invalidate("tenant"))) return 4;
    if (!forked(c.cache->counts().error())) return 5;
    if (!forked(c.cache->changes({}, 1).error())) return 6;
    if (!forked(c.cache->purge(0, 1).error())) return 7;
    const ConditionalPut puts[] = {{plain_record("x"), 0}};
    if (!forked(c.cache->put_many(puts)[0].error())) return 8;
    c.cache.reset();  // the waiter's condition variable is waited for by nobody here
    return 0;
  });
  CHECK(child.wait() == 0);
  c.store->open_gate();
  asker.join();
  waiter.join();
  CHECK(c.cell("tenant") == "a");
  CHECK(c.asked() == 1);
}

// What a single caller may be told, by a model that knows all writes and when each was in force.
TEST_CASE("near cache: random calls agree with what the store said within the times promised") {
  std::mt19937_64 random(7);
  NearCacheOptions options = held(6);
  options.max_stale = 20 * kSecond;
  options.ttl = 10 * kSecond;
  options.negative_ttl = 2 * kSecond;
  Cached c(options);
  struct Written {
    Nanos at;
    MappingRecord record;
  };
  std::map<std::string, std::vector<Written>> history;
  std::map<std::string, std::uint64_t> seen;
  Nanos now = kNow;
  int hits = 0;
  for (int step = 0; step < 40'000; ++step) {
    now += static_cast<Nanos>(random() % 500) * kMillisecond;
    const std::string key = "key-" + std::to_string(random() % 10);
    std::vector<Written>& writes = history[key];
    const auto action = random() % 100;
    if (action < 8) {
      MappingRecord record = plain_record(key, "cell-" + std::to_string(random() % 5));
      record.epoch = record.revision = writes.size() + 1;
      record.deleted = random() % 4 == 0;
      MappingStore& through = random() % 2 == 0 ? *c.cache : static_cast<MappingStore&>(*c.store);
      REQUIRE(through.put_if(record, writes.size()).ok());
      writes.push_back({now, record});
      if (&through == c.cache.get()) seen[key] = record.revision;
    } else if (action < 11) {
      if (!writes.empty()) {
        const MappingRecord& record = writes[random() % writes.size()].record;
        CHECK(c.cache->observe(record).ok());
        seen[key] = std::max(seen[key], record.revision);
      }
    } else if (action < 13) {
      CHECK(c.cache->invalidate(key).ok());
      seen[key] = writes.size();
    } else if (action < 16) {
      c.store->fails = random() % 2 == 0;
    } else {
      const int before = c.asked();
      const Lookup found = c.get(key, now);
      const bool asked = c.asked() != before;
      hits += !asked;
      if (found.answer == Answer::kUnknown) {
        REQUIRE(c.store->fails);
        continue;
      }
      const std::uint64_t revision = found.record.revision;
      REQUIRE(revision >= seen[key]);
      seen[key] = revision;
      const bool absent = revision == 0 || writes[revision - 1].record.deleted;
      REQUIRE((found.answer == Answer::kAbsent) == absent);
      if (found.stale()) REQUIRE_FALSE(absent);
      if (asked && !c.store->fails) REQUIRE(revision == writes.size());
      // When it was replaced: no longer ago than it may be told.
      const Nanos allowed = found.stale() ? options.ttl + options.max_stale
                            : absent      ? options.negative_ttl
                                          : options.ttl;
      if (revision < writes.size()) REQUIRE(now - writes[revision].at <= allowed);
    }
  }
  CHECK(hits > 5'000);
  CHECK(c.counts().stale > 50);
  CHECK(c.counts().evictions > 1'000);
}

TEST_CASE("near cache: many threads on few keys never see one go back") {
  Cached c(held(8));
  std::atomic<bool> over{false};
  std::atomic<int> broken{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937_64 random(static_cast<std::uint64_t>(t));
      std::map<std::string, std::uint64_t> seen;
      Nanos now = kNow;
      while (!over) {
        now += kSecond;
        const std::string key = std::to_string(random() % 12);
        const Lookup found = c.get(key, now);
        broken += found.record.revision < seen[key];
        seen[key] = found.record.revision;
        if (random() % 16 == 0) (void)c.cache->invalidate(key);
        if (random() % 64 == 0) (void)c.counts();
      }
    });
  }
  std::uint64_t epoch = 0;
  for (int i = 0; i < 2'000; ++i) {
    const std::string key = std::to_string(i % 12);
    if (i % 12 == 0) ++epoch;
    MappingRecord record = plain_record(key, "a");
    record.epoch = epoch;
    MappingStore& through = i % 5 == 0 ? static_cast<MappingStore&>(*c.store) : *c.cache;
    broken += !through.put_if(record, epoch - 1).ok();
    if (i % 3 == 0) {
      record.revision = epoch;
      broken += !c.cache->observe(record).ok();
    }
  }
  over = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(broken == 0);
  CHECK(c.counts().entries <= 8);
}

}  // namespace
}  // namespace cellroute
