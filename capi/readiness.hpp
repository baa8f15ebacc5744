// The age of what a router serves.
#pragma once

#include "cellroute/time.hpp"
#include "handles.hpp"

namespace cellroute::capi {

// Since it was published or found unchanged; -1 where that is not known.
Nanos age_of(const cellroute_router& router, Nanos now) noexcept;

}  // namespace cellroute::capi
