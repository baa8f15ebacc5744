#include "control/verify.hpp"

#include <absl/container/flat_hash_map.h>

#include <algorithm>
#include <array>
#include <bit>
#include <set>
#include <tuple>
#include <utility>

#include "control/rules.hpp"
#include "control/verify_pools.hpp"

namespace cellroute {
namespace {

using verifying::Demand;
using verifying::FlagSet;
using verifying::Rules;

constexpr std::size_t kMostLeastSets = 8;
constexpr std::size_t kMostExamples = 3;

// A demand, the fewest flags that make it, and the numbers that compile() gave to it.
struct Case {
  Demand demand;
  FlagSet least;
  std::set<std::uint32_t> requirements;
};

// Walks every class: (tier, region, case).
class ClassWalk {
 public:
  ClassWalk(const CompiledTopology& compiled, const PoolMembers& members, Verification& result)
      : compiled_(compiled),
        members_(members),
        result_(result),
        rules_(compiled.topology()),
        cell_losses_(compiled.cell_count()),
        region_losses_(rules_.region_count()) {}

  void run() {
    collect_cases();
    served_.resize(cases_.size() * rules_.region_count() * rules_.tier_count());
    for (std::size_t i = 0; i < cases_.size(); ++i) check_case(i);
    result_.classes = served_.size();
    collect_unserved();
    collect_losses();
  }

  const Rules& rules() const noexcept { return rules_; }

 private:
  using Cells = std::vector<CellIndex>;

  void collect_cases();
  void check_case(std::size_t number);
  void check_class(std::size_t number, std::size_t tier, std::size_t region);
  Cells first_set(const Demand& demand, std::size_t tier, std::size_t region) const;
  void hold_against(const Cells& expected, std::size_t number, std::size_t tier,
                    std::size_t region);
  std::string reason_against(CellIndex cell, const Demand& demand, const Cells& expected) const;
  void note_losses(std::size_t number, std::size_t tier, std::size_t region);
  void collect_unserved();
  void collect_losses();
  bool least_unserved(std::size_t number, std::size_t tier, std::size_t region) const;
  std::string class_text(std::size_t number, std::size_t tier, std::size_t region) const;

  std::size_t case_of(const FlagSet& set) const {
    return case_of_set_[(set.risky ? std::size_t{1} << rules_.flag_count() : 0) + set.flags];
  }
  std::vector<bool>::reference served(std::size_t number, std::size_t tier, std::size_t region) {
    return served_[(number * rules_.region_count() + region) * rules_.tier_count() + tier];
  }
  bool served(std::size_t number, std::size_t tier, std::size_t region) const {
    return served_[(number * rules_.region_count() + region) * rules_.tier_count() + tier];
  }
  const Cells& passing(std::size_t tier, std::size_t region) const {
    return passing_[region * rules_.tier_count() + tier];
  }

