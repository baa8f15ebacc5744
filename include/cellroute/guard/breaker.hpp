// The circuit breaker of a cell: closed, open, half-open.
#pragma once

#include <cstdint>

#include "cellroute/guard/region.hpp"
#include "cellroute/guard/wheel.hpp"
#include "cellroute/status.hpp"
#include "cellroute/topology.hpp"

namespace cellroute {

// A BreakerPolicy made ready for the path. Thread safety: a plain value.
struct BreakerRules {
  std::uint32_t consecutive_failures = 0;  // 0: off
  std::uint32_t failure_rate = 0;          // thousandths; 0: off
  std::uint32_t slow_rate = 0;             // thousandths; 0: off
  std::uint32_t minimum_calls = 1;
  Nanos slow_call = 0;      // 0: none is slow
  std::uint64_t tenth = 1;  // of the window, in ticks of wheel.hpp
  Nanos open = kSecond;
  Nanos open_max = kSecond;
  std::uint32_t probes = 1;          // 1 to 8
  std::uint64_t probe_deadline = 1;  // in ticks
  std::uint32_t max_ejected_percent = 100;

  bool on() const noexcept { return (consecutive_failures | failure_rate | slow_rate) != 0; }
  bool rates() const noexcept { return (failure_rate | slow_rate) != 0; }
};

// Errors: kInvalidArgument (rates above 1000, a window, open time or deadline that is not positive,
// open_max below open, probes not 1 to 8, percent above 100).
Result<BreakerRules> compile_breaker(const BreakerPolicy& policy);

// The breaker's part of a ticket.
struct BreakerTicket {
  std::uint32_t generation = 0;  // of the breaker's states, when the request was let through
  std::uint32_t probe = guard::kMaxProbes;  // the probe's place; kMaxProbes: no probe
  std::uint64_t probe_word = 0;
};

}  // namespace cellroute
