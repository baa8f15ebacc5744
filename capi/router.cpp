// Routers: creating, publishing, refreshing, marks.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "entry.hpp"
#include "handles.hpp"
#include "publishing.hpp"
#include "router_geometry.hpp"
#include "topology.hpp"

namespace cellroute::capi {
namespace {

std::int32_t create(const cellroute_router_options& options, cellroute_router** router,
                    cellroute_error* error) {
  RouterOptions made;
  made.geometry = geometry_of(options);
  made.guard_seed = options.guard_seed;
  if (options.memory != nullptr) {
    made.memory = {static_cast<std::byte*>(options.memory),
                   static_cast<std::size_t>(options.memory_size)};
    if (made.memory.empty()) {
      return fail(error, CELLROUTE_E_INVALID_ARGUMENT,
                  "memory is given and memory_size is 0: ask cellroute_router_memory_size()");
    }
  } else if (options.memory_size != 0) {
    return fail(error, CELLROUTE_E_NULL);
  }
  Result<std::unique_ptr<Router>> core = Router::create(made);
  if (!core.ok()) return fail(error, core.error());
  *router = std::make_unique<cellroute_router>(std::move(*core), made.geometry.lanes).release();
  return CELLROUTE_OK;
}

// Whether the file holds what serves, in whatever order it names the cells.
bool same(Topology loaded, const CompiledTopology& serving) {
  std::sort(loaded.cells.begin(), loaded.cells.end(),
            [](const Cell& a, const Cell& b) { return a.id < b.id; });
  return loaded == serving.topology();
}

std::int32_t publish(cellroute_router& router,
                     const std::shared_ptr<const CompiledTopology>& compiled,
                     const cellroute_publish_options& options, cellroute_error* error) {
  TakenMappings mappings;
  if (const std::int32_t code = take_mappings(options, mappings, error); code != CELLROUTE_OK) {
    return code;
  }
  const Error failed =
      router.router->publish(compiled, mappings.base, mappings.records, gate_of(options));
  if (!failed.ok()) return fail(error, failed);
  router.fresh.store(options.now_ns, std::memory_order_relaxed);
  return CELLROUTE_OK;
}

std::int32_t refresh(cellroute_router& router, cellroute_view path,
                     const cellroute_load_options& load, const cellroute_publish_options& options,
                     cellroute_error* error) {
  Result<Topology> loaded = load_file(path, load);
  if (!loaded.ok()) return fail(error, loaded.error());
  const auto serving = router.router->snapshot();
  if (serving && loaded->generation == serving->generation() &&
      same(*loaded, serving->compiled())) {
    router.fresh.store(options.now_ns, std::memory_order_relaxed);
    return CELLROUTE_UNCHANGED;
  }
  auto compiled = compile(std::move(*loaded), compile_options(load));
  if (!compiled.ok()) return fail(error, compiled.error());
  return publish(router, *compiled, options, error);
}

// Any number that a cell has had since the guards began.
std::int32_t check_cell(cellroute_router* router, std::uint32_t cell) noexcept {
  if (const std::int32_t code = check(router); code != CELLROUTE_OK) return code;
  const GuardRegion& region = router->router->region();
  const bool known = cell < region.geometry().cells && region.id_hash(cell) != 0;
  return known ? CELLROUTE_OK : CELLROUTE_E_NOT_FOUND;
}

}  // namespace
}  // namespace cellroute::capi

namespace capi = cellroute::capi;

int32_t cellroute_router_memory_size(const cellroute_router_options* options, uint64_t* size) {
  cellroute_router_options room;
  if (size == nullptr) return CELLROUTE_E_NULL;
  if (const std::int32_t code = capi::read_optional(options, room); code != CELLROUTE_OK) {
    return code;
  }
  const std::size_t bytes = cellroute::GuardRegion::bytes(capi::geometry_of(*options));
  if (bytes == 0) return CELLROUTE_E_INVALID_ARGUMENT;
  *size = bytes;
  return CELLROUTE_OK;
}

