// Internet addresses, and blocks of them: 10.0.0.0/8, fd00::/8.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "cellroute/ascii.hpp"

namespace cellroute {

// In network order; IPv4 as the IPv6 addresses that stand for it, ::ffff:0:0/96 (RFC
// 4291, 2.5.5.2).
using Address = std::array<std::uint8_t, 16>;

// Decimal, without a sign or leading zeros; -1 if it is none or above `most`.
constexpr std::int32_t small_number(std::string_view text, std::int32_t most) noexcept {
  if (text.empty() || text.size() > 5 || (text.size() > 1 && text[0] == '0')) return -1;
  std::int32_t value = 0;
  for (const char c : text) {
    if (!ascii::is_digit(c)) return -1;
    value = value * 10 + (c - '0');
  }
  return value <= most ? value : -1;
}

// Four decimal numbers up to 255 without leading zeros (RFC 3986, IPv4address).
constexpr std::optional<Address> parse_ipv4(std::string_view text) noexcept {
  Address address{};
  address[10] = address[11] = 0xff;
  for (std::size_t part = 0; part < 4; ++part) {
    const std::size_t dot = text.find('.');
    if ((dot == std::string_view::npos) != (part == 3)) return std::nullopt;
    const std::int32_t number = small_number(text.substr(0, dot), 255);
    if (number < 0) return std::nullopt;
    address[12 + part] = static_cast<std::uint8_t>(number);
    text.remove_prefix(part == 3 ? text.size() : dot + 1);
  }
  return address;
}

// Without brackets (RFC 3986, IPv6address): eight groups, one run of zeros may be `::`, the last
// two may be an IPv4 address. No zone.
constexpr std::optional<Address> parse_ipv6(std::string_view text) noexcept {
  constexpr std::size_t kNoGap = 17;
  Address address{};
  std::size_t size = 0;  // bytes read
  std::size_t gap = kNoGap;
  if (text.starts_with(':') && !text.starts_with("::")) return std::nullopt;
  while (!text.empty()) {
    if (text.starts_with("::")) {
      if (gap != kNoGap) return std::nullopt;
      gap = size;
      text.remove_prefix(2);
      if (text.starts_with(':')) return std::nullopt;
      continue;
    }
    if (text.starts_with(':')) text.remove_prefix(1);
    const std::size_t end = text.find(':');
    const std::string_view group = text.substr(0, end);
    if (end == std::string_view::npos && group.find('.') != std::string_view::npos) {
      const std::optional<Address> last = parse_ipv4(group);
      if (!last || size > 12) return std::nullopt;
      for (std::size_t i = 12; i < 16; ++i) address[size++] = (*last)[i];
      break;
    }
    if (group.empty() || group.size() > 4 || size > 14) return std::nullopt;
    int value = 0;
    for (const char c : group) {
      const int digit = ascii::hex_value(c);
      if (digit < 0) return std::nullopt;
      value = value << 4 | digit;
    }
    address[size++] = static_cast<std::uint8_t>(value >> 8);
    address[size++] = static_cast<std::uint8_t>(value & 0xff);
    text.remove_prefix(group.size());
  }
  if (gap == kNoGap) return size == 16 ? std::optional(address) : std::nullopt;
  if (size > 14) return std::nullopt;  // `::` stands for one group at least
  for (std::size_t i = size; i > gap; --i) {
    address[15 - (size - i)] = address[i - 1];
    address[i - 1] = 0;
  }
  return address;
}

constexpr std::optional<Address> parse_address(std::string_view text) noexcept {
  return text.find(':') == std::string_view::npos ? parse_ipv4(text) : parse_ipv6(text);
}

// The addresses that share the first `bits` bits of one. Thread safety: a plain value.
struct AddressBlock {
  Address address{};
  std::uint32_t bits = 128;

  constexpr bool holds(const Address& other) const noexcept {
    const std::uint32_t whole = bits / 8;
    for (std::uint32_t i = 0; i < whole; ++i) {
      if (address[i] != other[i]) return false;
    }
    return bits % 8 == 0 || (address[whole] ^ other[whole]) >> (8 - bits % 8) == 0;
  }

  // Whether the address has bits of its own behind the block's, as 10.0.0.1/8 has.
  constexpr bool reaches_beyond() const noexcept {
    Address cut = address;
    for (std::uint32_t bit = bits; bit < 128; ++bit) {
      cut[bit / 8] = static_cast<std::uint8_t>(cut[bit / 8] & ~(0x80u >> bit % 8));
    }
    return cut != address;
  }
};

// `address` or `address/bits` (RFC 4632, 3.1; RFC 4291, 2.3).
constexpr std::optional<AddressBlock> parse_block(std::string_view text) noexcept {
  const std::size_t slash = text.find('/');
  const std::string_view name = text.substr(0, slash);
  const std::optional<Address> address = parse_address(name);
  if (!address) return std::nullopt;
  if (slash == std::string_view::npos) return AddressBlock{*address, 128};
  const bool ipv4 = name.find(':') == std::string_view::npos;
  const std::int32_t bits = small_number(text.substr(slash + 1), ipv4 ? 32 : 128);
  if (bits < 0) return std::nullopt;
  return AddressBlock{*address, static_cast<std::uint32_t>(bits) + (ipv4 ? 96 : 0)};
}

}  // namespace cellroute
