// Its Protobuf and Abseil and the library's work side by side, before and after the library is
// used, and where it is loaded once more with its symbols offered to all.
#include <absl/container/flat_hash_map.h>
#include <cellroute.h>
#include <dlfcn.h>
#include <google/protobuf/text_format.h>

#include <cstdio>
#include <cstring>
#include <string>

#include "topology/cellroute.pb.h"

namespace {

constexpr char kTopology[] =
    "generation: 3\nhash_seed: 1\ncells { id: \"a\" endpoint: \"https://a\" }\n";

bool own_libraries_work() {
  cellroute::v1::Topology own;
  if (!google::protobuf::TextFormat::ParseFromString("owner: 'me' tenants: ['a', 'b']", &own))
    return false;
  cellroute::v1::Topology read;
  absl::flat_hash_map<std::string, int> counts;
  if (!read.ParseFromString(own.SerializeAsString())) return false;
  for (const std::string& tenant : read.tenants()) ++counts[tenant];
  return counts.size() == 2 && read.GetDescriptor()->FindFieldByName("owner") != nullptr;
}

bool library_works() {
  cellroute_load_options options{};
  options.struct_size = sizeof options;
  options.format = CELLROUTE_FORMAT_TEXTPROTO;
  cellroute_topology* topology = nullptr;
  cellroute_router* router = nullptr;
  cellroute_store* store = nullptr;
  cellroute_request request{};
  cellroute_decision decision{};
  request.struct_size = sizeof request;
  request.key = {"k", 1};
  decision.struct_size = sizeof decision;
  const bool decided =
      cellroute_topology_load({kTopology, sizeof kTopology - 1}, &options, &topology, nullptr) ==
          CELLROUTE_OK &&
      cellroute_store_open({"memory:", 7}, nullptr, &store, nullptr) == CELLROUTE_OK &&
      cellroute_router_create(nullptr, &router, nullptr) == CELLROUTE_OK &&
      cellroute_router_publish(router, topology, nullptr, nullptr) == CELLROUTE_OK &&
      cellroute_router_profile(router, nullptr, &request.profile, nullptr) == CELLROUTE_OK &&
      cellroute_route(router, &request, 1, &decision) == CELLROUTE_OK && decision.generation == 3 &&
      decision.status == CELLROUTE_STATUS_OK;
  cellroute_store_destroy(store);
  cellroute_router_destroy(router);
  cellroute_topology_destroy(topology);
  return decided;
}

}  // namespace

int main() {
  if (!own_libraries_work() || !library_works() || !own_libraries_work()) return 1;
  if (dlopen(LIBRARY, RTLD_NOW | RTLD_GLOBAL) == nullptr) return 1;
  if (!own_libraries_work() || !library_works()) return 1;
  std::puts("both work");
  return 0;
}
