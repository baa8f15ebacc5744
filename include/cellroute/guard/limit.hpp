// Limits, made ready for the path, and their arithmetic on one 64-bit word.
//
// BUCKET is the generic cell rate algorithm (ITU-T I.371, Annex A), virtual scheduling: the word is
// the theoretical arrival time. WINDOW counts the calls of the current sub-slot, a quarter of the
// period, and of the four before it, which together cover any period that ends now. Both are pure
// functions here; limiter.hpp and cell_limit.hpp keep the words.
#pragma once

#include <bit>
#include <cstdint>
#include <string>

#include "cellroute/hash.hpp"
#include "cellroute/status.hpp"
#include "cellroute/time.hpp"
#include "cellroute/topology.hpp"

namespace cellroute {

// A Limit, or one of its overrides, off the path. Thread safety: a plain value.
struct LimitRule {
  LimitKind kind = LimitKind::kBucket;
  OnExceed on_exceed = OnExceed::kRefuse;
  bool unlimited = false;
  std::uint8_t unit_bits = 0;   // WINDOW: bits of a sub-slot's count
  std::uint16_t slot_code = 0;  // WINDOW: the sub-slot's length as mantissa and exponent; see below
  std::uint32_t credit = 0;     // CELL: what a lane borrows at once; 0: it asks for each
  std::uint64_t requests = 0;   // WINDOW: the most in any period
  std::uint64_t interval = 0;   // BUCKET: nanoseconds a request takes
  std::uint64_t ahead = 0;      // BUCKET: nanoseconds the bucket holds; burst × interval
  std::uint64_t slot = 0;       // WINDOW: nanoseconds of a sub-slot
  std::uint64_t unit = 0;       // WINDOW: requests in one count
  std::uint64_t spill_interval = 0;  // the bucket for keys that share a set's overflow
  std::uint64_t spill_ahead = 0;
  std::uint64_t signature = 0;  // whose state it is: limits that differ share none
};

// `lanes` is the guard region's. Errors: kInvalidArgument (requests or burst 0, period not
// positive, a WINDOW of more than 58,720,256 requests).
Result<LimitRule> compile_limit(const Limit& limit, std::uint32_t lanes);
Result<LimitRule> compile_limit(const Limit& limit, const LimitOverride& own, std::uint32_t lanes);

}  // namespace cellroute
