// What a breaker's rates are computed from: calls, failures and slow calls of the last ten tenths
// of its window.
//
// Calls are counted on the lane's own line and handed to the cell when the tenth is over. Failures
// and slow calls are rare and counted on the cell's. The sum over lanes is formed only when the
// rate could have been reached: within a tenth the calls in the window only grow, so a sum formed
// before in the same tenth bounds them from below.
#pragma once

#include <cstdint>

#include "cellroute/guard/breaker_word.hpp"
#include "cellroute/guard/region.hpp"
#include "cellroute/guard/wheel.hpp"

namespace cellroute::guard {

// Calls: turn (24 bits), count (40). Troubles: turn (24), failures (20), slow calls (20), each held
// at its most: a million failures a tenth are enough to open.
inline constexpr std::uint64_t kCallsMask = (std::uint64_t{1} << 40) - 1;
inline constexpr std::uint64_t kTroubleField = (1u << 20) - 1;

inline bool in_window(std::uint64_t word, std::uint64_t turn) noexcept {
  return turn_age(turn_of(word), turn) < kTenths;
}

// Adds a lane's finished tenth to the cell's. Relaxed here and below: counts guard no other memory,
// and a call counted a tenth late changes a rate by nothing that matters.
inline void hand_over_calls(CellWords& cell, std::uint64_t finished) noexcept {
  Word& tenth = cell.calls[turn_of(finished) % kTenths];
  std::uint64_t word = tenth.load(std::memory_order_relaxed);
  for (;;) {
    std::uint64_t next = finished;
    if (turn_of(word) == turn_of(finished)) {
      next = word + (finished & kCallsMask);
    } else if (turn_age(turn_of(finished), turn_of(word)) < kTurnMask / 2) {
      return;  // the place belongs to a later tenth
    }
    if (tenth.compare_exchange_weak(word, next, std::memory_order_relaxed)) return;
  }
}

CELLROUTE_COLD inline void begin_tenth(CellWords& cell, LaneWords& lane,
                                       std::uint64_t turn) noexcept {
  std::uint64_t word = lane.calls.load(std::memory_order_relaxed);
  while (turn_of(word) != turn) {
    if (lane.calls.compare_exchange_weak(word, turn << 40 | 1, std::memory_order_relaxed)) {
      if (in_window(word, turn)) hand_over_calls(cell, word);
      return;
    }
  }
  lane.calls.fetch_add(1, std::memory_order_relaxed);
}

inline void count_call(CellWords& cell, LaneWords& lane, std::uint64_t turn) noexcept {
  if (turn_of(lane.calls.load(std::memory_order_relaxed)) == turn) {
    lane.calls.fetch_add(1, std::memory_order_relaxed);
  } else {
    begin_tenth(cell, lane, turn);
  }
}

inline void count_trouble(CellWords& cell, std::uint64_t turn, bool failure, bool slow) noexcept {
  Word& tenth = cell.troubles[turn % kTenths];
  std::uint64_t word = tenth.load(std::memory_order_relaxed);
  for (;;) {
    const std::uint64_t base = turn_of(word) == turn ? word : turn << 40;
    const bool more_failures = failure && (base >> 20 & kTroubleField) != kTroubleField;
    const bool more_slow = slow && (base & kTroubleField) != kTroubleField;
    const std::uint64_t next =
        base + (more_failures ? std::uint64_t{1} << 20 : 0) + (more_slow ? 1 : 0);
    if (tenth.compare_exchange_weak(word, next, std::memory_order_relaxed)) return;
  }
}

struct Troubles {
  std::uint64_t failures = 0;
  std::uint64_t slow = 0;
};

inline Troubles troubles_in_window(const CellWords& cell, std::uint64_t turn) noexcept {
  Troubles sum;
  for (const Word& tenth : cell.troubles) {
    const std::uint64_t word = tenth.load(std::memory_order_relaxed);
    if (!in_window(word, turn)) continue;
    sum.failures += word >> 20 & kTroubleField;
    sum.slow += word & kTroubleField;
  }
  return sum;
}

inline std::uint64_t calls_in_window(const GuardRegion& region, std::uint32_t number,
                                     std::uint64_t turn) noexcept {
  const CellWords& cell = region.cell_words(number);
  std::uint64_t sum = 0;
  for (const Word& tenth : cell.calls) {
    const std::uint64_t word = tenth.load(std::memory_order_relaxed);
    if (in_window(word, turn)) sum += word & kCallsMask;
  }
  for (std::uint32_t i = 0; i < region.geometry().lanes; ++i) {
    const std::uint64_t word = region.lane_words(i, number).calls.load(std::memory_order_relaxed);
    if (in_window(word, turn)) sum += word & kCallsMask;
  }
  return sum < kCallsMask ? sum : kCallsMask;
}

constexpr bool rate_reached(std::uint64_t some, std::uint64_t all,
                            std::uint32_t thousandths) noexcept {
  return thousandths != 0 && some * 1000 >= all * thousandths;
}

// Whether failures or slow calls make up their share of the window.
inline bool rates_reached(const GuardRegion& region, std::uint32_t number,
                          const BreakerRules& rules, std::uint64_t turn) noexcept {
  CellWords& cell = region.cell_words(number);
  const Troubles troubles = troubles_in_window(cell, turn);
  const auto reached = [&](std::uint64_t calls) {
    return rate_reached(troubles.failures, calls, rules.failure_rate) ||
           rate_reached(troubles.slow, calls, rules.slow_rate);
  };
  const std::uint64_t known = cell.known_calls.load(std::memory_order_relaxed);
  if (turn_of(known) == turn && !reached(known & kCallsMask)) return false;
  const std::uint64_t calls = calls_in_window(region, number, turn);
  cell.known_calls.store(turn << 40 | calls, std::memory_order_relaxed);
  return calls >= rules.minimum_calls && reached(calls);
}

// For the half-open breaker that is about to close: what went before does not count against it.
inline void clear_window(CellWords& cell) noexcept {
  for (Word& tenth : cell.calls) tenth.store(0, std::memory_order_relaxed);
  for (Word& tenth : cell.troubles) tenth.store(0, std::memory_order_relaxed);
  cell.known_calls.store(0, std::memory_order_relaxed);
  cell.streak.store(0, std::memory_order_relaxed);
}

}  // namespace cellroute::guard
