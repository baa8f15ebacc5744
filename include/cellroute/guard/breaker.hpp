// The circuit breaker of a cell.
//
// Closed, it opens on failures in a row, or when failures or slow calls make up their share of a
// sliding window with a least volume. Open, it lets nothing through until its time is over.
// Half-open, it lets at most `probes` requests through at once, each with a deadline, and closes
// when that many have succeeded; one that fails opens it again, for longer.
//
// A probe that is not reported by its deadline gives its place to the next and counts as lost; as
// many lost as are needed to close open the breaker again. So a report lost now and then costs a
// deadline and neither keeps a well cell out nor holds a place for ever, and a cell whose calls all
// vanish is not probed without end: 2 × probes − 1 probes decide at most.
//
// Reports name the generation they were admitted in and, for a probe, the word of its place; a
// late, second or foreign one finds another there and changes nothing. Requests of one generation
// that were not probes cannot be told apart: a second report of such a one counts as another call.
//
// Clock: stepping back, an open breaker stays open, at most for twice its time in all; jumping
// forward it may become half-open early, which admits no more than the probes.
#pragma once

#include <cstdint>

#include "cellroute/guard/breaker_window.hpp"
#include "cellroute/guard/breaker_word.hpp"
#include "cellroute/guard/ejection.hpp"
#include "cellroute/guard/region.hpp"
#include "cellroute/guard/wheel.hpp"

namespace cellroute {

// The breaker's part of a ticket.
struct BreakerTicket {
  std::uint32_t generation = 0;
  std::uint32_t probe = guard::kMaxProbes;  // the probe's place; kMaxProbes: no probe
  std::uint64_t probe_word = 0;
};

enum class BreakerAnswer : std::uint8_t { kPass, kOpen, kProbesTaken };

namespace guard {

constexpr Nanos in_nanos(std::uint64_t tick_number) noexcept {
  return static_cast<Nanos>(tick_number << kTickShift);
}

// The breaker of one cell, as one thread uses it. Thread safety: as GuardRegion's.
class BreakerOf {
 public:
  BreakerOf(const GuardRegion& region, std::uint32_t number) noexcept
      : region_(region), number_(number), cell_(region.cell_words(number)) {}

  // Whether it would let a request through. Changes nothing.
  BreakerAnswer look(const BreakerRules& rules, Nanos now, Nanos& retry_after) const noexcept {
    const std::uint64_t word = cell_.breaker.load(std::memory_order_relaxed);
    if (is_closed(word) || !rules.on()) return BreakerAnswer::kPass;
    const Breaker breaker = unpack(word);
    if (breaker.kind == BreakerKind::kOpen) {
      retry_after = open_left(breaker, rules, now);
      return retry_after == 0 ? BreakerAnswer::kPass : BreakerAnswer::kOpen;
    }
    std::uint64_t least = rules.probe_deadline;
    for (std::uint32_t i = 0; i < rules.probes; ++i) {
      const std::uint64_t left = probe_ticks_left(cell_.probes[i].load(std::memory_order_relaxed),
                                                  rules.probe_deadline, now);
      if (left < least) least = left;
    }
    retry_after = in_nanos(least);
    return least == 0 ? BreakerAnswer::kPass : BreakerAnswer::kProbesTaken;
  }

  // Lets a request through, as a probe where it is half-open. Closed, this is one relaxed load: the
  // word itself says all there is to know.
  CELLROUTE_HOT BreakerAnswer pass(const BreakerRules& rules, Nanos now, BreakerTicket& ticket,
                                   Nanos& retry_after) const noexcept {
    const std::uint64_t word = cell_.breaker.load(std::memory_order_relaxed);
    if (is_closed(word) || !rules.on()) [[likely]] {
      ticket.generation = generation_of(word);
      return BreakerAnswer::kPass;
    }
    const Passed passed = BreakerOf(*this).pass_not_closed(rules, now);
    ticket = passed.ticket;
    retry_after = passed.retry_after;
    return passed.answer;
  }

  // Takes back what pass() did, when another guard refused: the probe was never made.
  void withdraw(BreakerTicket& ticket) noexcept {
    if (ticket.probe >= kMaxProbes) return;
    std::uint64_t word = ticket.probe_word;
    const std::uint64_t free = (word - (std::uint64_t{1} << 40)) & kUseMask;
    cell_.probes[ticket.probe].compare_exchange_strong(word, free, std::memory_order_acq_rel);
    ticket = {};
  }

