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
#include "cellroute/guard/ticket.hpp"

namespace cellroute {

// The guards of a cell, made ready off the path. Cells of one tier and region with the same breaker
// can share one. Thread safety: a plain value.
struct CellRules {
  BreakerRules breaker;
  InFlightRules in_flight;
  std::uint32_t limit_count = 0;
  std::array<LimitRule, guard::kMaxCellLimits> limits;  // per CELL, those that apply to all
};

// `limits` are those of `per: CELL`, at most 4; `lanes` the guard region's. Errors: those of
// compile_breaker(), compile_in_flight() and compile_limit(), and too many limits.
Result<CellRules> compile_rules(const BreakerPolicy& breaker, const InFlightPolicy& in_flight,
                                std::span<const Limit> limits, std::uint32_t lanes);

// Thread and process safety: as GuardRegion's.
class Guards {
 public:
  static constexpr std::size_t kMaxKeyCharges = 8;

  explicit Guards(const GuardRegion& region) noexcept : region_(region), limiter_(region) {}

  GuardRegion& region() noexcept { return region_; }
  const GuardRegion& region() const noexcept { return region_; }
  const KeyLimiter& limiter() const noexcept { return limiter_; }

  // Whether the cell's health and breaker would let a request through now: kNone, kUnhealthy,
  // kBreakerOpen or kProbesTaken. Reserves and changes nothing.
  Admission available(std::uint32_t cell, const CellRules& rules, Nanos now) const noexcept;

  // `cell` is a number from claim(), `lane` below geometry().lanes. Fills `ticket` where it admits
  // and leaves it empty where it refuses. Charges beyond kMaxKeyCharges are refused, as kKeyLimit.
  // `cell_limits` is a bit for each of rules.limits that binds this request.
  Admission admit(std::uint32_t cell, std::uint32_t lane, const CellRules& rules,
                  std::span<const KeyCharge> charges, Nanos now, Ticket& ticket,
                  std::uint32_t cell_limits = ~0u) noexcept;

  // Ends the request and empties the ticket. A ticket that is empty, late, of another region or
  // made up changes nothing but as in_flight.hpp says. `rules` are those of the ticket's cell now.
  void report(Ticket& ticket, Outcome outcome, const CellRules& rules, const EjectionGroup& group,
              Nanos now) noexcept;

  // Requests in flight by the allowance lent to lanes: at most lanes × credit too many. One line.
  std::uint64_t in_flight_estimate(std::uint32_t cell) const noexcept {
    const guard::CellWords& state = region_.cell_words(cell);
    return guard::lent_in_all(state,
                              guard::turn_of(state.flight_wheel.load(std::memory_order_acquire)));
  }
  // Exactly, where nobody routes meanwhile. For metrics: a line a lane.
  std::uint64_t in_flight(std::uint32_t cell) const noexcept;

 private:
  bool reserve_limits(guard::CellWords& state, guard::LaneWords& lane, const CellRules& rules,
                      std::span<const KeyCharge> charges, Nanos now, std::uint32_t cell_limits,
                      Admission& admission) const noexcept;
  bool reserve_cell_limits(guard::CellWords& state, guard::LaneWords& lane, const CellRules& rules,
                           Nanos now, std::uint32_t cell_limits,
                           Admission& admission) const noexcept;
  static bool counts_only(const LimitRule& rule, guard::LaneWords& lane,
                          Admission& admission) noexcept {
    if (rule.on_exceed != OnExceed::kCount) return false;
    if (!admission.exceeded) lane.exceeded.fetch_add(1, std::memory_order_relaxed);
    admission.exceeded = true;
    return true;
  }

