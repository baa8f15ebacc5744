// What stands between a chosen cell and the answer: breaker probe, in-flight cap, limits.
//
// admit() reserves in that order; a refusal gives back in reverse, so it consumes nothing. report()
// returns what the ticket holds and tells the breaker how the call went.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "cellroute/fleet_limit.hpp"
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
  std::array<LimitRule, guard::kMaxCellLimits> limits;  // per CELL
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

  // Asks the memory for what available() reads, and admit() besides, and does not wait for it.
  CELLROUTE_HOT void prefetch(std::uint32_t cell) const noexcept {
    guard::prefetch_line(&region_.cell_words(cell));
  }
  CELLROUTE_HOT void prefetch(std::uint32_t cell, std::uint32_t lane) const noexcept {
    prefetch(cell);
    guard::LaneWords& mine = region_.lane_words(lane, cell);
    guard::prefetch_line(mine.flight);
    guard::prefetch_line(&mine.calls);
  }

  // `cell` is a number from claim(), `lane` below geometry().lanes. Fills `ticket` where it admits
  // and leaves it empty where it refuses. Charges beyond kMaxKeyCharges are refused, as kKeyLimit.
  Admission admit(std::uint32_t cell, std::uint32_t lane, const CellRules& rules,
                  std::span<const KeyCharge> charges, Nanos now, Ticket& ticket) noexcept;

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
  // Admissions beyond a limit that only counts, since the region began. A line a lane.
  std::uint64_t exceeded(std::uint32_t cell) const noexcept;

 private:
  void withdraw(std::uint32_t cell, guard::CellWords& state, guard::LaneWords& lane,
                const CellRules& rules, Ticket ticket) noexcept;
  Admission reserve_key_limits(guard::CellWords& state, guard::LaneWords& lane,
                               const CellRules& rules, std::span<const KeyCharge> charges,
                               Nanos now) const noexcept;
  static Admission reserve_fleet_limits(guard::CellWords& state, guard::LaneWords& lane,
                                        const CellRules& rules, std::span<const KeyCharge> charges,
                                        std::uint32_t before, Nanos now) noexcept;
  static Admission reserve_cell_limits(guard::CellWords& state, guard::LaneWords& lane,
                                       const CellRules& rules, Nanos now) noexcept;
  static Admission borrow_cell_limits(guard::CellWords& state, guard::LaneWords& lane,
                                      const CellRules& rules, std::uint32_t first,
                                      Nanos now) noexcept;
  void tell_breaker(std::uint32_t cell, guard::LaneWords& lane, const BreakerTicket& ticket,
                    Outcome outcome, const CellRules& rules, const EjectionGroup& group,
                    Nanos now) noexcept;
  static bool counts_only(const LimitRule& rule, Admission& admission) noexcept {
    if (rule.on_exceed != OnExceed::kCount) return false;
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
    if (limit.unlimited) continue;
    if (rules.limit_count == guard::kMaxCellLimits) {
      return invalid_argument("limits: at most 4 may be per CELL");
    }
    Result<LimitRule> rule = compile_limit(limit, lanes);
    if (!rule) return rule.error();
    rules.limits[rules.limit_count++] = *rule;
  }
  return rules;
}

namespace guard {

inline Admission admission_of(BreakerAnswer answer, Nanos retry_after) noexcept {
  switch (answer) {
    case BreakerAnswer::kOpen: return {Refusal::kBreakerOpen, false, 0, retry_after};
    case BreakerAnswer::kProbesTaken: return {Refusal::kProbesTaken, false, 0, retry_after};
    case BreakerAnswer::kPass: break;
  }
  return {};
}

}  // namespace guard

inline Admission Guards::available(std::uint32_t cell, const CellRules& rules,
                                   Nanos now) const noexcept {
  if (!region_.healthy(cell)) return {.refusal = Refusal::kUnhealthy};
  Nanos retry_after = 0;
  const BreakerAnswer answer =
      guard::BreakerOf(region_, cell).look(rules.breaker, now, retry_after);
  return guard::admission_of(answer, retry_after);
}

