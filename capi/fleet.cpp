// Limits of the fleet: stores of leases, usage, and the keeper of a router's leases.
#include <utility>

#include "custom_leases.hpp"
#include "entry.hpp"
#include "handles.hpp"
#include "months.hpp"
#include "stores/memory_lease_store.hpp"

namespace cellroute::capi {
namespace {

std::int32_t read_sink(const cellroute_usage_sink*& sink, cellroute_usage_sink& room) noexcept {
  if (const std::int32_t code = read_struct(sink, room); code != CELLROUTE_OK) return code;
  if (sink->usage == nullptr) return CELLROUTE_E_NULL;
  return sink->reserved == 0 ? CELLROUTE_OK : CELLROUTE_E_INVALID_ARGUMENT;
}

// A sink's answer, which is the host's own: only a negative one ends the call.
std::int32_t push(const cellroute_usage_sink& sink, const UsagePage& page) {
  for (const Usage& usage : page.usages) {
    const cellroute_view key = view(usage.key);
    if (const std::int32_t code = sink.usage(sink.self, &key, usage.used); code < 0) return code;
  }
  if (sink.page == nullptr) return CELLROUTE_OK;
  const cellroute_view next = view(page.next);
  const std::int32_t code = sink.page(sink.self, &next, page.done ? 1 : 0);
  return code < 0 ? code : CELLROUTE_OK;
}

void hand_out(std::unique_ptr<LeaseStore> store, cellroute_lease_store** to) {
  auto made = std::make_unique<cellroute_lease_store>();
  made->store = std::move(store);
  *to = made.release();
}

std::int32_t fail_month(cellroute_error* error) noexcept {
  return fail(error, CELLROUTE_E_INVALID_ARGUMENT,
              "a month is a number as 202611, which is November 2026");
}

constexpr std::string_view kAway = "the store of leases did not answer";

}  // namespace
}  // namespace cellroute::capi

namespace capi = cellroute::capi;

int32_t cellroute_lease_store_open(cellroute_view url, cellroute_lease_store** store,
                                   cellroute_error* error) {
  return capi::enter(error, [&]() -> std::int32_t {
    if (store == nullptr || !capi::sound(url)) return capi::fail(error, CELLROUTE_E_NULL);
    if (capi::text(url) != "memory:") {
      return capi::fail(error, CELLROUTE_E_UNSUPPORTED,
                        "this library has memory: alone; cellroute_net_lease_store_open() of "
                        "libcellroute-net has Redis");
    }
    capi::hand_out(cellroute::make_memory_lease_store(), store);
    return CELLROUTE_OK;
  });
}

int32_t cellroute_lease_store_create(const cellroute_lease_calls* calls, void* self,
                                     cellroute_lease_store** store, cellroute_error* error) {
  cellroute_lease_calls room;
  return capi::enter(error, [&]() -> std::int32_t {
    std::int32_t code = capi::read_struct(calls, room);
    if (code == CELLROUTE_OK && (store == nullptr || calls->settle == nullptr)) {
      code = CELLROUTE_E_NULL;
    }
    if (code == CELLROUTE_OK && calls->reserved != 0) code = CELLROUTE_E_INVALID_ARGUMENT;
    if (code != CELLROUTE_OK) return capi::fail(error, code);
    // Room for the handle first: once the store is made, it owns `self`.
    auto made = std::make_unique<cellroute_lease_store>();
    made->store = capi::make_custom_lease_store(*calls, self);
    *store = made.release();
    return CELLROUTE_OK;
  });
}

void cellroute_lease_store_destroy(cellroute_lease_store* store) {
  if (capi::check(store) == CELLROUTE_OK) delete store;
}

int32_t cellroute_usage(cellroute_lease_store* store, cellroute_view limit, cellroute_view key,
                        uint32_t month, uint64_t* used, cellroute_error* error) {
  return capi::enter(error, [&]() -> std::int32_t {
    std::int32_t code = capi::check(store);
    if (code == CELLROUTE_OK && (used == nullptr || !capi::sound(limit) || !capi::sound(key))) {
      code = CELLROUTE_E_NULL;
    }
    if (code != CELLROUTE_OK) return capi::fail(error, code);
    const cellroute::Month asked = capi::month_of_number(month);
    if (!asked.ok()) return capi::fail_month(error);
    const auto found = store->store->usage(capi::text(limit), capi::text(key), asked);
    if (!found.ok()) return capi::fail(error, found.error());
    *used = *found;
    return CELLROUTE_OK;
  });
}

