#include "control/fleet_keeper.hpp"

#include <algorithm>
#include <utility>

namespace cellroute {
namespace {

// Limits that are gone while the store is away: those that went first are let go beyond so many.
constexpr std::ptrdiff_t kMostGone = kMaxFleetLimits;

}  // namespace

// What the router serves now. A limit is the same as long as its table is.
void FleetKeeper::follow() {
  const std::shared_ptr<const Snapshot> serving = router_.snapshot();
  for (auto& kept : kept_) kept->gone = true;
  for (const auto& limiter : serving ? serving->guards().fleet() : FleetLimiters()) {
    const auto known = std::find_if(kept_.begin(), kept_.end(), [&](const auto& kept) {
      return kept->limiter->same_table(*limiter);
    });
    if (known == kept_.end()) {
      kept_.push_back(std::make_unique<Kept>(limiter, store_));
    } else {
      (*known)->gone = false;
      (*known)->keeper.follow(*limiter);
      (*known)->limiter = limiter;
    }
  }
  const auto gone = [](const auto& kept) { return kept->gone; };
  auto excess = std::count_if(kept_.begin(), kept_.end(), gone) - kMostGone;
  std::erase_if(kept_, [&](const auto& kept) { return kept->gone && excess-- > 0; });
}

Nanos FleetKeeper::renew(Nanos now) {
  follow();
  for (auto& kept : kept_) {
    if (!kept->gone) kept->keeper.renew(now);
  }
  std::erase_if(kept_, [&](const auto& kept) { return kept->gone && kept->keeper.release(now); });
  return add_time(now, router_.fleet().lease / 4);
}

bool FleetKeeper::release(Nanos now) {
  follow();
  bool answered = true;
  for (auto& kept : kept_) {
    if (!kept->keeper.release(now)) answered = false;
  }
  return answered;
}

bool FleetKeeper::away() const noexcept {
  return std::any_of(kept_.begin(), kept_.end(),
                     [](const auto& kept) { return kept->keeper.away(); });
}

}  // namespace cellroute
