// The gate before a topology or a base of mappings serves: what a publisher may change at once.
//
// These options are the publisher's, never the topology's own: a bad generated file must not be
// able to wave itself through.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cellroute/mapping_file.hpp"
#include "cellroute/policy.hpp"

namespace cellroute {

struct PublishOptions {
  std::uint32_t max_moved_percent = 10;      // of the hash space, averaged over all classes
  std::uint32_t max_cells_lost = 1;          // cells that served and are now OFFLINE or gone
  bool allow_seed_change = false;            // a new placement seed moves nearly every key
  std::uint32_t max_keys_lost_percent = 10;  // of the keys of the base that serves
};

// What changes when `next` takes over from `serving`.
struct Change {
  std::uint32_t cells_lost = 0;
  std::uint32_t moved_thousandths = 0;  // of the hash space; estimated from 1,024 points a pool
};

namespace publish_detail {

inline constexpr std::size_t kPoints = 1024;
using Points = std::array<Point, kPoints>;

inline Points points_of(const CompiledTopology& compiled) {
  Points points;
  for (std::size_t i = 0; i < kPoints; ++i) {
    const std::string key = "cellroute-publish-" + std::to_string(i);
    points[i] =
        Picker::point(compiled.strategy(), key, hash_bytes(compiled.topology().hash_seed, key));
  }
  return points;
}

// Compares two topologies class by class. A class is known by the names of its tier and region and
// by a set of flags that demands its requirement.
class Comparison {
 public:
  Comparison(const CompiledTopology& before, const CompiledTopology& after)
      : before_(before),
        after_(after),
        before_points_(points_of(before)),
        after_points_(points_of(after)) {
    for (std::size_t i = 0; i < before.cell_count(); ++i) {
      now_called_.push_back(after.find_cell(before.cell(static_cast<CellIndex>(i)).id));
    }
  }

  std::uint32_t cells_lost() const {
    std::uint32_t lost = 0;
    for (std::size_t i = 0; i < now_called_.size(); ++i) {
      const bool served = before_.facts(static_cast<CellIndex>(i)).state != CellState::kOffline;
      const bool serves =
          now_called_[i] != kNoCell && after_.facts(now_called_[i]).state != CellState::kOffline;
      if (served && !serves) ++lost;
    }
    return lost;
  }

  // Thousandths, rounded up, so that the least move counts.
  std::uint32_t moved() {
    std::uint64_t moved = 0;
    std::uint64_t classes = 0;
    for (std::size_t tier = 0; tier < before_.tier_count(); ++tier) {
      for (std::size_t region = 0; region < before_.region_count(); ++region) {
        const auto [tier_now, region_now] = place_now(tier, region);
        for (const auto& [was, is] : requirement_pairs()) {
          const PoolIndex from = before_.pool_of(tier, region, was);
          if (from == kNoPool) continue;
          const PoolIndex to = tier_now == NameIndex::kNone || region_now == NameIndex::kNone
                                   ? kNoPool
                                   : after_.pool_of(tier_now, region_now, is);
          moved += moved_points(from, to);
          ++classes;
        }
      }
    }
    const std::uint64_t all = classes * kPoints;
    return all == 0 ? 0 : static_cast<std::uint32_t>((moved * 1000 + all - 1) / all);
  }

 private:
  std::pair<std::uint32_t, std::uint32_t> place_now(std::size_t tier, std::size_t region) const {
    const auto& tiers = before_.topology().tiers;
    const auto& regions = before_.topology().regions;
    return {tiers.empty() || after_.topology().tiers.empty()
                ? 0
                : after_.tier_names().find(tiers[tier].name),
            regions.empty() || after_.topology().regions.empty()
                ? 0
                : after_.region_names().find(regions[region])};
  }

