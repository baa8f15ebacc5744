#include "custom_leases.hpp"

#include <cstring>
#include <string>
#include <utility>

#include "months.hpp"
#include "structs.hpp"

namespace cellroute::capi {
namespace {

constexpr std::size_t kMostCursorBytes = 4'096;
constexpr const char* kFrom = "custom lease store: ";

// What breaks the contract is as good as no answer.
Error broken(std::string what) { return Error(ErrorCode::kUnavailable, kFrom + std::move(what)); }

// What a store gives, checked as it comes. A sink is called by the host's code: nothing is thrown.
class Collector {
 public:
  explicit Collector(std::size_t most) noexcept : most_(most) {
    sink_.struct_size = sizeof sink_;
    sink_.self = this;
    sink_.usage = &Collector::take_usage;
    sink_.page = &Collector::take_page;
  }
  Collector(const Collector&) = delete;
  Collector& operator=(const Collector&) = delete;

  const cellroute_usage_sink* sink() const noexcept { return &sink_; }

  Result<UsagePage> page() {
    if (no_memory_) {
      return Error(static_cast<ErrorCode>(CELLROUTE_E_NO_MEMORY), "no memory for usages");
    }
    if (wrong_ == nullptr && !ended_) wrong_ = "it did not end its page";
    if (wrong_ != nullptr) return broken(wrong_);
    return std::move(page_);
  }
  bool refused() const noexcept { return wrong_ != nullptr || no_memory_; }

 private:
  static int32_t take_usage(void* self, const cellroute_view* key, uint64_t used) noexcept {
    auto& collector = *static_cast<Collector*>(self);
    if (key == nullptr || !sound(*key) || !key_length_ok(text(*key))) {
      return collector.refuse("it gave a key that is none");
    }
    if (collector.ended_ || collector.page_.usages.size() >= collector.most_) {
      return collector.refuse("it gave more keys than were asked for");
    }
    return collector.keep([&] {
      collector.page_.usages.push_back({std::string(text(*key)), used});
    });
  }

  static int32_t take_page(void* self, const cellroute_view* cursor, uint32_t done) noexcept {
    auto& collector = *static_cast<Collector*>(self);
    if (collector.ended_) return collector.refuse("it ended a page twice");
    if (cursor == nullptr || !sound(*cursor) || cursor->size > kMostCursorBytes || done > 1) {
      return collector.refuse("it gave a cursor that is none");
    }
    collector.page_.done = done != 0;
    collector.ended_ = true;
    return collector.keep([&] { collector.page_.next = text(*cursor); });
  }

  template <class Body>
  int32_t keep(Body&& body) noexcept {
    try {
      body();
      return CELLROUTE_OK;
    } catch (...) {
      no_memory_ = true;
      return CELLROUTE_E_NO_MEMORY;
    }
  }

  int32_t refuse(const char* why) noexcept {
    wrong_ = why;
    return CELLROUTE_E_BROKEN_STORE;
  }

  cellroute_usage_sink sink_{};
  std::size_t most_;
  UsagePage page_;
  bool ended_ = false;
  const char* wrong_ = nullptr;
  bool no_memory_ = false;
};

class CustomLeaseStore final : public LeaseStore {
 public:
  CustomLeaseStore(const cellroute_lease_calls& calls, void* self) noexcept
      : calls_(calls), self_(self) {}
  ~CustomLeaseStore() override {
    if (calls_.release != nullptr) calls_.release(self_);
  }

