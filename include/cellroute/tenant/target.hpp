// The target of a request (RFC 9112, 3.2) and its parts, still encoded.
#pragma once

#include <string_view>

#include "cellroute/ascii.hpp"
#include "cellroute/tenant/percent.hpp"

namespace cellroute::tenant {

// Thread safety: a plain value of views.
struct Target {
  bool sound = false;     // false: no target that all read alike
  bool absolute = false;  // an absolute URI, which has an authority of its own
  std::string_view authority = {};
  std::string_view path = {};   // empty: none, as in `*`
  std::string_view query = {};  // behind the first '?'
};

// Of an absolute http or https URI, what is behind `://`; else nothing.
constexpr std::string_view behind_scheme(std::string_view target) noexcept {
  constexpr std::string_view kScheme = "http";
  if (target.size() < kScheme.size()) return {};
  for (const char c : kScheme) {
    if (ascii::lower(target[0]) != c) return {};
    target.remove_prefix(1);
  }
  if (!target.empty() && ascii::lower(target[0]) == 's') target.remove_prefix(1);
  return target.starts_with("://") ? target.substr(3) : std::string_view();
}

// A target is a path with a query, an absolute http or https URI, or `*`; a fragment, spaces and
// control characters are in none.
constexpr Target parse_target(std::string_view target) noexcept {
  Target parsed;
  for (const char c : target) {
    if (c == ' ' || c == '#' || ascii::is_control(c)) return parsed;
  }
  if (target == "*") {
    parsed.sound = true;
    return parsed;
  }
  std::string_view rest = target;
  if (!target.starts_with('/')) {
    rest = behind_scheme(target);
    parsed.authority = rest.substr(0, rest.find_first_of("/?"));
    if (parsed.authority.empty()) return parsed;
    parsed.absolute = true;
    rest.remove_prefix(parsed.authority.size());
  }
  parsed.sound = true;
  const std::size_t mark = rest.find('?');
  parsed.path = rest.substr(0, mark);
  if (mark != std::string_view::npos) parsed.query = rest.substr(mark + 1);
  return parsed;
}

// Whether one segment of a path, encoded, is the same to all who read it: every byte is decoded
// once, and what might be taken for a separator, or go away with its neighbour, is not there.
constexpr bool is_plain_segment(std::string_view segment) noexcept {
  PercentReader reader(segment);
  std::size_t bytes = 0;  // before a ';', where some cut a segment off
  bool dots = true;       // only dots so far
  bool cut = false;       // behind a ';'
  int hexadecimal = -1;   // digits behind a decoded '%', which would decode once more
  for (char c = 0; reader.next(c);) {
    if (c == '\\' || c == '/' || ascii::is_control(c)) return false;
    hexadecimal = hexadecimal >= 0 && ascii::hex_value(c) >= 0 ? hexadecimal + 1 : -1;
    if (hexadecimal == 2) return false;
    if (c == '%') hexadecimal = 0;
    cut = cut || c == ';';
    if (cut) continue;
    ++bytes;
    dots = dots && c == '.';
  }
  const bool dot_segment = dots && (bytes == 1 || bytes == 2);
  return !reader.broken() && !dot_segment;
}

// The segments of a path between its slashes; of `/a//b/`, a, nothing, b and nothing. Thread
// safety: a cursor of one thread's own.
class Segments {
 public:
  explicit constexpr Segments(std::string_view path) noexcept
      : rest_(path.substr(path.empty() ? 0 : 1)), more_(!path.empty()) {}

  constexpr bool next(std::string_view& segment) noexcept {
    if (!more_) return false;
    const std::size_t slash = rest_.find('/');
    segment = rest_.substr(0, slash);
    more_ = slash != std::string_view::npos;
    rest_.remove_prefix(more_ ? slash + 1 : rest_.size());
    return true;
  }

  // Whether the segment that next() gave was the last.
  constexpr bool at_end() const noexcept { return !more_; }

 private:
  std::string_view rest_;
  bool more_;
};

constexpr bool is_plain_path(std::string_view path) noexcept {
  Segments segments(path);
  for (std::string_view segment; segments.next(segment);) {
    if (!is_plain_segment(segment)) return false;
  }
  return true;
}

}  // namespace cellroute::tenant
