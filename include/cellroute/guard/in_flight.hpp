// Requests in flight by cell.
#pragma once

#include <cstdint>

#include "cellroute/guard/region.hpp"
#include "cellroute/guard/wheel.hpp"
#include "cellroute/status.hpp"
#include "cellroute/topology.hpp"

namespace cellroute {

struct InFlightRules {
  std::uint32_t cap = 0;     // 0: none, entries are counted all the same
  std::uint32_t credit = 0;  // the most that a lane holds unused; 0: it asks for each
  std::uint64_t slot = 1;    // an eighth of the deadline, in ticks of wheel.hpp
};

// Errors: kInvalidArgument (a deadline that is not positive, a cap above 1,048,575).
Result<InFlightRules> compile_in_flight(const InFlightPolicy& policy, std::uint32_t lanes);

struct FlightTicket {
  static constexpr std::uint32_t kNone = 0xffff'ffff;
  std::uint32_t turn = kNone;  // of the wheel; kNone: nothing is counted
};

}  // namespace cellroute
