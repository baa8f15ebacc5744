// Limits by cell: one shared word a limit and cell, lent to lanes in small credits, so that lanes
// do not slow each other.
//
// The sum over lanes never exceeds the limit. Of a BUCKET, what lanes can hold unused is set aside
// from the burst, so credits need not expire; of a WINDOW, a credit is good only in the sub-slot it
// was borrowed in. Either may refuse early by at most lanes × credit (a WINDOW: in each sub-slot).
//
// A cell remembers four limits by signature, those of earlier generations included. A fifth takes
// over the word at its own place, which it may find used up, for at most its own period.
#pragma once

#include <cstdint>

#include "cellroute/guard/limit.hpp"
#include "cellroute/guard/region.hpp"

namespace cellroute::guard {

// A lane's credit: whose (32 bits of signature, and the sub-slot of a WINDOW), how much (32).
constexpr std::uint64_t credit_tag(const LimitRule& rule, Nanos now) noexcept {
  if (rule.kind == LimitKind::kBucket) [[likely]]
    return rule.signature << 32;
  return (rule.signature ^ nanos_of(now) / rule.window.slot << 7) << 32;
}

inline constexpr std::uint64_t kCreditMask = 0xffff'ffff;

// The shared word of limit `i` of the rules.
inline Word& cell_limit_word(CellWords& cell, const LimitRule& rule, std::uint32_t i) noexcept {
  for (CellLimitWords& limit : cell.limits) {
    if (limit.signature.load(std::memory_order_relaxed) == rule.signature) return limit.state;
  }
  for (CellLimitWords& limit : cell.limits) {
    if (settle(limit.signature, rule.signature)) return limit.state;
  }
  cell.limits[i].signature.store(rule.signature, std::memory_order_relaxed);
  return cell.limits[i].state;
}

// How to give back: the shared word, where it was asked for this one request; null: lane's credit.
struct CellLimitUndo {
  Word* word;
  std::uint64_t before;
  std::uint64_t after;
};

// Takes up to `rule.credit` from the shared word, at least 1; 0: refused.
inline std::uint64_t take_shared(Word& word, const LimitRule& rule, Nanos now, CellLimitUndo& undo,
                                 Nanos& retry_after) noexcept {
  std::uint64_t state = word.load(std::memory_order_relaxed);
  std::uint64_t count = rule.credit == 0 ? 1 : rule.credit;
  for (;;) {
    const Taken taken = take(rule, state, count, now);
    if (!taken.admitted) {
      retry_after = taken.retry_after;
      if (count == 1) {
        if (taken.next != state) {
          word.compare_exchange_strong(state, taken.next, std::memory_order_relaxed);
        }
        return 0;
      }
      count /= 2;
    } else if (word.compare_exchange_weak(state, taken.next, std::memory_order_relaxed)) {
      undo = {&word, state, taken.next};
      return count;
    }
  }
}

inline bool borrow_credit(CellWords& cell, LaneWords& lane, const LimitRule& rule, std::uint32_t i,
                          Nanos now, CellLimitUndo& undo, Nanos& retry_after) noexcept {
  const std::uint64_t count =
      take_shared(cell_limit_word(cell, rule, i), rule, now, undo, retry_after);
  if (count == 0 || rule.credit == 0) return count != 0;
  undo.word = nullptr;
  const std::uint64_t tag = credit_tag(rule, now);
  std::uint64_t held = lane.credits[i].load(std::memory_order_relaxed);
  for (;;) {
    const std::uint64_t left = (held & ~kCreditMask) == tag ? held & kCreditMask : 0;
    const std::uint64_t sum = left + count - 1;
    const std::uint64_t next = tag | (sum < rule.credit ? sum : rule.credit);
    if (lane.credits[i].compare_exchange_weak(held, next, std::memory_order_relaxed)) return true;
  }
}

// Takes one request from the lane's credit of a cell's limit: one compare-and-set on the lane's own
// line. False without credit. Relaxed throughout: a count guards no other memory.
CELLROUTE_HOT inline bool take_credit(Word& credit, const LimitRule& rule, Nanos now) noexcept {
  const std::uint64_t tag = credit_tag(rule, now);
  std::uint64_t held = credit.load(std::memory_order_relaxed);
  // Above 0 and at most `credit`, in one comparison.
  while (held - tag - 1 < rule.credit) {
    if (credit.compare_exchange_weak(held, held - 1, std::memory_order_relaxed)) return true;
  }
  return false;
}

inline bool take_cell_limit(CellWords& cell, LaneWords& lane, const LimitRule& rule,
                            std::uint32_t i, Nanos now, CellLimitUndo& undo,
                            Nanos& retry_after) noexcept {
  return take_credit(lane.credits[i], rule, now) ||
         borrow_credit(cell, lane, rule, i, now, undo, retry_after);
}

inline void cancel_cell_limit(LaneWords& lane, const LimitRule& rule, std::uint32_t i, Nanos now,
                              const CellLimitUndo& undo) noexcept {
  if (undo.word != nullptr) {
    give_back(rule, *undo.word, undo.before, undo.after, rule.interval);
    return;
  }
  const std::uint64_t tag = credit_tag(rule, now);
  std::uint64_t held = lane.credits[i].load(std::memory_order_relaxed);
  while (held - tag < rule.credit) {
    if (lane.credits[i].compare_exchange_weak(held, held + 1, std::memory_order_relaxed)) return;
  }
}

}  // namespace cellroute::guard
