// What a plan has of a fleet's limit, made ready for the path and for the keeper.
#pragma once

#include <cstdint>
#include <string>

#include "cellroute/guard/lease.hpp"
#include "cellroute/guard/limit.hpp"
#include "cellroute/lease_store.hpp"

namespace cellroute {

struct FleetOptions {
  std::uint32_t routers = 1;     // that share a limit, not threads; 1 to 65,536. Processes that
                                 // share guards count as one
  std::uint32_t entries = 8192;  // keys at a time, a power of two up to 2^20; 1,088 bytes each
  Nanos lease = 2 * kSecond;     // how long one lasts; 500 ms to an hour. The store is asked four
                                 // times as often
};

// Of keys of one plan. Thread safety: a plain value.
struct FleetRule {
  std::uint64_t requests = 0;  // kMaxFleetRequests: unlimited
  std::uint64_t burst = 0;
  std::uint64_t most = 0;  // in one lease: the share, so that no router keeps all from the others
  bool free = false;       // nothing is counted
  bool named = true;       // false: by an earlier generation alone
  LimitRule share;
};

// A router's share is rounded down, so that all together are never above the limit.
// kInvalidArgument: the plan's numbers are out of their bounds.
inline Result<FleetRule> compile_fleet_rule(const FleetLimit& limit, const FleetPlan& plan,
                                            std::uint64_t routers) {
  constexpr Nanos kMonth = 31 * 86'400 * kSecond;
  const bool monthly = limit.kind == FleetKind::kMonthly;
  FleetRule rule;
  if (plan.unlimited) {
    rule.requests = kMaxFleetRequests;
    rule.burst = 1;
    rule.most = guard::kMaxLease;
    rule.free = !monthly;
    rule.share = guard::unlimited_rule();
    return rule;
  }
  if (plan.requests == 0 || plan.requests > kMaxFleetRequests || plan.burst > kMaxFleetRequests) {
    return invalid_argument("fleet limit: requests are 1 to 2^52, and so is burst");
  }
  rule.requests = plan.requests;
  rule.burst = plan.burst == 0 ? plan.requests : plan.burst;
  __extension__ using Wide = unsigned __int128;
  if (!monthly && static_cast<Wide>(limit.period) * rule.burst / rule.requests >
                      static_cast<Wide>(guard::kMaxPeriod)) {
    return invalid_argument("fleet limit: a burst takes more than 366 days to come back");
  }
  const auto at_least_1 = [](std::uint64_t n) { return n == 0 ? 1 : n; };
  rule.most = at_least_1((monthly ? rule.requests : rule.burst) / routers);
  if (rule.most > guard::kMaxLease) rule.most = guard::kMaxLease;
  Limit share;
  share.plan = "fleet " + limit.name + " " + plan.plan;  // other limits' buckets are others
  share.requests = at_least_1(rule.requests / routers);
  // Of a month about a day's at once, since a router that starts anew begins anew.
  share.burst = at_least_1(monthly ? share.requests / 32 : rule.burst / routers);
  share.period = monthly ? kMonth : limit.period;
  const auto stretched = guard::divide_up(routers, rule.requests);
  const auto longest = static_cast<std::uint64_t>(guard::kMaxPeriod / share.period);
  share.period *= static_cast<Nanos>(stretched < longest ? stretched : longest);
  // Rounded down, the share is slower, so that its burst may come back beyond the bound.
  const std::uint64_t interval =
      guard::divide_up(static_cast<std::uint64_t>(share.period), share.requests);
  const std::uint64_t most = static_cast<std::uint64_t>(guard::kMaxPeriod) / interval;
  if (share.burst > most) share.burst = at_least_1(most);
  Result<LimitRule> made = compile_limit(share, 1);
  if (!made.ok()) return made.error();
  rule.share = *made;
  return rule;
}

}  // namespace cellroute
