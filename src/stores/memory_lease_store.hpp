// A store of leases in the process's own memory: for tests, and the reference for all others.
#pragma once

#include <functional>
#include <memory>

#include "cellroute/lease_store.hpp"

namespace cellroute {

// `clock` is the store's own, in Unix nanoseconds; it is called from whatever thread calls the
// store. Without one, the callers' is its own. Nothing is kept, nothing is forgotten, and nothing
// bounds it but memory. A child of fork() gets kWrongProcess.
std::unique_ptr<LeaseStore> make_memory_lease_store(std::function<Nanos()> clock = {});

}  // namespace cellroute
