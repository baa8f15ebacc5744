// Steps 5 to 8 of a decision: pick a cell, ask its guards, answer.
//
// One piece of code decides for route(), which reserves, and for place() and explain(), which do
// not: what is explained is what is done.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <type_traits>

#include "cellroute/choose.hpp"
#include "cellroute/select.hpp"

namespace cellroute {

// What a host is told where nothing says when it gets better.
inline constexpr Nanos kDefaultRetryAfter = kSecond;

inline Status status_of(Refusal refusal) noexcept {
  const bool limited = refusal == Refusal::kKeyLimit || refusal == Refusal::kFleetLimit ||
                       refusal == Refusal::kCellLimit;
  return limited ? Status::kRateLimited : Status::kUnavailable;
}

inline Reason reason_of(Refusal refusal, bool by_resource) noexcept {
  switch (refusal) {
    case Refusal::kUnhealthy: return Reason::kCellUnhealthy;
    case Refusal::kBreakerOpen: return Reason::kBreakerOpen;
    case Refusal::kProbesTaken: return Reason::kProbesTaken;
    case Refusal::kInFlightFull: return Reason::kCellFull;
    case Refusal::kKeyLimit: return by_resource ? Reason::kKeyResourceLimit : Reason::kKeyLimit;
    case Refusal::kFleetLimit: return Reason::kFleetLimit;
    case Refusal::kCellLimit: return Reason::kCellLimit;
    case Refusal::kNone: break;
  }
  return Reason::kNone;
}

// One decision under way. With kReserve it takes what admit() takes and counts placements;
// without, it looks at health and breakers only and changes nothing.
template <bool kReserve>
class Deciding {
 public:
  using GuardsRef = std::conditional_t<kReserve, Guards&, const Guards&>;

  // What most requests need is inlined here, with its state in registers: a key that goes to its
  // cell or nowhere, whose cell's guards admit. All others are decided in full, from the beginning:
  // step 1 to 5 are a function of the snapshot and the request, and a refusal consumes nothing.
  CELLROUTE_HOT static Decision decide(const Snapshot& snapshot, GuardsRef guards,
                                       const Request& request, Nanos now) noexcept {
    const SnapshotPath& path = snapshot.path();
    if (path.pinned && request.tried.empty()) [[likely]] {
      const Choice choice = choose_without_base(snapshot, request, now);
      if (choice.status == Status::kOk) [[likely]] {
        const CellPath& cell =
            path.cells[choice.mapped ? choice.cell : pick(path, request, choice)];
        Ticket ticket;
        if (admits(guards, request, cell, now, ticket)) [[likely]]
          return served(path, choice, cell, ticket);
      }
    } else if (path.pinned_over_base) {
      return decide_over_base(snapshot, guards, request, now);
    }
    return decide_in_full(snapshot, guards, request, now, nullptr);
  }

  // The same for a snapshot with a base, where `in_base` is what that says of the key. False, with
  // nothing decided, where it takes decide_in_full().
  CELLROUTE_HOT static bool decide_quickly(const Snapshot& snapshot, GuardsRef guards,
                                           const Request& request, Nanos now,
                                           const FileAnswer& in_base, Decision& decision) noexcept {
    const SnapshotPath& path = snapshot.path();
    if (!path.pinned_over_base || !request.tried.empty()) [[unlikely]]
      return false;
    const Choice choice = choose_over_base(snapshot, request, now, in_base);
    if (choice.status != Status::kOk) [[unlikely]]
      return false;
    const CellPath& cell = home_over_base(path, request, choice);
    Ticket ticket;
    if (!admits(guards, request, cell, now, ticket)) [[unlikely]]
      return false;
    decision = served(path, choice, cell, ticket);
    return true;
  }

  [[gnu::noinline]] static Decision decide_in_full(const Snapshot& snapshot, GuardsRef guards,
                                                   const Request& request, Nanos now,
                                                   const FileAnswer* in_base) noexcept {
    Deciding deciding(snapshot, guards, request, now);
    deciding.serve(choose(snapshot, request, now, in_base));
    return deciding.decision_;
  }

