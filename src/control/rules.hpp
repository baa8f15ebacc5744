// A topology's rules read by name, independently of what compile() makes of them.
#pragma once

#include <bitset>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cellroute/topology.hpp"

namespace cellroute::verifying {

using Certifications = std::bitset<kMaxNames>;
using Regions = std::bitset<kMaxRegions>;

// What a set of flags and a risk band ask of a cell.
struct Demand {
  Certifications certifications;
  Regions regions;            // allowed
  std::size_t level = 0;      // least encryption level, by place
  std::size_t preferred = 0;  // wanted, where a cell that passes has it
};

// A cell in the same terms.
struct Offer {
  std::size_t tier = 0;
  std::size_t region = 0;
  Certifications certifications;
  std::size_t level = 0;
};

// One set of flags, above the risk threshold or not.
struct FlagSet {
  std::uint32_t flags = 0;
  bool risky = false;
};

// Thread safety: immutable once built.
class Rules {
 public:
  explicit Rules(const Topology& topology);

  std::size_t tier_count() const noexcept { return tier_names_.size(); }
  std::size_t region_count() const noexcept { return region_names_.size(); }
  const std::string& tier_name(std::size_t i) const noexcept { return tier_names_[i]; }
  const std::string& region_name(std::size_t i) const noexcept { return region_names_[i]; }
  const Offer& offer(std::size_t cell) const noexcept { return offers_[cell]; }

  // Own place first, then the fallbacks.
  const std::vector<std::size_t>& tier_order(std::size_t i) const noexcept {
    return tier_orders_[i];
  }
  const std::vector<std::size_t>& region_order(std::size_t i) const noexcept {
    return region_orders_[i];
  }

  bool has_risk_rule() const noexcept { return has_risk_rule_; }
  std::size_t flag_count() const noexcept { return flags_.size(); }
  Demand demand(const FlagSet& set) const;

  // What in the cell does not meet the demand, whatever its state; empty if nothing.
  std::string objection(std::size_t cell, const Demand& demand) const;

  // Whether it is ACTIVE and meets the demand.
  bool passes(std::size_t cell, const Demand& demand) const noexcept;

  // "PII_RESTRICTED + HIGH_RISK, risk above 0.8", "no flags".
  std::string text(const FlagSet& set) const;

 private:
  std::size_t level_of(const std::string& name) const;
  Demand demand_of(const FlagRule& rule) const;

  const Topology& topology_;
  std::vector<std::string> tier_names_, region_names_;  // one empty name where there is none
  std::map<std::string, std::size_t> tiers_, regions_, certifications_, levels_;
  std::vector<std::vector<std::size_t>> tier_orders_, region_orders_;
  std::vector<Offer> offers_;
  std::vector<Demand> flags_;
  bool has_risk_rule_ = false;
};

}  // namespace cellroute::verifying
