// The bytes of a mapping file, and how whoever may write them makes every checksum right again.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <vector>

#include "cellroute/mapping_file/format.hpp"

namespace cellroute::testing {

using FileBytes = std::vector<std::byte>;

inline crm::Header header_of(const FileBytes& bytes) {
  crm::Header header;
  std::memcpy(&header, bytes.data(), sizeof header);
  return header;
}

// Makes the header's numbers and its checksum fit; the file keeps its length.
inline void put_header(FileBytes& bytes, crm::Header header) {
  header.header_sum = crm::header_sum(header);
  std::memcpy(bytes.data(), &header, sizeof header);
}

// Precondition: at least a header long.
inline void mend_sums(FileBytes& bytes) {
  crm::Header header = header_of(bytes);
  const bool sound = crm::broken_header(header) == nullptr;
  if (sound && crm::Sections(header).end == bytes.size()) {
    const crm::Sections at(header);
    std::uint64_t block = 0;
    for (std::uint64_t begin = at.tables; begin < at.sums; ++block) {
      const std::uint64_t end = std::min((block + 1) * crm::kBlockBytes, at.sums);
      const std::uint64_t sum = crm::sum_of(bytes.data() + begin, end - begin, block);
      std::memcpy(bytes.data() + at.sums + block * 8, &sum, sizeof sum);
      begin = end;
    }
    header.sums_sum = crm::sum_of(bytes.data() + at.sums, at.end - at.sums, 0);
  }
  put_header(bytes, header);
}

}  // namespace cellroute::testing