 private:
  Deciding(const Snapshot& snapshot, GuardsRef guards, const Request& request, Nanos now) noexcept
      : snapshot_(snapshot), guards_(guards), request_(request), now_(now) {}

  // By itself, so that snapshots without a base pay nothing for it.
  [[gnu::noinline]] static Decision decide_over_base(const Snapshot& snapshot, GuardsRef guards,
                                                     const Request& request, Nanos now) noexcept {
    if (request.tried.empty()) [[likely]] {
      const SnapshotPath& path = snapshot.path();
      const Choice choice = choose_over_base(snapshot, request, now, [&](std::uint32_t cell) {
        if constexpr (kReserve) guards.prefetch(snapshot.base_number(cell), request.lane);
      });
      if (choice.status == Status::kOk) [[likely]] {
        const CellPath& cell = home_over_base(path, request, choice);
        Ticket ticket;
        if (admits(guards, request, cell, now, ticket)) [[likely]]
          return served(path, choice, cell, ticket);
      }
    }
    return decide_in_full(snapshot, guards, request, now, nullptr);
  }

  // The quick ways' end.
  CELLROUTE_HOT static bool admits(GuardsRef guards, const Request& request, const CellPath& cell,
                                   Nanos now, Ticket& ticket) noexcept {
    if constexpr (kReserve) {
      return guards.admit(cell.number, request.lane, *cell.rules, {}, now, ticket).ok();
    } else {
      return guards.available(cell.number, *cell.rules, now).ok();
    }
  }

  // The ticket goes field by field: copied at once, it would be read in wider pieces than it was
  // just written in, for which the processor waits.
  CELLROUTE_HOT static Decision served(const SnapshotPath& path, const Choice& choice,
                                       const CellPath& cell, const Ticket& ticket) noexcept {
    return {.status = Status::kOk,
            .reason = choice.reason,
            .cell = cell.number,
            .epoch = choice.epoch,
            .generation = path.generation,
            .timeout = path.timeout,
            .ticket = {.cell = ticket.cell,
                       .lane = ticket.lane,
                       .flight = {ticket.flight.turn},
                       .breaker = {.generation = ticket.breaker.generation,
                                   .probe = ticket.breaker.probe,
                                   .probe_word = ticket.breaker.probe_word},
                       .start = ticket.start}};
  }

  // The base's own cells lie side by side: one load less on the way from the key's line.
  CELLROUTE_HOT static const CellPath& home_over_base(const SnapshotPath& path,
                                                      const Request& request,
                                                      const Choice& choice) noexcept {
    return choice.mapped ? *choice.home : path.cells[pick(path, request, choice)];
  }

  const Policy& policy() const noexcept { return snapshot_.compiled().topology().policy; }

  CELLROUTE_HOT static CellIndex pick(const SnapshotPath& path, const Request& request,
                                      const Choice& choice) noexcept {
    return path.pools[choice.pool].picker.pick(request.key, choice.hash);
  }

  void serve(const Choice& choice) noexcept {
    decision_.generation = snapshot_.generation();
    decision_.epoch = choice.epoch;
    decision_.status = choice.status;
    decision_.reason = choice.reason;
    if (choice.status != Status::kOk) return answer_denied(choice);
    decision_.timeout = snapshot_.path().timeout;
    plan_ = choice.plan;
    if constexpr (kReserve) {
      if (request_.tried.empty()) charge();
    }
    if (!choice.mapped && policy().affinity == Affinity::kStateless) {
      const Pool& pool = snapshot_.compiled().pool(choice.pool);
      return serve_anywhere(pool, Picker::point(pool.picker.kind(), request_.key, choice.hash));
    }
    serve_at_home(choice, choice.mapped ? choice.cell : pick(snapshot_.path(), request_, choice));
  }

