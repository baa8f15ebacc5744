// Time is always an argument: Unix time in integer nanoseconds. The core reads no clock.
#pragma once

#include <cstdint>

namespace cellroute {

using Nanos = std::int64_t;

inline constexpr Nanos kMicrosecond = 1'000;
inline constexpr Nanos kMillisecond = 1'000'000;
inline constexpr Nanos kSecond = 1'000'000'000;

// Saturating a + b: a clock at the end of time must not wrap into the past.
constexpr Nanos add_time(Nanos a, Nanos b) noexcept {
  Nanos sum = 0;
  if (!__builtin_add_overflow(a, b, &sum)) return sum;
  return b > 0 ? INT64_MAX : INT64_MIN;
}

// Nanoseconds from `then` to `now`, zero when the clock stepped back, saturating.
constexpr Nanos elapsed_since(Nanos then, Nanos now) noexcept {
  if (now <= then) return 0;
  Nanos difference = 0;
  return __builtin_sub_overflow(now, then, &difference) ? INT64_MAX : difference;
}

}  // namespace cellroute
