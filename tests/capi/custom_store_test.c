/* Stores of the host's own: good ones, failing ones, liars, and those that call themselves. */
#include "tests.h"

enum lie {
  kHonest,
  kFails,
  kUnknownCode,
  kAnotherKey,
  kTwoRecords,
  kManyFlags,
  kLongCell,
  kBadSize,
  kNoRecord,
  kNoRevision,
  kReenters,
  kDestroys,
  kEndless,
  kNoEnd,
  kEndsTwice,
  kBadCursor,
  kMoreThanAsked,
  kTextWithoutEnd
};

typedef struct host_store {
  enum lie lie;
  cellroute_store* handle;
  int32_t inner; /* what a call of itself gave */
  int released;
  cellroute_record* record;
} host_store;

static int32_t give(host_store* host, const cellroute_sink* sink) {
  cellroute_record changed = *host->record;
  switch (host->lie) {
    case kAnotherKey: changed.key = view_of("another"); break;
    case kManyFlags: changed.flag_count = UINT32_MAX; break;
    case kLongCell: changed.cell.size = 1u << 30; break;
    case kBadSize: changed.struct_size = 12; break;
    case kNoRevision: changed.revision = 0; break;
    default: break;
  }
  return sink->record(sink->self, host->lie == kNoRecord ? NULL : &changed);
}

static int32_t host_get(void* self, const cellroute_view* key, int64_t now_ns,
                        const cellroute_sink* sink, cellroute_error* error) {
  host_store* host = self;
  (void)now_ns;
  if (host->lie == kUnknownCode) return 17;
  if (host->lie == kFails || host->lie == kTextWithoutEnd) {
    memset(error->text, 'x', sizeof error->text);
    if (host->lie == kFails) strcpy(error->text, "the host's own words");
    return CELLROUTE_E_UNAVAILABLE;
  }
  if (host->lie == kReenters) {
    host->inner = cellroute_store_get(host->handle, *key, NOW, sink, NULL);
    return CELLROUTE_OK;
  }
  if (host->lie == kDestroys) cellroute_store_destroy(host->handle);
  if (host->record == NULL) return CELLROUTE_OK;
  give(host, sink); /* a liar does not pass the sink's answer on either */
  if (host->lie == kTwoRecords) give(host, sink);
  return CELLROUTE_OK;
}

static int32_t host_put_if(void* self, const cellroute_record* record, uint64_t expected,
                           cellroute_error* error) {
  const host_store* host = self;
  (void)error;
  CHECK(record->struct_size == sizeof *record);
  if (host->lie == kFails) return CELLROUTE_E_REFUSED;
  if (host->lie == kUnknownCode) return CELLROUTE_E_NO_MEMORY;
  return expected == 0 ? CELLROUTE_OK : CELLROUTE_E_CONFLICT;
}

static int32_t host_scan(void* self, const cellroute_view* cursor, uint64_t limit, int64_t now_ns,
                         const cellroute_sink* sink, cellroute_error* error) {
  host_store* host = self;
  cellroute_view next = *cursor;
  uint64_t i = 0;
  (void)now_ns;
  (void)error;
  if (host->lie == kFails) return CELLROUTE_E_UNAVAILABLE;
  if (host->lie == kMoreThanAsked) {
    for (; i <= limit; ++i) give(host, sink);
  }
  give(host, sink);
  if (host->lie == kNoEnd) return CELLROUTE_OK;
  if (host->lie == kBadCursor) next = bad_view();
  sink->page(sink->self, &next, host->lie == kEndless ? 0 : 1);
  if (host->lie == kEndsTwice) sink->page(sink->self, &next, 1);
  return CELLROUTE_OK;
}

static void host_release(void* self) { ++((host_store*)self)->released; }

static cellroute_store_calls* calls_of(void) {
  cellroute_store_calls* calls = NEW(cellroute_store_calls);
  calls->capabilities = CELLROUTE_STORE_DURABLE;
  calls->get = host_get;
  calls->put_if = host_put_if;
  calls->scan = host_scan;
  calls->release = host_release;
  return calls;
}

