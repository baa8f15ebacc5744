// The rules about times, breakers and limits.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "cellroute/check/names.hpp"
#include "cellroute/check/problems.hpp"
#include "cellroute/time.hpp"
#include "cellroute/topology.hpp"

namespace cellroute::check {

inline constexpr Nanos kMaxTime = 366 * 86'400 * kSecond;
inline constexpr std::uint32_t kMaxProbes = 1'000;
inline constexpr std::uint64_t kMaxRequests = 1'000'000'000'000'000;
inline constexpr std::size_t kMaxLimits = 64;
inline constexpr std::size_t kMaxOverrides = 65'536;
inline constexpr std::size_t kMaxLimitKeyBytes = 1'024;  // as keys of requests

inline void check_time(Nanos time, Nanos least, const Path& path, Problems& problems) {
  if (time < least) {
    problems.add(path, least <= 1 ? std::string("must be longer than 0s")
                                  : "must be at least " + std::to_string(least) + " ns");
  } else if (time > kMaxTime) {
    problems.add(path, "must be at most 366 days, 31622400s");
  }
}

// What a tier or cell has in effect.
inline BreakerPolicy merged(BreakerPolicy policy, const BreakerOverride& set) {
  policy.consecutive_failures = set.consecutive_failures.value_or(policy.consecutive_failures);
  policy.failure_rate = set.failure_rate.value_or(policy.failure_rate);
  policy.slow_call = set.slow_call.value_or(policy.slow_call);
  policy.slow_rate = set.slow_rate.value_or(policy.slow_rate);
  policy.minimum_calls = set.minimum_calls.value_or(policy.minimum_calls);
  policy.window = set.window.value_or(policy.window);
  policy.open = set.open.value_or(policy.open);
  policy.open_max = set.open_max.value_or(policy.open_max);
  policy.probes = set.probes.value_or(policy.probes);
  policy.probe_deadline = set.probe_deadline.value_or(policy.probe_deadline);
  return policy;
}

// All that an override can set, of a policy or as merged for a tier or cell. `wanted(field)` tells
// which fields are this place's own; the others were checked where they were set.
template <class Wanted>
void check_thresholds(const BreakerPolicy& breaker, const Wanted& wanted, const Path& path,
                      Problems& problems) {
  const auto own = [&](std::string_view field, bool sound, const char* text) {
    if (!sound && wanted(field)) problems.add(Path(path, field), text);
  };
  const auto own_time = [&](std::string_view field, Nanos time, Nanos least) {
    if (wanted(field)) check_time(time, least, Path(path, field), problems);
  };
  own("failure_rate", breaker.failure_rate <= 1000, "must be from 0 to 1");
  own("slow_rate", breaker.slow_rate <= 1000, "must be from 0 to 1");
  own("minimum_calls", breaker.minimum_calls >= 1, "must be at least 1");
  own("probes", breaker.probes >= 1 && breaker.probes <= kMaxProbes, "must be from 1 to 1,000");
  if (breaker.slow_call != 0) own_time("slow_call", breaker.slow_call, 1);
  own_time("window", breaker.window, 10);  // it slides in tenths
  own_time("open", breaker.open, 1);
  own_time("open_max", breaker.open_max, 1);
  own_time("probe_deadline", breaker.probe_deadline, 1);
  if (breaker.slow_rate > 0 && breaker.slow_call == 0) {
    const char* const field = wanted("slow_rate") ? "slow_rate" : "slow_call";
    own(field, false, "slow_rate has no effect without slow_call: set both, or neither");
  }
  if (breaker.open > breaker.open_max) {
    const char* const field = wanted("open") ? "open" : "open_max";
    own(field, false, "open must not be longer than open_max");
  }
}

inline void check_override(const BreakerOverride& set, const BreakerPolicy& in_effect,
                           const Path& path, Problems& problems) {
  if (set == BreakerOverride()) return;
  const auto wanted = [&](std::string_view field) {
    return (field == "failure_rate" && set.failure_rate) ||
           (field == "slow_call" && set.slow_call) || (field == "slow_rate" && set.slow_rate) ||
           (field == "minimum_calls" && set.minimum_calls) || (field == "window" && set.window) ||
           (field == "open" && set.open) || (field == "open_max" && set.open_max) ||
           (field == "probes" && set.probes) || (field == "probe_deadline" && set.probe_deadline);
  };
  check_thresholds(in_effect, wanted, path, problems);
}

inline void check_breaker(const BreakerPolicy& breaker, const Path& path, Problems& problems) {
  check_thresholds(
      breaker, [](std::string_view) { return true; }, path, problems);
  if (breaker.max_ejected_percent > 100) {
    problems.add(Path(path, "max_ejected_percent"), "must be from 0 to 100");
  }
  bool seen[600] = {};
  for (std::size_t i = 0; i < breaker.failure_statuses.size(); ++i) {
    const std::uint16_t status = breaker.failure_statuses[i];
    const Path at(path, "failure_statuses", i);
    if (status < 100 || status > 599) {
      problems.add(at, "must be an HTTP status from 100 to 599");
    } else if (std::exchange(seen[status], true)) {
      problems.add(at, std::to_string(status) + " is given twice");
    }
  }
}

// What a limit and an override have in common.
inline void check_allowance(std::uint64_t requests, std::uint64_t burst, bool unlimited,
                            LimitKind kind, const Path& path, Problems& problems) {
  if (requests < 1 && !unlimited) {
    problems.add(Path(path, "requests"), "must be at least 1, unless `unlimited` is true");
  }
  if (requests > kMaxRequests) {
    problems.add(Path(path, "requests"), "must be at most " + counted(kMaxRequests));
  }
  if (burst > kMaxRequests) {
    problems.add(Path(path, "burst"), "must be at most " + counted(kMaxRequests));
  }
  if (burst > 0 && kind != LimitKind::kBucket) {
    problems.add(Path(path, "burst"), kind == LimitKind::kWindow
                                          ? "is for BUCKET: a WINDOW has none"
                                          : "is for BUCKET: MONTHLY counts by calendar months");
  }
}

inline void check_overrides(const Limit& limit, const Path& path, Problems& problems) {
  if (limit.overrides.empty()) return;
  if (limit.per == LimitPer::kCell) {
    problems.add(Path(path, "overrides"), "are for keys: a limit per CELL has none");
    return;
  }
  if (!check_count(limit.overrides.size(), kMaxOverrides, Path(path, "overrides"), problems))
    return;
  NameIndex seen;
  for (std::size_t i = 0; i < limit.overrides.size(); ++i) {
    const LimitOverride& entry = limit.overrides[i];
    const Path at(path, "overrides", i);
    if (entry.key.empty() || entry.key.size() > kMaxLimitKeyBytes) {
      problems.add(Path(at, "key"), "must have 1 to 1,024 bytes");
    } else if (!seen.add(entry.key, 0)) {
      problems.add(Path(at, "key"), check::quoted(entry.key) + " is given twice");
    }
    check_allowance(entry.requests, entry.burst, entry.unlimited, limit.kind, at, problems);
  }
}

inline constexpr const char* kPeriodOfMonths =
    "is for BUCKET and WINDOW: MONTHLY counts by calendar months";

// Whether both are parts of one limit of the fleet.
inline bool same_fleet_limit(const Limit& a, const Limit& b) {
  return a.scope == LimitScope::kFleet && b.scope == LimitScope::kFleet && a.kind == b.kind &&
         fleet_name_of(a) == fleet_name_of(b);
}

// What a store of leases can count.
inline void check_fleet_rate(const Limit& limit, const Path& path, Problems& problems) {
  if (limit.kind == LimitKind::kMonthly) {
    if (limit.period != Limit().period) problems.add(Path(path, "period"), kPeriodOfMonths);
    return;
  }
  if (limit.period < kMillisecond) {
    problems.add(Path(path, "period"), "must be at least 0.001s with scope FLEET");
  }
  if (limit.requests == 0 || limit.unlimited || limit.period > kMaxTime) return;
  __extension__ using Wide = unsigned __int128;
  const std::uint64_t burst = limit.burst == 0 ? limit.requests : limit.burst;
  const Wide back = static_cast<Wide>(limit.period) * burst / limit.requests;
  if (back > static_cast<Wide>(kMaxTime)) {
    problems.add(Path(path, "burst"), "takes more than 366 days to come back");
  }
}

inline void check_scope(const Limit& limit, const Path& path, Problems& problems) {
  if (limit.scope == LimitScope::kRouter) {
    if (limit.kind == LimitKind::kMonthly) {
      problems.add(Path(path, "kind"), "MONTHLY is counted by all routers: set scope: FLEET");
    }
    if (!limit.name.empty()) problems.add(Path(path, "name"), "is for scope FLEET: leave it out");
    return;
  }
  if (!fleet_name_ok(fleet_name_of(limit))) {
    problems.add(Path(path, "name"), "must be 1 to 64 letters, digits, - and _");
  }
  if (limit.per != LimitPer::kKey) {
    problems.add(Path(path, "per"), "must be KEY with scope FLEET");
  }
  if (limit.kind == LimitKind::kWindow) {
    problems.add(Path(path, "kind"), "must be BUCKET or MONTHLY with scope FLEET");
  }
  if (limit.on_exceed == OnExceed::kCount) {
    problems.add(Path(path, "on_exceed"),
                 "must be REFUSE with scope FLEET: to count alone, set kind: MONTHLY and "
                 "unlimited: true");
  }
  if (!limit.overrides.empty()) {
    problems.add(Path(path, "overrides"), "are for scope ROUTER: give the key a plan of its own");
  }
  check_fleet_rate(limit, path, problems);
}

// Of all parts together: one period, and not too many limits.
inline void check_fleet(const std::vector<Limit>& limits, const Path& policy, Problems& problems) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < limits.size(); ++i) {
    if (limits[i].scope != LimitScope::kFleet) continue;
    std::size_t first = 0;
    while (!same_fleet_limit(limits[first], limits[i])) ++first;
    if (first == i) ++count;
    if (limits[i].period == limits[first].period) continue;
    const Path path(policy, "limits", i);
    problems.add(Path(path, "period"), "differs from that of limits[" + std::to_string(first) +
                                           "], which has the same name: give one another name");
  }
  if (count > kMaxFleetLimits) {
    problems.add(Path(policy, "limits"), "has " + std::to_string(count) +
                                             " limits of scope FLEET by name and kind; at most " +
                                             std::to_string(kMaxFleetLimits) + " may be");
  }
}