  // Each requirement before, with the one that the same flags demand after.
  const std::vector<std::pair<std::uint32_t, std::uint32_t>>& requirement_pairs() {
    if (!pairs_.empty()) return pairs_;
    const auto& flags = before_.topology().policy.flags;
    std::vector<std::uint32_t> flag_now;  // bits in `after`; a flag that is gone demands nothing
    for (const FlagRule& flag : flags) {
      const std::uint32_t place = after_.flag_names().find(flag.name);
      flag_now.push_back(place == NameIndex::kNone ? 0 : std::uint32_t{1} << place);
    }
    std::vector<bool> seen(before_.requirements().size());
    for (const bool above : {false, true}) {
      for (std::uint32_t set = 0; set < std::uint32_t{1} << flags.size(); ++set) {
        const std::uint32_t was = before_.requirements().find(set, above);
        if (seen[was]) continue;
        seen[was] = true;
        std::uint32_t set_now = 0;
        for (std::size_t bit = 0; bit < flags.size(); ++bit) {
          if ((set >> bit & 1) != 0) set_now |= flag_now[bit];
        }
        pairs_.emplace_back(was, after_.requirements().find(set_now, above));
      }
    }
    return pairs_;
  }

  std::uint32_t moved_points(PoolIndex from, PoolIndex to) {
    if (to == kNoPool) return kPoints;
    const auto [known, added] = moved_.try_emplace({from, to}, 0);
    if (!added) return known->second;
    for (std::size_t i = 0; i < kPoints; ++i) {
      const CellIndex was = before_.pool(from).picker.pick(before_points_[i]);
      const CellIndex is = after_.pool(to).picker.pick(after_points_[i]);
      if (now_called_[was] != is) ++known->second;
    }
    return known->second;
  }

  const CompiledTopology& before_;
  const CompiledTopology& after_;
  Points before_points_;
  Points after_points_;
  std::vector<CellIndex> now_called_;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> pairs_;
  std::map<std::pair<PoolIndex, PoolIndex>, std::uint32_t> moved_;
};

}  // namespace publish_detail

inline Change change_between(const CompiledTopology& before, const CompiledTopology& after) {
  publish_detail::Comparison comparison(before, after);
  return {comparison.cells_lost(), comparison.moved()};
}

// Whether `next` may take over from `serving`; kRefused with the figure that stands against it.
inline Error check_publish(const CompiledTopology& serving, const CompiledTopology& next,
                           const PublishOptions& options) {
  const Topology& was = serving.topology();
  const Topology& is = next.topology();
  if (is.generation <= was.generation) {
    return refused("generation " + std::to_string(is.generation) + " is not newer than " +
                   std::to_string(was.generation) + ", which serves: raise it");
  }
  if (is.hash_seed != was.hash_seed && !options.allow_seed_change) {
    return refused(
        "hash_seed differs from the serving topology's, which would move nearly every "
        "key: restore it, or publish with allow_seed_change");
  }
  const Change change = change_between(serving, next);
  if (change.cells_lost > options.max_cells_lost) {
    return refused(std::to_string(change.cells_lost) +
                   " cells that serve would be lost; the "
                   "publisher allows max_cells_lost = " +
                   std::to_string(options.max_cells_lost));
  }
  // Where keys are mapped one by one, the strategy only proposes: nothing moves.
  if (is.policy.unassigned == Unassigned::kPlace &&
      change.moved_thousandths > options.max_moved_percent * 10) {
    const std::string tenths = std::to_string(change.moved_thousandths % 10);
    return refused(std::to_string(change.moved_thousandths / 10) + "." + tenths +
                   " % of the hash space would move; the publisher allows max_moved_percent = " +
                   std::to_string(options.max_moved_percent));
  }
  return {};
}

// Whether `next` may take over as the base from `serving`; kRefused with the figure that stands
// against it.
inline Error check_base(const MappingFile& serving, const MappingFile& next,
                        const PublishOptions& options) {
  if (next.generation() < serving.generation()) {
    return refused("the mapping file of generation " + std::to_string(next.generation()) +
                   " is older than that of " + std::to_string(serving.generation()) +
                   ", which serves");
  }
  // Keys are far below 2^57, so that a hundred times as many are still a number of 64 bits.
  const std::uint64_t least = 100 - std::min(options.max_keys_lost_percent, 100U);
  if (next.keys() * 100 < serving.keys() * least) {
    return refused("the mapping file of generation " + std::to_string(next.generation()) + " has " +
                   std::to_string(next.keys()) + " keys, the serving one has " +
                   std::to_string(serving.keys()) +
                   "; the publisher allows max_keys_lost_percent = " +
                   std::to_string(options.max_keys_lost_percent));
  }
  return {};
}

}  // namespace cellroute
