// What is wrong with a topology's text, and on which line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cellroute/check/problems.hpp"

namespace cellroute::loading {

// Both count from 1; columns are bytes. 0: not known.
struct Position {
  std::uint32_t line = 0;
  std::uint32_t column = 0;
};

struct Finding {
  Position at;
  Problem problem;
};

// Keeps kMaxProblems findings, and knows whether there were more.
class Findings {
 public:
  void add(Position at, const check::Path& path, std::string text) {
    add(at, Problem{path.text(), std::move(text)});
  }
  void add(Position at, Problem problem);

  bool empty() const noexcept { return list_.empty(); }

  // One a line, in the order of the file: `name:12:5: cells[3].tier: unknown tier "retial"`.
  std::string text(std::string_view name) const;

 private:
  std::vector<Finding> list_;
  bool more_ = false;
};

}  // namespace cellroute::loading
