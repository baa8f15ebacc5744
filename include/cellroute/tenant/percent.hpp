// Percent-encoding (RFC 3986, 2.1), decoded once.
#pragma once

#include <cstddef>
#include <string_view>

#include "cellroute/ascii.hpp"

namespace cellroute::tenant {

// Reads a text byte by byte: `%41` is an A. Thread safety: a cursor of one thread's own.
class PercentReader {
 public:
  explicit constexpr PercentReader(std::string_view text) noexcept : rest_(text) {}

  // The next byte; false at the end, or at a '%' without its two digits, where broken() is true.
  constexpr bool next(char& c) noexcept {
    if (rest_.empty()) return false;
    if (rest_[0] != '%') {
      c = rest_[0];
      rest_.remove_prefix(1);
      return true;
    }
    const int high = rest_.size() > 2 ? ascii::hex_value(rest_[1]) : -1;
    const int low = rest_.size() > 2 ? ascii::hex_value(rest_[2]) : -1;
    if (high < 0 || low < 0) {
      broken_ = true;
      return false;
    }
    c = static_cast<char>(high << 4 | low);
    rest_.remove_prefix(3);
    return true;
  }

  constexpr bool broken() const noexcept { return broken_; }

 private:
  std::string_view rest_;
  bool broken_ = false;
};

// Whether `encoded` decodes to `plain`, byte by byte.
constexpr bool decodes_to(std::string_view encoded, std::string_view plain) noexcept {
  PercentReader reader(encoded);
  std::size_t at = 0;
  for (char c = 0; reader.next(c); ++at) {
    if (at == plain.size() || plain[at] != c) return false;
  }
  return at == plain.size() && !reader.broken();
}

}  // namespace cellroute::tenant
