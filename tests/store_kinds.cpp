// The stores of one host, for the conformance suite.
#include "store_fixtures.hpp"

namespace cellroute::testing {

std::vector<StoreKind> store_kinds() {
  StoreOptions small;  // so that the suite goes through growing the map, too
  small.map_bytes = 256 * 1024;
  return {
      {"memory", [](const std::string&) { return make_memory_store(); }},
      {"lmdb", [](const std::string& directory) { return open_lmdb(directory + "/lmdb"); }},
      {"lmdb with a small map",
       [small](const std::string& directory) { return open_lmdb(directory + "/lmdb", small); }},
  };
}

}  // namespace cellroute::testing
