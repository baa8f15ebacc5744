/* Stores kept near, in front of a store of the host's own that counts and fails. */
#include "tests.h"

#define TTL (300 * SECOND)

typedef struct far_store {
  int questions;
  int fails;
  int released;
  cellroute_store* destroys; /* a handle that it destroys from inside its call */
  cellroute_record* record;
} far_store;

static int32_t far_get(void* self, const cellroute_view* key, int64_t now_ns,
                       const cellroute_sink* sink, cellroute_error* error) {
  far_store* far = self;
  (void)now_ns;
  ++far->questions;
  cellroute_store_destroy(far->destroys);
  if (far->fails) {
    strcpy(error->text, "far away");
    return CELLROUTE_E_UNAVAILABLE;
  }
  if (key->size != far->record->key.size) return CELLROUTE_OK;
  return sink->record(sink->self, far->record);
}

static int32_t far_put_if(void* self, const cellroute_record* record, uint64_t expected,
                          cellroute_error* error) {
  const far_store* far = self;
  (void)record, (void)error;
  return expected == far->record->revision ? CELLROUTE_OK : CELLROUTE_E_CONFLICT;
}

static void far_release(void* self) { ++((far_store*)self)->released; }

static cellroute_store* opened(far_store* far) {
  cellroute_store* store = NULL;
  cellroute_store_calls* calls = NEW(cellroute_store_calls);
  calls->get = far_get;
  calls->put_if = far_put_if;
  calls->release = far_release;
  CHECK_CODE(cellroute_store_create(calls, far, &store, NULL), CELLROUTE_OK);
  free(calls);
  return store;
}

static cellroute_store* cached_of(cellroute_store* store) {
  cellroute_store* cached = NULL;
  CHECK_CODE(cellroute_store_cached(store, NULL, &cached, NULL), CELLROUTE_OK);
  return cached;
}

