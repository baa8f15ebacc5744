// What a key demands of a cell: certifications, regions, encryption. Flags and risk become a small
// number before anything is chosen, so that route() finds a key's demands with one load.
#pragma once

#include <algorithm>
#include <bitset>
#include <cstdint>
#include <map>
#include <tuple>
#include <vector>

#include "cellroute/hot_path.hpp"
#include "cellroute/topology.hpp"

namespace cellroute {

using RegionSet = std::bitset<kMaxRegions>;

// A cell, as constraints see it. Sets are bits in the order of the topology's lists.
struct CellFacts {
  std::uint64_t certifications = 0;
  std::uint16_t tier = 0;
  std::uint16_t region = 0;
  std::uint8_t encryption = 0;  // place in encryption_levels, weakest first
  CellState state = CellState::kActive;
};

// All that some set of flags and a risk band demand together.
struct Requirement {
  std::uint64_t certifications = 0;       // all of them
  RegionSet regions = RegionSet().set();  // one of them
  std::uint8_t flag_encryption = 0;       // at least, for the flags' sake
  std::uint8_t risk_encryption = 0;       // at least, for a REQUIRE risk rule's sake
  std::uint8_t preferred_encryption = 0;  // at least, if a cell that passes has it

  CELLROUTE_HOT bool flags_pass(const CellFacts& cell) const noexcept {
    return (certifications & ~cell.certifications) == 0 && regions.test(cell.region) &&
           cell.encryption >= flag_encryption;
  }
  CELLROUTE_HOT bool risk_passes(const CellFacts& cell) const noexcept {
    return cell.encryption >= risk_encryption;
  }
  bool passes(const CellFacts& cell) const noexcept {
    return flags_pass(cell) && risk_passes(cell);
  }
};

// Every set of flags, below and above the risk threshold, to its requirement. Sets that demand the
// same share one. Thread safety: immutable once built.
class Requirements {
 public:
  Requirements() = default;

  // Precondition: the topology passed check_topology().
  explicit Requirements(const Topology& topology) : flags_(topology.policy.flags.size()) {
    std::vector<Requirement> rules;
    for (const FlagRule& rule : topology.policy.flags) rules.push_back(demand_of(topology, rule));
    const Requirement calm;
    add_band(rules, calm);
    const Requirement risky = demand_of_risk(topology);
    has_risk_band_ = risky.risk_encryption > 0 || risky.preferred_encryption > 0;
    if (has_risk_band_) add_band(rules, risky);
    interned_.clear();
  }

  std::size_t size() const noexcept { return all_.size(); }
  const Requirement& operator[](std::size_t i) const noexcept { return all_[i]; }

  // `flags` has bits below the number of flags only.
  std::uint32_t find(std::uint32_t flags, bool above_threshold) const noexcept {
    const std::size_t band = above_threshold && has_risk_band_ ? std::size_t{1} << flags_ : 0;
    return of_flags_[band + flags];
  }

 private:
  static std::uint8_t level(const Topology& topology, const std::string& name) {
    for (std::size_t i = 0; i < topology.encryption_levels.size(); ++i) {
      if (topology.encryption_levels[i] == name) return static_cast<std::uint8_t>(i);
    }
    return 0;
  }

  static Requirement demand_of(const Topology& topology, const FlagRule& rule) {
    Requirement demand;
    for (std::size_t i = 0; i < topology.certifications.size(); ++i) {
      for (const std::string& name : rule.certifications) {
        if (name == topology.certifications[i]) demand.certifications |= std::uint64_t{1} << i;
      }
    }
    if (!rule.regions.empty()) {
      demand.regions.reset();
      for (std::size_t i = 0; i < topology.regions.size(); ++i) {
        for (const std::string& name : rule.regions) {
          if (name == topology.regions[i]) demand.regions.set(i);
        }
      }
    }
    demand.flag_encryption = level(topology, rule.encryption);
    return demand;
  }

  static Requirement demand_of_risk(const Topology& topology) {
    Requirement demand;
    const RiskRule& risk = topology.policy.risk;
    const std::uint8_t least = level(topology, risk.encryption);
    (risk.mode == RiskMode::kRequire ? demand.risk_encryption : demand.preferred_encryption) =
        least;
    return demand;
  }

  static Requirement both(const Requirement& a, const Requirement& b) {
    return {a.certifications | b.certifications, a.regions & b.regions,
            std::max(a.flag_encryption, b.flag_encryption),
            std::max(a.risk_encryption, b.risk_encryption),
            std::max(a.preferred_encryption, b.preferred_encryption)};
  }

  void add_band(const std::vector<Requirement>& rules, const Requirement& band) {
    std::vector<Requirement> of_set{band};
    of_set.reserve(std::size_t{1} << flags_);
    of_flags_.push_back(intern(band));
    for (const Requirement& rule : rules) {
      const std::size_t count = of_set.size();
      for (std::size_t i = 0; i < count; ++i) {
        of_set.push_back(both(of_set[i], rule));
        of_flags_.push_back(intern(of_set.back()));
      }
    }
  }

  std::uint32_t intern(const Requirement& demand) {
    auto key =
        std::make_tuple(demand.certifications, demand.regions.to_string(), demand.flag_encryption,
                        demand.risk_encryption, demand.preferred_encryption);
    const auto [at, added] = interned_.try_emplace(std::move(key), all_.size());
    if (added) all_.push_back(demand);
    return static_cast<std::uint32_t>(at->second);
  }

  std::size_t flags_ = 0;
  bool has_risk_band_ = false;
  std::vector<Requirement> all_;
  std::vector<std::uint32_t> of_flags_;  // [band][set of flags]
  std::map<std::tuple<std::uint64_t, std::string, std::uint8_t, std::uint8_t, std::uint8_t>,
           std::size_t>
      interned_;  // while building
};

}  // namespace cellroute
