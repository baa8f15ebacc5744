// Guards: what a request pays for the breaker, the in-flight cap and the limits, alone and
// together, on one thread and on two with a lane each. Time is a counter, as a host passes it: no
// clock is read. Each benchmark checks that the guards did what it measures.
#include <benchmark/benchmark.h>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cellroute/guard/guards.hpp"

namespace {

using namespace cellroute;

constexpr Nanos kStart = 1'700'000'000 * kSecond;
constexpr std::uint32_t kCells = 1000;
constexpr std::uint32_t kLanes = 4;

struct Free {
  void operator()(std::byte* memory) const { std::free(memory); }
};

// A region of 1,000 cells, and rules with everything on.
struct Bench {
  explicit Bench(std::uint32_t limiter_entries = 1u << 12)
      : geometry{kCells, kLanes, limiter_entries},
        size(GuardRegion::bytes(geometry)),
        memory(static_cast<std::byte*>(std::aligned_alloc(64, size))),
        guards(format()) {
    BreakerPolicy breaker;
    breaker.consecutive_failures = 5;
    breaker.failure_rate = 500;
    breaker.slow_call = 2 * kSecond;
    breaker.slow_rate = 500;
    Limit per_cell;
    per_cell.per = LimitPer::kCell;
    per_cell.requests = 1'000'000'000;
    per_cell.burst = 1'000'000'000'000'000;
    rules = *compile_rules(breaker, {1000, 60 * kSecond}, {&per_cell, 1}, kLanes);
    without_limit = *compile_rules(breaker, {1000, 60 * kSecond}, {}, kLanes);
  }

  GuardRegion format() {
    std::memset(memory.get(), 0, size);
    return *GuardRegion::create({memory.get(), size}, geometry, 1);
  }

