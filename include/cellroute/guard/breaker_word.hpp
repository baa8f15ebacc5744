// A breaker's state in one word, so that every change of it is one compare-and-set:
//   kind (2 bits), openings in a row (6), probes that succeeded (4), probes lost (4),
//   generation (16), since when (32 bits of 1.05 ms, which wrap after 52 days).
// Zero is closed and never opened. And the words of its probes.
#pragma once

#include <cstdint>

#include "cellroute/guard/layout.hpp"
#include "cellroute/guard/wheel.hpp"
#include "cellroute/hash.hpp"
#include "cellroute/status.hpp"
#include "cellroute/time.hpp"
#include "cellroute/topology.hpp"

namespace cellroute {

// A BreakerPolicy made ready for the path. Thread safety: a plain value.
struct BreakerRules {
  std::uint32_t consecutive_failures = 0;  // 0: off
  std::uint32_t failure_rate = 0;          // thousandths; 0: off
  std::uint32_t slow_rate = 0;             // thousandths; 0: off
  std::uint32_t minimum_calls = 1;
  Nanos slow_call = 0;      // 0: none is slow
  std::uint64_t tenth = 1;  // of the window, in ticks of wheel.hpp
  Nanos open = kSecond;
  Nanos open_max = kSecond;
  std::uint32_t probes = 1;          // 1 to 8
  std::uint64_t probe_deadline = 1;  // in ticks
  std::uint32_t max_ejected_percent = 100;

