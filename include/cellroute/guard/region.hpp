// The guard region: the memory that holds breakers, in-flight counts, limits and marks of all
// cells, and a directory that gives each cell id a number for as long as the region lives.
//
// The host provides the memory (private, or MAP_SHARED by its workers) and keeps it mapped while
// any GuardRegion over it lives. Whoever may write the memory is trusted as the process itself is;
// even so, no content makes an operation here read or write outside it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "cellroute/guard/layout.hpp"
#include "cellroute/hash.hpp"
#include "cellroute/status.hpp"
#include "cellroute/topology.hpp"

namespace cellroute {

// What the directory knows a cell by. Two ids of one topology with the same hash cannot both have a
// number: compile() refuses such a topology. Never 0.
inline std::uint64_t cell_id_hash(std::string_view cell_id) noexcept {
  const std::uint64_t hash = hash_bytes(0, cell_id);
  return hash == 0 ? 1 : hash;
}

// Thread and process safety: any number of either may use one region at once; all but create(),
// attach() and claim() are lock-free, allocate nothing and make no system call. A GuardRegion is a
// view: copies refer to the same memory.
class GuardRegion {
 public:
  static constexpr std::uint32_t kMaxRegionCells = guard::kMaxRegionCells;

  // What a region of this geometry needs; 0 where the geometry breaks a bound.
  static std::size_t bytes(const GuardGeometry& geometry) noexcept;

  // Formats `memory`, or opens it where a region of the same geometry is there already: of workers
  // that start together any may come first or die half-way. The memory is at least bytes(geometry)
  // long, aligned to 64, and zero before the first create(). `seed` keys the limiter's hashes and
  // should be random; the first creator's holds.
  // Errors: kInvalidArgument (bounds, size, alignment), kConflict (a region of another geometry),
  // kCorrupt (neither zero nor a region), kUnsupported (another layout version).
  static Result<GuardRegion> create(std::span<std::byte> memory, const GuardGeometry& geometry,
                                    std::uint64_t seed);

  // Opens what another process created. Errors: kUnavailable (not formatted yet),
  // kInvalidArgument (alignment), kCorrupt, kUnsupported.
  static Result<GuardRegion> attach(std::span<std::byte> memory);

  // The cell's number, below geometry().cells: the one it has, or a free one, for ever. Numbers are
  // not dense. Safe among processes, and when one is killed half-way. Error: kResourceExhausted.
  Result<std::uint32_t> claim(std::string_view cell_id);
  // The same by cell_id_hash().
  Result<std::uint32_t> claim(std::uint64_t id_hash);

  const GuardGeometry& geometry() const noexcept { return geometry_; }
  std::uint64_t seed() const noexcept { return seed_; }

  // Everything below takes a number that claim() gave.

  // The host's own health mark.
  void set_health(std::uint32_t cell, Health health) noexcept;
  // What a topology says: counts once, when `generation` is newer than the last one applied, and
  // only where it differs from what that one said.
  void apply_health(std::uint32_t cell, std::uint64_t generation, Health health) noexcept;
  bool healthy(std::uint32_t cell) const noexcept {
    // Relaxed: a mark guards no other memory.
    return (cell_words(cell).health.load(std::memory_order_relaxed) & 1) == 0;
  }

  // Load in the host's unit (at most 2^62): the last mark plus the placements since.
  void set_load(std::uint32_t cell, std::uint64_t load) noexcept;
  // A topology's starting load: counts unless set_load() or start_load() came before.
  void start_load(std::uint32_t cell, std::uint64_t load) noexcept;
  void add_placement(std::uint32_t cell) noexcept {
    cell_words(cell).load.fetch_add(1, std::memory_order_relaxed);
  }
  std::uint64_t load(std::uint32_t cell) const noexcept {
    return cell_words(cell).load.load(std::memory_order_relaxed) & ~kMarked;
  }

  // The rooms of the region, for the guards.
  guard::RegionHeader& header() const noexcept { return *header_; }
  guard::CellWords& cell_words(std::uint32_t cell) const noexcept { return cells_[cell]; }
  guard::LaneWords& lane_words(std::uint32_t lane, std::uint32_t cell) const noexcept {
    return lanes_[std::size_t{lane} * geometry_.cells + cell];
  }
  std::span<guard::LimiterSet> limiter_sets() const noexcept { return {sets_, set_count_}; }
  // What claim() stored for this number; 0: free.
  std::uint64_t id_hash(std::uint32_t cell) const noexcept {
    return directory_[cell].load(std::memory_order_relaxed);
  }

