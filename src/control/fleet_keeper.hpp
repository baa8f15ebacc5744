// Keeps the limits of scope FLEET of a router's topology with a store, off the path.
//
// A host calls it from a timer or a thread of its own, as often as it says: it follows what the
// router serves. A limit that a topology brings is kept from the next call on; one that is gone
// gives back its leases and tells what was spent, as soon as the store answers, and then its memory
// is freed.
#pragma once

#include <memory>
#include <vector>

#include "cellroute/lease_store.hpp"
#include "cellroute/router.hpp"
#include "control/lease_keeper.hpp"

namespace cellroute {

// Thread safety: one thread at a time; others may route, report and publish. The router and the
// store outlive it; a router has one keeper.
class FleetKeeper {
 public:
  FleetKeeper(const Router& router, LeaseStore& store) : router_(router), store_(store) {}

  // Once around; returns when to call again, a quarter of a lease later. Blocks on the store, a
  // call for each 256 keys of a limit that have something to settle. `now` is the clock of route().
  Nanos renew(Nanos now);

  // Gives back all leases, before the router ends; the next renew() takes some anew. False where
  // the store did not answer: they count as spent.
  bool release(Nanos now);

  // Whether the store did not answer when it was last asked.
  bool away() const noexcept;

 private:
  struct Kept {
    Kept(std::shared_ptr<const FleetLimiter> kept, LeaseStore& store)
        : limiter(std::move(kept)), keeper(*limiter, store) {}
    std::shared_ptr<const FleetLimiter> limiter;
    LeaseKeeper keeper;
    bool gone = false;  // from what serves
  };

  void follow();

  const Router& router_;
  LeaseStore& store_;
  std::vector<std::unique_ptr<Kept>> kept_;
};

}  // namespace cellroute
