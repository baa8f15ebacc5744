// What route() and report() must never do: allocate, call the system, or see a freed snapshot.
#include <atomic>
#include <cstdlib>
#include <new>
#include <thread>

#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "routing_fixture.hpp"
#include "sanitized.hpp"

// GCC sees through the replaced operators and takes free() for the wrong partner of new.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif

namespace {

thread_local std::uint64_t allocations = 0;

void* counted_or_null(std::size_t size, std::size_t alignment) noexcept {
  ++allocations;
  const std::size_t whole = (size + alignment - 1) / alignment * alignment;
  return std::aligned_alloc(alignment, whole == 0 ? alignment : whole);
}

void* counted(std::size_t size, std::size_t alignment) {
  void* const memory = counted_or_null(size, alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(std::size_t size) { return counted(size, alignof(std::max_align_t)); }
void* operator new[](std::size_t size) { return counted(size, alignof(std::max_align_t)); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return counted(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return counted(size, static_cast<std::size_t>(alignment));
}
// AddressSanitizer's own of these would not go with the free() below.
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return counted_or_null(size, alignof(std::max_align_t));
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return counted_or_null(size, alignof(std::max_align_t));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace {

using namespace routing;

// Every guard on, so that every part of the path runs; without limits on keys most of it is
// another.
Topology guarded(std::uint64_t generation, Affinity affinity, bool limits_keys = true) {
  Topology made = topology({});
  made.generation = generation;
  for (int i = 0; i < 40; ++i) {
    made.cells.push_back(cell("c" + std::to_string(i), "retail", "us"));
    made.cells.back().replicas = {"c" + std::to_string((i + 1) % 40)};
  }
  made.policy.affinity = affinity;
  made.policy.breaker = {
      .consecutive_failures = 5, .failure_rate = 500, .slow_call = kSecond, .slow_rate = 500};
  made.policy.in_flight = {100, kSecond};
  made.policy.limits = {
      {LimitPer::kKey, LimitKind::kWindow, "", 50, kSecond, 0, false, OnExceed::kRefuse, {}},
      {LimitPer::kKeyAndResource,
       LimitKind::kBucket,
       "",
       50,
       kSecond,
       0,
       false,
       OnExceed::kRefuse,
       {}},
      {LimitPer::kCell, LimitKind::kBucket, "", 20'000, kSecond, 0, false, OnExceed::kRefuse, {}}};
  if (!limits_keys)
    made.policy.limits.erase(made.policy.limits.begin(), made.policy.limits.end() - 1);
  return made;
}

// Requests of all kinds, with reports of all kinds, some lost. Returns what was decided.
std::uint64_t exercise(Router& router, const Profile& profile, int rounds, std::uint32_t lane) {
  static constexpr std::string_view kKeys[] = {"a", "tenant-17", "cust-000123", "mapped"};
  std::uint64_t digest = 0;
  Request request;
  request.profile = profile;
  request.lane = lane;
  request.resource = "orders";
  for (int i = 0; i < rounds; ++i) {
    request.key = kKeys[i % 4];
    request.access = i % 3 == 0 ? Access::kRead : Access::kWrite;
    request.risk = i % 10 / 10.0;
    const Nanos now = kNow + i * kMillisecond;
    Decision decision = router.route(request, now);
    digest = mix(digest ^ decision.cell ^ static_cast<std::uint64_t>(decision.reason));
    const std::uint16_t status = i % 7 == 0 ? 503 : 200;
    if (i % 10 != 0) router.report(decision.ticket, {CallEnd::kAnswered, status, false}, now);
  }
  return digest;
}

// With two limits of the fleet where `wanted`; the first refuses some.
Topology with_fleet_if(bool wanted, Topology made) {
  if (!wanted) return made;
  Limit limit;
  limit.requests = 100;
  limit.scope = LimitScope::kFleet;
  made.policy.limits.push_back(limit);
  limit.kind = LimitKind::kMonthly;
  limit.requests = 1'000'000;
  made.policy.limits.push_back(limit);
  return made;
}

constexpr std::pair<Affinity, bool> kWays[] = {
    {Affinity::kStateful, false}, {Affinity::kStateful, true}, {Affinity::kStateless, true}};

TEST_CASE("path: route and report allocate nothing") {
  for (const auto& [affinity, limits_keys] : kWays) {
    Served served(with_fleet_if(limits_keys, guarded(1, affinity, limits_keys)),
                  {record("mapped", "c3")});
    const Profile profile = served->snapshot()->profile({"retail", "us", {}, {}}).profile;
    const std::uint64_t before = allocations;
    exercise(*served, profile, 20'000, 0);
    CHECK(allocations == before);
    std::vector<Request> requests(64);
    for (Request& request : requests) {
      request.key = "k";
      request.profile = profile;
    }
    std::vector<Decision> decisions(64);
    const std::uint64_t before_batch = allocations;
    served->route_batch(requests, decisions, kNow);
    served->place_batch(requests, decisions, kNow);
    CHECK(allocations == before_batch);
  }
}

#if !defined(CELLROUTE_SANITIZED)  // a sanitizer's runtime calls the system itself
// In seccomp's strict mode any system call but read, write and _exit kills the process.
TEST_CASE("path: route and report make no system call") {
  const auto exit_of_child = [&](Affinity affinity, bool limits_keys, bool break_it) {
    Served served(with_fleet_if(limits_keys, guarded(1, affinity, limits_keys)),
                  {record("mapped", "c3")});
    const Profile profile = served->snapshot()->profile({"retail", "us", {}, {}}).profile;
    const pid_t child = fork();
    if (child == 0) {
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
      exercise(*served, profile, 20'000, 0);
      if (break_it) getppid();
      syscall(SYS_exit, 0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return status;
  };
  for (const auto& [affinity, limits_keys] : kWays) {
    CHECK(exit_of_child(affinity, limits_keys, false) == 0);
  }
  CHECK(WIFSIGNALED(exit_of_child(Affinity::kStateful, false, true)));  // the trap itself works
}
#endif

TEST_CASE("path: topologies are published under routing threads") {
  Served served(guarded(1, Affinity::kStateless), {record("mapped", "c3")});
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> wrong{0}, decided{0};
  std::vector<std::thread> threads;
  for (const std::uint32_t lane : {0u, 1u, 1u}) {
    threads.emplace_back([&, lane] {
      Nanos now = kNow;
      while (!stop.load(std::memory_order_relaxed)) {
        const auto snapshot = served->snapshot();
        Request request;
        request.key = "mapped";
        request.lane = lane;
        request.profile = snapshot->profile({"retail", "us", {}, {}}).profile;
        Decision decision = served->route(request, now += kMillisecond);
        const bool stale = decision.reason == Reason::kProfileStale;
        if (!stale && decision.cell != snapshot->number_of(snapshot->compiled().find_cell("c3"))) {
          ++wrong;
        }
        ++decided;
        served->report(decision.ticket, {}, now);
      }
    });
  }
  for (std::uint64_t generation = 2; generation < 60; ++generation) {
    const auto compiled = compile(guarded(generation, Affinity::kStateless));
    const std::vector<MappingRecord> mappings = {record("mapped", "c3")};
    while (!served->publish(*compiled, mappings).ok()) std::this_thread::yield();
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(decided > 0);
}

TEST_CASE("path: a publish changes nothing in what a route decides") {
  Served quiet(guarded(1, Affinity::kStateful));
  Served busy(guarded(1, Affinity::kStateful));
  const Profile profile = quiet->snapshot()->profile({"retail", "us", {}, {}}).profile;
  const std::uint64_t alone = exercise(*quiet, profile, 5'000, 0);
  const auto compiled = busy->snapshot()->shared_compiled();
  std::atomic<bool> stop{false};
  std::thread publisher([&] {
    while (!stop) static_cast<void>(busy->publish(compiled));
  });
  const std::uint64_t meanwhile = exercise(*busy, profile, 5'000, 0);
  stop = true;
  publisher.join();
  CHECK(alone == meanwhile);
}

}  // namespace
