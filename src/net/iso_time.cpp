#include "net/iso_time.hpp"

#include <chrono>
#include <cstdint>
#include <cstdio>

namespace cellroute::net {
namespace {

using std::chrono::days;
using std::chrono::sys_days;

__extension__ using Wide = __int128;

constexpr Nanos kDaySeconds = 86'400;

// `count` digits at the start of `text`, which go.
std::optional<int> take_digits(std::string_view& text, std::size_t count) {
  if (text.size() < count) return std::nullopt;
  int number = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    number = number * 10 + (text[i] - '0');
  }
  text.remove_prefix(count);
  return number;
}

bool take_one(std::string_view& text, std::string_view of) {
  if (text.empty() || of.find(text.front()) == of.npos) return false;
  text.remove_prefix(1);
  return true;
}

// Days since 1970.
std::optional<Nanos> take_date(std::string_view& text) {
  const auto year = take_digits(text, 4);
  if (!year || !take_one(text, "-")) return std::nullopt;
  const auto month = take_digits(text, 2);
  if (!month || !take_one(text, "-")) return std::nullopt;
  const auto day = take_digits(text, 2);
  if (!day) return std::nullopt;
  const std::chrono::year_month_day date(std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day)));
  if (!date.ok()) return std::nullopt;
  return sys_days(date).time_since_epoch().count();
}

// Minutes.
std::optional<int> take_hours_and_minutes(std::string_view& text) {
  const auto hours = take_digits(text, 2);
  if (!hours || *hours > 23 || !take_one(text, ":")) return std::nullopt;
  const auto minutes = take_digits(text, 2);
  if (!minutes || *minutes > 59) return std::nullopt;
  return *hours * 60 + *minutes;
}

std::optional<Nanos> take_fraction(std::string_view& text) {
  if (!take_one(text, ".")) return Nanos{0};
  Nanos unit = kSecond;
  Nanos nanos = 0;
  while (const auto digit = take_digits(text, 1)) {
    unit /= 10;
    if (unit == 0) return std::nullopt;
    nanos += *digit * unit;
  }
  return unit == kSecond ? std::nullopt : std::optional(nanos);
}

// Minutes east of Greenwich, to the end of `text`.
std::optional<int> take_zone(std::string_view text) {
  if (text.empty() || text == "Z") return 0;
  const bool west = text.front() == '-';
  if (!take_one(text, "+-")) return std::nullopt;
  const auto minutes = take_hours_and_minutes(text);
  if (!minutes || !text.empty()) return std::nullopt;
  return west ? -*minutes : *minutes;
}

}  // namespace

std::string iso_time(Nanos time) {
  const Nanos nanos = ((time % kSecond) + kSecond) % kSecond;
  const Nanos seconds = time / kSecond - (time % kSecond < 0 ? 1 : 0);
  const Nanos of_day = ((seconds % kDaySeconds) + kDaySeconds) % kDaySeconds;
  const std::chrono::year_month_day date(sys_days(days((seconds - of_day) / kDaySeconds)));
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(of_day / 3600), static_cast<int>(of_day / 60 % 60),
                static_cast<int>(of_day % 60));
  std::string whole = text;
  if (nanos != 0) {
    std::snprintf(text, sizeof text, ".%09d", static_cast<int>(nanos));
    const std::size_t decimals = nanos % kMicrosecond != 0 ? 9 : nanos % kMillisecond != 0 ? 6 : 3;
    whole += std::string_view(text).substr(0, 1 + decimals);
  }
  return whole + "Z";
}

std::optional<Nanos> read_iso_time(std::string_view text) {
  const auto date = take_date(text);
  if (!date || !take_one(text, "T ")) return std::nullopt;
  const auto minutes = take_hours_and_minutes(text);
  if (!minutes || !take_one(text, ":")) return std::nullopt;
  const auto seconds = take_digits(text, 2);
  if (!seconds || *seconds > 59) return std::nullopt;
  const auto fraction = take_fraction(text);
  if (!fraction) return std::nullopt;
  const auto zone = take_zone(text);
  if (!zone) return std::nullopt;
  const Nanos whole = *date * kDaySeconds + (*minutes - *zone) * Nanos{60} + *seconds;
  // In 128 bits: the first second that Nanos has begins before its own least value.
  const Wide nanos = static_cast<Wide>(whole) * kSecond + *fraction;
  if (nanos < INT64_MIN || nanos > INT64_MAX) return std::nullopt;
  return static_cast<Nanos>(nanos);
}

}  // namespace cellroute::net
