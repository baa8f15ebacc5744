// The stores in Redis, for the conformance suite.
#include "lease_store_kinds.hpp"
#include "net/redis_leases.hpp"
#include "net/redis_store.hpp"
#include "redis_server.hpp"

namespace cellroute::testing {

std::vector<StoreKind> store_kinds() {
  StoreOptions patient;
  patient.timeout = kPatience;
  return {
      {"redis",
       [patient](const std::string&) {
         return must(open_redis_store(shared_server().url(fresh_prefix()), patient));
       }},
      {"redis cluster",
       [patient](const std::string&) {
         return must(open_redis_store(shared_cluster().url(fresh_prefix()), patient));
       }},
  };
}

std::vector<LeaseStoreKind> lease_store_kinds() {
  StoreOptions patient;
  patient.timeout = kPatience;
  return {
      {"redis",
       [patient] { return must(open_redis_leases(shared_server().url(fresh_prefix()), patient)); }},
      {"redis cluster",
       [patient] {
         return must(open_redis_leases(shared_cluster().url(fresh_prefix()), patient));
       }},
  };
}

}  // namespace cellroute::testing
