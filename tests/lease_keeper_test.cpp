// Routers that share a limit by leases: what they spend together, whatever fails.
#include "control/lease_keeper.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "flaky_leases.hpp"
#include "guard_memory.hpp"
#include "stores/memory_lease_store.hpp"

namespace cellroute {
namespace {

using guard_test::kStart;
using guard_test::Memory;
using guard_test::Room;

// What one request was admitted by.
enum class By : std::uint8_t { kNothing, kLease, kShare };

struct Router {
  Router(const FleetLimit& limit, FleetOptions options, LeaseStore& shared, Nanos clock_ahead = 0)
      : memory(FleetLimiter::bytes(options.entries)),
        made(FleetLimiter::create(memory.span(), limit, options, room.guards.limiter())),
        store(shared),
        keeper(*made, store),
        ahead(clock_ahead) {}

  By take(const std::string& key, Nanos now) {
    const FleetTaken taken = made->take(key, 0, now + ahead);
    return !taken.admitted ? By::kNothing : taken.lease != 0 ? By::kLease : By::kShare;
  }
  int take(const std::string& key, Nanos now, int tries, By by) {
    int count = 0;
    for (int i = 0; i < tries; ++i) count += take(key, now) == by;
    return count;
  }
  Nanos renew(Nanos now) { return keeper.renew(now + ahead) - ahead; }

