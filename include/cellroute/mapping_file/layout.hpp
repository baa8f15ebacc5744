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
#include "cellroute/hot_path.hpp"

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

// The other line, of `lines`, of an entry that lies in `line`.
inline std::uint64_t other_line(std::uint64_t line, std::uint64_t fingerprint,
                                std::uint64_t lines) noexcept {
  const std::uint64_t sum = scale(mix(fingerprint), lines);
  return sum >= line ? sum - line : sum + lines - line;
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

  std::uint64_t other_line(std::uint64_t line, std::uint64_t fingerprint) const noexcept {
    return crm::other_line(line, fingerprint, lines);
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

inline std::uint64_t make_entry(const Layout& layout, std::uint64_t fingerprint,
                                const EntryValue& value) noexcept {
  const std::uint64_t code = std::uint64_t{value.code} << (1 + layout.profile_bits);
  return fingerprint << layout.value_bits() | code | std::uint64_t{value.profile} << 1 |
         value.epoch;
}

// The entry at `at` where its fingerprint is the wanted one, else `found`.
CELLROUTE_HOT inline std::uint64_t match_one(const std::byte* at, std::uint64_t wanted,
                                             std::uint64_t mask, std::uint64_t found) noexcept {
  const std::uint64_t entry = load64(at) ^ wanted;
  return (entry & mask) == 0 ? entry : found;
}

template <std::size_t kEntryBytes, std::size_t... kPlaces>
CELLROUTE_HOT inline std::uint64_t match(const std::byte* line, std::uint64_t wanted,
                                         std::uint64_t mask,
                                         std::index_sequence<kPlaces...> /*places*/) noexcept {
  std::uint64_t found = 0;
  ((found = match_one(line + kPlaces * kEntryBytes, wanted, mask, found)), ...);
  return found;
}

// The entry of the line whose fingerprint stands in `wanted`, or 0: its value alone can be taken
// from it, other bits are the neighbour's. `mask` is the layout's fingerprint_mask(). Unrolled and
// without branches, which no compiler does by itself: where the entry lies cannot be predicted.
template <std::size_t kEntryBytes>
CELLROUTE_HOT inline std::uint64_t match(const std::byte* line, std::uint64_t wanted,
                                         std::uint64_t mask) noexcept {
  return match<kEntryBytes>(line, wanted, mask,
                            std::make_index_sequence<kLineBytes / kEntryBytes>());
}

// A layout as look-ups need it: its numbers made into masks and shifts.
struct EntryReader {
  EntryReader() = default;
  explicit EntryReader(const Layout& layout) noexcept
      : fingerprint_mask(layout.fingerprint_mask()),
        code_mask((std::uint64_t{1} << layout.code_bits) - 1),
        profile_mask((std::uint64_t{1} << layout.profile_bits) - 1),
        lines(layout.lines),
        value_bits(static_cast<std::uint8_t>(layout.value_bits())),
        code_at(static_cast<std::uint8_t>(1 + layout.profile_bits)),
        mark_cut(static_cast<std::uint8_t>(64 - 8 * layout.entry_bytes)) {}

  // The fingerprint of a key of this mark, where it stands in an entry.
  CELLROUTE_HOT std::uint64_t wanted(std::uint64_t mark) const noexcept {
    return mark >> mark_cut & fingerprint_mask;
  }
  CELLROUTE_HOT std::uint64_t other_line(std::uint64_t line, std::uint64_t mark) const noexcept {
    return crm::other_line(line, wanted(mark) >> value_bits, lines);
  }
  CELLROUTE_HOT std::uint64_t entry_in(const std::byte* line, std::uint64_t mark) const noexcept {
    return mark_cut != 0 ? match<kNineBytes>(line, wanted(mark), fingerprint_mask)
                         : match<kEightBytes>(line, wanted(mark), fingerprint_mask);
  }
  CELLROUTE_HOT EntryValue value_of(std::uint64_t entry) const noexcept {
    return {static_cast<std::uint32_t>(entry >> code_at & code_mask),
            static_cast<std::uint32_t>(entry >> 1 & profile_mask),
            static_cast<std::uint32_t>(entry & 1)};
  }

  std::uint64_t fingerprint_mask = 0;
  std::uint64_t code_mask = 0;
  std::uint64_t profile_mask = 0;
  std::uint64_t lines = 1;
  std::uint8_t value_bits = 0;
  std::uint8_t code_at = 0;
  std::uint8_t mark_cut = 0;  // bits of the mark that no entry has room for
};

}  // namespace cellroute::crm
