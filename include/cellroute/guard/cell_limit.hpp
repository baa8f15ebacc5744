// Limits by cell: one shared word a limit and cell, lent to lanes in small credits, so that lanes
// do not slow each other.
//
// The sum over lanes never exceeds the limit. Of a BUCKET, what lanes can hold unused is set aside
// from the burst, so credits need not expire; of a WINDOW, a credit is good only in the sub-slot it
// was borrowed in. Either may refuse early by at most lanes × credit (a WINDOW: in each sub-slot).
//
// A cell remembers four limits by signature. A fifth takes over the place of the least recently
// published ones' position and begins where that stood: used up for at most its own period.
#pragma once

#include <cstdint>

#include "cellroute/guard/limit.hpp"
#include "cellroute/guard/region.hpp"

namespace cellroute::guard {

// A lane's credit: whose (32 bits of signature, and the sub-slot of a WINDOW), how much (32).
constexpr std::uint64_t credit_tag(const LimitRule& rule, Nanos now) noexcept {
  const std::uint64_t slot = rule.kind == LimitKind::kWindow ? nanos_of(now) / rule.window.slot : 0;
  return (rule.signature ^ slot << 7) << 32;
}

inline constexpr std::uint64_t kCreditMask = 0xffff'ffff;

// The shared word of limit `i` of the rules.
inline Word& cell_limit_word(CellState& cell, const LimitRule& rule, std::uint32_t i) noexcept {
  for (CellLimitState& limit : cell.limits) {
    if (limit.signature.load(std::memory_order_relaxed) == rule.signature) return limit.state;
  }
  for (CellLimitState& limit : cell.limits) {
    if (settle(limit.signature, rule.signature)) return limit.state;
  }
  cell.limits[i].signature.store(rule.signature, std::memory_order_relaxed);
  return cell.limits[i].state;
}

// What admitted a request: the lane's credit, or the shared word itself.
struct CellLimitTaken {
  bool admitted = false;
  Nanos retry_after = 0;
  Word* word = nullptr;  // the shared word, where it was asked for this one request
  std::uint64_t before = 0;
  std::uint64_t after = 0;
  std::uint64_t credit = 0;  // the tag of the credit it came from
};

// Borrows up to `credit` at once, at least 1.
inline CellLimitTaken borrow_credit(CellState& cell, LaneState& lane, const LimitRule& rule,
                                    std::uint32_t i, Nanos now) noexcept {
  CellLimitTaken out;
  Word& word = cell_limit_word(cell, rule, i);
  std::uint64_t state = word.load(std::memory_order_relaxed);
  std::uint64_t count = rule.credit == 0 ? 1 : rule.credit;
  Taken taken;
  for (;;) {
    taken = take(rule, state, count, now);
    if (!taken.admitted && count > 1) {
      count /= 2;
    } else if (!taken.admitted) {
      out.retry_after = taken.retry_after;
      return out;
    } else if (word.compare_exchange_weak(state, taken.next, std::memory_order_relaxed)) {
      break;
    }
  }
  out.admitted = true;
  if (rule.credit == 0) {
    out.word = &word;
    out.before = state;
    out.after = taken.next;
    return out;
  }
  out.credit = credit_tag(rule, now);
  Word& credits = lane.credits[i];
  std::uint64_t held = credits.load(std::memory_order_relaxed);
  for (;;) {
    const std::uint64_t left = (held & ~kCreditMask) == out.credit ? held & kCreditMask : 0;
    const std::uint64_t sum = left + count - 1;
    const std::uint64_t next = out.credit | (sum < rule.credit ? sum : rule.credit);
    if (credits.compare_exchange_weak(held, next, std::memory_order_relaxed)) return out;
  }
}

// Takes one request from limit `i` of a cell's rules. From credit it is one compare-and-set on the
// lane's own line. Relaxed throughout: a count guards no other memory.
inline CellLimitTaken take_cell_limit(CellState& cell, LaneState& lane, const LimitRule& rule,
                                      std::uint32_t i, Nanos now) noexcept {
  if (rule.credit != 0) {
    const std::uint64_t tag = credit_tag(rule, now);
    std::uint64_t held = lane.credits[i].load(std::memory_order_relaxed);
    while ((held & ~kCreditMask) == tag && (held & kCreditMask) != 0 &&
           (held & kCreditMask) <= rule.credit) {
      if (lane.credits[i].compare_exchange_weak(held, held - 1, std::memory_order_relaxed)) {
        return {true, 0, nullptr, 0, 0, tag};
      }
    }
  }
  return borrow_credit(cell, lane, rule, i, now);
}

inline void cancel_cell_limit(LaneState& lane, const LimitRule& rule, std::uint32_t i,
                              const CellLimitTaken& taken) noexcept {
  if (taken.word != nullptr) {
    give_back(rule, *taken.word, taken.before, taken.after, rule.interval);
    return;
  }
  std::uint64_t held = lane.credits[i].load(std::memory_order_relaxed);
  while ((held & ~kCreditMask) == taken.credit && (held & kCreditMask) < rule.credit) {
    if (lane.credits[i].compare_exchange_weak(held, held + 1, std::memory_order_relaxed)) return;
  }
}

}  // namespace cellroute::guard
