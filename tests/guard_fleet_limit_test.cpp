// Limits of a fleet on the path: leases, shares, and what cannot be taken twice.
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "cellroute/fleet_limit.hpp"
#include "guard_memory.hpp"

namespace {

using namespace cellroute;
using namespace cellroute::guard_test;

FleetLimit limit_of(std::uint64_t requests, Nanos period = 60 * kSecond) {
  FleetLimit limit;
  limit.period = period;
  limit.plans = {{"", requests, 0, false}};
  return limit;
}

// A limiter with memory of its own, and a keeper's hands.
struct Fleet {
  explicit Fleet(const FleetLimit& limit, FleetOptions options = {})
      : memory(FleetLimiter::bytes(options.entries)),
        made(FleetLimiter::create(memory.span(), limit, options, room.guards.limiter())),
        limiter(*made) {}

  void lease(const std::string& key, Nanos until, std::uint64_t tokens) {
    for (guard::LeaseEntry& entry : limiter.table().entries()) {
      const auto i = static_cast<std::size_t>(&entry - limiter.table().entries().data());
      if (entry.about != 0 && limiter.table().key(i, entry.about) == key) {
        entry.lease = guard::lease_of(until, tokens);
      }
    }
  }
  // Of `tries` at `now`.
  int admitted(const std::string& key, Nanos now, int tries) {
    int count = 0;
    for (int i = 0; i < tries; ++i) count += limiter.take(key, 0, now).admitted;
    return count;
  }