// What a cold function needs by address is made where it is called, so that the rest stays in
// registers.
CELLROUTE_HOT inline Admission Guards::admit(std::uint32_t cell, std::uint32_t lane,
                                             const CellRules& rules,
                                             std::span<const KeyCharge> charges, Nanos now,
                                             Ticket& ticket) noexcept {
  ticket = {};
  guard::CellWords& state = region_.cell_words(cell);
  guard::LaneWords& mine = region_.lane_words(lane, cell);
  guard::prefetch_line(mine.flight);
  guard::prefetch_line(&mine.calls);
  if (!region_.healthy(cell)) [[unlikely]]
    return {.refusal = Refusal::kUnhealthy};
  Nanos retry_after = 0;
  const BreakerAnswer passed =
      guard::BreakerOf(region_, cell).pass(rules.breaker, now, ticket.breaker, retry_after);
  if (passed != BreakerAnswer::kPass) [[unlikely]]
    return guard::admission_of(passed, retry_after);
  if (!guard::enter_flight(state, mine, rules.in_flight, now, ticket.flight)) [[unlikely]] {
    withdraw(cell, state, mine, rules, ticket);
    ticket = {};
    return {.refusal = Refusal::kInFlightFull};
  }
  const Admission admission = charges.empty()
                                  ? reserve_cell_limits(state, mine, rules, now)
                                  : reserve_key_limits(state, mine, rules, charges, now);
  if (!admission.ok()) [[unlikely]] {
    withdraw(cell, state, mine, rules, ticket);
    ticket = {};
    return admission;
  }
  if (admission.exceeded) [[unlikely]]
    mine.exceeded.fetch_add(1, std::memory_order_relaxed);
  ticket.cell = cell;
  ticket.lane = lane;
  ticket.start = now;
  return admission;
}

// Gives back what another guard's refusal makes void.
CELLROUTE_COLD inline void Guards::withdraw(std::uint32_t cell, guard::CellWords& state,
                                            guard::LaneWords& lane, const CellRules& rules,
                                            Ticket ticket) noexcept {
  guard::leave_flight(state, lane, rules.in_flight, ticket.flight);
  guard::BreakerOf(region_, cell).withdraw(ticket.breaker);
}

// The keys' limits in order, the fleet's, then the cell's; what was taken goes back in reverse.
inline Admission Guards::reserve_key_limits(guard::CellWords& state, guard::LaneWords& lane,
                                            const CellRules& rules,
                                            std::span<const KeyCharge> charges,
                                            Nanos now) const noexcept {
  LimitTaken taken[kMaxKeyCharges];
  Admission admission;
  std::uint32_t done = 0;
  for (; done < charges.size() && done < kMaxKeyCharges; ++done) {
    const LimitRule& rule = *charges[done].rule;
    taken[done].word = nullptr;
    if (rule.unlimited) [[unlikely]] {
      if (rule.fleet == nullptr) continue;
      break;
    }
    taken[done] = limiter_.take(charges[done].hash, rule, now);
    if (taken[done].admitted || counts_only(rule, admission)) continue;
    admission.retry_after = taken[done].retry_after;
    break;
  }
  const bool exceeded = admission.exceeded;
  if (done == charges.size()) {
    admission = reserve_cell_limits(state, lane, rules, now);
  } else if (done < kMaxKeyCharges && charges[done].rule->fleet != nullptr) {
    admission = reserve_fleet_limits(state, lane, rules, charges.subspan(done), done, now);
  } else {
    admission.refusal = Refusal::kKeyLimit;
    admission.limit = done;
  }
  admission.exceeded = admission.exceeded || exceeded;
  if (admission.ok()) return admission;
  while (done > 0) {
    --done;
    taken[done].cancel(*charges[done].rule);
  }
  return admission;
}

// `charges` are all the fleet's, behind `before` others; then the cell's limits. A token goes back
// as long as its lease is there.
CELLROUTE_COLD inline Admission Guards::reserve_fleet_limits(
    guard::CellWords& state, guard::LaneWords& lane, const CellRules& rules,
    std::span<const KeyCharge> charges, std::uint32_t before, Nanos now) noexcept {
  std::array<FleetTaken, kMaxFleetLimits> taken;
  Admission admission;
  std::uint32_t done = 0;
  for (; done < charges.size() && done < taken.size(); ++done) {
    const LimitRule& rule = *charges[done].rule;
    taken[done] = rule.fleet->take(*charges[done].key, rule.fleet_plan, now);
    if (taken[done].admitted) continue;
    admission.retry_after = taken[done].retry_after;
    break;
  }
  if (done < charges.size()) {
    admission.refusal = Refusal::kFleetLimit;
    admission.limit = before + done;
  } else {
    admission = reserve_cell_limits(state, lane, rules, now);
    if (admission.ok()) return admission;
  }
  while (done > 0) {
    --done;
    charges[done].rule->fleet->cancel(taken[done]);
  }
  return admission;
}

