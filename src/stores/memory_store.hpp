// A mapping store in the process's own memory: for tests, and the reference for all others.
#pragma once

#include <memory>

#include "cellroute/mapping_store.hpp"

namespace cellroute {

// Nothing is kept, nothing is shared, and nothing bounds it but memory. A child of fork() has a
// copy that would silently be another store, so it answers kWrongProcess as all stores do.
std::unique_ptr<MappingStore> make_memory_store();

}  // namespace cellroute
