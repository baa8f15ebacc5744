#include "topology/findings.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

namespace cellroute::loading {

void Findings::add(Position at, Problem problem) {
  // Room for one more, because the last of a full list of problems tells that there are others.
  if (list_.size() <= kMaxProblems) {
    list_.push_back({at, std::move(problem)});
  } else {
    more_ = true;
  }
}

std::string Findings::text(std::string_view name) const {
  std::vector<Finding> sorted = list_;
  const auto order = [](const Finding& finding) {  // what has no place comes last
    return std::tuple(finding.at.line == 0, finding.at.line, finding.at.column);
  };
  std::stable_sort(sorted.begin(), sorted.end(),
                   [&](const Finding& a, const Finding& b) { return order(a) < order(b); });
  std::string out;
  for (const auto& [at, problem] : sorted) {
    if (!out.empty()) out += '\n';
    out += name;
    if (at.line > 0) out += ':' + std::to_string(at.line) + ':' + std::to_string(at.column);
    out += ": ";
    if (!problem.path.empty()) out += problem.path + ": ";
    out += problem.text;
  }
  if (more_) out += '\n' + std::string(name) + ": and there are more problems";
  return out;
}

}  // namespace cellroute::loading
