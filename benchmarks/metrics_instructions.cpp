// What counting a decision and its call takes, which .ci/instructions counts under callgrind. Run
// alone it only checks that every call succeeds.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "cellroute.h"

namespace {

constexpr int kCalls = 20'000;
constexpr std::uint32_t kCells = 1'024;

void must(std::int32_t code) {
  if (code == CELLROUTE_OK) return;
  std::fprintf(stderr, "%s\n", cellroute_code_name(code));
  std::exit(2);
}

}  // namespace

// Outside of the anonymous namespace and never inlined, so that callgrind knows it by name.
[[gnu::noinline]] std::int32_t counted_observe(cellroute_metrics* metrics,
                                               const cellroute_decision& decision,
                                               const cellroute_outcome& outcome,
                                               std::int64_t latency);

std::int32_t counted_observe(cellroute_metrics* metrics, const cellroute_decision& decision,
                             const cellroute_outcome& outcome, std::int64_t latency) {
  return cellroute_metrics_observe(metrics, 0, &decision, &outcome, latency);
}

int main() {
  cellroute_router* router = nullptr;
  cellroute_metrics* metrics = nullptr;
  cellroute_router_options options{};
  options.struct_size = sizeof options;
  options.cells = kCells;
  options.limiter_entries = CELLROUTE_NO_LIMITER;
  must(cellroute_router_create(&options, &router, nullptr));
  must(cellroute_metrics_create(router, nullptr, 0, &metrics, nullptr));
  cellroute_decision decision{};
  decision.struct_size = sizeof decision;
  decision.reason = 1;
  cellroute_outcome outcome{};
  outcome.struct_size = sizeof outcome;
  outcome.http_status = 200;
  decision.cell = kCells;                                               // of no cell,
  must(cellroute_metrics_observe(metrics, 0, &decision, &outcome, 0));  // once uncounted
  for (int i = 0; i < kCalls; ++i) {
    decision.cell = static_cast<std::uint32_t>(i) % kCells;
    must(counted_observe(metrics, decision, outcome, std::int64_t{i} * i * 30));  // to 12 s
  }
  cellroute_metrics_destroy(metrics);
  cellroute_router_destroy(router);
  return 0;
}
