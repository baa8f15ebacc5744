// How long to wait before something that failed is tried again.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <thread>

#include "cellroute/hash.hpp"
#include "cellroute/time.hpp"
#include "net/deadline.hpp"

namespace cellroute::net {

inline constexpr Nanos kFirstBackOff = 20 * kMillisecond;
inline constexpr Nanos kMostBackOff = kSecond;

// After the n-th failure in a row: doubling, from half of it to the whole. Who comes when is random
// enough.
inline Nanos back_off(unsigned failures) noexcept {
  constexpr unsigned kMaxDoublings = 6;  // 1.28 s
  const unsigned doublings = std::min(failures == 0 ? 0 : failures - 1, kMaxDoublings);
  const Nanos most = std::min(kFirstBackOff << doublings, kMostBackOff);
  const auto jitter =
      scale(mix(static_cast<std::uint64_t>(monotonic_now())), static_cast<std::uint64_t>(most / 2));
  return most - static_cast<Nanos>(jitter);
}

// False, at once, where that would outlast the deadline.
inline bool sleep_within(Nanos time, Deadline deadline) {
  if (time >= deadline.left()) return false;
  std::this_thread::sleep_for(std::chrono::nanoseconds(time));
  return true;
}

}  // namespace cellroute::net
