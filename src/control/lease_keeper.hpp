// Brings a router its leases of one limit of the fleet, off the path; fleet_keeper.hpp those of
// all.
//
// With each beat it looks at the keys that spent or were refused since, and settles with the store,
// a page of keys a call: what came without a lease, what is left of leases that are over, and what
// is wanted: twice what a key spent lately, at most the router's share. Keys at rest give back what
// they hold. Where the store does not answer, keys go over to their share as their leases end, and
// the store is asked once a beat until it does.
//
// What a call that failed was to give back counts as spent, since it may have been given back;
// what it was to charge is charged again. So usage is never below what was spent, but for what a
// router that is gone had not settled.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "cellroute/fleet_limit.hpp"
#include "cellroute/lease_store.hpp"

namespace cellroute {

// Thread safety: one thread at a time, the same or another than those that take(). The limiter and
// the store outlive it; a limiter has one keeper.
class LeaseKeeper {
 public:
  LeaseKeeper(const FleetLimiter& limiter, LeaseStore& store);

  // The limit in a later generation, which has the same table: its numbers hold from now on, and
  // keys of plans that it does not name any more give back what they hold.
  void follow(const FleetLimiter& limiter) noexcept { limiter_ = &limiter; }

  // Once around; returns when to call again. Blocks on the store, a call for each 256 keys that
  // have something to settle. `now` is the clock that take() is given; where it stepped back, all
  // leases are given back first.
  Nanos renew(Nanos now);

  // Gives back all leases, before the router ends; later ones are taken anew. False where the store
  // did not answer: they count as spent.
  bool release(Nanos now);

  // Whether the store did not answer when it was last asked.
  bool away() const noexcept { return away_; }
  // Keys that have an entry.
  std::size_t keys() const noexcept { return keys_; }

 private:
  // A sum to tell the store of a month.
  struct Account {
    Month month{};
    std::int64_t sum = 0;
  };
  // What the keeper knows of an entry.
  struct Held {
    std::uint64_t left = 0;           // in the lease when last looked at
    std::uint64_t spends = 0;         // a beat, by estimate
    std::uint32_t idle = 0;           // beats in a row without any
    Month month{};                    // of the lease
    std::array<Account, 2> accounts;  // the second is empty where the first is
  };
  struct Order {
    std::size_t entry = 0;
    LeaseOrder order;
  };

  Month month(Nanos now) const noexcept;
  static void note(Held& held, Month month, std::int64_t sum) noexcept;
  static void forget(Held& held, Month month) noexcept;
  std::uint64_t close(std::size_t i) noexcept;
  void look(std::size_t i, bool end, Nanos now) noexcept;
  bool try_free(std::size_t i, Nanos now) noexcept;
  LeaseOrder order_of(std::size_t i, std::uint64_t about) const noexcept;
  void gather(Nanos now);
  bool probe(Nanos now);
  bool settle(Nanos now);
  bool apply(const Order& sent, const LeaseGrant& grant, Nanos now) noexcept;
  void install(const Order& sent, const LeaseGrant& grant, Nanos now) noexcept;

  const FleetLimiter* limiter_;
  LeaseStore& store_;
  std::vector<Held> held_;
  std::vector<Order> orders_;
  std::size_t keys_ = 0;
  Nanos last_ = 0;
  bool away_ = false;
};

}  // namespace cellroute
