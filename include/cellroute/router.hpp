// The router: publish a topology, route requests, report how they went.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cellroute/decide.hpp"
#include "cellroute/decide_each.hpp"
#include "cellroute/guard/own_memory.hpp"
#include "cellroute/publish.hpp"
#include "cellroute/published.hpp"
#include "cellroute/snapshot.hpp"

namespace cellroute {

struct RouterOptions {
  GuardGeometry geometry;       // lanes: as many as workers × threads that route at once
  std::span<std::byte> memory;  // for the guard region: zeroed, aligned to 64, at least
                                // GuardRegion::bytes(geometry), outliving the router; shared memory
                                // makes processes share guards. Empty: the router's own
  std::uint64_t guard_seed = 0;  // of the limiter's tables; 0: a random one
  FleetOptions fleet;  // for limits of scope FLEET: bytes(fleet.entries) each, of the router's own,
                       // from the first topology that has it until one has not
};

// How a call to a cell went, as the host saw it. Give `http_status` where there was an answer.
enum class CallEnd : std::uint8_t { kAnswered, kConnectError, kTimeout, kClientAbort };

struct CallReport {
  CallEnd end = CallEnd::kAnswered;
  std::uint16_t http_status = 200;
  bool slow = false;  // in addition to calls longer than breaker.slow_call
};

// Thread safety: route(), place(), route_batch(), report(), explain() and snapshot() may run on any
// number of threads, also while publish() runs on another. Each call names a lane; threads with a
// lane each do not slow each other, threads that share one are safe.
// Fork: create the router in the process that uses it. A guard region in shared memory is meant to
// be used by many.
class Router {
 public:
  // Errors: those of GuardRegion::create() and FleetLimiter::check(); kResourceExhausted without
  // memory.
  static Result<std::unique_ptr<Router>> create(const RouterOptions& options) {
    if (Error error = FleetLimiter::check(options.fleet); !error.ok()) return error;
    guard::OwnMemory own;
    std::span<std::byte> memory = options.memory;
    if (memory.empty()) {
      const std::size_t bytes = GuardRegion::bytes(options.geometry);
      own = guard::OwnMemory(bytes);
      memory = own.bytes();
      if (memory.size() < bytes) {
        return Error(ErrorCode::kResourceExhausted,
                     "no memory for a guard region of " + std::to_string(bytes) + " bytes");
      }
    }
    std::uint64_t seed = options.guard_seed;
    while (seed == 0) seed = std::uint64_t{std::random_device{}()} << 32 | std::random_device{}();
    Result<GuardRegion> region = GuardRegion::create(memory, options.geometry, seed);
    if (!region.ok()) return region.error();
    return std::unique_ptr<Router>(new Router(*region, std::move(own), options.fleet));
  }

  // Checks `next` against what serves, and serves it with these mappings from now on. The same
  // compiled topology may be published again with other mappings. On an error what served serves
  // on. Errors: kRefused (check_publish(), or two cells with one directory number),
  // kResourceExhausted (the directory is full, or no memory for a fleet limit), kUnavailable
  // (readers stopped inside calls). Building a snapshot allocates: call it off the event loop.
  Error publish(const std::shared_ptr<const CompiledTopology>& next,
                std::span<const MappingRecord> mappings = {}, const PublishOptions& options = {}) {
    return publish(next, nullptr, mappings, options);
  }

  // The same with a mapping file as the base, null for none, and what changed since as `changes`,
  // tombstones included. kRefused besides: check_base().
  Error publish(const std::shared_ptr<const CompiledTopology>& next,
                const std::shared_ptr<const MappingFile>& base,
                std::span<const MappingRecord> changes, const PublishOptions& options = {}) {
    const std::lock_guard lock(publishing_);
    const std::shared_ptr<const Snapshot> serving = published_.hold(0);
    if (serving && serving->shared_compiled() != next) {
      if (Error error = check_publish(serving->compiled(), *next, options); !error.ok()) {
        return error;
      }
    }
    if (serving && serving->base() && base && serving->base() != base) {
      if (Error error = check_base(*serving->base(), *base, options); !error.ok()) return error;
    }
    Result<std::vector<std::uint32_t>> numbers = claim_numbers(*next);
    if (!numbers.ok()) return numbers.error();
    Result<FleetLimiters> fleet =
        make_fleet_limiters(next->topology().policy, fleet_, guards_.limiter(),
                            serving ? serving->guards().fleet() : FleetLimiters());
    if (!fleet.ok()) return fleet.error();
    Result<GuardPlan> plan =
        GuardPlan::make(*next, *numbers, guards_.region().geometry().lanes, std::move(*fleet));
    if (!plan.ok()) return plan.error();
    const auto snapshot =
        std::make_shared<const Snapshot>(next, *numbers, std::move(*plan), base, changes);
    if (Error error = published_.replace(snapshot); !error.ok()) return error;
    // Last, so that a topology that was not published has marked nothing.
    for (std::size_t i = 0; i < numbers->size(); ++i) {
      const Cell& cell = next->cell(static_cast<CellIndex>(i));
      guards_.region().apply_health((*numbers)[i], next->topology().generation, cell.health);
      guards_.region().start_load((*numbers)[i], cell.load);
    }
    return {};
  }

  // The whole decision, with everything it takes reserved: hand decision.ticket to report(). No
  // I/O, allocation, lock, system call or clock read.
  Decision route(const Request& request, Nanos now) noexcept { return decide<true>(request, now); }

