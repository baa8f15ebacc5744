#include "control/verify_pools.hpp"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <map>
#include <string>
#include <utility>

#include "cellroute/check/problems.hpp"

namespace cellroute::verifying {
namespace {

constexpr std::uint64_t kMostPoints = std::uint64_t{1} << 20;
constexpr std::uint64_t kFewestPoints = std::uint64_t{1} << 12;
constexpr std::uint64_t kMostWork = std::uint64_t{1} << 30;  // over all pools: a few seconds
constexpr std::uint64_t kSlotsPerCell = 1000;

// Strategies whose pick costs a step a member.
bool walks_members(StrategyKind kind) { return kind == StrategyKind::kRendezvous; }

std::uint64_t points_for(const CompiledTopology& compiled, const Pool& pool) {
  if (compiled.strategy() == StrategyKind::kRendezvousSlots) {
    return compiled.topology().policy.slots;  // all there are
  }
  const std::uint64_t steps = walks_members(compiled.strategy()) ? pool.members.size() : 1;
  const std::uint64_t share = kMostWork / (compiled.pools().size() * steps);
  return std::clamp(share, kFewestPoints, kMostPoints);
}

Point point_number(const CompiledTopology& compiled, std::uint64_t i) {
  if (compiled.strategy() == StrategyKind::kRendezvousSlots) {
    const auto bits = static_cast<unsigned>(std::countr_zero(compiled.topology().policy.slots));
    return {i << (64 - bits), 0};
  }
  return Picker::derived(compiled.strategy(), Point{}, static_cast<std::uint32_t>(i));
}

PoolBalance balance_of(const CompiledTopology& compiled, const Pool& pool, Findings& violations) {
  PoolBalance balance;
  balance.cells = pool.members.size();
  balance.points = points_for(compiled, pool);
  std::vector<std::uint64_t> picks(compiled.cell_count());
  for (std::uint64_t i = 0; i < balance.points; ++i) {
    const CellIndex cell = pool.picker.pick(point_number(compiled, i));
    if (!std::binary_search(pool.members.begin(), pool.members.end(), cell)) {
      violations.add("a table picks " +
                     (cell < compiled.cell_count() ? compiled.cell(cell).id : "no cell") +
                     ", which is not in its pool");
      continue;
    }
    ++picks[cell];
  }
  double weights = 0;
  for (const CellIndex i : pool.members) weights += compiled.cell(i).weight;
  for (const CellIndex i : pool.members) {
    const double fair = static_cast<double>(balance.points) * compiled.cell(i).weight / weights;
    const double ratio = static_cast<double>(picks[i]) / fair;
    if (ratio > balance.peak_to_mean || balance.peak_cell.empty()) {
      balance.peak_to_mean = ratio;
      balance.peak_cell = compiled.cell(i).id;
    }
  }
  return balance;
}

std::vector<std::uint64_t> classes_of_pools(const CompiledTopology& compiled) {
  std::vector<std::uint64_t> classes(compiled.pools().size());
  for (std::size_t q = 0; q < compiled.requirements().size(); ++q) {
    for (std::size_t r = 0; r < compiled.region_count(); ++r) {
      for (std::size_t t = 0; t < compiled.tier_count(); ++t) {
        const PoolIndex pool = compiled.pool_of(t, r, q);
        if (pool != kNoPool) ++classes[pool];
      }
    }
  }
  return classes;
}

void warn_of_cells(const Topology& topology, Findings& warnings) {
  for (const Cell& cell : topology.cells) {
    if (cell.state == CellState::kOffline) {
      warnings.add(cell.id + " is OFFLINE: keys that are mapped to it are UNAVAILABLE");
    } else if (cell.state == CellState::kDraining) {
      warnings.add(cell.id + " is DRAINING: it serves its mapped keys and takes no new ones");
    } else if (cell.health == Health::kUnhealthy) {
      warnings.add(cell.id + " is UNHEALTHY: " +
                   (topology.policy.affinity == Affinity::kStateful
                        ? "its keys are UNAVAILABLE until it is HEALTHY again"
                        : "requests go to the next cell of their preference order"));
    }
    if (cell.capacity != 0 && cell.load > cell.capacity) {
      warnings.add(cell.id + " is over its capacity: load " + check::counted(cell.load) + " of " +
                   check::counted(cell.capacity));
    }
  }
}

void warn_of_policy(const Topology& topology, Findings& warnings) {
  const Policy& policy = topology.policy;
  const bool placed =
      policy.affinity == Affinity::kStateful && policy.unassigned == Unassigned::kPlace;
  if (placed && !policy.risk.encryption.empty() && policy.risk.threshold < 1'000'000'000) {
    warnings.add(
        "affinity STATEFUL with unassigned PLACE and a risk rule: a key whose risk crosses "
        "the threshold would be placed elsewhere. Risk must be a fixed attribute of the key; "
        "live risk of a request may deny, never choose. Safer: unassigned ASSIGN");
  }
  for (const FlagRule& flag : policy.flags) {
    if (flag.certifications.empty() && flag.regions.empty() && flag.encryption.empty()) {
      warnings.add("flag " + flag.name + " demands nothing");
    }
  }
}

void warn_of_slots(const CompiledTopology& compiled, Findings& warnings) {
  const StrategyKind kind = compiled.strategy();
  if (kind != StrategyKind::kRendezvousSlots && kind != StrategyKind::kMaglev) return;
  std::size_t largest = 0;
  for (const Pool& pool : compiled.pools()) largest = std::max(largest, pool.members.size());
  const std::uint64_t slots = compiled.topology().policy.slots;
  if (slots >= kSlotsPerCell * largest) return;
  warnings.add("policy.slots is " + check::counted(slots) + ", but the largest pool has " +
               check::counted(largest) +
               " cells: with fewer than 1,000 slots a cell, shares are "
               "uneven. Before keys are placed, raise it to " +
               check::counted(std::min<std::uint64_t>(std::bit_ceil(kSlotsPerCell * largest),
                                                      std::uint64_t{1} << 22)));
}

}  // namespace

void check_pools(const CompiledTopology& compiled, Verification& result) {
  const std::vector<std::uint64_t> classes = classes_of_pools(compiled);
  for (std::size_t i = 0; i < compiled.pools().size(); ++i) {
    result.balance.push_back(balance_of(compiled, compiled.pools()[i], result.violations));
    result.balance.back().classes = classes[i];
  }
  std::stable_sort(
      result.balance.begin(), result.balance.end(),
      [](const PoolBalance& a, const PoolBalance& b) { return a.peak_to_mean > b.peak_to_mean; });
  if (result.balance.size() > kMaxFindings) result.balance.resize(kMaxFindings);
}

void measure_head_room(const Topology& topology, const Rules& rules, Verification& result) {
  std::map<std::pair<std::size_t, std::size_t>, HeadRoom> rooms;
  for (std::size_t i = 0; i < topology.cells.size(); ++i) {
    const Cell& cell = topology.cells[i];
    if (cell.state != CellState::kActive) continue;
    const Offer& offer = rules.offer(i);
    HeadRoom& room = rooms[{offer.tier, offer.region}];
    ++room.cells;
    room.unknown += cell.capacity == 0 ? 1 : 0;
    room.capacity += cell.capacity;
    room.load += cell.load;
    room.largest = std::max(room.largest, cell.capacity);
  }
  for (auto& [place, room] : rooms) {
    room.tier = rules.tier_name(place.first);
    room.region = rules.region_name(place.second);
    result.head_room.push_back(room);
    if (room.unknown == 0 && room.load > 0 && room.room_without_largest() < 0) {
      result.warnings.add(room.tier + " in " + room.region + ": without its largest cell, " +
                          check::counted(room.capacity - room.largest) +
                          " of capacity would stand "
                          "against a load of " +
                          check::counted(room.load));
    }
  }
}

void add_warnings(const CompiledTopology& compiled, Verification& result) {
  warn_of_policy(compiled.topology(), result.warnings);
  warn_of_slots(compiled, result.warnings);
  warn_of_cells(compiled.topology(), result.warnings);
}

}  // namespace cellroute::verifying