  GuardRegion region_;
  KeyLimiter limiter_;
};

inline Result<CellRules> compile_rules(const BreakerPolicy& breaker,
                                       const InFlightPolicy& in_flight,
                                       std::span<const Limit> limits, std::uint32_t lanes) {
  CellRules rules;
  Result<BreakerRules> breaker_rules = compile_breaker(breaker);
  if (!breaker_rules) return breaker_rules.error();
  rules.breaker = *breaker_rules;
  Result<InFlightRules> flight_rules = compile_in_flight(in_flight, lanes);
  if (!flight_rules) return flight_rules.error();
  rules.in_flight = *flight_rules;
  for (const Limit& limit : limits) {
    if (rules.limit_count == guard::kMaxCellLimits) {
      return invalid_argument("limits: at most 4 may be per CELL");
    }
    Result<LimitRule> rule = compile_limit(limit, lanes);
    if (!rule) return rule.error();
    rules.limits[rules.limit_count++] = *rule;
  }
  return rules;
}

inline Admission Guards::available(std::uint32_t cell, const CellRules& rules,
                                   Nanos now) const noexcept {
  Admission answer;
  if (!region_.healthy(cell)) {
    answer.refusal = Refusal::kUnhealthy;
    return answer;
  }
  switch (guard::BreakerOf(region_, cell).look(rules.breaker, now, answer.retry_after)) {
    case BreakerAnswer::kPass: answer.retry_after = 0; break;
    case BreakerAnswer::kOpen: answer.refusal = Refusal::kBreakerOpen; break;
    case BreakerAnswer::kProbesTaken: answer.refusal = Refusal::kProbesTaken; break;
  }
  return answer;
}

CELLROUTE_HOT inline Admission Guards::admit(std::uint32_t cell, std::uint32_t lane,
                                             const CellRules& rules,
                                             std::span<const KeyCharge> charges, Nanos now,
                                             Ticket& ticket, std::uint32_t cell_limits) noexcept {
  Admission answer;
  ticket.cell = Ticket::kNoCell;
  guard::CellWords& state = region_.cell_words(cell);
  guard::LaneWords& mine = region_.lane_words(lane, cell);
  if (!region_.healthy(cell)) {
    answer.refusal = Refusal::kUnhealthy;
    return answer;
  }
  guard::BreakerOf breaker(region_, cell);
  ticket.breaker = {};
  const BreakerAnswer passed = breaker.pass(rules.breaker, now, ticket.breaker, answer.retry_after);
  if (passed != BreakerAnswer::kPass) {
    answer.refusal = passed == BreakerAnswer::kOpen ? Refusal::kBreakerOpen : Refusal::kProbesTaken;
    return answer;
  }
  ticket.flight = {};
  if (!guard::enter_flight(state, mine, rules.in_flight, now, ticket.flight)) {
    breaker.withdraw(ticket.breaker);
    answer.refusal = Refusal::kInFlightFull;
    return answer;
  }
  const bool reserved = charges.empty()
                            ? reserve_cell_limits(state, mine, rules, now, cell_limits, answer)
                            : reserve_limits(state, mine, rules, charges, now, cell_limits, answer);
  if (!reserved) {
    guard::leave_flight(state, mine, rules.in_flight, ticket.flight);
    breaker.withdraw(ticket.breaker);
    return answer;
  }
  ticket.cell = cell;
  ticket.lane = lane;
  ticket.start = now;
  return answer;
}

// The keys' limits in order, then the cell's; what was taken goes back in reverse.
inline bool Guards::reserve_limits(guard::CellWords& state, guard::LaneWords& lane,
                                   const CellRules& rules, std::span<const KeyCharge> charges,
                                   Nanos now, std::uint32_t cell_limits,
                                   Admission& admission) const noexcept {
  LimitTaken taken[kMaxKeyCharges];
  std::uint32_t done = 0;
  admission.refusal = Refusal::kKeyLimit;
  for (; done < charges.size(); ++done) {
    if (done == kMaxKeyCharges) break;
    const LimitRule& rule = *charges[done].rule;
    taken[done].word = nullptr;
    if (rule.unlimited) continue;
    taken[done] = limiter_.take(charges[done].hash, rule, now);
    if (taken[done].admitted || counts_only(rule, lane, admission)) continue;
    admission.retry_after = taken[done].retry_after;
    break;
  }
  if (done < charges.size()) {
    admission.limit = done;
  } else {
    admission.refusal = Refusal::kNone;
    if (reserve_cell_limits(state, lane, rules, now, cell_limits, admission)) return true;
  }
  while (done > 0) {
    --done;
    taken[done].cancel(*charges[done].rule);
  }
  return false;
}

CELLROUTE_HOT inline bool Guards::reserve_cell_limits(guard::CellWords& state,
                                                      guard::LaneWords& lane,
                                                      const CellRules& rules, Nanos now,
                                                      std::uint32_t cell_limits,
                                                      Admission& admission) const noexcept {
  guard::CellLimitUndo undo[guard::kMaxCellLimits];
  std::uint32_t admitted = 0;
  for (std::uint32_t i = 0; i < rules.limit_count; ++i) {
    const LimitRule& rule = rules.limits[i];
    if (rule.unlimited || (cell_limits >> i & 1) == 0) continue;
    Nanos retry_after = 0;
    if (guard::take_cell_limit(state, lane, rule, i, now, undo[i], retry_after)) {
      admitted |= 1u << i;
    } else if (!counts_only(rule, lane, admission)) {
      admission.refusal = Refusal::kCellLimit;
      admission.limit = i;
      admission.retry_after = retry_after;
      while (i-- > 0) {
        if ((admitted >> i & 1) == 0) continue;
        guard::cancel_cell_limit(lane, rules.limits[i], i, now, undo[i]);
      }
      return false;
    }
  }
  return true;
}

inline void Guards::report(Ticket& ticket, Outcome outcome, const CellRules& rules,
                           const EjectionGroup& group, Nanos now) noexcept {
  const std::uint32_t cell = ticket.cell;
  ticket.cell = Ticket::kNoCell;
  if (cell >= region_.geometry().cells || ticket.lane >= region_.geometry().lanes) return;
  guard::LaneWords& lane = region_.lane_words(ticket.lane, cell);
  guard::leave_flight(region_.cell_words(cell), lane, rules.in_flight, ticket.flight);
  guard::BreakerOf breaker(region_, cell);
  if (outcome.kind == OutcomeKind::kIgnored) {
    breaker.ignore(ticket.breaker);
    return;
  }
  const bool slow = outcome.slow || (rules.breaker.slow_call != 0 &&
                                     elapsed_since(ticket.start, now) >= rules.breaker.slow_call);
  breaker.record(rules.breaker, lane, ticket.breaker, outcome.kind == OutcomeKind::kFailure, slow,
                 group, now);
}

inline std::uint64_t Guards::in_flight(std::uint32_t cell) const noexcept {
  const std::uint64_t turn =
      guard::turn_of(region_.cell_words(cell).flight_wheel.load(std::memory_order_acquire));
  std::uint64_t sum = 0;
  for (std::uint32_t lane = 0; lane < region_.geometry().lanes; ++lane) {
    const guard::LaneWords& state = region_.lane_words(lane, cell);
    for (std::uint64_t i = 0; i < guard::kFlightSlots; ++i) {
      const std::uint64_t word = state.flight[i].load(std::memory_order_relaxed);
      if (guard::turn_of(word) == guard::slot_turn(i, turn)) sum += guard::entries_of(word);
    }
  }
  return sum;
}

}  // namespace cellroute
