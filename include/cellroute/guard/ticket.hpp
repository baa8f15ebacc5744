// What goes into and comes out of the guards: charges, admissions, tickets, outcomes.
#pragma once

#include <cstdint>
#include <string_view>

#include "cellroute/guard/breaker.hpp"
#include "cellroute/guard/in_flight.hpp"
#include "cellroute/guard/limit.hpp"
#include "cellroute/time.hpp"

namespace cellroute {

// A limit to charge a key's request to; the fleet's stand behind all others.
struct KeyCharge {
  union {
    std::uint64_t hash;           // KeyLimiter::hash() of the key, or of key and resource
    const std::string_view* key;  // where the rule is of the fleet; outlives the charge
  };
  const LimitRule* rule;
};

enum class Refusal : std::uint8_t {
  kNone = 0,
  kUnhealthy,    // the cell's health mark
  kBreakerOpen,  // retry_after: until it lets probes through
  kProbesTaken,  // half-open, and as many probes as may be are out
  kInFlightFull,
  kKeyLimit,    // `limit` says which of the charges
  kFleetLimit,  // likewise
  kCellLimit,   // `limit` says which of the rules' limits
};

struct Admission {
  Refusal refusal = Refusal::kNone;
  bool exceeded = false;  // admitted beyond a limit that only counts
  std::uint32_t limit = 0;
  Nanos retry_after = 0;  // 0: not known
  bool ok() const noexcept { return refusal == Refusal::kNone; }
};

// What admit() reserved. An admitted request hands it to report() once; copies of it must not be.
// Never reported: the in-flight entry expires after `in_flight.deadline`, a probe after
// `probe_deadline`. Thread safety: a plain value.
struct Ticket {
  static constexpr std::uint32_t kNoCell = 0xffff'ffff;

  std::uint32_t cell = kNoCell;
  std::uint32_t lane = 0;
  FlightTicket flight;
  BreakerTicket breaker;
  Nanos start = 0;

  bool empty() const noexcept { return cell == kNoCell; }
};

enum class OutcomeKind : std::uint8_t {
  kSuccess,
  kFailure,  // connect error, timeout, a status of breaker.failure_statuses
  kIgnored,  // says nothing about the cell: 4xx, the client's own abort
};

struct Outcome {
  OutcomeKind kind = OutcomeKind::kSuccess;
  bool slow = false;  // in addition to a call longer than breaker.slow_call since admit()
};

}  // namespace cellroute
