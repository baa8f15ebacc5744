// The sections of a mapping file, written behind each other with their checksums.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "cellroute/mapping_file/format.hpp"
#include "cellroute/status.hpp"
#include "mapping/new_file.hpp"

namespace cellroute::mapping {

// The checksums of the file's blocks, from bytes that come in order.
class BlockSums {
 public:
  void add(std::span<const std::byte> bytes);

  // Ends the last block. The sums, in order.
  std::span<const std::uint64_t> finish();

 private:
  void end_block();

  XXH3_state_t state_;
  std::vector<std::uint64_t> sums_;
  std::uint64_t offset_ = sizeof(crm::Header);
  bool begun_ = false;
};

// Writes all but the heap of keys kept aside, which must be in the file already, where
// crm::Sections(header) says. Fills in the header's sums. kRefused where keys crowd in the heap.
Error write_sections(const NewFile& file, crm::Header& header, std::string_view tables,
                     std::span<const std::byte> lines);

}  // namespace cellroute::mapping
