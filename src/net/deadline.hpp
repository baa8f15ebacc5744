// Until when a call may take, by a clock that nobody sets.
#pragma once

#include <time.h>

#include "cellroute/time.hpp"

namespace cellroute::net {

// Nanoseconds of CLOCK_MONOTONIC.
inline Nanos monotonic_now() noexcept {
  timespec at{};
  ::clock_gettime(CLOCK_MONOTONIC, &at);
  return Nanos{at.tv_sec} * kSecond + at.tv_nsec;
}

// Thread safety: a plain value.
class Deadline {
 public:
  static Deadline after(Nanos timeout) noexcept {
    return Deadline(add_time(monotonic_now(), timeout));
  }

  Nanos left() const noexcept { return elapsed_since(monotonic_now(), at_); }
  bool passed() const noexcept { return left() == 0; }

  // The earlier of this one and `timeout` from now.
  Deadline within(Nanos timeout) const noexcept {
    const Deadline other = after(timeout);
    return other.at_ < at_ ? other : *this;
  }

 private:
  explicit Deadline(Nanos at) noexcept : at_(at) {}

  Nanos at_;
};

}  // namespace cellroute::net
