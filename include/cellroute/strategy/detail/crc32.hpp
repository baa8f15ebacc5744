// CRC-32 (ISO 3309, ITU-T V.42, RFC 1952 section 8; reflected polynomial 0xedb88320), the one of
// gzip, Ethernet and nginx.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace cellroute::detail {

// kCrc32Tables[k][b]: the effect of byte b followed by k zero bytes (Kounavis and Berry 2005,
// "slicing").
inline constexpr auto kCrc32Tables = [] {
  std::array<std::array<std::uint32_t, 256>, 4> tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320u : 0u);
    tables[0][byte] = crc;
  }
  for (std::size_t k = 1; k < tables.size(); ++k) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t before = tables[k - 1][byte];
      tables[k][byte] = (before >> 8) ^ tables[0][before & 0xff];
    }
  }
  return tables;
}();

inline constexpr std::uint32_t kCrc32Start = 0xffffffff;

// Four bytes, the first one least significant.
constexpr std::uint32_t crc32_update(std::uint32_t state, std::uint32_t four_bytes) noexcept {
  state ^= four_bytes;
  return kCrc32Tables[3][state & 0xff] ^ kCrc32Tables[2][(state >> 8) & 0xff] ^
         kCrc32Tables[1][(state >> 16) & 0xff] ^ kCrc32Tables[0][state >> 24];
}

// `state` starts at kCrc32Start; the checksum is its complement after the last byte.
constexpr std::uint32_t crc32_update(std::uint32_t state, std::string_view bytes) noexcept {
  const auto byte = [&](std::size_t i) {
    return std::uint32_t{static_cast<unsigned char>(bytes[i])};
  };
  for (; bytes.size() >= 4; bytes.remove_prefix(4)) {
    state = crc32_update(state, byte(0) | byte(1) << 8 | byte(2) << 16 | byte(3) << 24);
  }
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    state = (state >> 8) ^ kCrc32Tables[0][(state ^ byte(i)) & 0xff];
  }
  return state;
}

constexpr std::uint32_t crc32(std::string_view bytes) noexcept {
  return ~crc32_update(kCrc32Start, bytes);
}

}  // namespace cellroute::detail
