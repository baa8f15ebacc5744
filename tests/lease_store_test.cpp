// What every store of leases does, run over each kind in lease_store_kinds().
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "lease_store_kinds.hpp"

namespace cellroute::testing {

Nanos system_now() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(since).count();
}

}  // namespace cellroute::testing

namespace cellroute {
namespace {

using testing::system_now;

constexpr Nanos kDay = 86'400 * kSecond;

// Runs the test case once for each kind.
#define FOR_EACH_LEASE_STORE(store)                                              \
  const auto opened = GENERATE(from_range(testing::lease_store_kinds())).open(); \
  LeaseStore& store = *opened

// Slow enough that nothing comes back while a test runs.
FleetLimit slow_rate() {
  FleetLimit limit;
  limit.name = "rate";
  limit.period = 300 * kDay;
  return limit;
}

FleetLimit monthly(const std::string& name = "calls") {
  FleetLimit limit;
  limit.name = name;
  limit.kind = FleetKind::kMonthly;
  return limit;
}

LeaseOrder order_of(std::string_view key, std::uint64_t requests, std::uint64_t wanted) {
  LeaseOrder order;
  order.key = key;
  order.requests = order.burst = requests;
  order.wanted = wanted;
  order.lasting = kSecond;
  order.month = month_of(system_now());
  return order;
}

LeaseGrant settle(LeaseStore& store, const FleetLimit& limit, const LeaseOrder& order,
                  Nanos now = system_now()) {
  std::vector<LeaseGrant> grants(1);
  store.settle(limit, {&order, 1}, now, grants);
  return grants[0];
}

std::uint64_t take(LeaseStore& store, const FleetLimit& limit, const LeaseOrder& order) {
  const LeaseGrant grant = settle(store, limit, order);
  INFO(grant.error.text());
  REQUIRE(grant.error.ok());
  return grant.tokens;
}

LeaseOrder settled(LeaseOrder order, std::int64_t sum) {
  order.wanted = 0;
  order.settled = sum;
  return order;
}

std::uint64_t used(LeaseStore& store, std::string_view key, std::string_view name = "calls") {
  const auto usage = store.usage(name, key, month_of(system_now()));
  REQUIRE(usage.ok());
  return *usage;
}

TEST_CASE("lease store: of a rate a burst is there at once, and no token more") {
  FOR_EACH_LEASE_STORE(store);
  const FleetLimit limit = slow_rate();
  const LeaseOrder order = order_of("a", 100, 30);
  CHECK(take(store, limit, order) == 30);
  CHECK(take(store, limit, order) == 30);
  CHECK(take(store, limit, order) == 30);
  const LeaseGrant last = settle(store, limit, order);
  CHECK(last.tokens == 10);
  CHECK(last.lasts == kSecond);
  const LeaseGrant none = settle(store, limit, order);
  CHECK(none.tokens == 0);
  CHECK(none.retry_after > 2 * kDay);  // one comes each three days
  CHECK(none.retry_after <= 3 * kDay + kSecond);
  CHECK(take(store, limit, order_of("b", 100, 30)) == 30);
}

TEST_CASE("lease store: of a rate tokens come back with time") {
  FOR_EACH_LEASE_STORE(store);
  FleetLimit limit;
  limit.period = kSecond;
  const LeaseOrder order = order_of("a", 50, 50);
  CHECK(take(store, limit, order) == 50);
  const LeaseGrant less = settle(store, limit, order);
  CHECK(less.tokens < 50);
  CHECK(less.retry_after <= kSecond / 50 + kMillisecond);
  std::uint64_t more = 0;
  const Nanos until = system_now() + 20 * kSecond;
  while (more < 10 && system_now() < until) more += take(store, limit, order_of("a", 50, 1));
  CHECK(more == 10);
}

TEST_CASE("lease store: of a rate what is charged is missing, and what is given back is there") {
  FOR_EACH_LEASE_STORE(store);
  const FleetLimit limit = slow_rate();
  CHECK(take(store, limit, settled(order_of("a", 100, 0), 60)) == 0);
  CHECK(take(store, limit, order_of("a", 100, 100)) == 40);
  CHECK(take(store, limit, settled(order_of("a", 100, 0), -25)) == 0);
  CHECK(take(store, limit, order_of("a", 100, 100)) == 25);
  CHECK(take(store, limit, settled(order_of("a", 100, 0), 50)) == 0);  // beyond the limit
  CHECK(take(store, limit, settled(order_of("a", 100, 0), -50)) == 0);
  CHECK(take(store, limit, order_of("a", 100, 100)) == 0);
  CHECK(take(store, limit, settled(order_of("a", 100, 0), -1'000)) == 0);
  CHECK(take(store, limit, order_of("a", 100, 200)) == 100);  // never more than a burst
}

TEST_CASE("lease store: a month's tokens are counted, and end with the limit") {
  FOR_EACH_LEASE_STORE(store);
  const FleetLimit limit = monthly();
  CHECK(used(store, "a") == 0);
  CHECK(take(store, limit, order_of("a", 1'000, 600)) == 600);
  const LeaseGrant less = settle(store, limit, order_of("a", 1'000, 600));
  CHECK(less.tokens == 400);
  CHECK(less.month == month_of(system_now()));
  CHECK(less.lasts <= kSecond);
  CHECK(less.retry_after <= start_of(less.month + std::chrono::months(1)) - system_now() + kSecond);
  CHECK(used(store, "a") == 1'000);
  CHECK(take(store, limit, order_of("a", 1'000, 1)) == 0);
  CHECK(take(store, limit, order_of("a", 2'000, 5'000)) == 1'000);  // another plan
  CHECK(take(store, limit, order_of("a", 1'000, 1)) == 0);
  CHECK(used(store, "a") == 2'000);
  CHECK(used(store, "b") == 0);
}

TEST_CASE("lease store: what is settled counts in its own month, and never below nothing") {
  FOR_EACH_LEASE_STORE(store);
  const FleetLimit limit = monthly();
  const Month last = month_of(system_now()) - std::chrono::months(1);
  LeaseOrder order = settled(order_of("a", 10, 0), 70);
  order.month = last;
  order.wanted = 4;
  CHECK(take(store, limit, order) == 4);
  CHECK(*store.usage("calls", "a", last) == 70);
  CHECK(used(store, "a") == 4);
  order.settled = -30;
  CHECK(take(store, limit, order) == 4);
  CHECK(*store.usage("calls", "a", last) == 40);
  CHECK(take(store, limit, settled(order_of("a", 10, 0), -100)) == 0);
  CHECK(used(store, "a") == 0);
  CHECK(take(store, limit, settled(order_of("a", 10, 0), 100)) == 0);  // beyond the limit
  CHECK(used(store, "a") == 100);
  CHECK(take(store, limit, order_of("a", 10, 1)) == 0);
}

TEST_CASE("lease store: months that are too far away are refused, and nothing is done") {
  FOR_EACH_LEASE_STORE(store);
  LeaseOrder order = settled(order_of("a", 10, 0), 5);
  order.month = month_of(system_now()) - std::chrono::months(2);
  CHECK(settle(store, monthly(), order).error.code() == ErrorCode::kInvalidArgument);
  CHECK(*store.usage("calls", "a", order.month) == 0);
  const LeaseOrder wants = order_of("a", 10, 5);
  for (const Nanos off : {-70 * kDay, 70 * kDay}) {
    const LeaseGrant grant = settle(store, monthly(), wants, system_now() + off);
    CHECK(grant.error.code() == ErrorCode::kUnavailable);
    CHECK(grant.tokens == 0);
  }
  CHECK(used(store, "a") == 0);
}

TEST_CASE("lease store: keys are bytes, and limits have counters of their own") {
  FOR_EACH_LEASE_STORE(store);
  const std::vector<std::string> keys = {
      std::string("a\0b", 3), std::string("a\0", 2), "a", "{1}", "x:y\r\n", "\xff\xfe",
      std::string(1'024, 'k')};
  std::uint64_t count = 0;
  for (const std::string& key : keys) {
    ++count;
    CHECK(take(store, monthly("one"), order_of(key, 100, count)) == count);
    CHECK(take(store, monthly("two"), order_of(key, 100, 50)) == 50);
    CHECK(take(store, slow_rate(), order_of(key, 100, 100)) == 100);
  }
  count = 0;
  for (const std::string& key : keys) CHECK(used(store, key, "one") == ++count);
}

TEST_CASE("lease store: every key of a month is listed once, page by page") {
  FOR_EACH_LEASE_STORE(store);
  std::map<std::string, std::uint64_t> wanted;
  std::vector<LeaseOrder> orders;
  for (std::uint64_t i = 1; i <= 700; ++i) wanted["k" + std::to_string(i)] = i;
  for (const auto& [key, count] : wanted) orders.push_back(order_of(key, 1'000, count));
  std::vector<LeaseGrant> grants(orders.size());
  store.settle(monthly(), orders, system_now(), grants);
  for (std::size_t i = 0; i < orders.size(); ++i) CHECK(grants[i].tokens == orders[i].wanted);
  const Month month = month_of(system_now());
  std::map<std::string, std::uint64_t> listed;
  Cursor cursor;
  for (bool done = false; !done;) {
    const auto page = store.usages("calls", month, cursor, 64);
    REQUIRE(page.ok());
    CHECK(page->usages.size() <= 64);
    for (const Usage& usage : page->usages) CHECK(listed.emplace(usage.key, usage.used).second);
    done = page->done;
    cursor = page->next;
  }
  CHECK(listed == wanted);
  CHECK(store.usages("other", month, "", 10)->done);
  CHECK(store.usages("other", month, cursor, 10).error().code() == ErrorCode::kRefused);
  CHECK(store.usages("calls", month, "x", 10).error().code() == ErrorCode::kInvalidArgument);
  CHECK(store.usages("calls", month, "", 0).error().code() == ErrorCode::kInvalidArgument);
}

TEST_CASE("lease store: an order out of its bounds is refused, and holds back no other") {
  FOR_EACH_LEASE_STORE(store);
  const std::string too_long(1'025, 'k');
  std::vector<LeaseOrder> orders(8, order_of("a", 100, 1));
  orders[1].key = "";
  orders[2].key = too_long;
  orders[3].requests = 0;
  orders[4].requests = kMaxFleetRequests + 1;
  orders[5].wanted = std::uint64_t{1} << 24;
  orders[6].settled = INT64_MIN;
  for (const FleetLimit& limit : {monthly(), slow_rate()}) {
    std::vector<LeaseGrant> grants(orders.size());
    store.settle(limit, orders, system_now(), grants);
    CHECK(grants[0].tokens == 1);
    for (std::size_t i = 1; i < 7; ++i) {
      INFO(i);
      CHECK(grants[i].error.code() == ErrorCode::kInvalidArgument);
    }
    CHECK(grants[7].tokens == 1);
  }
  LeaseOrder no_burst = order_of("a", 100, 1);
  no_burst.burst = 0;
  CHECK(settle(store, slow_rate(), no_burst).error.code() == ErrorCode::kInvalidArgument);
  CHECK(settle(store, monthly("a:b"), orders[0]).error.code() == ErrorCode::kInvalidArgument);
  CHECK(store.usage("a:b", "a", month_of(system_now())).error().code() ==
        ErrorCode::kInvalidArgument);
}

TEST_CASE("lease store: the largest limits are counted exactly") {
  FOR_EACH_LEASE_STORE(store);
  const FleetLimit limit = monthly();
  const auto most = static_cast<std::int64_t>(kMaxFleetRequests);
  CHECK(take(store, limit, settled(order_of("a", kMaxFleetRequests, 0), most - 3)) == 0);
  CHECK(used(store, "a") == kMaxFleetRequests - 3);
  CHECK(take(store, limit, order_of("a", kMaxFleetRequests, 1'000)) == 3);
  CHECK(used(store, "a") == kMaxFleetRequests);
}

TEST_CASE("lease store: takers at once share exactly the limit") {
  FOR_EACH_LEASE_STORE(store);
  for (const FleetLimit& limit : {monthly(), slow_rate()}) {
    std::atomic<std::uint64_t> taken{0};
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 4; ++thread) {
      threads.emplace_back([&] {
        for (int i = 0; i < 40; ++i) taken += settle(store, limit, order_of("a", 500, 7)).tokens;
      });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(taken == 500);
  }
}

}  // namespace
}  // namespace cellroute
