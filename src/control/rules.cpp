#include "control/rules.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

namespace cellroute::verifying {
namespace {

std::map<std::string, std::size_t> places_of(const std::vector<std::string>& names) {
  std::map<std::string, std::size_t> places;
  for (std::size_t i = 0; i < names.size(); ++i) places.emplace(names[i], i);
  return places;
}

// Where `name` stands; a name that is left out stands for the first.
std::size_t place_of(const std::map<std::string, std::size_t>& places, const std::string& name) {
  const auto at = places.find(name);
  return at == places.end() ? 0 : at->second;
}

std::vector<std::vector<std::size_t>> orders_of(const std::map<std::string, std::size_t>& places,
                                                std::size_t count,
                                                const std::vector<Fallback>& fallbacks) {
  std::vector<std::vector<std::size_t>> orders(count);
  for (std::size_t i = 0; i < count; ++i) orders[i].push_back(i);
  for (const Fallback& fallback : fallbacks) {
    for (const std::string& to : fallback.to) {
      orders[place_of(places, fallback.from)].push_back(place_of(places, to));
    }
  }
  return orders;
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

}  // namespace

Rules::Rules(const Topology& topology) : topology_(topology), region_names_(topology.regions) {
  for (const Tier& tier : topology.tiers) tier_names_.push_back(tier.name);
  if (tier_names_.empty()) tier_names_.emplace_back();
  if (region_names_.empty()) region_names_.emplace_back();
  tiers_ = places_of(tier_names_);
  regions_ = places_of(region_names_);
  certifications_ = places_of(topology.certifications);
  levels_ = places_of(topology.encryption_levels);
  for (std::size_t i = 0; i < topology.tiers.size(); ++i) {
    for (const std::string& alias : topology.tiers[i].aliases) tiers_.emplace(alias, i);
  }
  tier_orders_ = orders_of(tiers_, tier_names_.size(), topology.policy.tier_fallback);
  region_orders_ = orders_of(regions_, region_names_.size(), topology.policy.region_fallback);
  for (const Cell& cell : topology.cells) {
    Offer offer{place_of(tiers_, cell.tier),
                place_of(regions_, cell.region),
                {},
                level_of(cell.encryption)};
    for (const std::string& name : cell.certifications) {
      offer.certifications.set(certifications_.at(name));
    }
    offers_.push_back(offer);
  }
  for (const FlagRule& rule : topology.policy.flags) flags_.push_back(demand_of(rule));
  has_risk_rule_ = level_of(topology.policy.risk.encryption) > 0;
}

std::size_t Rules::level_of(const std::string& name) const { return place_of(levels_, name); }

Demand Rules::demand_of(const FlagRule& rule) const {
  Demand demand;
  for (const std::string& name : rule.certifications) {
    demand.certifications.set(certifications_.at(name));
  }
  for (const std::string& name : rule.regions) demand.regions.set(regions_.at(name));
  if (rule.regions.empty()) demand.regions.set();
  demand.level = level_of(rule.encryption);
  return demand;
}

Demand Rules::demand(const FlagSet& set) const {
  Demand demand;
  demand.regions.set();
  for (std::size_t i = 0; i < flags_.size(); ++i) {
    if ((set.flags >> i & 1) == 0) continue;
    demand.certifications |= flags_[i].certifications;
    demand.regions &= flags_[i].regions;
    demand.level = std::max(demand.level, flags_[i].level);
  }
  if (set.risky) {
    const RiskRule& risk = topology_.policy.risk;
    std::size_t& wanted = risk.mode == RiskMode::kRequire ? demand.level : demand.preferred;
    wanted = std::max(wanted, level_of(risk.encryption));
  }
  return demand;
}

bool Rules::passes(std::size_t cell, const Demand& demand) const noexcept {
  const Offer& offer = offers_[cell];
  return topology_.cells[cell].state == CellState::kActive &&
         (demand.certifications & ~offer.certifications).none() &&
         demand.regions.test(offer.region) && offer.level >= demand.level;
}

std::string Rules::objection(std::size_t cell, const Demand& demand) const {
  const Offer& offer = offers_[cell];
  std::vector<std::string> missing;
  for (const auto& [name, place] : certifications_) {
    if (demand.certifications.test(place) && !offer.certifications.test(place)) {
      missing.push_back(name);
    }
  }
  if (!missing.empty()) return "it lacks " + joined(missing);
  if (!demand.regions.test(offer.region)) {
    return "its region " + region_names_[offer.region] + " is not allowed";
  }
  if (offer.level < demand.level) {
    return "its encryption " + topology_.encryption_levels[offer.level] + " is weaker than " +
           topology_.encryption_levels[demand.level];
  }
  return {};
}

std::string Rules::text(const FlagSet& set) const {
  std::string text;
  for (std::size_t i = 0; i < flags_.size(); ++i) {
    if ((set.flags >> i & 1) == 0) continue;
    text += (text.empty() ? "" : " + ") + topology_.policy.flags[i].name;
  }
  if (text.empty()) text = "no flags";
  if (set.risky) {
    char above[32];
    std::snprintf(above, sizeof above, ", risk above %g", topology_.policy.risk.threshold / 1e9);
    text += above;
  }
  return text;
}

}  // namespace cellroute::verifying
