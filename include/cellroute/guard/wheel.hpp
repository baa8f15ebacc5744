// A shared clock hand that turns from slot to slot: for the tenths of a breaker's window and the
// eighths of the in-flight deadline. Whoever finds that a slot's length has passed turns it, so
// that the path needs no division, and workers that are on different lengths for a while agree.
//
// One word: the turn (24 bits) and when it began (40 bits of 65.5 µs, which wrap after 2.3 years).
#pragma once

#include <cstdint>

#include "cellroute/guard/layout.hpp"
#include "cellroute/time.hpp"

namespace cellroute::guard {

inline constexpr std::uint64_t kTurnMask = (1u << 24) - 1;
inline constexpr std::uint32_t kTickShift = 16;
inline constexpr std::uint64_t kTickMask = (std::uint64_t{1} << 40) - 1;

// Time in ticks. Before 1970 there is none.
constexpr std::uint64_t ticks(Nanos now) noexcept {
  return now < 0 ? 0 : (static_cast<std::uint64_t>(now) >> kTickShift) & kTickMask;
}

// A length in ticks, rounded up; at least one, and at most a year, so that it is never taken for a
// step back.
constexpr std::uint64_t tick_count(Nanos length) noexcept {
  constexpr Nanos kYear = 365 * 86'400 * kSecond;
  if (length <= 0) return 1;
  if (length > kYear) length = kYear;
  const std::uint64_t count =
      (static_cast<std::uint64_t>(length) + (1u << kTickShift) - 1) >> kTickShift;
  return count == 0 ? 1 : count;
}

constexpr std::uint64_t turn_of(std::uint64_t wheel) noexcept { return wheel >> 40; }

// How far `now` is behind the turn's beginning.
struct WheelMove {
  std::uint64_t turns = 0;  // slots that have passed, at most all
  std::uint64_t wheel = 0;  // the word after one of them, or after a rebase
  bool rebase = false;      // the clock stepped back: this turn begins anew, nothing passes
};

// What a wheel of `slots` slots should do now. A step back of up to a round leaves it as it is
// until time catches up; a longer one is a corrected clock, and the turn begins anew, or it would
// stand still for as long as the step.
constexpr WheelMove wheel_move(std::uint64_t wheel, std::uint64_t slot_ticks, std::uint64_t slots,
                               std::uint64_t now_ticks) noexcept {
  const std::uint64_t elapsed = (now_ticks - wheel) & kTickMask;
  if (elapsed < slot_ticks) return {};
  if (elapsed > kTickMask / 2) {
    const std::uint64_t back = kTickMask + 1 - elapsed;
    if (back <= slots * slot_ticks) return {};
    return {0, (wheel & ~kTickMask) | now_ticks, true};
  }
  const std::uint64_t passed = elapsed / slot_ticks;
  if (passed >= slots) {  // all of it is past: no use in walking there by slots
    return {slots, ((turn_of(wheel) + 1) & kTurnMask) << 40 | now_ticks, false};
  }
  return {passed, ((turn_of(wheel) + 1) & kTurnMask) << 40 | ((wheel + slot_ticks) & kTickMask),
          false};
}

}  // namespace cellroute::guard
