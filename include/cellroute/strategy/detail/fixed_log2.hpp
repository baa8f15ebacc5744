// The logarithm that weighted rendezvous hashing needs, in integers, so that every compiler,
// flag and processor places a key alike.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace cellroute::detail {

__extension__ using Uint128 = unsigned __int128;

inline constexpr unsigned kLog2FractionBits = 57;  // 64.0 still fits in 64 bits
inline constexpr unsigned kLog2SegmentBits = 8;

// log2(1 + i/256) for i = 0…256, with 57 bits of fraction. Squaring a number doubles its
// logarithm, so each squaring that reaches 2 yields a one as the next binary digit (Knuth,
// TAOCP volume 1, section 1.2.2, exercise 25).
constexpr auto make_log2_table() noexcept {
  constexpr std::size_t kSegments = std::size_t{1} << kLog2SegmentBits;
  std::array<std::uint64_t, kSegments + 1> table{};
  for (std::size_t i = 0; i < kSegments; ++i) {
    std::uint64_t y = (kSegments + i) << (63 - kLog2SegmentBits);  // in [1, 2), 63 bits of fraction
    std::uint64_t digits = 0;
    for (unsigned bit = 0; bit < kLog2FractionBits; ++bit) {
      const Uint128 square = Uint128{y} * y;
      const bool reached_two = static_cast<bool>(square >> 127);
      y = static_cast<std::uint64_t>(square >> (reached_two ? 64 : 63));
      digits = digits * 2 + (reached_two ? 1 : 0);
    }
    table[i] = digits;
  }
  table[kSegments] = std::uint64_t{1} << kLog2FractionBits;
  return table;
}

inline constexpr auto kLog2Table = make_log2_table();

// -log2((r + 1) / 2^64) with 57 bits of fraction: from 64 for r = 0 down to 0 for the largest r.
// Never rises as r rises, exact where r + 1 is a power of two, else too large by less than
// 2.8e-6 (linear between 256 points of a concave curve; the fraction is rounded down).
constexpr std::uint64_t negative_log2(std::uint64_t r) noexcept {
  if (r == UINT64_MAX) return 0;
  const std::uint64_t x = r + 1;
  const auto leading_zeros = static_cast<unsigned>(std::countl_zero(x));
  const std::uint64_t fraction = (x << leading_zeros) << 1;  // what follows the leading one
  const auto segment = static_cast<std::size_t>(fraction >> (64 - kLog2SegmentBits));
  const std::uint64_t within = fraction << kLog2SegmentBits;
  const std::uint64_t low = kLog2Table[segment];
  const std::uint64_t rise = kLog2Table[segment + 1] - low;
  const std::uint64_t log2_fraction =
      low + static_cast<std::uint64_t>((Uint128{rise} * within) >> 64);
  return (std::uint64_t{leading_zeros + 1} << kLog2FractionBits) - log2_fraction;
}

}  // namespace cellroute::detail
