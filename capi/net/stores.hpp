// What the stores of this library are in the handles of the other one.
#pragma once

namespace cellroute::capi {

// Every store's release; its `self` is a cellroute::MappingStore.
void release_net_store(void* self);

}  // namespace cellroute::capi
