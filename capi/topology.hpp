// Load options and formats in the core's words.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "cellroute.h"
#include "cellroute/policy.hpp"
#include "topology/load.hpp"

namespace cellroute::capi {

inline constexpr std::uint32_t kMostThreads = 1024;

// What the caller gave, checked; in `room` where it gave nothing.
std::int32_t read_load_options(const cellroute_load_options*& options,
                               cellroute_load_options& room) noexcept;

std::optional<TopologyFormat> format_of(std::uint32_t format) noexcept;

Result<Topology> load_file(cellroute_view path, const cellroute_load_options& options);

inline CompileOptions compile_options(const cellroute_load_options& options) noexcept {
  return {std::max(1U, options.threads)};
}

}  // namespace cellroute::capi
