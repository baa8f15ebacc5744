// Limits of the fleet in a topology: what route() spends of them, and who keeps them.
#include "control/fleet_keeper.hpp"

#include <atomic>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "cellroute/explain.hpp"
#include "flaky_leases.hpp"
#include "routing_fixture.hpp"
#include "stores/memory_lease_store.hpp"

namespace {

using namespace routing;

Limit rate(std::uint64_t requests, Nanos period = 60 * kSecond, std::string plan = "") {
  Limit limit;
  limit.requests = requests;
  limit.period = period;
  limit.plan = std::move(plan);
  limit.scope = LimitScope::kFleet;
  return limit;
}

Limit monthly(std::uint64_t requests, std::string plan = "") {
  Limit limit = rate(requests, kSecond, std::move(plan));
  limit.kind = LimitKind::kMonthly;
  limit.unlimited = requests == 0;
  return limit;
}

Topology limited(std::vector<Limit> limits, std::uint64_t generation = 1) {
  Topology made = topology({cell("a", "retail", "us")});
  made.generation = generation;
  made.policy.limits = std::move(limits);
  return made;
}

// A store with a clock of its own.
struct Shared {
  explicit Shared(Nanos start = kNow) : now(start) {}
  std::uint64_t used(std::string_view key, std::string_view limit = "requests") {
    return *store->usage(limit, key, month_of(now));
  }
  Nanos now;
  std::unique_ptr<LeaseStore> store = make_memory_lease_store([this] { return now; });
};

// A router that serves, with its keeper.
struct Host {
  Host(LeaseStore& shared, const Topology& first, std::uint32_t routers)
      : router(made(routers)), store(shared), keeper(*router, store) {
    publish(first);
  }

  static std::unique_ptr<Router> made(std::uint32_t routers) {
    RouterOptions options;
    options.geometry = {16, 2, 1024};
    options.guard_seed = 7;
    options.fleet.routers = routers;
    options.fleet.entries = 64;
    return std::move(*Router::create(options));
  }
  void publish(Topology next) {
    const Error error = router->publish(*compile(std::move(next)));
    INFO(error.text());
    REQUIRE(error.ok());
  }

  Decision route(std::string_view key, Nanos now, std::string_view plan = {}) {
    Request request;
    request.key = key;
    request.profile = router->snapshot()->profile({"retail", "us", plan, {}}).profile;
    Decision decision = router->route(request, now);
    router->report(decision.ticket, {}, now);
    return decision;
  }
  // Of `tries` at `now`.
  int served(std::string_view key, Nanos now, int tries, std::string_view plan = {}) {
    int count = 0;
    for (int i = 0; i < tries; ++i) count += route(key, now, plan).status == Status::kOk;
    return count;
  }

