/* Routers: creating, memory, publishing, refreshing, marks, counts. */
#define _POSIX_C_SOURCE 200809L
#include "tests.h"

static void memory(void) {
  uint64_t size = 0;
  void* room = NULL;
  cellroute_router* first = NULL;
  cellroute_router* second = NULL;
  cellroute_router_options* options = NEW(cellroute_router_options);
  options->cells = 64;
  options->limiter_entries = CELLROUTE_NO_LIMITER;
  CHECK_CODE(cellroute_router_memory_size(options, &size), CELLROUTE_OK);
  CHECK(posix_memalign(&room, 64, (size_t)size) == 0);
  memset(room, 0, (size_t)size);
  options->memory = room;
  options->memory_size = size;
  CHECK_CODE(cellroute_router_create(options, &first, NULL), CELLROUTE_OK);
  CHECK_CODE(cellroute_router_create(options, &second, NULL), CELLROUTE_OK);
  cellroute_router_destroy(second);
  options->memory_size = size - 1;
  CHECK_CODE(cellroute_router_create(options, &second, NULL), CELLROUTE_E_INVALID_ARGUMENT);
  options->memory_size = 0;
  CHECK_CODE(cellroute_router_create(options, &second, NULL), CELLROUTE_E_INVALID_ARGUMENT);
  options->memory = (char*)room + 8;
  options->memory_size = size;
  CHECK_CODE(cellroute_router_create(options, &second, NULL), CELLROUTE_E_INVALID_ARGUMENT);
  options->memory = NULL;
  CHECK_CODE(cellroute_router_create(options, &second, NULL), CELLROUTE_E_NULL);
  options->memory = room;
  options->cells = 63;
  CHECK_CODE(cellroute_router_create(options, &second, NULL), CELLROUTE_E_CONFLICT);
  options->cells = 64;
  memset((char*)room + 8, 0xff, 8);
  CHECK_CODE(cellroute_router_create(options, &second, NULL), CELLROUTE_E_UNSUPPORTED);
  memset(room, 0xff, 8);
  CHECK_CODE(cellroute_router_create(options, &second, NULL), CELLROUTE_E_CORRUPT);
  cellroute_router_destroy(first);
  free(options);
  free(room);
}

