// The guards' rules for one snapshot: each cell's, and what each plan's keys are charged to.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cellroute/guard/fleet.hpp"
#include "cellroute/guard/guards.hpp"
#include "cellroute/names.hpp"
#include "cellroute/policy.hpp"

namespace cellroute {

// What a limit on keys is counted by. In step 7 they are asked in this order.
enum class CountedBy : std::uint8_t { kKey, kKeyAndResource, kFleet };

// A limit on keys, with the keys that have another allowance.
struct KeyLimit {
  LimitRule rule;
  CountedBy by = CountedBy::kKey;
  NameIndex overridden;  // key → place in `overrides`
  std::vector<LimitRule> overrides;

  const LimitRule& rule_for(std::string_view key) const noexcept {
    if (overrides.empty()) return rule;
    const std::uint32_t place = overridden.find(key);
    return place == NameIndex::kNone ? rule : overrides[place];
  }
};

// Thread safety: immutable once made; any number of threads may read.
class GuardPlan {
 public:
  GuardPlan(GuardPlan&&) = default;
  GuardPlan& operator=(GuardPlan&&) = default;

  // `numbers[i]` is cell i's in the directory, `lanes` the region's, `fleet` what
  // make_fleet_limiters() gave for the policy. Errors: those of compile_rules() and
  // compile_limit(), and more than Guards::kMaxKeyCharges limits for one plan.
  static Result<GuardPlan> make(const CompiledTopology& compiled,
                                std::span<const std::uint32_t> numbers, std::uint32_t lanes,
                                FleetLimiters fleet = {}) {
    GuardPlan plan;
    plan.fleet_ = std::move(fleet);
    Error error = plan.make_limits(compiled.topology().policy, lanes);
    if (error.ok()) error = plan.make_cells(compiled, numbers, lanes);
    if (!error.ok()) return error;
    return plan;
  }

  const CellRules& rules(CellIndex cell) const noexcept { return rules_[rules_of_[cell]]; }
  const EjectionGroup& group(CellIndex cell) const noexcept { return groups_[group_of_[cell]]; }

  // What a cell that is in no snapshot any more is reported under.
  const CellRules& default_rules() const noexcept { return rules_[0]; }

  // 0 is no plan, the others are named by the limits; NameIndex::kNone where none does.
  std::uint32_t plan_count() const noexcept {
    return static_cast<std::uint32_t>(of_plan_.size()) - 1;
  }
  std::uint32_t find_plan(std::string_view name) const noexcept { return plan_names_.find(name); }

  // The limits of the fleet, in the order of the policy.
  const FleetLimiters& fleet() const noexcept { return fleet_; }

  // Whether any plan's keys have limits.
  bool limits_keys() const noexcept { return !key_limits_.empty(); }
  // The limits of a plan's keys, at most Guards::kMaxKeyCharges.
  std::span<const KeyLimit* const> limits(std::uint16_t plan) const noexcept {
    return of_plan_[plan];
  }

 private:
  GuardPlan() = default;

  // A limit in a group of which each plan has its own, or else the general ones.
  using Named = std::vector<std::vector<const KeyLimit*>>;

  Error make_limits(const Policy& policy, std::uint32_t lanes) {
    for (const Limit& limit : policy.limits) {
      if (limit.plan.empty() || plan_names_.find(limit.plan) != NameIndex::kNone) continue;
      plan_names_.add(limit.plan, ++last_plan_);
    }
    // Pointers into the vector stay: it is reserved, and moves whole with the plan.
    key_limits_.reserve(policy.limits.size());
    of_plan_.resize(last_plan_ + 1);
    for (const LimitPer per : {LimitPer::kKey, LimitPer::kKeyAndResource}) {
      Named named(last_plan_ + 1);
      for (const Limit& limit : policy.limits) {
        if (limit.per != per || limit.scope != LimitScope::kRouter) continue;
        if (Error error = add_key_limit(limit, lanes); !error.ok()) return error;
        named[plan_number(limit)].push_back(&key_limits_.back());
      }
      bind(named);
    }
    if (Error error = add_fleet_limits(policy); !error.ok()) return error;
    for (const auto& limits : of_plan_) {
      if (limits.size() > Guards::kMaxKeyCharges) {
        return refused("policy.limits: " + std::to_string(limits.size()) +
                       " limits by key apply to one plan; at most 8 may");
      }
    }
    return {};
  }

  std::uint32_t plan_number(const Limit& limit) const noexcept {
    return limit.plan.empty() ? 0 : plan_names_.find(limit.plan);
  }

  // A plan that a limit names has that one in place of the general ones.
  void bind(const Named& named) {
    for (std::uint32_t plan = 0; plan <= last_plan_; ++plan) {
      const auto& limits = named[plan].empty() ? named[0] : named[plan];
      of_plan_[plan].insert(of_plan_[plan].end(), limits.begin(), limits.end());
    }
  }

