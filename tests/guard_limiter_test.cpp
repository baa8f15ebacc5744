#include <algorithm>
#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <random>
#include <set>

#include "guard_memory.hpp"

namespace {

using namespace cellroute;
using namespace cellroute::guard_test;

constexpr GuardGeometry kOneSet{1, 1, 16};

LimitRule rule_of(LimitKind kind, std::uint64_t requests, Nanos period) {
  Limit limit;
  limit.kind = kind;
  limit.requests = requests;
  limit.period = period;
  return *compile_limit(limit, 1);
}

// What any limit of this kind allows a key at most, by its own admissions alone: the arrival times
// of GCRA, or the calls of the last period.
struct Allowance {
  bool allows(const LimitRule& rule, Nanos period, Nanos now) {
    if (rule.kind == LimitKind::kBucket) {
      const auto next = std::max(arrival, now) + static_cast<Nanos>(rule.interval);
      arrival = next;
      return next - now <= static_cast<Nanos>(rule.ahead);
    }
    while (!calls.empty() && calls.front() <= now - period) calls.pop_front();
    calls.push_back(now);
    return calls.size() <= rule.window.requests;
  }
  Nanos arrival = 0;
  std::deque<Nanos> calls;
};

TEST_CASE("keys have an allowance each") {
  Room room({1, 1, 1024});
  const KeyLimiter& limiter = room.guards.limiter();
  for (const LimitKind kind : {LimitKind::kBucket, LimitKind::kWindow}) {
    const LimitRule rule = rule_of(kind, 5, 60 * kSecond);
    for (int key = 0; key < 100; ++key) {
      const std::uint64_t hash = limiter.hash("customer-" + std::to_string(key));
      int admitted = 0;
      for (int i = 0; i < 8; ++i) admitted += limiter.take(hash, rule, kStart).admitted;
      CHECK(admitted == 5);
    }
  }
}

TEST_CASE("a key and a resource have an allowance of their own") {
  Room room;
  const KeyLimiter& limiter = room.guards.limiter();
  const std::set<std::uint64_t> hashes = {
      limiter.hash("a"),      limiter.hash("ab"),     limiter.hash("a", ""), limiter.hash("a", "b"),
      limiter.hash("ab", ""), limiter.hash("", "ab"), limiter.hash("b", "a")};
  CHECK(hashes.size() == 7);
  CHECK(limiter.hash("a", "b") == limiter.hash("a", "b"));
}

TEST_CASE("without entries nothing is admitted") {
  Room room({1, 1, 0});
  const LimitRule rule = rule_of(LimitKind::kBucket, 5, kSecond);
  CHECK(!room.guards.limiter().take(1, rule, kStart).admitted);
  room.guards.limiter().prefetch(1, rule);
}

TEST_CASE("a full set's newcomers share its overflow entry") {
  for (const LimitKind kind : {LimitKind::kBucket, LimitKind::kWindow}) {
    Room room(kOneSet);
    const KeyLimiter& limiter = room.guards.limiter();
    const LimitRule rule = rule_of(kind, 6, 60 * kSecond);
    int own = 0;
    for (std::uint64_t key = 0; key < 15; ++key) {
      for (int i = 0; i < 10; ++i) own += limiter.take(mix(key), rule, kStart).admitted;
    }
    CHECK(own == 15 * 6);
    int shared = 0;
    for (std::uint64_t key = 15; key < 60; ++key) {
      for (int i = 0; i < 10; ++i) shared += limiter.take(mix(key), rule, kStart).admitted;
    }
    CHECK(shared == (kind == LimitKind::kBucket ? 6 : 3));  // half of a window's, spread out
    Nanos retry_after = limiter.take(mix(99), rule, kStart).retry_after;
    CHECK(retry_after > 0);
    CHECK(limiter.take(mix(99), rule, kStart + retry_after).admitted);
  }
}

TEST_CASE("a full limiter hands out no fresh allowance") {
  struct Kind {
    LimitRule rule;
    Nanos period;
  };
  const Kind kinds[] = {{rule_of(LimitKind::kBucket, 4, 10 * kSecond), 10 * kSecond},
                        {rule_of(LimitKind::kWindow, 4, 10 * kSecond), 10 * kSecond},
                        {rule_of(LimitKind::kBucket, 1, 2 * kSecond), 2 * kSecond},
                        {rule_of(LimitKind::kWindow, 200, 3 * kSecond), 3 * kSecond},
                        {rule_of(LimitKind::kWindow, 1, 30 * kSecond), 30 * kSecond}};
  std::mt19937_64 random(1);
  std::uint64_t admitted = 0;
  for (int trace = 0; trace < 20; ++trace) {
    Room room(kOneSet);
    std::map<std::uint64_t, Allowance> allowances;
    Nanos now = kStart;
    for (int i = 0; i < 20'000; ++i) {
      // A few keys come often, many now and then; at times all rest.
      const std::uint64_t key = random() % (random() % 2 == 0 ? 5 : 60);
      const Kind& kind = kinds[key % 5];
      now += static_cast<Nanos>(random() % (100 * kMillisecond));
      if (random() % 500 == 0) now += static_cast<Nanos>(random() % (20ull * kSecond));
      if (!room.guards.limiter().take(mix(key), kind.rule, now).admitted) continue;
      ++admitted;
      REQUIRE(allowances[key].allows(kind.rule, kind.period, now));
    }
  }
  CHECK(admitted > 50'000);
}

TEST_CASE("an entry goes to another key once it is back to the full allowance") {
  for (const LimitKind kind : {LimitKind::kBucket, LimitKind::kWindow}) {
    Room room(kOneSet);
    const KeyLimiter& limiter = room.guards.limiter();
    const LimitRule rule = rule_of(kind, 10, 10 * kSecond);
    for (std::uint64_t key = 0; key < 15; ++key) limiter.take(mix(key), rule, kStart);
    const Nanos idle = kind == LimitKind::kBucket ? kSecond : 14 * kSecond;
    for (std::uint64_t key = 100; key < 115; ++key) {
      int admitted = 0;
      for (int i = 0; i < 15; ++i) admitted += limiter.take(mix(key), rule, kStart + idle).admitted;
      CHECK(admitted == 10);
    }
  }
}

TEST_CASE("a refused later guard gives a key's request back") {
  for (const LimitKind kind : {LimitKind::kBucket, LimitKind::kWindow}) {
    Room room(kOneSet);
    const KeyLimiter& limiter = room.guards.limiter();
    const LimitRule rule = rule_of(kind, 3, 60 * kSecond);
    limiter.take(5, rule, kStart).cancel(rule);  // the entry stays the key's, as good as new
    const std::vector<std::byte> before = room.memory.copy();
    for (int i = 0; i < 20; ++i) {
      const LimitTaken taken = limiter.take(5, rule, kStart);
      CHECK(taken.admitted);
      taken.cancel(rule);
    }
    CHECK((room.memory.copy() == before));
    for (int i = 0; i < 3; ++i) CHECK(limiter.take(5, rule, kStart).admitted);
    const LimitTaken refused = limiter.take(5, rule, kStart);
    CHECK(!refused.admitted);
    refused.cancel(rule);
    CHECK(!limiter.take(5, rule, kStart).admitted);
  }
}

TEST_CASE("a key's limit is exact with eight threads, from its first request on") {
  for (const LimitKind kind : {LimitKind::kBucket, LimitKind::kWindow}) {
    Room room(kOneSet);
    const LimitRule rule = rule_of(kind, 25, 3600 * kSecond);
    for (std::uint64_t key = 0; key < 14; ++key) {
      std::atomic<int> admitted{0};
      std::atomic<int> ready{0};
      in_threads(8, [&](std::uint32_t) {
        ready.fetch_add(1);
        while (ready.load() < 8) std::this_thread::yield();
        for (int i = 0; i < 40; ++i) {
          const LimitTaken taken = room.guards.limiter().take(mix(key), rule, kStart);
          // Now and then a later guard refuses.
          if (taken.admitted && i % 8 == 3) {
            taken.cancel(rule);
          } else if (taken.admitted) {
            admitted.fetch_add(1);
          }
        }
      });
      CHECK(admitted == 25);
    }
  }
}

TEST_CASE("threads that drive keys in and out of one set exceed no key's limit") {
  Room room(kOneSet);
  const LimitRule rule = rule_of(LimitKind::kBucket, 2, 2 * kMillisecond);
  constexpr std::uint64_t kKeys = 40;
  std::atomic<Nanos> clock{kStart};
  std::vector<std::atomic<int>> admitted(kKeys);
  in_threads(4, [&](std::uint32_t thread) {
    std::mt19937_64 random(thread);
    for (int i = 0; i < 20'000; ++i) {
      const Nanos now = clock.fetch_add(10 * kMicrosecond);
      const std::uint64_t key = random() % kKeys;
      if (room.guards.limiter().take(mix(key), rule, now).admitted) ++admitted[key];
    }
  });
  // 800 ms at a request a millisecond, and the burst.
  const int most = static_cast<int>((clock - kStart) / kMillisecond) + 2;
  for (const std::atomic<int>& count : admitted) CHECK(count <= most);
}

// The words that a taker leaves behind when it dies after each of its steps.
TEST_CASE("a claim left half-way is finished or comes to nothing") {
  const LimitRule rule = rule_of(LimitKind::kBucket, 3, 60 * kSecond);
  std::uint64_t tag = 0;
  std::uint64_t claim = 0;
  std::uint32_t at = 0;
  {
    Room model(kOneSet);
    model.guards.limiter().take(5, rule, kStart);
    const guard::LimiterSet& set = model.guards.region().limiter_sets()[0];
    claim = set.entries[0].tag;
    for (std::uint32_t i = 1; i < 16; ++i) {
      if (set.entries[i].tag != 0) at = i;
    }
    tag = set.entries[at].tag;
  }
  constexpr std::uint64_t kTop = std::uint64_t{1} << 63;
  for (int steps = 1; steps <= 3; ++steps) {
    for (const std::uint64_t next_key : {std::uint64_t{5}, std::uint64_t{6}}) {
      Room room(kOneSet);
      guard::LimiterSet& set = room.guards.region().limiter_sets()[0];
      set.entries[at].state = kTop | tag;
      if (steps >= 2) set.entries[0].tag = claim | kTop;
      if (steps >= 3) set.entries[at].tag = tag;
      for (const std::uint64_t key : {next_key, 11 - next_key}) {
        int admitted = 0;
        for (int i = 0; i < 5; ++i) {
          admitted += room.guards.limiter().take(key, rule, kStart + kSecond).admitted;
        }
        CHECK(admitted == 3);
      }
      int used = 0;
      for (std::uint32_t i = 1; i < 16; ++i) used += set.entries[i].tag != 0;
      CHECK(used == 2);
      CHECK((set.entries[0].tag & kTop) == 0);
    }
  }
}

TEST_CASE("limits that differ keep their own account of a key") {
  Room room(kOneSet);
  const LimitRule rules[] = {rule_of(LimitKind::kBucket, 3, kSecond),
                             rule_of(LimitKind::kBucket, 3, 2 * kSecond),
                             rule_of(LimitKind::kWindow, 3, kSecond)};
  for (const LimitRule& rule : rules) {
    int admitted = 0;
    for (int i = 0; i < 5; ++i) admitted += room.guards.limiter().take(5, rule, kStart).admitted;
    CHECK(admitted == 3);
  }
}

TEST_CASE("a claim by one who looked before another claim comes to nothing") {
  Room room(kOneSet);
  const LimitRule rule = rule_of(LimitKind::kBucket, 3, 60 * kSecond);
  guard::LimiterSet& set = room.guards.region().limiter_sets()[0];
  const std::uint64_t seen = set.entries[0].tag;
  room.guards.limiter().take(5, rule, kStart);
  const std::uint64_t claim = set.entries[0].tag;
  const guard::WantedEntry wanted{set, 12'345, 0, rule, kStart};
  CHECK(guard::claim_entry(wanted, seen) == guard::EntryClaim::kAgain);
  CHECK(set.entries[0].tag == claim);
  CHECK(guard::find(wanted) == 0);
  CHECK(guard::claim_entry(wanted, claim) == guard::EntryClaim::kAgain);
  CHECK(guard::find(wanted) != 0);
}

TEST_CASE("a key whose idle entry was marked by a taker that died has its allowance all the same") {
  const LimitRule rule = rule_of(LimitKind::kBucket, 3, 60 * kSecond);
  for (const bool tag_was_raised : {false, true}) {
    Room room(kOneSet);
    const KeyLimiter& limiter = room.guards.limiter();
    limiter.take(5, rule, kStart);
    guard::LimiterEntry* entry = nullptr;
    for (guard::LimiterEntry& any : room.guards.region().limiter_sets()[0].entries) {
      if ((any.state >> 63) == 0 && any.state != 0) entry = &any;
    }
    REQUIRE(entry != nullptr);
    entry->state = std::uint64_t{1} << 63 | 12'345;  // somebody's
    if (tag_was_raised) entry->tag += 1;
    int admitted = 0;
    const Nanos later = kStart + 600 * kSecond;
    for (int i = 0; i < 5; ++i) admitted += limiter.take(5, rule, later).admitted;
    CHECK(admitted == 3);
  }
}

TEST_CASE("a window that begins after the overflow was used begins used up") {
  const LimitRule rule = rule_of(LimitKind::kWindow, 6, 60 * kSecond);
  const LimitRule brief = rule_of(LimitKind::kBucket, 1, kSecond);
  Room room(kOneSet);
  const KeyLimiter& limiter = room.guards.limiter();
  for (std::uint64_t key = 0; key < 15; ++key) limiter.take(mix(key), brief, kStart);
  CHECK(limiter.take(99, rule, kStart).admitted);
  // A request's part of the overflow is over, the period it counts in is not.
  for (Nanos now = kStart + 25 * kSecond; now < kStart + 60 * kSecond; now += kSecond) {
    CHECK(!limiter.take(99, rule, now).admitted);
  }
  int admitted = 0;
  for (int i = 0; i < 10; ++i) admitted += limiter.take(99, rule, kStart + 110 * kSecond).admitted;
  CHECK(admitted == 6);
}

TEST_CASE("killed processes leave a limiter that works and forgets nothing") {
  Room room(kOneSet);
  Memory counters(4096);
  auto* admitted = reinterpret_cast<std::atomic<std::uint64_t>*>(counters.span().data());
  const LimitRule rule = rule_of(LimitKind::kBucket, 50, 3600 * kSecond);
  for (std::uint64_t round = 0; round < 14; ++round) {
    const pid_t child = start_child([&]() -> int {
      for (;;) {
        for (const std::uint64_t key : {mix(round), mix(100 + round % 3)}) {
          if (room.guards.limiter().take(key, rule, kStart).admitted && key == mix(round)) {
            admitted[round].fetch_add(1);
          }
        }
      }
    });
    for (int i = 0; i < 20; ++i) {
      if (room.guards.limiter().take(mix(round), rule, kStart).admitted) {
        admitted[round].fetch_add(1);
      }
    }
    kill_at_once(child);
    for (int i = 0; i < 60; ++i) {
      if (room.guards.limiter().take(mix(round), rule, kStart).admitted) {
        admitted[round].fetch_add(1);
      }
    }
    CHECK(admitted[round] <= 50);  // less by one where the child died before it could count
    CHECK(admitted[round] + 1 >= (round < 12 ? 50u : 0u));
  }
}

TEST_CASE("colliding keys do not collide under another region's seed") {
  Room one({1, 1, 1024}, 1);
  Room other({1, 1, 1024}, 2);
  const LimitRule rule = rule_of(LimitKind::kBucket, 1, 60 * kSecond);
  const auto set_of = [&](Room& room, const std::string& key) {
    return scale(mix(room.guards.limiter().hash(key) ^ rule.signature), 64);
  };
  std::set<std::uint64_t> spread;
  int colliding = 0;
  for (int i = 0; colliding < 100; ++i) {
    const std::string key = "attacker-" + std::to_string(i);
    if (set_of(one, key) != 0) continue;
    ++colliding;
    spread.insert(set_of(other, key));
  }
  CHECK(spread.size() > 40);
}

}  // namespace
