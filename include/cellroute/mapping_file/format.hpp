// What lies in a mapping file, section by section; FORMAT.md beside this says it in words.
//
//   header │ tables of names │ lines │ heap of keys kept aside │ its directory │ checksums
//
// Where each begins follows from the header's counts, so that no offset can lie. Any change here
// raises kVersion; tests/mapping_file_golden_test.cpp pins the bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "cellroute/check/problems.hpp"
#include "cellroute/mapping_file/layout.hpp"
#include "cellroute/status.hpp"

namespace cellroute::crm {

inline constexpr char kMagic[] = "cellmap\n";
inline constexpr std::uint32_t kVersion = 1;
inline constexpr std::string_view kHashName = "xxh3-128";
inline constexpr std::string_view kNineName = "two-lines-9x56";
inline constexpr std::string_view kEightName = "two-lines-8x64";
inline constexpr std::string_view kSumName = "xxh3-64";

// Bounds. With them no sum of sizes overflows 64 bits.
inline constexpr std::uint32_t kMaxCells = 65'535;
inline constexpr std::uint32_t kMaxProfiles = 65'535;
inline constexpr std::uint32_t kMaxFeeds = 16;
inline constexpr std::uint64_t kMaxTableBytes = std::uint64_t{1} << 28;
inline constexpr std::uint64_t kMaxLines = std::uint64_t{1} << 36;
inline constexpr std::uint64_t kMaxAside = std::uint64_t{1} << 36;
inline constexpr std::uint64_t kMaxAsideBytes = std::uint64_t{1} << 46;

inline constexpr std::uint64_t kBlockBytes = std::uint64_t{1} << 20;  // under one checksum

struct Header {
  char magic[8];
  std::uint32_t version;
  std::uint32_t header_bytes;
  char hash_name[16];  // names are padded with zeroes
  char lines_name[16];
  char sum_name[16];
  std::uint64_t seed;  // of the key hash
  std::uint64_t generation;
  std::uint64_t keys;     // in all
  std::uint64_t aside;    // of them, kept aside
  std::uint64_t entries;  // in lines
  std::uint64_t lines;
  std::uint32_t cells;
  std::uint32_t profiles;
  std::uint32_t feeds;
  std::uint8_t entry_bytes;
  std::uint8_t code_bits;
  std::uint8_t profile_bits;
  std::uint8_t zero;
  std::uint64_t table_bytes;  // before padding
  std::uint64_t aside_bytes;  // of the heap
  std::uint64_t zeroes[12];
  std::uint64_t sums_sum;    // of the checksums, as sum_of(.., 0)
  std::uint64_t header_sum;  // of all before it, as sum_of(.., 0)

  Layout layout() const noexcept { return {lines, entry_bytes, code_bits, profile_bits}; }
};
static_assert(sizeof(Header) == 256);

// A key kept aside, in the heap; the key follows, padded with zeroes to 8 bytes.
struct AsideHead {
  std::uint64_t mark;
  std::uint64_t epoch;
  std::int64_t expires;  // Unix time in nanoseconds; 0: never
  std::uint32_t cell;
  std::uint32_t profile;
  std::uint16_t key_bytes;
  std::uint8_t state;  // MigrationState
  std::uint8_t zeroes[5];
};
static_assert(sizeof(AsideHead) == 40);

// The directory cuts the heap into buckets by mark: bucket scale(mark, buckets) begins and ends at
// two offsets side by side. Within it keys ascend by (mark, key).
inline constexpr std::uint64_t kAsidePerBucket = 4;
inline constexpr std::uint64_t kMaxAsideInBucket = 64;
constexpr std::uint64_t aside_buckets(std::uint64_t aside) noexcept {
  return aside / kAsidePerBucket + 1;
}

constexpr std::uint64_t padded(std::uint64_t bytes, std::uint64_t to) noexcept {
  return (bytes + to - 1) / to * to;
}

constexpr std::uint64_t aside_record_bytes(std::uint64_t key_bytes) noexcept {
  return sizeof(AsideHead) + padded(key_bytes, 8);
}

// Where each section begins, for a header within bounds.
struct Sections {
  explicit Sections(const Header& h) noexcept
      : lines(padded(tables + h.table_bytes, kLineBytes)),
        aside(lines + h.lines * kLineBytes),
        directory(aside + h.aside_bytes),
        sums(directory + (aside_buckets(h.aside) + 1) * 8),
        end(sums + padded(sums, kBlockBytes) / kBlockBytes * 8) {}