  Error add_fleet_limits(const Policy& policy) {
    std::size_t found = 0;
    for (const auto& limiter : fleet_) {
      Named named(last_plan_ + 1);
      for (const Limit& limit : policy.limits) {
        if (!is_part_of(limit, limiter->limit())) continue;
        ++found;
        const Result<std::uint16_t> number = limiter->plan(limit.plan);
        if (!number.ok()) return number.error();
        // A plan of which nothing is counted is named all the same.
        KeyLimit& made = key_limits_.emplace_back();
        made.by = CountedBy::kFleet;
        made.rule = guard::unlimited_rule();
        made.rule.fleet = limiter.get();
        made.rule.fleet_plan = *number;
        named[plan_number(limit)].push_back(&made);
      }
      bind(named);
    }
    const auto wanted =
        std::count_if(policy.limits.begin(), policy.limits.end(),
                      [](const Limit& limit) { return limit.scope == LimitScope::kFleet; });
    if (found == static_cast<std::size_t>(wanted)) return {};
    return invalid_argument("policy.limits: a limit of the fleet has no limiter");
  }

  Error add_key_limit(const Limit& limit, std::uint32_t lanes) {
    Result<LimitRule> rule = compile_limit(limit, lanes);
    if (!rule.ok()) return rule.error();
    KeyLimit& made = key_limits_.emplace_back();
    made.rule = *rule;
    const bool by_key = limit.per == LimitPer::kKey;
    made.by = by_key ? CountedBy::kKey : CountedBy::kKeyAndResource;
    for (const LimitOverride& own : limit.overrides) {
      Result<LimitRule> other = compile_limit(limit, own, lanes);
      if (!other.ok()) return other.error();
      made.overridden.add(own.key, static_cast<std::uint32_t>(made.overrides.size()));
      made.overrides.push_back(*other);
    }
    return {};
  }

  Error make_cells(const CompiledTopology& compiled, std::span<const std::uint32_t> numbers,
                   std::uint32_t lanes) {
    const Topology& topology = compiled.topology();
    std::vector<Limit> cell_limits;
    for (const Limit& limit : topology.policy.limits) {
      if (limit.per == LimitPer::kCell) cell_limits.push_back(limit);
    }
    const auto add_rules = [&](const BreakerPolicy& breaker) -> Error {
      Result<CellRules> rules =
          compile_rules(breaker, topology.policy.in_flight, cell_limits, lanes);
      if (!rules.ok()) return rules.error();
      rules_.push_back(*rules);
      return {};
    };
    if (Error error = add_rules(topology.policy.breaker); !error.ok()) return error;
    numbers_.resize(compiled.tier_count() * compiled.region_count());
    std::vector<std::uint32_t> of_tier(compiled.tier_count(), 0);  // 0: not made yet, or default
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const auto index = static_cast<CellIndex>(i);
      const CellFacts& facts = compiled.facts(index);
      const std::size_t group = facts.region * compiled.tier_count() + facts.tier;
      group_of_.push_back(static_cast<std::uint32_t>(group));
      numbers_[group].push_back(numbers[i]);

      BreakerPolicy breaker = topology.policy.breaker;
      const bool own_tier =
          !topology.tiers.empty() && apply(topology.tiers[facts.tier].breaker, breaker);
      const bool own_cell = apply(compiled.cell(index).breaker, breaker);
      std::uint32_t rules = own_tier ? of_tier[facts.tier] : 0;
      if (own_cell || (own_tier && rules == 0)) {
        if (Error error = add_rules(breaker); !error.ok()) return error;
        rules = static_cast<std::uint32_t>(rules_.size() - 1);
        if (!own_cell) of_tier[facts.tier] = rules;
      }
      rules_of_.push_back(rules);
    }
    const bool limited = topology.policy.affinity == Affinity::kStateless;
    for (const std::vector<std::uint32_t>& group : numbers_) groups_.push_back({group, limited});
    return {};
  }

  // Whether anything was overridden.
  static bool apply(const BreakerOverride& own, BreakerPolicy& breaker) {
    bool any = false;
    const auto take = [&any](const auto& value, auto& field) {
      if (!value) return;
      field = *value;
      any = true;
    };
    take(own.consecutive_failures, breaker.consecutive_failures);
    take(own.failure_rate, breaker.failure_rate);
    take(own.slow_call, breaker.slow_call);
    take(own.slow_rate, breaker.slow_rate);
    take(own.minimum_calls, breaker.minimum_calls);
    take(own.window, breaker.window);
    take(own.open, breaker.open);
    take(own.open_max, breaker.open_max);
    take(own.probes, breaker.probes);
    take(own.probe_deadline, breaker.probe_deadline);
    return any;
  }

  std::vector<CellRules> rules_;  // [0]: policy's own
  std::vector<std::uint32_t> rules_of_;
  std::vector<std::vector<std::uint32_t>> numbers_;  // of a tier and region's cells
  std::vector<EjectionGroup> groups_;                // the same, of numbers_
  std::vector<std::uint32_t> group_of_;
  FleetLimiters fleet_;
  NameIndex plan_names_;
  std::uint32_t last_plan_ = 0;
  std::vector<KeyLimit> key_limits_;
  std::vector<std::vector<const KeyLimit*>> of_plan_;
};

}  // namespace cellroute
