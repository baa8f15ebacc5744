// Calendar months of UTC, in which quotas are counted. By std::chrono's civil calendar: no clock is
// read and no time zone is looked up.
#pragma once

#include <chrono>
#include <cstdint>

#include "cellroute/time.hpp"

namespace cellroute {

using Month = std::chrono::year_month;

// The month in which `now` lies.
constexpr Month month_of(Nanos now) noexcept {
  const std::chrono::sys_time<std::chrono::nanoseconds> at{std::chrono::nanoseconds(now)};
  const std::chrono::year_month_day day(std::chrono::floor<std::chrono::days>(at));
  return {day.year(), day.month()};
}

// Its first nanosecond; the end of time where it lies behind that.
constexpr Nanos start_of(Month month) noexcept {
  constexpr Nanos kDay = 86'400 * kSecond;
  const Nanos days{std::chrono::sys_days(month / 1).time_since_epoch().count()};
  Nanos start = 0;
  if (!__builtin_mul_overflow(days, kDay, &start)) return start;
  return days < 0 ? INT64_MIN : INT64_MAX;
}

}  // namespace cellroute
