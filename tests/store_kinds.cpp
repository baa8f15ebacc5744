// The stores of one host, for the conformance suite.
#include "store_fixtures.hpp"
#include "stores/near_cache.hpp"

namespace cellroute::testing {

std::vector<StoreKind> store_kinds() {
  StoreOptions small;  // so that the suite goes through growing the map, too
  small.map_bytes = 256 * 1024;
  return {
      {"memory", [](const std::string&) { return make_memory_store(); }},
      {"memory behind a near cache",
       [](const std::string&) { return must(make_near_cache(make_memory_store())); }},
      {"memory behind a near cache of one key",
       [](const std::string&) {
         NearCacheOptions one;
         one.max_entries = 1;
         return must(make_near_cache(make_memory_store(), one));
       }},
      {"lmdb", [](const std::string& directory) { return open_lmdb(directory + "/lmdb"); }},
      {"lmdb with a small map",
       [small](const std::string& directory) { return open_lmdb(directory + "/lmdb", small); }},
  };
}

}  // namespace cellroute::testing