  void answer_denied(const Choice& choice) noexcept {
    if (choice.mapped && choice.cell != kNoCell) decision_.cell = snapshot_.number_of(choice.cell);
    if (choice.reason == Reason::kAwaitsAssignment) propose(choice);
    if (choice.status == Status::kMigrating || choice.reason == Reason::kLookupUnknown) {
      decision_.retry_after = kDefaultRetryAfter;
    }
  }

  // The cell that a new key should have: by hash the first of its preference order, by load the
  // least loaded; never a full one.
  void propose(const Choice& choice) noexcept {
    const Pool& pool = snapshot_.compiled().pool(choice.pool);
    const Point point = Picker::point(pool.picker.kind(), request_.key, choice.hash);
    const CellIndex cell =
        least_loaded(snapshot_, guards_, Preference(pool.picker, pool.members, point), choices(),
                     [this](CellIndex i) { return !is_full(snapshot_, guards_, i); });
    if (cell == kNoCell) {
      decision_.status = Status::kNoEligibleCell;
      decision_.reason = Reason::kAllCellsFull;
    } else {
      decision_.cell = snapshot_.number_of(cell);
    }
  }

  // How many cells of the preference order selection by load compares.
  std::size_t choices() const noexcept {
    switch (policy().selection) {
      case Selection::kTwoChoices: return 2;
      case Selection::kLeastLoad: return Preference::kNoLimit;
      case Selection::kByHash: break;
    }
    return 1;
  }

  // Step 7's limits on the key, in their order: key, key and resource, then the fleet's. The cell's
  // come last. Another try of a request is no other request of its key.
  void charge() noexcept {
    for (const KeyLimit* limit : snapshot_.guards().limits(plan_)) {
      const KeyLimiter& limiter = guards_.limiter();
      KeyCharge& charge = charges_[charge_count_++];
      charge.rule = &limit->rule_for(request_.key);
      if (limit->by == CountedBy::kKey) {
        charge.hash = limiter.hash(request_.key);
      } else if (limit->by == CountedBy::kKeyAndResource) {
        charge.hash = limiter.hash(request_.key, request_.resource);
      } else {
        charge.key = &request_.key;
      }
    }
  }

  bool tried(std::uint32_t number) const noexcept {
    return std::find(request_.tried.begin(), request_.tried.end(), number) != request_.tried.end();
  }

  Admission ask(CellIndex cell) noexcept {
    const CellPath& path = snapshot_.path().cells[cell];
    if constexpr (kReserve) {
      return guards_.admit(path.number, request_.lane, *path.rules,
                           std::span(charges_).first(charge_count_), now_, decision_.ticket);
    } else {
      return guards_.available(path.number, *path.rules, now_);
    }
  }

  void deny(Status status, Reason reason, Nanos retry_after) noexcept {
    decision_.status = status;
    decision_.reason = reason;
    decision_.retry_after = retry_after > 0 ? retry_after : kDefaultRetryAfter;
  }

  void deny(const Admission& refused) noexcept {
    const auto limits = snapshot_.guards().limits(plan_);
    const bool by_resource = refused.refusal == Refusal::kKeyLimit &&
                             refused.limit < limits.size() &&
                             limits[refused.limit]->by == CountedBy::kKeyAndResource;
    deny(status_of(refused.refusal), reason_of(refused.refusal, by_resource), refused.retry_after);
  }

  // A key whose state lives in `home` goes there or nowhere. Only where the home is sick may a READ
  // go to a replica; a home that is full or over its limits is not.
  void serve_at_home(const Choice& choice, CellIndex home) noexcept {
    decision_.cell = snapshot_.number_of(home);
    if (!tried(decision_.cell)) {
      const Admission admission = ask(home);
      if (admission.ok()) return;
      deny(admission);
      const bool sick = admission.refusal == Refusal::kUnhealthy ||
                        admission.refusal == Refusal::kBreakerOpen ||
                        admission.refusal == Refusal::kProbesTaken;
      if (!sick) return;
    } else {
      deny(Status::kUnavailable, Reason::kAlreadyTried, 0);
    }
    if (request_.access == Access::kRead) serve_from_replica(choice, home);
  }

