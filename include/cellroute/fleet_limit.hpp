// Limits of a fleet on a request's path: tokens of a lease, or else this router's share.
//
// A key that has no lease, because it is new here, its lease is spent or the store is away, has its
// share: the limit ÷ routers, as a bucket of the keyed limiter. What is admitted so is settled with
// the store later. A key of which the store says that it has used all is refused until there may be
// more. So by leases no more than the limit is spent in any period, whatever fails; and besides, by
// those routers that could not know, at most a share each.
//
// In step 7 of a decision they stand behind the key's other limits and before the cell's
// (Guards::reserve_fleet_limits). A policy without them costs nothing for them. take() reads no
// clock, takes no lock and asks nobody; control/fleet_keeper.hpp brings leases from the store.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cellroute/guard/fleet_rule.hpp"
#include "cellroute/guard/lease.hpp"
#include "cellroute/guard/limiter.hpp"
#include "cellroute/guard/own_memory.hpp"
#include "cellroute/lease_store.hpp"
#include "cellroute/names.hpp"

namespace cellroute {

// What take() said, and how to give it back. Thread safety: a plain value.
struct FleetTaken {
  bool admitted = false;
  Nanos retry_after = 0;  // refused: until it may be admitted; 0: not known
  guard::LeaseEntry* entry = nullptr;
  std::uint64_t lease = 0;  // the word after; 0: admitted without a lease
  LimitTaken share{};
  const LimitRule* rule = nullptr;  // the share's; null: nothing was counted
};

// Thread safety: take() and cancel() from any number of threads of one process. Fork: its leases
// are the process's own; memory that children get zeroed (MADV_WIPEONFORK) leaves them their share.
class FleetLimiter {
 public:
  static constexpr std::uint32_t kMaxPlans = 4'096;  // of all generations

  // 0 where `entries` is out of its bounds.
  static std::size_t bytes(std::uint32_t entries) noexcept {
    const bool ok = entries != 0 && entries <= guard::kMaxLeaseEntries &&
                    (entries & (entries - 1)) == 0 && entries >= guard::kLeaseProbes;
    return ok ? guard::LeaseTable::bytes(entries) : 0;
  }

  // `memory` is zero, aligned to 64 bytes, at least bytes(options.entries), and outlives this; so
  // does the region of `shares`. Or it is what `before` has, the same limit in an earlier
  // generation and with the same options: its keys keep their leases, and its plans their numbers.
  // kInvalidArgument: a bound is broken; the text says which.
  static Result<FleetLimiter> create(std::span<std::byte> memory, FleetLimit limit,
                                     const FleetOptions& options, const KeyLimiter& shares,
                                     const FleetLimiter* before = nullptr);

  // The same with memory of its own, or that of `before`. kResourceExhausted: there is none.
  static Result<std::shared_ptr<const FleetLimiter>> make(FleetLimit limit,
                                                          const FleetOptions& options,
                                                          const KeyLimiter& shares,
                                                          const FleetLimiter* before);

