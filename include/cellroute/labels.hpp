// Labels: what a cell's template says for one key, such as `schema: "tenant_{key}"`.
//
// What is put in comes from outside, and the text goes into schema names, table names and paths. So
// each byte put in that is no ASCII letter, digit, '-' or '_' becomes %XX (upper-case hexadecimal,
// RFC 3986 §2.1; '%' itself too): nothing breaks out of its place, and since the escape can be
// undone, no two keys give one text. The template's own bytes stay as they are.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "cellroute/key.hpp"
#include "cellroute/topology.hpp"

namespace cellroute {

// Of an expanded label: a template of 256 bytes may name a long key dozens of times.
inline constexpr std::size_t kMaxExpandedBytes = 8'192;

namespace labels_detail {

// Counts all that is written, and keeps what there is room for.
class Text {
 public:
  explicit Text(std::span<char> room) noexcept : room_(room) {}

  void add(char c) noexcept {
    if (size_ < room_.size()) room_[size_] = c;
    ++size_;
  }
  void add_escaped(std::string_view bytes) noexcept {
    constexpr char kDigits[] = "0123456789ABCDEF";
    for (const char c : bytes) {
      if (stays(c)) {
        add(c);
        continue;
      }
      const auto byte = static_cast<unsigned char>(c);
      add('%');
      add(kDigits[byte >> 4]);
      add(kDigits[byte & 15]);
    }
  }
  std::size_t size() const noexcept { return size_; }

 private:
  static bool stays(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  }

  std::span<char> room_;
  std::size_t size_ = 0;
};

}  // namespace labels_detail

// The template of the cell's label, or none.
inline std::optional<std::string_view> label_of(const Cell& cell, std::string_view name) noexcept {
  for (const auto& [label, text] : cell.labels) {
    if (label == name) return text;
  }
  return std::nullopt;
}

inline bool label_needs_key(std::string_view label) noexcept {
  return label.find("{key}") != label.npos;
}

// Expands `label`, one that check_topology() passed, into `room`, and returns the bytes of the
// whole text: where they are more than there is room for, what is written is its beginning. No
// allocation. Thread safety: a pure function.
inline std::size_t expand_label(std::string_view label, std::string_view cell_id,
                                std::string_view key, std::span<char> room) noexcept {
  constexpr std::string_view kCell = "{cell}";
  constexpr std::string_view kKey = "{key}";
  labels_detail::Text text(room);
  while (!label.empty()) {
    if (label.starts_with(kCell)) {
      text.add_escaped(cell_id);
      label.remove_prefix(kCell.size());
    } else if (label.starts_with(kKey)) {
      text.add_escaped(key);
      label.remove_prefix(kKey.size());
    } else {
      text.add(label.front());
      label.remove_prefix(1);
    }
  }
  return text.size();
}

}  // namespace cellroute