// Several limits bind at once if they differ in `per`, `plan`, `kind` or `period`, or are of
// different scopes or names; otherwise one of them is a mistake.
inline void check_limits(const std::vector<Limit>& limits, const Path& policy, Problems& problems) {
  if (!check_count(limits.size(), kMaxLimits, Path(policy, "limits"), problems)) return;
  for (std::size_t i = 0; i < limits.size(); ++i) {
    const Limit& limit = limits[i];
    const Path path(policy, "limits", i);
    check_allowance(limit.requests, limit.burst, limit.unlimited, limit.kind, path, problems);
    check_time(limit.period, 1, Path(path, "period"), problems);
    if (!limit.plan.empty()) {
      if (std::string text = name_problem(limit.plan); !text.empty()) {
        problems.add(Path(path, "plan"), std::move(text));
      }
      if (limit.per == LimitPer::kCell) {
        problems.add(Path(path, "plan"), "is an attribute of keys: a limit per CELL has none");
      }
    }
    check_overrides(limit, path, problems);
    check_scope(limit, path, problems);
    for (std::size_t j = 0; j < i; ++j) {
      const Limit& other = limits[j];
      if (other.per != limit.per || other.plan != limit.plan || other.kind != limit.kind ||
          other.period != limit.period || other.scope != limit.scope ||
          fleet_name_of(other) != fleet_name_of(limit)) {
        continue;
      }
      problems.add(path, "has the per, plan, kind and period of limits[" + std::to_string(j) +
                             "]: keep one of the two");
      break;
    }
  }
  check_fleet(limits, policy, problems);
}

}  // namespace cellroute::check
