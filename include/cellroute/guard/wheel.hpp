// A shared clock hand that turns from slot to slot: for the tenths of a breaker's window and the
// eighths of the in-flight deadline. Whoever finds that a slot's length has passed turns it, so
// that the path needs no division, and workers that are on different lengths for a while agree.
//
// One word: the turn (24 bits), and when it began (40 bits of 65.5 µs, which wrap after 2.3 years).
// A clock that steps back by at most a round leaves the hand where it is until time catches up; a
// longer step is a corrected clock: nothing passes, and the turn begins anew, or the hand would
// stand still for as long as the step. A jump forward passes at most one round.
#pragma once

#include <cstdint>

#include "cellroute/guard/layout.hpp"
#include "cellroute/time.hpp"

namespace cellroute::guard {

inline constexpr std::uint64_t kTurnMask = (1u << 24) - 1;
inline constexpr std::uint32_t kTickShift = 16;
inline constexpr std::uint64_t kTickMask = (std::uint64_t{1} << 40) - 1;
inline constexpr Nanos kMaxSlot = 30 * 86'400 * kSecond;  // a round stays below half a wrap

// Time in ticks; before 1970 it stands still.
constexpr std::uint64_t ticks(Nanos now) noexcept {
  return now < 0 ? 0 : (static_cast<std::uint64_t>(now) >> kTickShift) & kTickMask;
}

// A length, at most kMaxSlot, in ticks: rounded up, at least one.
constexpr std::uint64_t tick_count(Nanos length) noexcept {
  const Nanos held = length < 1 ? 1 : length < kMaxSlot ? length : kMaxSlot;
  return (static_cast<std::uint64_t>(held) + (1u << kTickShift) - 1) >> kTickShift;
}

constexpr std::uint64_t turn_of(std::uint64_t wheel) noexcept { return wheel >> 40; }
// How many turns ago; a turn to come is very long ago.
constexpr std::uint64_t turn_age(std::uint64_t turn, std::uint64_t now_turn) noexcept {
  return (now_turn - turn) & kTurnMask;
}

enum class WheelMove : std::uint8_t { kStay, kTurn, kRebase };

// What a wheel of `slots` slots should do now, one step at a time; `next` is the word after it.
constexpr WheelMove wheel_move(std::uint64_t wheel, std::uint64_t slot_ticks, std::uint64_t slots,
                               std::uint64_t now_ticks, std::uint64_t& next) noexcept {
  const std::uint64_t elapsed = (now_ticks - wheel) & kTickMask;
  if (elapsed < slot_ticks) return WheelMove::kStay;
  if (elapsed > kTickMask / 2) {
    if (kTickMask + 1 - elapsed <= slots * slot_ticks) return WheelMove::kStay;
    next = (wheel & ~kTickMask) | now_ticks;
    return WheelMove::kRebase;
  }
  // Longer than a round ago: as if it were one round ago, which the next steps walk off.
  const std::uint64_t begin =
      elapsed >= slots * slot_ticks ? now_ticks - (slots - 1) * slot_ticks : wheel + slot_ticks;
  next = ((turn_of(wheel) + 1) & kTurnMask) << 40 | (begin & kTickMask);
  return WheelMove::kTurn;
}

CELLROUTE_COLD inline std::uint64_t turn_wheel_on(Word& word, std::uint64_t wheel,
                                                  std::uint64_t slot_ticks, std::uint64_t slots,
                                                  std::uint64_t now_ticks) noexcept {
  std::uint64_t next = 0;
  for (std::uint64_t step = 0; step <= slots; ++step) {
    if (wheel_move(wheel, slot_ticks, slots, now_ticks, next) == WheelMove::kStay) break;
    if (word.compare_exchange_strong(wheel, next, std::memory_order_relaxed)) wheel = next;
  }
  return turn_of(wheel);
}

// The turn of a wheel that nothing but time hangs on. Ends after at most `slots` turns.
// Relaxed: the word itself is all there is to know.
CELLROUTE_HOT inline std::uint64_t turn_wheel(Word& word, std::uint64_t slot_ticks,
                                              std::uint64_t slots, Nanos now) noexcept {
  const std::uint64_t now_ticks = ticks(now);
  const std::uint64_t wheel = word.load(std::memory_order_relaxed);
  if (((now_ticks - wheel) & kTickMask) < slot_ticks) return turn_of(wheel);
  return turn_wheel_on(word, wheel, slot_ticks, slots, now_ticks);
}

}  // namespace cellroute::guard
