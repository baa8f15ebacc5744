// MD5 (RFC 1321), for routers whose placement is to be taken over as it is. It protects nothing:
// collisions can be made at will.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

namespace cellroute::detail {

// The digest as RFC 1321's words A, B, C, D; its bytes are theirs, least significant first.
using Md5Words = std::array<std::uint32_t, 4>;

// RFC 1321, section 3.4: floor(2^32 * abs(sin(i + 1))).
inline constexpr std::array<std::uint32_t, 64> kMd5Sines = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391};

// Step I of 64 (RFC 1321, section 3.4). Every constant is known when it compiles, so the 64 steps
// become straight code.
template <std::size_t I>
constexpr void md5_step(Md5Words& s, const std::array<std::uint32_t, 16>& block) noexcept {
  constexpr std::array<std::array<int, 4>, 4> kTurns = {
      {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}}};
  constexpr std::size_t kRound = I / 16;
  constexpr std::size_t kWord = kRound == 0   ? I
                                : kRound == 1 ? (5 * I + 1) % 16
                                : kRound == 2 ? (3 * I + 5) % 16
                                              : (7 * I) % 16;
  constexpr std::size_t kA = (64 - I) % 4;  // the words take turns
  const std::uint32_t b = s[(kA + 1) % 4];
  const std::uint32_t c = s[(kA + 2) % 4];
  const std::uint32_t d = s[(kA + 3) % 4];
  std::uint32_t f = 0;
  if constexpr (kRound == 0) {
    f = d ^ (b & (c ^ d));
  } else if constexpr (kRound == 1) {
    f = c ^ (d & (b ^ c));
  } else if constexpr (kRound == 2) {
    f = b ^ c ^ d;
  } else {
    f = c ^ (b | ~d);
  }
  s[kA] = b + std::rotl(s[kA] + f + block[kWord] + kMd5Sines[I], kTurns[kRound][I % 4]);
}

template <std::size_t... I>
constexpr void md5_steps(Md5Words& state, const std::array<std::uint32_t, 16>& block,
                         std::index_sequence<I...>) noexcept {
  (md5_step<I>(state, block), ...);
}

constexpr void md5_block(Md5Words& state, const std::array<std::uint32_t, 16>& block) noexcept {
  Md5Words next = state;
  md5_steps(next, block, std::make_index_sequence<64>{});
  for (std::size_t i = 0; i < 4; ++i) state[i] += next[i];
}

constexpr std::uint32_t little_endian_word(const char* bytes) noexcept {
  std::uint32_t word = 0;
  for (unsigned i = 0; i < 4; ++i) {
    word |= std::uint32_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
  }
  return word;
}

// Allocates nothing. RFC 1321, section 3: the bytes, a one bit, zeros, the length in bits.
constexpr Md5Words md5(std::string_view bytes) noexcept {
  Md5Words state = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
  const std::uint64_t bits = std::uint64_t{bytes.size()} * 8;
  std::array<std::uint32_t, 16> block{};
  for (; bytes.size() >= 64; bytes.remove_prefix(64)) {
    for (std::size_t w = 0; w < 16; ++w) block[w] = little_endian_word(bytes.data() + 4 * w);
    md5_block(state, block);
  }
  block = {};
  const std::size_t whole = bytes.size() / 4;
  for (std::size_t w = 0; w < whole; ++w) block[w] = little_endian_word(bytes.data() + 4 * w);
  std::uint32_t last = 0x80;
  for (std::size_t i = bytes.size(); i > whole * 4; --i) {
    last = (last << 8) | static_cast<unsigned char>(bytes[i - 1]);
  }
  block[whole] = last;
  if (bytes.size() >= 56) {  // no room for the length
    md5_block(state, block);
    block = {};
  }
  block[14] = static_cast<std::uint32_t>(bits);
  block[15] = static_cast<std::uint32_t>(bits >> 32);
  md5_block(state, block);
  return state;
}

}  // namespace cellroute::detail