  std::unique_ptr<Router> router;
  Flaky store;
  FleetKeeper keeper;
};

TEST_CASE("fleet: route() spends a router's share, then its lease, and says why it refuses") {
  Shared shared;
  Host host(*shared.store, limited({rate(100)}), 4);
  CHECK(host.served("k", shared.now, 30) == 25);
  const Decision refused = host.route("k", shared.now);
  CHECK(said(refused) == "RATE_LIMITED FLEET_LIMIT");
  CHECK(refused.retry_after == host.router->fleet().lease / 4);
  CHECK(refused.ticket.empty());
  CHECK(host.route("other", shared.now).status == Status::kOk);
  CHECK(host.keeper.renew(shared.now) == shared.now + host.router->fleet().lease / 4);
  CHECK(host.served("k", shared.now, 100) == 25);  // the most that one router may hold
}

TEST_CASE("fleet: place() and explain() take nothing, and explain() says what binds") {
  Shared shared;
  Host host(*shared.store, limited({rate(2), monthly(100), monthly(0, "enterprise")}), 2);
  const auto steps_of = [&](std::string_view plan) {
    Request request;
    request.key = "k";
    request.profile = host.router->snapshot()->profile({"retail", "us", plan, {}}).profile;
    CHECK(host.router->place(request, shared.now).status == Status::kOk);
    std::vector<std::string> texts;
    for (const Step& step : explain(*host.router, request, shared.now).steps) {
      if (step.name == "fleet") texts.push_back(step.text);
    }
    return texts;
  };
  CHECK(steps_of("") ==
        std::vector<std::string>{"requests: 2 at once, 2 in 60000000000 ns, of 2 routers",
                                 "requests: 100 in a calendar month, of 2 routers"});
  CHECK(steps_of("enterprise")[1] ==
        "requests: unlimited, counted by calendar month, of 2 routers");
  CHECK(host.served("k", shared.now, 5) == 1);
  host.keeper.renew(shared.now);
  CHECK(host.keeper.release(shared.now));
  CHECK(shared.used("k") == 1);
}

TEST_CASE("fleet: a request that the cell's limit refuses spends no token, by lease or by share") {
  Shared shared;
  Topology made = limited({monthly(32'000)});
  Limit cell_limit;
  cell_limit.per = LimitPer::kCell;
  cell_limit.requests = 3;
  cell_limit.period = 3'600 * kSecond;
  made.policy.limits.push_back(cell_limit);
  Host host(*shared.store, made, 1);
  CHECK(host.served("k", shared.now, 2) == 2);
  host.keeper.renew(shared.now);
  CHECK(host.served("k", shared.now, 10) == 1);
  CHECK(said(host.route("k", shared.now)) == "RATE_LIMITED CELL_LIMIT");
  CHECK(host.served("by share", shared.now, 10) == 0);
  CHECK(host.keeper.release(shared.now));
  CHECK(shared.used("k") == 3);
  CHECK(shared.used("by share") == 0);
}

TEST_CASE("fleet: of two limits the second one's refusal gives back the first one's token") {
  Shared shared;
  Limit other = rate(1, 3'600 * kSecond);
  other.name = "few";
  Limit local;
  local.requests = 100;
  local.period = 3'600 * kSecond;
  Host host(*shared.store, limited({local, monthly(32'000), other}), 1);
  CHECK(host.served("k", shared.now, 10) == 1);
  CHECK(host.keeper.release(shared.now));
  CHECK(shared.used("k") == 1);
  // Nor did the refused ones take anything of the router's own limit.
  host.publish(limited({local}, 2));
  CHECK(host.served("k", shared.now, 200) == 99);
}

TEST_CASE("fleet: a request for a full cell asks no limit of the fleet") {
  Shared shared;
  Topology made = limited({monthly(32'000)});
  made.policy.in_flight = {1, 60 * kSecond};
  Host host(*shared.store, made, 1);
  Request request;
  request.key = "k";
  request.profile = host.router->snapshot()->profile({"retail", "us", {}, {}}).profile;
  CHECK(host.router->route(request, shared.now).status == Status::kOk);
  for (int i = 0; i < 5; ++i) {
    CHECK(host.router->route(request, shared.now).reason == Reason::kCellFull);
  }
  CHECK(host.keeper.release(shared.now));
  CHECK(shared.used("k") == 1);
}

TEST_CASE("fleet: a limit of the fleet ends a STATELESS search") {
  Shared shared;
  Topology made = limited({rate(1)});
  made.policy.affinity = Affinity::kStateless;
  made.cells.push_back(cell("b", "retail", "us"));
  Host host(*shared.store, made, 1);
  CHECK(host.served("k", shared.now, 1) == 1);
  CHECK(said(host.route("k", shared.now)) == "RATE_LIMITED FLEET_LIMIT");
}

TEST_CASE("fleet: each plan has its own of a limit, unlimited ones are counted") {
  Shared shared;
  Limit general;
  general.requests = 1'000;
  Host host(*shared.store, limited({general, monthly(32, "starter"), monthly(0, "enterprise")}), 1);
  CHECK(host.served("s", shared.now, 50, "starter") == 1);      // about a day's share
  CHECK(host.served("e", shared.now, 50, "enterprise") == 50);  // and the general limit binds none
  CHECK(host.served("n", shared.now, 50) == 50);
  for (int beat = 0; beat < 3; ++beat) host.keeper.renew(shared.now);
  CHECK(host.served("s", shared.now, 100, "starter") == 31);
  CHECK(host.keeper.release(shared.now));
  CHECK(shared.used("s") == 32);
  CHECK(shared.used("e") == 50);
  CHECK(shared.used("n") == 0);
}

TEST_CASE("fleet: a key whose plan changes has the new one's from the next request on") {
  Shared shared;
  Host host(*shared.store, limited({monthly(3, "starter"), monthly(0, "enterprise")}), 1);
  for (int beat = 0; beat < 3; ++beat) {
    host.served("k", shared.now, 10, "starter");
    host.keeper.renew(shared.now);
  }
  CHECK(said(host.route("k", shared.now, "starter")) == "RATE_LIMITED FLEET_LIMIT");
  CHECK(host.served("k", shared.now, 10, "enterprise") == 10);
  CHECK(host.keeper.release(shared.now));
  CHECK(shared.used("k") == 13);
}

TEST_CASE("fleet: a limit keeps its leases over a new generation, whose numbers hold") {
  Shared shared;
  Host host(*shared.store, limited({rate(100, 60 * kSecond, "starter")}), 1);
  CHECK(host.served("k", shared.now, 40, "starter") == 40);
  host.keeper.renew(shared.now);
  host.store.deaf = true;
  host.publish(limited({rate(7, 60 * kSecond, "gold"), rate(9, 60 * kSecond, "starter")}, 2));
  CHECK(host.served("k", shared.now, 100, "starter") == 60);  // the lease, all that there was
  CHECK(host.served("g", shared.now, 100, "gold") == 7);
  host.store.deaf = false;
  for (int beat = 0; beat < 600; ++beat) shared.now = host.keeper.renew(shared.now);
  int leased = 0;
  for (int beat = 0; beat < 120; ++beat) {  // a minute
    leased += host.served("k", shared.now, 20, "starter");
    shared.now = host.keeper.renew(shared.now);
  }
  CHECK(leased >= 9);
  CHECK(leased <= 2 * 9 + 2 * 9);  // a burst and a period's, by share and by lease
}

TEST_CASE("fleet: a plan that is gone gives back what its keys hold") {
  Shared shared;
  Host host(*shared.store, limited({monthly(32'000, "starter"), monthly(32'000)}), 1);
  CHECK(host.served("k", shared.now, 40, "starter") == 40);
  host.keeper.renew(shared.now);
  CHECK(shared.used("k") > 40);
  host.publish(limited({monthly(32'000)}, 2));
  host.keeper.renew(shared.now);
  CHECK(shared.used("k") == 40);
}

TEST_CASE("fleet: a limit that is gone gives back its leases, as soon as the store answers") {
  Shared shared;
  Host host(*shared.store, limited({monthly(32'000)}), 1);
  CHECK(host.served("k", shared.now, 40) == 40);
  host.keeper.renew(shared.now);
  CHECK(host.served("k", shared.now, 8) == 8);
  CHECK(host.served("late", shared.now, 3) == 3);
  const std::weak_ptr<const FleetLimiter> limiter = host.router->snapshot()->guards().fleet()[0];
  host.store.deaf = true;
  host.publish(limited({}, 2));
  host.keeper.renew(shared.now);
  CHECK(host.keeper.away());
  CHECK_FALSE(limiter.expired());
  host.store.deaf = false;
  host.keeper.renew(shared.now);
  CHECK(limiter.expired());  // and its memory with it
  CHECK(shared.used("late") == 3);
  CHECK(host.served("k", shared.now, 1'000) == 1'000);
}

TEST_CASE("fleet: options out of their bounds make no router") {
  RouterOptions options;
  options.fleet.routers = 0;
  CHECK(Router::create(options).error().code() == ErrorCode::kInvalidArgument);
  options.fleet = {};
  options.fleet.entries = 9;
  CHECK(Router::create(options).error().code() == ErrorCode::kInvalidArgument);
  options.fleet = {};
  options.fleet.lease = kSecond / 3;
  CHECK(Router::create(options).error().code() == ErrorCode::kInvalidArgument);
}

TEST_CASE("fleet: a limit that had too many plans is refused, and what served serves on") {
  Shared shared;
  Host host(*shared.store, limited({}), 1);
  std::uint64_t generation = 1;
  std::uint32_t names = 0;
  Error error;
  while (error.ok() && generation < 80) {
    std::vector<Limit> limits;
    for (int i = 0; i < 64; ++i) limits.push_back(rate(5, kSecond, "p" + std::to_string(names++)));
    error = host.router->publish(*compile(limited(std::move(limits), ++generation)));
  }
  CHECK(error.code() == ErrorCode::kResourceExhausted);
  CHECK(generation == 1 + FleetLimiter::kMaxPlans / 64 + 1);
  CHECK(host.router->snapshot()->generation() == generation - 1);
}

TEST_CASE("fleet: threads that route while limits are kept and published spend no more than both") {
  constexpr std::uint64_t kLimit = 64'000;
  Shared shared;
  Host host(*shared.store, limited({monthly(kLimit)}), 1);
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> admitted{0};
  std::vector<std::thread> threads;
  for (const std::uint32_t lane : {0u, 1u}) {
    threads.emplace_back([&, lane] {
      while (!stop) {
        Request request;
        request.key = "k";
        request.lane = lane;
        request.profile = host.router->snapshot()->profile({"retail", "us", {}, {}}).profile;
        if (host.router->route(request, kNow).status == Status::kOk) ++admitted;
      }
    });
  }
  for (std::uint64_t round = 2; round < 300 || admitted < kLimit; ++round) {
    host.keeper.renew(kNow);
    if (round < 40) host.publish(limited({monthly(kLimit)}, round));
    std::this_thread::yield();
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(host.keeper.release(kNow));
  CHECK(admitted >= kLimit);
  CHECK(admitted <= kLimit + kLimit / 32);
  CHECK(shared.used("k") == admitted);
}

// Held against what each router may give at most, which needs no store to know: the month's limit
// by leases, and by share a thirty-second at once and then the share of the time.
TEST_CASE("fleet: hosts together admit no more than leases and shares, whatever fails") {
  constexpr std::uint32_t kRouters = 3;
  constexpr std::uint64_t kLimit = 6'400;
  std::uint64_t in_all = 0;
  for (std::uint64_t seed = 1; seed <= 25; ++seed) {
    std::mt19937_64 random(seed);
    Shared shared(1'709'251'200 * kSecond - 20 * kSecond);  // 20 s before March 2024
    std::vector<std::unique_ptr<Host>> hosts;
    std::vector<Nanos> next(kRouters, shared.now);
    std::vector<std::uint64_t> generation(kRouters, 1);
    for (std::uint32_t i = 0; i < kRouters; ++i) {
      hosts.push_back(std::make_unique<Host>(*shared.store, limited({monthly(kLimit)}), kRouters));
    }
    std::map<Month, std::uint64_t> admitted;
    for (int step = 0; step < 2'000; ++step) {
      shared.now += static_cast<Nanos>(random() % (40 * static_cast<std::uint64_t>(kMillisecond)));
      const std::size_t i = random() % kRouters;
      Host& host = *hosts[i];
      if (random() % 100 == 0) host.store.deaf = !host.store.deaf;
      if (random() % 100 == 0) host.store.mute = !host.store.mute;
      if (random() % 200 == 0) host.publish(limited({monthly(kLimit)}, ++generation[i]));
      if (random() % 200 == 0) next[i] = shared.now + 5 * kSecond;
      if (shared.now >= next[i]) next[i] = host.keeper.renew(shared.now);
      for (std::uint64_t n = random() % 24; n > 0; --n) {
        const Decision decision = host.route("tenant", shared.now);
        CHECK((decision.status == Status::kOk || decision.reason == Reason::kFleetLimit));
        if (decision.status == Status::kOk) ++admitted[month_of(shared.now)];
      }
    }
    INFO("seed " << seed);
    std::uint64_t used = 0, spent = 0;
    for (auto& host : hosts) {
      host->store.deaf = host->store.mute = false;
      host->keeper.renew(shared.now);
      CHECK(host->keeper.release(shared.now));
    }
    for (const auto& [month, count] : admitted) {
      CHECK(count <= kLimit + kRouters * (kLimit / kRouters / 32 + 2));
      used += *shared.store->usage("requests", "tenant", month);
      spent += count;
    }
    CHECK(used >= spent);
    in_all += spent;
  }
  CHECK(in_all > 25 * kLimit / 2);
}

}  // namespace
