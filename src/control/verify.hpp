// verify: what a topology can and cannot do, proven class by class.
//
// The rules are derived here a second time, from the topology's own words, and held against the
// pools that compile() made: a proof, not an echo. Off the path; may take seconds on a large
// topology. Thread safety: free functions over immutable input.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "cellroute/mapping_store.hpp"
#include "cellroute/policy.hpp"

namespace cellroute {

inline constexpr std::size_t kMaxFindings = 20;  // that are told one by one; the rest is counted

// Things found: all counted, the first of them told.
struct Findings {
  std::uint64_t count = 0;
  std::vector<std::string> texts;

  void add(std::string text) {
    if (++count <= kMaxFindings) texts.push_back(std::move(text));
  }
};

// The classes of a tier and region that no ACTIVE cell may serve.
struct UnservedGroup {
  std::string tier;
  std::string region;
  std::uint64_t classes = 0;
  std::uint64_t of = 0;            // classes that the tier and region have
  std::vector<std::string> least;  // the smallest sets of flags for which that is so; at most 8
};

// What could be placed no more if a cell, or all cells of a region, were gone.
struct Loss {
  std::string lost;
  std::uint64_t classes = 0;          // that would have no cell, and have one now
  std::vector<std::string> examples;  // at most 3
};

// ACTIVE cells of a tier and region, in the unit of their capacities.
struct HeadRoom {
  std::string tier;
  std::string region;
  std::uint64_t cells = 0;
  std::uint64_t unknown = 0;  // cells without a capacity: nothing is known of this head-room then
  std::uint64_t capacity = 0;
  std::uint64_t load = 0;
  std::uint64_t largest = 0;  // capacity of the largest cell

  std::int64_t room() const noexcept { return difference(capacity, load); }
  // When the largest cell is gone and the others take its load.
  std::int64_t room_without_largest() const noexcept {
    return difference(capacity - largest, load);
  }

 private:
  static std::int64_t difference(std::uint64_t a, std::uint64_t b) noexcept {
    return static_cast<std::int64_t>(a - b);
  }
};

// How evenly a pool's table spreads keys: the cell with most keys for its weight.
struct PoolBalance {
  std::size_t cells = 0;
  std::uint64_t classes = 0;  // that use the pool
  std::uint64_t points = 0;   // that were picked for
  double peak_to_mean = 1;
  std::string peak_cell;
};

struct Verification {
  std::uint64_t cells = 0;
  std::uint64_t classes = 0;
  std::uint64_t flag_sets = 0;  // with the risk band
  std::uint64_t pools = 0;
  std::uint64_t checked_members = 0;  // (class, cell) pairs that were held against the rules
  Findings violations;                // none: no class can reach a cell that breaks its rules
  std::uint64_t unserved = 0;         // classes without a cell
  std::vector<UnservedGroup> unserved_groups;
  std::vector<Loss> cell_losses;    // cells whose loss leaves a class without any
  std::vector<Loss> region_losses;  // the same for regions
  std::vector<HeadRoom> head_room;
  std::vector<PoolBalance> balance;  // worst first; at most kMaxFindings
  Findings warnings;
};

// The cells that a class may be routed to, for (tier, region, requirement) in compiled's numbers.
using PoolMembers =
    std::function<std::span<const CellIndex>(std::size_t, std::size_t, std::size_t)>;

// Verifies the compiled topology; with `members`, that function's pools in place of its own.
Verification verify(const CompiledTopology& compiled);
Verification verify(const CompiledTopology& compiled, const PoolMembers& members);

struct MappingCheck {
  std::uint64_t records = 0;
  std::uint64_t unknown_cell = 0;
  std::uint64_t offline_cell = 0;
  std::uint64_t broken_flags = 0;     // the cell lacks what the record's flags demand
  std::uint64_t unknown_profile = 0;  // the record names a tier, region or flag that is not there
  Findings findings;
};

// Holds every record of the store against the topology. `seen(n)` is called after each page of n.
Result<MappingCheck> verify_mappings(const CompiledTopology& compiled, MappingStore& store,
                                     Nanos now, const std::function<void(std::size_t)>& seen);

}  // namespace cellroute
