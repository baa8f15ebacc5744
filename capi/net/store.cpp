// Stores behind a network, as custom stores of libcellroute.
#include <memory>
#include <utility>

#include "calls.hpp"
#include "cellroute_net.h"
#include "entry.hpp"
#include "net/dynamodb_store.hpp"
#include "net/redis_store.hpp"
#include "net/stores.hpp"
#include "records.hpp"
#include "structs.hpp"

namespace cellroute::capi {
namespace {

MappingStore& store_of(void* self) noexcept { return *static_cast<MappingStore*>(self); }

std::int32_t get(void* self, const cellroute_view* key, std::int64_t now,
                 const cellroute_sink* sink, cellroute_error* error) {
  return call(error, [&]() -> std::int32_t {
    const Lookup found = store_of(self).get(text(*key), now);
    if (found.answer == Answer::kUnknown) return fail(error, found.error);
    if (found.record.revision == 0) return CELLROUTE_OK;
    const RecordView given(found.record);
    return sink->record(sink->self, given.get());
  });
}

std::int32_t put_if(void* self, const cellroute_record* record, std::uint64_t expected,
                    cellroute_error* error) {
  return call(error, [&]() -> std::int32_t {
    MappingRecord given;
    const std::int32_t code = read_record(record, given);
    if (code != CELLROUTE_OK) return fail(error, CELLROUTE_E_INVALID_ARGUMENT);
    const Result<std::uint64_t> written = store_of(self).put_if(given, expected);
    return written.ok() ? CELLROUTE_OK : fail(error, written.error());
  });
}

std::int32_t scan(void* self, const cellroute_view* cursor, std::uint64_t limit, std::int64_t now,
                  const cellroute_sink* sink, cellroute_error* error) {
  return call(error, [&]() -> std::int32_t {
    const Cursor from(text(*cursor));
    const Result<Page> page = store_of(self).scan(from, static_cast<std::size_t>(limit), now);
    if (!page.ok()) return fail(error, page.error());
    for (const MappingRecord& record : page->records) {
      const RecordView given(record);
      const std::int32_t code = sink->record(sink->self, given.get());
      if (code != CELLROUTE_OK) return code;
    }
    const cellroute_view next = view(page->next);
    return sink->page(sink->self, &next, page->done ? 1 : 0);
  });
}

std::uint32_t capabilities_of(const MappingStore& store) noexcept {
  const StoreCapabilities can = store.capabilities();
  return (can.durable ? CELLROUTE_STORE_DURABLE : 0) |
         (can.loses_acknowledged ? CELLROUTE_STORE_LOSES_ACKNOWLEDGED : 0) |
         (can.shared ? CELLROUTE_STORE_SHARED : 0);
}

cellroute::Result<std::unique_ptr<MappingStore>> open(std::string_view url,
                                                      const StoreOptions& options) {
  if (url.substr(0, url.find("://")) != "dynamodb") return open_redis_store(url, options);
  auto store = open_dynamodb_store(url, options);
  if (!store.ok()) return store.error();
  return std::unique_ptr<MappingStore>(std::move(*store));
}

}  // namespace

void release_net_store(void* self) { delete static_cast<MappingStore*>(self); }

}  // namespace cellroute::capi

namespace capi = cellroute::capi;

int32_t cellroute_net_store_open(cellroute_view url, const cellroute_net_options* options,
                                 cellroute_store** store, cellroute_error* error) {
  return capi::enter(error, [&]() -> std::int32_t {
    cellroute::StoreOptions given;
    if (store == nullptr || !capi::sound(url)) return capi::fail(error, CELLROUTE_E_NULL);
    if (const std::int32_t code = capi::read_options(options, given); code != CELLROUTE_OK) {
      return capi::fail(error, code);
    }
    auto opened = capi::open(capi::text(url), given);
    if (!opened.ok()) return capi::fail(error, opened.error());
    cellroute_store_calls calls{};
    calls.struct_size = sizeof calls;
    calls.capabilities = capi::capabilities_of(**opened);
    calls.get = capi::get;
    calls.put_if = capi::put_if;
    calls.scan = capi::scan;
    calls.release = capi::release_net_store;
    const std::int32_t code = cellroute_store_create(&calls, opened->get(), store, error);
    if (code == CELLROUTE_OK) (void)opened->release();  // the store of libcellroute has it now
    return code;
  });
}
