// The near cache by its real class, in every order in which its callers' steps can come.
//
// A store is asked in three steps: the call, the store's own act, the return. Between them a thread
// of this model stops until the schedule lets it go on, so that one runs at a time; what the cache
// lets wait is told by its own count. Each scenario is run once for every schedule that it has.
//
// What must hold in all: an operation that begins when another has returned is not answered by an
// older record than that one gave, wrote, took or left behind in the store.
#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "forwarding_store.hpp"
#include "store_records.hpp"
#include "stores/memory_store.hpp"
#include "stores/near_cache.hpp"

namespace cellroute {
namespace {

using testing::plain_record;

constexpr Nanos kStart = 1'700'000'000 * kSecond;
constexpr std::string_view kKey = "key";

// Lets one actor run at a time, from stop to stop.
class Stage {
 public:
  using Script = std::vector<std::function<void()>>;

  // Actors stand before their first operation.
  explicit Stage(const std::vector<Script>& scripts) : states_(scripts.size(), State::kRuns) {
    for (std::size_t i = 0; i < scripts.size(); ++i) {
      threads_.emplace_back([this, i, &script = scripts[i]] {
        self_ = {this, i};
        for (const auto& operation : script) {
          stop();
          operation();
        }
        enter(State::kDone);
      });
    }
  }
  ~Stage() {
    for (std::thread& thread : threads_) thread.join();
  }

  // Called by actors. Others, and those that are in one step, do not stop.
  static void stop() {
    if (self_.stage != nullptr) self_.stage->wait_for_turn();
  }

  // `body` as one step.
  static void at_once(const std::function<void()>& body) {
    const Self kept = std::exchange(self_, {});
    body();
    self_ = kept;
  }

  std::vector<std::size_t> able() {
    const std::lock_guard lock(mutex_);
    std::vector<std::size_t> actors;
    for (std::size_t i = 0; i < states_.size(); ++i) {
      if (states_[i] == State::kStands) actors.push_back(i);
    }
    return actors;
  }

  void go(std::size_t actor) {
    const std::lock_guard lock(mutex_);
    states_[actor] = State::kRuns;
    turn_.notify_all();
  }

  // Until each actor stands, is done, or waits inside the cache. An actor only ever leaves kRuns by
  // itself, so that all that run do wait where their number is that of those who wait.
  void settle(const NearCache& cache) {
    std::unique_lock lock(mutex_);
    for (;; moved_.wait_for(lock, std::chrono::microseconds(50))) {
      const auto running = std::count(states_.begin(), states_.end(), State::kRuns);
      if (running == 0) return;
      if (static_cast<std::uint64_t>(running) == (*cache.counts()).waiting) return;
    }
  }

 private:
  enum class State { kStands, kRuns, kDone };
  struct Self {
    Stage* stage = nullptr;
    std::size_t actor = 0;
  };

  void enter(State state) {
    const std::lock_guard lock(mutex_);
    states_[self_.actor] = state;
    moved_.notify_one();
  }

  void wait_for_turn() {
    std::unique_lock lock(mutex_);
    State& mine = states_[self_.actor];
    mine = State::kStands;
    moved_.notify_one();
    turn_.wait(lock, [&] { return mine == State::kRuns; });
  }

  static thread_local Self self_;

  std::mutex mutex_;
  std::condition_variable turn_;
  std::condition_variable moved_;
  std::vector<State> states_;
  std::vector<std::thread> threads_;
};

thread_local Stage::Self Stage::self_;

// Writes of the model carry their number, which orders them also where a purge lets revisions begin
// anew; 0 is no record at all.
std::uint64_t number_of(const MappingRecord& record) {
  return record.revision == 0 ? 0 : static_cast<std::uint64_t>(record.created - kStart);
}

// The authority, whose calls are made of steps.
class SteppedStore final : public testing::ForwardingStore {
 public:
  bool fails = false;          // questions
  bool loses_replies = false;  // of puts

  Lookup get(std::string_view key, Nanos now) override {
    Stage::stop();
    Lookup found = store_->get(key, now);
    if (fails) found = {Answer::kUnknown, {}, Error(ErrorCode::kUnavailable, "away")};
    Stage::stop();
    return found;
  }
  Result<std::uint64_t> put_if(const MappingRecord& record, std::uint64_t expected) override {
    Stage::stop();
    Result<std::uint64_t> written = store_->put_if(record, expected);
    if (written.ok()) newest_ = static_cast<std::uint64_t>(record.created - kStart);
    left_behind = newest_;
    if (loses_replies) written = Error(ErrorCode::kUnavailable, "the reply is lost");
    Stage::stop();
    return written;
  }

  std::uint64_t newest() const { return newest_; }
  // What the last put of this thread found or left.
  static thread_local std::uint64_t left_behind;

