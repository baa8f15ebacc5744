// Limits, made ready for the path, and their arithmetic on one 64-bit word.
//
// BUCKET is the generic cell rate algorithm in its virtual scheduling form (ITU-T I.371, Annex A):
// the word is the theoretical arrival time in nanoseconds. The interval of a request is rounded up
// to a whole nanosecond, so the rate is never above the limit's, and below it by less than 1 ns a
// request. WINDOW is in window.hpp. Both are pure functions; limiter.hpp and cell_limit.hpp keep
// the words.
//
// Clock: time that steps back refills nothing; a key waits until time is where it was. A state more
// than an hour beyond what the limit can reach comes from a clock that has been corrected since: it
// counts as used up now, so that no key stays refused for as long as the clock was wrong.
#pragma once

#include <cstdint>
#include <string>

#include "cellroute/guard/layout.hpp"
#include "cellroute/guard/window.hpp"
#include "cellroute/hash.hpp"
#include "cellroute/status.hpp"
#include "cellroute/time.hpp"
#include "cellroute/topology.hpp"

namespace cellroute {

class FleetLimiter;

// A Limit, or one of its overrides, off the path. Thread safety: a plain value.
struct LimitRule {
  LimitKind kind = LimitKind::kBucket;
  OnExceed on_exceed = OnExceed::kRefuse;
  bool unlimited = false;
  std::uint32_t credit = 0;    // CELL: what a lane borrows at once; 0: it asks for each
  std::uint64_t interval = 0;  // BUCKET: nanoseconds a request takes
  std::uint64_t ahead = 0;     // BUCKET: nanoseconds the bucket holds
  WindowRule window;           // WINDOW
  // Keys that share a set's overflow are held to a bucket, whatever their own kind: one that admits
  // no more than the limit.
  std::uint64_t spill_interval = 0;
  std::uint64_t spill_ahead = 0;
  std::uint64_t signature = 0;  // whose state it is: limits that differ share none
  // Of scope FLEET, which is unlimited for the router by itself: what takes in its place, and the
  // plan's number there.
  const FleetLimiter* fleet = nullptr;
  std::uint16_t fleet_plan = 0;
};

namespace guard {

inline constexpr std::uint64_t kClockError = 3'600 * std::uint64_t{kSecond};
inline constexpr Nanos kMaxPeriod = 366 * 86'400 * kSecond;
inline constexpr std::uint64_t kMarkBit = std::uint64_t{1} << 63;  // see limiter.hpp
inline constexpr std::uint64_t kEndOfTime = static_cast<std::uint64_t>(INT64_MAX);

// What a take makes of a state. Not admitted, `next` is the state as it was, or brought to a
// corrected clock: to be written all the same.
struct Taken {
  bool admitted = false;
  std::uint64_t next = 0;
  Nanos retry_after = 0;
};

constexpr std::uint64_t nanos_of(Nanos now) noexcept {
  return now < 0 ? 0 : static_cast<std::uint64_t>(now);
}

// Takes `count` (at least 1) from a bucket. All sums stay below 2^64: times are below 2^63, lengths
// at most a year.
constexpr Taken take_from_bucket(std::uint64_t interval, std::uint64_t ahead, std::uint64_t arrival,
                                 std::uint64_t count, Nanos now) noexcept {
  const std::uint64_t at = nanos_of(now);
  std::uint64_t base = arrival > at ? arrival : at;
  if (base - at > ahead + kClockError) base = arrival = at + ahead;
  const std::uint64_t next = base + interval * count;
  if (next - at > ahead || next > kEndOfTime) {
    return {false, arrival, static_cast<Nanos>(next - at > ahead ? next - at - ahead : 0)};
  }
  return {true, next, 0};
}

constexpr std::uint64_t divide_up(std::uint64_t a, std::uint64_t b) noexcept {
  return a / b + (a % b == 0 ? 0 : 1);
}

inline std::uint64_t signature_of(const Limit& limit, std::uint64_t requests, std::uint64_t burst) {
  std::uint64_t h = hash_bytes(0, limit.plan);
  for (const std::uint64_t part :
       {static_cast<std::uint64_t>(limit.per), static_cast<std::uint64_t>(limit.kind), requests,
        static_cast<std::uint64_t>(limit.period), burst}) {
    h = mix(h ^ part) + 1;
  }
  return h == 0 ? 1 : h;
}

inline Error check_limit(const Limit& limit, std::uint64_t requests) {
  if (requests == 0) return invalid_argument("limit: requests must be at least 1");
  if (limit.period < 1 || limit.period > kMaxPeriod) {
    return invalid_argument("limit: period must be positive and at most 366 days");
  }
  if (limit.kind == LimitKind::kMonthly) {
    return invalid_argument("limit: a router by itself counts no months: MONTHLY is of a fleet");
  }
  if (limit.kind == LimitKind::kWindow && requests > kMaxWindowRequests) {
    return invalid_argument("limit: a WINDOW counts at most 58,720,256 requests; use BUCKET");
  }
  return {};
}

// Of what a cell's limit allows, an eighth at most is lent out at once: what lanes hold unused is
// set aside from the burst, so that it can never come on top.
inline void lend_to_lanes(LimitRule& rule, std::uint64_t at_once, std::uint64_t lanes) noexcept {
  constexpr std::uint64_t kMost = 64;
  const std::uint64_t share = at_once / (8 * lanes);
  rule.credit = static_cast<std::uint32_t>(share < kMost ? share : kMost);
  rule.ahead -= rule.credit * lanes * rule.interval;
}

inline Result<LimitRule> compile_limit(const Limit& limit, std::uint64_t requests,
                                       std::uint64_t burst, std::uint32_t lanes) {
  if (Error error = check_limit(limit, requests); !error.ok()) return error;
  if (burst == 0) burst = requests;
  const auto period = static_cast<std::uint64_t>(limit.period);
  LimitRule rule;
  rule.kind = limit.kind;
  rule.on_exceed = limit.on_exceed;
  rule.signature = signature_of(limit, requests, burst);
  if (limit.kind == LimitKind::kWindow) {
    rule.window = window_rule(requests, period);
    const std::uint64_t half = (requests + 1) / 2;
    rule.spill_interval = requests == half ? period : divide_up(period, requests - half);
    rule.spill_ahead = half * rule.spill_interval;
    if (limit.per == LimitPer::kCell) lend_to_lanes(rule, requests / 5, lanes);
    return rule;
  }
  rule.interval = divide_up(period, requests);
  if (burst > static_cast<std::uint64_t>(kMaxPeriod) / rule.interval) {
    return invalid_argument("limit: a burst of " + std::to_string(burst) +
                            " takes more than 366 days to come back");
  }
  rule.ahead = burst * rule.interval;
  rule.spill_interval = rule.interval;
  rule.spill_ahead = rule.ahead;
  if (limit.per == LimitPer::kCell) lend_to_lanes(rule, burst, lanes);
  return rule;
}

inline LimitRule unlimited_rule() noexcept {
  LimitRule rule;
  rule.unlimited = true;
  return rule;
}

}  // namespace guard

// `lanes` is the guard region's. Errors: kInvalidArgument (requests 0, a period that is not
// positive or above 366 days, a WINDOW of more than 58,720,256 requests, a burst that takes more
// than 366 days to come back).
inline Result<LimitRule> compile_limit(const Limit& limit, std::uint32_t lanes) {
  if (limit.unlimited) return guard::unlimited_rule();
  return guard::compile_limit(limit, limit.requests, limit.burst, lanes == 0 ? 1 : lanes);
}
inline Result<LimitRule> compile_limit(const Limit& limit, const LimitOverride& own,
                                       std::uint32_t lanes) {
  if (own.unlimited) return guard::unlimited_rule();
  return guard::compile_limit(limit, own.requests, own.burst, lanes == 0 ? 1 : lanes);
}

namespace guard {

// Takes `count` from a limit's own word.
constexpr Taken take(const LimitRule& rule, std::uint64_t state, std::uint64_t count,
                     Nanos now) noexcept {
  if (rule.kind == LimitKind::kBucket) {
    return take_from_bucket(rule.interval, rule.ahead, state, count, now);
  }
  const WindowTaken taken = take_from_window(rule.window, state, count, nanos_of(now));
  return {taken.admitted, taken.next, static_cast<Nanos>(taken.retry_after)};
}

// Undoes a take that led from `before` to `after`. Where nobody took since, the word is as it was.
// Where others did, exactly the one is taken off again if it can be told: of a bucket while it has
// not emptied in between, of a window while its sub-slot lasts; otherwise it stays counted.
inline void give_back(const LimitRule& rule, Word& word, std::uint64_t before, std::uint64_t after,
                      std::uint64_t interval) noexcept {
  std::uint64_t state = after;
  if (word.compare_exchange_strong(state, before, std::memory_order_acq_rel)) return;
  while ((state & kMarkBit) == 0) {  // a marked word is another key's by now
    std::uint64_t next = 0;
    if (interval != 0) {
      const std::uint64_t moved = state > after ? state - after : after - state;
      if (moved % interval != 0 || state < interval) return;
      next = state - interval;
    } else if (!untake_from_window(rule.window, state, after, next)) {
      return;
    }
    if (word.compare_exchange_weak(state, next, std::memory_order_acq_rel)) return;
  }
}

}  // namespace guard
}  // namespace cellroute
