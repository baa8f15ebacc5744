// Names to small numbers: an open-addressed table from a list of names to their places in it.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cellroute/hash.hpp"

namespace cellroute {

// Thread safety: immutable once filled; any number of threads may look up.
class NameIndex {
 public:
  static constexpr std::uint32_t kNone = 0xffff'ffff;

  NameIndex() : slots_(2, kNone) {}

  // False, and nothing changes, if the name is there already.
  bool add(std::string_view name, std::uint32_t value) {
    if (find(name) != kNone) return false;
    names_.emplace_back(name);
    values_.push_back(value);
    if (names_.size() * 2 > slots_.size()) {
      grow();
    } else {
      link(static_cast<std::uint32_t>(names_.size() - 1));
    }
    return true;
  }

  // The value of `name`, or kNone. No allocation.
  std::uint32_t find(std::string_view name) const noexcept {
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t at = hash_bytes(0, name) & mask; slots_[at] != kNone; at = (at + 1) & mask) {
      if (names_[slots_[at]] == name) return values_[slots_[at]];
    }
    return kNone;
  }

 private:
  void link(std::uint32_t place) {
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = hash_bytes(0, names_[place]) & mask;
    while (slots_[at] != kNone) at = (at + 1) & mask;
    slots_[at] = place;
  }

  void grow() {
    slots_.assign(std::bit_ceil(names_.size() * 4), kNone);
    for (std::uint32_t place = 0; place < names_.size(); ++place) link(place);
  }

  std::vector<std::string> names_;
  std::vector<std::uint32_t> values_;
  std::vector<std::uint32_t> slots_;  // places in names_; at most half full, a power of two
};

}  // namespace cellroute
