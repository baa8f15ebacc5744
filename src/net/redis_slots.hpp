// Where Redis Cluster puts a key, and which of a store's partitions has it.
#pragma once

#include <cstdint>
#include <string_view>

namespace cellroute::net {

inline constexpr unsigned kRedisSlots = 16'384;

// CRC-16/XMODEM: polynomial 0x1021, from 0, not reflected (Redis Cluster specification, appendix
// A).
constexpr std::uint16_t crc16(std::string_view bytes) noexcept {
  unsigned crc = 0;
  for (const char c : bytes) {
    crc ^= static_cast<unsigned>(static_cast<unsigned char>(c)) << 8;
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc & 0x8000) != 0 ? (crc << 1) ^ 0x1021 : crc << 1;
    }
    crc &= 0xffff;
  }
  return static_cast<std::uint16_t>(crc);
}

// Of a key of Redis: what stands in its first braces counts alone, if anything stands there.
constexpr unsigned redis_slot(std::string_view key) noexcept {
  const std::size_t open = key.find('{');
  if (open != key.npos) {
    const std::size_t close = key.find('}', open + 1);
    if (close != key.npos && close > open + 1) key = key.substr(open + 1, close - open - 1);
  }
  return crc16(key) % kRedisSlots;
}

// Of a mapping's key. Precondition: partitions > 0.
constexpr unsigned redis_partition(std::string_view key, unsigned partitions) noexcept {
  return crc16(key) % partitions;
}

}  // namespace cellroute::net