 private:
  std::atomic<std::uint64_t> newest_{0};
};

thread_local std::uint64_t SteppedStore::left_behind = 0;

// One run of a scenario: the cache, and what anybody has seen so far.
class World {
 public:
  explicit World(const NearCacheOptions& options)
      : store(std::make_shared<SteppedStore>()),
        cache(std::move(*make_near_cache(store, options))) {}

  std::shared_ptr<SteppedStore> store;
  std::unique_ptr<NearCache> cache;
  std::atomic<Nanos> now{kStart};

  // The n-th write, at revision n unless it is said.
  static MappingRecord write(std::uint64_t n, std::uint64_t revision = 0) {
    MappingRecord record = plain_record(kKey, "cell-" + std::to_string(n));
    record.epoch = revision != 0 ? revision : n;
    record.revision = record.epoch;
    record.created = kStart + static_cast<Nanos>(n);
    return record;
  }
  static MappingRecord tombstone(std::uint64_t n) {
    MappingRecord record = write(n);
    record.deleted = true;
    record.expires = kStart + 1;
    return record;
  }

  void get() {
    const std::uint64_t floor = seen_;
    const Lookup found = cache->get(kKey, now);
    if (found.answer == Answer::kUnknown) return;
    const bool nothing_after_purge = purged && found.record.revision == 0;
    if (!nothing_after_purge && number_of(found.record) < floor) ++broken;
    if (found.stale() && !store_failed) ++broken;
    see(number_of(found.record));
  }

  // Of this router.
  void put(const MappingRecord& record) {
    (void)cache->put_if(record, record.revision - 1);
    see(SteppedStore::left_behind);
  }

  // Of another router, in one step.
  void put_elsewhere(const MappingRecord& record) {
    Stage::at_once([&] { (void)store->put_if(record, record.revision - 1); });
  }

  void observe(const MappingRecord& record) {
    if (!cache->observe(record).ok()) ++broken;
    see(number_of(record));
  }

  void invalidate() {
    const std::uint64_t stored = store->newest();
    if (!cache->invalidate(kKey).ok()) ++broken;
    see(stored);
  }

  // Another key takes the place, in one step.
  void evict() {
    Stage::at_once([&] { (void)cache->get("another", now); });
  }

  bool purged = false;
  bool store_failed = false;
  std::atomic<int> broken{0};

 private:
  void see(std::uint64_t number) {
    std::uint64_t before = seen_;
    while (before < number && !seen_.compare_exchange_weak(before, number)) {
    }
  }

