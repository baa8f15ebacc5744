// Every installed header of the compiled part; Protobuf, yaml-cpp and LMDB come through the
// library.
#include <cellroute/version.hpp>

#include "control/assign.hpp"
#include "control/mutate.hpp"
#include "control/verify.hpp"
#include "stores/lmdb_store.hpp"
#include "stores/memory_store.hpp"
#include "stores/open_store.hpp"
#include "topology/load.hpp"

int main() {
  const auto topology = cellroute::load_topology("generation: 7\nno_such_field: 1\n",
                                                 cellroute::TopologyFormat::kYaml, "topology.yaml");
  const auto store = cellroute::open_store("memory:");
  const auto lost = cellroute::open_store("lmdb:/no/such/place");
  return !topology.ok() && store.ok() && !lost.ok() && cellroute::kVersionMajor == 0 ? 0 : 1;
}
