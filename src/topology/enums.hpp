// The schema's enums and the struct's. Both count from 0 in the same order.
#pragma once

#include <optional>

#include "cellroute/topology.hpp"
#include "topology/cellroute.pb.h"

namespace cellroute::loading {

// The highest value of each of the struct's enums, and of the schema's counterpart.
template <class Enum>
struct Counterpart;

#define CELLROUTE_COUNTERPART(Ours, kLast, Theirs, LAST)                       \
  template <>                                                                  \
  struct Counterpart<Ours> {                                                   \
    using Schema = Theirs;                                                     \
    static constexpr int kHighest = static_cast<int>(Ours::kLast);             \
    static_assert(kHighest == static_cast<int>(LAST), "the two enums differ"); \
  }
CELLROUTE_COUNTERPART(CellState, kOffline, v1::Cell::State, v1::Cell::OFFLINE);
CELLROUTE_COUNTERPART(Health, kUnhealthy, v1::Cell::Health, v1::Cell::UNHEALTHY);
CELLROUTE_COUNTERPART(Affinity, kStateless, v1::Policy::Affinity, v1::Policy::STATELESS);
CELLROUTE_COUNTERPART(Unassigned, kReject, v1::Policy::Unassigned, v1::Policy::REJECT);
CELLROUTE_COUNTERPART(Selection, kLeastLoad, v1::Policy::Selection, v1::Policy::LEAST_LOAD);
CELLROUTE_COUNTERPART(RiskMode, kRequire, v1::Risk::Mode, v1::Risk::REQUIRE);
CELLROUTE_COUNTERPART(LimitPer, kCell, v1::Limit::Per, v1::Limit::CELL);
CELLROUTE_COUNTERPART(LimitKind, kWindow, v1::Limit::Kind, v1::Limit::WINDOW);
CELLROUTE_COUNTERPART(OnExceed, kCount, v1::Limit::OnExceed, v1::Limit::COUNT);
CELLROUTE_COUNTERPART(TenantCase, kLower, v1::TenantSource::Case, v1::TenantSource::LOWER);
CELLROUTE_COUNTERPART(OnDisagreement, kFirst, v1::Tenant::Disagreement, v1::Tenant::FIRST);
#undef CELLROUTE_COUNTERPART

// Nothing for a number that this release has no name for (proto3's enums are open).
template <class Enum>
std::optional<Enum> enum_from_schema(typename Counterpart<Enum>::Schema value) {
  const int number = static_cast<int>(value);
  if (number < 0 || number > Counterpart<Enum>::kHighest) return std::nullopt;
  return static_cast<Enum>(number);
}

template <class Enum>
typename Counterpart<Enum>::Schema enum_to_schema(Enum value) {
  return static_cast<typename Counterpart<Enum>::Schema>(value);
}

}  // namespace cellroute::loading
