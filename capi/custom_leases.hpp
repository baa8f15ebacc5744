// Lease stores of the host's own.
#pragma once

#include <memory>

#include "cellroute.h"
#include "cellroute/lease_store.hpp"

namespace cellroute::capi {

std::unique_ptr<LeaseStore> make_custom_lease_store(const cellroute_lease_calls& calls, void* self);

}  // namespace cellroute::capi
