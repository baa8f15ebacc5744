// What the C interface costs over C++: the same requests to one kind of router, through both, in
// one run.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "cellroute.h"
#include "cellroute/router.hpp"
#include "keys.hpp"
#include "topology/load.hpp"

namespace {

using namespace cellroute;

constexpr Nanos kNow = 1'700'000'000 * kSecond;
constexpr std::size_t kKeys = 1 << 12;

std::string fleet_text() {
  std::string text = "generation: 1\nhash_seed: 11\ncells:\n";
  for (int i = 0; i < 1000; ++i) {
    const std::string id = "cell-" + std::to_string(i);
    text += "  - {id: " + id + ", endpoint: 'https://" + id + ".test'}\n";
  }
  return text +
         "policy:\n  breaker: {consecutive_failures: 5, failure_rate: 0.5}\n"
         "  in_flight: {per_cell: 100000}\n";
}

cellroute_view view(const std::string& text) { return {text.data(), text.size()}; }

Router& cpp_router() {
  static const auto router = [] {
    RouterOptions options;
    options.geometry.cells = 2048;
    auto made = std::move(*Router::create(options));
    auto topology = load_topology(fleet_text(), TopologyFormat::kYaml, "fleet");
    if (!made->publish(*compile(std::move(*topology))).ok()) std::abort();
    return made;
  }();
  return *router;
}

cellroute_router* c_router() {
  static cellroute_router* const router = [] {
    cellroute_router* made = nullptr;
    cellroute_topology* topology = nullptr;
    cellroute_router_options options{};
    options.struct_size = sizeof options;
    options.cells = 2048;
    const std::string text = fleet_text();
    if (cellroute_router_create(&options, &made, nullptr) != CELLROUTE_OK ||
        cellroute_topology_load(view(text), nullptr, &topology, nullptr) != CELLROUTE_OK ||
        cellroute_router_publish(made, topology, nullptr, nullptr) != CELLROUTE_OK) {
      std::abort();
    }
    cellroute_topology_destroy(topology);
    return made;
  }();
  return router;
}

void finish(benchmark::State& state, std::uint64_t served, std::uint64_t asked) {
  if (served != asked) state.SkipWithError("a request was refused");
  state.SetItemsProcessed(static_cast<std::int64_t>(asked));
}

void through_cpp(benchmark::State& state) {
  Router& router = cpp_router();
  const std::vector<std::string> keys = bench::keys(kKeys);
  Request request;
  request.profile = router.snapshot()->profile({}).profile;
  std::uint64_t i = 0;
  std::uint64_t served = 0;
  Nanos now = kNow;
  for (auto _ : state) {
    request.key = keys[i++ % kKeys];
    Decision decision = router.route(request, now += 100);
    served += decision.status == Status::kOk;
    router.report(decision.ticket, {}, now);
  }
  finish(state, served, i);
}
BENCHMARK(through_cpp)->Name("capi/route+report/C++");

cellroute_profile c_profile() {
  cellroute_profile profile{};
  if (cellroute_router_profile(c_router(), nullptr, &profile, nullptr) != CELLROUTE_OK)
    std::abort();
  return profile;
}

void through_c(benchmark::State& state) {
  cellroute_router* const router = c_router();
  const std::vector<std::string> keys = bench::keys(kKeys);
  cellroute_request request{};
  cellroute_decision decision{};
  cellroute_outcome outcome{};
  request.struct_size = sizeof request;
  decision.struct_size = sizeof decision;
  outcome.struct_size = sizeof outcome;
  outcome.http_status = 200;
  request.profile = c_profile();
  std::uint64_t i = 0;
  std::uint64_t served = 0;
  Nanos now = kNow;
  for (auto _ : state) {
    request.key = view(keys[i++ % kKeys]);
    cellroute_route(router, &request, now += 100, &decision);
    served += decision.status == CELLROUTE_STATUS_OK;
    cellroute_report(router, &decision.ticket, &outcome, now);
  }
  finish(state, served, i);
}
BENCHMARK(through_c)->Name("capi/route+report/C");

void locate_cpp(benchmark::State& state) {
  Router& router = cpp_router();
  const std::vector<std::string> keys = bench::keys(kKeys);
  Request request;
  request.profile = router.snapshot()->profile({}).profile;
  std::uint64_t i = 0;
  std::uint64_t served = 0;
  for (auto _ : state) {
    request.key = keys[i++ % kKeys];
    served += router.place(request, kNow).status == Status::kOk;
  }
  finish(state, served, i);
}
BENCHMARK(locate_cpp)->Name("capi/locate/C++");

void locate_c(benchmark::State& state) {
  const std::vector<std::string> keys = bench::keys(kKeys);
  cellroute_request request{};
  cellroute_decision decision{};
  request.struct_size = sizeof request;
  decision.struct_size = sizeof decision;
  request.profile = c_profile();
  std::uint64_t i = 0;
  std::uint64_t served = 0;
  for (auto _ : state) {
    request.key = view(keys[i++ % kKeys]);
    cellroute_locate(c_router(), &request, kNow, &decision);
    served += decision.status == CELLROUTE_STATUS_OK;
  }
  finish(state, served, i);
}
BENCHMARK(locate_c)->Name("capi/locate/C");

// Keys by columns, a thousand a call.
void locate_columns(benchmark::State& state) {
  constexpr std::size_t kBatch = 1000;
  std::string bytes;
  std::vector<std::int64_t> offsets{0};
  for (const std::string& key : bench::keys(kBatch)) {
    bytes += key;
    offsets.push_back(static_cast<std::int64_t>(bytes.size()));
  }
  std::vector<std::uint32_t> cells(kBatch);
  cellroute_keys keys{};
  cellroute_answers answers{};
  keys.struct_size = sizeof keys;
  keys.count = kBatch;
  keys.bytes = bytes.data();
  keys.byte_count = bytes.size();
  keys.offsets = offsets.data();
  keys.profile = c_profile();
  answers.struct_size = sizeof answers;
  answers.cells = cells.data();
  std::uint64_t asked = 0;
  std::uint64_t served = 0;
  for (auto _ : state) {
    cellroute_locate_keys(c_router(), &keys, kNow, &answers);
    asked += kBatch;
    for (const std::uint32_t cell : cells) served += cell != CELLROUTE_NO_CELL;
  }
  finish(state, served, asked);
}
BENCHMARK(locate_columns)->Name("capi/locate_keys/1000");

}  // namespace
