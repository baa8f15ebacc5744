// The room that router options ask for.
#pragma once

#include "cellroute.h"
#include "cellroute/guard/layout.hpp"

namespace cellroute::capi {

inline GuardGeometry geometry_of(const cellroute_router_options& options) noexcept {
  GuardGeometry geometry;
  if (options.cells != 0) geometry.cells = options.cells;
  if (options.lanes != 0) geometry.lanes = options.lanes;
  if (options.limiter_entries == CELLROUTE_NO_LIMITER) {
    geometry.limiter_entries = 0;
  } else if (options.limiter_entries != 0) {
    geometry.limiter_entries = options.limiter_entries;
  }
  return geometry;
}

}  // namespace cellroute::capi
