// Times as ISO 8601 writes them, for tables that people and other programs read.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cellroute/time.hpp"

namespace cellroute::net {

// "2024-05-01T12:00:00Z", with 3, 6 or 9 decimals where it needs them. Exact for every time.
std::string iso_time(Nanos time);

// YYYY-MM-DD, T or a space, hh:mm:ss, up to 9 decimals, and Z, +hh:mm, -hh:mm or nothing, which is
// UTC as well. Nothing where `text` is no such time, or none that Nanos has.
std::optional<Nanos> read_iso_time(std::string_view text);

}  // namespace cellroute::net
