// What a publish costs: compiling a large topology, off the path.
#include <benchmark/benchmark.h>

#include <string>

#include "cellroute/policy.hpp"

namespace {

using namespace cellroute;

// 10,000 cells in 30 sets of a tier and region; five certifications make 32 requirements, so 960
// classes. All cells have four of them, and all but one of each set the fifth: 60 distinct pools of
// together 19,970 members.
Topology large() {
  Topology made;
  made.generation = 1;
  made.hash_seed = 7;
  for (int i = 0; i < 5; ++i) made.tiers.push_back({"tier-" + std::to_string(i), {}, {}});
  for (int i = 0; i < 6; ++i) made.regions.push_back("region-" + std::to_string(i));
  made.certifications = {"A", "B", "C", "D", "E"};
  for (const std::string& name : made.certifications) {
    made.policy.flags.push_back({"NEEDS_" + name, {name}, {}, ""});
  }
  for (int i = 0; i < 10'000; ++i) {
    Cell cell;
    cell.id = "cell-" + std::to_string(i);
    cell.tier = "tier-" + std::to_string(i % 5);
    cell.region = "region-" + std::to_string(i / 5 % 6);
    cell.certifications = made.certifications;
    if (i < 30) cell.certifications.pop_back();
    made.cells.push_back(std::move(cell));
  }
  return made;
}

void compile_large(benchmark::State& state) {
  const Topology topology = large();
  const CompileOptions options{static_cast<unsigned>(state.range(0))};
  std::size_t members = 0;
  for (auto _ : state) {
    const auto compiled = compile(topology, options);
    if (!compiled.ok()) {
      state.SkipWithError(compiled.error().text().c_str());
      return;
    }
    members = 0;
    for (const Pool& pool : (*compiled)->pools()) members += pool.members.size();
    state.counters["classes"] = static_cast<double>((*compiled)->class_count());
    state.counters["pools"] = static_cast<double>((*compiled)->pools().size());
    state.counters["table_bytes"] = static_cast<double>((*compiled)->table_bytes());
  }
  state.counters["members"] = static_cast<double>(members);
}
BENCHMARK(compile_large)
    ->Name("compile/10000_cells/threads")
    ->Arg(1)
    ->Arg(2)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime()
    ->Iterations(3);

}  // namespace