  // What most requests that went well are: no probe, and the breaker is closed with no failure
  // before. Writes only the lane's line. False, with nothing done, where it takes record().
  CELLROUTE_HOT bool record_plain(const BreakerRules& rules, LaneWords& lane,
                                  const BreakerTicket& ticket, Nanos now) noexcept {
    const std::uint64_t word = cell_.breaker.load(std::memory_order_relaxed);
    if (ticket.probe < kMaxProbes || !is_closed(word) || generation_of(word) != ticket.generation ||
        cell_.streak.load(std::memory_order_relaxed) != 0) {
      return false;
    }
    if (rules.rates()) {
      count_call(cell_, lane, turn_wheel(cell_.window_wheel, rules.tenth, kTenths, now));
    }
    return true;
  }

  // How a request went.
  void record(const BreakerRules& rules, LaneWords& lane, const BreakerTicket& ticket, bool failure,
              bool slow, const EjectionGroup& group, Nanos now) noexcept {
    if (ticket.probe < kMaxProbes) {
      finish_probe(rules, ticket, failure || (slow && rules.slow_rate != 0), now);
      return;
    }
    const std::uint64_t word = cell_.breaker.load(std::memory_order_relaxed);
    if (!is_closed(word) || generation_of(word) != ticket.generation || !rules.on()) return;
    if (rules.rates()) {
      count_call(cell_, lane, turn_wheel(cell_.window_wheel, rules.tenth, kTenths, now));
    }
    if (!failure && cell_.streak.load(std::memory_order_relaxed) != 0) {
      cell_.streak.store(0, std::memory_order_relaxed);
    }
    if (failure || slow) record_trouble(rules, failure, slow, group, now);
  }

  // A call that says nothing about the cell; a probe's place is free again.
  void ignore(const BreakerTicket& ticket) noexcept {
    if (ticket.probe < kMaxProbes) static_cast<void>(free_probe(ticket));
  }

 private:
  Nanos open_left(const Breaker& breaker, const BreakerRules& rules, Nanos now) const noexcept {
    const std::int64_t length = open_moments(rules, breaker.openings, region_.id_hash(number_));
    std::int64_t elapsed = moments_since(breaker.since, now);
    if (elapsed < 0) elapsed = 0;
    return elapsed >= length ? 0 : (length - elapsed) << kMomentShift;
  }

  // Where the clock stepped back by more than the open time, that time begins anew: it must not
  // stand still until the clock is back where it was.
  void rebase(std::uint64_t word, const BreakerRules& rules, Nanos now) noexcept {
    Breaker breaker = unpack(word);
    const std::int64_t length = open_moments(rules, breaker.openings, region_.id_hash(number_));
    if (moments_since(breaker.since, now) >= -length) return;
    breaker.since = moment(now);
    cell_.breaker.compare_exchange_strong(word, pack(breaker), std::memory_order_acq_rel);
  }

  struct Passed {
    BreakerAnswer answer = BreakerAnswer::kPass;
    BreakerTicket ticket;
    Nanos retry_after = 0;
  };

  // By value, so that the caller's own stay in registers.
  CELLROUTE_COLD Passed pass_not_closed(const BreakerRules& rules, Nanos now) noexcept {
    constexpr int kAttempts = 8;  // each lost one means that another thread changed the state
    Passed passed;
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      std::uint64_t word = cell_.breaker.load(std::memory_order_acquire);
      if (is_closed(word)) {
        passed.ticket.generation = generation_of(word);
        return passed;
      }
      Breaker breaker = unpack(word);
      if (breaker.kind == BreakerKind::kOpen) {
        passed.retry_after = open_left(breaker, rules, now);
        if (passed.retry_after != 0) {
          rebase(word, rules, now);
          passed.answer = BreakerAnswer::kOpen;
          return passed;
        }
        breaker.kind = BreakerKind::kHalfOpen;
        breaker.since = moment(now);
        cell_.breaker.compare_exchange_strong(word, pack(breaker), std::memory_order_acq_rel);
        continue;
      }
      passed.answer = look(rules, now, passed.retry_after);
      if (passed.answer == BreakerAnswer::kProbesTaken) return passed;
      if (take_probe(rules, breaker.generation, now, passed.ticket)) return passed;
    }
    passed.answer = BreakerAnswer::kProbesTaken;
    passed.retry_after = in_nanos(rules.probe_deadline);
    return passed;
  }

