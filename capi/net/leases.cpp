// Stores of leases behind a network, as custom ones of libcellroute.
#include <memory>
#include <utility>
#include <vector>

#include "calls.hpp"
#include "months.hpp"
#include "net/redis_leases.hpp"

namespace cellroute::capi {
namespace {

LeaseStore& leases_of(void* self) noexcept { return *static_cast<LeaseStore*>(self); }

LeaseOrder order_of(const cellroute_lease_order& order) noexcept {
  LeaseOrder made;
  made.key = text(order.key);
  made.requests = order.requests;
  made.burst = order.burst;
  made.wanted = order.wanted;
  made.lasting = order.lasting_ns;
  made.settled = order.settled;
  made.month = month_of_number(order.month);
  return made;
}

void write_grant(const LeaseGrant& grant, cellroute_lease_grant& to) noexcept {
  to.code = static_cast<std::int32_t>(grant.error.code());
  to.month = number_of(grant.month);
  to.tokens = grant.tokens;
  to.lasts_ns = grant.lasts;
  to.retry_after_ns = grant.retry_after;
}

std::int32_t settle(void* self, const cellroute_fleet_limit* limit,
                    const cellroute_lease_order* orders, cellroute_lease_grant* grants,
                    std::uint64_t count, std::int64_t now, cellroute_error* error) {
  return call(error, [&]() -> std::int32_t {
    FleetLimit asked;
    asked.name = text(limit->name);
    asked.kind = limit->kind == CELLROUTE_FLEET_MONTHLY ? FleetKind::kMonthly : FleetKind::kRate;
    asked.period = limit->period_ns;
    std::vector<LeaseOrder> given;
    for (std::uint64_t i = 0; i < count; ++i) given.push_back(order_of(orders[i]));
    std::vector<LeaseGrant> taken(given.size());
    leases_of(self).settle(asked, given, now, taken);
    for (std::uint64_t i = 0; i < count; ++i) write_grant(taken[i], grants[i]);
    return CELLROUTE_OK;
  });
}

std::int32_t usage(void* self, const cellroute_view* limit, const cellroute_view* key,
                   std::uint32_t month, std::uint64_t* used, cellroute_error* error) {
  return call(error, [&]() -> std::int32_t {
    const auto found = leases_of(self).usage(text(*limit), text(*key), month_of_number(month));
    if (!found.ok()) return fail(error, found.error());
    *used = *found;
    return CELLROUTE_OK;
  });
}

std::int32_t usages(void* self, const cellroute_view* limit, std::uint32_t month,
                    const cellroute_view* cursor, std::uint64_t most,
                    const cellroute_usage_sink* sink, cellroute_error* error) {
  return call(error, [&]() -> std::int32_t {
    const auto page = leases_of(self).usages(text(*limit), month_of_number(month),
                                             Cursor(text(*cursor)), static_cast<std::size_t>(most));
    if (!page.ok()) return fail(error, page.error());
    for (const Usage& each : page->usages) {
      const cellroute_view key = view(each.key);
      const std::int32_t code = sink->usage(sink->self, &key, each.used);
      if (code != CELLROUTE_OK) return code;
    }
    const cellroute_view next = view(page->next);
    return sink->page(sink->self, &next, page->done ? 1 : 0);
  });
}

void release(void* self) { delete static_cast<LeaseStore*>(self); }

}  // namespace
}  // namespace cellroute::capi

namespace capi = cellroute::capi;

int32_t cellroute_net_lease_store_open(cellroute_view url, const cellroute_net_options* options,
                                       cellroute_lease_store** store, cellroute_error* error) {
  return capi::enter(error, [&]() -> std::int32_t {
    cellroute::StoreOptions given;
    if (store == nullptr || !capi::sound(url)) return capi::fail(error, CELLROUTE_E_NULL);
    if (const std::int32_t code = capi::read_options(options, given); code != CELLROUTE_OK) {
      return capi::fail(error, code);
    }
    auto opened = cellroute::open_redis_leases(capi::text(url), given);
    if (!opened.ok()) return capi::fail(error, opened.error());
    cellroute_lease_calls calls{};
    calls.struct_size = sizeof calls;
    calls.settle = capi::settle;
    calls.usage = capi::usage;
    calls.usages = capi::usages;
    calls.release = capi::release;
    const std::int32_t code = cellroute_lease_store_create(&calls, opened->get(), store, error);
    if (code == CELLROUTE_OK) (void)opened->release();  // the store of libcellroute has it now
    return code;
  });
}
