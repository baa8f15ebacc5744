// What every store of leases checks before it settles, in one wording.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "cellroute/guard/lease.hpp"
#include "cellroute/guard/limit.hpp"
#include "cellroute/lease_store.hpp"
#include "stores/put_rules.hpp"

namespace cellroute::stores {

inline Error check_fleet_name(std::string_view name) {
  if (fleet_name_ok(name)) return {};
  return invalid_argument("a fleet limit's name is not 1 to 64 letters, digits, - and _");
}

// Of kRate: nanoseconds until a whole burst has come back.
inline double rate_length(const FleetLimit& limit, const LeaseOrder& order) {
  return static_cast<double>(limit.period) / static_cast<double>(order.requests) *
         static_cast<double>(order.burst);
}

inline Error check_order(const FleetLimit& limit, const LeaseOrder& order, Nanos now) {
  if (Error error = check_fleet_name(limit.name); !error.ok()) return error;
  if (Error error = check_key(order.key); !error.ok()) return error;
  constexpr auto kMost = static_cast<std::int64_t>(kMaxFleetRequests);
  if (order.requests < 1 || order.requests > kMaxFleetRequests || order.wanted > guard::kMaxLease ||
      order.lasting < 0 || order.settled < -kMost || order.settled > kMost) {
    return invalid_argument(key_text(order.key) + ": a number of its lease is out of bounds");
  }
  if (limit.kind == FleetKind::kRate) {
    const bool ok = limit.period >= kMillisecond && limit.period <= guard::kMaxPeriod &&
                    order.burst >= 1 &&
                    rate_length(limit, order) <= static_cast<double>(guard::kMaxPeriod);
    if (!ok) return invalid_argument(key_text(order.key) + ": its rate is out of bounds");
    return {};
  }
  const Month month = month_of(now);
  const std::chrono::months one(1);
  if (order.settled == 0 || (order.month >= month - one && order.month <= month + one)) return {};
  return invalid_argument(key_text(order.key) +
                          ": what it settles is of a month that is too far away");
}

}  // namespace cellroute::stores
