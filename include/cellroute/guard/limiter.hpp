// Limits by key in fixed memory: sets of 15 entries of 16 bytes, and one overflow that all keys
// share for which a set has no room.
//
// An entry is given to another key only when it is back to its full allowance, so nobody's use is
// ever forgotten; and a key that comes out of the overflow begins with what the overflow has used,
// so a full limiter hands out no fresh allowance. A key is known by its set and 43 further bits of
// a hash keyed with the region's seed: with a million keys in 65,536 sets, some pair shares an
// entry with a chance of 1 in a million.
//
// How an entry changes hands, with any number of threads and processes, each of which may die:
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
#include <span>
#include <string_view>

#include "cellroute/guard/limit.hpp"
#include "cellroute/guard/region.hpp"

namespace cellroute {

// What a limit said, and how to give it back.
struct LimitTaken {
  bool admitted;
  Nanos retry_after;
  guard::Word* word;  // null: nothing was taken
  std::uint64_t before;
  std::uint64_t after;
  std::uint64_t interval;  // of a bucket; 0: a window

  void cancel(const LimitRule& rule) const noexcept {
    if (word != nullptr) guard::give_back(rule, *word, before, after, interval);
  }
};

// Thread and process safety: as GuardRegion's.
class KeyLimiter {
 public:
  explicit KeyLimiter(const GuardRegion& region) noexcept
      : sets_(region.limiter_sets()), seed_(region.seed()) {}

  // What to charge: the key, or for KEY_AND_RESOURCE the key and the resource. At most key.hpp's
  // lengths, so that the two never run into each other.
  std::uint64_t hash(std::string_view key) const noexcept { return hash_bytes(seed_, key); }
  std::uint64_t hash(std::string_view key, std::string_view resource) const noexcept {
    return hash_bytes(mix(hash(key)), resource);
  }

  // Takes one request from `hash`'s allowance under `rule`. Exact with any number of threads.
  // Without entries, or if 32 other claims in its set come in its way, it refuses.
  LimitTaken take(std::uint64_t hash, const LimitRule& rule, Nanos now) const noexcept;

  // Starts loading what take() will read.
  void prefetch(std::uint64_t hash, const LimitRule& rule) const noexcept {
    if (sets_.empty()) return;
    const std::uint64_t h = mix(hash ^ rule.signature);
    __builtin_prefetch(&set_of(h).entries[home_of(h)], 1);
  }

 private:
  // A tag word: tag (43 bits), the slot code of a WINDOW or 0 (11), version (9).
  static constexpr std::uint64_t kMark = guard::kMarkBit;
  static constexpr std::uint64_t kVersionMask = 511;
  static constexpr std::uint64_t kIdentMask = (std::uint64_t{1} << 54) - 1;
  // A claim word: pending (1 bit), entry (4), ident (54), sequence (5).
  static constexpr std::uint64_t kPending = std::uint64_t{1} << 63;

  struct Wanted {
    guard::LimiterSet& set;
    std::uint64_t ident;
    std::uint32_t home;
    const LimitRule& rule;
    Nanos now;
  };
  enum class Claim : std::uint8_t { kAgain, kFull };

  guard::LimiterSet& set_of(std::uint64_t h) const noexcept {
    return sets_[static_cast<std::size_t>(scale(h, sets_.size()))];
  }
  static std::uint32_t home_of(std::uint64_t h) noexcept {
    return static_cast<std::uint32_t>(h & 15);
  }
  static std::uint64_t ident_of(std::uint64_t h, const LimitRule& rule) noexcept {
    const std::uint64_t tag = h >> 4 & ((std::uint64_t{1} << 43) - 1);
    return (tag == 0 ? 1 : tag) << 11 | rule.window.code;
  }
  static std::uint64_t next_tag(std::uint64_t ident, std::uint64_t tag) noexcept {
    return ident << 9 | ((tag + 1) & kVersionMask);
  }

  static bool valid(std::uint64_t tag, std::uint64_t state) noexcept {
    return (state & kMark) == 0 || state == (kMark | tag);
  }
  static bool idle(std::uint64_t tag, std::uint64_t state, Nanos now) noexcept;
  static std::uint32_t find(const Wanted& wanted) noexcept;
  static void take_slowly(const Wanted& wanted, LimitTaken& out) noexcept;
  static bool take_entry(const Wanted& wanted, guard::LimiterEntry& entry,
                         LimitTaken& out) noexcept;
  static bool take_overflow(const Wanted& wanted, std::uint64_t claim, LimitTaken& out) noexcept;
  static std::uint64_t first_state(const Wanted& wanted) noexcept;
  static Claim claim_entry(const Wanted& wanted, std::uint64_t claim) noexcept;
  static void finish_claim(guard::LimiterSet& set, std::uint64_t claim) noexcept;

