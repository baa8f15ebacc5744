// The parts of a store's URL.
#pragma once

#include <charconv>
#include <string>
#include <string_view>
#include <system_error>

namespace cellroute::net {

// Whether `text` begins with `start`, which then goes.
inline bool take(std::string_view& text, std::string_view start) {
  if (text.substr(0, start.size()) != start) return false;
  text.remove_prefix(start.size());
  return true;
}

// What stands before `mark`, which goes too; all of `text` where there is none.
inline std::string_view take_until(std::string_view& text, char mark) {
  const std::size_t at = text.find(mark);
  const std::string_view taken = text.substr(0, at);
  text = at == text.npos ? std::string_view() : text.substr(at + 1);
  return taken;
}

// `text` with %XX as bytes. False where a % has no two hexadecimal digits behind it.
inline bool decode_percents(std::string_view text, std::string& decoded) {
  decoded.clear();
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    unsigned byte = 0;
    const std::string_view digits = text.substr(i + 1, 2);
    const auto [end, failed] =
        std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
    if (failed != std::errc() || digits.size() != 2 || end != digits.data() + 2) return false;
    decoded += static_cast<char>(byte);
    i += 2;
  }
  return true;
}

}  // namespace cellroute::net
