// Keys and answers by columns.
#pragma once

#include <cstdint>
#include <string_view>

#include "requests.hpp"

namespace cellroute::capi {

inline bool offsets_rise_within(const cellroute_keys& keys) noexcept {
  std::int64_t last = 0;
  bool rising = keys.count < SIZE_MAX;
  for (std::uint64_t i = 0; i <= keys.count && rising; ++i) {
    rising = keys.offsets[i] >= last;
    last = keys.offsets[i];
  }
  return rising && static_cast<std::uint64_t>(last) <= keys.byte_count;
}

// Where the keys are, first: everything else goes by that.
inline std::int32_t check_places(const cellroute_keys& keys) noexcept {
  if (keys.count == 0) return CELLROUTE_OK;
  if (keys.bytes == nullptr && keys.byte_count != 0) return CELLROUTE_E_NULL;
  bool ok = false;
  if (keys.width != 0) {
    ok = keys.offsets == nullptr && keys.count <= keys.byte_count / keys.width;
  } else if (keys.offsets == nullptr) {
    return CELLROUTE_E_NULL;
  } else {
    ok = offsets_rise_within(keys);
  }
  return ok ? CELLROUTE_OK : CELLROUTE_E_INVALID_ARGUMENT;
}

inline std::int32_t check_mappings(const cellroute_keys& keys) noexcept {
  if (keys.mappings == nullptr) return CELLROUTE_OK;
  for (std::uint64_t i = 0; i < keys.count; ++i) {
    const cellroute_mapping* const mapping = element(keys.mappings, i);
    if (mapping->struct_size != keys.mappings->struct_size) return CELLROUTE_E_STRUCT_SIZE;
    Mapped mapped;
    if (const std::int32_t code = read_mapping(mapping, mapped); code != CELLROUTE_OK) return code;
  }
  return CELLROUTE_OK;
}

inline std::int32_t read_keys(const cellroute_keys*& keys, cellroute_keys& room) noexcept {
  std::int32_t code = read_struct(keys, room);
  if (code != CELLROUTE_OK) return code;
  if (!sound(keys->resource)) return CELLROUTE_E_NULL;
  if (keys->access > CELLROUTE_READ) return CELLROUTE_E_INVALID_ARGUMENT;
  code = check_places(*keys);
  return code == CELLROUTE_OK ? check_mappings(*keys) : code;
}

inline std::string_view unpadded(const char* bytes, std::size_t size) noexcept {
  while (size != 0 && bytes[size - 1] == '\0') --size;
  return {bytes, size};
}

inline std::string_view key_of(const cellroute_keys& keys, std::uint64_t i) noexcept {
  if (keys.width != 0) return unpadded(keys.bytes + i * keys.width, keys.width);
  const auto from = static_cast<std::size_t>(keys.offsets[i]);
  return {keys.bytes + from, static_cast<std::size_t>(keys.offsets[i + 1]) - from};
}

inline void write_answer(const Decision& made, const cellroute_answers& answers,
                         std::uint64_t i) noexcept {
  if (answers.cells != nullptr) answers.cells[i] = made.cell;
  if (answers.statuses != nullptr) answers.statuses[i] = static_cast<std::uint8_t>(made.status);
  if (answers.reasons != nullptr) answers.reasons[i] = static_cast<std::uint16_t>(made.reason);
  if (answers.epochs != nullptr) answers.epochs[i] = made.epoch;
  if (answers.retry_after_ns != nullptr) answers.retry_after_ns[i] = made.retry_after;
  if (answers.marks != nullptr) answers.marks[i] = made.read_only ? CELLROUTE_READ_ONLY : 0;
  if (answers.tickets != nullptr) answers.tickets[i] = ticket_of(made.ticket);
  if (answers.timeout_ns != nullptr) answers.timeout_ns[i] = made.timeout;
  if (answers.generation != nullptr) *answers.generation = made.generation;
}

}  // namespace cellroute::capi
