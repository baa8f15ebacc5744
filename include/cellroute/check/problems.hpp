// What is wrong with a topology, and where: paths such as `cells[3].labels["schema"]`, and texts
// for people, bounded and escaped.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cellroute {

struct Problem {
  std::string path;  // of the field, as in the schema; empty: the topology as a whole
  std::string text;  // what is wrong and what to do
};

// A list of problems holds this many, and one more that says that there are others.
inline constexpr std::size_t kMaxProblems = 20;

namespace check {

// `text` on one line of ASCII, for an error text: cut after `most` bytes, others as \xNN.
inline std::string escaped(std::string_view text, std::size_t most) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const char c : text.substr(0, most)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte > 0x7e) {
      out += "\\x";
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
    } else {
      out += c;
    }
  }
  return out;
}

// The same in quotes, its own quotes and backslashes escaped, cut after 64 bytes.
inline std::string quoted(std::string_view text) {
  constexpr std::size_t kMaxShown = 64;
  std::string out = "\"";
  for (const char c : text.substr(0, kMaxShown)) {
    if (c == '"' || c == '\\') out += '\\';
    out += check::escaped({&c, 1}, 1);
  }
  return out + (text.size() > kMaxShown ? "\"..." : "\"");
}

// A number as people write it: 65,535.
inline std::string counted(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t at = digits.size(); at > 3;) digits.insert(at -= 3, 1, ',');
  return digits;
}

// A place in the topology: a field's name, with an index or a key where it is one of several. Each
// place points at the one around it, which must outlive it; only problems are ever written out.
class Path {
 public:
  Path() = default;  // the topology as a whole
  Path(const Path& parent, std::string_view name) : parent_(&parent), name_(name) {}
  Path(const Path& parent, std::string_view name, std::size_t index)
      : parent_(&parent), name_(name), index_(index) {}
  Path(const Path& parent, std::string_view name, std::string_view key)
      : parent_(&parent), name_(name), key_(key), has_key_(true) {}

  std::string text() const {
    std::string out = parent_ == nullptr ? "" : parent_->text();
    if (!out.empty() && !name_.empty()) out += '.';
    out += name_;
    if (index_ != kNone) out += '[' + std::to_string(index_) + ']';
    if (has_key_) out += '[' + check::quoted(key_) + ']';
    return out;
  }

 private:
  static constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

  const Path* parent_ = nullptr;
  std::string_view name_;
  std::string_view key_;
  std::size_t index_ = kNone;
  bool has_key_ = false;
};

// Collects problems up to the bound.
class Problems {
 public:
  void add(const Path& path, std::string text) {
    if (!full()) {
      list_.push_back({path.text(), std::move(text)});
    } else {
      more_ = true;
    }
  }

  bool full() const noexcept { return list_.size() >= kMaxProblems; }
  bool empty() const noexcept { return list_.empty(); }

  // Leaves this empty.
  std::vector<Problem> take() {
    if (std::exchange(more_, false)) list_.push_back({"", "and there are more problems"});
    return std::exchange(list_, {});
  }

 private:
  std::vector<Problem> list_;
  bool more_ = false;
};

// How many letters must be put in, left out or changed to make one of the other, up to `bound`.
inline std::size_t edit_distance(std::string_view a, std::string_view b, std::size_t bound) {
  if (a.size() > b.size()) std::swap(a, b);
  if (b.size() - a.size() > bound) return bound + 1;
  std::vector<std::size_t> row(a.size() + 1);
  for (std::size_t i = 0; i <= a.size(); ++i) row[i] = i;
  for (std::size_t j = 1; j <= b.size(); ++j) {
    std::size_t diagonal = std::exchange(row[0], j);
    for (std::size_t i = 1; i <= a.size(); ++i) {
      const std::size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[i];
      row[i] = std::min({changed, row[i] + 1, row[i - 1] + 1});
    }
  }
  return row[a.size()];
}

// `; did you mean "x"?` for the name in `known` that is nearest to `name`, or nothing.
template <class Names>
std::string suggestion(std::string_view name, const Names& known) {
  std::size_t nearest = name.size() < 4 ? 2 : 3;  // further away is no likeness
  std::string_view best;
  if (name.size() <= 64) {
    for (const auto& candidate : known) {
      const std::size_t distance = edit_distance(name, candidate, nearest);
      if (distance >= nearest) continue;
      nearest = distance;
      best = candidate;
    }
  }
  return best.empty() ? std::string() : "; did you mean " + check::quoted(best) + "?";
}

}  // namespace check
}  // namespace cellroute
