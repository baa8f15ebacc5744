// What more than one function does to texts of requests; ASCII alone.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

namespace lambda_host {

inline bool is_small(char c) { return c >= 'a' && c <= 'z'; }
inline bool is_capital(char c) { return c >= 'A' && c <= 'Z'; }
inline bool is_digit(char c) { return c >= '0' && c <= '9'; }
inline bool is_letter_or_digit(char c) { return is_small(c) || is_capital(c) || is_digit(c); }

// The value of a hexadecimal digit, or -1.
inline int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  const char small = static_cast<char>(c | 0x20);
  return small >= 'a' && small <= 'f' ? small - 'a' + 10 : -1;
}

// Letters in lower case.
inline std::string lower(std::string_view text) {
  std::string folded(text);
  for (char& c : folded) c = is_capital(c) ? static_cast<char>(c | 0x20) : c;
  return folded;
}

// Whether a path has a segment "." or "..", by which a server may take it for another one.
inline bool has_dot_segment(std::string_view path) {
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view segment = path.substr(begin, end - begin);
    if (segment == "." || segment == "..") return true;
    begin = end + 1;
  }
  return false;
}

// Whether a cell that may serve reads alone may serve it.
inline bool is_read(std::string_view method) {
  return method == "GET" || method == "HEAD" || method == "OPTIONS";
}

}  // namespace lambda_host
