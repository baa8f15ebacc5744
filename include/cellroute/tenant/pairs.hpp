// Names with values in one text: queries and cookies.
#pragma once

#include <string_view>

namespace cellroute::tenant {

struct Pair {
  std::string_view name;
  std::string_view value;
  char before = 0;  // the separator on its left, or 0
  char after = 0;   // the separator on its right, or 0
};

// The pairs of `a=1&b=2`, cut at each of `separators` and at the first '=' of each; what has no '='
// is a name alone. Thread safety: a cursor of one thread's own.
class Pairs {
 public:
  constexpr Pairs(std::string_view text, std::string_view separators) noexcept
      : rest_(text), separators_(separators) {}

  constexpr bool next(Pair& pair) noexcept {
    if (done_) return false;
    const std::size_t end = rest_.find_first_of(separators_);
    const std::string_view item = rest_.substr(0, end);
    const std::size_t equals = item.find('=');
    pair.name = item.substr(0, equals);
    pair.value = equals == std::string_view::npos ? std::string_view() : item.substr(equals + 1);
    pair.before = pair.after;
    done_ = end == std::string_view::npos;
    pair.after = done_ ? '\0' : rest_[end];
    rest_.remove_prefix(done_ ? rest_.size() : end + 1);
    return true;
  }

 private:
  std::string_view rest_;
  std::string_view separators_;
  bool done_ = false;
};

// Without the spaces and tabs at both ends (RFC 9110, 5.6.3).
constexpr std::string_view trimmed(std::string_view text) noexcept {
  constexpr std::string_view kBlank = " \t";
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

}  // namespace cellroute::tenant
