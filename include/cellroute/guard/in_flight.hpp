// Requests in flight by cell: counted by lane and by eighth of the deadline, capped over all lanes.
//
// A cell lends its cap to lanes in credits, and a lane takes and gives back requests within what it
// holds, so that lanes do not slow each other. All that is lent belongs to a slot of time and ends
// when the slot comes round again: calls never reported, credits that a killed process held, and
// sums that it was about to correct, all leave the count together. Only one slot lends at a time:
// it is closed before the next opens, so the sum over slots never exceeds the cap.
//
// Exactly: entries that count never exceed the cap. A cell may refuse early by what other lanes
// hold unused, at most lanes × credit. An entry counts for 7/8 to all of the deadline if it is
// never reported. A ticket reported when its slot is past, for a slot without entries, or empty,
// changes nothing; copies of one ticket are one ticket to whoever made them: reporting a second
// copy takes another entry of that lane and slot out, but never brings a count below zero.
#pragma once

#include <cstdint>

#include "cellroute/guard/region.hpp"
#include "cellroute/guard/wheel.hpp"
#include "cellroute/status.hpp"
#include "cellroute/topology.hpp"

namespace cellroute {

// An InFlightPolicy made ready for the path. Thread safety: a plain value.
struct InFlightRules {
  std::uint32_t cap = 0;     // 0: none, entries are counted all the same
  std::uint32_t credit = 0;  // the most that a lane holds unused; 0: it asks for each
  std::uint64_t slot = 1;    // an eighth of the deadline, in ticks of wheel.hpp
};

inline constexpr std::uint32_t kMaxInFlight = (1u << 20) - 1;

// Errors: kInvalidArgument (a deadline below 1 ms or above 240 days, a cap above kMaxInFlight).
inline Result<InFlightRules> compile_in_flight(const InFlightPolicy& policy, std::uint32_t lanes) {
  if (policy.deadline < kMillisecond || policy.deadline > guard::kMaxSlot * 8) {
    return invalid_argument("in_flight.deadline must be between 1 ms and 240 days");
  }
  if (policy.per_cell > kMaxInFlight) {
    return invalid_argument("in_flight.per_cell must be at most 1,048,575");
  }
  constexpr std::uint32_t kMost = 64;  // beyond it a larger credit saves nothing
  const std::uint32_t share = policy.per_cell / (8 * (lanes == 0 ? 1 : lanes));
  InFlightRules rules;
  rules.cap = policy.per_cell;
  rules.credit = policy.per_cell == 0 || share > kMost ? kMost : share;
  rules.slot = guard::tick_count(policy.deadline / guard::kFlightSlots);
  return rules;
}

struct FlightTicket {
  static constexpr std::uint32_t kNone = 0xffff'ffff;
  std::uint32_t turn = kNone;  // of the wheel; kNone: not counted
};

namespace guard {

// A lane's slot: turn (24 bits), entries (20), unused credit (20). Void in another turn. Entries
// and credit together fit the field, so that neither overflows into the next.
inline constexpr std::uint64_t kFlightField = (1u << 20) - 1;
constexpr std::uint64_t flight_word(std::uint64_t turn, std::uint64_t entries,
                                    std::uint64_t unused) noexcept {
  return turn << 40 | entries << 20 | unused;
}
constexpr std::uint64_t entries_of(std::uint64_t word) noexcept {
  return word >> 20 & kFlightField;
}
constexpr std::uint64_t unused_of(std::uint64_t word) noexcept { return word & kFlightField; }

// A cell's slot: turn (24 bits), closed (1), lent (39).
inline constexpr std::uint64_t kClosed = std::uint64_t{1} << 39;
inline constexpr std::uint64_t kLentMask = kClosed - 1;

// The turn that slot `i` stands for while the wheel is at `turn`.
constexpr std::uint64_t slot_turn(std::uint64_t i, std::uint64_t turn) noexcept {
  return (turn - ((turn - i) % kFlightSlots)) & kTurnMask;
}

// Closes the slot of wheel's turn, opens the next, turns the wheel. Any step may be another's, or
// be missing because the process that began died.
inline void step_flight(CellWords& cell, std::uint64_t wheel, std::uint64_t next) noexcept {
  Word& old_slot = cell.lent[turn_of(wheel) % kFlightSlots];
  std::uint64_t seen = old_slot.load(std::memory_order_relaxed);
  while (turn_of(seen) == turn_of(wheel) && (seen & kClosed) == 0) {
    if (old_slot.compare_exchange_weak(seen, seen | kClosed, std::memory_order_acq_rel)) break;
  }
  // Read before the wheel is looked at again: a thread that slept must not void what a later turn
  // has lent.
  Word& new_slot = cell.lent[turn_of(next) % kFlightSlots];
  seen = new_slot.load(std::memory_order_acquire);
  if (cell.flight_wheel.load(std::memory_order_acquire) != wheel) return;
  if (turn_of(seen) != turn_of(next)) {
    new_slot.compare_exchange_strong(seen, turn_of(next) << 40, std::memory_order_acq_rel);
  }
  // Release: whoever sees the new turn sees the old slot closed, and so all that it lent.
  cell.flight_wheel.compare_exchange_strong(wheel, next, std::memory_order_acq_rel);
}

CELLROUTE_COLD inline std::uint64_t turn_flight_on(CellWords& cell, std::uint64_t wheel,
                                                   std::uint64_t slot_ticks,
                                                   std::uint64_t now_ticks) noexcept {
  std::uint64_t next = 0;
  for (std::uint32_t step = 0; step <= kFlightSlots; ++step) {
    const WheelMove move = wheel_move(wheel, slot_ticks, kFlightSlots, now_ticks, next);
    if (move == WheelMove::kStay) break;
    if (move == WheelMove::kTurn) {
      step_flight(cell, wheel, next);
    } else {
      cell.flight_wheel.compare_exchange_strong(wheel, next, std::memory_order_acq_rel);
    }
    wheel = cell.flight_wheel.load(std::memory_order_acquire);
  }
  return turn_of(wheel);
}

// The turn now. Acquire, for lend(): see step_flight().
CELLROUTE_HOT inline std::uint64_t flight_turn(CellWords& cell, std::uint64_t slot_ticks,
                                               Nanos now) noexcept {
  const std::uint64_t now_ticks = ticks(now);
  const std::uint64_t wheel = cell.flight_wheel.load(std::memory_order_acquire);
  if (((now_ticks - wheel) & kTickMask) < slot_ticks) return turn_of(wheel);
  return turn_flight_on(cell, wheel, slot_ticks, now_ticks);
}

// What all lanes hold, used or not, in all slots but `except`.
inline std::uint64_t lent_in_all(const CellWords& cell, std::uint64_t turn,
                                 std::uint64_t except = kFlightSlots) noexcept {
  std::uint64_t sum = 0;
  for (std::uint64_t i = 0; i < kFlightSlots; ++i) {
    if (i == except) continue;
    const std::uint64_t word = cell.lent[i].load(std::memory_order_relaxed);
    if (turn_of(word) == slot_turn(i, turn)) sum += word & kLentMask;
  }
  return sum;
}

CELLROUTE_COLD inline void take_back(CellWords& cell, std::uint64_t turn,
                                     std::uint64_t count) noexcept {
  Word& slot = cell.lent[turn % kFlightSlots];
  std::uint64_t word = slot.load(std::memory_order_relaxed);
  while (turn_of(word) == turn && count > 0) {
    const std::uint64_t lent = word & kLentMask;
    const std::uint64_t rest = lent < count ? 0 : lent - count;
    if (slot.compare_exchange_weak(word, (word & ~kLentMask) | rest, std::memory_order_relaxed)) {
      return;
    }
  }
}

// A lane's credit of earlier slots goes back when it first comes to this one.
inline void return_old_credit(CellWords& cell, LaneWords& lane, std::uint64_t turn) noexcept {
  for (std::uint64_t age = 1; age < kFlightSlots; ++age) {
    const std::uint64_t old_turn = (turn - age) & kTurnMask;
    Word& slot = lane.flight[old_turn % kFlightSlots];
    std::uint64_t word = slot.load(std::memory_order_relaxed);
    while (turn_of(word) == old_turn && unused_of(word) != 0) {
      const std::uint64_t count = unused_of(word);
      if (slot.compare_exchange_weak(word, word - count, std::memory_order_relaxed)) {
        take_back(cell, old_turn, count);
        break;
      }
    }
  }
}

enum class Lending : std::uint8_t { kLent, kFull, kSlotClosed };

// Up to `wanted` from the slot of this turn. Only this slot's sum can grow, and only by a
// compare-and-set on the very word, so what the others held when they were read is the most.
inline Lending lend(CellWords& cell, std::uint64_t turn, std::uint64_t cap, std::uint64_t wanted,
                    std::uint64_t& count) noexcept {
  Word& slot = cell.lent[turn % kFlightSlots];
  std::uint64_t word = slot.load(std::memory_order_relaxed);
  while (turn_of(word) == turn && (word & kClosed) == 0) {
    const std::uint64_t held = lent_in_all(cell, turn, turn % kFlightSlots) + (word & kLentMask);
    if (held >= cap) return Lending::kFull;
    count = cap - held < wanted ? cap - held : wanted;
    if (slot.compare_exchange_weak(word, word + count, std::memory_order_acq_rel)) {
      return Lending::kLent;
    }
  }
  return Lending::kSlotClosed;
}

// One entry and the rest of `count` as credit into the lane's slot. False where a later turn has
// it.
inline bool put_credit(LaneWords& lane, std::uint64_t turn, std::uint64_t count) noexcept {
  Word& slot = lane.flight[turn % kFlightSlots];
  std::uint64_t word = slot.load(std::memory_order_relaxed);
  for (;;) {
    std::uint64_t next = flight_word(turn, 1, count - 1);
    if (turn_of(word) == turn) {
      if (entries_of(word) + unused_of(word) + count > kFlightField) return false;
      next = word + (std::uint64_t{1} << 20) + count - 1;
    } else if (turn_age(turn, turn_of(word)) < kTurnMask / 2) {
      return false;
    }
    if (slot.compare_exchange_weak(word, next, std::memory_order_relaxed)) return true;
  }
}

struct FlightEntry {
  bool entered;
  FlightTicket ticket;
};

// By value, so that the caller's own ticket stays in registers.
CELLROUTE_COLD inline FlightEntry enter_by_borrowing(CellWords& cell, LaneWords& lane,
                                                     const InFlightRules& rules,
                                                     Nanos now) noexcept {
  constexpr int kAttempts = 16;  // each lost one means that time or another thread moved on
  const std::uint64_t cap = rules.cap == 0 ? kLentMask / 2 : rules.cap;
  const std::uint64_t wanted = rules.credit < 2 ? 1 : rules.credit / 2;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const std::uint64_t turn = flight_turn(cell, rules.slot, now);
    return_old_credit(cell, lane, turn);
    std::uint64_t count = 0;
    const Lending lending = lend(cell, turn, cap, wanted, count);
    if (lending == Lending::kFull) break;
    if (lending == Lending::kSlotClosed) {  // finish the turn that somebody began
      const std::uint64_t wheel = cell.flight_wheel.load(std::memory_order_acquire);
      const std::uint64_t next = wheel + (std::uint64_t{1} << 40);
      if (turn_of(wheel) == turn) step_flight(cell, wheel, next);
      continue;
    }
    if (put_credit(lane, turn, count)) return {true, {static_cast<std::uint32_t>(turn)}};
    take_back(cell, turn, count);
  }
  return {rules.cap == 0, {}};  // without a cap, what cannot be counted is let through uncounted
}

// Takes a place for a request; false where the cap is reached. One compare-and-set on the lane's
// own line. Relaxed: a count guards no other memory.
CELLROUTE_HOT inline bool enter_flight(CellWords& cell, LaneWords& lane, const InFlightRules& rules,
                                       Nanos now, FlightTicket& ticket) noexcept {
  const std::uint64_t turn = flight_turn(cell, rules.slot, now);
  Word& slot = lane.flight[turn % kFlightSlots];
  std::uint64_t word = slot.load(std::memory_order_relaxed);
  while (turn_of(word) == turn && unused_of(word) != 0) {
    const std::uint64_t next = word + (std::uint64_t{1} << 20) - 1;
    if (slot.compare_exchange_weak(word, next, std::memory_order_relaxed)) {
      ticket.turn = static_cast<std::uint32_t>(turn);
      return true;
    }
  }
  const FlightEntry entry = enter_by_borrowing(cell, lane, rules, now);
  ticket = entry.ticket;
  return entry.entered;
}

CELLROUTE_COLD inline void leave_flight_in_full(CellWords& cell, LaneWords& lane,
                                                const InFlightRules& rules,
                                                std::uint64_t turn) noexcept {
  const std::uint64_t now_turn = turn_of(cell.flight_wheel.load(std::memory_order_relaxed));
  if (turn_age(turn, now_turn) >= kFlightSlots) return;
  Word& slot = lane.flight[turn % kFlightSlots];
  std::uint64_t word = slot.load(std::memory_order_relaxed);
  while (turn_of(word) == turn && entries_of(word) != 0) {
    const std::uint64_t unused = unused_of(word) + 1;
    std::uint64_t kept = turn != now_turn ? 0 : unused;
    if (kept > rules.credit) kept = rules.credit / 2;
    const std::uint64_t next = flight_word(turn, entries_of(word) - 1, kept);
    if (slot.compare_exchange_weak(word, next, std::memory_order_relaxed)) {
      if (unused != kept) take_back(cell, turn, unused - kept);
      return;
    }
  }
}

// Gives the place back: to the lane while its slot still lends and it holds little, else to the
// cell.
inline void leave_flight(CellWords& cell, LaneWords& lane, const InFlightRules& rules,
                         FlightTicket& ticket) noexcept {
  if (ticket.turn == FlightTicket::kNone) return;
  const std::uint64_t turn = ticket.turn;
  ticket.turn = FlightTicket::kNone;
  if (turn_of(cell.flight_wheel.load(std::memory_order_relaxed)) == turn) [[likely]] {
    Word& slot = lane.flight[turn % kFlightSlots];
    std::uint64_t word = slot.load(std::memory_order_relaxed);
    const std::uint64_t next = word - (std::uint64_t{1} << 20) + 1;
    if (turn_of(word) == turn && entries_of(word) != 0 && unused_of(word) < rules.credit &&
        slot.compare_exchange_strong(word, next, std::memory_order_relaxed)) [[likely]]
      return;
  }
  leave_flight_in_full(cell, lane, rules, turn);
}

}  // namespace guard
}  // namespace cellroute
