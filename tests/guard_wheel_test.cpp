#include <catch2/catch.hpp>

#include "cellroute/guard/wheel.hpp"

namespace {

using namespace cellroute;
using namespace cellroute::guard;

constexpr Nanos kAt = 1'700'000'000 * kSecond;

struct Wheel {
  std::uint64_t turn(Nanos now) { return turn_wheel(word, tick_count(kSecond), 10, now); }
  Word word{0};
};

TEST_CASE("a wheel turns once a slot, and once round at most") {
  Wheel wheel;
  const std::uint64_t first = wheel.turn(kAt);
  CHECK(wheel.turn(kAt + kSecond / 2) == first);
  CHECK(wheel.turn(kAt + kSecond + kMillisecond) == first + 1);
  CHECK(wheel.turn(kAt + 4 * kSecond + kMillisecond) == first + 4);
  CHECK(wheel.turn(kAt + 100 * kSecond) == first + 14);
  CHECK(wheel.turn(kAt + 100 * kSecond + kSecond / 2) == first + 14);
  CHECK(wheel.turn(kAt + 101 * kSecond + kMillisecond) == first + 15);
}

TEST_CASE("a wheel stands still while the clock is back, and goes on after a correction") {
  Wheel wheel;
  const std::uint64_t first = wheel.turn(kAt);
  CHECK(wheel.turn(kAt - 9 * kSecond) == first);
  CHECK(wheel.turn(kAt - 8 * kSecond) == first);
  CHECK(wheel.turn(kAt + kSecond / 2) == first);
  CHECK(wheel.turn(kAt - 3600 * kSecond) == first);
  CHECK(wheel.turn(kAt - 3599 * kSecond + kMillisecond) == first + 1);
}

TEST_CASE("a wheel takes any time") {
  Wheel wheel;
  for (const Nanos now : {INT64_MAX, Nanos{0}, INT64_MIN, kAt, INT64_MAX, Nanos{1}, Nanos{-1}}) {
    const std::uint64_t before = turn_of(wheel.word);
    CHECK(turn_age(before, wheel.turn(now)) <= 10);
  }
}

TEST_CASE("a length is at least a tick and at most a month") {
  CHECK(tick_count(-5) == 1);
  CHECK(tick_count(1) == 1);
  CHECK(tick_count(1 << 16) == 1);
  CHECK(tick_count((1 << 16) + 1) == 2);
  CHECK(tick_count(INT64_MAX) == tick_count(kMaxSlot));
}

}  // namespace
