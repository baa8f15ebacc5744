// Key bytes to 64 bits: XXH3 (xxHash 0.8, stable by its specification), seeded with the
// deployment's placement seed. Results are frozen; tests/hash_test.cpp pins every length branch.
// XXH3 is no MAC: whoever knows the seed can aim keys at a cell, so the seed is a secret.
#pragma once

#include <cstdint>
#include <string_view>

#ifndef XXH_INLINE_ALL
#define XXH_INLINE_ALL
#endif
#include <xxhash.h>

namespace cellroute {

inline std::uint64_t hash_bytes(std::uint64_t seed, std::string_view bytes) noexcept {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

// The finalizer of SplitMix64 (Steele, Lea, Flood 2014): a bijection whose every output bit
// depends on every input bit.
constexpr std::uint64_t mix(std::uint64_t x) noexcept {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

// The j-th hash derived from h: SplitMix64's sequence started at h. mix(h, 0) is not h.
constexpr std::uint64_t mix(std::uint64_t h, std::uint32_t j) noexcept {
  return mix(h + 0x9e3779b97f4a7c15ULL * (std::uint64_t{j} + 1));
}

// Where h falls among n, without a division: floor(h * n / 2^64) (Lemire 2016).
constexpr std::uint64_t scale(std::uint64_t h, std::uint64_t n) noexcept {
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint64_t>((static_cast<Wide>(h) * n) >> 64);
}

}  // namespace cellroute
