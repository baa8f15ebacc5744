// Keys as services have them, the same in every run: what tenants, customers, accounts and
// sessions are called, 6 to 36 bytes, in no order.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "cellroute/hash.hpp"

namespace cellroute::bench {

inline std::string hex(std::uint64_t bits, std::size_t digits) {
  std::string text(digits, '0');
  for (std::size_t i = digits; i > 0; --i, bits >>= 4) text[i - 1] = "0123456789abcdef"[bits & 15];
  return text;
}

// Key number i of a fleet of customers; distinct for distinct i below 2^32.
inline std::string key(std::uint64_t i) {
  const std::uint64_t bits = mix(0x5eed, static_cast<std::uint32_t>(i)) & ~0xffffffffULL;
  const std::uint64_t h = bits | i;
  switch (bits >> 61) {
    case 0:
    case 1: return "cust_" + hex(h, 16);
    case 2: return "tenant-" + std::to_string(h % 10'000'000) + '-' + std::to_string(i);
    case 3: return "acct:" + std::to_string(1'000'000'000 + i);
    case 4:
    case 5:  // a UUID's form
      return hex(h >> 32, 8) + '-' + hex(h >> 16, 4) + "-4" + hex(h >> 40, 3) + "-a" +
             hex(h >> 52, 3) + '-' + hex(mix(h) << 32 | i, 12);
    case 6: return "user/" + std::to_string(i) + "/eu";
    default: return std::to_string(100'000 + i);
  }
}

inline std::vector<std::string> keys(std::size_t count) {
  std::vector<std::string> keys;
  keys.reserve(count);
  for (std::size_t i = 0; i < count; ++i) keys.push_back(key(i));
  return keys;
}

}  // namespace cellroute::bench
