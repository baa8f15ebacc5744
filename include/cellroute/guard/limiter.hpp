// Limits by key in fixed memory: sets of 15 entries of 16 bytes, and one overflow that all keys
// share for which a set has no room.
//
// An entry is given to another key only when it is back to its full allowance, so nobody's use is
// ever forgotten; and a key that comes out of the overflow begins with what the overflow has used,
// so a full limiter hands out no fresh allowance. A key is known by its set and 43 further bits of
// a hash keyed with the region's seed: with a million keys in 65,536 sets, some pair shares an
// entry with a chance of 1 in a million.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "cellroute/guard/limit.hpp"
#include "cellroute/guard/limiter_set.hpp"
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
    __builtin_prefetch(&set_of(h).entries[guard::home_of(h)], 1);
  }

 private:
  guard::LimiterSet& set_of(std::uint64_t h) const noexcept {
    return sets_[static_cast<std::size_t>(scale(h, sets_.size()))];
  }
  static void take_slowly(const guard::WantedEntry& wanted, LimitTaken& out) noexcept;
  static bool take_entry(const guard::WantedEntry& wanted, guard::LimiterEntry& entry,
                         LimitTaken& out) noexcept;
  static bool take_overflow(const guard::WantedEntry& wanted, std::uint64_t claim,
                            LimitTaken& out) noexcept;
  static std::uint64_t first_state(const guard::WantedEntry& wanted) noexcept;

  std::span<guard::LimiterSet> sets_;
  std::uint64_t seed_;
};

inline LimitTaken KeyLimiter::take(std::uint64_t hash, const LimitRule& rule,
                                   Nanos now) const noexcept {
  LimitTaken out{};
  if (sets_.empty()) return out;
  const std::uint64_t h = mix(hash ^ rule.signature);
  const guard::WantedEntry wanted{set_of(h), guard::ident_of(h, rule), guard::home_of(h), rule,
                                  now};
  const std::uint32_t at = guard::find(wanted);
  if (at == 0 || !take_entry(wanted, wanted.set.entries[at], out)) take_slowly(wanted, out);
  return out;
}

// For a key without an entry, or one whose entry another thread changed just now.
CELLROUTE_COLD inline void KeyLimiter::take_slowly(const guard::WantedEntry& wanted,
                                                   LimitTaken& out) noexcept {
  constexpr int kAttempts = 32;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    // Acquire: the claim word is read before the key is looked for.
    const std::uint64_t claim = wanted.set.entries[0].tag.load(std::memory_order_acquire);
    if ((claim & guard::kPending) != 0) {
      guard::finish_claim(wanted.set, claim);
    } else if (const std::uint32_t at = guard::find(wanted); at != 0) {
      if (take_entry(wanted, wanted.set.entries[at], out)) return;
    } else if (guard::claim_entry(wanted, claim) == guard::EntryClaim::kFull) {
      if (take_overflow(wanted, claim, out)) return;
    }
  }
}

// False where the entry changed hands or state meanwhile. Acquire and the second look at the tag: a
// state read between two equal tags belongs to them, and the compare-and-set then holds only while
// the entry is still the key's, because a taker changes the state first.
inline bool KeyLimiter::take_entry(const guard::WantedEntry& wanted, guard::LimiterEntry& entry,
                                   LimitTaken& out) noexcept {
  const std::uint64_t tag = entry.tag.load(std::memory_order_acquire);
  std::uint64_t state = entry.state.load(std::memory_order_acquire);
  if (tag >> 9 != wanted.ident || !guard::valid(tag, state) ||
      entry.tag.load(std::memory_order_acquire) != tag) {
    return false;
  }
  std::uint64_t current = state;
  if ((state & guard::kMarkBit) != 0) {
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
inline std::uint64_t KeyLimiter::first_state(const guard::WantedEntry& wanted) noexcept {
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
inline bool KeyLimiter::take_overflow(const guard::WantedEntry& wanted, std::uint64_t claim,
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

}  // namespace cellroute
