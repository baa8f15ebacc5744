#include "stores/memory_lease_store.hpp"

#include <algorithm>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "stores/cursor.hpp"
#include "stores/fork_guard.hpp"
#include "stores/lease_rules.hpp"

namespace cellroute {
namespace {

using stores::CursorScope;

class MemoryLeaseStore final : public LeaseStore {
 public:
  explicit MemoryLeaseStore(std::function<Nanos()> clock) : clock_(std::move(clock)) {}

  void settle(const FleetLimit& limit, std::span<const LeaseOrder> orders, Nanos now,
              std::span<LeaseGrant> grants) override {
    const Error forked = fork_.check();
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < orders.size() && i < grants.size(); ++i) {
      grants[i] = {};
      grants[i].error = forked.ok() ? stores::check_order(limit, orders[i], now) : forked;
      if (!grants[i].error.ok()) continue;
      const Nanos at = std::max<Nanos>(clock_ ? clock_() : now, 0);
      if (limit.kind == FleetKind::kRate) {
        settle_rate(limit, orders[i], at, grants[i]);
      } else {
        settle_month(limit, orders[i], at, now, grants[i]);
      }
    }
  }

  Result<std::uint64_t> usage(std::string_view limit, std::string_view key, Month month) override {
    if (Error error = check(limit); !error.ok()) return error;
    if (Error error = stores::check_key(key); !error.ok()) return error;
    const std::lock_guard lock(mutex_);
    const auto& used = used_[{std::string(limit), month}];
    const auto found = used.find(key);
    return found == used.end() ? 0 : found->second;
  }

  Result<UsagePage> usages(std::string_view name, Month month, const Cursor& cursor,
                           std::size_t limit) override {
    if (Error error = check(name); !error.ok()) return error;
    if (Error error = stores::check_limit(limit); !error.ok()) return error;
    const CursorScope scope('u', 0, name);
    const Result<std::string_view> after = scope.place(cursor);
    if (!after.ok()) return after.error();
    const std::lock_guard lock(mutex_);
    const auto& used = used_[{std::string(name), month}];
    UsagePage page;
    auto at = cursor.empty() ? used.begin() : used.upper_bound(*after);
    for (; at != used.end() && page.usages.size() < std::min(limit, kMaxPageRecords); ++at) {
      page.usages.push_back({at->first, at->second});
    }
    page.done = at == used.end();
    page.next = page.usages.empty() ? cursor : scope.make(page.usages.back().key);
    return page;
  }

 private:
  using Counters = std::map<std::string, std::uint64_t, std::less<>>;

  Error check(std::string_view limit) const {
    if (Error error = fork_.check(); !error.ok()) return error;
    return stores::check_fleet_name(limit);
  }

  // GCRA in doubles of nanoseconds from now on: a reference need not be exact to the nanosecond.
  void settle_rate(const FleetLimit& limit, const LeaseOrder& order, Nanos at, LeaseGrant& grant) {
    double& arrival = arrivals_[{limit.name, std::string(order.key)}];
    const auto now = static_cast<double>(at);
    const double ahead = stores::rate_length(limit, order);
    const double interval = ahead / static_cast<double>(order.burst);
    arrival = std::max(arrival, now) + interval * static_cast<double>(order.settled);
    arrival = std::min(arrival, now + 2 * ahead);  // at most a burst too much
    const double base = std::max(arrival, now);
    const auto free = static_cast<std::uint64_t>(std::max(0.0, (ahead - (base - now)) / interval));
    grant.tokens = std::min(order.wanted, free);
    arrival = base + interval * static_cast<double>(grant.tokens);
    grant.lasts = order.lasting;
    if (grant.tokens < order.wanted) {
      grant.retry_after = static_cast<Nanos>(std::max(1.0, arrival + interval - now - ahead));
    }
  }

  void settle_month(const FleetLimit& limit, const LeaseOrder& order, Nanos at, Nanos now,
                    LeaseGrant& grant) {
    const Month month = month_of(at);
    const std::chrono::months one(1);
    if (month < month_of(now) - one || month > month_of(now) + one) {
      grant.error = Error(ErrorCode::kUnavailable, "the clocks are more than a month apart");
      return;
    }
    if (order.settled != 0) {
      std::uint64_t& used = used_[{limit.name, order.month}][std::string(order.key)];
      const auto settled = static_cast<std::uint64_t>(order.settled);
      used = order.settled > 0 ? used + settled : used - std::min(used, 0 - settled);
    }
    grant.month = month;
    if (order.wanted == 0) return;
    std::uint64_t& used = used_[{limit.name, month}][std::string(order.key)];
    grant.tokens = std::min(order.wanted, order.requests - std::min(used, order.requests));
    used += grant.tokens;
    const Nanos left = start_of(month + one) - at;
    grant.lasts = std::min(order.lasting, left);
    if (grant.tokens < order.wanted) grant.retry_after = left;
  }

  const stores::ForkGuard fork_;
  const std::function<Nanos()> clock_;
  std::mutex mutex_;  // guards all below
  std::map<std::pair<std::string, std::string>, double> arrivals_;
  std::map<std::pair<std::string, Month>, Counters> used_;
};

}  // namespace

std::unique_ptr<LeaseStore> make_memory_lease_store(std::function<Nanos()> clock) {
  return std::make_unique<MemoryLeaseStore>(std::move(clock));
}

}  // namespace cellroute