  bool on() const noexcept { return (consecutive_failures | failure_rate | slow_rate) != 0; }
  bool rates() const noexcept { return (failure_rate | slow_rate) != 0; }
};

namespace guard {

enum class BreakerKind : std::uint8_t { kClosed = 0, kOpen = 1, kHalfOpen = 2 };

inline constexpr std::uint32_t kGenerationMask = 0xffff;
inline constexpr std::uint32_t kMaxOpenings = 63;
inline constexpr std::uint32_t kMomentShift = 20;
inline constexpr Nanos kMaxOpen = 7 * 86'400 * kSecond;  // well below half a wrap

struct Breaker {
  BreakerKind kind = BreakerKind::kClosed;
  std::uint32_t openings = 0;
  std::uint32_t successes = 0;
  std::uint32_t losses = 0;
  std::uint32_t generation = 0;  // each opening begins another
  std::uint32_t since = 0;       // a moment()
};

constexpr bool is_closed(std::uint64_t word) noexcept { return (word & 3) == 0; }
constexpr std::uint32_t generation_of(std::uint64_t word) noexcept {
  return static_cast<std::uint32_t>(word >> 16) & kGenerationMask;
}

constexpr Breaker unpack(std::uint64_t word) noexcept {
  Breaker b;
  b.kind = static_cast<BreakerKind>(word & 3);
  b.openings = static_cast<std::uint32_t>(word >> 2 & 63);
  b.successes = static_cast<std::uint32_t>(word >> 8 & 15);
  b.losses = static_cast<std::uint32_t>(word >> 12 & 15);
  b.generation = generation_of(word);
  b.since = static_cast<std::uint32_t>(word >> 32);
  return b;
}

constexpr std::uint64_t pack(const Breaker& b) noexcept {
  return static_cast<std::uint64_t>(b.kind) | std::uint64_t{b.openings & 63} << 2 |
         std::uint64_t{b.successes & 15} << 8 | std::uint64_t{b.losses & 15} << 12 |
         std::uint64_t{b.generation & kGenerationMask} << 16 | std::uint64_t{b.since} << 32;
}

constexpr std::uint32_t moment(Nanos now) noexcept {
  return now < 0 ? 0 : static_cast<std::uint32_t>(static_cast<std::uint64_t>(now) >> kMomentShift);
}

// Moments since; negative where the clock stepped back.
constexpr std::int64_t moments_since(std::uint32_t since, Nanos now) noexcept {
  return static_cast<std::int32_t>(moment(now) - since);
}

// How long the opening lasts, in moments: `open`, doubled with each opening in a row up to
// `open_max`, less up to a fifth by cell and opening, so that cells which failed together do not
// come back together and no opening outlasts the policy. The same on every router.
constexpr std::int64_t open_moments(const BreakerRules& rules, std::uint32_t openings,
                                    std::uint64_t cell_hash) noexcept {
  std::uint64_t length = static_cast<std::uint64_t>(rules.open);
  const std::uint64_t most = static_cast<std::uint64_t>(rules.open_max);
  for (std::uint32_t i = 1; i < openings && length < most; ++i) length *= 2;
  if (length > most) length = most;
  length -= scale(mix(cell_hash, openings), length / 5);
  const std::uint64_t moments = length >> kMomentShift;
  return static_cast<std::int64_t>(moments == 0 ? 1 : moments);
}

// The state after one more opening. In a row: out of half-open, or out of a closed time shorter
// than the last open time, so that a cell which comes and goes is left alone for longer each time.
constexpr Breaker opened(const Breaker& from, const BreakerRules& rules, std::uint64_t cell_hash,
                         Nanos now) noexcept {
  Breaker next;
  next.kind = BreakerKind::kOpen;
  const bool in_a_row = from.openings > 0 && (from.kind != BreakerKind::kClosed ||
                                              moments_since(from.since, now) <
                                                  open_moments(rules, from.openings, cell_hash));
  next.openings = !in_a_row ? 1 : from.openings < kMaxOpenings ? from.openings + 1 : kMaxOpenings;
  next.generation = from.generation + 1;
  next.since = moment(now);
  return next;
}

// A probe's place: taken (bit 63), breaker generation (16 bits), use (7), start (40 bits of ticks).
inline constexpr std::uint64_t kTaken = std::uint64_t{1} << 63;
inline constexpr std::uint64_t kUseMask = std::uint64_t{127} << 40;
constexpr std::uint64_t probe_word(std::uint64_t was, std::uint32_t generation,
                                   Nanos now) noexcept {
  return kTaken | std::uint64_t{generation & kGenerationMask} << 47 |
         ((was + (std::uint64_t{1} << 40)) & kUseMask) | ticks(now);
}
constexpr std::uint32_t probe_generation(std::uint64_t word) noexcept {
  return static_cast<std::uint32_t>(word >> 47) & kGenerationMask;
}

// Ticks until the probe in this place is given up; 0: the place is free. A probe that seems to have
// begun more than a deadline from now began before the clock was corrected, and is given up too.
constexpr std::uint64_t probe_ticks_left(std::uint64_t word, std::uint64_t deadline,
                                         Nanos now) noexcept {
  if ((word & kTaken) == 0) return 0;
  const std::uint64_t elapsed = (ticks(now) - word) & kTickMask;
  if (elapsed < deadline) return deadline - elapsed;
  const std::uint64_t back = kTickMask + 1 - elapsed;
  return back <= deadline ? deadline : 0;
}

}  // namespace guard

// Errors: kInvalidArgument (rates above 1000, a window above 300 days, open times above 7 days, any
// of them or the probe deadline below 1 ms, open_max below open, probes not 1 to 8, percent above
// 100).
inline Result<BreakerRules> compile_breaker(const BreakerPolicy& policy) {
  const auto wrong = [](const char* text) { return invalid_argument(text); };
  if (policy.failure_rate > 1000) return wrong("breaker.failure_rate must be at most 1");
  if (policy.slow_rate > 1000) return wrong("breaker.slow_rate must be at most 1");
  if (policy.slow_call < 0) return wrong("breaker.slow_call must not be negative");
  if (policy.window < kMillisecond || policy.window > guard::kMaxSlot * guard::kTenths) {
    return wrong("breaker.window must be between 1 ms and 300 days");
  }
  if (policy.open < kMillisecond || policy.open_max < policy.open ||
      policy.open_max > guard::kMaxOpen) {
    return wrong("breaker.open must be at least 1 ms, open_max not below it and at most 7 days");
  }
  if (policy.probes < 1 || policy.probes > guard::kMaxProbes) {
    return wrong("breaker.probes must be between 1 and 8");
  }
  if (policy.probe_deadline < kMillisecond || policy.probe_deadline > guard::kMaxSlot) {
    return wrong("breaker.probe_deadline must be between 1 ms and 30 days");
  }
  if (policy.max_ejected_percent > 100) {
    return wrong("breaker.max_ejected_percent must be at most 100");
  }
  BreakerRules rules;
  rules.consecutive_failures = policy.consecutive_failures;
  rules.failure_rate = policy.failure_rate;
  rules.slow_rate = policy.slow_call == 0 ? 0 : policy.slow_rate;
  rules.minimum_calls = policy.minimum_calls == 0 ? 1 : policy.minimum_calls;
  rules.slow_call = policy.slow_call;
  rules.tenth = guard::tick_count(policy.window / guard::kTenths);
  rules.open = policy.open;
  rules.open_max = policy.open_max;
  rules.probes = policy.probes;
  rules.probe_deadline = guard::tick_count(policy.probe_deadline);
  rules.max_ejected_percent = policy.max_ejected_percent;
  return rules;
}

}  // namespace cellroute
