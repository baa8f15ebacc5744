// A mapping store whose calls are the host's.
#pragma once

#include <memory>

#include "cellroute.h"
#include "cellroute/mapping_store.hpp"

namespace cellroute::capi {

// `calls` is of this version and has its required calls. The store owns `self` from now on.
std::unique_ptr<MappingStore> make_custom_store(const cellroute_store_calls& calls, void* self);

// The `self` of a custom store with that release; false where `store` is none.
bool find_self(const MappingStore& store, void (*release)(void* self), void*& self) noexcept;

// Whether this thread is inside a call of that store.
bool inside(const MappingStore& store) noexcept;

}  // namespace cellroute::capi
