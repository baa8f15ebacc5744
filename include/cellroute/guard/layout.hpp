// What lies in a guard region, byte by byte. Processes of one host share it, so it holds no
// pointers, every field is a lock-free atomic at a fixed offset, and zero bytes are a valid
// beginning. Any change here raises kLayoutVersion; tests/guard_region_test.cpp pins the offsets.
//
//   header │ directory: a word a cell │ cells │ lanes: [lane][cell] │ limiter: sets of 16 entries
//
// Lines that every request reads are apart from those that some requests write, and what a request
// writes belongs to its lane, so that lanes do not slow each other.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include "cellroute/hot_path.hpp"

namespace cellroute {

struct GuardGeometry {
  std::uint32_t cells = 1024;  // the directory's capacity, 1 to 65,535; cells that ever were count
  std::uint32_t lanes = 1;     // 1 to 4,096: workers × threads that route at once
  std::uint32_t limiter_entries = 1u << 20;  // 16 bytes each; rounded up to sets of 16; 0: no keyed
                                             // limits. One entry in 16 is a set's overflow

  friend bool operator==(const GuardGeometry&, const GuardGeometry&) = default;
};

namespace guard {

using Word = std::atomic<std::uint64_t>;
static_assert(Word::is_always_lock_free && sizeof(Word) == 8);

inline constexpr std::uint64_t kMagic = 0x31447261'75476c43;  // "ClGuarD1", little endian
inline constexpr std::uint32_t kLayoutVersion = 1;
inline constexpr std::size_t kLine = 64;

inline constexpr std::uint32_t kMaxProbes = 8;
inline constexpr std::uint32_t kMaxCellLimits = 4;
inline constexpr std::uint32_t kFlightSlots = 8;
inline constexpr std::uint32_t kTenths = 10;
inline constexpr std::uint32_t kSetEntries = 16;

struct alignas(kLine) RegionHeader {
  Word magic;     // written last: the region is formatted
  Word version;   // kLayoutVersion
  Word geometry;  // cells, lanes: 32 bits each
  Word limiter;   // sets of the keyed limiter
  Word bytes;     // of the whole region
  Word seed;      // of the limiter's hashes; never 0
  Word ejection;  // the opening under way where a share may be ejected at most; see ejection.hpp
  Word reserved;
};

// A limit's shared word for one cell. `signature` says whose state it is.
struct CellLimitWords {
  Word signature;
  Word state;
};

// A cell's shared state.
struct alignas(kLine) CellWords {
  // Read by every request, written only when something changes.
  Word breaker;       // see breaker.hpp
  Word streak;        // failures in a row; written by failures and by the success that ends them
  Word window_wheel;  // which tenth of the breaker's window it is; see wheel.hpp
  Word flight_wheel;  // which slot of the in-flight deadline it is
  Word health;        // generation, topology's health, health in force
  Word refused;       // the tenth in which an ejection was last refused, plus 1
  Word padding[2];

  Word lent[kFlightSlots];  // in-flight allowance lent to lanes, by slot; see in_flight.hpp
  Word probes[kMaxProbes];
  CellLimitWords limits[kMaxCellLimits];

  Word calls[kTenths];     // tenths that lanes have finished
  Word troubles[kTenths];  // failures and slow calls
  Word known_calls;        // a lower bound of the calls in the window
  Word window_padding[3];

  Word load;  // the mark and the placements since: written by placements, so by itself
  Word load_padding[7];
};

// A lane's own state for one cell.
struct alignas(kLine) LaneWords {
  Word flight[kFlightSlots];

  Word calls;                    // of the current tenth
  Word credits[kMaxCellLimits];  // of the cell's limits, lent to this lane
  Word exceeded;                 // admissions beyond a limit that only counts
  Word padding[2];
};

// A key's state, and a set of them. Entry 0 of a set is no key's: its `tag` holds the claim under
// way, its `state` is what keys share for which the set has no room. See limiter.hpp.
struct LimiterEntry {
  Word tag;
  Word state;
};

struct alignas(kLine) LimiterSet {
  LimiterEntry entries[kSetEntries];
};

static_assert(sizeof(RegionHeader) == 64);
static_assert(sizeof(CellWords) == 512);
static_assert(sizeof(LaneWords) == 128);
static_assert(sizeof(LimiterEntry) == 16);
static_assert(sizeof(LimiterSet) == 256);

inline constexpr std::uint32_t kMaxRegionCells = 65'535;
inline constexpr std::uint32_t kMaxLanes = 4'096;
inline constexpr std::uint32_t kMaxLimiterEntries = 1u << 30;

// Where each part begins, for a geometry within bounds. 64-bit sums cannot overflow: the parts are
// at most 32 MiB, 128 GiB and 16 GiB.
struct Offsets {
  explicit Offsets(const GuardGeometry& g) noexcept
      : cells(sizeof(RegionHeader) + (std::uint64_t{g.cells} * 8 + kLine - 1) / kLine * kLine),
        lanes(cells + std::uint64_t{g.cells} * sizeof(CellWords)),
        sets(lanes + std::uint64_t{g.lanes} * g.cells * sizeof(LaneWords)),
        end(sets + std::uint64_t{g.limiter_entries} / kSetEntries * sizeof(LimiterSet)) {}

  std::uint64_t directory = sizeof(RegionHeader);
  std::uint64_t cells;
  std::uint64_t lanes;
  std::uint64_t sets;
  std::uint64_t end;
};

inline bool in_bounds(const GuardGeometry& g) noexcept {
  return g.cells >= 1 && g.cells <= kMaxRegionCells && g.lanes >= 1 && g.lanes <= kMaxLanes &&
         g.limiter_entries <= kMaxLimiterEntries;
}

inline GuardGeometry rounded(GuardGeometry geometry) noexcept {
  geometry.limiter_entries =
      (geometry.limiter_entries + kSetEntries - 1) / kSetEntries * kSetEntries;
  return geometry;
}

// Brings a line that is about to be written: several together, since each atomic operation waits
// for all that came before.
// Inlined always, and so is what does nothing but call it: GCC drops calls of a function that only
// prefetches.
CELLROUTE_HOT inline void prefetch_line([[maybe_unused]] const void* line) noexcept {
#if defined(__GNUC__)
  __builtin_prefetch(line, 1);
#endif
}

// The first writer's value holds; false where that is another than `value`.
inline bool settle(Word& word, std::uint64_t value) noexcept {
  std::uint64_t found = 0;
  return word.compare_exchange_strong(found, value) || found == value;
}

}  // namespace guard
}  // namespace cellroute
