#include "command/serving.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <optional>
#include <thread>
#include <utility>

#include "command/command.hpp"
#include "topology/load.hpp"

namespace cellroute::command {
namespace {

using Compiled = std::shared_ptr<const CompiledTopology>;

// Room for the cells, and for as many again that will come.
GuardGeometry geometry_for(const Topology& topology) {
  GuardGeometry geometry;
  const std::size_t room = std::bit_ceil(2 * topology.cells.size());
  geometry.cells = static_cast<std::uint32_t>(
      std::clamp<std::size_t>(room, geometry.cells, GuardRegion::kMaxRegionCells));
  geometry.limiter_entries = topology.policy.limiter_entries;
  return geometry;
}

Error make_router(Serving& serving, const Topology& topology) {
  RouterOptions options;
  options.geometry = geometry_for(topology);
  if (serving.state) {
    Result<std::span<std::byte>> memory = serving.state->map_guards(options.geometry);
    if (!memory.ok()) return memory.error();
    options.memory = *memory;
  }
  Result<std::unique_ptr<Router>> router = Router::create(options);
  if (!router.ok()) return router.error();
  serving.router = std::move(*router);
  return {};
}

Result<Compiled> compile_last_good(const StateDirectory& state) {
  Result<std::optional<Topology>> last = state.last_good();
  if (!last.ok()) return last.error();
  if (!*last) return Compiled();
  return compile(std::move(**last), {std::max(1U, std::thread::hardware_concurrency())});
}

bool same(const Compiled& a, const Compiled& b) {
  const auto first = write_topology(a->topology(), TopologyFormat::kBinary);
  const auto second = write_topology(b->topology(), TopologyFormat::kBinary);
  return first.ok() && second.ok() && *first == *second;
}

// What stands against the topology, where a last good one serves on.
void say_refused(const std::string& path, const Error& error, const Compiled& last) {
  const bool located = error.text().starts_with(path);
  say("cellroute: " + (located ? std::string() : path + ": ") + error.text());
  say("cellroute: generation " + std::to_string(last->topology().generation) +
      ", the last good one, serves on");
}

Error publish_over(Serving& serving, const Compiled& last, const Result<Compiled>& next,
                   const ServingOptions& options) {
  if (Error error = serving.router->publish(last); !error.ok()) return error;
  if (!next.ok()) {
    say_refused(options.topology, next.error(), last);
    return {};
  }
  if (same(last, *next)) return {};
  if (const Error error = serving.router->publish(*next, {}, options.publish); !error.ok()) {
    say_refused(options.topology, error, last);
    return {};
  }
  return serving.state->keep((*next)->topology());
}

Error publish_first(Serving& serving, const Compiled& next, const ServingOptions& options) {
  if (const Error error = serving.router->publish(next); !error.ok()) {
    return Error(error.code(), options.topology + ": " + error.text());
  }
  return serving.state ? serving.state->keep(next->topology()) : Error();
}

}  // namespace

void ServingOptions::add_to(CLI::App& command, bool with_state) {
  add_topology_option(command, topology, true);
  if (!with_state) return;
  CLI::Option* const kept = command.add_option(
      "--state", state, "Directory that keeps guards and the last good topology between runs");
  constexpr const char* kGroup = "What a new topology may change, with --state";
  command
      .add_option("--max-moved-percent", publish.max_moved_percent,
                  "Of the hash space that may move; default 10")
      ->check(CLI::Range(0, 100))
      ->needs(kept)
      ->group(kGroup);
  command
      .add_option("--max-cells-lost", publish.max_cells_lost,
                  "Serving cells that may go; default 1")
      ->needs(kept)
      ->group(kGroup);
  command
      .add_flag("--allow-seed-change", publish.allow_seed_change,
                "A new hash_seed, which moves nearly every key")
      ->needs(kept)
      ->group(kGroup);
}

Result<Serving> start_serving(const ServingOptions& options) {
  Serving serving;
  Compiled last;
  if (!options.state.empty()) {
    Result<std::unique_ptr<StateDirectory>> state = StateDirectory::open(options.state);
    if (!state.ok()) return state.error();
    serving.state = std::move(*state);
    Result<Compiled> kept = compile_last_good(*serving.state);
    if (!kept.ok()) return kept.error();
    last = std::move(*kept);
  }
  const Result<Compiled> next = compile_file(options.topology);
  if (!next.ok() && !last) return next.error();
  const Topology& first = last ? last->topology() : (*next)->topology();
  Error error = make_router(serving, first);
  if (error.ok()) {
    error =
        last ? publish_over(serving, last, next, options) : publish_first(serving, *next, options);
  }
  if (!error.ok()) return error;
  if (serving.state) serving.state->unlock();
  serving.snapshot = serving.router->snapshot();
  return serving;
}

}  // namespace cellroute::command