static void arguments(cellroute_store* store) {
  cellroute_store* cached = NULL;
  cellroute_record* record = record_of("k", "r-us", 1);
  cellroute_cache_options* options = NEW(cellroute_cache_options);
  cellroute_cache_options* later = NEW_LARGER(cellroute_cache_options, 8);
  cellroute_cache_counts* counts = NEW(cellroute_cache_counts);
  CHECK_CODE(cellroute_store_cached(NULL, NULL, &cached, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_store_cached(store, NULL, NULL, NULL), CELLROUTE_E_NULL);
  options->reserved = 1;
  CHECK_CODE(cellroute_store_cached(store, options, &cached, NULL), CELLROUTE_E_INVALID_ARGUMENT);
  options->reserved = 0;
  options->ttl_ns = -1;
  CHECK_CODE(cellroute_store_cached(store, options, &cached, NULL), CELLROUTE_E_INVALID_ARGUMENT);
  options->struct_size = 8;
  CHECK_CODE(cellroute_store_cached(store, options, &cached, NULL), CELLROUTE_E_STRUCT_SIZE);
  ((char*)later)[sizeof *later + 7] = 1;
  CHECK_CODE(cellroute_store_cached(store, later, &cached, NULL), CELLROUTE_E_UNKNOWN_TAIL);
  CHECK_CODE(cellroute_store_observe(store, record, NULL), CELLROUTE_E_UNSUPPORTED);
  CHECK_CODE(cellroute_store_invalidate(store, record->key, NULL), CELLROUTE_E_UNSUPPORTED);
  CHECK_CODE(cellroute_store_cache_counts(store, counts), CELLROUTE_E_UNSUPPORTED);
  CHECK_CODE(cellroute_store_cache_counts(NULL, counts), CELLROUTE_E_NULL);
  CHECK(cached == NULL);
  cached = cached_of(store);
  CHECK_CODE(cellroute_store_cache_counts(cached, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_store_observe(cached, NULL, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_store_observe(cached, record, NULL), CELLROUTE_E_INVALID_ARGUMENT);
  CHECK_CODE(cellroute_store_invalidate(cached, bad_view(), NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_store_invalidate(cached, no_view(), NULL), CELLROUTE_E_INVALID_ARGUMENT);
  cellroute_store_destroy(cached);
  free(counts), free(later), free(options), free(record);
}

static void serves(far_store* far, cellroute_store* cached) {
  kept_record kept;
  cellroute_sink* sink = sink_into(&kept);
  cellroute_cache_counts* counts = NEW(cellroute_cache_counts);
  const cellroute_view key = far->record->key;
  CHECK_CODE(cellroute_store_get(cached, key, NOW, sink, NULL), CELLROUTE_OK);
  CHECK_CODE(cellroute_store_get(cached, key, NOW, sink, NULL), CELLROUTE_OK);
  CHECK_CODE(cellroute_store_get(cached, view_of("nobody"), NOW, sink, NULL), CELLROUTE_ABSENT);
  CHECK(far->questions == 2 && kept.records == 2 && kept.epoch == 4);
  far->fails = 1;
  CHECK_CODE(cellroute_store_get(cached, key, NOW + TTL, sink, NULL), CELLROUTE_STALE);
  CHECK(kept.records == 3 && strcmp(kept.cell, "r-eu") == 0);
  CHECK_CODE(cellroute_store_get(cached, view_of("nobody"), NOW + TTL, sink, NULL),
             CELLROUTE_E_UNAVAILABLE);
  far->fails = 0;
  CHECK_CODE(cellroute_store_cache_counts(cached, counts), CELLROUTE_OK);
  CHECK(counts->hits == 1 && counts->misses == 4 && counts->shared == 0);
  CHECK(counts->stale == 1 && counts->errors == 2 && counts->evictions == 0);
  CHECK(counts->entries == 2 && counts->bytes > 500 && counts->waiting == 0);
  free(counts), free(sink);
}

static void learns(far_store* far, cellroute_store* cached) {
  kept_record kept;
  cellroute_sink* sink = sink_into(&kept);
  cellroute_record* next = record_of("k", "r-us", 5);
  const int before = far->questions;
  next->revision = 4;
  CHECK_CODE(cellroute_store_get(cached, next->key, NOW + 3 * TTL, sink, NULL), CELLROUTE_OK);
  CHECK_CODE(cellroute_store_observe(cached, next, NULL), CELLROUTE_OK);
  CHECK_CODE(cellroute_store_get(cached, next->key, NOW + 3 * TTL, sink, NULL), CELLROUTE_OK);
  CHECK(kept.epoch == 5 && far->questions == before + 1);
  CHECK_CODE(cellroute_store_put_if(cached, next, 1, NOW, NULL, NULL), CELLROUTE_E_CONFLICT);
  CHECK_CODE(cellroute_store_invalidate(cached, next->key, NULL), CELLROUTE_OK);
  CHECK(far->questions == before + 2); /* what became of the put */
  CHECK_CODE(cellroute_store_get(cached, next->key, NOW + 3 * TTL, sink, NULL), CELLROUTE_OK);
  CHECK(kept.epoch == 5 && far->questions == before + 3); /* the far one lags behind */
  free(next), free(sink);
}

static void decides(far_store* far, cellroute_store* cached) {
  cellroute_topology* topology = topology_of(1, "  unassigned: ASSIGN\n");
  cellroute_router* router = router_of(topology);
  cellroute_request* request = request_of(router, "k");
  cellroute_mapping* mapping = NEW(cellroute_mapping);
  cellroute_decision* decision = NEW(cellroute_decision);
  request->mapping = mapping;
  CHECK_CODE(cellroute_resolve(router, cached, request->key, NOW, mapping, NULL), CELLROUTE_OK);
  CHECK(mapping->answer == CELLROUTE_FOUND && mapping->stale == 0);
  far->fails = 1;
  CHECK_CODE(cellroute_resolve(router, cached, request->key, NOW + TTL, mapping, NULL),
             CELLROUTE_OK);
  CHECK(mapping->answer == CELLROUTE_FOUND && mapping->stale == 1);
  CHECK_CODE(cellroute_route(router, request, NOW + TTL, decision), CELLROUTE_OK);
  CHECK(decision->reason == 6 && decision->cell == number_of(router, "r-eu"));
  request->mapping = NULL;
  CHECK_CODE(cellroute_assign(router, cached, request, NULL, NOW + TTL, mapping, decision, NULL),
             CELLROUTE_OK);
  CHECK(mapping->stale == 1 && decision->reason == 6);
  CHECK_CODE(cellroute_resolve(router, cached, view_of("nobody"), NOW, mapping, NULL),
             CELLROUTE_E_UNAVAILABLE);
  CHECK(mapping->answer == CELLROUTE_LOOKUP_UNKNOWN && mapping->stale == 0);
  far->fails = 0;
  free(decision), free(mapping), free(request);
  cellroute_router_destroy(router);
  cellroute_topology_destroy(topology);
}

static void lives(far_store* far) {
  kept_record kept;
  cellroute_sink* sink = sink_into(&kept);
  cellroute_store* store = opened(far);
  cellroute_store* cached = cached_of(store);
  cellroute_store* twice = cached_of(cached);
  cellroute_store_destroy(store);
  CHECK(far->released == 1); /* of the one before */
  far->destroys = twice;
  CHECK_CODE(cellroute_store_get(twice, far->record->key, NOW, sink, NULL), CELLROUTE_OK);
  far->destroys = NULL;
  CHECK_CODE(cellroute_store_get(twice, far->record->key, NOW, sink, NULL), CELLROUTE_OK);
  cellroute_store_destroy(cached);
  CHECK_CODE(cellroute_store_get(twice, far->record->key, NOW + TTL, sink, NULL), CELLROUTE_OK);
  CHECK(far->released == 1);
  cellroute_store_destroy(twice);
  CHECK(far->released == 2);
  free(sink);
}

void cache_test(void) {
  far_store far = {0, 0, 0, NULL, NULL};
  cellroute_store* store;
  cellroute_store* cached;
  far.record = record_of("k", "r-eu", 4);
  far.record->revision = 3;
  store = opened(&far);
  arguments(store);
  cached = cached_of(store);
  serves(&far, cached);
  learns(&far, cached);
  cellroute_store_destroy(cached);
  cached = cached_of(store);
  decides(&far, cached);
  cellroute_store_destroy(store);
  CHECK(far.released == 0);
  cellroute_store_destroy(cached);
  CHECK(far.released == 1);
  lives(&far);
  free(far.record);
}
