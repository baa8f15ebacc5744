// The one form of a host, so that all spellings of a name are one name, and what is not surely one
// name is none.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "cellroute/address.hpp"
#include "cellroute/ascii.hpp"

namespace cellroute::tenant {

inline constexpr std::size_t kMaxHostBytes = 253;  // RFC 1035, 2.3.4, without the last dot

// 1 to 63 letters, digits and inner hyphens (RFC 1123, 2.1).
constexpr bool is_label(std::string_view text) noexcept {
  if (text.empty() || text.size() > 63 || text.front() == '-' || text.back() == '-') return false;
  for (const char c : text) {
    if (!ascii::is_letter(c) && !ascii::is_digit(c) && c != '-') return false;
  }
  return true;
}

enum class HostKind : std::uint8_t { kMalformed, kName, kAddress };

// Thread safety: a plain value.
class Host {
 public:
  // Of `authority`, host[:port]. Letters become lower-case, the port and one last dot go. A name
  // that ends in a number is an address (WHATWG URL, 3.5), and must be a whole one.
  static constexpr Host canonical(std::string_view authority) noexcept {
    Host host;
    const std::size_t colon =
        authority.starts_with('[') ? authority.find(':', authority.find(']')) : authority.find(':');
    std::string_view name = authority.substr(0, colon);
    if (colon != std::string_view::npos && !is_port(authority.substr(colon + 1))) return host;
    if (name.starts_with('[')) {
      host.take_ipv6(name);
      return host;
    }
    if (name.ends_with('.')) name.remove_suffix(1);
    if (name.empty() || name.size() > kMaxHostBytes) return host;
    const std::size_t last = host.take_labels(name);
    if (last == std::string_view::npos) return host;
    if (!is_number(host.text().substr(last))) {
      host.kind_ = HostKind::kName;
    } else if (parse_ipv4(host.text())) {
      host.kind_ = HostKind::kAddress;
    }
    return host;
  }

  constexpr HostKind kind() const noexcept { return kind_; }
  // Nothing sensible where it is malformed.
  constexpr std::string_view text() const noexcept { return {text_.data(), size_}; }

 private:
  constexpr Host() = default;

  static constexpr bool is_port(std::string_view text) noexcept {
    return small_number(text, 65'535) > 0;
  }

  // Decimal or 0x..., as resolvers of addresses read them.
  static constexpr bool is_number(std::string_view label) noexcept {
    const bool hexadecimal = label.starts_with("0x");
    for (const char c : label.substr(hexadecimal ? 2 : 0)) {
      if (!(hexadecimal ? ascii::hex_value(c) >= 0 : ascii::is_digit(c))) return false;
    }
    return true;
  }

  constexpr void take_ipv6(std::string_view name) noexcept {
    if (name.size() < 2 || !name.ends_with(']') || name.size() > 64) return;
    if (!parse_ipv6(name.substr(1, name.size() - 2))) return;
    for (const char c : name) text_[size_++] = ascii::lower(c);
    kind_ = HostKind::kAddress;
  }

  // Where the last label begins, or npos: one of the labels is none.
  constexpr std::size_t take_labels(std::string_view name) noexcept {
    for (const char c : name) text_[size_++] = ascii::lower(c);
    std::size_t begin = 0;
    for (;;) {
      const std::size_t dot = name.find('.', begin);
      const bool last = dot == std::string_view::npos;
      if (!is_label(name.substr(begin, last ? dot : dot - begin))) return std::string_view::npos;
      if (last) return begin;
      begin = dot + 1;
    }
  }

  HostKind kind_ = HostKind::kMalformed;
  std::uint8_t size_ = 0;
  std::array<char, kMaxHostBytes> text_{};
};

}  // namespace cellroute::tenant
