// The names that a mapping file will list: numbered as they come, then put in order.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include "cellroute/names.hpp"

namespace cellroute::mapping {

// Thread safety: one thread adds; then any number may read.
class Names {
 public:
  // The name's number, a new one where it is new; NameIndex::kNone where that exceeds `most` names.
  std::uint32_t number(std::string_view name, std::uint32_t most) {
    const std::uint32_t known = index_.find(name);
    if (known != NameIndex::kNone || list_.size() == most) return known;
    const auto added = static_cast<std::uint32_t>(list_.size());
    index_.add(name, added);
    list_.emplace_back(name);
    return added;
  }

  std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(list_.size()); }

  // By number, each name's place among all in order of their bytes.
  std::vector<std::uint32_t> ranks() const {
    const std::vector<std::uint32_t> order = ordered();
    std::vector<std::uint32_t> ranks(order.size());
    for (std::uint32_t i = 0; i < order.size(); ++i) ranks[order[i]] = i;
    return ranks;
  }

  // Calls `each` with every name in order of their bytes.
  template <class Each>
  void in_order(Each each) const {
    for (const std::uint32_t number : ordered()) each(list_[number]);
  }

 private:
  std::vector<std::uint32_t> ordered() const {
    std::vector<std::uint32_t> order(list_.size());
    std::iota(order.begin(), order.end(), 0U);
    std::sort(order.begin(), order.end(),
              [this](std::uint32_t a, std::uint32_t b) { return list_[a] < list_[b]; });
    return order;
  }

  NameIndex index_;
  std::vector<std::string> list_;
};

}  // namespace cellroute::mapping
