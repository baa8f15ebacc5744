#include "cellroute/calendar.hpp"

#include <catch2/catch.hpp>
#include <cstdint>

namespace cellroute {
namespace {

using std::chrono::year;

Month month(int y, unsigned m) { return year(y) / std::chrono::month(m); }

TEST_CASE("calendar: a month ends with its last nanosecond, leap days included") {
  // Days from 1970 on by the rule of leap years alone.
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  std::int64_t day = 0;
  for (int y = 1970; y < 2262; ++y) {
    const bool leap = y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
    for (unsigned m = 1; m <= 12; ++m) {
      const Nanos start = day * 86'400 * kSecond;
      CHECK(start_of(month(y, m)) == start);
      CHECK(month_of(start) == month(y, m));
      CHECK(month_of(start - 1) == month(y, m) - std::chrono::months(1));
      day += kDays[m - 1] + (leap && m == 2 ? 1 : 0);
    }
  }
}

TEST_CASE("calendar: known moments lie in their months") {
  CHECK(month_of(1'709'164'800 * kSecond) == month(2024, 2));    // 2024-02-29T00:00:00Z
  CHECK(month_of(1'709'251'199'999'999'999) == month(2024, 2));  // its end
  CHECK(month_of(1'709'251'200 * kSecond) == month(2024, 3));
  CHECK(month_of(4'107'542'400 * kSecond) == month(2100, 3));  // no 2100-02-29
  CHECK(month_of(-1) == month(1969, 12));
}

TEST_CASE("calendar: the ends of time have months, and beginnings that do not wrap") {
  CHECK(month_of(INT64_MAX) == month(2262, 4));
  CHECK(month_of(INT64_MIN) == month(1677, 9));
  CHECK(start_of(month(2262, 5)) == INT64_MAX);
  CHECK(start_of(month(1677, 9)) == INT64_MIN);
  CHECK(start_of(month(32'767, 12)) == INT64_MAX);
  CHECK(start_of(month(-32'767, 1)) == INT64_MIN);
}

}  // namespace
}  // namespace cellroute
