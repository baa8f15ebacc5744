// One part of the spilled records, made ready for the lines: of each key the newest record, in the
// order of their marks, and those told apart that a look-up could confuse.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cellroute/mapping_file/format.hpp"
#include "cellroute/status.hpp"
#include "mapping/line_table.hpp"
#include "mapping/spill.hpp"

namespace cellroute::mapping {

// What all parts have in common.
struct Plan {
  crm::Layout layout;
  std::uint64_t seed = 0;
  Nanos now = 0;
  std::vector<std::uint32_t> cells;     // by a spilled number, the number in the file
  std::vector<std::uint32_t> profiles;  // the same
};

struct Part {
  std::uint64_t records = 0;
  std::uint64_t keys = 0;
  std::uint64_t aside_keys = 0;
  std::uint64_t superseded = 0;
  std::uint64_t left_out = 0;
  std::vector<NewEntry> entries;
  std::string aside;  // as in the file's heap, ascending by (mark, key)
};

// Thread safety: any number of threads at once, over one spill and plan.
Result<Part> prepare_part(const Spill& spill, std::size_t number, const Plan& plan);

}  // namespace cellroute::mapping
