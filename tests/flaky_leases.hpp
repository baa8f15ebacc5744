// A store of leases that fails when it is told to.
#pragma once

#include "cellroute/lease_store.hpp"

namespace cellroute {

// A store that may not answer: before it does anything, or after it did all.
class Flaky final : public LeaseStore {
 public:
  explicit Flaky(LeaseStore& store) : store_(store) {}

  void settle(const FleetLimit& limit, std::span<const LeaseOrder> orders, Nanos now,
              std::span<LeaseGrant> grants) override {
    ++calls;
    if (!deaf) store_.settle(limit, orders, now, grants);
    if (!deaf && !mute) return;
    for (LeaseGrant& grant : grants) {
      grant = {};
      grant.error = Error(ErrorCode::kUnavailable, "no answer");
    }
  }
  Result<std::uint64_t> usage(std::string_view limit, std::string_view key, Month month) override {
    return store_.usage(limit, key, month);
  }
  Result<UsagePage> usages(std::string_view name, Month month, const Cursor& cursor,
                           std::size_t limit) override {
    return store_.usages(name, month, cursor, limit);
  }

  bool deaf = false;
  bool mute = false;
  int calls = 0;

 private:
  LeaseStore& store_;
};

}  // namespace cellroute