  std::atomic<std::uint64_t> seen_{0};
};

struct Scenario {
  NearCacheOptions options;
  std::function<void(World&)> prepare;
  std::function<std::vector<Stage::Script>(World&)> actors;
};

NearCacheOptions one_entry() {
  NearCacheOptions options;
  options.max_entries = 1;
  return options;
}

// One run. `path` names the turns to take, and is extended by first choices; each turn's number of
// choices goes to `choices`.
void play(const Scenario& scenario, std::vector<std::size_t>& path,
          std::vector<std::size_t>& choices) {
  World world(scenario.options);
  if (scenario.prepare) scenario.prepare(world);
  const std::vector<Stage::Script> scripts = scenario.actors(world);
  choices.clear();
  {
    Stage stage(scripts);
    for (stage.settle(*world.cache);; stage.settle(*world.cache)) {
      const std::vector<std::size_t> able = stage.able();
      if (able.empty()) break;
      if (path.size() == choices.size()) path.push_back(0);
      const std::size_t choice = path[choices.size()];
      choices.push_back(able.size());
      stage.go(able[choice]);
    }
  }
  world.get();  // whoever comes later
  world.store->fails = false;
  world.now += 10 * scenario.options.ttl + scenario.options.max_stale;
  world.get();
  const Lookup at_last = world.cache->get(kKey, world.now);
  if (number_of(at_last.record) != number_of(world.store->get(kKey, world.now).record)) {
    ++world.broken;
  }
  const NearCacheCounts counts = *world.cache->counts();
  if (counts.waiting != 0 || counts.entries > scenario.options.max_entries) ++world.broken;
  if (world.broken == 0) return;
  std::string turns;
  for (const std::size_t choice : path) turns += std::to_string(choice);
  FAIL("an older answer after a newer one, or another rule broken, by the turns " << turns);
}

std::size_t play_all(const Scenario& scenario) {
  std::vector<std::size_t> path;
  std::vector<std::size_t> choices;
  for (std::size_t schedules = 1;; ++schedules) {
    play(scenario, path, choices);
    while (!path.empty() && path.back() + 1 == choices[path.size() - 1]) path.pop_back();
    if (path.empty()) return schedules;
    ++path.back();
  }
}

void hold_first(World& world) { world.put(World::write(1)); }
void hold_first_fresh(World& world) {
  hold_first(world);
  world.get();
}

TEST_CASE("near cache model: fills, this router's write, eviction") {
  const std::size_t schedules =
      play_all({one_entry(), hold_first, [](World& w) {
                  return std::vector<Stage::Script>{
                      {[&w] { w.get(); }},
                      {[&w] { w.put(World::write(2)); }, [&w] { w.get(); }},
                      {[&w] { w.evict(); }, [&w] { w.get(); }},
                  };
                }});
  CHECK(schedules > 600);
}

TEST_CASE("near cache model: fills, another router's write, the feed that brings it, eviction") {
  const std::size_t schedules = play_all(
      {one_entry(), hold_first, [](World& w) {
         return std::vector<Stage::Script>{
             {[&w] { w.get(); }, [&w] { w.get(); }},
             {[&w] { w.put_elsewhere(World::write(2)); }, [&w] { w.observe(World::write(2)); }},
             {[&w] { w.evict(); }, [&w] { w.get(); }},
         };
       }});
  CHECK(schedules > 600);
}

TEST_CASE("near cache model: a feed that lags, expiry, eviction") {
  const std::size_t schedules =
      play_all({one_entry(), hold_first_fresh, [](World& w) {
                  return std::vector<Stage::Script>{
                      {[&w] { w.get(); }, [&w] { w.get(); }},
                      {[&w] { w.put(World::write(2)); }, [&w] { w.put_elsewhere(World::write(3)); },
                       [&w] { (void)w.cache->observe(World::write(2)); }},
                      {[&w] { w.now += 300 * kSecond; }, [&w] { w.evict(); }},
                  };
                }});
  CHECK(schedules > 600);
}

TEST_CASE("near cache model: fills, another router's write, invalidation") {
  const std::size_t schedules =
      play_all({{}, hold_first_fresh, [](World& w) {
                  return std::vector<Stage::Script>{
                      {[&w] { w.invalidate(); }, [&w] { w.get(); }},
                      {[&w] { w.put_elsewhere(World::write(2)); }, [&w] { w.invalidate(); }},
                      {[&w] { w.get(); }, [&w] { w.get(); }},
                  };
                }});
  CHECK(schedules > 600);
}

TEST_CASE("near cache model: a put whose reply is lost is seen by whoever reads afterwards") {
  const std::size_t schedules = play_all(
      {{}, hold_first_fresh, [](World& w) {
         return std::vector<Stage::Script>{
             {[&w] {
                w.store->loses_replies = true;
                w.put(World::write(3));
              },
              [&w] { w.get(); }},
             {[&w] { w.put_elsewhere(World::write(2)); }, [&w] { w.observe(World::write(2)); }},
             {[&w] { w.now += 300 * kSecond; }, [&w] { w.get(); }},
         };
       }});
  CHECK(schedules > 600);
}

TEST_CASE("near cache model: a conflict is followed by the record that won") {
  const std::size_t schedules =
      play_all({{}, hold_first_fresh, [](World& w) {
                  return std::vector<Stage::Script>{
                      {[&w] { w.put_elsewhere(World::write(2)); },
                       [&w] { w.put_elsewhere(World::write(3)); }},
                      {[&w] { w.put(World::write(2)); }, [&w] { w.get(); }},
                      {[&w] { w.get(); }, [&w] { w.get(); }},
                  };
                }});
  CHECK(schedules > 600);
}

TEST_CASE("near cache model: tombstones, a store that fails and comes back, expiry") {
  const std::size_t schedules = play_all(
      {{}, hold_first_fresh, [](World& w) {
         return std::vector<Stage::Script>{
             {[&w] { w.get(); }, [&w] { w.get(); }},
             {[&w] { w.put(World::tombstone(2)); }, [&w] { w.put_elsewhere(World::write(3)); }},
             {[&w] { w.store_failed = w.store->fails = true; }, [&w] { w.now += 300 * kSecond; },
              [&w] { w.store->fails = false; }},
         };
       }});
  CHECK(schedules > 600);
}

TEST_CASE("near cache model: a purged key begins anew") {
  const std::size_t schedules =
      play_all({{}, hold_first, [](World& w) {
                  return std::vector<Stage::Script>{
                      {[&w] { w.get(); }, [&w] { w.get(); }},
                      {[&w] { w.put_elsewhere(World::tombstone(2)); },
                       [&w] {
                         w.purged = true;
                         (void)w.cache->purge(kStart + 1, 1);
                       },
                       [&w] { w.put(World::write(3, 1)); }, [&w] { w.get(); }},
                      {[&w] { (void)w.cache->observe(World::tombstone(2)); }},
                  };
                }});
  CHECK(schedules > 600);
}

}  // namespace
}  // namespace cellroute
