// Topologies: loading, compiling, writing.
#include "topology.hpp"

#include <string>
#include <utility>

#include "entry.hpp"
#include "handles.hpp"

namespace cellroute::capi {
namespace {

std::int32_t check_options(const cellroute_load_options& options) noexcept {
  if (!sound(options.name)) return CELLROUTE_E_NULL;
  const bool ok = options.format <= CELLROUTE_FORMAT_BINARY && options.threads <= kMostThreads &&
                  options.reserved == 0;
  return ok ? CELLROUTE_OK : CELLROUTE_E_INVALID_ARGUMENT;
}

std::int32_t give(Result<Topology> loaded, const cellroute_load_options& options,
                  cellroute_topology** topology, cellroute_error* error) {
  if (!loaded.ok()) return fail(error, loaded.error());
  auto compiled = compile(std::move(*loaded), compile_options(options));
  if (!compiled.ok()) return fail(error, compiled.error());
  auto made = std::make_unique<cellroute_topology>();
  made->compiled = std::move(*compiled);
  *topology = made.release();
  return CELLROUTE_OK;
}

}  // namespace

std::int32_t read_load_options(const cellroute_load_options*& options,
                               cellroute_load_options& room) noexcept {
  if (const std::int32_t code = read_optional(options, room); code != CELLROUTE_OK) return code;
  return check_options(*options);
}

std::optional<TopologyFormat> format_of(std::uint32_t format) noexcept {
  switch (format) {
    case CELLROUTE_FORMAT_YAML: return TopologyFormat::kYaml;
    case CELLROUTE_FORMAT_JSON: return TopologyFormat::kJson;
    case CELLROUTE_FORMAT_TEXTPROTO: return TopologyFormat::kTextproto;
    case CELLROUTE_FORMAT_BINARY: return TopologyFormat::kBinary;
    default: return std::nullopt;
  }
}

Result<Topology> load_file(cellroute_view path, const cellroute_load_options& options) {
  if (text(path).find('\0') != std::string_view::npos) {
    return invalid_argument("the path has a NUL in it; a file name has none");
  }
  return load_topology_file(std::string(text(path)), format_of(options.format));
}

}  // namespace cellroute::capi

namespace capi = cellroute::capi;

int32_t cellroute_topology_load(cellroute_view bytes, const cellroute_load_options* options,
                                cellroute_topology** topology, cellroute_error* error) {
  cellroute_load_options room;
  return capi::enter(error, [&]() -> std::int32_t {
    if (topology == nullptr || !capi::sound(bytes)) return capi::fail(error, CELLROUTE_E_NULL);
    if (const std::int32_t code = capi::read_load_options(options, room); code != CELLROUTE_OK) {
      return capi::fail(error, code);
    }
    const std::string_view name = options->name.size == 0 ? "topology" : capi::text(options->name);
    std::optional<cellroute::TopologyFormat> format = capi::format_of(options->format);
    if (!format) format = cellroute::topology_format_of(name);
    return capi::give(
        cellroute::load_topology(capi::text(bytes),
                                 format.value_or(cellroute::TopologyFormat::kYaml), name),
        *options, topology, error);
  });
}

int32_t cellroute_topology_load_file(cellroute_view path, const cellroute_load_options* options,
                                     cellroute_topology** topology, cellroute_error* error) {
  cellroute_load_options room;
  return capi::enter(error, [&]() -> std::int32_t {
    if (topology == nullptr || !capi::sound(path)) return capi::fail(error, CELLROUTE_E_NULL);
    if (const std::int32_t code = capi::read_load_options(options, room); code != CELLROUTE_OK) {
      return capi::fail(error, code);
    }
    return capi::give(capi::load_file(path, *options), *options, topology, error);
  });
}

void cellroute_topology_destroy(cellroute_topology* topology) {
  if (capi::check(topology) == CELLROUTE_OK) delete topology;
}

int32_t cellroute_topology_generation(const cellroute_topology* topology, uint64_t* generation) {
  if (const std::int32_t code = capi::check(topology); code != CELLROUTE_OK) return code;
  if (generation == nullptr) return CELLROUTE_E_NULL;
  *generation = topology->compiled->topology().generation;
  return CELLROUTE_OK;
}

int32_t cellroute_topology_cell_count(const cellroute_topology* topology, uint32_t* count) {
  if (const std::int32_t code = capi::check(topology); code != CELLROUTE_OK) return code;
  if (count == nullptr) return CELLROUTE_E_NULL;
  *count = static_cast<std::uint32_t>(topology->compiled->cell_count());
  return CELLROUTE_OK;
}

int32_t cellroute_topology_endpoint_at(const cellroute_topology* topology, uint32_t cell,
                                       uint32_t index, cellroute_view* resource,
                                       cellroute_view* endpoint) {
  if (const std::int32_t code = capi::check(topology); code != CELLROUTE_OK) return code;
  if (resource == nullptr || endpoint == nullptr) return CELLROUTE_E_NULL;
  if (cell >= topology->compiled->cell_count()) return CELLROUTE_E_NOT_FOUND;
  const cellroute::Cell& found = topology->compiled->cell(static_cast<cellroute::CellIndex>(cell));
  if (index > found.endpoints.size()) return CELLROUTE_E_NOT_FOUND;
  *resource = index == 0 ? capi::view("") : capi::view(found.endpoints[index - 1].first);
  *endpoint = capi::view(index == 0 ? found.endpoint : found.endpoints[index - 1].second);
  return CELLROUTE_OK;
}

int32_t cellroute_topology_write(const cellroute_topology* topology, uint32_t format, char* buffer,
                                 size_t capacity, size_t* size, cellroute_error* error) {
  return capi::enter(error, [&]() -> std::int32_t {
    if (const std::int32_t code = capi::check(topology); code != CELLROUTE_OK) {
      return capi::fail(error, code);
    }
    if (size == nullptr) return capi::fail(error, CELLROUTE_E_NULL);
    const auto known = capi::format_of(format);
    if (!known) {
      return capi::fail(error, CELLROUTE_E_INVALID_ARGUMENT,
                        "the format is none; give CELLROUTE_FORMAT_JSON or another");
    }
    const auto written = cellroute::write_topology(topology->compiled->topology(), *known);
    if (!written.ok()) return capi::fail(error, written.error());
    return capi::put_text(*written, buffer, capacity, size, error);
  });
}
