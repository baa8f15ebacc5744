// One set of the keyed limiter: which entry is a key's, and how an entry changes hands.
//
// With any number of threads and processes, each of which may die:
//   1. its state, idle by the taker's clock, becomes a mark that names the new tag word;
//   2. the claim (key and entry) goes into the set's claim word, by compare-and-set from the value
//      read before the taker looked for its key: no other claim came between, so no key has two;
//   3. the entry's tag becomes the marked one, and the claim word is cleared, by whoever comes by.
// An entry is valid while its state is no mark, or marks the very tag it has. Marks without a claim
// are free entries. Tags carry a version that each change raises, so that nobody acts on an old
// one.
#pragma once

#include <bit>
#include <cstdint>

#include "cellroute/guard/layout.hpp"
#include "cellroute/guard/limit.hpp"
#include "cellroute/guard/window.hpp"
#include "cellroute/time.hpp"

namespace cellroute::guard {

// A tag word: ident (54 bits: 43 of the key's hash, 11 of a WINDOW's slot code or 0), version (9).
inline constexpr std::uint64_t kVersionMask = 511;
inline constexpr std::uint64_t kIdentMask = (std::uint64_t{1} << 54) - 1;
// A claim word: pending (1 bit), entry (4), ident (54), sequence (5).
inline constexpr std::uint64_t kPending = std::uint64_t{1} << 63;

// What a request looks for: a key's entry in its set, for a limit.
struct WantedEntry {
  LimiterSet& set;
  std::uint64_t ident;
  std::uint32_t home;
  const LimitRule& rule;
  Nanos now;
};

enum class EntryClaim : std::uint8_t { kAgain, kFull };

constexpr std::uint32_t home_of(std::uint64_t h) noexcept {
  return static_cast<std::uint32_t>(h & (kSetEntries - 1));
}
constexpr std::uint64_t ident_of(std::uint64_t h, const LimitRule& rule) noexcept {
  const std::uint64_t tag = h >> 4 & ((std::uint64_t{1} << 43) - 1);
  return (tag == 0 ? 1 : tag) << 11 | rule.window.code;
}
constexpr std::uint64_t next_tag(std::uint64_t ident, std::uint64_t tag) noexcept {
  return ident << 9 | ((tag + 1) & kVersionMask);
}
constexpr bool valid(std::uint64_t tag, std::uint64_t state) noexcept {
  return (state & kMarkBit) == 0 || state == (kMarkBit | tag);
}

// The entry that is the key's now; 0: none. A line at a time, the home's first, and without a
// branch for each entry: where in a line a key is, nobody can predict.
inline std::uint32_t find(const WantedEntry& wanted) noexcept {
  for (std::uint32_t line = 0; line < kSetEntries; line += 4) {
    const std::uint32_t first = (wanted.home ^ line) & ~3u;
    std::uint32_t found = 0;
    for (std::uint32_t i = 0; i < 4; ++i) {
      const std::uint64_t tag = wanted.set.entries[first + i].tag.load(std::memory_order_acquire);
      found |= static_cast<std::uint32_t>(tag >> 9 == wanted.ident) << i;
    }
    if (first == 0) found &= ~1u;  // the claim word
    for (; found != 0; found &= found - 1) {
      const std::uint32_t at = first + static_cast<std::uint32_t>(std::countr_zero(found));
      const LimiterEntry& entry = wanted.set.entries[at];
      const std::uint64_t tag = entry.tag.load(std::memory_order_acquire);
      if (valid(tag, entry.state.load(std::memory_order_acquire))) return at;
    }
  }
  return 0;
}

// Whether an entry is nobody's, or back to the full allowance of whoever it is.
inline bool idle(std::uint64_t tag, std::uint64_t state, Nanos now) noexcept {
  if (tag == 0 || (state & kMarkBit) != 0) return true;
  const auto code = static_cast<std::uint32_t>(tag >> 9 & 2047);
  if (code == 0) return state <= nanos_of(now);
  return window_over(state, slot_length(code), nanos_of(now));
}

// Carries out the claim that the claim word held, or finds that it came to nothing.
inline void finish_claim(LimiterSet& set, std::uint64_t claim) noexcept {
  Word& claim_word = set.entries[0].tag;
  const std::uint64_t ident = claim >> 5 & kIdentMask;
  const std::uint64_t at = claim >> 59 & 15;
  if (at != 0) {
    LimiterEntry& entry = set.entries[at];
    std::uint64_t tag = entry.tag.load(std::memory_order_acquire);
    const std::uint64_t state = entry.state.load(std::memory_order_acquire);
    if (claim_word.load(std::memory_order_acquire) != claim) return;
    const std::uint64_t wanted = next_tag(ident, tag);
    if (state == (kMarkBit | wanted)) {
      if (!entry.tag.compare_exchange_strong(tag, wanted, std::memory_order_acq_rel)) return;
    } else if (tag >> 9 != ident || !valid(tag, state)) {
      // Another taker marked the entry before it knew of this claim, which comes to nothing; a new
      // version, so that nobody who slept can still carry it out.
      const std::uint64_t raised = next_tag(tag >> 9, tag);
      if (!entry.tag.compare_exchange_strong(tag, raised, std::memory_order_acq_rel)) return;
    }
  }
  claim_word.compare_exchange_strong(claim, claim & ~kPending, std::memory_order_acq_rel);
}

// Marks an entry that is nobody's or idle, and claims it. kAgain: look for the key again.
inline EntryClaim claim_entry(const WantedEntry& wanted, std::uint64_t claim) noexcept {
  for (std::uint32_t i = 0; i < kSetEntries; ++i) {
    const std::uint32_t at = wanted.home ^ i;
    LimiterEntry& entry = wanted.set.entries[at];
    if (at == 0) continue;
    const std::uint64_t tag = entry.tag.load(std::memory_order_acquire);
    std::uint64_t state = entry.state.load(std::memory_order_acquire);
    if (!idle(tag, state, wanted.now) || entry.tag.load(std::memory_order_acquire) != tag) continue;
    const std::uint64_t mark = kMarkBit | next_tag(wanted.ident, tag);
    if (!entry.state.compare_exchange_strong(state, mark, std::memory_order_acq_rel)) continue;
    const std::uint64_t next =
        kPending | std::uint64_t{at} << 59 | wanted.ident << 5 | ((claim + 1) & 31);
    if (wanted.set.entries[0].tag.compare_exchange_strong(claim, next)) {
      finish_claim(wanted.set, next);
    }
    return EntryClaim::kAgain;
  }
  return EntryClaim::kFull;
}

}  // namespace cellroute::guard
