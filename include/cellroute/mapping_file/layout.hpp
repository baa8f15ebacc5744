// Where a key's entry lies in a mapping file and what the entry says; FORMAT.md has the reasons.
//
// A key has 128 bits of hash: `place` chooses its first line, the top of `mark` is its fingerprint.
// Its second line follows from the first and the fingerprint alone, and the first from the second,
// as in a cuckoo filter (Fan, Andersen, Kaminsky, Mitzenmacher 2014): an entry can be moved without
// its key, and two keys are confused only where fingerprint and both lines agree.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

#include "cellroute/hash.hpp"

namespace cellroute::crm {

static_assert(std::endian::native == std::endian::little, "mapping files are little-endian");

inline constexpr std::size_t kLineBytes = 64;
inline constexpr unsigned kNineBytes = 7;            // of an entry where a line has nine
inline constexpr unsigned kEightBytes = 8;           // where it has eight
inline constexpr unsigned kMinFingerprintBits = 22;  // of the widest entries' values

struct KeyHash {
  std::uint64_t place = 0;
  std::uint64_t mark = 0;  // its top kMinFingerprintBits are not all zero: zero is a free entry
};

inline KeyHash hash_key(std::uint64_t seed, std::string_view key) noexcept {
  const XXH128_hash_t hash = XXH3_128bits_withSeed(key.data(), key.size(), seed);
  constexpr unsigned kBelow = 64 - kMinFingerprintBits;
  const bool zero = hash.high64 >> kBelow == 0;
  return {hash.low64, hash.high64 | std::uint64_t{zero} << kBelow};
}

inline std::uint64_t load64(const std::byte* at) noexcept {
  std::uint64_t bits = 0;
  std::memcpy(&bits, at, sizeof bits);
  return bits;
}

// How lines are cut into entries. An entry, from its lowest bit: epoch (1 bit), profile, code,
// fingerprint. Code 0: free, all bits zero; 1 to `cells`: a cell; cells + 1: the key is kept aside.
struct Layout {
  std::uint64_t lines = 1;
  unsigned entry_bytes = kNineBytes;
  unsigned code_bits = 1;
  unsigned profile_bits = 0;

  unsigned entries_a_line() const noexcept {
    return static_cast<unsigned>(kLineBytes / entry_bytes);
  }
  unsigned value_bits() const noexcept { return 1 + profile_bits + code_bits; }
  unsigned fingerprint_bits() const noexcept { return 8 * entry_bytes - value_bits(); }

  // Two keys are confused with a chance of 2^-identity_bits.
  double identity_bits() const noexcept {
    return fingerprint_bits() + std::log2(static_cast<double>(lines)) - 1;
  }

  std::uint64_t fingerprint(const KeyHash& hash) const noexcept {
    return hash.mark >> (64 - fingerprint_bits());
  }
  std::uint64_t first_line(const KeyHash& hash) const noexcept { return scale(hash.place, lines); }

  // The other line of an entry that lies in `line`.
  std::uint64_t other_line(std::uint64_t line, std::uint64_t fingerprint) const noexcept {
    const std::uint64_t sum = scale(mix(fingerprint), lines);
    return sum >= line ? sum - line : sum + lines - line;
  }

  std::uint64_t entry_mask() const noexcept { return ~std::uint64_t{0} >> (64 - 8 * entry_bytes); }
  std::uint64_t fingerprint_mask() const noexcept {
    return entry_mask() & ~((std::uint64_t{1} << value_bits()) - 1);
  }
};

// What an entry says beside its fingerprint.
struct EntryValue {
  std::uint32_t code = 0;
  std::uint32_t profile = 0;
  std::uint32_t epoch = 0;
};

inline EntryValue value_of(const Layout& layout, std::uint64_t entry) noexcept {
  const auto below = [](std::uint64_t bits, unsigned count) {
    return static_cast<std::uint32_t>(bits & ((std::uint64_t{1} << count) - 1));
  };
  return {below(entry >> (1 + layout.profile_bits), layout.code_bits),
          below(entry >> 1, layout.profile_bits), below(entry, 1)};
}

inline std::uint64_t make_entry(const Layout& layout, std::uint64_t fingerprint,
                                const EntryValue& value) noexcept {
  const std::uint64_t code = std::uint64_t{value.code} << (1 + layout.profile_bits);
  return fingerprint << layout.value_bits() | code | std::uint64_t{value.profile} << 1 |
         value.epoch;
}

// The entry of the line whose fingerprint stands in `wanted`, or 0: its value alone can be taken
// from it, other bits are the neighbour's. `mask` is the layout's fingerprint_mask(). Unrolled and
// without branches, which no compiler does by itself: where the entry lies cannot be predicted.
template <unsigned kEntryBytes>
[[gnu::always_inline]] inline std::uint64_t match(const std::byte* line, std::uint64_t wanted,
                                                  std::uint64_t mask) noexcept {
  return [&]<std::size_t... kPlaces>(std::index_sequence<kPlaces...>) {
    const auto value_if = [&](std::size_t place) {
      const std::uint64_t entry = load64(line + place * kEntryBytes) ^ wanted;
      return entry & (std::uint64_t{(entry & mask) != 0} - 1);
    };
    return (value_if(kPlaces) | ...);
  }
  (std::make_index_sequence<kLineBytes / kEntryBytes>());
}

inline std::uint64_t match(const Layout& layout, const std::byte* line, std::uint64_t wanted,
                           std::uint64_t mask) noexcept {
  return layout.entry_bytes == kNineBytes ? match<kNineBytes>(line, wanted, mask)
                                          : match<kEightBytes>(line, wanted, mask);
}

}  // namespace cellroute::crm