  void settle(const FleetLimit& limit, std::span<const LeaseOrder> orders, Nanos now,
              std::span<LeaseGrant> grants) override {
    const std::size_t count = orders.size() < grants.size() ? orders.size() : grants.size();
    std::vector<cellroute_lease_order> given(count);
    std::vector<cellroute_lease_grant> taken(count);
    for (std::size_t i = 0; i < count; ++i) {
      given[i] = order_of(orders[i]);
      taken[i].struct_size = sizeof taken[i];
    }
    cellroute_fleet_limit asked{};
    asked.struct_size = sizeof asked;
    asked.kind = limit.kind == FleetKind::kMonthly ? CELLROUTE_FLEET_MONTHLY : CELLROUTE_FLEET_RATE;
    asked.name = view(limit.name);
    asked.period_ns = limit.period;
    const Error failed = call([&](cellroute_error* error) {
      return calls_.settle(self_, &asked, given.data(), taken.data(), count, now, error);
    });
    for (std::size_t i = 0; i < count; ++i) {
      grants[i] = {};
      grants[i].error = failed.ok() ? read_grant(limit, orders[i], taken[i], grants[i]) : failed;
    }
  }

  Result<std::uint64_t> usage(std::string_view limit, std::string_view key, Month month) override {
    if (calls_.usage == nullptr) return unsupported("usage");
    const cellroute_view name = view(limit);
    const cellroute_view asked = view(key);
    std::uint64_t used = 0;
    const Error failed = call([&](cellroute_error* error) {
      return calls_.usage(self_, &name, &asked, number_of(month), &used, error);
    });
    if (!failed.ok()) return failed;
    return used;
  }

  Result<UsagePage> usages(std::string_view name, Month month, const Cursor& cursor,
                           std::size_t limit) override {
    if (calls_.usages == nullptr) return unsupported("usages");
    const cellroute_view asked = view(name);
    const cellroute_view from = view(cursor);
    Collector collector(limit < kMaxPageRecords ? limit : kMaxPageRecords);
    const Error failed = call([&](cellroute_error* error) {
      return calls_.usages(self_, &asked, number_of(month), &from, limit, collector.sink(), error);
    });
    if (!failed.ok() && !collector.refused()) return failed;
    return collector.page();
  }

 private:
  static Error unsupported(const char* what) {
    return Error(ErrorCode::kUnsupported, std::string(kFrom) + "it has no " + what + " call");
  }

  static cellroute_lease_order order_of(const LeaseOrder& order) noexcept {
    cellroute_lease_order made{};
    made.struct_size = sizeof made;
    made.month = number_of(order.month);
    made.key = view(order.key);
    made.requests = order.requests;
    made.burst = order.burst;
    made.wanted = order.wanted;
    made.lasting_ns = order.lasting;
    made.settled = order.settled;
    return made;
  }

  static Error read_grant(const FleetLimit& limit, const LeaseOrder& order,
                          const cellroute_lease_grant& taken, LeaseGrant& grant) {
    if (taken.code == CELLROUTE_E_INVALID_ARGUMENT) return invalid_argument("the order is refused");
    if (taken.code != CELLROUTE_OK) return broken("it did not carry out an order");
    const bool monthly = limit.kind == FleetKind::kMonthly;
    grant.month = monthly ? month_of_number(taken.month) : Month{};
    if (taken.tokens > order.wanted || taken.lasts_ns < 0 || taken.lasts_ns > order.lasting ||
        taken.retry_after_ns < 0 || (monthly && !grant.month.ok())) {
      return broken("it gave a grant with a number out of its range");
    }
    grant.tokens = taken.tokens;
    grant.lasts = taken.lasts_ns;
    grant.retry_after = taken.retry_after_ns;
    return {};
  }

  template <class Call>
  static Error call(Call&& made) {
    cellroute_error error{};
    error.struct_size = sizeof error;
    const int32_t code = made(&error);
    if (code == CELLROUTE_OK) return {};
    if (code > 0 || code < CELLROUTE_E_FORKED) {
      return broken("it returned " + std::to_string(code) + ", which is no code for it");
    }
    const std::string_view said(error.text, ::strnlen(error.text, sizeof error.text));
    return Error(static_cast<ErrorCode>(code), std::string(said));
  }

  const cellroute_lease_calls calls_;
  void* const self_;
};

}  // namespace

std::unique_ptr<LeaseStore> make_custom_lease_store(const cellroute_lease_calls& calls,
                                                    void* self) {
  return std::make_unique<CustomLeaseStore>(calls, self);
}

}  // namespace cellroute::capi
