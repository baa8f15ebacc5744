// The rules about the policy.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cellroute/check/names.hpp"
#include "cellroute/check/problems.hpp"
#include "cellroute/check/thresholds.hpp"
#include "cellroute/topology.hpp"

namespace cellroute::check {

inline constexpr std::uint32_t kMaxShuffleShard = 64;      // picks of a preference order
inline constexpr std::uint32_t kMaxBoundedLoad = 100'000;  // thousandths
inline constexpr std::uint32_t kMinLimiterEntries = 1u << 10;
inline constexpr std::uint32_t kMaxLimiterEntries = 1u << 28;

inline std::string strategy_text(const Policy& policy) {
  return "strategy " + std::string(Picker::name(policy.strategy));
}

inline void check_order(const Topology& topology, const Names& names, const Path& policy_path,
                        Problems& problems) {
  const Policy& policy = topology.policy;
  const Path path(policy_path, "order");
  if (!Picker::ordered(policy.strategy)) {
    if (policy.order.empty()) return;
    problems.add(path, "is not read by " + strategy_text(policy) + ": leave it out");
    return;
  }
  if (!check_count(policy.order.size(), kMaxCells, path, problems)) return;
  if (policy.order.empty()) {
    problems.add(path, "is missing: " + strategy_text(policy) + " needs every cell id, in order");
    return;
  }
  names.cells.check_list(policy.order, policy_path, "order", problems);
  std::vector<bool> listed(topology.cells.size());
  for (const std::string& id : policy.order) {
    const std::uint32_t place = names.cells.find(id);
    if (place < listed.size()) listed[place] = true;
  }
  for (const Cell& cell : topology.cells) {
    const std::uint32_t place = names.cells.find(cell.id);
    if (place >= listed.size() || listed[place]) continue;
    problems.add(path, "lacks cell " + check::quoted(cell.id));
  }
}

// jump, modulo and md5-modulo know no weights, the ketamas only whole ones.
inline void check_weights(const Topology& topology, Problems& problems) {
  const Policy& policy = topology.policy;
  const bool whole =
      policy.strategy == StrategyKind::kKetama || policy.strategy == StrategyKind::kKetamaNginx;
  const bool equal = Picker::ordered(policy.strategy);
  if (!whole && !equal) return;
  const Path root;
  for (std::size_t i = 0; i < topology.cells.size(); ++i) {
    const std::uint32_t weight = topology.cells[i].weight;
    const Path cell(root, "cells", i);
    if (whole && weight % kUnitWeight != 0) {
      problems.add(Path(cell, "weight"), "must be whole for " + strategy_text(policy));
    }
    if (equal && weight != topology.cells[0].weight) {
      problems.add(Path(cell, "weight"), "differs from cells[0].weight, and " +
                                             strategy_text(policy) + " knows no weights");
    }
  }
}

inline void check_strategy(const Topology& topology, const Names& names, const Path& path,
                           Problems& problems) {
  const Policy& policy = topology.policy;
  if (!std::has_single_bit(policy.slots) || policy.slots < (1u << 10) ||
      policy.slots > (1u << 22)) {
    problems.add(Path(path, "slots"), "must be a power of two from 1,024 to 4,194,304");
  }
  if (policy.max_table_bytes < 1) problems.add(Path(path, "max_table_bytes"), "must be at least 1");
  check_order(topology, names, path, problems);
  check_weights(topology, problems);
}

// What only STATELESS pools may do.
inline void check_spill(const Policy& policy, const Path& path, Problems& problems) {
  const bool stateful = policy.affinity == Affinity::kStateful;
  const char* const text = "is for affinity STATELESS: a stateful key has one cell";
  if (policy.shuffle_shard > kMaxShuffleShard) {
    problems.add(Path(path, "shuffle_shard"), "must be from 1 to 64, or 0 for off");
  } else if (policy.shuffle_shard > 0 && stateful) {
    problems.add(Path(path, "shuffle_shard"), text);
  }
  if (policy.bounded_load == 0) return;
  if (policy.bounded_load <= 1000 || policy.bounded_load > kMaxBoundedLoad) {
    problems.add(Path(path, "bounded_load"), "must be above 1 and at most 100, or 0 for off");
  } else if (stateful) {
    problems.add(Path(path, "bounded_load"), text);
  }
}

// A stateful key without a mapping lives where the function says; so nothing may change the
// function's answer for a passing reason.
inline void check_placed_keys(const Topology& topology, const Path& policy_path,
                              Problems& problems) {
  const Policy& policy = topology.policy;
  if (policy.affinity != Affinity::kStateful || policy.unassigned != Unassigned::kPlace) return;
  if (policy.selection != Selection::kByHash) {
    problems.add(Path(policy_path, "selection"),
                 "must be BY_HASH with affinity STATEFUL and unassigned PLACE, or keys would move "
                 "with the load; to choose by load, set unassigned: ASSIGN");
  }
  const Path root;
  for (std::size_t i = 0; i < topology.cells.size(); ++i) {
    if (topology.cells[i].state != CellState::kDraining) continue;
    const Path cell(root, "cells", i);
    problems.add(Path(cell, "state"),
                 "DRAINING with affinity STATEFUL and unassigned PLACE would send the keys that "
                 "have no mapping elsewhere, away from their state; keep it ACTIVE, write mappings "
                 "for its keys, set unassigned: ASSIGN, and then drain it");
  }
}

template <class CheckName>
void check_fallbacks(const std::vector<Fallback>& list, std::string_view field, const Path& policy,
                     const CheckName& check_name, std::size_t most, Problems& problems) {
  if (!check_count(list.size(), most, Path(policy, field), problems)) return;
  NameIndex seen;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const Path path(policy, field, i);
    const Fallback& fallback = list[i];
    if (check_name(fallback.from, Path(path, "from")) && !seen.add(fallback.from, 0)) {
      problems.add(Path(path, "from"), check::quoted(fallback.from) +
                                           " has a fallback already: put both into one list");
    }
    if (!check_count(fallback.to.size(), most, Path(path, "to"), problems)) continue;
    NameIndex listed;
    for (std::size_t j = 0; j < fallback.to.size(); ++j) {
      const std::string& to = fallback.to[j];
      const Path at(path, "to", j);
      if (!check_name(to, at)) continue;
      if (to == fallback.from) problems.add(at, "is the one that falls back");
      if (!listed.add(to, 0)) problems.add(at, check::quoted(to) + " is given twice");
    }
  }
}

