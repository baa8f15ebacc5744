// What a cell's answer to a health probe means.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace cellroute::net {

// How a probe ended. Numbers are those of CELLROUTE_NET_PROBE_... and only ever grow.
enum class ProbeResult : std::uint8_t {
  kNone = 0,  // none has ended yet
  kHealthy = 1,
  kUnhealthy = 2,     // the cell says so: 503
  kWrongCell = 3,     // another cell answers at this endpoint
  kBadStatus = 4,     // neither 200 nor 503
  kRedirect = 5,      // 3xx, which is not followed
  kBadBody = 6,       // 200, and the body is not what it should be
  kTooLarge = 7,      // headers and body together are beyond kMaxProbeBytes
  kTimeout = 8,       // no whole answer in time
  kConnectError = 9,  // no such host, or nothing listens
  kTlsError = 10,     // no agreement, or a certificate that does not hold
  kBroken = 11,       // the connection ended, or what came is no HTTP
  kNotProbed = 12,    // the cell has no endpoint that HTTP reaches
};

struct ProbeAnswer {
  ProbeResult result = ProbeResult::kNone;
  std::optional<std::uint64_t> load;  // as the cell says, in the unit of its capacity
};

// A whole answer of the cell that should be `cell_id`. The body is a JSON object:
//   cell_id   a string: the cell that answers. Required with 200
//   status    a string for people
//   checks    an object; of its members `load`, a number from 0 to 2^62, counts here: what the cell
//             carries, in the unit of its capacity. Fractions are cut off
// The status of HTTP alone says whether the cell is well: 200 or 503.
ProbeAnswer judge(long http_status, std::string_view body, std::string_view cell_id);

// Rise and fall: a cell is healthy after `rise` good answers in a row, unhealthy after `fall` bad
// ones or one of another cell, which no flapping excuses; before that, not known.
// Thread safety: a plain value.
class ProbeVerdict {
 public:
  enum class State : std::uint8_t { kUnknown = 0, kHealthy = 1, kUnhealthy = 2 };

  void add(ProbeResult result, std::uint32_t rise, std::uint32_t fall) noexcept;

  State state() const noexcept { return state_; }
  std::uint32_t successes() const noexcept { return successes_; }  // in a row
  std::uint32_t failures() const noexcept { return failures_; }    // in a row

 private:
  State state_ = State::kUnknown;
  std::uint32_t successes_ = 0;
  std::uint32_t failures_ = 0;
};

}  // namespace cellroute::net