  std::span<guard::LimiterSet> sets_;
  std::uint64_t seed_;
};

inline LimitTaken KeyLimiter::take(std::uint64_t hash, const LimitRule& rule,
                                   Nanos now) const noexcept {
  LimitTaken out{};
  if (sets_.empty()) return out;
  const std::uint64_t h = mix(hash ^ rule.signature);
  const Wanted wanted{set_of(h), ident_of(h, rule), home_of(h), rule, now};
  const std::uint32_t at = find(wanted);
  if (at == 0 || !take_entry(wanted, wanted.set.entries[at], out)) take_slowly(wanted, out);
  return out;
}

// For a key without an entry, or one whose entry another thread changed just now.
CELLROUTE_COLD inline void KeyLimiter::take_slowly(const Wanted& wanted, LimitTaken& out) noexcept {
  constexpr int kAttempts = 32;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    // Acquire: the claim word is read before the key is looked for.
    const std::uint64_t claim = wanted.set.entries[0].tag.load(std::memory_order_acquire);
    if ((claim & kPending) != 0) {
      finish_claim(wanted.set, claim);
    } else if (const std::uint32_t at = find(wanted); at != 0) {
      if (take_entry(wanted, wanted.set.entries[at], out)) return;
    } else if (claim_entry(wanted, claim) == Claim::kFull) {
      if (take_overflow(wanted, claim, out)) return;
    }
  }
}

// The entry that is the key's now; 0: none. A line at a time, the home's first, and without a
// branch for each entry: where in a line a key is, nobody can predict.
inline std::uint32_t KeyLimiter::find(const Wanted& wanted) noexcept {
  for (std::uint32_t line = 0; line < guard::kSetEntries; line += 4) {
    const std::uint32_t first = (wanted.home ^ line) & ~3u;
    std::uint32_t found = 0;
    for (std::uint32_t i = 0; i < 4; ++i) {
      const std::uint64_t tag = wanted.set.entries[first + i].tag.load(std::memory_order_acquire);
      found |= static_cast<std::uint32_t>(tag >> 9 == wanted.ident) << i;
    }
    if (first == 0) found &= ~1u;  // the claim word
    for (; found != 0; found &= found - 1) {
      const std::uint32_t at = first + static_cast<std::uint32_t>(std::countr_zero(found));
      const guard::LimiterEntry& entry = wanted.set.entries[at];
      const std::uint64_t tag = entry.tag.load(std::memory_order_acquire);
      if (valid(tag, entry.state.load(std::memory_order_acquire))) return at;
    }
  }
  return 0;
}

// False where the entry changed hands or state meanwhile. Acquire and the second look at the tag: a
// state read between two equal tags belongs to them, and the compare-and-set then holds only while
// the entry is still the key's, because a taker changes the state first.
inline bool KeyLimiter::take_entry(const Wanted& wanted, guard::LimiterEntry& entry,
                                   LimitTaken& out) noexcept {
  const std::uint64_t tag = entry.tag.load(std::memory_order_acquire);
  std::uint64_t state = entry.state.load(std::memory_order_acquire);
  if (tag >> 9 != wanted.ident || !valid(tag, state) ||
      entry.tag.load(std::memory_order_acquire) != tag) {
    return false;
  }
  std::uint64_t current = state;
  if ((state & kMark) != 0) {
    current = first_state(wanted);
    if (current != 0) {  // written even where it refuses, or the overflow's use would never end
      if (!entry.state.compare_exchange_strong(state, current, std::memory_order_acq_rel)) {
        return false;
      }
      state = current;
    }
  }
  const guard::Taken taken = guard::take(wanted.rule, current, 1, wanted.now);
  out.retry_after = taken.retry_after;
  if (!taken.admitted) {
    if (taken.next != current) {
      entry.state.compare_exchange_strong(state, taken.next, std::memory_order_acq_rel);
    }
    return true;
  }
  if (!entry.state.compare_exchange_strong(state, taken.next, std::memory_order_acq_rel)) {
    return false;
  }
  out = {true, 0, &entry.state, state, taken.next, wanted.rule.interval};
  return true;
}