  void serve_from_replica(const Choice& choice, CellIndex home) noexcept {
    const CompiledTopology& compiled = snapshot_.compiled();
    const Requirement& requirement = compiled.requirements()[choice.requirement];
    for (const CellIndex replica : compiled.replicas(home)) {
      const CellFacts& facts = compiled.facts(replica);
      const std::uint32_t number = snapshot_.number_of(replica);
      if (facts.state == CellState::kOffline || !requirement.passes(facts) || tried(number))
        continue;
      if (!ask(replica).ok()) continue;
      decision_.status = Status::kOk;
      decision_.reason = Reason::kReplica;
      decision_.read_only = true;
      decision_.retry_after = 0;
      decision_.cell = number;
      return;
    }
  }

  // Any cell of the pool will do: the chosen one first, then the preference order. Only a limit of
  // the key itself ends the search, since no other cell would change it.
  void serve_anywhere(const Pool& pool, Point point) noexcept {
    const std::size_t limit =
        policy().shuffle_shard == 0 ? Preference::kNoLimit : std::size_t{policy().shuffle_shard};
    const Preference whole(pool.picker, pool.members, point, limit);
    Nanos soonest = 0;
    if (policy().selection != Selection::kByHash) {
      const CellIndex cell =
          least_loaded(snapshot_, guards_, whole, choices(), [this](CellIndex i) {
            return !tried(snapshot_.number_of(i)) && !is_full(snapshot_, guards_, i) &&
                   available(i);
          });
      if (cell != kNoCell && try_cell(cell, Reason::kLeastLoaded, soonest)) return;
    }
    LoadBound bound(snapshot_, guards_, pool);
    if (walk(whole, &bound, soonest)) return;
    // Those that are left are all above the mean: the others are out, and a cell that is busy beats
    // no cell. Its in-flight cap still holds.
    if (policy().bounded_load != 0 && walk(whole, nullptr, soonest)) return;
    decision_.cell = kNoCellNumber;
    deny(Status::kUnavailable, Reason::kAllCellsOut, soonest);
  }

  bool walk(Preference order, LoadBound* bound, Nanos& soonest) noexcept {
    const bool by_hash = policy().selection == Selection::kByHash;
    Reason reason = by_hash ? Reason::kPlaced : Reason::kSpilled;
    for (CellIndex cell = order.next(); cell != kNoCell; cell = order.next()) {
      const bool skipped = tried(snapshot_.number_of(cell)) || (bound && !bound->accepts(cell)) ||
                           (!by_hash && is_full(snapshot_, guards_, cell));
      if (!skipped && try_cell(cell, reason, soonest)) return true;
      reason = Reason::kSpilled;
    }
    return false;
  }

  bool available(CellIndex cell) const noexcept {
    return guards_.available(snapshot_.number_of(cell), snapshot_.guards().rules(cell), now_).ok();
  }

  // True when the search is over: the cell serves, or the key's own limit refuses.
  bool try_cell(CellIndex cell, Reason reason, Nanos& soonest) noexcept {
    const Admission admission = ask(cell);
    if (!admission.ok()) {
      if (admission.refusal == Refusal::kKeyLimit || admission.refusal == Refusal::kFleetLimit) {
        deny(admission);
        return true;
      }
      if (admission.retry_after > 0 && (soonest == 0 || admission.retry_after < soonest)) {
        soonest = admission.retry_after;
      }
      return false;
    }
    decision_.status = Status::kOk;
    decision_.reason = reason;
    decision_.cell = snapshot_.number_of(cell);
    if constexpr (kReserve) {
      if (policy().selection != Selection::kByHash) guards_.region().add_placement(decision_.cell);
    }
    return true;
  }

  const Snapshot& snapshot_;
  GuardsRef guards_;
  const Request& request_;
  Nanos now_;
  Decision decision_;
  std::uint16_t plan_ = 0;
  std::size_t charge_count_ = 0;
  std::array<KeyCharge, Guards::kMaxKeyCharges> charges_;  // left as it is until written to
};

}  // namespace cellroute
