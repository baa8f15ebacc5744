// Pools of made-up cells for the tests of strategies, and a small random source whose sequence is
// the same everywhere.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "cellroute/hash.hpp"
#include "cellroute/strategy/strategy.hpp"

namespace cellroute::test {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() { return mix(state_ += 0x9e3779b97f4a7c15ULL); }
  std::uint64_t below(std::uint64_t n) { return scale(next(), n); }
  bool chance(std::uint64_t one_in) { return below(one_in) == 0; }

 private:
  std::uint64_t state_;
};

// Cells with the strings they refer to. Move it, and the members stay valid.
class Pool {
 public:
  Pool() = default;
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  Pool(Pool&&) = default;
  Pool& operator=(Pool&&) = default;

  // Cells number themselves as they are added.
  void add(std::string id, std::uint32_t weight = kUnitWeight, std::string ketama_name = {}) {
    const auto cell = static_cast<CellIndex>(members_.size());
    texts_.push_back(std::move(id));
    const std::string& kept_id = texts_.back();
    texts_.push_back(std::move(ketama_name));
    members_.push_back({cell, kept_id, weight, texts_.back()});
    std::sort(members_.begin(), members_.end(),
              [](const Member& a, const Member& b) { return a.id < b.id; });
  }

  // "cell-00000", "cell-00001", …
  static Pool of(std::size_t cells) {
    Pool pool;
    pool.members_.reserve(cells);
    for (std::size_t i = 0; i < cells; ++i) {
      const std::string digits = std::to_string(i);
      pool.texts_.push_back("cell-" +
                            std::string(5 - std::min<std::size_t>(5, digits.size()), '0') + digits);
      pool.members_.push_back({static_cast<CellIndex>(i), pool.texts_.back(), kUnitWeight, {}});
    }
    return pool;
  }

  // In byte order of id.
  std::vector<Member>& members() { return members_; }
  const std::vector<Member>& members() const { return members_; }

  std::vector<CellIndex> cells() const {
    std::vector<CellIndex> cells;
    for (const Member& member : members_) cells.push_back(member.cell);
    return cells;
  }

 private:
  std::deque<std::string> texts_;
  std::vector<Member> members_;
};

}  // namespace cellroute::test