  // Takes a free place, or that of a probe past its deadline. The state is looked at again after: a
  // probe must not go out into a breaker that has just opened.
  bool take_probe(const BreakerRules& rules, std::uint32_t generation, Nanos now,
                  BreakerTicket& ticket) noexcept {
    for (std::uint32_t i = 0; i < rules.probes; ++i) {
      std::uint64_t word = cell_.probes[i].load(std::memory_order_relaxed);
      if (probe_ticks_left(word, rules.probe_deadline, now) != 0) continue;
      const std::uint64_t mine = probe_word(word, generation, now);
      if (!cell_.probes[i].compare_exchange_strong(word, mine, std::memory_order_acq_rel)) continue;
      if ((word & kTaken) != 0 && probe_generation(word) == generation) {
        count_probe(rules, generation, ProbeEnd::kLost, now);
      }
      ticket = {generation, i, mine};
      const std::uint64_t now_word = cell_.breaker.load(std::memory_order_acquire);
      if (unpack(now_word).kind == BreakerKind::kHalfOpen &&
          generation_of(now_word) == generation) {
        return true;
      }
      withdraw(ticket);
      return false;
    }
    return false;
  }

  bool free_probe(const BreakerTicket& ticket) noexcept {
    std::uint64_t word = ticket.probe_word;
    return cell_.probes[ticket.probe].compare_exchange_strong(word, word & kUseMask,
                                                              std::memory_order_acq_rel);
  }

  CELLROUTE_COLD void finish_probe(const BreakerRules& rules, const BreakerTicket& ticket,
                                   bool failure, Nanos now) noexcept {
    const bool late = probe_ticks_left(ticket.probe_word, rules.probe_deadline, now) == 0;
    if (!free_probe(ticket)) return;
    count_probe(rules, ticket.generation,
                late      ? ProbeEnd::kLost
                : failure ? ProbeEnd::kFailed
                          : ProbeEnd::kSucceeded,
                now);
  }

  enum class ProbeEnd : std::uint8_t { kSucceeded, kFailed, kLost };

  // Counts a probe's end into the half-open state of its generation, which may decide it.
  void count_probe(const BreakerRules& rules, std::uint32_t generation, ProbeEnd end,
                   Nanos now) noexcept {
    std::uint64_t word = cell_.breaker.load(std::memory_order_acquire);
    for (;;) {
      Breaker breaker = unpack(word);
      if (breaker.kind != BreakerKind::kHalfOpen || breaker.generation != generation) return;
      breaker.successes += end == ProbeEnd::kSucceeded ? 1 : 0;
      breaker.losses += end == ProbeEnd::kLost ? 1 : 0;
      if (breaker.successes >= rules.probes) {
        clear_window(cell_);  // nothing is counted while half-open, so before it closes
        breaker.kind = BreakerKind::kClosed;
        breaker.successes = breaker.losses = 0;
        breaker.since = moment(now);
      } else if (end == ProbeEnd::kFailed || breaker.losses >= rules.probes) {
        breaker = opened(breaker, rules, region_.id_hash(number_), now);
      }
      if (cell_.breaker.compare_exchange_weak(word, pack(breaker), std::memory_order_acq_rel)) {
        return;
      }
    }
  }

  CELLROUTE_COLD void record_trouble(const BreakerRules& rules, bool failure, bool slow,
                                     const EjectionGroup& group, Nanos now) noexcept {
    const std::uint64_t turn = turn_wheel(cell_.window_wheel, rules.tenth, kTenths, now);
    if (rules.rates()) count_trouble(cell_, turn, failure, slow);
    bool open = false;
    if (failure && rules.consecutive_failures != 0) {
      const std::uint64_t streak = cell_.streak.fetch_add(1, std::memory_order_relaxed) + 1;
      open = streak >= rules.consecutive_failures;
    }
    open = open || (rules.rates() && rates_reached(region_, number_, rules, turn));
    if (!open) return;
    if (!group.limited) {
      const std::uint64_t word = cell_.breaker.load(std::memory_order_acquire);
      if (is_closed(word)) open_closed(cell_, word, rules, region_.id_hash(number_), now);
      return;
    }
    // Refused, it is asked again in the next tenth: while many cells fail, counting the group for
    // each failure would cost more than routing.
    if (cell_.refused.load(std::memory_order_relaxed) == turn + 1) return;
    if (open_limited(region_, number_, rules, group, now) == Opening::kRefused) {
      cell_.refused.store(turn + 1, std::memory_order_relaxed);
    }
  }

  const GuardRegion& region_;
  std::uint32_t number_;
  CellWords& cell_;
};

}  // namespace guard
}  // namespace cellroute
