// Hash and strategies on their own.
#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include "cellroute/key.hpp"
#include "columns.hpp"
#include "entry.hpp"
#include "handles.hpp"

namespace cellroute::capi {
namespace {

constexpr std::size_t kMostMembers = kNoCell;

std::int32_t read_members(const cellroute_member* members, std::uint64_t count,
                          std::vector<Member>& to) {
  if (count > kMostMembers) return CELLROUTE_E_INVALID_ARGUMENT;
  if (count != 0 && members == nullptr) return CELLROUTE_E_NULL;
  for (std::uint64_t i = 0; i < count; ++i) {
    const cellroute_member* from = element(members, i);
    cellroute_member room;
    if (from->struct_size != members->struct_size) return CELLROUTE_E_STRUCT_SIZE;
    if (const std::int32_t code = read_struct(from, room); code != CELLROUTE_OK) return code;
    if (!sound(from->id) || !sound(from->ketama_name)) return CELLROUTE_E_NULL;
    to.push_back({static_cast<CellIndex>(i), text(from->id),
                  from->weight != 0 ? from->weight : kUnitWeight, text(from->ketama_name)});
  }
  return CELLROUTE_OK;
}

std::int32_t read_picker_options(const cellroute_picker_options* from,
                                 StrategyOptions& to) noexcept {
  cellroute_picker_options room;
  if (const std::int32_t code = read_optional(from, room); code != CELLROUTE_OK) return code;
  to.seed = from->seed;
  if (from->slots != 0) to.slots = from->slots;
  if (from->max_table_bytes != 0) {
    to.max_table_bytes = static_cast<std::size_t>(from->max_table_bytes);
  }
  return CELLROUTE_OK;
}

Result<Picker> build(std::string_view strategy, std::vector<Member>& members,
                     const StrategyOptions& options) {
  const Result<StrategyKind> kind = parse_strategy(strategy);
  if (!kind.ok()) return kind.error();
  if (!Picker::ordered(*kind)) {
    std::sort(members.begin(), members.end(),
              [](const Member& a, const Member& b) { return a.id < b.id; });
  }
  return Picker::build(*kind, members, options);
}

std::uint32_t pick(const cellroute_picker& picker, std::string_view key) noexcept {
  return picker.picker.pick(key, hash_bytes(picker.seed, key));
}

}  // namespace
}  // namespace cellroute::capi

namespace capi = cellroute::capi;

int32_t cellroute_hash(uint64_t seed, cellroute_view key, uint64_t* hash) {
  if (hash == nullptr || !capi::sound(key)) return CELLROUTE_E_NULL;
  *hash = cellroute::hash_bytes(seed, capi::text(key));
  return CELLROUTE_OK;
}

int32_t cellroute_picker_create(cellroute_view strategy, const cellroute_member* members,
                                uint64_t count, const cellroute_picker_options* options,
                                cellroute_picker** picker, cellroute_error* error) {
  return capi::enter(error, [&]() -> std::int32_t {
    std::vector<cellroute::Member> given;
    cellroute::StrategyOptions chosen;
    if (picker == nullptr || !capi::sound(strategy)) return capi::fail(error, CELLROUTE_E_NULL);
    std::int32_t code = capi::read_picker_options(options, chosen);
    if (code == CELLROUTE_OK) code = capi::read_members(members, count, given);
    if (code != CELLROUTE_OK) return capi::fail(error, code);
    auto built = capi::build(capi::text(strategy), given, chosen);
    if (!built.ok()) return capi::fail(error, built.error());
    *picker = new cellroute_picker{.picker = std::move(*built), .seed = chosen.seed};
    return CELLROUTE_OK;
  });
}

void cellroute_picker_destroy(cellroute_picker* picker) {
  if (capi::check(picker) == CELLROUTE_OK) delete picker;
}

int32_t cellroute_picker_pick(const cellroute_picker* picker, cellroute_view key,
                              uint32_t* member) {
  if (const std::int32_t code = capi::check(picker); code != CELLROUTE_OK) return code;
  if (member == nullptr || !capi::sound(key)) return CELLROUTE_E_NULL;
  if (!cellroute::key_length_ok(capi::text(key))) return CELLROUTE_E_INVALID_ARGUMENT;
  *member = capi::pick(*picker, capi::text(key));
  return CELLROUTE_OK;
}

int32_t cellroute_picker_pick_keys(const cellroute_picker* picker, const cellroute_keys* keys,
                                   uint32_t* members) {
  cellroute_keys room;
  std::int32_t code = capi::check(picker);
  if (code == CELLROUTE_OK) code = capi::read_keys(keys, room);
  if (code != CELLROUTE_OK) return code;
  if (members == nullptr && keys->count != 0) return CELLROUTE_E_NULL;
  for (std::uint64_t i = 0; i < keys->count; ++i) {
    if (!cellroute::key_length_ok(capi::key_of(*keys, i))) return CELLROUTE_E_INVALID_ARGUMENT;
  }
  for (std::uint64_t i = 0; i < keys->count; ++i) {
    members[i] = capi::pick(*picker, capi::key_of(*keys, i));
  }
  return CELLROUTE_OK;
}