int32_t cellroute_usages(cellroute_lease_store* store, cellroute_view limit, uint32_t month,
                         cellroute_view cursor, uint64_t most, const cellroute_usage_sink* sink,
                         cellroute_error* error) {
  cellroute_usage_sink room;
  return capi::enter(error, [&]() -> std::int32_t {
    std::int32_t code = capi::check(store);
    if (code == CELLROUTE_OK && (!capi::sound(limit) || !capi::sound(cursor))) {
      code = CELLROUTE_E_NULL;
    }
    if (code == CELLROUTE_OK) code = capi::read_sink(sink, room);
    if (code != CELLROUTE_OK) return capi::fail(error, code);
    const cellroute::Month asked = capi::month_of_number(month);
    if (!asked.ok()) return capi::fail_month(error);
    const auto page =
        store->store->usages(capi::text(limit), asked, cellroute::Cursor(capi::text(cursor)),
                             static_cast<std::size_t>(most));
    if (!page.ok()) return capi::fail(error, page.error());
    code = capi::push(*sink, *page);
    return code < 0 ? capi::fail(error, code, "the sink refused a usage") : CELLROUTE_OK;
  });
}

int32_t cellroute_fleet_keeper_create(cellroute_router* router, cellroute_lease_store* store,
                                      cellroute_fleet_keeper** keeper, cellroute_error* error) {
  return capi::enter(error, [&]() -> std::int32_t {
    std::int32_t code = capi::check(router);
    if (code == CELLROUTE_OK) code = capi::check(store);
    if (code == CELLROUTE_OK && keeper == nullptr) code = CELLROUTE_E_NULL;
    if (code != CELLROUTE_OK) return capi::fail(error, code);
    const std::lock_guard lock(router->keeping);
    if (!router->keeper.expired()) {
      return capi::fail(error, CELLROUTE_E_CONFLICT, "the router has a fleet keeper already");
    }
    auto made = std::make_unique<cellroute_fleet_keeper>();
    made->router = router->router;
    made->store = store->store;
    made->keeper = std::make_shared<cellroute::FleetKeeper>(*made->router, *made->store);
    router->keeper = made->keeper;
    *keeper = made.release();
    return CELLROUTE_OK;
  });
}

void cellroute_fleet_keeper_destroy(cellroute_fleet_keeper* keeper) {
  if (capi::check(keeper) == CELLROUTE_OK) delete keeper;
}

int32_t cellroute_fleet_keeper_renew(cellroute_fleet_keeper* keeper, int64_t now_ns,
                                     int64_t* next_ns, cellroute_error* error) {
  return capi::enter(error, [&]() -> std::int32_t {
    if (const std::int32_t code = capi::check(keeper); code != CELLROUTE_OK) {
      return capi::fail(error, code);
    }
    const std::lock_guard lock(keeper->turn);
    const cellroute::Nanos next = keeper->keeper->renew(now_ns);
    if (next_ns != nullptr) *next_ns = next;
    if (keeper->keeper->away()) return capi::fail(error, CELLROUTE_E_UNAVAILABLE, capi::kAway);
    return CELLROUTE_OK;
  });
}

int32_t cellroute_fleet_keeper_release(cellroute_fleet_keeper* keeper, int64_t now_ns,
                                       cellroute_error* error) {
  return capi::enter(error, [&]() -> std::int32_t {
    if (const std::int32_t code = capi::check(keeper); code != CELLROUTE_OK) {
      return capi::fail(error, code);
    }
    const std::lock_guard lock(keeper->turn);
    if (keeper->keeper->release(now_ns)) return CELLROUTE_OK;
    return capi::fail(error, CELLROUTE_E_UNAVAILABLE, capi::kAway);
  });
}
