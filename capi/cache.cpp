// Mapping stores kept near.
#include <utility>

#include "entry.hpp"
#include "handles.hpp"
#include "records.hpp"

namespace cellroute::capi {
namespace {

std::int32_t read_options(const cellroute_cache_options* from, NearCacheOptions& to) noexcept {
  cellroute_cache_options room;
  if (const std::int32_t code = read_optional(from, room); code != CELLROUTE_OK) return code;
  if (from->reserved != 0) return CELLROUTE_E_INVALID_ARGUMENT;
  if (from->max_entries != 0) to.max_entries = static_cast<std::size_t>(from->max_entries);
  if (from->max_bytes != 0) to.max_bytes = static_cast<std::size_t>(from->max_bytes);
  if (from->ttl_ns != 0) to.ttl = from->ttl_ns;
  if (from->negative_ttl_ns != 0) to.negative_ttl = from->negative_ttl_ns;
  if (from->max_stale_ns != 0) to.max_stale = from->max_stale_ns;
  if (from->wait_ns != 0) to.wait = from->wait_ns;
  return CELLROUTE_OK;
}

std::int32_t check_cached(const cellroute_store* store) noexcept {
  const std::int32_t code = check(store);
  if (code != CELLROUTE_OK) return code;
  return store->cache != nullptr ? CELLROUTE_OK : CELLROUTE_E_UNSUPPORTED;
}

cellroute_cache_counts counts_of(const NearCacheCounts& counts) noexcept {
  cellroute_cache_counts made{};
  made.hits = counts.hits;
  made.misses = counts.misses;
  made.shared = counts.shared;
  made.stale = counts.stale;
  made.errors = counts.errors;
  made.evictions = counts.evictions;
  made.entries = counts.entries;
  made.bytes = counts.bytes;
  made.waiting = counts.waiting;
  return made;
}

}  // namespace
}  // namespace cellroute::capi

namespace capi = cellroute::capi;

int32_t cellroute_store_cached(cellroute_store* store, const cellroute_cache_options* options,
                               cellroute_store** cached, cellroute_error* error) {
  return capi::enter(error, [&]() -> std::int32_t {
    cellroute::NearCacheOptions given;
    std::int32_t code = capi::check(store);
    if (code == CELLROUTE_OK && cached == nullptr) code = CELLROUTE_E_NULL;
    if (code == CELLROUTE_OK) code = capi::read_options(options, given);
    if (code != CELLROUTE_OK) return capi::fail(error, code);
    auto cache = cellroute::make_near_cache(store->store, given);
    if (!cache.ok()) return capi::fail(error, cache.error());
    auto made = std::make_unique<cellroute_store>();
    made->origin = store->origin;
    made->cache = cache->get();
    made->store = std::move(*cache);
    *cached = made.release();
    return CELLROUTE_OK;
  });
}

int32_t cellroute_store_observe(cellroute_store* cached, const cellroute_record* record,
                                cellroute_error* error) {
  return capi::enter(error, [&]() -> std::int32_t {
    cellroute::MappingRecord given;
    std::int32_t code = capi::check_cached(cached);
    if (code == CELLROUTE_OK) code = capi::read_record(record, given);
    if (code != CELLROUTE_OK) return capi::fail(error, code);
    const cellroute::Error failed = cached->cache->observe(given);
    return failed.ok() ? CELLROUTE_OK : capi::fail(error, failed);
  });
}

int32_t cellroute_store_invalidate(cellroute_store* cached, cellroute_view key,
                                   cellroute_error* error) {
  return capi::enter(error, [&]() -> std::int32_t {
    std::int32_t code = capi::check_cached(cached);
    if (code == CELLROUTE_OK && !capi::sound(key)) code = CELLROUTE_E_NULL;
    if (code != CELLROUTE_OK) return capi::fail(error, code);
    const cellroute::Error failed = cached->cache->invalidate(capi::text(key));
    return failed.ok() ? CELLROUTE_OK : capi::fail(error, failed);
  });
}

int32_t cellroute_store_cache_counts(const cellroute_store* cached,
                                     cellroute_cache_counts* counts) {
  return capi::enter(nullptr, [&]() -> std::int32_t {
    std::int32_t code = capi::check_cached(cached);
    if (code == CELLROUTE_OK) code = capi::check_out(counts);
    if (code != CELLROUTE_OK) return code;
    const auto counted = cached->cache->counts();
    if (!counted.ok()) return static_cast<std::int32_t>(counted.error().code());
    capi::write_struct(counts, capi::counts_of(*counted));
    return CELLROUTE_OK;
  });
}
