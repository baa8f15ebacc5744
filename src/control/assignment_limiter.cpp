#include <algorithm>
#include <limits>

#include "control/assign.hpp"

namespace cellroute {
namespace {

__extension__ using Wide = unsigned __int128;

constexpr Nanos kForever = std::numeric_limits<Nanos>::max();

Nanos saturating(Wide nanos) {
  return nanos > static_cast<Wide>(kForever) ? kForever : static_cast<Nanos>(nanos);
}

}  // namespace

AssignmentLimiter::AssignmentLimiter(std::uint64_t requests, Nanos period) noexcept {
  if (requests == 0) return;
  // Rounded up: a little slower than asked for, never faster.
  const auto whole = static_cast<std::uint64_t>(std::max<Nanos>(period, 1));
  const std::uint64_t interval = whole / requests + (whole % requests != 0 ? 1 : 0);
  interval_ = static_cast<Nanos>(interval);
  burst_ = saturating(static_cast<Wide>(interval) * (requests - 1));
}

Nanos AssignmentLimiter::take(Nanos now) noexcept {
  if (interval_ == 0) return 0;
  Nanos arrival = arrival_.load(std::memory_order_relaxed);
  for (;;) {
    const Nanos at = std::max(arrival, now);
    const Nanos ahead = elapsed_since(now, at);
    if (ahead > burst_) return ahead - burst_;
    if (arrival_.compare_exchange_weak(arrival, add_time(at, interval_),
                                       std::memory_order_relaxed)) {
      return 0;
    }
  }
}

}  // namespace cellroute