inline void check_rules(const Policy& policy, const Names& names, const Path& path,
                        Problems& problems) {
  const Path risk(path, "risk");
  if (policy.risk.threshold > 1'000'000'000) {
    problems.add(Path(risk, "threshold"), "must be from 0 to 1");
  }
  if (!policy.risk.encryption.empty()) {
    names.levels.check(policy.risk.encryption, Path(risk, "encryption"), problems);
  } else if (policy.risk != RiskRule()) {
    problems.add(Path(risk, "encryption"), "is missing: the rule asks for nothing");
  }
  if (!check_count(policy.flags.size(), kMaxFlags, Path(path, "flags"), problems)) return;
  NameIndex seen;
  for (const FlagRule& rule : policy.flags) {
    const Path flag(path, "flags", std::string_view(rule.name));
    if (std::string text = name_problem(rule.name); !text.empty()) {
      problems.add(flag, "the flag's name " + text);
    } else if (!seen.add(rule.name, 0)) {
      problems.add(flag, "is given twice");
    }
    names.certifications.check_list(rule.certifications, flag, "certifications", problems);
    names.regions.check_list(rule.regions, flag, "regions", problems);
    if (!rule.encryption.empty()) {
      names.levels.check(rule.encryption, Path(flag, "encryption"), problems);
    }
  }
}

inline void check_bounds(const Policy& policy, const Path& path, Problems& problems) {
  check_time(policy.timeout, 1, Path(path, "timeout"), problems);
  const Path in_flight(path, "in_flight");
  const Path deadline(in_flight, "deadline");
  check_time(policy.in_flight.deadline, 1, deadline, problems);
  if (policy.in_flight.deadline % 8 != 0) {
    problems.add(deadline, "must divide by eight: it is counted in eight slots");
  }
  const Path assignments(path, "assignments");
  check_time(policy.assignments.period, 1, Path(assignments, "period"), problems);
  if (policy.assignments.requests > kMaxRequests) {
    problems.add(Path(assignments, "requests"), "must be at most " + counted(kMaxRequests));
  }
  if (policy.limiter_entries < kMinLimiterEntries || policy.limiter_entries > kMaxLimiterEntries) {
    problems.add(Path(path, "limiter_entries"), "must be from 1,024 to 268,435,456");
  }
}

inline void check_policy(const Topology& topology, const Names& names, Problems& problems) {
  const Policy& policy = topology.policy;
  const Path root;
  const Path path(root, "policy");
  check_strategy(topology, names, path, problems);
  check_spill(policy, path, problems);
  check_placed_keys(topology, path, problems);
  check_fallbacks(
      policy.tier_fallback, "tier_fallback", path,
      [&](const std::string& name, const Path& at) { return names.check_tier(name, at, problems); },
      kMaxTiers, problems);
  check_fallbacks(
      policy.region_fallback, "region_fallback", path,
      [&](const std::string& name, const Path& at) {
        return names.regions.check(name, at, problems);
      },
      kMaxRegions, problems);
  check_rules(policy, names, path, problems);
  check_breaker(policy.breaker, Path(path, "breaker"), problems);
  check_limits(policy.limits, path, problems);
  check_bounds(policy, path, problems);
}

}  // namespace cellroute::check
