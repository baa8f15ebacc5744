#include "topology/scalars.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace cellroute::loading {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::size_t digits_at(std::string_view text, std::size_t from) {
  std::size_t to = std::min(from, text.size());
  while (to < text.size() && is_digit(text[to])) ++to;
  return to - std::min(from, text.size());
}

bool is_json_number(std::string_view text) {
  std::size_t at = text.starts_with('-') ? 1 : 0;
  const std::size_t whole = digits_at(text, at);
  if (whole == 0 || (whole > 1 && text[at] == '0')) return false;
  at += whole;
  if (at < text.size() && text[at] == '.') {
    const std::size_t decimals = digits_at(text, at + 1);
    if (decimals == 0) return false;
    at += 1 + decimals;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    const std::size_t exponent = digits_at(text, at);
    if (exponent == 0) return false;
    at += exponent;
  }
  return at == text.size();
}

}  // namespace

std::optional<std::uint64_t> parse_whole(std::string_view text, bool hex) {
  const bool is_hex = hex && (text.starts_with("0x") || text.starts_with("0X"));
  if (is_hex) text.remove_prefix(2);
  if (text.empty() || (!is_hex && text.size() > 1 && text[0] == '0')) return std::nullopt;
  std::uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value, is_hex ? 16 : 10);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

std::optional<double> parse_real(std::string_view text) {
  if (!is_json_number(text)) return std::nullopt;
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::optional<Seconds> parse_seconds(std::string_view text) {
  constexpr std::uint64_t kMaxSeconds = 315'576'000'000;  // as google.protobuf.Duration
  if (!text.ends_with('s')) return std::nullopt;
  text.remove_suffix(1);
  const std::size_t point = text.find('.');
  const auto seconds = parse_whole(text.substr(0, point), false);
  if (!seconds || *seconds > kMaxSeconds) return std::nullopt;
  Seconds value{static_cast<std::int64_t>(*seconds), 0};
  if (point == std::string_view::npos) return value;
  std::string_view decimals = text.substr(point + 1);
  if (decimals.empty() || decimals.size() > 9 || digits_at(decimals, 0) != decimals.size()) {
    return std::nullopt;
  }
  for (std::size_t i = 0; i < 9; ++i) {
    value.nanos = value.nanos * 10 + (i < decimals.size() ? decimals[i] - '0' : 0);
  }
  return value;
}

}  // namespace cellroute::loading
