// Stores of leases to test.
#pragma once

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "cellroute/lease_store.hpp"

namespace cellroute::testing {

// One kind for the conformance suite; each opened one is empty. Its clock is the system's.
struct LeaseStoreKind {
  std::string name;
  std::function<std::unique_ptr<LeaseStore>()> open;
};

inline std::ostream& operator<<(std::ostream& out, const LeaseStoreKind& kind) {
  return out << kind.name;
}

// Those that this test program is about.
std::vector<LeaseStoreKind> lease_store_kinds();

// Unix time, as a server has it.
Nanos system_now();

}  // namespace cellroute::testing