 private:
  static constexpr std::uint64_t kMarked = std::uint64_t{1} << 63;
  static constexpr std::uint64_t kMaxLoad = std::uint64_t{1} << 62;

  GuardRegion(std::byte* base, const GuardGeometry& geometry) noexcept;
  static Error check_memory(std::span<std::byte> memory, std::size_t bytes);

  guard::RegionHeader* header_;
  guard::Word* directory_;
  guard::CellWords* cells_;
  guard::LaneWords* lanes_;
  guard::LimiterSet* sets_;
  std::size_t set_count_;
  GuardGeometry geometry_;
  std::uint64_t seed_ = 0;
};

inline std::size_t GuardRegion::bytes(const GuardGeometry& geometry) noexcept {
  if (!guard::in_bounds(geometry)) return 0;
  return static_cast<std::size_t>(guard::Offsets(guard::rounded(geometry)).end);
}

inline GuardRegion::GuardRegion(std::byte* base, const GuardGeometry& geometry) noexcept
    : geometry_(geometry) {
  const guard::Offsets offsets(geometry);
  header_ = reinterpret_cast<guard::RegionHeader*>(base);
  directory_ = reinterpret_cast<guard::Word*>(base + offsets.directory);
  cells_ = reinterpret_cast<guard::CellWords*>(base + offsets.cells);
  lanes_ = reinterpret_cast<guard::LaneWords*>(base + offsets.lanes);
  sets_ = reinterpret_cast<guard::LimiterSet*>(base + offsets.sets);
  set_count_ = geometry.limiter_entries / guard::kSetEntries;
  seed_ = header_->seed.load(std::memory_order_relaxed);
}

inline Error GuardRegion::check_memory(std::span<std::byte> memory, std::size_t bytes) {
  if (reinterpret_cast<std::uintptr_t>(memory.data()) % guard::kLine != 0) {
    return invalid_argument("a guard region's memory must be aligned to 64 bytes");
  }
  if (memory.size() < bytes) {
    return invalid_argument("a guard region needs " + std::to_string(bytes) +
                            " bytes; the memory has " + std::to_string(memory.size()));
  }
  return {};
}

// Nothing waits and nothing is locked: each word of the header is settled by one compare-and-set,
// in an order that lets two geometries never mix, and the magic comes last. Whoever dies on the way
// leaves the rest to the next creator.
inline Result<GuardRegion> GuardRegion::create(std::span<std::byte> memory,
                                               const GuardGeometry& geometry, std::uint64_t seed) {
  const GuardGeometry g = guard::rounded(geometry);
  if (!guard::in_bounds(geometry)) {
    return invalid_argument("guard region: 1 to 65,535 cells, 1 to 4,096 lanes, at most " +
                            std::to_string(guard::kMaxLimiterEntries) + " limiter entries");
  }
  if (Error error = check_memory(memory, bytes(g)); !error.ok()) return error;
  auto& header = *reinterpret_cast<guard::RegionHeader*>(memory.data());
  const std::uint64_t magic = header.magic.load();
  if (magic != 0 && magic != guard::kMagic) {
    return Error(ErrorCode::kCorrupt, "the memory is neither zero nor a guard region");
  }
  if (!guard::settle(header.version, guard::kLayoutVersion)) {
    return Error(ErrorCode::kUnsupported, "the guard region has another layout version");
  }
  if (!guard::settle(header.geometry, std::uint64_t{g.cells} << 32 | g.lanes) ||
      !guard::settle(header.limiter, (g.limiter_entries / guard::kSetEntries) + 1) ||
      !guard::settle(header.bytes, bytes(g))) {
    return Error(ErrorCode::kConflict, "the guard region has another geometry");
  }
  static_cast<void>(guard::settle(header.seed, seed == 0 ? 1 : seed));
  header.magic.store(guard::kMagic, std::memory_order_release);
  return GuardRegion(memory.data(), g);
}

inline Result<GuardRegion> GuardRegion::attach(std::span<std::byte> memory) {
  if (Error error = check_memory(memory, sizeof(guard::RegionHeader)); !error.ok()) return error;
  const auto& header = *reinterpret_cast<const guard::RegionHeader*>(memory.data());
  const std::uint64_t magic = header.magic.load(std::memory_order_acquire);
  if (magic == 0) return Error(ErrorCode::kUnavailable, "the guard region is not formatted yet");
  if (magic != guard::kMagic) return Error(ErrorCode::kCorrupt, "not a guard region");
  if (header.version.load() != guard::kLayoutVersion) {
    return Error(ErrorCode::kUnsupported, "the guard region has another layout version");
  }
  const std::uint64_t packed = header.geometry.load();
  const std::uint64_t sets = header.limiter.load() - 1;
  GuardGeometry g{static_cast<std::uint32_t>(packed >> 32), static_cast<std::uint32_t>(packed), 0};
  if (sets > guard::kMaxLimiterEntries / guard::kSetEntries) {
    return Error(ErrorCode::kCorrupt, "the guard region's limiter is out of bounds");
  }
  g.limiter_entries = static_cast<std::uint32_t>(sets * guard::kSetEntries);
  if (!guard::in_bounds(g) || header.bytes.load() != bytes(g) || memory.size() < bytes(g) ||
      header.seed.load() == 0) {
    return Error(ErrorCode::kCorrupt, "the guard region's header contradicts itself or its size");
  }
  return GuardRegion(memory.data(), g);
}

inline Result<std::uint32_t> GuardRegion::claim(std::string_view cell_id) {
  return claim(cell_id_hash(cell_id));
}

// Open addressing without removal: whoever looks for a hash walks the same way and meets it, or the
// first free place, which one compare-and-set takes. Nothing can be left half-done.
inline Result<std::uint32_t> GuardRegion::claim(std::uint64_t id_hash) {
  if (id_hash == 0) id_hash = 1;  // as cell_id_hash(): 0 is a free place
  const std::uint32_t home = static_cast<std::uint32_t>(scale(mix(id_hash), geometry_.cells));
  for (std::uint32_t step = 0; step < geometry_.cells; ++step) {
    const std::uint32_t at = (home + step) % geometry_.cells;
    if (guard::settle(directory_[at], id_hash)) return at;
  }
  return Error(ErrorCode::kResourceExhausted,
               "the guard region's directory is full: it has room for " +
                   std::to_string(geometry_.cells) + " cells, those that ever were included");
}

inline void GuardRegion::set_health(std::uint32_t cell, Health health) noexcept {
  guard::Word& word = cell_words(cell).health;
  if (health == Health::kUnhealthy) {
    word.fetch_or(1, std::memory_order_relaxed);
  } else {
    word.fetch_and(~std::uint64_t{1}, std::memory_order_relaxed);
  }
}

// The word: bit 0 unhealthy now, bit 1 unhealthy by the last topology, then that one's generation.
inline void GuardRegion::apply_health(std::uint32_t cell, std::uint64_t generation,
                                      Health health) noexcept {
  guard::Word& word = cell_words(cell).health;
  const std::uint64_t said = health == Health::kUnhealthy ? 1 : 0;
  std::uint64_t was = word.load(std::memory_order_relaxed);
  std::uint64_t is = 0;
  do {
    if (generation <= was >> 2) return;
    const std::uint64_t now = said != (was >> 1 & 1) ? said : was & 1;
    is = generation << 2 | said << 1 | now;
  } while (!word.compare_exchange_weak(was, is, std::memory_order_relaxed));
}

inline void GuardRegion::set_load(std::uint32_t cell, std::uint64_t load) noexcept {
  cell_words(cell).load.store(kMarked | (load < kMaxLoad ? load : kMaxLoad),
                              std::memory_order_relaxed);
}

inline void GuardRegion::start_load(std::uint32_t cell, std::uint64_t load) noexcept {
  guard::Word& word = cell_words(cell).load;
  std::uint64_t was = word.load(std::memory_order_relaxed);
  const std::uint64_t mark = kMarked | (load < kMaxLoad ? load : kMaxLoad);
  while ((was & kMarked) == 0 &&
         !word.compare_exchange_weak(was, mark + was, std::memory_order_relaxed)) {
  }
}

}  // namespace cellroute
