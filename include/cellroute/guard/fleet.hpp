// The limits of scope FLEET in a policy, made ready for the path: one limiter for each name and
// kind, which says what each plan has. From generation to generation a limit keeps its table of
// leases, as long as its name and kind stay; other numbers hold from the next lease on, and what
// was leased by the old ones is spent or given back within a lease's time.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cellroute/fleet_limit.hpp"
#include "cellroute/topology.hpp"

namespace cellroute {

using FleetLimiters = std::vector<std::shared_ptr<const FleetLimiter>>;

constexpr FleetKind fleet_kind_of(LimitKind kind) noexcept {
  return kind == LimitKind::kMonthly ? FleetKind::kMonthly : FleetKind::kRate;
}

// Whether `part` of a policy says what a plan has of `whole`.
inline bool is_part_of(const Limit& part, const FleetLimit& whole) noexcept {
  return part.scope == LimitScope::kFleet && fleet_kind_of(part.kind) == whole.kind &&
         fleet_name_of(part) == whole.name;
}

// The whole limits of a policy, each where its first part stands.
inline std::vector<FleetLimit> fleet_limits_of(const Policy& policy) {
  std::vector<FleetLimit> limits;
  for (const Limit& part : policy.limits) {
    if (part.scope != LimitScope::kFleet) continue;
    std::size_t i = 0;
    while (i < limits.size() && !is_part_of(part, limits[i])) ++i;
    if (i == limits.size()) {
      limits.push_back(
          {std::string(fleet_name_of(part)), fleet_kind_of(part.kind), part.period, {}});
    }
    limits[i].plans.push_back({part.plan, part.requests, part.burst, part.unlimited});
  }
  return limits;
}

// `before` are those that served until now, by the same options and region. Allocates the tables
// of new ones. Errors: those of FleetLimiter::create() and make().
inline Result<FleetLimiters> make_fleet_limiters(const Policy& policy, const FleetOptions& options,
                                                 const KeyLimiter& shares,
                                                 const FleetLimiters& before) {
  FleetLimiters limiters;
  for (FleetLimit& limit : fleet_limits_of(policy)) {
    const FleetLimiter* known = nullptr;
    for (const auto& each : before) {
      if (each->limit().name == limit.name && each->limit().kind == limit.kind) known = each.get();
    }
    auto made = FleetLimiter::make(std::move(limit), options, shares, known);
    if (!made.ok()) return made.error();
    limiters.push_back(std::move(*made));
  }
  return limiters;
}

}  // namespace cellroute
