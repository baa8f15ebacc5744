// What the strategies' build() functions ask of their arguments, in one wording.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cellroute/status.hpp"
#include "cellroute/strategy/strategy.hpp"

namespace cellroute::detail {

inline constexpr std::uint32_t kMinSlots = 1u << 10;
inline constexpr std::uint32_t kMaxSlots = 1u << 22;

inline std::string quoted(std::string_view text) { return '"' + std::string(text) + '"'; }

// 1500 thousandths as "1.500".
inline std::string weight_text(std::uint32_t thousandths) {
  const std::string fraction = std::to_string(thousandths % kUnitWeight);
  return std::to_string(thousandths / kUnitWeight) + '.' + std::string(3 - fraction.size(), '0') +
         fraction;
}

inline std::string at_cell(std::string_view strategy, const Member& member) {
  return "strategy " + std::string(strategy) + ": cell " + detail::quoted(member.id);
}

// `ids` sorted: a repeated one would shadow a cell for ever.
inline Error check_distinct_ids(std::string_view strategy, std::vector<std::string_view> ids) {
  std::sort(ids.begin(), ids.end());
  const auto twice = std::adjacent_find(ids.begin(), ids.end());
  if (twice == ids.end()) return {};
  return invalid_argument("strategy " + std::string(strategy) + ": cell " + detail::quoted(*twice) +
                          " is listed twice; list every cell once");
}

// Between 1 and 65,535 members with a cell and a weight, each once; in byte order of id unless the
// strategy is `ordered`.
inline Error check_members(std::string_view strategy, std::span<const Member> members,
                           bool ordered) {
  const std::string where = "strategy " + std::string(strategy) + ": ";
  if (members.empty()) {
    return invalid_argument(where + "the pool has no cells; give it at least one");
  }
  if (members.size() > kNoCell) {
    return invalid_argument(where + "the pool has " + std::to_string(members.size()) +
                            " cells; a pool holds at most 65,535");
  }
  for (const Member& member : members) {
    if (member.cell == kNoCell) {
      return invalid_argument(at_cell(strategy, member) + " has no cell number; set Member::cell");
    }
    if (member.weight == 0) {
      return invalid_argument(at_cell(strategy, member) +
                              " has weight 0; give at least 0.001, or leave the cell out");
    }
  }
  if (ordered) {
    std::vector<std::string_view> ids;
    ids.reserve(members.size());
    for (const Member& member : members) ids.push_back(member.id);
    return check_distinct_ids(strategy, std::move(ids));
  }
  for (std::size_t i = 1; i < members.size(); ++i) {
    if (members[i - 1].id < members[i].id) continue;
    return invalid_argument(at_cell(strategy, members[i]) + " comes after " +
                            detail::quoted(members[i - 1].id) +
                            "; list the cells in byte order of id, every cell once");
  }
  return {};
}

inline Error check_equal_weights(std::string_view strategy, std::span<const Member> members) {
  for (const Member& member : members) {
    if (member.weight == members[0].weight) continue;
    return invalid_argument(
        at_cell(strategy, member) + " weighs " + weight_text(member.weight) + ", cell " +
        detail::quoted(members[0].id) + " " + weight_text(members[0].weight) + "; " +
        std::string(strategy) +
        " knows no weights: give all cells of the pool one weight, or choose rendezvous-slots");
  }
  return {};
}

// `slots` is a power of two within bounds, and there is at least one for each member.
inline Error check_slots(std::string_view strategy, std::size_t members, std::uint32_t slots) {
  const std::string where = "strategy " + std::string(strategy) + ": slots = ";
  if (!std::has_single_bit(slots) || slots < kMinSlots || slots > kMaxSlots) {
    return invalid_argument(where + std::to_string(slots) +
                            "; give a power of two from 1,024 to 4,194,304");
  }
  if (members > slots) {
    return invalid_argument(where + std::to_string(slots) + " for " + std::to_string(members) +
                            " cells leaves cells without a key; give at least as many slots as "
                            "cells, better 1,000 times as many");
  }
  return {};
}

inline Error check_ring_size(std::string_view strategy, std::uint64_t points, std::uint64_t most) {
  if (points <= most) return {};
  return refused("strategy " + std::string(strategy) + ": the weights ask for " +
                 std::to_string(points) + " points, more than " + std::to_string(most) +
                 "; divide all weights by a common factor");
}

// Called before a table is allocated.
inline Error check_table_bytes(std::string_view strategy, std::uint64_t bytes,
                               const StrategyOptions& options) {
  if (bytes <= options.max_table_bytes) return {};
  return refused("strategy " + std::string(strategy) + ": the table would take " +
                 std::to_string(bytes) + " bytes, max_table_bytes allows " +
                 std::to_string(options.max_table_bytes) +
                 "; raise it, or use fewer slots, cells or units of weight");
}

// Legacy routers count weights in whole units.
inline Error check_whole_weights(std::string_view strategy, std::span<const Member> members) {
  for (const Member& member : members) {
    if (member.weight % kUnitWeight == 0) continue;
    return invalid_argument(at_cell(strategy, member) + " weighs " + weight_text(member.weight) +
                            "; the router that " + std::string(strategy) +
                            " reproduces has whole weights only: give 1, 2, 3, …");
  }
  return {};
}

// `names`: each member's name as its legacy ring hashes it. Two alike would share all points.
inline Error check_distinct_names(std::string_view strategy, std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice == names.end()) return {};
  std::replace(twice->begin(), twice->end(), '\0', ':');
  return invalid_argument("strategy " + std::string(strategy) +
                          ": two cells have the server name " + detail::quoted(*twice) +
                          "; give each its own label ketama_name");
}

// The members' cells as they come, for strategies that number cells and know no weights.
inline Result<std::vector<CellIndex>> cells_in_order(std::string_view strategy,
                                                     std::span<const Member> members,
                                                     const StrategyOptions& options) {
  if (Error e = check_members(strategy, members, /*ordered=*/true); !e.ok()) return e;
  if (Error e = check_equal_weights(strategy, members); !e.ok()) return e;
  const std::uint64_t bytes = members.size() * sizeof(CellIndex);
  if (Error e = check_table_bytes(strategy, bytes, options); !e.ok()) return e;
  std::vector<CellIndex> cells;
  cells.reserve(members.size());
  for (const Member& member : members) cells.push_back(member.cell);
  return cells;
}

}  // namespace cellroute::detail