  Room room;
  Memory memory;
  Result<FleetLimiter> made;
  FleetLimiter& limiter;
};

FleetOptions with_routers(std::uint32_t routers) {
  FleetOptions options;
  options.entries = 16;
  options.routers = routers;
  return options;
}

TEST_CASE("fleet: a key without a lease has the limit divided by the routers") {
  Fleet fleet(limit_of(100), with_routers(5));
  CHECK(fleet.admitted("a", kStart, 30) == 20);
  CHECK(fleet.admitted("b", kStart, 30) == 20);
  CHECK(fleet.admitted("a", kStart + 3 * kSecond, 30) == 1);
  CHECK(fleet.limiter.table().find(fleet.room.guards.limiter().hash("a"))->spent == 21);
}

TEST_CASE("fleet: shares are never above the limit together, even where routers outnumber it") {
  Fleet fleet(limit_of(4, kSecond), with_routers(10));
  CHECK(fleet.admitted("a", kStart, 10) == 1);
  CHECK(fleet.admitted("a", kStart + 2 * kSecond, 10) == 0);
  CHECK(fleet.admitted("a", kStart + 3 * kSecond, 10) == 1);
}

TEST_CASE("fleet: a lease is spent before the share, and to its last token") {
  Fleet fleet(limit_of(10), with_routers(10));
  REQUIRE(fleet.admitted("a", kStart, 5) == 1);
  fleet.lease("a", kStart + kSecond, 50);
  CHECK(fleet.admitted("a", kStart, 60) == 50);
}

TEST_CASE("fleet: nothing is spent when a lease's time is over, and a clock set back opens none") {
  Fleet fleet(limit_of(10), with_routers(10));
  REQUIRE(fleet.admitted("a", kStart, 5) == 1);
  fleet.lease("a", kStart + kSecond, 50);
  CHECK(fleet.admitted("a", kStart + kSecond - 100 * kMillisecond, 3) == 3);
  CHECK(fleet.admitted("a", kStart + kSecond, 3) == 0);
  CHECK(fleet.admitted("a", kStart, 3) == 0);
  const guard::LeaseEntry& entry =
      *fleet.limiter.table().find(fleet.room.guards.limiter().hash("a"));
  CHECK(entry.lease == 47);  // for the keeper, and for nobody else
}

TEST_CASE("fleet: a key of which the store has no more is refused until then") {
  Fleet fleet(limit_of(100), with_routers(5));
  REQUIRE(fleet.admitted("a", kStart, 1) == 1);
  guard::LeaseEntry& entry = *fleet.limiter.table().find(fleet.room.guards.limiter().hash("a"));
  entry.closed = static_cast<std::uint64_t>(kStart + 7 * kSecond);
  const FleetTaken refused = fleet.limiter.take("a", 0, kStart + kSecond);
  CHECK_FALSE(refused.admitted);
  CHECK(refused.retry_after == 6 * kSecond);
  CHECK(entry.refused == 1);
  CHECK(fleet.admitted("a", kStart + 7 * kSecond, 1) == 1);
}

TEST_CASE("fleet: a refused share says to come back with the next beat, unless the store is away") {
  Fleet fleet(limit_of(1, 3'600 * kSecond), with_routers(1));
  REQUIRE(fleet.admitted("a", kStart, 2) == 1);
  CHECK(fleet.limiter.take("a", 0, kStart).retry_after == fleet.limiter.beat());
  fleet.limiter.table().header().away = 1;
  CHECK(fleet.limiter.take("a", 0, kStart).retry_after == 3'600 * kSecond);
}

TEST_CASE("fleet: what is cancelled was not spent") {
  Fleet fleet(limit_of(10), with_routers(1));
  for (int i = 0; i < 30; ++i) fleet.limiter.cancel(fleet.limiter.take("a", 0, kStart));
  guard::LeaseEntry& entry = *fleet.limiter.table().find(fleet.room.guards.limiter().hash("a"));
  CHECK(entry.spent == 0);
  fleet.lease("a", kStart + kSecond, 5);
  for (int i = 0; i < 30; ++i) fleet.limiter.cancel(fleet.limiter.take("a", 0, kStart));
  const FleetTaken late = fleet.limiter.take("a", 0, kStart);
  CHECK(guard::lease_left(entry.lease) == 4);
  entry.lease = guard::lease_of(kStart + 9 * kSecond, 4);  // renewed meanwhile
  fleet.limiter.cancel(late);
  CHECK(guard::lease_left(entry.lease) == 4);
  CHECK(fleet.admitted("a", kStart, 30) == 14);
  fleet.limiter.cancel({});
}

TEST_CASE("fleet: keys for which there is no room have their share, and are told of") {
  FleetOptions options = with_routers(1);
  options.entries = 8;
  Fleet fleet(limit_of(3), options);
  for (int i = 0; i < 8; ++i) CHECK(fleet.admitted("k" + std::to_string(i), kStart, 5) == 3);
  CHECK(fleet.limiter.uncounted() == 0);
  CHECK(fleet.admitted("late", kStart, 5) == 3);
  CHECK(fleet.limiter.uncounted() == 3);
  const FleetTaken taken = fleet.limiter.take("later", 0, kStart);
  fleet.limiter.cancel(taken);
  CHECK(fleet.limiter.uncounted() == 3);
}

TEST_CASE("fleet: plans have limits of their own, and unlimited ones none") {
  FleetLimit limit;
  limit.kind = FleetKind::kMonthly;
  limit.plans = {{"starter", 3'200, 0, false}, {"enterprise", 0, 0, true}};
  Fleet fleet(limit, with_routers(10));
  CHECK(fleet.limiter.plan("nobody's").error().code() == ErrorCode::kNotFound);
  const std::uint16_t starter = *fleet.limiter.plan("starter");
  const std::uint16_t enterprise = *fleet.limiter.plan("enterprise");
  int admitted = 0;
  for (int i = 0; i < 50; ++i) admitted += fleet.limiter.take("s", starter, kStart).admitted;
  CHECK(admitted == 10);  // about a day of a tenth
  for (int i = 0; i < 50; ++i) CHECK(fleet.limiter.take("e", enterprise, kStart).admitted);
  const guard::LeaseTable& table = fleet.limiter.table();
  CHECK(table.find(fleet.room.guards.limiter().hash("e"))->spent == 50);  // it counts
  // A key's plan may change at any time.
  CHECK(fleet.limiter.take("s", enterprise, kStart).admitted);
  CHECK(guard::plan_of(table.find(fleet.room.guards.limiter().hash("s"))->about) == enterprise);
  CHECK_FALSE(fleet.limiter.take("s", 2, kStart).admitted);
}

TEST_CASE("fleet: an unlimited rate is asked nowhere and counted nowhere") {
  FleetLimit limit = limit_of(5);
  limit.plans.push_back({"enterprise", 0, 0, true});
  Fleet fleet(limit, with_routers(1));
  const std::vector<std::byte> before = fleet.memory.copy();
  for (int i = 0; i < 100; ++i) CHECK(fleet.limiter.take("e", 1, kStart).admitted);
  CHECK((fleet.memory.copy() == before));
  CHECK(*fleet.limiter.plan("anything") == 0);
}

TEST_CASE("fleet: no key, and one that is too long, is refused") {
  Fleet fleet(limit_of(5), with_routers(1));
  CHECK_FALSE(fleet.limiter.take("", 0, kStart).admitted);
  CHECK_FALSE(fleet.limiter.take(std::string(1025, 'k'), 0, kStart).admitted);
  CHECK(fleet.limiter.take(std::string(1024, 'k'), 0, kStart).admitted);
}

TEST_CASE("fleet: a limit out of its bounds is refused") {
  Room room;
  Memory memory(FleetLimiter::bytes(8192));
  const auto code = [&](const FleetLimit& limit, const FleetOptions& options = {}) {
    const auto made = FleetLimiter::create(memory.span(), limit, options, room.guards.limiter());
    return made.ok() ? ErrorCode::kOk : made.error().code();
  };
  CHECK(code(limit_of(5)) == ErrorCode::kOk);
  std::vector<FleetLimit> bad(9, limit_of(5));
  bad[0].name = "";
  bad[1].name = "a:b";
  bad[2].period = kMillisecond - 1;
  bad[3].period = 367 * 86'400 * kSecond;
  bad[4].plans.clear();
  bad[5].plans.push_back({"", 1, 0, false});
  bad[6].plans[0].requests = 0;
  bad[7].plans[0].requests = kMaxFleetRequests + 1;
  bad[8].plans[0].burst = 1'000'000'000;  // takes centuries to come back
  for (const FleetLimit& limit : bad) CHECK(code(limit) == ErrorCode::kInvalidArgument);
  std::vector<FleetOptions> odd(6);
  odd[0].routers = 0;
  odd[1].routers = 65'537;
  odd[2].entries = 12;
  odd[3].entries = 16'384;  // more than the memory has room for
  odd[4].lease = 499 * kMillisecond;
  odd[5].lease = 3'601 * kSecond;
  for (const FleetOptions& options : odd) {
    CHECK(code(limit_of(5), options) == ErrorCode::kInvalidArgument);
  }
  CHECK(FleetLimiter::bytes(4) == 0);
}

TEST_CASE("fleet: a lease is exact with eight threads, while it is renewed and taken away") {
  FleetLimit limit;
  limit.plans = {{"", 1, 0, false}};
  limit.period = 366 * 86'400 * kSecond;
  Fleet fleet(limit, with_routers(1));
  REQUIRE(fleet.admitted("a", kStart, 1) == 1);
  guard::LeaseEntry& entry = *fleet.limiter.table().find(fleet.room.guards.limiter().hash("a"));
  std::atomic<std::uint64_t> spent{0};
  std::uint64_t granted = 0;
  in_threads(8, [&](std::uint32_t thread) {
    if (thread == 0) {
      for (std::uint64_t round = 1; round <= 500; ++round) {
        granted += round % 7;
        const Nanos until = kStart + static_cast<Nanos>(round) * kSecond;
        granted -= guard::lease_left(entry.lease.exchange(guard::lease_of(until, round % 7)));
        std::this_thread::yield();
      }
      return;
    }
    for (int i = 0; i < 20'000; ++i) {
      const FleetTaken taken = fleet.limiter.take("a", 0, kStart);
      if (taken.admitted && i % 5 == 0) {
        fleet.limiter.cancel(taken);
      } else if (taken.admitted) {
        ++spent;
      }
    }
  });
  CHECK(spent <= granted - guard::lease_left(entry.lease));
  CHECK(spent > 0);
}

TEST_CASE("fleet: threads that bring one key at once give it one entry") {
  Fleet fleet(limit_of(1'000), with_routers(1));
  for (int key = 0; key < 16; ++key) {
    in_threads(4, [&](std::uint32_t) { fleet.limiter.take(std::to_string(key), 0, kStart); });
  }
  std::uint64_t spent = 0;
  int entries = 0;
  for (const guard::LeaseEntry& entry : fleet.limiter.table().entries()) {
    entries += entry.tag != 0;
    spent += entry.spent;
  }
  CHECK(entries <= 16);
  CHECK(spent + fleet.limiter.uncounted() == 64);
}

}  // namespace
