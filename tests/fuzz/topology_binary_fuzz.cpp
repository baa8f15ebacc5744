#include "topology_fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return cellroute::fuzz::load_and_write(data, size, cellroute::TopologyFormat::kBinary);
}
