// How a call to a cell went, as hosts tell it.
#pragma once

#include <cstdint>

#include "cellroute.h"

namespace cellroute::capi {

inline std::int32_t check_outcome(const cellroute_outcome& outcome) noexcept {
  const bool ok =
      outcome.end <= CELLROUTE_CLIENT_ABORT && outcome.http_status <= 999 && outcome.slow <= 1;
  return ok ? CELLROUTE_OK : CELLROUTE_E_INVALID_ARGUMENT;
}

}  // namespace cellroute::capi
