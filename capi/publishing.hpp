// Publish options in the core's words, with all the mappings that are to serve.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "cellroute.h"
#include "cellroute/mapping.hpp"
#include "cellroute/publish.hpp"

namespace cellroute::capi {

// What the caller gave, checked; NULL: the defaults.
std::int32_t read_publish_options(const cellroute_publish_options*& options,
                                  cellroute_publish_options& room) noexcept;

inline PublishOptions gate_of(const cellroute_publish_options& options) noexcept {
  return {options.max_moved_percent, options.max_cells_lost, options.allow_seed_change != 0,
          options.max_keys_lost_percent};
}

// What a snapshot serves by.
struct TakenMappings {
  std::shared_ptr<const MappingFile> base;
  std::vector<MappingRecord> records;
};

// Of the array and of the store, which may block. Writes `error` on an error.
std::int32_t take_mappings(const cellroute_publish_options& options, TakenMappings& taken,
                           cellroute_error* error);

}  // namespace cellroute::capi
