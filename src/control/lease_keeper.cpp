#include "control/lease_keeper.hpp"

#include <algorithm>
#include <utility>

namespace cellroute {
namespace {

constexpr std::size_t kBatch = 256;
constexpr std::uint32_t kIdleBeats = 4;      // until a key at rest gives back what it holds
constexpr std::uint64_t kBeatsHeld = 2 * 4;  // of what a key spends a beat: two leases' length

constexpr auto kAcquire = std::memory_order_acquire;
constexpr auto kBoth = std::memory_order_acq_rel;

}  // namespace

LeaseKeeper::LeaseKeeper(const FleetLimiter& limiter, LeaseStore& store)
    : limiter_(&limiter), store_(store), held_(limiter.table().entries().size()) {}

Nanos LeaseKeeper::renew(Nanos now) {
  const bool back = now < std::exchange(last_, now);
  keys_ = 0;
  for (std::size_t i = 0; i < held_.size(); ++i) {
    if (limiter_->table().entries()[i].about.load(kAcquire) == 0) continue;
    look(i, back, now);
    ++keys_;
  }
  if (!away_ || probe(now)) {
    gather(now);
    settle(now);
  }
  return add_time(now, limiter_->beat());
}

bool LeaseKeeper::release(Nanos now) {
  orders_.clear();
  for (std::size_t i = 0; i < held_.size(); ++i) {
    const std::uint64_t about = limiter_->table().entries()[i].about.load(kAcquire);
    if (about == 0) continue;
    look(i, true, now);
    for (const Account& account : held_[i].accounts) {
      if (account.sum == 0) continue;
      orders_.push_back({i, order_of(i, about)});
      orders_.back().order.settled = account.sum;
      orders_.back().order.month = account.month;
    }
  }
  return settle(now);
}

Month LeaseKeeper::month(Nanos now) const noexcept {
  return limiter_->limit().kind == FleetKind::kMonthly ? month_of(now) : Month{};
}

// Two months at most are open. Of a third, what is to be given back is let go, which counts it as
// spent, and what is to be charged goes to the newest.
void LeaseKeeper::note(Held& held, Month month, std::int64_t sum) noexcept {
  if (sum == 0) return;
  for (Account& account : held.accounts) {
    if (account.sum != 0 && account.month != month) continue;
    account.month = month;
    account.sum += sum;
    break;
  }
  auto& [first, second] = held.accounts;
  const bool kept = first.month == month || second.month == month;
  if (!kept && sum > 0) second.sum += sum;
  if (first.sum == 0) std::swap(first, second);
}

void LeaseKeeper::forget(Held& held, Month month) noexcept {
  auto& [first, second] = held.accounts;
  for (Account* account : {&first, &second}) {
    if (account->month == month) account->sum = 0;
  }
  if (first.sum == 0) std::swap(first, second);
}

// Takes back what is left of a lease; returns what was spent of it since the last look.
std::uint64_t LeaseKeeper::close(std::size_t i) noexcept {
  Held& held = held_[i];
  const std::uint64_t left =
      guard::lease_left(limiter_->table().entries()[i].lease.exchange(0, kBoth));
  note(held, held.month, -static_cast<std::int64_t>(left));
  const std::uint64_t before = std::exchange(held.left, 0);
  return before > left ? before - left : 0;
}

// What a key did since the last look. `end`: its lease ends, whatever its time.
void LeaseKeeper::look(std::size_t i, bool end, Nanos now) noexcept {
  guard::LeaseEntry& entry = limiter_->table().entries()[i];
  Held& held = held_[i];
  std::uint64_t used = 0;
  const std::uint64_t lease = entry.lease.load(kAcquire);
  if (end || guard::lease_over(lease, now)) {
    used = close(i);
  } else {
    const std::uint64_t left = guard::lease_left(lease);
    if (left < held.left) used = held.left - left;
    held.left = left;
  }
  // Below 0 where what was counted then has been cancelled since.
  const auto unleased = static_cast<std::int64_t>(entry.spent.exchange(0, kBoth));
  note(held, month(now), unleased);
  if (unleased > 0) used += static_cast<std::uint64_t>(unleased);
  used += entry.refused.exchange(0, kBoth);
  held.idle = used == 0 ? held.idle + 1 : 0;
  held.spends = std::max(used, (held.spends + used) / 2);
}

// A key that the store refused is remembered while there is room, or it would come back with a
// share.
bool LeaseKeeper::try_free(std::size_t i, Nanos now) noexcept {
  guard::LeaseEntry& entry = limiter_->table().entries()[i];
  const bool refused = entry.closed.load(kAcquire) > guard::nanos_of(now);
  if (refused && keys_ < held_.size() / 4 * 3) return false;
  if (entry.spent.load(kAcquire) != 0) return false;  // it came back just now
  held_[i] = {};
  limiter_->table().free(entry);
  return true;
}

LeaseOrder LeaseKeeper::order_of(std::size_t i, std::uint64_t about) const noexcept {
  const FleetRule& rule = limiter_->rule(guard::plan_of(about));
  LeaseOrder order;
  order.key = limiter_->table().key(i, about);
  order.requests = rule.requests;
  order.burst = rule.burst;
  order.lasting = limiter_->options().lease;
  return order;
}

// An order for each key that has something to settle or wants tokens.
void LeaseKeeper::gather(Nanos now) {
  orders_.clear();
  for (std::size_t i = 0; i < held_.size(); ++i) {
    guard::LeaseEntry& entry = limiter_->table().entries()[i];
    const std::uint64_t about = entry.about.load(kAcquire);
    if (about == 0) continue;
    Held& held = held_[i];
    LeaseOrder order = order_of(i, about);
    const FleetRule& rule = limiter_->rule(guard::plan_of(about));
    if (held.idle >= kIdleBeats || rule.free || !rule.named) {
      close(i);
      if (held.accounts[0].sum == 0) {
        if (held.idle >= kIdleBeats) try_free(i, now);
        continue;
      }
    } else {
      const std::uint64_t target = held.spends < rule.most / kBeatsHeld
                                       ? std::max<std::uint64_t>(held.spends * kBeatsHeld, 1)
                                       : rule.most;
      const Nanos soon = add_time(now, limiter_->options().lease / 2);
      if (held.left < target) order.wanted = target - held.left;
      if (held.left > target / 2) order.wanted = 0;
      // To ask for one more lets the others last longer, too.
      if (guard::lease_over(entry.lease.load(kAcquire), soon) && order.wanted == 0)
        order.wanted = 1;
    }
    order.settled = held.accounts[0].sum;
    order.month = held.accounts[0].month;
    if (order.wanted != 0 || order.settled != 0) orders_.push_back({i, order});
  }
}

// Whether the store answers again, by any key, of which nothing is settled.
bool LeaseKeeper::probe(Nanos now) {
  orders_.clear();
  for (std::size_t i = 0; i < held_.size() && orders_.empty(); ++i) {
    const std::uint64_t about = limiter_->table().entries()[i].about.load(kAcquire);
    if (about != 0) orders_.push_back({i, order_of(i, about)});
  }
  return !orders_.empty() && settle(now);
}

// Carries out what is in orders_, up to the first page that the store does not answer.
bool LeaseKeeper::settle(Nanos now) {
  bool answered = true;
  for (std::size_t at = 0; at < orders_.size() && answered; at += kBatch) {
    const std::size_t count = std::min(kBatch, orders_.size() - at);
    std::array<LeaseOrder, kBatch> orders;
    for (std::size_t i = 0; i < count; ++i) orders[i] = orders_[at + i].order;
    std::vector<LeaseGrant> grants(count);
    store_.settle(limiter_->limit(), std::span(orders).first(count), now, grants);
    for (std::size_t i = 0; i < count; ++i) {
      if (!apply(orders_[at + i], grants[i], now)) answered = false;
    }
  }
  if (!orders_.empty()) {
    away_ = !answered;
    limiter_->table().header().away.store(away_ ? 1 : 0, std::memory_order_relaxed);
  }
  return answered;
}

// False where the store did not answer.
bool LeaseKeeper::apply(const Order& sent, const LeaseGrant& grant, Nanos now) noexcept {
  Held& held = held_[sent.entry];
  const bool ok = grant.error.ok();
  const bool bad = grant.error.code() == ErrorCode::kInvalidArgument;
  if (sent.order.settled < 0 || (sent.order.settled > 0 && (ok || bad))) {
    forget(held, sent.order.month);
  }
  if (ok && sent.order.wanted != 0) install(sent, grant, now);
  return ok || bad;
}

void LeaseKeeper::install(const Order& sent, const LeaseGrant& grant, Nanos now) noexcept {
  guard::LeaseEntry& entry = limiter_->table().entries()[sent.entry];
  Held& held = held_[sent.entry];
  const bool same = grant.month == held.month;  // else what is left is of another month's
  const Nanos until = add_time(now, grant.lasts);
  std::uint64_t lease = entry.lease.load(kAcquire);
  std::uint64_t tokens = 0;
  do {
    tokens = grant.tokens + (same ? guard::lease_left(lease) : 0);
    tokens = std::min(tokens, guard::kMaxLease);
  } while (!entry.lease.compare_exchange_weak(lease, guard::lease_of(until, tokens), kBoth));
  const std::uint64_t all = grant.tokens + guard::lease_left(lease);
  note(held, same ? grant.month : held.month, -static_cast<std::int64_t>(all - tokens));
  held.left = tokens;
  held.month = grant.month;
  const bool less = grant.tokens < sent.order.wanted;
  entry.closed.store(less ? guard::nanos_of(add_time(now, grant.retry_after)) : 0,
                     std::memory_order_relaxed);
}

}  // namespace cellroute
