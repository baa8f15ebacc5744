#include <algorithm>

#include "cellroute/guard/limit.hpp"
#include "control/assign.hpp"

namespace cellroute {

AssignmentLimiter::AssignmentLimiter(std::uint64_t requests, Nanos period) noexcept {
  if (requests == 0) return;
  constexpr auto kLongest = static_cast<std::uint64_t>(guard::kMaxPeriod);
  const auto whole = static_cast<std::uint64_t>(std::clamp<Nanos>(period, 1, guard::kMaxPeriod));
  interval_ = guard::divide_up(whole, requests);
  burst_ = std::min(requests, kLongest / interval_) * interval_;
}

Nanos AssignmentLimiter::take(Nanos now) noexcept {
  if (interval_ == 0) return 0;
  std::uint64_t arrival = arrival_.load(std::memory_order_relaxed);
  for (;;) {
    const guard::Taken taken = guard::take_from_bucket(interval_, burst_, arrival, 1, now);
    if (!taken.admitted) return std::max<Nanos>(taken.retry_after, 1);
    if (arrival_.compare_exchange_weak(arrival, taken.next, std::memory_order_relaxed)) return 0;
  }
}

}  // namespace cellroute
