// A fleet's limits in Redis: servers that stop, answer nonsense, fail and come back.
#include "net/redis_leases.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <string>
#include <vector>

#include "control/lease_keeper.hpp"
#include "fake_server.hpp"
#include "guard_memory.hpp"
#include "lease_store_kinds.hpp"
#include "net/deadline.hpp"
#include "redis_server.hpp"

namespace cellroute {
namespace {

using testing::FakeServer;
using testing::kPatience;
using testing::must;
using testing::RedisServer;
using testing::system_now;

std::unique_ptr<LeaseStore> open_leases(const std::string& url, Nanos timeout = kPatience) {
  StoreOptions options;
  options.timeout = timeout;
  return must(open_redis_leases(url, options));
}

FleetLimit monthly(std::uint64_t requests) {
  FleetLimit limit;
  limit.name = "calls";
  limit.kind = FleetKind::kMonthly;
  limit.plans = {{"", requests, 0, false}};
  return limit;
}

LeaseGrant settle(LeaseStore& store, const FleetLimit& limit, std::uint64_t wanted) {
  LeaseOrder order;
  order.key = "tenant";
  order.requests = order.burst = 100;
  order.wanted = wanted;
  order.lasting = kSecond;
  std::vector<LeaseGrant> grants(1);
  store.settle(limit, {&order, 1}, system_now(), grants);
  return grants[0];
}

TEST_CASE("redis leases: counters are kept for 100 days after their month, rates until they rest") {
  RedisServer server;
  const auto store = open_leases(server.url());
  CHECK(settle(*store, monthly(100), 5).tokens == 5);
  FleetLimit rate;
  rate.period = 100 * kSecond;
  CHECK(settle(*store, rate, 5).tokens == 5);
  const Month month = month_of(system_now());
  const Nanos ends = start_of(month + std::chrono::months(1)) + 100 * 86'400 * kSecond;
  int counters = 0;
  for (const net::RedisReply& key : server.ask({"KEYS", "*"}).elements) {
    const Nanos expires = server.ask({"PEXPIRETIME", key.text}).integer * kMillisecond;
    if (key.text.find(":rate:") == std::string::npos) {
      CHECK(expires == ends);
      ++counters;
    } else {
      CHECK(expires > 0);
      CHECK(expires <= system_now() + 5 * kSecond);
    }
  }
  CHECK(counters == 2);
}

TEST_CASE("redis leases: without a server none is given, in time, and one that comes is used") {
  RedisServer server;
  const auto store = open_leases(server.url(), 200 * kMillisecond);
  const auto opened_without =
      open_leases("redis://127.0.0.1:" + std::to_string(testing::free_port()));
  CHECK(settle(*store, monthly(100), 5).tokens == 5);
  server.stop();
  const net::Deadline deadline = net::Deadline::after(5 * kSecond);
  const LeaseGrant none = settle(*store, monthly(100), 5);
  CHECK(none.error.code() == ErrorCode::kUnavailable);
  CHECK(none.tokens == 0);
  CHECK_FALSE(deadline.passed());
  server.go_on();
  const net::Deadline patience = net::Deadline::after(kPatience);
  LeaseGrant grant = settle(*store, monthly(100), 5);
  while (!grant.error.ok() && !patience.passed()) grant = settle(*store, monthly(100), 5);
  CHECK(grant.tokens == 5);
  const std::uint64_t used = must(store->usage("calls", "tenant", month_of(system_now())));
  CHECK(used >= 10);  // what was asked while it slept may have been done
}

TEST_CASE("redis leases: whatever a server says instead of an answer, no token is granted") {
  for (const std::string& said : std::vector<std::string>{
           testing::kHangUp, "$-1\r\n", ":1\r\n", "*0\r\n", "*1\r\n:0\r\n",
           "*3\r\n:2\r\n:1\r\n:6\r\n", "*3\r\n:2\r\n:1\r\n:-1\r\n", "*3\r\n:4\r\n:1\r\n:1\r\n",
           "*3\r\n:2\r\n:1\r\n$1\r\n1\r\n", "*1\r\n*2\r\n:6\r\n:0\r\n", "*1\r\n*2\r\n:-6\r\n:0\r\n",
           "*1\r\n*1\r\n:5\r\n", "-ERR broken\r\n", "-NOPERM no\r\n"}) {
    INFO(said);
    FakeServer server([&](const std::vector<std::string>& command) {
      return command.front() == "EVAL" ? said : testing::opening_answer(command);
    });
    const auto store = open_leases(server.url(), 200 * kMillisecond);
    FleetLimit rate;
    for (const FleetLimit& limit : {monthly(100), rate}) {
      const LeaseGrant grant = settle(*store, limit, 5);
      CHECK_FALSE(grant.error.ok());
      CHECK(grant.tokens == 0);
    }
  }
}

TEST_CASE("redis leases: a month that the server is about to end bounds the lease") {
  FakeServer server([](const std::vector<std::string>& command) {
    return command.front() == "EVAL" ? std::string("*3\r\n:3\r\n:7000\r\n:5\r\n")
                                     : testing::opening_answer(command);
  });
  const auto store = open_leases(server.url());
  const LeaseGrant grant = settle(*store, monthly(100), 5);
  CHECK(grant.tokens == 5);
  CHECK(grant.lasts == 7 * kMillisecond);
  CHECK(grant.month == month_of(system_now()) + std::chrono::months(1));  // its clock is ahead
}

TEST_CASE("redis leases: bad URLs are refused") {
  CHECK(open_redis_leases("redis://").error().code() == ErrorCode::kInvalidArgument);
  CHECK(open_redis_leases("rediss://a").error().code() == ErrorCode::kUnsupported);
  StoreOptions none;
  none.timeout = 0;
  CHECK(open_redis_leases("redis://a", none).error().code() == ErrorCode::kInvalidArgument);
}

// A router with a store of its own.
struct Router {
  Router(const std::string& url, std::uint32_t routers)
      : store(open_leases(url, kSecond)), memory(FleetLimiter::bytes(64)) {
    FleetOptions options;
    options.entries = 64;
    options.routers = routers;
    limiter = std::make_unique<FleetLimiter>(
        must(FleetLimiter::create(memory.span(), monthly(3'200), options, room.guards.limiter())));
    keeper = std::make_unique<LeaseKeeper>(*limiter, *store);
  }
  std::uint64_t take(int tries, Nanos now) const {
    std::uint64_t admitted = 0;
    for (int i = 0; i < tries; ++i) admitted += limiter->take("tenant", 0, now).admitted;
    return admitted;
  }

  std::unique_ptr<LeaseStore> store;
  guard_test::Room room;
  guard_test::Memory memory;
  std::unique_ptr<FleetLimiter> limiter;
  std::unique_ptr<LeaseKeeper> keeper;
};

TEST_CASE("redis leases: routers share a month's limit exactly, and their share without a server") {
  RedisServer server;
  Router one(server.url(), 2);
  Router two(server.url(), 2);
  const auto reader = open_leases(server.url());
  Nanos now = system_now();
  std::uint64_t spent = 0;
  const auto beats = [&](int count, int tries) {
    for (int beat = 0; beat < count; ++beat) {
      for (Router* router : {&one, &two}) {
        spent += router->take(tries, now);
        router->keeper->renew(now);
      }
      now += 500 * kMillisecond;
    }
  };
  beats(20, 20);
  const std::uint64_t before = spent;
  CHECK(before >= 700);  // all but what came before the first lease
  server.kill();
  beats(1, 200);
  CHECK(one.keeper->away());
  CHECK(spent < before + 2 * 200);
  server.start();  // and has forgotten everything, as Redis does that keeps nothing on disk
  beats(100, 40);
  CHECK_FALSE(one.keeper->away());
  CHECK(one.keeper->release(now));
  CHECK(two.keeper->release(now));
  const std::uint64_t used = must(reader->usage("calls", "tenant", month_of(system_now())));
  CHECK(used <= 3'200 + 2 * 64);  // what two routers charge that could not know
  CHECK(used >= 3'000);
}

}  // namespace
}  // namespace cellroute
