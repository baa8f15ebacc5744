// Structs that grow at their end: reading those of another version, writing no more than there is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "cellroute.h"

namespace cellroute::capi {

// No struct will ever be as large; what claims to be was never initialized.
inline constexpr std::uint32_t kLargestStruct = 4096;

// The size with which a struct was first published. It never changes.
template <class T>
inline constexpr std::uint32_t kFirstSize = sizeof(T);
template <>
inline constexpr std::uint32_t kFirstSize<cellroute_cell> = offsetof(cellroute_cell, encryption);
template <>
inline constexpr std::uint32_t kFirstSize<cellroute_answers> = offsetof(cellroute_answers,
                                                                        timeout_ns);

template <>
inline constexpr std::uint32_t kFirstSize<cellroute_publish_options> =
    offsetof(cellroute_publish_options, max_keys_lost_percent);

template <>
inline constexpr std::uint32_t kFirstSize<cellroute_router_options> =
    offsetof(cellroute_router_options, fleet_routers);

inline bool all_zero(const unsigned char* from, const unsigned char* to) noexcept {
  while (from != to) {
    if (*from++ != 0) return false;
  }
  return true;
}

// The struct at `in`, as this version knows it: there, or in `room` where its size is another.
template <class T>
std::int32_t read_grown(const T*& in, T& room) noexcept {
  const std::uint32_t size = in->struct_size;
  if (size < kFirstSize<T> || size > kLargestStruct) return CELLROUTE_E_STRUCT_SIZE;
  const auto* const bytes = reinterpret_cast<const unsigned char*>(in);
  if (size > sizeof(T) && !all_zero(bytes + sizeof(T), bytes + size)) {
    return CELLROUTE_E_UNKNOWN_TAIL;
  }
  std::memset(static_cast<void*>(&room), 0, sizeof(T));
  std::memcpy(static_cast<void*>(&room), bytes, size < sizeof(T) ? size : sizeof(T));
  room.struct_size = sizeof(T);
  in = &room;
  return CELLROUTE_OK;
}

template <class T>
std::int32_t read_struct(const T*& in, T& room) noexcept {
  if (in == nullptr) [[unlikely]]
    return CELLROUTE_E_NULL;
  if (in->struct_size == sizeof(T)) [[likely]]
    return CELLROUTE_OK;
  return read_grown(in, room);
}

// The same where NULL stands for all zero.
template <class T>
std::int32_t read_optional(const T*& in, T& room) noexcept {
  if (in != nullptr) return read_struct(in, room);
  std::memset(static_cast<void*>(&room), 0, sizeof(T));
  room.struct_size = sizeof(T);
  in = &room;
  return CELLROUTE_OK;
}

template <class T>
std::int32_t check_out(const T* out) noexcept {
  if (out == nullptr) [[unlikely]]
    return CELLROUTE_E_NULL;
  const std::uint32_t size = out->struct_size;
  const bool ok = size >= kFirstSize<T> && size <= kLargestStruct;
  return ok ? CELLROUTE_OK : CELLROUTE_E_STRUCT_SIZE;
}

// Precondition: check_out(). A tail that this version does not know becomes zero.
template <class T>
void write_struct(T* out, const T& value) noexcept {
  const std::uint32_t size = out->struct_size;
  auto* const bytes = reinterpret_cast<unsigned char*>(out);
  std::memcpy(bytes, &value, size < sizeof(T) ? size : sizeof(T));
  if (size > sizeof(T)) std::memset(bytes + sizeof(T), 0, size - sizeof(T));
  out->struct_size = size;
}

// Arrays of structs, whose first element says how far apart they are.
template <class T>
T* element(T* first, std::uint64_t i) noexcept {
  using Byte = std::conditional_t<std::is_const_v<T>, const unsigned char, unsigned char>;
  return reinterpret_cast<T*>(reinterpret_cast<Byte*>(first) + i * first->struct_size);
}

inline bool sound(cellroute_view view) noexcept { return view.data != nullptr || view.size == 0; }
inline std::string_view text(cellroute_view view) noexcept { return {view.data, view.size}; }
inline cellroute_view view(std::string_view text) noexcept { return {text.data(), text.size()}; }

}  // namespace cellroute::capi