  static Error check(const FleetOptions& options) {
    if (options.routers < 1 || options.routers > 65'536) return bad("routers are 1 to 65,536");
    if (options.lease < 500 * kMillisecond || options.lease > 3'600 * kSecond) {
      return bad("a lease lasts from 500 ms to an hour");
    }
    if (bytes(options.entries) == 0) return bad("entries are a power of two from 8 to 2^20");
    return {};
  }

  // The number of a plan for take(), the same in every generation. kNotFound where the limit names
  // neither it nor "".
  Result<std::uint16_t> plan(std::string_view name) const {
    for (const std::string_view wanted : {name, std::string_view()}) {
      const std::uint32_t found = plans_.find(wanted);
      if (found != NameIndex::kNone && rules_[found].named)
        return static_cast<std::uint16_t>(found);
    }
    return Error(ErrorCode::kNotFound, "fleet limit " + limit_.name + ": it names no such plan");
  }

  // Takes one request of `key`. Refuses a key that is none, and a plan that plan() did not give.
  FleetTaken take(std::string_view key, std::uint16_t plan, Nanos now) const noexcept;

  // Gives back what was admitted, once.
  void cancel(const FleetTaken& taken) const noexcept;

  // Admitted for keys for which the table had no room: by their share, and in no store's count.
  std::uint64_t uncounted() const noexcept {
    return table_.header().strangers.load(std::memory_order_relaxed);
  }

  // For the keeper.
  const FleetLimit& limit() const noexcept { return limit_; }
  const FleetOptions& options() const noexcept { return options_; }
  const guard::LeaseTable& table() const noexcept { return table_; }
  const FleetRule& rule(std::uint16_t plan) const noexcept { return rules_[plan]; }
  std::size_t plan_count() const noexcept { return rules_.size(); }
  Nanos beat() const noexcept { return options_.lease / 4; }
  // Whether `other` is this limit in another generation.
  bool same_table(const FleetLimiter& other) const noexcept {
    return &table_.header() == &other.table_.header();
  }

 private:
  FleetLimiter(std::byte* memory, FleetLimit limit, const FleetOptions& options,
               const KeyLimiter& shares) noexcept
      : limit_(std::move(limit)),
        options_(options),
        shares_(shares),
        table_(memory, options.entries) {}

  static Error bad(const char* why) { return invalid_argument(std::string("fleet limit: ") + why); }

  Error add_plan(const FleetPlan& plan);
  void take_share(std::uint64_t hash, const FleetRule& rule, Nanos now,
                  FleetTaken& taken) const noexcept;
  guard::Word& unleased(const FleetTaken& taken) const noexcept {
    return taken.entry != nullptr ? taken.entry->spent : table_.header().strangers;
  }

  FleetLimit limit_;
  FleetOptions options_;
  KeyLimiter shares_;
  guard::LeaseTable table_;
  NameIndex plans_;  // of all generations
  std::vector<FleetRule> rules_;
  std::shared_ptr<const guard::OwnMemory> own_;  // the table's, where it is not the caller's
};

inline Result<FleetLimiter> FleetLimiter::create(std::span<std::byte> memory, FleetLimit limit,
                                                 const FleetOptions& options,
                                                 const KeyLimiter& shares,
                                                 const FleetLimiter* before) {
  if (!fleet_name_ok(limit.name)) return bad("its name is not 1 to 64 letters, digits, - and _");
  if (limit.kind == FleetKind::kRate &&
      (limit.period < kMillisecond || limit.period > guard::kMaxPeriod)) {
    return bad("its period is not 1 ms to 366 days");
  }
  if (limit.plans.empty()) return bad("it has no plan");
  if (Error error = check(options); !error.ok()) return error;
  if (memory.size() < bytes(options.entries) ||
      reinterpret_cast<std::uintptr_t>(memory.data()) % guard::kLine != 0) {
    return bad("its memory is too small, or not aligned to 64 bytes");
  }
  FleetLimiter made(memory.data(), std::move(limit), options, shares);
  if (before != nullptr) {
    made.plans_ = before->plans_;
    made.rules_ = before->rules_;
    for (FleetRule& rule : made.rules_) rule.named = false;
  }
  for (const FleetPlan& plan : made.limit_.plans) {
    if (Error error = made.add_plan(plan); !error.ok()) return error;
  }
  return made;
}

inline Result<std::shared_ptr<const FleetLimiter>> FleetLimiter::make(FleetLimit limit,
                                                                      const FleetOptions& options,
                                                                      const KeyLimiter& shares,
                                                                      const FleetLimiter* before) {
  std::shared_ptr<const guard::OwnMemory> own = before != nullptr ? before->own_ : nullptr;
  const std::size_t size = bytes(options.entries);
  if (!own) {
    own = std::make_shared<const guard::OwnMemory>(size);
    if (own->bytes().size() < size) {
      return Error(ErrorCode::kResourceExhausted,
                   "no memory for a fleet limit's " + std::to_string(size) + " bytes");
    }
  }
  Result<FleetLimiter> made = create(own->bytes(), std::move(limit), options, shares, before);
  if (!made.ok()) return made.error();
  made->own_ = std::move(own);
  return std::make_shared<const FleetLimiter>(std::move(*made));
}

inline Error FleetLimiter::add_plan(const FleetPlan& plan) {
  std::uint32_t number = plans_.find(plan.plan);
  if (number == NameIndex::kNone) {
    number = static_cast<std::uint32_t>(rules_.size());
    if (number == kMaxPlans) {
      return Error(ErrorCode::kResourceExhausted,
                   "fleet limit " + limit_.name + ": it has had 4,096 plans; give it another name");
    }
    plans_.add(plan.plan, number);
    rules_.emplace_back();
  } else if (rules_[number].named) {
    return bad("it names a plan twice");
  }
  Result<FleetRule> made = compile_fleet_rule(limit_, plan, options_.routers);
  if (!made.ok()) return made.error();
  rules_[number] = *made;
  return {};
}

inline FleetTaken FleetLimiter::take(std::string_view key, std::uint16_t plan,
                                     Nanos now) const noexcept {
  FleetTaken taken;
  if (plan >= rules_.size() || !key_length_ok(key)) return taken;
  const FleetRule& rule = rules_[plan];
  if (rule.free) {
    taken.admitted = true;
    return taken;
  }
  std::uint64_t hash = shares_.hash(key);
  if (hash == 0) hash = 1;
  taken.entry = table_.find(hash);
  if (taken.entry == nullptr) taken.entry = table_.claim(hash, key, plan);
  if (taken.entry != nullptr) {
    std::uint64_t about = taken.entry->about.load(std::memory_order_relaxed);
    if (about != 0 && guard::plan_of(about) != plan) {  // the key's plan has changed
      const std::uint64_t next = (about & ~std::uint64_t{0x1'fffe}) | std::uint64_t{plan} << 1;
      taken.entry->about.compare_exchange_strong(about, next, std::memory_order_release);
    }
    if (guard::spend_lease(*taken.entry, hash, now, taken.lease)) {
      taken.admitted = true;
      taken.rule = &rule.share;
      return taken;
    }
    taken.lease = 0;
  }
  take_share(hash, rule, now, taken);
  return taken;
}

CELLROUTE_COLD inline void FleetLimiter::take_share(std::uint64_t hash, const FleetRule& rule,
                                                    Nanos now, FleetTaken& taken) const noexcept {
  const std::uint64_t closed =
      taken.entry == nullptr ? 0 : taken.entry->closed.load(std::memory_order_relaxed);
  if (closed > guard::nanos_of(now) && !rule.share.unlimited) {
    taken.retry_after = static_cast<Nanos>(closed - guard::nanos_of(now));
  } else {
    if (!rule.share.unlimited) taken.share = shares_.take(hash, rule.share, now);
    taken.admitted = rule.share.unlimited || taken.share.admitted;
    taken.retry_after = taken.share.retry_after;
    // Where the store answers, a lease comes with the next beat.
    const bool away = table_.header().away.load(std::memory_order_relaxed) != 0;
    if (!away && taken.retry_after > beat()) taken.retry_after = beat();
  }
  if (taken.admitted) {
    taken.rule = &rule.share;
    unleased(taken).fetch_add(1, std::memory_order_relaxed);
  } else if (taken.entry != nullptr) {
    taken.entry->refused.fetch_add(1, std::memory_order_relaxed);
  }
}

inline void FleetLimiter::cancel(const FleetTaken& taken) const noexcept {
  if (!taken.admitted || taken.rule == nullptr) return;
  if (taken.lease != 0) {
    guard::unspend_lease(*taken.entry, taken.lease);
    return;
  }
  taken.share.cancel(*taken.rule);
  unleased(taken).fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace cellroute