  Room room;
  Memory memory;
  Result<FleetLimiter> made;
  Flaky store;
  LeaseKeeper keeper;
  Nanos ahead;
};

FleetOptions options_for(std::uint32_t routers) {
  FleetOptions options;
  options.routers = routers;
  options.entries = 64;
  return options;
}

FleetLimit monthly(std::uint64_t requests) {
  FleetLimit limit;
  limit.name = "calls";
  limit.kind = FleetKind::kMonthly;
  limit.plans = {{"", requests, 0, false}};
  return limit;
}

FleetLimit rate(std::uint64_t requests, Nanos period) {
  FleetLimit limit;
  limit.period = period;
  limit.plans = {{"", requests, 0, false}};
  return limit;
}

// A store with a clock of its own.
struct Shared {
  explicit Shared(Nanos start = kStart) : now(start) {}
  std::uint64_t used(const std::string& key) { return *store->usage("calls", key, month_of(now)); }
  Nanos now;
  std::unique_ptr<LeaseStore> store = make_memory_lease_store([this] { return now; });
};

TEST_CASE("lease keeper: a key that spends gets a lease, and what it spent before is charged") {
  Shared shared;
  Router router(monthly(32'000), options_for(10), *shared.store);
  CHECK(router.take("a", shared.now, 3, By::kShare) == 3);
  CHECK(router.renew(shared.now) == shared.now + 500 * kMillisecond);
  CHECK(shared.used("a") == 3 + 24);  // eight beats of three
  CHECK(router.take("a", shared.now, 30, By::kLease) == 24);
}

TEST_CASE("lease keeper: usage is exact once a key rests") {
  Shared shared;
  Router router(monthly(32'000), options_for(10), *shared.store);
  std::uint64_t spent = 0;
  for (int beat = 0; beat < 100; ++beat) {
    for (int i = 0; i < beat % 23; ++i) spent += router.take("a", shared.now) != By::kNothing;
    const std::uint64_t used = shared.used("a");
    CHECK(used <= spent + 3'200 + 1);  // what it may hold
    shared.now = router.renew(shared.now);
  }
  CHECK(router.keeper.keys() == 1);
  for (int beat = 0; beat < 6; ++beat) shared.now = router.renew(shared.now);
  CHECK(shared.used("a") == spent);
  CHECK(router.keeper.keys() == 0);
  const UsagePage page = *shared.store->usages("calls", month_of(shared.now), "", 10);
  REQUIRE(page.usages.size() == 1);
  CHECK(page.usages[0].used == spent);
}

TEST_CASE("lease keeper: a router that ends gives all back") {
  Shared shared;
  Router router(monthly(32'000), options_for(10), *shared.store);
  CHECK(router.take("a", shared.now, 5, By::kShare) == 5);
  shared.now = router.renew(shared.now);
  CHECK(router.take("a", shared.now, 7, By::kLease) == 7);
  CHECK(router.take("b", shared.now, 2, By::kShare) == 2);
  CHECK(shared.used("a") > 12);
  CHECK(router.keeper.release(shared.now));
  CHECK(shared.used("a") == 12);
  CHECK(shared.used("b") == 2);
}

TEST_CASE("lease keeper: what a dead router held is spent") {
  Shared shared;
  {
    Router router(monthly(32'000), options_for(10), *shared.store);
    router.take("a", shared.now, 5, By::kShare);
    shared.now = router.renew(shared.now);
  }
  CHECK(shared.used("a") == 5 + 40);
}

TEST_CASE("lease keeper: a used up month is refused until the next one begins") {
  // 2024-02-29, 20 s before its end.
  Shared shared(1'709'251'180 * kSecond);
  Router router(monthly(100), options_for(1), *shared.store);
  std::uint64_t spent = 0;
  Nanos retry_after = 0;
  for (int beat = 0; beat < 20; ++beat) {
    for (int i = 0; i < 20; ++i) {
      const FleetTaken taken = router.made->take("a", 0, shared.now);
      spent += taken.admitted;
      if (!taken.admitted) retry_after = taken.retry_after;
    }
    shared.now = router.renew(shared.now);
  }
  CHECK(spent >= 100);
  CHECK(spent <= 100 + 3);  // what came before the first lease, of a share of three at once
  CHECK(retry_after > 0);
  CHECK(shared.now + retry_after <= 1'709'251'200 * kSecond + kSecond);
  CHECK(router.take("a", shared.now, 5, By::kNothing) == 5);
  // It is not forgotten while it rests.
  for (int beat = 0; beat < 10; ++beat) shared.now = router.renew(shared.now);
  CHECK(router.take("a", shared.now, 5, By::kNothing) == 5);
  shared.now = 1'709'251'200 * kSecond;
  CHECK(router.made->take("a", 0, shared.now).retry_after <= router.made->beat());
  router.renew(shared.now);
  CHECK(router.take("a", shared.now, 5, By::kLease) == 5);
  CHECK(*shared.store->usage("calls", "a", month_of(shared.now)) > 5);
}

TEST_CASE(
    "lease keeper: while the store is away keys have their share, and leases when it is back") {
  Shared shared;
  Router router(rate(100, 10 * kSecond), options_for(5), *shared.store);
  router.take("a", shared.now);
  shared.now = router.renew(shared.now);
  router.store.deaf = true;
  CHECK(router.take("a", shared.now, 8, By::kLease) == 8);
  shared.now = router.renew(shared.now);
  CHECK(router.keeper.away());
  const int calls = router.store.calls;
  int shares = 0;
  for (int beat = 0; beat < 40; ++beat) {  // 20 s: 40 and the 20 at once
    shares += router.take("a", shared.now, 10, By::kShare);
    shared.now = router.renew(shared.now);
  }
  CHECK(router.store.calls == calls + 40);  // once a beat
  CHECK(shares >= 50);
  CHECK(shares <= 60);
  router.store.deaf = false;
  shared.now = router.renew(shared.now);
  CHECK_FALSE(router.keeper.away());
  for (int beat = 0; beat < 40; ++beat) {  // what it spent is charged first
    router.take("a", shared.now, 10, By::kLease);
    shared.now = router.renew(shared.now);
  }
  int leased = 0;
  for (int beat = 0; beat < 20; ++beat) {
    leased += router.take("a", shared.now, 10, By::kLease);
    shared.now = router.renew(shared.now);
  }
  CHECK(leased >= 60);  // five times its share
}

TEST_CASE("lease keeper: a key that used up its month is not forgotten while it rests") {
  Shared shared(1'707'523'200 * kSecond);  // 2024-02-10
  Router router(monthly(100), options_for(1), *shared.store);
  for (int beat = 0; beat < 20; ++beat) {
    for (int i = 0; i < 20; ++i) router.take("a", shared.now);
    shared.now = router.renew(shared.now);
  }
  for (int beat = 0; beat < 10; ++beat) shared.now = router.renew(shared.now);
  shared.now += 9 * 3'600 * kSecond;  // its share would be one by now
  router.renew(shared.now);
  CHECK(router.take("a", shared.now) == By::kNothing);
}

TEST_CASE("lease keeper: tokens of a month that is over go back to it where the clock is slow") {
  Shared shared(1'709'251'199 * kSecond);  // a second before March 2024
  Router router(monthly(32'000), options_for(1), *shared.store);
  CHECK(router.take("a", shared.now, 10, By::kShare) == 10);
  router.renew(shared.now);
  CHECK(router.take("a", shared.now, 60, By::kLease) == 60);
  shared.now += kSecond + 200 * kMillisecond;
  router.ahead -= 900 * kMillisecond;
  router.renew(shared.now);
  CHECK(router.take("a", shared.now, 5, By::kLease) == 5);
  CHECK(router.keeper.release(shared.now + router.ahead));
  CHECK(*shared.store->usage("calls", "a", month_of(shared.now - 2 * kSecond)) == 70);
  CHECK(shared.used("a") == 5);
}

TEST_CASE("lease keeper: what is spent while the store is away is charged when it is back") {
  Shared shared;
  Router router(monthly(32'000), options_for(1), *shared.store);
  router.store.deaf = true;
  int spent = 0;
  for (int beat = 0; beat < 10; ++beat) {
    spent += router.take("a", shared.now, 20, By::kShare);
    shared.now = router.renew(shared.now);
  }
  CHECK(spent >= 200);
  CHECK(shared.used("a") == 0);
  router.store.deaf = false;
  for (int beat = 0; beat < 8; ++beat) shared.now = router.renew(shared.now);
  CHECK(shared.used("a") == static_cast<std::uint64_t>(spent));
}

TEST_CASE("lease keeper: a lost reply grants nothing, and never lowers what is used") {
  Shared shared;
  Router router(monthly(32'000), options_for(1), *shared.store);
  std::uint64_t spent = 0;
  std::mt19937_64 random(3);
  for (int beat = 0; beat < 400; ++beat) {
    router.store.mute = random() % 3 == 0;
    const std::uint64_t tries = random() % 3 == 0 ? 0 : random() % 40;
    for (std::uint64_t i = 0; i < tries; ++i) spent += router.take("a", shared.now) != By::kNothing;
    shared.now = router.renew(shared.now);
  }
  router.store.mute = false;
  for (int beat = 0; beat < 8; ++beat) shared.now = router.renew(shared.now);
  CHECK(shared.used("a") >= spent);
  CHECK(spent > 2'000);
}

TEST_CASE("lease keeper: a router that slept longer than its lease spends nothing of it") {
  Shared shared;
  Router sleeper(rate(100, 60 * kSecond), options_for(2), *shared.store);
  sleeper.take("a", shared.now, 10, By::kShare);
  sleeper.renew(shared.now);
  Router other(rate(100, 60 * kSecond), options_for(2), *shared.store);
  const Nanos slept = shared.now + sleeper.made->options().lease;
  CHECK(sleeper.take("a", slept, 5, By::kLease) == 0);
  shared.now = slept;
  sleeper.renew(slept);  // and gives it back
  for (int beat = 0; beat < 6; ++beat) shared.now = sleeper.renew(shared.now);
  int leased = 0;
  for (int beat = 0; beat < 20; ++beat) {
    other.take("a", shared.now, 1, By::kShare);
    leased += other.take("a", shared.now, 30, By::kLease);
    shared.now = other.renew(shared.now);
  }
  CHECK(leased >= 45);  // near what is left of the limit
}

TEST_CASE("lease keeper: where the clock stepped back all leases are given back") {
  Shared shared;
  Router router(monthly(32'000), options_for(10), *shared.store);
  router.take("a", shared.now, 10, By::kShare);
  shared.now = router.renew(shared.now);
  CHECK(router.take("a", shared.now, 1, By::kLease) == 1);
  for (int beat = 0; beat < 3; ++beat) {
    router.ahead -= 3'600 * kSecond;
    router.renew(shared.now);
  }
  CHECK(shared.used("a") >= 11);
  for (int beat = 0; beat < 8; ++beat) shared.now = router.renew(shared.now);
  CHECK(shared.used("a") == 11);
}

TEST_CASE("lease keeper: no router keeps a limit from the others") {
  Shared shared;
  Router greedy(monthly(1'000), options_for(4), *shared.store);
  Router modest(monthly(1'000), options_for(4), *shared.store);
  for (int beat = 0; beat < 3; ++beat) {
    greedy.take("a", shared.now, 5'000, By::kLease);
    shared.now = greedy.renew(shared.now);
    if (beat == 1) modest.take("a", shared.now);
    if (beat == 1) modest.renew(shared.now);
  }
  CHECK(modest.take("a", shared.now, 500, By::kLease) > 0);
}

// Routers with clocks of their own, stores that fail, loads that come and go: by leases never more
// than the limit in any month of the store's, and besides no more than each router's share.
TEST_CASE("lease keeper: many routers together spend no more than the limit, whatever fails") {
  constexpr std::uint32_t kRouters = 5;
  constexpr std::uint64_t kLimit = 6'400;
  std::uint64_t leased_in_all = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    std::mt19937_64 random(seed);
    Shared shared(1'709'251'200 * kSecond - 60 * kSecond);  // a minute before March 2024
    std::vector<std::unique_ptr<Router>> routers;
    std::vector<Nanos> next(kRouters, shared.now);
    for (std::uint32_t i = 0; i < kRouters; ++i) {
      const auto ahead = static_cast<Nanos>(random() % 7'200) - 3'600;
      routers.push_back(std::make_unique<Router>(monthly(kLimit), options_for(kRouters),
                                                 *shared.store, ahead * kSecond));
    }
    std::map<Month, std::uint64_t> leased;
    std::map<Month, std::uint64_t> all;
    std::vector<std::uint64_t> shares(kRouters);
    for (int step = 0; step < 6'000; ++step) {
      shared.now += static_cast<Nanos>(random() % (40 * static_cast<std::uint64_t>(kMillisecond)));
      const std::size_t i = random() % kRouters;
      Router& router = *routers[i];
      if (random() % 300 == 0) router.store.deaf = !router.store.deaf;
      if (random() % 300 == 0) router.store.mute = !router.store.mute;
      if (random() % 400 == 0) next[i] = shared.now + 5 * kSecond;  // it sleeps
      if (shared.now >= next[i]) next[i] = router.renew(shared.now);
      const std::uint64_t tries = random() % 12;
      for (std::uint64_t n = 0; n < tries; ++n) {
        const By by = router.take("tenant", shared.now);
        if (by == By::kLease) ++leased[month_of(shared.now)];
        if (by == By::kShare) ++shares[i];
        if (by != By::kNothing) ++all[month_of(shared.now)];
      }
    }
    for (const auto& [month, count] : leased) {
      INFO("seed " << seed);
      CHECK(count <= kLimit);
      leased_in_all += count;
    }
    // At once a 32nd of a share, and then one each 31 days / share.
    for (const std::uint64_t count : shares) CHECK(count <= kLimit / kRouters / 32 + 2);
    for (auto& router : routers) {
      router->store.deaf = router->store.mute = false;
      router->renew(shared.now);
      CHECK(router->keeper.release(shared.now));
    }
    std::uint64_t used = 0;
    std::uint64_t spent = 0;
    for (const auto& [month, count] : all) {
      used += *shared.store->usage("calls", "tenant", month);
      spent += count;
    }
    CHECK(used >= spent);
  }
  CHECK(leased_in_all > 60 * kLimit);
}

TEST_CASE("lease keeper: while nothing fails usage is exact, among routers and over months' ends") {
  constexpr std::uint32_t kRouters = 4;
  Shared shared(1'709'251'200 * kSecond - 20 * kSecond);
  std::vector<std::unique_ptr<Router>> routers;
  for (std::uint32_t i = 0; i < kRouters; ++i) {
    routers.push_back(
        std::make_unique<Router>(monthly(100'000), options_for(kRouters), *shared.store));
  }
  std::mt19937_64 random(5);
  std::map<Month, std::map<std::string, std::uint64_t>> spent;
  for (int beat = 0; beat < 80; ++beat) {
    for (auto& router : routers) {
      for (std::uint64_t n = random() % 60; n > 0; --n) {
        const std::string key = "k" + std::to_string(random() % 20);
        if (router->take(key, shared.now) != By::kNothing) ++spent[month_of(shared.now)][key];
      }
      router->renew(shared.now);
    }
    shared.now += 500 * kMillisecond;
  }
  for (auto& router : routers) REQUIRE(router->keeper.release(shared.now));
  CHECK(spent.size() == 2);
  for (const auto& [month, keys] : spent) {
    for (const auto& [key, count] : keys) {
      CHECK(*shared.store->usage("calls", key, month) == count);
    }
  }
}

// A lease is spent at most its length after it was granted, so a period's worth of it may come on
// top of what came before by no more than that length brings.
TEST_CASE(
    "lease keeper: of a rate no period sees more by leases than it and a lease's time bring") {
  constexpr std::uint32_t kRouters = 4;
  constexpr std::uint64_t kRequests = 300;
  constexpr Nanos kPeriod = 10 * kSecond;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    std::mt19937_64 random(seed);
    Shared shared;
    std::vector<std::unique_ptr<Router>> routers;
    std::vector<Nanos> next(kRouters, shared.now);
    for (std::uint32_t i = 0; i < kRouters; ++i) {
      const auto ahead = static_cast<Nanos>(random() % 7'200) - 3'600;
      routers.push_back(std::make_unique<Router>(rate(kRequests, kPeriod), options_for(kRouters),
                                                 *shared.store, ahead * kSecond));
    }
    std::deque<Nanos> spends;
    std::size_t most = 0;
    for (int step = 0; step < 10'000; ++step) {
      shared.now += static_cast<Nanos>(random() % (20 * static_cast<std::uint64_t>(kMillisecond)));
      const std::size_t i = random() % kRouters;
      if (random() % 500 == 0) routers[i]->store.deaf = !routers[i]->store.deaf;
      if (shared.now >= next[i]) next[i] = routers[i]->renew(shared.now);
      while (!spends.empty() && spends.front() <= shared.now - kPeriod) spends.pop_front();
      for (std::uint64_t n = random() % 8; n > 0; --n) {
        if (routers[i]->take("tenant", shared.now) == By::kLease) spends.push_back(shared.now);
      }
      most = std::max(most, spends.size());
    }
    INFO("seed " << seed);
    // A burst, a period's, and a lease's.
    CHECK(most <= 2 * kRequests + kRequests * 2 / 10 + 1);
    CHECK(most > kRequests / 2);
  }
}

TEST_CASE("lease keeper: a child of fork gets no lease") {
  Shared shared;
  Router router(monthly(32'000), options_for(10), *shared.store);
  const int code = guard_test::in_child([&] {
    router.take("a", shared.now);
    router.renew(shared.now);
    return router.keeper.away() && router.take("a", shared.now) == By::kShare ? 0 : 1;
  });
  CHECK(code == 0);
}

}  // namespace
}  // namespace cellroute