int32_t cellroute_router_create(const cellroute_router_options* options, cellroute_router** router,
                                cellroute_error* error) {
  cellroute_router_options room;
  return capi::enter(error, [&]() -> std::int32_t {
    if (router == nullptr) return capi::fail(error, CELLROUTE_E_NULL);
    if (const std::int32_t code = capi::read_optional(options, room); code != CELLROUTE_OK) {
      return capi::fail(error, code);
    }
    return capi::create(*options, router, error);
  });
}

// A fork may have come while another thread of the parent was publishing: what a child has is then
// half-changed, and not to be walked through.
void cellroute_router_destroy(cellroute_router* router) {
  if (capi::check(router) == CELLROUTE_OK) delete router;
}

int32_t cellroute_publish_options_default(cellroute_publish_options* options,
                                          uint32_t struct_size) {
  if (options == nullptr) return CELLROUTE_E_NULL;
  options->struct_size = struct_size;
  if (const std::int32_t code = capi::check_out(options); code != CELLROUTE_OK) return code;
  const cellroute::PublishOptions defaults;
  cellroute_publish_options made{};
  made.max_moved_percent = defaults.max_moved_percent;
  made.max_cells_lost = defaults.max_cells_lost;
  made.allow_seed_change = defaults.allow_seed_change ? 1 : 0;
  made.max_keys_lost_percent = defaults.max_keys_lost_percent;
  capi::write_struct(options, made);
  return CELLROUTE_OK;
}

int32_t cellroute_router_publish(cellroute_router* router, const cellroute_topology* topology,
                                 const cellroute_publish_options* options, cellroute_error* error) {
  cellroute_publish_options room;
  return capi::enter(error, [&]() -> std::int32_t {
    std::int32_t code = capi::check(router);
    if (code == CELLROUTE_OK) code = capi::check(topology);
    if (code == CELLROUTE_OK) code = capi::read_publish_options(options, room);
    if (code != CELLROUTE_OK) return capi::fail(error, code);
    return capi::publish(*router, topology->compiled, *options, error);
  });
}

int32_t cellroute_router_refresh(cellroute_router* router, cellroute_view path,
                                 const cellroute_load_options* load,
                                 const cellroute_publish_options* options, cellroute_error* error) {
  cellroute_load_options load_room;
  cellroute_publish_options options_room;
  return capi::enter(error, [&]() -> std::int32_t {
    std::int32_t code = capi::check(router);
    if (code == CELLROUTE_OK && !capi::sound(path)) code = CELLROUTE_E_NULL;
    if (code == CELLROUTE_OK) code = capi::read_load_options(load, load_room);
    if (code == CELLROUTE_OK) code = capi::read_publish_options(options, options_room);
    if (code != CELLROUTE_OK) return capi::fail(error, code);
    return capi::refresh(*router, path, *load, *options, error);
  });
}

int32_t cellroute_router_generation(cellroute_router* router, uint64_t* generation) {
  if (const std::int32_t code = capi::check(router); code != CELLROUTE_OK) return code;
  if (generation == nullptr) return CELLROUTE_E_NULL;
  const std::shared_ptr<const cellroute::Snapshot> serving = router->router->snapshot();
  if (!serving) return CELLROUTE_E_NO_SNAPSHOT;
  *generation = serving->generation();
  return CELLROUTE_OK;
}

int32_t cellroute_mark_health(cellroute_router* router, uint32_t cell, uint32_t healthy) {
  if (const std::int32_t code = capi::check_cell(router, cell); code != CELLROUTE_OK) return code;
  if (healthy > 1) return CELLROUTE_E_INVALID_ARGUMENT;
  router->router->region().set_health(
      cell, healthy != 0 ? cellroute::Health::kHealthy : cellroute::Health::kUnhealthy);
  return CELLROUTE_OK;
}

int32_t cellroute_mark_load(cellroute_router* router, uint32_t cell, uint64_t load) {
  if (const std::int32_t code = capi::check_cell(router, cell); code != CELLROUTE_OK) return code;
  if (load > std::uint64_t{1} << 62) return CELLROUTE_E_INVALID_ARGUMENT;
  router->router->region().set_load(cell, load);
  return CELLROUTE_OK;
}
