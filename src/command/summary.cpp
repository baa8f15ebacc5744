#include "command/summary.hpp"

#include <algorithm>
#include <cstdio>
#include <numeric>
#include <string_view>

#include "cellroute/check/problems.hpp"
#include "command/progress.hpp"

namespace cellroute::command {
namespace {

constexpr std::size_t kMostCells = 40;  // that are listed one by one

void add_count(std::string& text, std::string_view label, std::uint64_t count,
               std::uint64_t total) {
  char share[16];
  std::snprintf(share, sizeof share, "%5.1f %%",
                100.0 * static_cast<double>(count) / static_cast<double>(total));
  std::string padded(label);
  padded.resize(std::max<std::size_t>(padded.size(), 30), ' ');
  std::string counted = check::counted(count);
  counted.insert(0, counted.size() < 12 ? 12 - counted.size() : 0, ' ');
  text += "  " + padded + counted + "  " + share + "\n";
}

}  // namespace

std::uint64_t Summary::total() const noexcept {
  return std::accumulate(statuses_.begin(), statuses_.end(), std::uint64_t{0});
}

std::string Summary::text(double seconds) const {
  const std::uint64_t all = total();
  char took[48];
  std::snprintf(took, sizeof took, " in %.3f s, ", seconds);
  std::string text = check::counted(all) + (all == 1 ? " key" : " keys") + took +
                     rate_text(all, seconds) + "; generation " +
                     std::to_string(snapshot_.generation()) + "\n";
  if (all == 0) return text;
  for (std::size_t i = 0; i < kStatuses; ++i) {
    if (statuses_[i] > 0) add_count(text, name(static_cast<Status>(i)), statuses_[i], all);
  }
  text += "by reason\n";
  for (const ReasonText& reason : cellroute::kReasons) {
    const std::uint64_t count = reasons_[static_cast<std::size_t>(reason.reason)];
    if (count > 0) add_count(text, reason.name, count, all);
  }
  add_cells(text);
  return text;
}

// In order of id; of many, those with most keys.
void Summary::add_cells(std::string& text) const {
  std::vector<std::size_t> shown;
  for (std::size_t i = 0; i < cells_.size(); ++i) {
    if (cells_[i] > 0) shown.push_back(i);
  }
  const std::size_t others = shown.size() > kMostCells ? shown.size() - kMostCells : 0;
  if (others > 0) {
    std::stable_sort(shown.begin(), shown.end(),
                     [this](std::size_t a, std::size_t b) { return cells_[a] > cells_[b]; });
    shown.resize(kMostCells);
  }
  if (!shown.empty()) text += "by cell\n";
  for (const std::size_t i : shown) {
    const Cell& cell = snapshot_.compiled().cell(static_cast<CellIndex>(i));
    add_count(text, cell.id, cells_[i], routed());
  }
  if (others > 0) text += "  and " + check::counted(others) + " more cells\n";
}

}  // namespace cellroute::command