  // Steps 1 to 6 alone: the same cell by mappings, constraints, strategy, health and breakers,
  // with nothing reserved, counted or charged.
  Decision place(const Request& request, Nanos now) noexcept { return decide<false>(request, now); }

  // route() for each of `requests`, all on one snapshot. `decisions` is at least as long. Requests
  // may name different lanes.
  void route_batch(std::span<const Request> requests, std::span<Decision> decisions,
                   Nanos now) noexcept {
    decide_batch<true>(requests, decisions, now);
  }
  void place_batch(std::span<const Request> requests, std::span<Decision> decisions,
                   Nanos now) noexcept {
    decide_batch<false>(requests, decisions, now);
  }

  // The same for hosts whose requests and decisions have another shape: `next(i)` makes the i-th
  // request, `take(i, decision)` gets its decision; neither may throw. It is asked for a request
  // twice where keys are looked up together; the first time only its key and lane count, and the
  // key must stay where it is until the decision is taken.
  template <class Next, class Take>
  void route_each(std::size_t count, Next&& next, Take&& take, Nanos now) noexcept {
    decide_each<true>(count, next, take, now);
  }
  template <class Next, class Take>
  void place_each(std::size_t count, Next&& next, Take&& take, Nanos now) noexcept {
    decide_each<false>(count, next, take, now);
  }

  // Ends a routed request: gives back what its ticket holds, tells the breaker, empties the ticket.
  // Late tells a closed breaker alone; empty, foreign none. No I/O, allocation, lock, system call.
  void report(Ticket& ticket, const CallReport& call, Nanos now) noexcept {
    if (ticket.empty() || ticket.lane >= lanes()) return;
    const Reading reading(published_, ticket.lane);
    const Snapshot* snapshot = reading.get();
    if (snapshot == nullptr) return;
    const CellPath& cell = snapshot->cell_numbered(ticket.cell);
    guards_.report(ticket, outcome_of(call, *snapshot), *cell.rules, *cell.group, now);
  }

  // The serving snapshot, kept alive as long as the caller holds it; null before the first publish.
  std::shared_ptr<const Snapshot> snapshot() const noexcept { return published_.hold(0); }

  // Health and load marks, counts and the directory.
  GuardRegion& region() noexcept { return guards_.region(); }
  const Guards& guards() const noexcept { return guards_; }
  const FleetOptions& fleet() const noexcept { return fleet_; }

 private:
  using Reading = Published<Snapshot>::Reading;

  Router(const GuardRegion& region, guard::OwnMemory own, const FleetOptions& fleet)
      : own_(std::move(own)), guards_(region), published_(region.geometry().lanes), fleet_(fleet) {}

  std::uint32_t lanes() const noexcept { return guards_.region().geometry().lanes; }

  template <bool kReserve>
  Decision decide(const Request& request, Nanos now) noexcept {
    if (request.lane >= lanes()) [[unlikely]]
      return kLaneOutOfRange;
    const Reading reading(published_, request.lane);
    if (reading.get() == nullptr) [[unlikely]]
      return kNoSnapshot;
    return Deciding<kReserve>::decide(*reading.get(), guards_, request, now);
  }

  template <bool kReserve>
  void decide_batch(std::span<const Request> requests, std::span<Decision> decisions,
                    Nanos now) noexcept {
    decide_each<kReserve>(
        requests.size(), [&](std::size_t i) -> const Request& { return requests[i]; },
        [&](std::size_t i, const Decision& decision) { decisions[i] = decision; }, now);
  }

  template <bool kReserve, class Next, class Take>
  void decide_each(std::size_t count, Next&& next, Take&& take, Nanos now) noexcept {
    const Reading reading(published_, 0);
    DecidingEach<kReserve, Next, Take>(reading.get(), guards_, next, take, now).decide(count);
  }

  Result<std::vector<std::uint32_t>> claim_numbers(const CompiledTopology& next) {
    std::vector<std::uint32_t> numbers;
    std::vector<bool> taken(guards_.region().geometry().cells);
    for (std::size_t i = 0; i < next.cell_count(); ++i) {
      const std::string& id = next.cell(static_cast<CellIndex>(i)).id;
      Result<std::uint32_t> number = guards_.region().claim(id);
      if (!number.ok()) return number.error();
      if (taken[*number]) {
        return refused("cell \"" + id +
                       "\" has the same directory hash as another cell: rename it");
      }
      taken[*number] = true;
      numbers.push_back(*number);
    }
    return numbers;
  }

  CELLROUTE_HOT static Outcome outcome_of(const CallReport& call,
                                          const Snapshot& snapshot) noexcept {
    const bool success = call.end == CallEnd::kAnswered && call.http_status < 400;
    return {success ? OutcomeKind::kSuccess : unsuccessful(call, snapshot), call.slow};
  }

  CELLROUTE_COLD static OutcomeKind unsuccessful(const CallReport& call,
                                                 const Snapshot& snapshot) noexcept {
    if (call.end == CallEnd::kClientAbort) return OutcomeKind::kIgnored;
    if (call.end != CallEnd::kAnswered) return OutcomeKind::kFailure;
    const auto& failures = snapshot.compiled().topology().policy.breaker.failure_statuses;
    const bool failed =
        std::find(failures.begin(), failures.end(), call.http_status) != failures.end();
    return failed ? OutcomeKind::kFailure : OutcomeKind::kIgnored;
  }

  guard::OwnMemory own_;
  Guards guards_;
  Published<Snapshot> published_;
  std::mutex publishing_;
  const FleetOptions fleet_;
};

}  // namespace cellroute
