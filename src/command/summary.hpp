// Counts of what was decided, by status, reason and cell.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "cellroute/decision.hpp"
#include "cellroute/snapshot.hpp"

namespace cellroute::command {

// Thread safety: one thread at a time.
class Summary {
 public:
  explicit Summary(const Snapshot& snapshot)
      : snapshot_(snapshot), cells_(snapshot.compiled().cell_count()) {}

  void add(const Decision& decision) noexcept {
    ++statuses_[static_cast<std::size_t>(decision.status)];
    ++reasons_[static_cast<std::size_t>(decision.reason)];
    if (decision.status != Status::kOk) return;
    const CellIndex cell = snapshot_.cell_of(decision.cell);
    if (cell != kNoCell) ++cells_[cell];
  }

  std::uint64_t total() const noexcept;
  std::uint64_t routed() const noexcept { return statuses_[0]; }

  // Some lines for people: the counts, and the rate over `seconds`.
  std::string text(double seconds) const;

 private:
  static constexpr std::size_t kStatuses = 16;
  static constexpr std::size_t kReasons = 1024;

  void add_cells(std::string& text) const;

  const Snapshot& snapshot_;
  std::array<std::uint64_t, kStatuses> statuses_{};
  std::array<std::uint64_t, kReasons> reasons_{};
  std::vector<std::uint64_t> cells_;  // keys that each one serves
};

}  // namespace cellroute::command
