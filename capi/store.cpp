// Mapping stores: opening, reading, writing.
#include <utility>

#include "custom_store.hpp"
#include "entry.hpp"
#include "handles.hpp"
#include "mapping/file_store.hpp"
#include "records.hpp"
#include "stores/open_store.hpp"

namespace cellroute::capi {
namespace {

constexpr std::uint32_t kAllCapabilities =
    CELLROUTE_STORE_DURABLE | CELLROUTE_STORE_LOSES_ACKNOWLEDGED | CELLROUTE_STORE_SHARED;

std::int32_t read_options(const cellroute_store_options* from, StoreOptions& to) noexcept {
  cellroute_store_options room;
  if (const std::int32_t code = read_optional(from, room); code != CELLROUTE_OK) return code;
  if (from->open_existing > 1 || from->reserved != 0 || from->timeout_ns < 0) {
    return CELLROUTE_E_INVALID_ARGUMENT;
  }
  to.create = from->open_existing == 0;
  if (from->timeout_ns != 0) to.timeout = from->timeout_ns;
  if (from->map_bytes != 0) to.map_bytes = static_cast<std::size_t>(from->map_bytes);
  if (from->max_map_bytes != 0) to.max_map_bytes = static_cast<std::size_t>(from->max_map_bytes);
  if (from->readers != 0) to.readers = from->readers;
  return CELLROUTE_OK;
}

std::int32_t read_sink(const cellroute_sink*& sink, cellroute_sink& room) noexcept {
  if (const std::int32_t code = read_struct(sink, room); code != CELLROUTE_OK) return code;
  if (sink->record == nullptr) return CELLROUTE_E_NULL;
  return sink->reserved == 0 ? CELLROUTE_OK : CELLROUTE_E_INVALID_ARGUMENT;
}

// A sink's answer, which is the host's own: only a negative one ends the call.
std::int32_t push(const cellroute_sink& sink, const MappingRecord& record) {
  const RecordView given(record);
  return sink.record(sink.self, given.get());
}

std::int32_t push(const cellroute_sink& sink, const Page& page) {
  for (const MappingRecord& record : page.records) {
    if (const std::int32_t code = push(sink, record); code < 0) return code;
  }
  if (sink.page == nullptr) return CELLROUTE_OK;
  const cellroute_view next = view(page.next);
  const std::int32_t code = sink.page(sink.self, &next, page.done ? 1 : 0);
  return code < 0 ? code : CELLROUTE_OK;
}

}  // namespace
}  // namespace cellroute::capi

namespace capi = cellroute::capi;

int32_t cellroute_store_open(cellroute_view url, const cellroute_store_options* options,
                             cellroute_store** store, cellroute_error* error) {
  return capi::enter(error, [&]() -> std::int32_t {
    cellroute::StoreOptions given;
    if (store == nullptr || !capi::sound(url)) return capi::fail(error, CELLROUTE_E_NULL);
    if (const std::int32_t code = capi::read_options(options, given); code != CELLROUTE_OK) {
      return capi::fail(error, code);
    }
    auto opened = cellroute::open_store(capi::text(url), given);
    if (!opened.ok()) return capi::fail(error, opened.error());
    auto made = std::make_unique<cellroute_store>();
    made->store = std::move(*opened);
    made->origin = made->store.get();
    *store = made.release();
    return CELLROUTE_OK;
  });
}

int32_t cellroute_store_create(const cellroute_store_calls* calls, void* self,
                               cellroute_store** store, cellroute_error* error) {
  cellroute_store_calls room;
  return capi::enter(error, [&]() -> std::int32_t {
    std::int32_t code = capi::read_struct(calls, room);
    if (code == CELLROUTE_OK &&
        (store == nullptr || calls->get == nullptr || calls->put_if == nullptr)) {
      code = CELLROUTE_E_NULL;
    }
    if (code == CELLROUTE_OK && calls->capabilities > capi::kAllCapabilities) {
      code = CELLROUTE_E_INVALID_ARGUMENT;
    }
    if (code != CELLROUTE_OK) return capi::fail(error, code);
    // Room for the handle first: once the store is made, it owns `self`.
    auto made = std::make_unique<cellroute_store>();
    made->store = capi::make_custom_store(*calls, self);
    made->origin = made->store.get();
    *store = made.release();
    return CELLROUTE_OK;
  });
}

