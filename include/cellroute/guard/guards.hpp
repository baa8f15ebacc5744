// What stands between a chosen cell and the answer: breaker probe, in-flight cap, limits.
//
// admit() reserves in that order; a refusal gives back in reverse, so it consumes nothing. report()
// returns what the ticket holds and tells the breaker how the call went.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "cellroute/guard/breaker.hpp"
#include "cellroute/guard/cell_limit.hpp"
#include "cellroute/guard/in_flight.hpp"
#include "cellroute/guard/limit.hpp"
#include "cellroute/guard/limiter.hpp"
#include "cellroute/guard/region.hpp"

namespace cellroute {

// The guards of a cell, made ready off the path. Cells of one tier and region with the same breaker
// can share one. Thread safety: a plain value.
struct CellRules {
  BreakerRules breaker;
  InFlightRules in_flight;
  std::uint32_t limit_count = 0;
  std::array<LimitRule, guard::kMaxCellLimits> limits;  // per CELL, those that apply to all
};

// The errors of the parts, and more than 4 limits. `limits` are those of `per: CELL`.
Result<CellRules> compile_rules(const BreakerPolicy& breaker, const InFlightPolicy& in_flight,
                                std::span<const Limit> limits, std::uint32_t lanes);

// What a cell's breaker may count on when it opens: where `limited`, as in STATELESS pools, no more
// than max_ejected_percent of `cells` (the numbers of its tier and region) are ejected at once.
// Otherwise an opening asks nobody. Must outlive the call.
struct EjectionGroup {
  std::span<const std::uint32_t> cells;
  bool limited = false;
};

// A limit to charge a key's request to. `hash` is KeyLimiter::hash() of the key, or of key and
// resource.
struct KeyCharge {
  std::uint64_t hash = 0;
  const LimitRule* rule = nullptr;
};

enum class Refusal : std::uint8_t {
  kNone = 0,
  kUnhealthy,    // the cell's health mark
  kBreakerOpen,  // retry_after: until it lets probes through
  kProbesTaken,  // half-open, and as many probes as may be are out
  kInFlightFull,
  kKeyLimit,   // `limit` says which of the charges
  kCellLimit,  // `limit` says which of the rules' limits
};

struct Admission {
  Refusal refusal = Refusal::kNone;
  bool exceeded = false;  // admitted beyond a limit that only counts
  std::uint32_t limit = 0;
  Nanos retry_after = 0;  // 0: not known
  bool ok() const noexcept { return refusal == Refusal::kNone; }
};

// What admit() reserved. An admitted request hands it to report() once; copies of it must not be.
// Never reported: the in-flight entry expires after `in_flight.deadline`, a probe after
// `probe_deadline`. Thread safety: a plain value.
struct Ticket {
  static constexpr std::uint32_t kNoCell = 0xffff'ffff;

  std::uint32_t cell = kNoCell;
  std::uint32_t lane = 0;
  FlightTicket flight;
  BreakerTicket breaker;
  Nanos start = 0;

  bool empty() const noexcept { return cell == kNoCell; }
};

enum class OutcomeKind : std::uint8_t {
  kSuccess,
  kFailure,  // connect error, timeout, a status of breaker.failure_statuses
  kIgnored,  // says nothing about the cell: 4xx, the client's own abort
};

struct Outcome {
  OutcomeKind kind = OutcomeKind::kSuccess;
  bool slow = false;  // in addition to a call longer than breaker.slow_call since admit()
};

// Thread and process safety: as GuardRegion's.
class Guards {
 public:
  explicit Guards(const GuardRegion& region) noexcept : region_(region), limiter_(region) {}

  GuardRegion& region() noexcept { return region_; }
  const GuardRegion& region() const noexcept { return region_; }
  const KeyLimiter& limiter() const noexcept { return limiter_; }

  // Whether the cell's health and breaker would let a request through now: kNone, kUnhealthy,
  // kBreakerOpen or kProbesTaken. Reserves and changes nothing.
  Admission available(std::uint32_t cell, const CellRules& rules, Nanos now) const noexcept;

  // `cell` is a number from claim(), `lane` below geometry().lanes. Fills `ticket` where it admits
  // and leaves it empty where it refuses. More than kMaxKeyCharges charges are refused.
  // `cell_limits` is a bit for each of rules.limits that binds this request.
  Admission admit(std::uint32_t cell, std::uint32_t lane, const CellRules& rules,
                  std::span<const KeyCharge> charges, Nanos now, Ticket& ticket,
                  std::uint32_t cell_limits = ~0u) noexcept;

  // Ends the request and empties the ticket. A ticket that is empty, late, of another region or
  // made up changes nothing but as in_flight.hpp says. `rules` are those of the ticket's cell now.
  void report(Ticket& ticket, Outcome outcome, const CellRules& rules, const EjectionGroup& group,
              Nanos now) noexcept;

  // Requests in flight by the allowance lent to lanes: at most lanes × credit too many. One line.
  std::uint64_t in_flight_estimate(std::uint32_t cell) const noexcept;
  // Exactly, where nobody routes meanwhile. For metrics: a line a lane.
  std::uint64_t in_flight(std::uint32_t cell) const noexcept;

  static constexpr std::size_t kMaxKeyCharges = 8;

 private:
  GuardRegion region_;
  KeyLimiter limiter_;
};

}  // namespace cellroute
