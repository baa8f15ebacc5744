// Names for numbers: cells, endpoints, labels and profiles through a held snapshot.
#include <array>
#include <limits>
#include <string>
#include <vector>

#include "cellroute/labels.hpp"
#include "entry.hpp"
#include "handles.hpp"
#include "profiles.hpp"
#include "requests.hpp"

namespace cellroute::capi {
namespace {

std::int32_t hold(cellroute_router* router, std::shared_ptr<const Snapshot>& held) noexcept {
  if (const std::int32_t code = check(router); code != CELLROUTE_OK) return code;
  held = router->router->snapshot();
  return held ? CELLROUTE_OK : CELLROUTE_E_NO_SNAPSHOT;
}

// The cell of `number`, or the code that says why there is none.
std::int32_t find(const cellroute_snapshot* snapshot, std::uint32_t number,
                  CellIndex& cell) noexcept {
  if (const std::int32_t code = check(snapshot); code != CELLROUTE_OK) return code;
  cell = snapshot->held->cell_of(number);
  return cell != kNoCell ? CELLROUTE_OK : CELLROUTE_E_NOT_FOUND;
}

std::int32_t resolve(const Snapshot& snapshot, const cellroute_profile_names* names,
                     cellroute_profile* profile, cellroute_error* error) {
  if (profile == nullptr) return fail(error, CELLROUTE_E_NULL);
  NamesIn in;
  if (const std::int32_t code = read_names(names, in); code != CELLROUTE_OK) {
    return fail(error, code);
  }
  const ResolvedProfile resolved = snapshot.profile(in.names);
  if (resolved.reason != Reason::kNone) return fail_unknown(resolved.reason, error);
  *profile = profile_of(resolved.profile);
  return CELLROUTE_OK;
}

cellroute_cell describe(const CompiledTopology& compiled, CellIndex index, std::uint32_t number) {
  const Cell& cell = compiled.cell(index);
  const auto& levels = compiled.topology().encryption_levels;
  cellroute_cell made{};
  made.number = number;
  made.state = static_cast<std::uint32_t>(cell.state);
  made.weight = cell.weight;
  made.capacity = cell.capacity;
  made.label_count = static_cast<std::uint32_t>(cell.labels.size());
  made.id = view(cell.id);
  made.tier = view(cell.tier);
  made.region = view(cell.region);
  made.endpoint = view(cell.endpoint);
  made.encryption =
      view(levels.empty() ? std::string_view("") : levels[compiled.facts(index).encryption]);
  made.certification_count = static_cast<std::uint32_t>(cell.certifications.size());
  return made;
}

}  // namespace

std::int32_t read_names(const cellroute_profile_names* names, NamesIn& in) noexcept {
  cellroute_profile_names room;
  if (const std::int32_t code = read_optional(names, room); code != CELLROUTE_OK) return code;
  const bool flags_missing = names->flag_count != 0 && names->flags == nullptr;
  if (flags_missing || !sound(names->tier) || !sound(names->region) || !sound(names->plan)) {
    return CELLROUTE_E_NULL;
  }
  if (names->flag_count > in.flags.size()) return CELLROUTE_E_INVALID_ARGUMENT;
  for (std::uint32_t i = 0; i < names->flag_count; ++i) {
    if (!sound(names->flags[i])) return CELLROUTE_E_NULL;
    in.flags[i] = text(names->flags[i]);
  }
  in.names = {text(names->tier), text(names->region), text(names->plan),
              std::span(in.flags).first(names->flag_count)};
  return CELLROUTE_OK;
}

std::int32_t fail_unknown(Reason reason, cellroute_error* error) noexcept {
  return fail(error, CELLROUTE_E_UNKNOWN_NAME, text_of(reason).sentence,
              static_cast<std::uint32_t>(reason));
}

}  // namespace cellroute::capi

namespace capi = cellroute::capi;

int32_t cellroute_snapshot_hold(cellroute_router* router, cellroute_snapshot** snapshot,
                                cellroute_error* error) {
  return capi::enter(error, [&]() -> std::int32_t {
    auto made = std::make_unique<cellroute_snapshot>();
    if (snapshot == nullptr) return capi::fail(error, CELLROUTE_E_NULL);
    if (const std::int32_t code = capi::hold(router, made->held); code != CELLROUTE_OK) {
      return capi::fail(error, code);
    }
    *snapshot = made.release();
    return CELLROUTE_OK;
  });
}

void cellroute_snapshot_destroy(cellroute_snapshot* snapshot) {
  if (capi::check(snapshot) == CELLROUTE_OK) delete snapshot;
}

int32_t cellroute_snapshot_generation(const cellroute_snapshot* snapshot, uint64_t* generation) {
  if (const std::int32_t code = capi::check(snapshot); code != CELLROUTE_OK) return code;
  if (generation == nullptr) return CELLROUTE_E_NULL;
  *generation = snapshot->held->generation();
  return CELLROUTE_OK;
}

int32_t cellroute_snapshot_cell_count(const cellroute_snapshot* snapshot, uint32_t* count) {
  if (const std::int32_t code = capi::check(snapshot); code != CELLROUTE_OK) return code;
  if (count == nullptr) return CELLROUTE_E_NULL;
  *count = static_cast<std::uint32_t>(snapshot->held->compiled().cell_count());
  return CELLROUTE_OK;
}