  std::uint64_t tables = sizeof(Header);
  std::uint64_t lines;
  std::uint64_t aside;
  std::uint64_t directory;
  std::uint64_t sums;  // block i of the file, from its start, without header and checksums
  std::uint64_t end;
};

// Seeded with the block's number, so that blocks that changed places are found, too.
inline std::uint64_t sum_of(const void* bytes, std::uint64_t count, std::uint64_t number) noexcept {
  return XXH3_64bits_withSeed(bytes, count, number);
}

inline std::uint64_t header_sum(const Header& header) noexcept {
  return sum_of(&header, offsetof(Header, header_sum), 0);
}

inline Error corrupt(std::string text) { return Error(ErrorCode::kCorrupt, std::move(text)); }

// What is wrong with the header's own numbers, or null.
inline const char* broken_header(const Header& h) noexcept {
  if (h.entry_bytes != kNineBytes && h.entry_bytes != kEightBytes) return "its entries' size";
  if (h.cells > kMaxCells || h.profiles > kMaxProfiles || h.feeds > kMaxFeeds) {
    return "how many names it has";
  }
  if (h.code_bits < std::bit_width(h.cells + 1) || h.code_bits > 17) return "its cells' bits";
  if (h.profile_bits < std::bit_width(h.profiles > 0 ? h.profiles - 1 : 0) || h.profile_bits > 16) {
    return "its profiles' bits";
  }
  if (h.layout().fingerprint_bits() < kMinFingerprintBits) return "its fingerprints' bits";
  if (h.lines == 0 || h.lines > kMaxLines) return "how many lines it has";
  if (h.entries > h.lines * h.layout().entries_a_line()) return "how many entries it has";
  if (h.aside > kMaxAside || h.aside_bytes > kMaxAsideBytes || h.aside_bytes % 8 != 0) {
    return "how many keys it keeps aside";
  }
  if (h.table_bytes > kMaxTableBytes) return "how long its tables are";
  if (h.zero != 0) return "its reserved bytes";
  for (const std::uint64_t zero : h.zeroes) {
    if (zero != 0) return "its reserved bytes";
  }
  return nullptr;
}

// `name` as a header holds it.
inline void set_name(char (&field)[16], std::string_view name) noexcept {
  std::memset(field, 0, sizeof field);
  std::memcpy(field, name.data(), name.size() < sizeof field ? name.size() : sizeof field);
}

inline Error check_name(const char (&field)[16], std::string_view known) {
  char expected[16];
  set_name(expected, known);
  if (std::memcmp(field, expected, sizeof field) == 0) return {};
  std::string_view found(field, sizeof field);
  found = found.substr(0, found.find('\0'));
  return Error(ErrorCode::kUnsupported, "the file uses " + check::quoted(found) +
                                            ", this reader knows " + check::quoted(known));
}

// The header of a file of `bytes` bytes, whose first ones stand in `header`: its numbers can be
// trusted from here on. kCorrupt, or kUnsupported for a later version or another algorithm.
inline Error check_header(const Header& header, std::uint64_t bytes) {
  if (std::memcmp(header.magic, kMagic, sizeof header.magic) != 0) {
    return corrupt("this is no mapping file");
  }
  if (header.version != kVersion) {
    return Error(ErrorCode::kUnsupported, "format version " + std::to_string(header.version) +
                                              ", this reader knows version 1");
  }
  if (header_sum(header) != header.header_sum || header.header_bytes != sizeof(Header)) {
    return corrupt("bytes 0 to 255, the header, do not match their checksum");
  }
  if (Error error = check_name(header.hash_name, kHashName); !error.ok()) return error;
  const bool nine = header.entry_bytes == kNineBytes;
  if (Error error = check_name(header.lines_name, nine ? kNineName : kEightName); !error.ok()) {
    return error;
  }
  if (Error error = check_name(header.sum_name, kSumName); !error.ok()) return error;
  if (const char* what = broken_header(header)) {
    return corrupt(std::string("the header contradicts itself: ") + what);
  }
  if (Sections(header).end != bytes) {
    return corrupt("the file has " + check::counted(bytes) + " bytes, by its header " +
                   check::counted(Sections(header).end));
  }
  return {};
}

}  // namespace cellroute::crm