  const CompiledTopology& compiled_;
  const PoolMembers& members_;
  Verification& result_;
  Rules rules_;
  std::vector<Case> cases_;
  std::vector<std::uint32_t> case_of_set_;
  std::vector<bool> served_;
  std::vector<Cells> passing_;  // the case's cells by region and tier
  std::vector<Loss> cell_losses_, region_losses_;
};

void ClassWalk::collect_cases() {
  using Key = std::tuple<std::string, std::string, std::size_t, std::size_t>;
  absl::flat_hash_map<Key, std::uint32_t> known;
  const std::uint32_t sets = std::uint32_t{1} << rules_.flag_count();
  for (const bool risky : {false, true}) {
    if (risky && !rules_.has_risk_rule()) break;
    for (std::uint32_t flags = 0; flags < sets; ++flags) {
      const FlagSet set{flags, risky};
      const Demand demand = rules_.demand(set);
      Key key(demand.certifications.to_string(), demand.regions.to_string(), demand.level,
              demand.preferred);
      const auto [at, added] =
          known.try_emplace(std::move(key), static_cast<std::uint32_t>(cases_.size()));
      if (added) cases_.push_back({demand, set, {}});
      Case& found = cases_[at->second];
      if (!added && found.least.risky == risky &&
          std::popcount(flags) < std::popcount(found.least.flags)) {
        found.least = set;
      }
      found.requirements.insert(compiled_.requirements().find(flags, risky));
      case_of_set_.push_back(at->second);
      ++result_.flag_sets;
    }
  }
}

void ClassWalk::check_case(std::size_t number) {
  const Case& checked = cases_[number];
  passing_.assign(rules_.region_count() * rules_.tier_count(), {});
  for (std::size_t i = 0; i < compiled_.cell_count(); ++i) {
    if (!rules_.passes(i, checked.demand)) continue;
    const verifying::Offer& offer = rules_.offer(i);
    passing_[offer.region * rules_.tier_count() + offer.tier].push_back(static_cast<CellIndex>(i));
  }
  for (std::size_t region = 0; region < rules_.region_count(); ++region) {
    for (std::size_t tier = 0; tier < rules_.tier_count(); ++tier) {
      check_class(number, tier, region);
    }
  }
}

void ClassWalk::check_class(std::size_t number, std::size_t tier, std::size_t region) {
  const Cells expected = first_set(cases_[number].demand, tier, region);
  served(number, tier, region) = !expected.empty();
  hold_against(expected, number, tier, region);
  if (!expected.empty()) note_losses(number, tier, region);
}

// The cells that design section 4, step 4, gives the class.
ClassWalk::Cells ClassWalk::first_set(const Demand& demand, std::size_t tier,
                                      std::size_t region) const {
  for (const std::size_t r : rules_.region_order(region)) {
    for (const std::size_t t : rules_.tier_order(tier)) {
      const Cells& cells = passing(t, r);
      if (cells.empty()) continue;
      Cells preferred;
      for (const CellIndex i : cells) {
        if (rules_.offer(i).level >= demand.preferred) preferred.push_back(i);
      }
      return preferred.empty() ? cells : preferred;
    }
  }
  return {};
}

void ClassWalk::hold_against(const Cells& expected, std::size_t number, std::size_t tier,
                             std::size_t region) {
  for (const std::uint32_t requirement : cases_[number].requirements) {
    const std::span<const CellIndex> given = members_(tier, region, requirement);
    result_.checked_members += given.size();
    if (std::equal(given.begin(), given.end(), expected.begin(), expected.end())) continue;
    Cells got(given.begin(), given.end());
    std::sort(got.begin(), got.end());
    Cells wrong, missing;
    std::set_difference(got.begin(), got.end(), expected.begin(), expected.end(),
                        std::back_inserter(wrong));
    std::set_difference(expected.begin(), expected.end(), got.begin(), got.end(),
                        std::back_inserter(missing));
    for (const CellIndex i : wrong) {
      result_.violations.add(class_text(number, tier, region) + ": reaches " +
                             compiled_.cell(i).id + ", but " +
                             reason_against(i, cases_[number].demand, expected));
    }
    for (const CellIndex i : missing) {
      result_.violations.add(class_text(number, tier, region) + ": cannot reach " +
                             compiled_.cell(i).id + ", which may serve it");
    }
  }
}

std::string ClassWalk::reason_against(CellIndex cell, const Demand& demand,
                                      const Cells& expected) const {
  if (compiled_.cell(cell).state != CellState::kActive) return "it is not ACTIVE";
  std::string reason = rules_.objection(cell, demand);
  if (!reason.empty()) return reason;
  if (expected.empty()) return "its tier or region is no fallback of the class";
  return compiled_.cell(expected.front()).id + " comes before it";
}

// A class is lost with a cell or region if no other could take it, over all its fallbacks.
void ClassWalk::note_losses(std::size_t number, std::size_t tier, std::size_t region) {
  std::size_t cells = 0;
  std::size_t regions = 0;
  CellIndex only_cell = kNoCell;
  std::size_t only_region = 0;
  for (const std::size_t r : rules_.region_order(region)) {
    const std::size_t before = cells;
    for (const std::size_t t : rules_.tier_order(tier)) {
      cells += passing(t, r).size();
      if (!passing(t, r).empty()) only_cell = passing(t, r).front();
    }
    if (cells == before) continue;
    ++regions;
    only_region = r;
  }
  const auto note = [&](Loss& loss) {
    if (++loss.classes <= kMostExamples) {
      loss.examples.push_back(class_text(number, tier, region));
    }
  };
  if (cells == 1) note(cell_losses_[only_cell]);
  if (regions == 1 && rules_.region_count() > 1) note(region_losses_[only_region]);
}

// Whether fewer flags, or less risk, would find a cell.
bool ClassWalk::least_unserved(std::size_t number, std::size_t tier, std::size_t region) const {
  const FlagSet set = cases_[number].least;
  if (set.risky && !served(case_of({set.flags, false}), tier, region)) return false;
  for (std::uint32_t bits = set.flags; bits != 0; bits &= bits - 1) {
    const std::uint32_t without = set.flags & ~(bits & ~(bits - 1));
    if (!served(case_of({without, set.risky}), tier, region)) return false;
  }
  return true;
}

void ClassWalk::collect_unserved() {
  for (std::size_t tier = 0; tier < rules_.tier_count(); ++tier) {
    for (std::size_t region = 0; region < rules_.region_count(); ++region) {
      UnservedGroup group{rules_.tier_name(tier), rules_.region_name(region), 0, cases_.size(), {}};
      for (std::size_t i = 0; i < cases_.size(); ++i) {
        if (served(i, tier, region)) continue;
        ++group.classes;
        if (group.least.size() < kMostLeastSets && least_unserved(i, tier, region)) {
          group.least.push_back(rules_.text(cases_[i].least));
        }
      }
      result_.unserved += group.classes;
      if (group.classes > 0) result_.unserved_groups.push_back(std::move(group));
    }
  }
}

void ClassWalk::collect_losses() {
  for (std::size_t i = 0; i < cell_losses_.size(); ++i) {
    if (cell_losses_[i].classes == 0) continue;
    cell_losses_[i].lost = compiled_.cell(static_cast<CellIndex>(i)).id;
    result_.cell_losses.push_back(std::move(cell_losses_[i]));
  }
  for (std::size_t i = 0; i < region_losses_.size(); ++i) {
    if (region_losses_[i].classes == 0) continue;
    region_losses_[i].lost = rules_.region_name(i);
    result_.region_losses.push_back(std::move(region_losses_[i]));
  }
}

std::string ClassWalk::class_text(std::size_t number, std::size_t tier, std::size_t region) const {
  const std::string& tier_name = rules_.tier_name(tier);
  const std::string& region_name = rules_.region_name(region);
  std::string text = tier_name;
  if (!tier_name.empty() && !region_name.empty()) text += " in ";
  text += region_name;
  return text + (text.empty() ? "" : ", ") + rules_.text(cases_[number].least);
}

}  // namespace

Verification verify(const CompiledTopology& compiled) {
  return verify(compiled, [&](std::size_t tier, std::size_t region, std::size_t requirement) {
    const PoolIndex pool = compiled.pool_of(tier, region, requirement);
    return pool == kNoPool ? std::span<const CellIndex>()
                           : std::span<const CellIndex>(compiled.pool(pool).members);
  });
}

Verification verify(const CompiledTopology& compiled, const PoolMembers& members) {
  Verification result;
  result.cells = compiled.cell_count();
  result.pools = compiled.pools().size();
  ClassWalk walk(compiled, members, result);
  walk.run();
  verifying::check_pools(compiled, result);
  verifying::measure_head_room(compiled.topology(), walk.rules(), result);
  verifying::add_warnings(compiled, result);
  return result;
}

}  // namespace cellroute
