// The way in and out of every function that can fail with a text: no exception crosses, and the
// caller's error is written.
#pragma once

#include <cstdint>
#include <new>
#include <string_view>

#include "cellroute.h"
#include "cellroute/status.hpp"
#include "structs.hpp"

namespace cellroute::capi {

// Writes `error`, if there is one, and returns `code`.
std::int32_t fail(cellroute_error* error, std::int32_t code, std::string_view text,
                  std::uint32_t reason = 0) noexcept;

// With the text that a code alone has.
std::int32_t fail(cellroute_error* error, std::int32_t code) noexcept;

inline std::int32_t fail(cellroute_error* error, const Error& failure) noexcept {
  return fail(error, static_cast<std::int32_t>(failure.code()), failure.text());
}

// Runs `body`, which returns a code or throws.
template <class Body>
std::int32_t enter(cellroute_error* error, Body&& body) noexcept {
  if (error != nullptr && check_out(error) != CELLROUTE_OK) return CELLROUTE_E_STRUCT_SIZE;
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return fail(error, CELLROUTE_E_NO_MEMORY);
  } catch (...) {
    return fail(error, CELLROUTE_E_INTERNAL);
  }
}

// Puts `text` and a NUL into the caller's buffer, or tells how large it must be.
std::int32_t put_text(std::string_view text, char* buffer, std::size_t capacity, std::size_t* size,
                      cellroute_error* error) noexcept;

}  // namespace cellroute::capi