// What a key that was just given an entry has used: what the overflow has, as it may have been its
// doing; 0: nothing. Sequentially consistent, with take_overflow(): either this sees what that
// took, or that sees the claim.
inline std::uint64_t KeyLimiter::first_state(const Wanted& wanted) noexcept {
  const LimitRule& rule = wanted.rule;
  const std::uint64_t now = guard::nanos_of(wanted.now);
  const std::uint64_t used = wanted.set.entries[0].state.load(std::memory_order_seq_cst);
  if (rule.kind == LimitKind::kBucket) {
    const std::uint64_t most =
        now + rule.ahead < guard::kEndOfTime ? now + rule.ahead : guard::kEndOfTime;
    return used <= now ? 0 : used < most ? used : most;
  }
  if (used + guard::kWindowSlots * rule.window.slot <= now || used == 0) return 0;
  return guard::window_state(rule.window, now / rule.window.slot,
                             rule.window.requests / rule.window.unit,
                             rule.window.requests % rule.window.unit);
}

// A bucket that only rises, whatever limits its keys have. False where a claim came meanwhile: the
// key may have an entry of its own now.
inline bool KeyLimiter::take_overflow(const Wanted& wanted, std::uint64_t claim,
                                      LimitTaken& out) noexcept {
  guard::Word& word = wanted.set.entries[0].state;
  const std::uint64_t interval = wanted.rule.spill_interval;
  const std::uint64_t now = guard::nanos_of(wanted.now);
  std::uint64_t used = word.load(std::memory_order_relaxed);
  for (;;) {
    const std::uint64_t next = (used > now ? used : now) + interval;
    if (next < used || next - now > wanted.rule.spill_ahead || next > guard::kEndOfTime) {
      const std::uint64_t wait = next - now - wanted.rule.spill_ahead;
      out.retry_after = static_cast<Nanos>(wait < guard::kEndOfTime ? wait : 0);
      return true;
    }
    if (!word.compare_exchange_weak(used, next, std::memory_order_seq_cst)) continue;
    if (wanted.set.entries[0].tag.load(std::memory_order_seq_cst) != claim) {
      guard::give_back(wanted.rule, word, used, next, interval);
      return false;
    }
    out = {true, 0, &word, used, next, interval};
    return true;
  }
}

// Whether an entry is nobody's, or back to the full allowance of whoever it is.
inline bool KeyLimiter::idle(std::uint64_t tag, std::uint64_t state, Nanos now) noexcept {
  if (tag == 0 || (state & kMark) != 0) return true;
  const auto code = static_cast<std::uint32_t>(tag >> 9 & 2047);
  if (code == 0) return state <= guard::nanos_of(now);
  return guard::window_over(state, guard::slot_length(code), guard::nanos_of(now));
}

inline KeyLimiter::Claim KeyLimiter::claim_entry(const Wanted& wanted,
                                                 std::uint64_t claim) noexcept {
  for (std::uint32_t i = 0; i < guard::kSetEntries; ++i) {
    const std::uint32_t at = wanted.home ^ i;
    guard::LimiterEntry& entry = wanted.set.entries[at];
    if (at == 0) continue;
    const std::uint64_t tag = entry.tag.load(std::memory_order_acquire);
    std::uint64_t state = entry.state.load(std::memory_order_acquire);
    if (!idle(tag, state, wanted.now) || entry.tag.load(std::memory_order_acquire) != tag) continue;
    const std::uint64_t mark = kMark | next_tag(wanted.ident, tag);
    if (!entry.state.compare_exchange_strong(state, mark, std::memory_order_acq_rel)) continue;
    const std::uint64_t next =
        kPending | std::uint64_t{at} << 59 | wanted.ident << 5 | ((claim + 1) & 31);
    if (wanted.set.entries[0].tag.compare_exchange_strong(claim, next)) {
      finish_claim(wanted.set, next);
    }
    return Claim::kAgain;
  }
  return Claim::kFull;
}

inline void KeyLimiter::finish_claim(guard::LimiterSet& set, std::uint64_t claim) noexcept {
  guard::Word& claim_word = set.entries[0].tag;
  const std::uint64_t ident = claim >> 5 & kIdentMask;
  const std::uint64_t at = claim >> 59 & 15;
  if (at != 0) {
    guard::LimiterEntry& entry = set.entries[at];
    std::uint64_t tag = entry.tag.load(std::memory_order_acquire);
    const std::uint64_t state = entry.state.load(std::memory_order_acquire);
    if (claim_word.load(std::memory_order_acquire) != claim) return;
    const std::uint64_t wanted = next_tag(ident, tag);
    if (state == (kMark | wanted)) {
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

}  // namespace cellroute