static void creating(void) {
  cellroute_store* store = NULL;
  cellroute_store_calls* calls = calls_of();
  host_store host = {kHonest, NULL, 0, 0, NULL};
  calls->get = NULL;
  CHECK_CODE(cellroute_store_create(calls, &host, &store, NULL), CELLROUTE_E_NULL);
  calls->get = host_get;
  calls->put_if = NULL;
  CHECK_CODE(cellroute_store_create(calls, &host, &store, NULL), CELLROUTE_E_NULL);
  calls->put_if = host_put_if;
  calls->capabilities = 8;
  CHECK_CODE(cellroute_store_create(calls, &host, &store, NULL), CELLROUTE_E_INVALID_ARGUMENT);
  calls->capabilities = 0;
  CHECK_CODE(cellroute_store_create(calls, &host, NULL, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_store_create(NULL, &host, &store, NULL), CELLROUTE_E_NULL);
  calls->struct_size = 8;
  CHECK_CODE(cellroute_store_create(calls, &host, &store, NULL), CELLROUTE_E_STRUCT_SIZE);
  CHECK(host.released == 0);
  free(calls);
}

static void reads(host_store* host, cellroute_store* store) {
  static const enum lie kBroken[] = {kUnknownCode, kAnotherKey, kTwoRecords, kManyFlags,
                                     kLongCell,    kBadSize,    kNoRecord,   kNoRevision};
  size_t i = 0;
  kept_record kept;
  cellroute_sink* sink = sink_into(&kept);
  cellroute_error* error = NEW(cellroute_error);
  const cellroute_view key = view_of("k");
  CHECK_CODE(cellroute_store_get(store, key, NOW, sink, error), CELLROUTE_OK);
  CHECK(kept.records == 1 && strcmp(kept.cell, "r-eu") == 0);
  for (; i < sizeof kBroken / sizeof kBroken[0]; ++i) {
    host->lie = kBroken[i];
    CHECK_CODE(cellroute_store_get(store, key, NOW, sink, error), CELLROUTE_E_BROKEN_STORE);
    CHECK(strstr(error->text, "custom mapping store") != NULL);
  }
  host->lie = kFails;
  CHECK_CODE(cellroute_store_get(store, key, NOW, sink, error), CELLROUTE_E_UNAVAILABLE);
  CHECK(strcmp(error->text, "the host's own words") == 0);
  host->lie = kTextWithoutEnd;
  CHECK_CODE(cellroute_store_get(store, key, NOW, sink, error), CELLROUTE_E_UNAVAILABLE);
  host->lie = kReenters;
  CHECK_CODE(cellroute_store_get(store, key, NOW, sink, error), CELLROUTE_ABSENT);
  CHECK_CODE(host->inner, CELLROUTE_E_REENTERED);
  host->lie = kDestroys;
  CHECK_CODE(cellroute_store_get(store, key, NOW, sink, error), CELLROUTE_OK);
  CHECK(host->released == 0);
  host->lie = kHonest;
  CHECK(kept.records == 2);
  free(error);
  free(sink);
}

static void writes(host_store* host, cellroute_store* store) {
  uint64_t revision = 0;
  cellroute_record* record = record_of("k", "r-us", 1);
  CHECK_CODE(cellroute_store_put_if(store, record, 0, NOW, &revision, NULL), CELLROUTE_OK);
  CHECK(revision == 1);
  CHECK_CODE(cellroute_store_put_if(store, record, 9, NOW, &revision, NULL), CELLROUTE_E_CONFLICT);
  CHECK_CODE(cellroute_store_put_if(store, record, UINT64_MAX, NOW, &revision, NULL),
             CELLROUTE_E_REFUSED);
  host->lie = kFails;
  CHECK_CODE(cellroute_store_put_if(store, record, 0, NOW, NULL, NULL), CELLROUTE_E_REFUSED);
  host->lie = kUnknownCode;
  CHECK_CODE(cellroute_store_put_if(store, record, 0, NOW, NULL, NULL), CELLROUTE_E_BROKEN_STORE);
  host->lie = kHonest;
  free(record);
}

static void scans(host_store* host, cellroute_store* store) {
  static const enum lie kBroken[] = {kNoEnd,         kEndsTwice, kBadCursor,
                                     kMoreThanAsked, kManyFlags, kNoRecord};
  size_t i = 0;
  kept_record kept;
  cellroute_sink* sink = sink_into(&kept);
  CHECK_CODE(cellroute_store_scan(store, no_view(), 3, NOW, sink, NULL), CELLROUTE_OK);
  CHECK(kept.records == 1 && kept.pages == 1 && kept.done == 1);
  for (; i < sizeof kBroken / sizeof kBroken[0]; ++i) {
    host->lie = kBroken[i];
    CHECK_CODE(cellroute_store_scan(store, no_view(), 3, NOW, sink, NULL),
               CELLROUTE_E_BROKEN_STORE);
  }
  CHECK(kept.records == 1);
  CHECK_CODE(cellroute_store_scan(store, no_view(), 0, NOW, sink, NULL),
             CELLROUTE_E_INVALID_ARGUMENT);
  host->lie = kHonest;
  free(sink);
}

static void publishes(host_store* host, cellroute_store* store) {
  uint64_t generation = 0;
  cellroute_snapshot* snapshot = NULL;
  cellroute_topology* topology = topology_of(2, "");
  cellroute_router* router = serving(1, "");
  cellroute_publish_options* options = NEW(cellroute_publish_options);
  cellroute_publish_options_default(options, sizeof *options);
  options->mappings = store;
  host->lie = kFails;
  CHECK_CODE(cellroute_router_publish(router, topology, options, NULL), CELLROUTE_E_UNAVAILABLE);
  host->lie = kEndless;
  CHECK_CODE(cellroute_router_publish(router, topology, options, NULL), CELLROUTE_E_BROKEN_STORE);
  CHECK_CODE(cellroute_snapshot_hold(router, &snapshot, NULL), CELLROUTE_OK);
  CHECK_CODE(cellroute_snapshot_generation(snapshot, &generation), CELLROUTE_OK);
  CHECK(generation == 1);
  host->lie = kHonest;
  CHECK_CODE(cellroute_router_publish(router, topology, options, NULL), CELLROUTE_OK);
  cellroute_snapshot_destroy(snapshot);
  cellroute_topology_destroy(topology);
  cellroute_router_destroy(router);
  free(options);
}

static void without_scan(void) {
  kept_record kept;
  cellroute_store* store = NULL;
  cellroute_sink* sink = sink_into(&kept);
  cellroute_store_calls* calls = calls_of();
  host_store host = {kHonest, NULL, 0, 0, NULL};
  calls->scan = NULL;
  calls->release = NULL;
  CHECK_CODE(cellroute_store_create(calls, &host, &store, NULL), CELLROUTE_OK);
  CHECK_CODE(cellroute_store_scan(store, no_view(), 1, NOW, sink, NULL), CELLROUTE_E_UNSUPPORTED);
  CHECK_CODE(cellroute_store_get(store, view_of("k"), NOW, sink, NULL), CELLROUTE_ABSENT);
  cellroute_store_destroy(store);
  free(calls);
  free(sink);
}

static void another_release(void* self) { (void)self; }

/* Who made a store finds what it is made of, through a cache too, and nobody else's. */
static void finds_self(const host_store* host, cellroute_store* store) {
  void* self = NULL;
  cellroute_store* other = NULL;
  cellroute_store* cached = NULL;
  CHECK_CODE(cellroute_store_self(store, host_release, &self), CELLROUTE_OK);
  CHECK(self == host);
  CHECK_CODE(cellroute_store_cached(store, NULL, &cached, NULL), CELLROUTE_OK);
  self = NULL;
  CHECK_CODE(cellroute_store_self(cached, host_release, &self), CELLROUTE_OK);
  CHECK(self == host);
  cellroute_store_destroy(cached);
  self = NULL;
  CHECK_CODE(cellroute_store_self(store, another_release, &self), CELLROUTE_E_UNSUPPORTED);
  CHECK_CODE(cellroute_store_open(view_of("memory:"), NULL, &other, NULL), CELLROUTE_OK);
  CHECK_CODE(cellroute_store_self(other, host_release, &self), CELLROUTE_E_UNSUPPORTED);
  CHECK(self == NULL);
  CHECK_CODE(cellroute_store_self(store, NULL, &self), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_store_self(store, host_release, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_store_self(NULL, host_release, &self), CELLROUTE_E_NULL);
  cellroute_store_destroy(other);
}

void custom_store_test(void) {
  uint32_t can = 0;
  cellroute_store* store = NULL;
  cellroute_store_calls* calls = calls_of();
  host_store host = {kHonest, NULL, 0, 0, NULL};
  creating();
  host.record = record_of("k", "r-eu", 4);
  host.record->revision = 3;
  CHECK_CODE(cellroute_store_create(calls, &host, &store, NULL), CELLROUTE_OK);
  free(calls);
  host.handle = store;
  CHECK_CODE(cellroute_store_capabilities(store, &can), CELLROUTE_OK);
  CHECK(can == CELLROUTE_STORE_DURABLE);
  reads(&host, store);
  writes(&host, store);
  scans(&host, store);
  publishes(&host, store);
  finds_self(&host, store);
  cellroute_store_destroy(store);
  CHECK(host.released == 1);
  free(host.record);
  without_scan();
}