int32_t cellroute_store_refresh(cellroute_store* store, cellroute_error* error) {
  return capi::enter(error, [&]() -> std::int32_t {
    if (const std::int32_t code = capi::check(store); code != CELLROUTE_OK) {
      return capi::fail(error, code);
    }
    auto* const file = dynamic_cast<cellroute::MappingFileStore*>(store->store.get());
    if (file == nullptr) {
      return capi::fail(error, CELLROUTE_E_UNSUPPORTED, "only a \"file:\" store is refreshed");
    }
    const auto newer = file->refresh();
    if (!newer.ok()) return capi::fail(error, newer.error());
    return *newer ? CELLROUTE_OK : CELLROUTE_UNCHANGED;
  });
}

int32_t cellroute_store_self(const cellroute_store* store, void (*release)(void* self),
                             void** self) {
  if (const std::int32_t code = capi::check(store); code != CELLROUTE_OK) return code;
  if (release == nullptr || self == nullptr) return CELLROUTE_E_NULL;
  return capi::find_self(*store->origin, release, *self) ? CELLROUTE_OK : CELLROUTE_E_UNSUPPORTED;
}

void cellroute_store_destroy(cellroute_store* store) {
  if (capi::check(store) != CELLROUTE_OK || capi::inside(*store->origin)) return;
  delete store;
}

int32_t cellroute_store_capabilities(const cellroute_store* store, uint32_t* capabilities) {
  if (const std::int32_t code = capi::check(store); code != CELLROUTE_OK) return code;
  if (capabilities == nullptr) return CELLROUTE_E_NULL;
  const cellroute::StoreCapabilities can = store->store->capabilities();
  *capabilities = (can.durable ? CELLROUTE_STORE_DURABLE : 0) |
                  (can.loses_acknowledged ? CELLROUTE_STORE_LOSES_ACKNOWLEDGED : 0) |
                  (can.shared ? CELLROUTE_STORE_SHARED : 0);
  return CELLROUTE_OK;
}

int32_t cellroute_store_get(cellroute_store* store, cellroute_view key, int64_t now_ns,
                            const cellroute_sink* sink, cellroute_error* error) {
  cellroute_sink room;
  return capi::enter(error, [&]() -> std::int32_t {
    std::int32_t code = capi::check(store);
    if (code == CELLROUTE_OK && !capi::sound(key)) code = CELLROUTE_E_NULL;
    if (code == CELLROUTE_OK) code = capi::read_sink(sink, room);
    if (code != CELLROUTE_OK) return capi::fail(error, code);
    const cellroute::Lookup found = store->store->get(capi::text(key), now_ns);
    if (found.answer == cellroute::Answer::kUnknown) return capi::fail(error, found.error);
    if (found.record.revision != 0) {
      code = capi::push(*sink, found.record);
      if (code < 0) return capi::fail(error, code, "the sink refused the record");
    }
    if (found.answer == cellroute::Answer::kAbsent) return CELLROUTE_ABSENT;
    return found.stale() ? CELLROUTE_STALE : CELLROUTE_OK;
  });
}

int32_t cellroute_store_put_if(cellroute_store* store, const cellroute_record* record,
                               uint64_t expected, int64_t now_ns, uint64_t* revision,
                               cellroute_error* error) {
  return capi::enter(error, [&]() -> std::int32_t {
    cellroute::MappingRecord given;
    std::int32_t code = capi::check(store);
    if (code == CELLROUTE_OK) code = capi::read_record(record, given);
    if (code != CELLROUTE_OK) return capi::fail(error, code);
    const auto written = cellroute::put_confirmed(*store->store, given, expected, now_ns);
    if (!written.ok()) return capi::fail(error, written.error());
    if (revision != nullptr) *revision = *written;
    return CELLROUTE_OK;
  });
}

int32_t cellroute_store_scan(cellroute_store* store, cellroute_view cursor, uint64_t limit,
                             int64_t now_ns, const cellroute_sink* sink, cellroute_error* error) {
  cellroute_sink room;
  return capi::enter(error, [&]() -> std::int32_t {
    std::int32_t code = capi::check(store);
    if (code == CELLROUTE_OK && !capi::sound(cursor)) code = CELLROUTE_E_NULL;
    if (code == CELLROUTE_OK) code = capi::read_sink(sink, room);
    if (code != CELLROUTE_OK) return capi::fail(error, code);
    const auto page = store->store->scan(cellroute::Cursor(capi::text(cursor)),
                                         static_cast<std::size_t>(limit), now_ns);
    if (!page.ok()) return capi::fail(error, page.error());
    code = capi::push(*sink, *page);
    return code < 0 ? capi::fail(error, code, "the sink refused a record") : CELLROUTE_OK;
  });
}