// From the lane's credits as long as they last.
CELLROUTE_HOT inline Admission Guards::reserve_cell_limits(guard::CellWords& state,
                                                           guard::LaneWords& lane,
                                                           const CellRules& rules,
                                                           Nanos now) noexcept {
  const LimitRule* const first = rules.limits.data();
  const LimitRule* const end = first + rules.limit_count;
  guard::Word* credit = lane.credits;
  for (const LimitRule* rule = first; rule != end; ++rule, ++credit) {
    if (!guard::take_credit(*credit, *rule, now)) [[unlikely]] {
      const auto i = static_cast<std::uint32_t>(rule - first);
      return borrow_cell_limits(state, lane, rules, i, now);
    }
  }
  return {};
}

// The limits from `first` on, those before having been taken from credit.
CELLROUTE_COLD inline Admission Guards::borrow_cell_limits(guard::CellWords& state,
                                                           guard::LaneWords& lane,
                                                           const CellRules& rules,
                                                           std::uint32_t first,
                                                           Nanos now) noexcept {
  guard::CellLimitUndo undo[guard::kMaxCellLimits] = {};
  std::uint32_t admitted = (1u << first) - 1;
  Admission admission;
  for (std::uint32_t i = first; i < rules.limit_count; ++i) {
    const LimitRule& rule = rules.limits[i];
    Nanos retry_after = 0;
    if (guard::take_cell_limit(state, lane, rule, i, now, undo[i], retry_after)) {
      admitted |= 1u << i;
    } else if (!counts_only(rule, admission)) {
      admission.refusal = Refusal::kCellLimit;
      admission.limit = i;
      admission.retry_after = retry_after;
      while (i-- > 0) {
        if ((admitted >> i & 1) == 0) continue;
        guard::cancel_cell_limit(lane, rules.limits[i], i, now, undo[i]);
      }
      break;
    }
  }
  return admission;
}

CELLROUTE_HOT inline void Guards::report(Ticket& ticket, Outcome outcome, const CellRules& rules,
                                         const EjectionGroup& group, Nanos now) noexcept {
  const std::uint32_t cell = ticket.cell;
  ticket.cell = Ticket::kNoCell;
  if (cell >= region_.geometry().cells || ticket.lane >= region_.geometry().lanes) return;
  guard::LaneWords& lane = region_.lane_words(ticket.lane, cell);
  guard::leave_flight(region_.cell_words(cell), lane, rules.in_flight, ticket.flight);
  const bool slow = outcome.slow || (rules.breaker.slow_call != 0 &&
                                     elapsed_since(ticket.start, now) >= rules.breaker.slow_call);
  if (outcome.kind == OutcomeKind::kSuccess && !slow &&
      guard::BreakerOf(region_, cell).record_plain(rules.breaker, lane, ticket.breaker, now))
      [[likely]]
    return;
  tell_breaker(cell, lane, ticket.breaker, {outcome.kind, slow}, rules, group, now);
}

CELLROUTE_COLD inline void Guards::tell_breaker(std::uint32_t cell, guard::LaneWords& lane,
                                                const BreakerTicket& ticket, Outcome outcome,
                                                const CellRules& rules, const EjectionGroup& group,
                                                Nanos now) noexcept {
  guard::BreakerOf breaker(region_, cell);
  if (outcome.kind == OutcomeKind::kIgnored) return breaker.ignore(ticket);
  breaker.record(rules.breaker, lane, ticket, outcome.kind == OutcomeKind::kFailure, outcome.slow,
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

inline std::uint64_t Guards::exceeded(std::uint32_t cell) const noexcept {
  std::uint64_t sum = 0;
  for (std::uint32_t lane = 0; lane < region_.geometry().lanes; ++lane) {
    sum += region_.lane_words(lane, cell).exceeded.load(std::memory_order_relaxed);
  }
  return sum;
}

}  // namespace cellroute