int32_t cellroute_snapshot_cell_at(const cellroute_snapshot* snapshot, uint32_t index,
                                   uint32_t* cell) {
  if (const std::int32_t code = capi::check(snapshot); code != CELLROUTE_OK) return code;
  if (cell == nullptr) return CELLROUTE_E_NULL;
  if (index >= snapshot->held->compiled().cell_count()) return CELLROUTE_E_NOT_FOUND;
  *cell = snapshot->held->number_of(static_cast<cellroute::CellIndex>(index));
  return CELLROUTE_OK;
}

int32_t cellroute_snapshot_find_cell(const cellroute_snapshot* snapshot, cellroute_view id,
                                     uint32_t* cell) {
  if (const std::int32_t code = capi::check(snapshot); code != CELLROUTE_OK) return code;
  if (cell == nullptr || !capi::sound(id)) return CELLROUTE_E_NULL;
  const cellroute::CellIndex found = snapshot->held->compiled().find_cell(capi::text(id));
  if (found == cellroute::kNoCell) return CELLROUTE_E_NOT_FOUND;
  *cell = snapshot->held->number_of(found);
  return CELLROUTE_OK;
}

int32_t cellroute_snapshot_cell(const cellroute_snapshot* snapshot, uint32_t number,
                                cellroute_cell* cell) {
  cellroute::CellIndex index = cellroute::kNoCell;
  std::int32_t code = capi::check_out(cell);
  if (code == CELLROUTE_OK) code = capi::find(snapshot, number, index);
  if (code != CELLROUTE_OK) return code;
  capi::write_struct(cell, capi::describe(snapshot->held->compiled(), index, number));
  return CELLROUTE_OK;
}

int32_t cellroute_snapshot_endpoint(const cellroute_snapshot* snapshot, uint32_t cell,
                                    cellroute_view resource, cellroute_view* endpoint) {
  cellroute::CellIndex index = cellroute::kNoCell;
  if (const std::int32_t code = capi::find(snapshot, cell, index); code != CELLROUTE_OK) {
    return code;
  }
  if (endpoint == nullptr || !capi::sound(resource)) return CELLROUTE_E_NULL;
  *endpoint = capi::view(snapshot->held->endpoint(index, capi::text(resource)));
  return CELLROUTE_OK;
}

int32_t cellroute_snapshot_certification_at(const cellroute_snapshot* snapshot, uint32_t cell,
                                            uint32_t index, cellroute_view* name) {
  cellroute::CellIndex place = cellroute::kNoCell;
  if (const std::int32_t code = capi::find(snapshot, cell, place); code != CELLROUTE_OK) {
    return code;
  }
  if (name == nullptr) return CELLROUTE_E_NULL;
  const auto& certifications = snapshot->held->compiled().cell(place).certifications;
  if (index >= certifications.size()) return CELLROUTE_E_NOT_FOUND;
  *name = capi::view(certifications[index]);
  return CELLROUTE_OK;
}

int32_t cellroute_snapshot_label_at(const cellroute_snapshot* snapshot, uint32_t cell,
                                    uint32_t index, cellroute_view* name) {
  cellroute::CellIndex place = cellroute::kNoCell;
  if (const std::int32_t code = capi::find(snapshot, cell, place); code != CELLROUTE_OK) {
    return code;
  }
  if (name == nullptr) return CELLROUTE_E_NULL;
  const auto& labels = snapshot->held->compiled().cell(place).labels;
  if (index >= labels.size()) return CELLROUTE_E_NOT_FOUND;
  *name = capi::view(labels[index].first);
  return CELLROUTE_OK;
}

int32_t cellroute_snapshot_label(const cellroute_snapshot* snapshot, uint32_t cell,
                                 cellroute_view name, cellroute_view key, char* buffer,
                                 size_t capacity, size_t* size) {
  cellroute::CellIndex index = cellroute::kNoCell;
  if (const std::int32_t code = capi::find(snapshot, cell, index); code != CELLROUTE_OK) {
    return code;
  }
  if (size == nullptr || !capi::sound(name) || !capi::sound(key)) return CELLROUTE_E_NULL;
  const cellroute::Cell& found = snapshot->held->compiled().cell(index);
  const auto label = cellroute::label_of(found, capi::text(name));
  if (!label) return CELLROUTE_E_NOT_FOUND;
  const bool empty_but_needed = key.size == 0 && cellroute::label_needs_key(*label);
  if (key.size > cellroute::kMaxKeyBytes || empty_but_needed) return CELLROUTE_E_INVALID_ARGUMENT;
  std::array<char, cellroute::kMaxExpandedBytes> room;
  const std::size_t bytes = cellroute::expand_label(*label, found.id, capi::text(key), room);
  if (bytes > room.size()) return CELLROUTE_E_REFUSED;
  return capi::put_text({room.data(), bytes}, buffer, capacity, size, nullptr);
}

int32_t cellroute_profile_resolve(const cellroute_snapshot* snapshot,
                                  const cellroute_profile_names* names, cellroute_profile* profile,
                                  cellroute_error* error) {
  return capi::enter(error, [&]() -> std::int32_t {
    if (const std::int32_t code = capi::check(snapshot); code != CELLROUTE_OK) {
      return capi::fail(error, code);
    }
    return capi::resolve(*snapshot->held, names, profile, error);
  });
}

int32_t cellroute_router_profile(cellroute_router* router, const cellroute_profile_names* names,
                                 cellroute_profile* profile, cellroute_error* error) {
  return capi::enter(error, [&]() -> std::int32_t {
    std::shared_ptr<const cellroute::Snapshot> held;
    if (const std::int32_t code = capi::hold(router, held); code != CELLROUTE_OK) {
      return capi::fail(error, code);
    }
    return capi::resolve(*held, names, profile, error);
  });
}
