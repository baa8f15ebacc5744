// The stores of leases of one host, for the conformance suite.
#include "lease_store_kinds.hpp"

#include "stores/memory_lease_store.hpp"

namespace cellroute::testing {

std::vector<LeaseStoreKind> lease_store_kinds() {
  return {{"memory", [] { return make_memory_lease_store(system_now); }}};
}

}  // namespace cellroute::testing
