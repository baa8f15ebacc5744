// A profile's names on their way in.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "cellroute.h"
#include "cellroute/decision.hpp"
#include "cellroute/request.hpp"
#include "cellroute/topology.hpp"

namespace cellroute::capi {

struct NamesIn {
  ProfileNames names;
  std::array<std::string_view, kMaxFlags> flags;
};

// NULL: no names.
std::int32_t read_names(const cellroute_profile_names* names, NamesIn& in) noexcept;

std::int32_t fail_unknown(Reason reason, cellroute_error* error) noexcept;

}  // namespace cellroute::capi
