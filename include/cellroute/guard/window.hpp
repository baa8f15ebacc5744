// The sliding window in one 64-bit word: WINDOW limits.
//
// Time is cut into sub-slots of a quarter of the period (rounded up to five bits of mantissa, at
// most 1/16 longer). The word counts the calls of the current sub-slot and of the four before it,
// which together cover any period that ends now; so no period ever sees more than `requests`, and a
// call may be refused while the oldest counted ones are up to one sub-slot older than a period.
//
// Counts of more than 127 requests are kept in units, of at most a 63rd of the requests (a 31st
// above 16,128, a 15th above 253,952, a 7th above 3,932,160), beside the remainder of a unit. A
// unit counts from its last call on, which may refuse up to one unit early.
//
// The word, from the top: 0 (1 bit: see limiter.hpp), the sub-slot's number (25), remainder and
// five counts (38), the current sub-slot's lowest.
#pragma once

#include <bit>
#include <cstdint>

namespace cellroute {

// Thread safety: a plain value.
struct WindowRule {
  std::uint64_t requests = 0;
  std::uint64_t slot = 1;  // nanoseconds
  std::uint64_t unit = 1;  // requests in one count
  std::uint32_t bits = 7;  // of a count
  std::uint32_t code = 0;  // the slot's length: exponent << 5 | mantissa
};

namespace guard {

inline constexpr std::uint64_t kMaxWindowRequests = 7u << 23;
inline constexpr std::uint32_t kWindowSlots = 5;
inline constexpr std::uint32_t kCountBits = 38;
inline constexpr std::uint64_t kSlotMask = (1u << 25) - 1;
inline constexpr std::uint64_t kSlotsBack = 1u << 19;  // farther behind means long ago instead
inline constexpr std::uint64_t kSlotsHeld = 64;        // farther back, the clock has been corrected

// The length that a code stands for; 1 for a code that no rule has.
constexpr std::uint64_t slot_length(std::uint32_t code) noexcept {
  const std::uint64_t mantissa = code & 31;
  const std::uint32_t exponent = code >> 5;
  return mantissa == 0 || exponent > 58 ? 1 : mantissa << exponent;
}

// `requests` 1 to kMaxWindowRequests, `period` 1 ns to 366 days.
constexpr WindowRule window_rule(std::uint64_t requests, std::uint64_t period) noexcept {
  WindowRule rule;
  rule.requests = requests;
  const std::uint64_t quarter = (period + 3) / 4 < 16 ? 16 : (period + 3) / 4;
  auto exponent = static_cast<std::uint32_t>(std::bit_width(quarter)) - 5;
  std::uint64_t mantissa = (quarter + (std::uint64_t{1} << exponent) - 1) >> exponent;
  if (mantissa == 32) {
    mantissa = 16;
    ++exponent;
  }
  rule.code = exponent << 5 | static_cast<std::uint32_t>(mantissa);
  rule.slot = slot_length(rule.code);
  // The most counts whose remainder still finds room beside them.
  for (rule.bits = 7; rule.bits > 3; --rule.bits) {
    const std::uint64_t most = (std::uint64_t{1} << rule.bits) - 1;
    const std::uint64_t room =
        rule.bits == 7 ? 1 : std::uint64_t{1} << (kCountBits - 5 * rule.bits);
    if (requests <= most * room) break;
  }
  const std::uint64_t most = (std::uint64_t{1} << rule.bits) - 1;
  rule.unit = (requests + most - 1) / most;
  return rule;
}

constexpr std::uint64_t slot_of(std::uint64_t state) noexcept {
  return state >> kCountBits & kSlotMask;
}
constexpr std::uint64_t counts_of(std::uint64_t state) noexcept {
  return state & ((std::uint64_t{1} << kCountBits) - 1);
}

// Requests that `state` counts, as of its own sub-slot.
constexpr std::uint64_t counted(const WindowRule& rule, std::uint64_t state) noexcept {
  const std::uint64_t mask = (std::uint64_t{1} << rule.bits) - 1;
  std::uint64_t units = 0;
  for (std::uint32_t i = 0; i < kWindowSlots; ++i)
    units += counts_of(state) >> i * rule.bits & mask;
  return units * rule.unit + (counts_of(state) >> kWindowSlots * rule.bits);
}

constexpr std::uint64_t window_state(const WindowRule& rule, std::uint64_t slot,
                                     std::uint64_t counts, std::uint64_t rest) noexcept {
  return (slot & kSlotMask) << kCountBits | rest << kWindowSlots * rule.bits | counts;
}

// Whether the clock has been corrected since: `slot` is too far before the state's.
constexpr bool far_behind(std::uint64_t state, std::uint64_t slot) noexcept {
  const std::uint64_t passed = (slot - slot_of(state)) & kSlotMask;
  return passed > kSlotMask - kSlotsBack && passed < kSlotMask + 1 - kSlotsHeld;
}

// `state` as of sub-slot `slot`: counts that are five sub-slots old are gone.
constexpr std::uint64_t window_at(const WindowRule& rule, std::uint64_t state,
                                  std::uint64_t slot) noexcept {
  if (counts_of(state) == 0) return window_state(rule, slot, 0, 0);
  const std::uint64_t passed = (slot - slot_of(state)) & kSlotMask;
  if (passed > kSlotMask - kSlotsBack) {
    if (!far_behind(state, slot)) return state;      // stands still until time catches up
    const std::uint64_t all = counted(rule, state);  // they count from now on
    const std::uint64_t most = all < rule.requests ? all : rule.requests;
    return window_state(rule, slot, most / rule.unit, most % rule.unit);
  }
  if (passed >= kWindowSlots) return window_state(rule, slot, 0, 0);
  const std::uint64_t all_bits = (std::uint64_t{1} << kWindowSlots * rule.bits) - 1;
  const std::uint64_t counts = (counts_of(state) & all_bits) << passed * rule.bits & all_bits;
  return window_state(rule, slot, counts, counts_of(state) >> kWindowSlots * rule.bits);
}

// Whether nothing that `state` counts can count at `now`: its sub-slot is long over. Needs only the
// length of the sub-slot, so that it can be told of an entry of any limit.
constexpr bool window_over(std::uint64_t state, std::uint64_t slot_nanos,
                           std::uint64_t now) noexcept {
  const std::uint64_t passed = (now / slot_nanos - slot_of(state)) & kSlotMask;
  return passed >= kWindowSlots && passed <= kSlotMask - kSlotsBack;
}

// As Taken in limit.hpp.
struct WindowTaken {
  bool admitted = false;
  std::uint64_t next = 0;
  std::uint64_t retry_after = 0;
};

// Nanoseconds until enough counts have gone for `excess` more requests.
constexpr std::uint64_t window_wait(const WindowRule& rule, std::uint64_t state,
                                    std::uint64_t excess, std::uint64_t now) noexcept {
  const std::uint64_t mask = (std::uint64_t{1} << rule.bits) - 1;
  std::uint64_t gone = 0;
  std::uint64_t age = kWindowSlots;
  while (age > 0 && gone < excess) {
    --age;
    gone += (counts_of(state) >> age * rule.bits & mask) * rule.unit;
  }
  const std::uint64_t slots = kWindowSlots - age;
  // Where time stepped back, the state's sub-slot is still to come.
  const std::uint64_t to_come = (slot_of(state) - now / rule.slot) & kSlotMask;
  return (slots + to_come) * rule.slot - now % rule.slot;
}

// Takes `count` from the window.
constexpr WindowTaken take_from_window(const WindowRule& rule, std::uint64_t state,
                                       std::uint64_t count, std::uint64_t now) noexcept {
  const std::uint64_t current = window_at(rule, state, now / rule.slot);
  const std::uint64_t all = counted(rule, current);
  if (count > rule.requests || all > rule.requests - count) {
    const bool corrected = counts_of(state) != 0 && far_behind(state, now / rule.slot);
    return {false, corrected ? current : state,
            window_wait(rule, current, all + count - rule.requests, now)};
  }
  const std::uint64_t rest = (counts_of(current) >> kWindowSlots * rule.bits) + count;
  const std::uint64_t all_bits = (std::uint64_t{1} << kWindowSlots * rule.bits) - 1;
  const std::uint64_t counts = (counts_of(current) & all_bits) + rest / rule.unit;
  return {true, window_state(rule, slot_of(current), counts, rest % rule.unit), 0};
}

// Takes one request off again that a take counted in the sub-slot of `after`. False where that
// sub-slot is over and the request cannot be told from later ones.
constexpr bool untake_from_window(const WindowRule& rule, std::uint64_t state, std::uint64_t after,
                                  std::uint64_t& next) noexcept {
  const std::uint64_t age = (slot_of(state) - slot_of(after)) & kSlotMask;
  const std::uint64_t mask = (std::uint64_t{1} << rule.bits) - 1;
  if (age >= kWindowSlots || (age != 0 && rule.unit != 1)) return false;
  if (age == 0 && counts_of(state) >> kWindowSlots * rule.bits != 0) {
    next = state - (std::uint64_t{1} << kWindowSlots * rule.bits);
    return true;
  }
  if ((counts_of(state) >> age * rule.bits & mask) == 0) return false;
  next =
      state - (std::uint64_t{1} << age * rule.bits) + ((rule.unit - 1) << kWindowSlots * rule.bits);
  return true;
}

}  // namespace guard
}  // namespace cellroute
