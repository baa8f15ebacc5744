// Numbers, times and enum values as people write them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace cellroute::loading {

// Decimal digits, or 0x and hexadecimal digits where `hex`; no sign, no leading zero.
std::optional<std::uint64_t> parse_whole(std::string_view text, bool hex);

// JSON's grammar of numbers (RFC 8259, section 6): finite, no NaN.
std::optional<double> parse_real(std::string_view text);

// Seconds with at most nine decimals and `s`: 10s, 0.5s. Not negative.
struct Seconds {
  std::int64_t seconds = 0;
  std::int32_t nanos = 0;
};
std::optional<Seconds> parse_seconds(std::string_view text);

}  // namespace cellroute::loading
