/* Mapping stores by URL. */
#define _XOPEN_SOURCE 700
#include <sys/stat.h>
#include <unistd.h>

#include "tests.h"

static cellroute_store* opened(const char* url) {
  cellroute_store* store = NULL;
  CHECK_CODE(cellroute_store_open(view_of(url), NULL, &store, NULL), CELLROUTE_OK);
  return store;
}

static void urls(void) {
  uint32_t can = 99;
  cellroute_store* store = NULL;
  cellroute_store_options* options = NEW(cellroute_store_options);
  CHECK_CODE(cellroute_store_open(view_of("redis://x"), NULL, &store, NULL),
             CELLROUTE_E_UNSUPPORTED);
  CHECK_CODE(cellroute_store_open(view_of("nonsense:"), NULL, &store, NULL),
             CELLROUTE_E_INVALID_ARGUMENT);
  CHECK_CODE(cellroute_store_open(view_of("lmdb:/no/such/place"), NULL, &store, NULL),
             CELLROUTE_E_NOT_FOUND);
  CHECK_CODE(cellroute_store_open(bad_view(), NULL, &store, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_store_open(view_of("memory:"), NULL, NULL, NULL), CELLROUTE_E_NULL);
  options->timeout_ns = -1;
  CHECK_CODE(cellroute_store_open(view_of("memory:"), options, &store, NULL),
             CELLROUTE_E_INVALID_ARGUMENT);
  options->timeout_ns = SECOND;
  options->open_existing = 2;
  CHECK_CODE(cellroute_store_open(view_of("memory:"), options, &store, NULL),
             CELLROUTE_E_INVALID_ARGUMENT);
  options->open_existing = 0;
  CHECK_CODE(cellroute_store_open(view_of("memory:"), options, &store, NULL), CELLROUTE_OK);
  CHECK_CODE(cellroute_store_capabilities(store, &can), CELLROUTE_OK);
  CHECK(can == 0);
  CHECK_CODE(cellroute_store_capabilities(store, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_store_capabilities(NULL, &can), CELLROUTE_E_NULL);
  cellroute_store_destroy(store);
  cellroute_store_destroy(NULL);
  free(options);
}

static void reading_and_writing(cellroute_store* store) {
  uint64_t revision = 0;
  kept_record kept;
  cellroute_sink* sink = sink_into(&kept);
  cellroute_record* record = record_of("k", "r-us", 1);
  const cellroute_view key = view_of("k");
  cellroute_view flag = view_of("EU_RESIDENT");
  cellroute_past past = {{"h-us", 4}, 1, 1};
  CHECK_CODE(cellroute_store_get(store, key, NOW, sink, NULL), CELLROUTE_ABSENT);
  CHECK(kept.records == 0);
  CHECK_CODE(cellroute_store_put_if(store, record, 0, NOW, &revision, NULL), CELLROUTE_OK);
  CHECK(revision == 1);
  CHECK_CODE(cellroute_store_get(store, key, NOW, sink, NULL), CELLROUTE_OK);
  CHECK(kept.records == 1 && kept.epoch == 1 && strcmp(kept.cell, "r-us") == 0);
  record->op_id[2] = 9;
  CHECK_CODE(cellroute_store_put_if(store, record, 0, NOW, &revision, NULL), CELLROUTE_E_CONFLICT);
  record->cell = view_of("r-eu");
  CHECK_CODE(cellroute_store_put_if(store, record, 1, NOW, &revision, NULL), CELLROUTE_E_REFUSED);
  record->epoch = 2;
  record->marks = CELLROUTE_RECORD_HAS_PROFILE;
  record->flags = &flag;
  record->flag_count = 1;
  record->history = &past;
  record->history_count = 1;
  CHECK_CODE(cellroute_store_put_if(store, record, 1, NOW, NULL, NULL), CELLROUTE_OK);
  record->marks = CELLROUTE_RECORD_DELETED;
  record->flag_count = 0;
  record->epoch = 3;
  record->op_id[2] = 10;
  CHECK_CODE(cellroute_store_put_if(store, record, 2, NOW, NULL, NULL), CELLROUTE_OK);
  CHECK_CODE(cellroute_store_get(store, key, NOW, sink, NULL), CELLROUTE_ABSENT);
  CHECK(kept.records == 2 && kept.epoch == 3 && kept.revision == 3);
  free(record);
  free(sink);
}

static void bad_records(cellroute_store* store) {
  kept_record kept;
  cellroute_sink* sink = sink_into(&kept);
  cellroute_record* record = record_of("bad", "r-us", 1);
  const cellroute_view key = view_of("bad");
  record->state = 4;
  CHECK_CODE(cellroute_store_put_if(store, record, 0, NOW, NULL, NULL),
             CELLROUTE_E_INVALID_ARGUMENT);
  record->state = 0;
  record->key.size = 5000; /* would be read beyond its end, were its size not looked at */
  CHECK_CODE(cellroute_store_put_if(store, record, 0, NOW, NULL, NULL),
             CELLROUTE_E_INVALID_ARGUMENT);
  record->key = key;
  memset(record->op_id, 0, sizeof record->op_id);
  CHECK_CODE(cellroute_store_put_if(store, record, 0, NOW, NULL, NULL),
             CELLROUTE_E_INVALID_ARGUMENT);
  record->struct_size = 0;
  CHECK_CODE(cellroute_store_put_if(store, record, 0, NOW, NULL, NULL), CELLROUTE_E_STRUCT_SIZE);
  CHECK_CODE(cellroute_store_put_if(store, NULL, 0, NOW, NULL, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_store_put_if(NULL, record, 0, NOW, NULL, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_store_get(store, no_view(), NOW, sink, NULL), CELLROUTE_E_INVALID_ARGUMENT);
  CHECK_CODE(cellroute_store_get(store, bad_view(), NOW, sink, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_store_get(store, key, NOW, NULL, NULL), CELLROUTE_E_NULL);
  sink->record = NULL;
  CHECK_CODE(cellroute_store_get(store, key, NOW, sink, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_store_get(NULL, key, NOW, sink, NULL), CELLROUTE_E_NULL);
  free(record);
  free(sink);
}

static void scanning(cellroute_store* store) {
  int i = 0;
  int pages = 0;
  int records = 0;
  char key[8];
  cellroute_view cursor = no_view();
  kept_record kept;
  cellroute_sink* sink = sink_into(&kept);
  for (; i < 5; ++i) {
    cellroute_record* record;
    sprintf(key, "s%d", i);
    record = record_of(key, "r-us", 1);
    CHECK_CODE(cellroute_store_put_if(store, record, 0, NOW, NULL, NULL), CELLROUTE_OK);
    free(record);
  }
  do {
    CHECK_CODE(cellroute_store_scan(store, cursor, 2, NOW, sink, NULL), CELLROUTE_OK);
    CHECK(kept.records - records <= 2);
    records = kept.records;
    cursor.data = kept.cursor;
    cursor.size = kept.cursor_size;
  } while (!kept.done && ++pages < 10);
  CHECK(kept.records == 5);
  CHECK_CODE(cellroute_store_scan(store, view_of("x"), 2, NOW, sink, NULL),
             CELLROUTE_E_INVALID_ARGUMENT);
  CHECK_CODE(cellroute_store_scan(store, no_view(), 0, NOW, sink, NULL),
             CELLROUTE_E_INVALID_ARGUMENT);
  CHECK_CODE(cellroute_store_scan(store, bad_view(), 1, NOW, sink, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_store_scan(store, no_view(), 1, NOW, NULL, NULL), CELLROUTE_E_NULL);
  kept.answer = -77;
  CHECK_CODE(cellroute_store_scan(store, no_view(), 5, NOW, sink, NULL), -77);
  CHECK_CODE(cellroute_store_get(store, view_of("s1"), NOW, sink, NULL), -77);
  sink->page = NULL;
  kept.answer = 0;
  CHECK_CODE(cellroute_store_scan(store, no_view(), 5, NOW, sink, NULL), CELLROUTE_OK);
  free(sink);
}

static void serves(cellroute_store* store) {
  cellroute_topology* topology = topology_of(1, "");
  cellroute_router* router = router_of(topology);
  cellroute_request* request = request_of(router, "s1");
  cellroute_decision* decision = NEW(cellroute_decision);
  cellroute_publish_options* options = NEW(cellroute_publish_options);
  cellroute_publish_options_default(options, sizeof *options);
  options->mappings = store;
  CHECK_CODE(cellroute_router_publish(router, topology, options, NULL), CELLROUTE_OK);
  CHECK_CODE(cellroute_route(router, request, NOW, decision), CELLROUTE_OK);
  CHECK(decision->reason == 2 && decision->epoch == 1);
  free(options);
  free(decision);
  free(request);
  cellroute_router_destroy(router);
  cellroute_topology_destroy(topology);
}

static void exercised(const char* url) {
  cellroute_store* store = opened(url);
  reading_and_writing(store);
  bad_records(store);
  scanning(store);
  serves(store);
  cellroute_store_destroy(store);
}

static void on_disk(void) {
  char url[64] = "lmdb:";
  char file[80];
  uint32_t can = 0;
  char* const directory = url + 5;
  cellroute_store* store = NULL;
  cellroute_store_options* options = NEW(cellroute_store_options);
  strcpy(directory, "capi_store_XXXXXX");
  CHECK(mkdtemp(directory) != NULL);
  options->open_existing = 1;
  CHECK_CODE(cellroute_store_open(view_of(url), options, &store, NULL), CELLROUTE_E_NOT_FOUND);
  exercised(url);
  CHECK_CODE(cellroute_store_open(view_of(url), options, &store, NULL), CELLROUTE_OK);
  CHECK_CODE(cellroute_store_capabilities(store, &can), CELLROUTE_OK);
  CHECK(can == (CELLROUTE_STORE_DURABLE | CELLROUTE_STORE_SHARED));
  cellroute_store_destroy(store);
  snprintf(file, sizeof file, "%s/data.mdb", directory);
  CHECK(truncate(file, 100) == 0);
  CHECK_CODE(cellroute_store_open(view_of(url), options, &store, NULL), CELLROUTE_E_CORRUPT);
  remove(file);
  snprintf(file, sizeof file, "rm -r %s", directory);
  CHECK(system(file) == 0);
  free(options);
}

/* The golden mapping file, whose cells this topology lacks: that is what routes say. */
static void mapping_file(void) {
  kept_record kept;
  cellroute_sink* sink = sink_into(&kept);
  cellroute_store* store = opened("file:" CELLROUTE_TEST_DATA "/small.crm");
  cellroute_store* memory = opened("memory:");
  cellroute_topology* topology = topology_of(1, "");
  cellroute_router* router = router_of(topology);
  cellroute_publish_options* options = NEW(cellroute_publish_options);
  cellroute_request* request = request_of(router, "customer-xxx3");
  cellroute_decision* decision = NEW(cellroute_decision);
  cellroute_record* record = record_of("k", "r-us", 1);
  CHECK_CODE(cellroute_store_get(store, view_of("customer-xxx3"), NOW, sink, NULL), CELLROUTE_OK);
  CHECK(kept.records == 1 && kept.epoch == 2 && strcmp(kept.cell, "eu-1") == 0);
  CHECK_CODE(cellroute_store_get(store, view_of("nobody"), NOW, sink, NULL), CELLROUTE_ABSENT);
  CHECK_CODE(cellroute_store_scan(store, no_view(), 1, NOW, sink, NULL), CELLROUTE_E_UNSUPPORTED);
  CHECK_CODE(cellroute_store_put_if(store, record, 0, NOW, NULL, NULL), CELLROUTE_E_UNSUPPORTED);
  CHECK_CODE(cellroute_store_refresh(store, NULL), CELLROUTE_UNCHANGED);
  CHECK_CODE(cellroute_store_refresh(memory, NULL), CELLROUTE_E_UNSUPPORTED);
  CHECK_CODE(cellroute_store_refresh(NULL, NULL), CELLROUTE_E_NULL);

  CHECK_CODE(cellroute_publish_options_default(options, sizeof *options), CELLROUTE_OK);
  CHECK(options->max_keys_lost_percent == 10);
  options->mappings = store;
  CHECK_CODE(cellroute_router_publish(router, topology, options, NULL), CELLROUTE_OK);
  CHECK_CODE(cellroute_locate(router, request, NOW, decision), CELLROUTE_OK);
  CHECK(decision->status == CELLROUTE_STATUS_UNAVAILABLE && decision->epoch == 2);
  options->records = record;
  options->record_count = 1;
  record->key = view_of("customer-xxx3");
  record->epoch = 3;
  CHECK_CODE(cellroute_router_publish(router, topology, options, NULL), CELLROUTE_OK);
  CHECK_CODE(cellroute_locate(router, request, NOW, decision), CELLROUTE_OK);
  CHECK(decision->status == CELLROUTE_STATUS_OK && decision->epoch == 3);
  options->max_keys_lost_percent = 101;
  CHECK_CODE(cellroute_router_publish(router, topology, options, NULL),
             CELLROUTE_E_INVALID_ARGUMENT);
  cellroute_store_destroy(store); /* what was published serves on */
  CHECK_CODE(cellroute_locate(router, request, NOW, decision), CELLROUTE_OK);
  CHECK(decision->epoch == 3);
  cellroute_store_destroy(memory);
  cellroute_router_destroy(router);
  cellroute_topology_destroy(topology);
  free(sink);
  free(options);
  free(request);
  free(decision);
  free(record);
}

void store_test(void) {
  urls();
  mapping_file();
  exercised("memory:");
  on_disk();
}
