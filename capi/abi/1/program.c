/* A program of the first published interface, compiled against its header and run with the newest
 * library: what it does must go on working. It is never changed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cellroute.h"

#define NOW INT64_C(1700000000000000000)
#define NEW(type) ((type*)zeroed(sizeof(type)))
#define MUST(call) must((call), #call)

static const char kText[] =
    "generation: 1\nhash_seed: 42\ntiers: [retail, hnw]\nregions: [us]\n"
    "cells:\n"
    "  - {id: r, tier: retail, region: us, endpoint: 'https://r.test', labels: {t: 'T-{key}'}}\n"
    "  - {id: h, tier: hnw, region: us, endpoint: 'https://h.test'}\n"
    "policy: {slots: 1024, unassigned: ASSIGN}\n";

/* Alone on the heap, so that a sanitizer sees a byte touched beyond the first size. */
static void* zeroed(size_t size) {
  const uint32_t struct_size = (uint32_t)size;
  void* made = calloc(1, size);
  if (made == NULL) abort();
  memcpy(made, &struct_size, sizeof struct_size);
  return made;
}

static void must(int32_t code, const char* text) {
  if (code == CELLROUTE_OK) return;
  fprintf(stderr, "%s gave %s\n", text, cellroute_code_name(code));
  exit(1);
}

static void expect(int condition, const char* text) {
  if (condition) return;
  fprintf(stderr, "not so: %s\n", text);
  exit(1);
}

static cellroute_view view(const char* text) {
  cellroute_view made;
  made.data = text;
  made.size = strlen(text);
  return made;
}

static int32_t take(void* self, const cellroute_record* record) {
  expect(record->cell.size == 1 && record->cell.data[0] == 'r', "the record's cell is r");
  ++*(int*)self;
  return CELLROUTE_OK;
}

static void lists(void) {
  cellroute_reason_info* reason = NEW(cellroute_reason_info);
  cellroute_status_info* status = NEW(cellroute_status_info);
  MUST(cellroute_abi_check(CELLROUTE_ABI_VERSION));
  MUST(cellroute_reason_at(1, reason));
  MUST(cellroute_status_at(0, status));
  expect(reason->reason == 1 && status->http_status == 200, "PLACED is 1, OK is 200");
  free(reason);
  free(status);
}

static void names(cellroute_router* router, uint32_t number) {
  char label[16];
  size_t size = 0;
  cellroute_snapshot* snapshot = NULL;
  cellroute_view endpoint;
  cellroute_cell* cell = NEW(cellroute_cell);
  MUST(cellroute_snapshot_hold(router, &snapshot, NULL));
  MUST(cellroute_snapshot_cell(snapshot, number, cell));
  MUST(cellroute_snapshot_endpoint(snapshot, number, view(""), &endpoint));
  MUST(
      cellroute_snapshot_label(snapshot, number, view("t"), view("k"), label, sizeof label, &size));
  expect(cell->id.data[0] == 'r' && endpoint.size == 14 && strcmp(label, "T-k") == 0, "names");
  cellroute_snapshot_destroy(snapshot);
  free(cell);
}

static void path(cellroute_router* router, cellroute_store* store) {
  static const int64_t kOffsets[] = {0, 1};
  uint32_t cell = 0;
  cellroute_profile_names* given = NEW(cellroute_profile_names);
  cellroute_request* request = NEW(cellroute_request);
  cellroute_decision* decision = NEW(cellroute_decision);
  cellroute_mapping* mapping = NEW(cellroute_mapping);
  cellroute_outcome* outcome = NEW(cellroute_outcome);
  cellroute_keys* keys = NEW(cellroute_keys);
  cellroute_answers* answers = NEW(cellroute_answers);
  cellroute_error* error = NEW(cellroute_error);
  given->tier = view("retail");
  request->key = view("k");
  MUST(cellroute_router_profile(router, given, &request->profile, error));
  MUST(cellroute_assign(router, store, request, given, NOW, mapping, decision, error));
  MUST(cellroute_resolve(router, store, request->key, NOW, mapping, error));
  request->mapping = mapping;
  MUST(cellroute_route(router, request, NOW, decision));
  expect(decision->status == CELLROUTE_STATUS_OK && decision->epoch == 1, "the key is mapped");
  MUST(cellroute_report(router, &decision->ticket, outcome, NOW));
  names(router, decision->cell);
  keys->count = 1;
  keys->bytes = "k";
  keys->byte_count = 1;
  keys->offsets = kOffsets;
  keys->profile = request->profile;
  keys->mappings = mapping;
  answers->cells = &cell;
  MUST(cellroute_locate_keys(router, keys, NOW, answers));
  expect(cell == decision->cell, "one by one and by columns");
  free(given), free(request), free(decision), free(mapping), free(outcome), free(keys);
  free(answers), free(error);
}

int main(void) {
  int records = 0;
  cellroute_topology* topology = NULL;
  cellroute_router* router = NULL;
  cellroute_store* store = NULL;
  cellroute_router_options* options = NEW(cellroute_router_options);
  cellroute_publish_options* publish = NEW(cellroute_publish_options);
  cellroute_sink* sink = NEW(cellroute_sink);
  lists();
  options->limiter_entries = CELLROUTE_NO_LIMITER;
  sink->self = &records;
  sink->record = take;
  MUST(cellroute_topology_load(view(kText), NULL, &topology, NULL));
  MUST(cellroute_router_create(options, &router, NULL));
  MUST(cellroute_publish_options_default(publish, sizeof *publish));
  MUST(cellroute_router_publish(router, topology, publish, NULL));
  MUST(cellroute_store_open(view("memory:"), NULL, &store, NULL));
  path(router, store);
  MUST(cellroute_store_get(store, view("k"), NOW, sink, NULL));
  MUST(cellroute_store_scan(store, view(""), 10, NOW, sink, NULL));
  expect(records == 2, "the record is read twice");
  cellroute_store_destroy(store);
  cellroute_router_destroy(router);
  cellroute_topology_destroy(topology);
  free(options), free(publish), free(sink);
  return 0;
}