  GuardGeometry geometry;
  std::size_t size;
  std::unique_ptr<std::byte, Free> memory;
  Guards guards;
  CellRules rules;
  CellRules without_limit;
};

Bench& shared() {
  static Bench bench;
  return bench;
}

LimitRule key_limit(LimitKind kind) {
  Limit limit;
  limit.kind = kind;
  limit.requests = 100;
  limit.period = 60 * kSecond;
  return *compile_limit(limit, kLanes);
}

// A cell after another, each by a step that makes neighbours in time no neighbours in memory.
std::uint32_t cell_after(std::uint32_t cell) { return (cell + 389) % kCells; }

void BM_BreakerAllowAndRecord(benchmark::State& state) {
  Bench& bench = shared();
  const auto lane = static_cast<std::uint32_t>(state.thread_index());
  guard::BreakerOf breaker(bench.guards.region(), 0);
  guard::LaneWords& mine = bench.guards.region().lane_words(lane, 0);
  Nanos now = kStart;
  for (auto _ : state) {
    BreakerTicket ticket;
    Nanos retry_after = 0;
    if (breaker.pass(bench.rules.breaker, now, ticket, retry_after) != BreakerAnswer::kPass) {
      state.SkipWithError("the breaker is not closed");
      break;
    }
    breaker.record(bench.rules.breaker, mine, ticket, false, false, {}, now);
    now += 100;
  }
}
BENCHMARK(BM_BreakerAllowAndRecord)->ThreadRange(1, 2)->UseRealTime();

void BM_InFlightEnterAndLeave(benchmark::State& state) {
  Bench& bench = shared();
  const auto lane = static_cast<std::uint32_t>(state.thread_index());
  guard::CellWords& cell = bench.guards.region().cell_words(0);
  guard::LaneWords& mine = bench.guards.region().lane_words(lane, 0);
  Nanos now = kStart;
  for (auto _ : state) {
    FlightTicket ticket;
    if (!guard::enter_flight(cell, mine, bench.rules.in_flight, now, ticket)) {
      state.SkipWithError("refused");
      break;
    }
    guard::leave_flight(cell, mine, bench.rules.in_flight, ticket);
    now += 100;
  }
}
BENCHMARK(BM_InFlightEnterAndLeave)->ThreadRange(1, 2)->UseRealTime();

// Time stands still, so that threads that run unevenly do not see each other's clocks; the burst
// lasts.
void BM_CellLimit(benchmark::State& state) {
  Bench& bench = shared();
  const auto lane = static_cast<std::uint32_t>(state.thread_index());
  guard::CellWords& cell = bench.guards.region().cell_words(0);
  guard::LaneWords& mine = bench.guards.region().lane_words(lane, 0);
  guard::CellLimitUndo undo;
  Nanos retry_after = 0;
  for (auto _ : state) {
    if (!guard::take_cell_limit(cell, mine, bench.rules.limits[0], 0, kStart, undo, retry_after)) {
      state.SkipWithError("refused");
      break;
    }
  }
}
BENCHMARK(BM_CellLimit)->ThreadRange(1, 2)->UseRealTime();

// One key's limit, hot, its word shared by the threads; time goes on, so that each call is
// admitted.
void BM_OneKey(benchmark::State& state, LimitKind kind) {
  Bench& bench = shared();
  Limit limit;
  limit.kind = kind;
  limit.requests = 1'000'000;
  limit.period = kSecond;
  const LimitRule rule = *compile_limit(limit, kLanes);
  const KeyLimiter& limiter = bench.guards.limiter();
  const std::uint64_t hash = limiter.hash("customer-1");
  static std::atomic<Nanos> clock{kStart};  // never back, from one run to the next
  Nanos now = clock;
  std::int64_t admitted = 0;
  for (auto _ : state) {
    admitted += limiter.take(hash, rule, now).admitted ? 1 : 0;
    now += 3 * kMicrosecond;
  }
  if (clock < now) clock = now;
  if (admitted == 0) state.SkipWithError("nothing was admitted");
}
BENCHMARK_CAPTURE(BM_OneKey, bucket, LimitKind::kBucket)->ThreadRange(1, 2)->UseRealTime();
BENCHMARK_CAPTURE(BM_OneKey, window, LimitKind::kWindow)->ThreadRange(1, 2)->UseRealTime();

// A million keys in turn, in an order that no prefetcher knows. `bytes_a_key` is of all entries,
// `in_overflow` the share of keys without one of their own.
void BM_MillionKeys(benchmark::State& state, LimitKind kind) {
  constexpr std::uint64_t kKeys = 1'000'000;
  static Bench bench(1u << 20);
  bench.guards = Guards(bench.format());
  const LimitRule rule = key_limit(kind);
  const KeyLimiter& limiter = bench.guards.limiter();
  for (std::uint64_t key = 0; key < kKeys; ++key) limiter.take(mix(key), rule, kStart);
  std::uint64_t own = 0;
  for (const guard::LimiterSet& set : bench.guards.region().limiter_sets()) {
    for (std::uint32_t i = 1; i < guard::kSetEntries; ++i) own += set.entries[i].tag.load() != 0;
  }
  std::uint64_t key = 0;
  std::int64_t admitted = 0;
  Nanos now = kStart;
  for (auto _ : state) {
    admitted += limiter.take(mix(key), rule, now).admitted ? 1 : 0;
    key = (key + 104'729) % kKeys;
    now += 10;
  }
  if (admitted == 0) state.SkipWithError("nothing was admitted");
  state.counters["bytes_a_key"] =
      static_cast<double>(bench.geometry.limiter_entries * sizeof(guard::LimiterEntry)) / kKeys;
  state.counters["in_overflow"] = 1 - static_cast<double>(own) / kKeys;
}
BENCHMARK_CAPTURE(BM_MillionKeys, bucket, LimitKind::kBucket);
BENCHMARK_CAPTURE(BM_MillionKeys, window, LimitKind::kWindow);

// Everything a request meets, on 1,000 cells in turn: breaker, in-flight, and a cell's limit.
void BM_AdmitAndReport(benchmark::State& state, bool with_limit) {
  Bench& bench = shared();
  const CellRules& rules = with_limit ? bench.rules : bench.without_limit;
  const auto lane = static_cast<std::uint32_t>(state.thread_index());
  std::uint32_t cell = lane * 500;
  Nanos now = kStart;
  for (auto _ : state) {
    Ticket ticket;
    if (!bench.guards.admit(cell, lane, rules, {}, now, ticket).ok()) {
      state.SkipWithError("refused");
      break;
    }
    bench.guards.report(ticket, {}, rules, {}, now);
    cell = cell_after(cell);
    now += 100;
  }
}
BENCHMARK_CAPTURE(BM_AdmitAndReport, no_limit, false)->ThreadRange(1, 2)->UseRealTime();
BENCHMARK_CAPTURE(BM_AdmitAndReport, cell_limit, true)->ThreadRange(1, 2)->UseRealTime();

// What route() itself pays: the reservation, with reports in batches of 64 outside the measured
// part.
void BM_Admit(benchmark::State& state) {
  Bench& bench = shared();
  const auto lane = static_cast<std::uint32_t>(state.thread_index());
  std::vector<Ticket> tickets(64);
  std::uint32_t cell = lane * 500;
  Nanos now = kStart;
  while (state.KeepRunningBatch(static_cast<std::int64_t>(tickets.size()))) {
    for (Ticket& ticket : tickets) {
      if (!bench.guards.admit(cell, lane, bench.rules, {}, now, ticket).ok()) {
        state.SkipWithError("refused");
        return;
      }
      cell = cell_after(cell);
      now += 100;
    }
    state.PauseTiming();
    for (Ticket& ticket : tickets) bench.guards.report(ticket, {}, bench.rules, {}, now);
    state.ResumeTiming();
  }
}
BENCHMARK(BM_Admit)->Iterations(1 << 20);

}  // namespace