static void options(void) {
  uint64_t size = 0;
  cellroute_router* router = NULL;
  cellroute_router_options* given = NEW(cellroute_router_options);
  CHECK_CODE(cellroute_router_memory_size(NULL, &size), CELLROUTE_OK);
  CHECK(size > 16u << 20);
  CHECK_CODE(cellroute_router_memory_size(given, NULL), CELLROUTE_E_NULL);
  given->cells = 65536;
  CHECK_CODE(cellroute_router_memory_size(given, &size), CELLROUTE_E_INVALID_ARGUMENT);
  CHECK_CODE(cellroute_router_create(given, &router, NULL), CELLROUTE_E_INVALID_ARGUMENT);
  given->cells = 0;
  given->lanes = 4097;
  CHECK_CODE(cellroute_router_create(given, &router, NULL), CELLROUTE_E_INVALID_ARGUMENT);
  CHECK_CODE(cellroute_router_create(NULL, NULL, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_router_create(NULL, &router, NULL), CELLROUTE_OK);
  cellroute_router_destroy(router);
  cellroute_router_destroy(NULL);
  free(given);
}

static void publishing(void) {
  cellroute_topology* old = topology_of(1, "");
  cellroute_topology* next = topology_of(2, "");
  cellroute_router* router = router_of(next);
  cellroute_publish_options* given = NEW(cellroute_publish_options);
  cellroute_error* error = NEW(cellroute_error);
  CHECK_CODE(cellroute_router_publish(router, old, NULL, error), CELLROUTE_E_REFUSED);
  CHECK(strstr(error->text, "generation") != NULL);
  CHECK_CODE(cellroute_router_publish(router, next, NULL, error), CELLROUTE_OK);
  CHECK_CODE(cellroute_publish_options_default(given, sizeof *given), CELLROUTE_OK);
  CHECK(given->max_moved_percent == 10 && given->max_cells_lost == 1);
  given->max_moved_percent = 101;
  CHECK_CODE(cellroute_router_publish(router, next, given, error), CELLROUTE_E_INVALID_ARGUMENT);
  given->max_moved_percent = 0;
  given->allow_seed_change = 2;
  CHECK_CODE(cellroute_router_publish(router, next, given, error), CELLROUTE_E_INVALID_ARGUMENT);
  given->allow_seed_change = 0;
  given->record_count = 1;
  CHECK_CODE(cellroute_router_publish(router, next, given, error), CELLROUTE_E_NULL);
  given->record_count = 0;
  given->mappings = (cellroute_store*)next;
  CHECK_CODE(cellroute_router_publish(router, next, given, error), CELLROUTE_E_WRONG_HANDLE);
  CHECK_CODE(cellroute_router_publish(router, NULL, NULL, error), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_router_publish(NULL, next, NULL, error), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_publish_options_default(given, 4), CELLROUTE_E_STRUCT_SIZE);
  CHECK_CODE(cellroute_publish_options_default(NULL, sizeof *given), CELLROUTE_E_NULL);
  free(given);
  free(error);
  cellroute_topology_destroy(old);
  cellroute_topology_destroy(next);
  cellroute_router_destroy(router);
}

static void more_cells_than_room(void) {
  cellroute_topology* topology = topology_of(1, "");
  cellroute_router* router = NULL;
  cellroute_router_options* given = NEW(cellroute_router_options);
  given->cells = 2;
  given->limiter_entries = CELLROUTE_NO_LIMITER;
  CHECK_CODE(cellroute_router_create(given, &router, NULL), CELLROUTE_OK);
  CHECK_CODE(cellroute_router_publish(router, topology, NULL, NULL), CELLROUTE_E_EXHAUSTED);
  cellroute_router_destroy(router);
  cellroute_topology_destroy(topology);
  free(given);
}

static void records_serve(void) {
  cellroute_topology* topology = topology_of(1, "");
  cellroute_router* router = router_of(topology);
  cellroute_publish_options* given = NEW(cellroute_publish_options);
  cellroute_record* record = record_of("k", "h-eu", 3);
  cellroute_request* request = request_of(router, "k");
  cellroute_decision* decision = NEW(cellroute_decision);
  CHECK_CODE(cellroute_publish_options_default(given, sizeof *given), CELLROUTE_OK);
  given->records = record;
  given->record_count = 1;
  CHECK_CODE(cellroute_router_publish(router, topology, given, NULL), CELLROUTE_OK);
  CHECK_CODE(cellroute_route(router, request, NOW, decision), CELLROUTE_OK);
  CHECK(decision->reason == 2 && decision->epoch == 3);
  CHECK(decision->cell == number_of(router, "h-eu"));
  record->epoch = 0;
  CHECK_CODE(cellroute_router_publish(router, topology, given, NULL), CELLROUTE_E_INVALID_ARGUMENT);
  record->epoch = 3;
  record->flag_count = 17;
  CHECK_CODE(cellroute_router_publish(router, topology, given, NULL), CELLROUTE_E_INVALID_ARGUMENT);
  record->flag_count = 0;
  record->struct_size = 1;
  CHECK_CODE(cellroute_router_publish(router, topology, given, NULL), CELLROUTE_E_STRUCT_SIZE);
  free(given);
  free(record);
  free(request);
  free(decision);
  cellroute_router_destroy(router);
  cellroute_topology_destroy(topology);
}

static void write_file(const char* path, unsigned generation, const char* policy) {
  char* text = topology_text(generation, policy);
  FILE* file = fopen(path, "wb");
  fputs(text, file);
  fclose(file);
  free(text);
}

static void refreshing(void) {
  const char* path = "capi_refresh.yaml";
  cellroute_router* router = router_of(NULL);
  cellroute_view file = view_of(path);
  CHECK_CODE(cellroute_router_refresh(router, file, NULL, NULL, NULL), CELLROUTE_E_NOT_FOUND);
  write_file(path, 1, "");
  CHECK_CODE(cellroute_router_refresh(router, file, NULL, NULL, NULL), CELLROUTE_OK);
  CHECK_CODE(cellroute_router_refresh(router, file, NULL, NULL, NULL), CELLROUTE_UNCHANGED);
  write_file(path, 1, "  timeout: 5s\n");
  CHECK_CODE(cellroute_router_refresh(router, file, NULL, NULL, NULL), CELLROUTE_E_REFUSED);
  write_file(path, 2, "  timeout: 5s\n");
  CHECK_CODE(cellroute_router_refresh(router, file, NULL, NULL, NULL), CELLROUTE_OK);
  write_file(path, 1, "");
  CHECK_CODE(cellroute_router_refresh(router, file, NULL, NULL, NULL), CELLROUTE_E_REFUSED);
  CHECK_CODE(cellroute_router_refresh(router, bad_view(), NULL, NULL, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_router_refresh(NULL, file, NULL, NULL, NULL), CELLROUTE_E_NULL);
  remove(path);
  cellroute_router_destroy(router);
}

static void marks(void) {
  cellroute_router* router = serving(1, "");
  cellroute_request* request = request_of(router, "k");
  cellroute_decision* decision = NEW(cellroute_decision);
  cellroute_cell_metrics* metrics = NEW(cellroute_cell_metrics);
  const uint32_t cell = number_of(router, "r-us");
  CHECK_CODE(cellroute_mark_load(router, cell, 12), CELLROUTE_OK);
  CHECK_CODE(cellroute_mark_health(router, cell, 0), CELLROUTE_OK);
  CHECK_CODE(cellroute_route(router, request, NOW, decision), CELLROUTE_OK);
  CHECK(decision->status == CELLROUTE_STATUS_UNAVAILABLE && decision->reason == 603);
  CHECK_CODE(cellroute_router_cell_metrics(router, cell, NOW, metrics), CELLROUTE_OK);
  CHECK(metrics->healthy == 0 && metrics->refusal == 603 && metrics->load == 12);
  request->access = CELLROUTE_READ;
  CHECK_CODE(cellroute_route(router, request, NOW, decision), CELLROUTE_OK);
  CHECK(decision->cell == number_of(router, "h-us"));
  CHECK(decision->marks == CELLROUTE_READ_ONLY && decision->reason == 3);
  CHECK_CODE(cellroute_mark_health(router, cell, 1), CELLROUTE_OK);
  CHECK_CODE(cellroute_route(router, request, NOW, decision), CELLROUTE_OK);
  CHECK(decision->cell == cell);
  CHECK_CODE(cellroute_mark_health(router, cell, 2), CELLROUTE_E_INVALID_ARGUMENT);
  CHECK_CODE(cellroute_mark_load(router, cell, UINT64_MAX), CELLROUTE_E_INVALID_ARGUMENT);
  CHECK_CODE(cellroute_mark_health(router, CELLROUTE_NO_CELL, 1), CELLROUTE_E_NOT_FOUND);
  CHECK_CODE(cellroute_mark_load(router, CELLROUTE_NO_CELL, 1), CELLROUTE_E_NOT_FOUND);
  CHECK_CODE(cellroute_mark_health(NULL, 0, 1), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_mark_load(NULL, 0, 1), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_router_cell_metrics(router, 64, NOW, metrics), CELLROUTE_E_NOT_FOUND);
  CHECK_CODE(cellroute_router_cell_metrics(router, cell, NOW, NULL), CELLROUTE_E_NULL);
  free(metrics);
  free(request);
  free(decision);
  cellroute_router_destroy(router);
}

static uint64_t counted(cellroute_router* router, uint32_t lane, uint32_t reason) {
  uint32_t index = 0;
  cellroute_count* count = NEW(cellroute_count);
  uint64_t found = UINT64_MAX;
  for (; cellroute_router_count(router, lane, index, count) == CELLROUTE_OK; ++index) {
    if (count->reason == reason) found = count->decisions;
  }
  free(count);
  return found;
}

static void counts(void) {
  int i = 0;
  cellroute_router* router = serving(1, "");
  cellroute_request* request = request_of(router, "k");
  cellroute_decision* decision = NEW(cellroute_decision);
  cellroute_count* count = NEW(cellroute_count);
  for (; i < 5; ++i) cellroute_route(router, request, NOW, decision);
  request->lane = 1;
  cellroute_route(router, request, NOW, decision);
  cellroute_locate(router, request, NOW, decision);
  request->key = no_view();
  cellroute_route(router, request, NOW, decision);
  CHECK(counted(router, 0, 1) == 5);
  CHECK(counted(router, 1, 1) == 1);
  CHECK(counted(router, CELLROUTE_ALL_LANES, 1) == 6);
  CHECK(counted(router, CELLROUTE_ALL_LANES, 100) == 1);
  CHECK_CODE(cellroute_router_count(router, 2, 0, count), CELLROUTE_E_NOT_FOUND);
  CHECK_CODE(cellroute_router_count(router, 0, 1000, count), CELLROUTE_E_NOT_FOUND);
  CHECK_CODE(cellroute_router_count(router, 0, 0, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_router_count(NULL, 0, 0, count), CELLROUTE_E_NULL);
  free(count);
  free(request);
  free(decision);
  cellroute_router_destroy(router);
}

void router_test(void) {
  memory();
  options();
  publishing();
  more_cells_than_room();
  records_serve();
  refreshing();
  marks();
  counts();
}
