// Decisions counted by reason and lane, for metrics.
//
// A lane's counters lie on lines of their own and are raised by a load and a store: no lock prefix,
// at most one cache line written. Threads that share a lane may therefore lose counts; those with a
// lane each lose none.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <iterator>
#include <vector>

#include "cellroute/decision.hpp"

namespace cellroute::capi {

inline constexpr std::size_t kReasonCount = std::size(kReasons);

// The status of decisions with this reason: a hundred of reasons has one.
constexpr Status status_of(Reason reason) noexcept {
  constexpr Status kStatuses[] = {
      Status::kOk,          Status::kInvalidArgument, Status::kCompliance,
      Status::kUnassigned,  Status::kRateLimited,     Status::kNoEligibleCell,
      Status::kUnavailable, Status::kMigrating,       Status::kUnauthenticated};
  return kStatuses[static_cast<std::uint16_t>(reason) / 100];
}

// A reason's place in kReasons, by its number.
inline constexpr auto kPlaceOfReason = [] {
  std::array<std::uint8_t, 900> places{};
  for (std::size_t i = 0; i < kReasonCount; ++i) {
    places[static_cast<std::uint16_t>(kReasons[i].reason)] = static_cast<std::uint8_t>(i);
  }
  return places;
}();

class Counts {
 public:
  explicit Counts(std::uint32_t lanes) : lanes_(lanes) {}

  // A lane that there is not counts as the first.
  void add(std::uint32_t lane, Reason reason) noexcept {
    Counter& counter = lanes_[lane < lanes_.size() ? lane : 0]
                           .of[kPlaceOfReason[static_cast<std::uint16_t>(reason)]];
    counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }

  std::uint32_t lanes() const noexcept { return static_cast<std::uint32_t>(lanes_.size()); }

  // `place` is in kReasons.
  std::uint64_t of_lane(std::uint32_t lane, std::size_t place) const noexcept {
    return lanes_[lane].of[place].load(std::memory_order_relaxed);
  }
  std::uint64_t of_all(std::size_t place) const noexcept {
    std::uint64_t sum = 0;
    for (std::uint32_t lane = 0; lane < lanes(); ++lane) sum += of_lane(lane, place);
    return sum;
  }

 private:
  using Counter = std::atomic<std::uint64_t>;
  struct alignas(64) Lane {
    std::array<Counter, kReasonCount> of{};
  };

  std::vector<Lane> lanes_;
};

}  // namespace cellroute::capi
