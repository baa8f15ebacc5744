// The whole route: hash, class, pick, breaker, in-flight, limits; and what a route is made of.
//
// Peers in the same run: libmemcached's pick alone (strategy_bench.cpp), and absl's map for
// explicit mappings. `now` is passed, as a host does that reads its clock once an event-loop turn.
#include <absl/container/flat_hash_map.h>
#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <vector>

#include "cellroute/router.hpp"
#include "keys.hpp"

namespace {

using namespace cellroute;

constexpr Nanos kNow = 1'700'000'000 * kSecond;
constexpr std::size_t kKeys = 1 << 12;  // hot: the point of these is the path, not the memory

Topology fleet(std::size_t cells) {
  Topology made;
  made.generation = 1;
  made.hash_seed = 11;
  made.tiers = {{"retail", {}, {}}, {"corporate", {}, {}}};
  made.regions = {"us-east-1", "eu-west-1"};
  made.certifications = {"SOC2", "FedRAMP"};
  made.encryption_levels = {"standard", "maximum"};
  for (std::size_t i = 0; i < cells; ++i) {
    Cell cell;
    cell.id = "cell-" + std::to_string(i);
    cell.tier = "retail";
    cell.region = "us-east-1";
    cell.encryption = i % 2 ? "standard" : "maximum";
    made.cells.push_back(std::move(cell));
  }
  made.policy.risk = {800'000'000, "maximum", RiskMode::kPrefer};
  made.policy.flags = {{"HIGH_RISK", {}, {}, "maximum"}};
  return made;
}

Topology guarded(std::size_t cells, Affinity affinity) {
  Topology made = fleet(cells);
  made.policy.affinity = affinity;
  made.policy.breaker.consecutive_failures = 5;
  made.policy.breaker.failure_rate = 500;
  made.policy.in_flight = {1'000'000, 60 * kSecond};
  made.policy.limits = {{LimitPer::kCell,
                         LimitKind::kBucket,
                         "",
                         1'000'000'000,
                         kSecond,
                         0,
                         false,
                         OnExceed::kRefuse,
                         {}}};
  return made;
}

std::unique_ptr<Router> serving(Topology topology, std::vector<MappingRecord> mappings = {}) {
  RouterOptions options;
  options.geometry.cells = 4096;
  options.geometry.lanes = 4;
  auto router = std::move(*Router::create(options));
  const Error error = router->publish(*compile(std::move(topology)), mappings);
  if (!error.ok()) std::abort();
  return router;
}

Request request_for(const Router& router, std::uint32_t lane) {
  Request request;
  request.lane = lane;
  request.profile = router.snapshot()->profile({"retail", "us-east-1", {}, {}}).profile;
  return request;
}

// Routes and, with `report`, reports each; checks that all were served.
void route_all(benchmark::State& state, Router& router, bool report) {
  const std::vector<std::string> keys = bench::keys(kKeys);
  Request request = request_for(router, static_cast<std::uint32_t>(state.thread_index()));
  std::size_t i = 0;
  std::uint64_t served = 0;
  Nanos now = kNow;
  for (auto _ : state) {
    request.key = keys[i++ % kKeys];
    now += 100;
    Decision decision = router.route(request, now);
    served += decision.status == Status::kOk;
    if (report) router.report(decision.ticket, {}, now);
  }
  if (served != i) state.SkipWithError("a request was refused");
  state.SetItemsProcessed(static_cast<std::int64_t>(i));
}

void route_guarded(benchmark::State& state) {
  static const auto router = serving(guarded(1000, Affinity::kStateful));
  route_all(state, *router, true);
}
BENCHMARK(route_guarded)->Name("route+report/1000_cells/guarded")->Threads(1)->Threads(2);

void route_stateless(benchmark::State& state) {
  static const auto router = serving(guarded(1000, Affinity::kStateless));
  route_all(state, *router, true);
}
BENCHMARK(route_stateless)->Name("route+report/1000_cells/guarded/stateless")->Threads(1);

void route_unguarded(benchmark::State& state) {
  static const auto router = serving(fleet(1000));
  route_all(state, *router, false);
}
BENCHMARK(route_unguarded)->Name("route/1000_cells/no_guards")->Threads(1)->Threads(2);

void place_alone(benchmark::State& state) {
  const auto router = serving(guarded(1000, Affinity::kStateful));
  const std::vector<std::string> keys = bench::keys(kKeys);
  Request request = request_for(*router, 0);
  std::size_t i = 0;
  for (auto _ : state) {
    request.key = keys[i++ % kKeys];
    benchmark::DoNotOptimize(router->place(request, kNow));
  }
}
BENCHMARK(place_alone)->Name("place/1000_cells");

void class_look_up(benchmark::State& state) {
  const auto compiled = std::move(*compile(fleet(1000)));
  std::uint32_t i = 0;
  for (auto _ : state) {
    const std::uint32_t requirement = compiled->requirements().find(i & 1, (i & 2) != 0);
    benchmark::DoNotOptimize(compiled->pool_of(0, 0, requirement));
    ++i;
  }
}
BENCHMARK(class_look_up)->Name("class_look_up");

void batch(benchmark::State& state) {
  const auto router = serving(guarded(1000, Affinity::kStateful));
  const std::vector<std::string> keys = bench::keys(kKeys);
  std::vector<Request> requests(32, request_for(*router, 0));
  std::vector<Decision> decisions(32);
  std::size_t i = 0;
  for (auto _ : state) {
    for (Request& request : requests) request.key = keys[i++ % kKeys];
    router->place_batch(requests, decisions, kNow);
    benchmark::DoNotOptimize(decisions.data());
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(i));
}
BENCHMARK(batch)->Name("place_batch/32/1000_cells");

// A million explicit mappings: the overlay within a route, and absl's map alone.
constexpr std::size_t kMappings = 1'000'000;

void mapped_route(benchmark::State& state) {
  static const std::vector<std::string> keys = bench::keys(kMappings);
  static const auto router = [] {
    std::vector<MappingRecord> mappings(kMappings);
    for (std::size_t i = 0; i < kMappings; ++i) {
      mappings[i].key = keys[i];
      mappings[i].cell = "cell-" + std::to_string(i % 1000);
    }
    return serving(guarded(1000, Affinity::kStateful), std::move(mappings));
  }();
  Request request = request_for(*router, 0);
  std::uint64_t i = 0;
  std::uint64_t mapped = 0;
  for (auto _ : state) {
    request.key = keys[scale(mix(++i), kMappings)];
    Decision decision = router->route(request, kNow);
    mapped += decision.reason == Reason::kMapped;
    router->report(decision.ticket, {}, kNow);
  }
  if (mapped != i) state.SkipWithError("a mapping was not found");
}
BENCHMARK(mapped_route)->Name("route+report/1M_mappings");

void absl_map_alone(benchmark::State& state) {
  static const std::vector<std::string> keys = bench::keys(kMappings);
  static const auto map = [] {
    absl::flat_hash_map<std::string, std::uint32_t> made;
    for (std::size_t i = 0; i < kMappings; ++i)
      made[keys[i]] = static_cast<std::uint32_t>(i % 1000);
    return made;
  }();
  std::uint64_t i = 0;
  std::uint64_t found = 0;
  for (auto _ : state) found += map.count(keys[scale(mix(++i), kMappings)]);
  if (found != i) state.SkipWithError("a key was not found");
}
BENCHMARK(absl_map_alone)->Name("peer/absl_flat_hash_map/1M_mappings");

}  // namespace
