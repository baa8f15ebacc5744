// What the stores of this library have in common.
#pragma once

#include <cstdint>

#include "cellroute_net.h"
#include "entry.hpp"
#include "stores/open_store.hpp"
#include "structs.hpp"

namespace cellroute::capi {

// A call of a store's. Codes beyond those of a custom store are not for it to give, so that no
// memory is CELLROUTE_E_EXHAUSTED here.
template <class Body>
std::int32_t call(cellroute_error* error, Body&& body) noexcept {
  try {
    return body();
  } catch (...) {
    return fail(error, CELLROUTE_E_EXHAUSTED, "no memory");
  }
}

inline std::int32_t read_options(const cellroute_net_options* from, StoreOptions& to) noexcept {
  cellroute_net_options room;
  if (const std::int32_t code = read_optional(from, room); code != CELLROUTE_OK) return code;
  if (from->open_existing > 1 || from->timeout_ns < 0) return CELLROUTE_E_INVALID_ARGUMENT;
  to.create = from->open_existing == 0;
  if (from->timeout_ns != 0) to.timeout = from->timeout_ns;
  return CELLROUTE_OK;
}

}  // namespace cellroute::capi
