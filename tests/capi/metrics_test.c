/* Metrics: what is counted, how it reads, and memory that is shared. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>

#include "tests.h"

static cellroute_metrics* metrics_of(cellroute_router* router) {
  cellroute_metrics* metrics = NULL;
  CHECK_CODE(cellroute_metrics_create(router, NULL, 0, &metrics, NULL), CELLROUTE_OK);
  return metrics;
}

/* The whole text; the caller's to free. */
static char* text_of(cellroute_metrics* metrics, cellroute_router* router,
                     const cellroute_store* cached) {
  size_t size = 0;
  char* text = NULL;
  CHECK_CODE(cellroute_metrics_write(metrics, router, cached, NOW, NULL, 0, &size, NULL),
             CELLROUTE_OK);
  text = calloc(1, size + 1);
  if (text == NULL) abort();
  CHECK_CODE(cellroute_metrics_write(metrics, router, cached, NOW, text, size, &size, NULL),
             CELLROUTE_E_BUFFER);
  CHECK(text[0] == '\0');
  CHECK_CODE(cellroute_metrics_write(metrics, router, cached, NOW, text, size + 1, &size, NULL),
             CELLROUTE_OK);
  CHECK(strlen(text) == size && size > 0 && text[size - 1] == '\n');
  return text;
}

/* Whether the text has exactly this line. */
static int has(const char* text, const char* line) {
  const size_t size = strlen(line);
  const char* found = text;
  while ((found = strstr(found, line)) != NULL) {
    if ((found == text || found[-1] == '\n') && found[size] == '\n') return 1;
    ++found;
  }
  return 0;
}

#define CHECK_LINE(text, line) check_line((text), (line), __LINE__)
static void check_line(const char* text, const char* line, int number) {
  if (has(text, line)) return;
  ++failures;
  fprintf(stderr, "%s:%d: no line %s in\n%s\n", __FILE__, number, line, text);
}

static void observe(cellroute_metrics* metrics, const cellroute_decision* decision, uint32_t end,
                    uint32_t http_status, int64_t latency) {
  cellroute_outcome* outcome = NEW(cellroute_outcome);
  outcome->end = end;
  outcome->http_status = http_status;
  CHECK_CODE(cellroute_metrics_observe(metrics, 0, decision, outcome, latency), CELLROUTE_OK);
  free(outcome);
}

static void counts(void) {
  cellroute_router* router = serving(1, "");
  cellroute_metrics* metrics = metrics_of(router);
  cellroute_request* request = request_of(router, "k");
  cellroute_decision* decision = NEW(cellroute_decision);
  char* text = NULL;
  CHECK_CODE(cellroute_route(router, request, NOW, decision), CELLROUTE_OK);
  observe(metrics, decision, CELLROUTE_ANSWERED, 204, 500000);
  observe(metrics, decision, CELLROUTE_ANSWERED, 204, 500001);
  observe(metrics, decision, CELLROUTE_ANSWERED, 0, 1000000);
  observe(metrics, decision, CELLROUTE_ANSWERED, 101, 10 * SECOND);
  observe(metrics, decision, CELLROUTE_ANSWERED, 700, 10 * SECOND + 1);
  observe(metrics, decision, CELLROUTE_TIMEOUT, 0, INT64_MAX);
  observe(metrics, decision, CELLROUTE_CONNECT_ERROR, 0, 7);
  observe(metrics, decision, CELLROUTE_CLIENT_ABORT, 0, 7);
  observe(metrics, decision, CELLROUTE_ANSWERED, 503, -1);
  request->key = no_view();
  CHECK_CODE(cellroute_route(router, request, NOW, decision), CELLROUTE_OK);
  CHECK_CODE(cellroute_metrics_observe(metrics, 1, decision, NULL, 0), CELLROUTE_OK);
  text = text_of(metrics, router, NULL);
  CHECK_LINE(text, "# TYPE cellroute_decisions_total counter");
  CHECK_LINE(text,
             "cellroute_decisions_total{status=\"OK\",reason=\"PLACED\",cell=\"r-us\",tier="
             "\"retail\"} 9");
  CHECK_LINE(text,
             "cellroute_decisions_total{status=\"INVALID_ARGUMENT\",reason=\"KEY_EMPTY\",cell="
             "\"\",tier=\"\"} 1");
  CHECK_LINE(text, "cellroute_cell_calls_total{cell=\"r-us\",result=\"1xx\"} 1");
  CHECK_LINE(text, "cellroute_cell_calls_total{cell=\"r-us\",result=\"2xx\"} 2");
  CHECK_LINE(text, "cellroute_cell_calls_total{cell=\"r-us\",result=\"5xx\"} 1");
  CHECK_LINE(text, "cellroute_cell_calls_total{cell=\"r-us\",result=\"answered\"} 2");
  CHECK_LINE(text, "cellroute_cell_calls_total{cell=\"r-us\",result=\"connect_error\"} 1");
  CHECK_LINE(text, "cellroute_cell_calls_total{cell=\"r-us\",result=\"timeout\"} 1");
  CHECK_LINE(text, "cellroute_cell_calls_total{cell=\"r-us\",result=\"client_abort\"} 1");
  CHECK(strstr(text, "result=\"3xx\"") == NULL);
  CHECK_LINE(text, "cellroute_cell_latency_seconds_bucket{cell=\"r-us\",le=\"0.0005\"} 2");
  CHECK_LINE(text, "cellroute_cell_latency_seconds_bucket{cell=\"r-us\",le=\"0.001\"} 4");
  CHECK_LINE(text, "cellroute_cell_latency_seconds_bucket{cell=\"r-us\",le=\"5\"} 4");
  CHECK_LINE(text, "cellroute_cell_latency_seconds_bucket{cell=\"r-us\",le=\"10\"} 5");
  CHECK_LINE(text, "cellroute_cell_latency_seconds_bucket{cell=\"r-us\",le=\"+Inf\"} 7");
  CHECK_LINE(text, "cellroute_cell_latency_seconds_sum{cell=\"r-us\"} 86420.002000002");
  CHECK_LINE(text, "cellroute_cell_latency_seconds_count{cell=\"r-us\"} 7");
  free(text), free(request), free(decision);
  cellroute_metrics_destroy(metrics);
  cellroute_router_destroy(router);
}

/* Each bucket's bounds, by one that fits it and one that does not. */
static void buckets(void) {
  static const struct {
    int64_t most;
    const char* name;
  } kBounds[] = {{500000, "0.0005"},  {1000000, "0.001"},  {2500000, "0.0025"}, {5000000, "0.005"},
                 {10000000, "0.01"},  {25000000, "0.025"}, {50000000, "0.05"},  {100000000, "0.1"},
                 {250000000, "0.25"}, {500000000, "0.5"},  {1000000000, "1"},   {2500000000, "2.5"},
                 {5000000000, "5"},   {10000000000, "10"}};
  cellroute_router* router = serving(1, "");
  cellroute_decision* decision = NEW(cellroute_decision);
  size_t i = 0;
  decision->reason = 1;
  decision->cell = number_of(router, "r-us");
  for (; i < sizeof kBounds / sizeof kBounds[0]; ++i) {
    cellroute_metrics* metrics = metrics_of(router);
    char line[128];
    char* text = NULL;
    observe(metrics, decision, CELLROUTE_ANSWERED, 200, kBounds[i].most);
    observe(metrics, decision, CELLROUTE_ANSWERED, 200, kBounds[i].most + 1);
    text = text_of(metrics, router, NULL);
    snprintf(line, sizeof line, "cellroute_cell_latency_seconds_bucket{cell=\"r-us\",le=\"%s\"} 1",
             kBounds[i].name);
    CHECK_LINE(text, line);
    free(text);
    cellroute_metrics_destroy(metrics);
  }
  free(decision);
  cellroute_router_destroy(router);
}

static void what_is_not_known(void) {
  cellroute_router* router = serving(1, "");
  cellroute_metrics* metrics = metrics_of(router);
  cellroute_decision* decision = NEW(cellroute_decision);
  char* text = NULL;
  decision->cell = 64;
  decision->reason = 1;
  CHECK_CODE(cellroute_metrics_observe(metrics, 0, decision, NULL, 0), CELLROUTE_OK);
  decision->cell = CELLROUTE_NO_CELL;
  decision->status = CELLROUTE_STATUS_FORBIDDEN;
  decision->reason = 0;
  CHECK_CODE(cellroute_metrics_observe(metrics, 0, decision, NULL, 0), CELLROUTE_OK);
  decision->status = 10;
  decision->reason = 799;
  CHECK_CODE(cellroute_metrics_observe(metrics, 0, decision, NULL, 0), CELLROUTE_OK);
  decision->status = UINT32_MAX;
  decision->reason = UINT32_MAX;
  CHECK_CODE(cellroute_metrics_observe(metrics, 0, decision, NULL, 0), CELLROUTE_OK);
  text = text_of(metrics, router, NULL);
  CHECK_LINE(text,
             "cellroute_decisions_total{status=\"OK\",reason=\"PLACED\",cell=\"{other}\",tier="
             "\"\"} 1");
  CHECK_LINE(text,
             "cellroute_decisions_total{status=\"FORBIDDEN\",reason=\"other\",cell=\"\",tier="
             "\"\"} 1");
  CHECK_LINE(text,
             "cellroute_decisions_total{status=\"other\",reason=\"other\",cell=\"\",tier=\"\"} 2");
  free(text), free(decision);
  cellroute_metrics_destroy(metrics);
  cellroute_router_destroy(router);
}

/* A topology without the cell is published: its counts go on under its name. */
static void a_cell_that_left(void) {
  static const char kOne[] =
      "generation: %d\nhash_seed: 1\ncells:\n  - {id: a}\n%spolicy: {slots: 1024}\n";
  cellroute_router* router = router_of(NULL);
  cellroute_metrics* metrics = metrics_of(router);
  cellroute_publish_options* options = NEW(cellroute_publish_options);
  cellroute_decision* decision = NEW(cellroute_decision);
  char* text = text_of(metrics, router, NULL);
  int generation = 1;
  CHECK_LINE(text, "cellroute_snapshot_generation 0");
  CHECK(strstr(text, "cellroute_breaker_state") == NULL);
  free(text);
  CHECK_CODE(cellroute_publish_options_default(options, sizeof *options), CELLROUTE_OK);
  options->max_moved_percent = 100;
  for (; generation <= 2; ++generation) {
    char source[256];
    cellroute_topology* topology = NULL;
    snprintf(source, sizeof source, kOne, generation, generation == 1 ? "  - {id: b}\n" : "");
    CHECK_CODE(cellroute_topology_load(view_of(source), NULL, &topology, NULL), CELLROUTE_OK);
    CHECK_CODE(cellroute_router_publish(router, topology, options, NULL), CELLROUTE_OK);
    if (generation == 1) decision->cell = number_of(router, "b");
    decision->reason = 1;
    CHECK_CODE(cellroute_metrics_observe(metrics, 0, decision, NULL, 0), CELLROUTE_OK);
    text = text_of(metrics, router, NULL);
    CHECK_LINE(text, generation == 1 ? "cellroute_decisions_total{status=\"OK\",reason=\"PLACED\","
                                       "cell=\"b\",tier=\"\"} 1"
                                     : "cellroute_decisions_total{status=\"OK\",reason=\"PLACED\","
                                       "cell=\"b\",tier=\"\"} 2");
    CHECK(has(text, "cellroute_breaker_state{cell=\"b\"} 0") == (generation == 1));
    free(text);
    cellroute_topology_destroy(topology);
  }
  free(decision), free(options);
  cellroute_metrics_destroy(metrics);
  cellroute_router_destroy(router);
}

static void guards_and_snapshot(void) {
  cellroute_topology* topology = topology_of(
      7,
      "  in_flight: {per_cell: 5}\n  breaker: {consecutive_failures: 1, open: 30s, probes: 1}\n");
  cellroute_router* router = router_of(topology);
  cellroute_metrics* metrics = metrics_of(router);
  cellroute_publish_options* options = NEW(cellroute_publish_options);
  cellroute_record* record = record_of("k", "r-us", 3);
  cellroute_request* request = request_of(router, "k");
  cellroute_decision* decision = NEW(cellroute_decision);
  cellroute_outcome* outcome = NEW(cellroute_outcome);
  cellroute_mapping* mapping = NEW(cellroute_mapping);
  size_t size = 0;
  char* text = text_of(metrics, router, NULL);
  CHECK(strstr(text, "cellroute_snapshot_age_seconds") == NULL);
  CHECK_LINE(text, "cellroute_breaker_state{cell=\"r-us\"} 0");
  free(text);
  CHECK_CODE(cellroute_publish_options_default(options, sizeof *options), CELLROUTE_OK);
  options->now_ns = NOW - 90 * SECOND - 1;
  options->records = record;
  options->record_count = 1;
  CHECK_CODE(cellroute_router_publish(router, topology, options, NULL), CELLROUTE_OK);
  CHECK_CODE(cellroute_mark_load(router, number_of(router, "r-us"), 33), CELLROUTE_OK);
  CHECK_CODE(cellroute_mark_health(router, number_of(router, "h-us"), 0), CELLROUTE_OK);
  CHECK_CODE(cellroute_route(router, request, NOW, decision), CELLROUTE_OK);
  CHECK_CODE(cellroute_metrics_lookup(metrics, 0, mapping), CELLROUTE_OK);
  mapping->answer = CELLROUTE_LOOKUP_ABSENT;
  CHECK_CODE(cellroute_metrics_lookup(metrics, 1, mapping), CELLROUTE_OK);
  mapping->answer = CELLROUTE_LOOKUP_UNKNOWN;
  CHECK_CODE(cellroute_metrics_lookup(metrics, 1, mapping), CELLROUTE_OK);
  CHECK_CODE(cellroute_metrics_lookup(metrics, 0, mapping), CELLROUTE_OK);
  mapping->answer = CELLROUTE_FOUND;
  mapping->stale = 1;
  CHECK_CODE(cellroute_metrics_lookup(metrics, 0, mapping), CELLROUTE_OK);
  text = text_of(metrics, router, NULL);
  CHECK_LINE(text, "cellroute_snapshot_generation 7");
  CHECK_LINE(text, "cellroute_snapshot_age_seconds 90.000000001");
  CHECK_LINE(text, "cellroute_overlay_mappings 1");
  CHECK_LINE(text, "cellroute_cell_in_flight{cell=\"r-us\"} 1");
  CHECK_LINE(text, "cellroute_cell_in_flight_limit{cell=\"r-us\"} 5");
  CHECK_LINE(text, "cellroute_cell_load{cell=\"r-us\"} 33");
  CHECK_LINE(text, "cellroute_cell_capacity{cell=\"r-us\"} 100");
  CHECK(strstr(text, "cellroute_cell_capacity{cell=\"h-us\"}") == NULL);
  CHECK_LINE(text, "cellroute_cell_healthy{cell=\"r-us\"} 1");
  CHECK_LINE(text, "cellroute_cell_healthy{cell=\"h-us\"} 0");
  CHECK_LINE(text, "cellroute_lookups_total{answer=\"found\"} 1");
  CHECK_LINE(text, "cellroute_lookups_total{answer=\"absent\"} 1");
  CHECK_LINE(text, "cellroute_lookups_total{answer=\"unknown\"} 2");
  CHECK_LINE(text, "cellroute_lookups_total{answer=\"stale\"} 1");
  free(text);
  outcome->end = CELLROUTE_TIMEOUT;
  CHECK_CODE(cellroute_report(router, &decision->ticket, outcome, NOW), CELLROUTE_OK);
  text = text_of(metrics, router, NULL);
  CHECK_LINE(text, "cellroute_breaker_state{cell=\"r-us\"} 2");
  free(text);
  text = calloc(1, 65536);
  CHECK_CODE(
      cellroute_metrics_write(metrics, router, NULL, NOW + 60 * SECOND, text, 65536, &size, NULL),
      CELLROUTE_OK);
  CHECK_LINE(text, "cellroute_breaker_state{cell=\"r-us\"} 1");
  free(text), free(mapping), free(outcome), free(decision), free(request), free(record);
  free(options);
  cellroute_metrics_destroy(metrics);
  cellroute_topology_destroy(topology);
  cellroute_router_destroy(router);
}

static void a_cache(void) {
  kept_record kept;
  cellroute_sink* sink = sink_into(&kept);
  cellroute_router* router = serving(1, "");
  cellroute_metrics* metrics = metrics_of(router);
  cellroute_store* store = NULL;
  cellroute_store* cached = NULL;
  size_t size = 0;
  char* text = NULL;
  CHECK_CODE(cellroute_store_open(view_of("memory:"), NULL, &store, NULL), CELLROUTE_OK);
  CHECK_CODE(cellroute_store_cached(store, NULL, &cached, NULL), CELLROUTE_OK);
  CHECK_CODE(cellroute_store_get(cached, view_of("k"), NOW, sink, NULL), CELLROUTE_ABSENT);
  CHECK_CODE(cellroute_store_get(cached, view_of("k"), NOW, sink, NULL), CELLROUTE_ABSENT);
  text = text_of(metrics, router, cached);
  CHECK_LINE(text, "cellroute_cache_hits_total 1");
  CHECK_LINE(text, "cellroute_cache_misses_total 1");
  CHECK_LINE(text, "cellroute_cache_entries 1");
  CHECK_CODE(cellroute_metrics_write(metrics, router, store, NOW, NULL, 0, &size, NULL),
             CELLROUTE_E_UNSUPPORTED);
  free(text), free(sink);
  cellroute_store_destroy(cached);
  cellroute_store_destroy(store);
  cellroute_metrics_destroy(metrics);
  cellroute_router_destroy(router);
}

static void memory(void) {
  uint64_t size = 0;
  char* room = NULL;
  void* made = NULL;
  cellroute_router* router = serving(1, "");
  cellroute_router* another = serving(1, "");
  cellroute_metrics* first = NULL;
  cellroute_metrics* second = NULL;
  cellroute_router_options* options = NEW(cellroute_router_options);
  cellroute_decision* decision = NEW(cellroute_decision);
  char* text = NULL;
  options->cells = 64;
  options->lanes = 2;
  CHECK_CODE(cellroute_metrics_memory_size(options, &size), CELLROUTE_OK);
  CHECK(posix_memalign(&made, 64, (size_t)size) == 0);
  room = made;
  memset(room, 0, (size_t)size);
  CHECK_CODE(cellroute_metrics_create(router, room, size - 1, &first, NULL),
             CELLROUTE_E_INVALID_ARGUMENT);
  CHECK_CODE(cellroute_metrics_create(router, room + 8, size, &first, NULL),
             CELLROUTE_E_INVALID_ARGUMENT);
  CHECK_CODE(cellroute_metrics_create(router, room, 0, &first, NULL), CELLROUTE_E_INVALID_ARGUMENT);
  CHECK_CODE(cellroute_metrics_create(router, NULL, size, &first, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_metrics_create(router, room, size, NULL, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_metrics_create(NULL, room, size, &first, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_metrics_create(router, room, size, &first, NULL), CELLROUTE_OK);
  CHECK_CODE(cellroute_metrics_create(router, room, size, &second, NULL), CELLROUTE_OK);
  decision->cell = CELLROUTE_NO_CELL;
  CHECK_CODE(cellroute_metrics_observe(first, 0, decision, NULL, 0), CELLROUTE_OK);
  CHECK_CODE(cellroute_metrics_observe(second, 1, decision, NULL, 0), CELLROUTE_OK);
  cellroute_metrics_destroy(first);
  text = text_of(second, router, NULL);
  CHECK_LINE(text,
             "cellroute_decisions_total{status=\"OK\",reason=\"other\",cell=\"\",tier=\"\"} 2");
  first = NULL;
  CHECK_CODE(cellroute_metrics_create(another, room, size, &first, NULL), CELLROUTE_E_CONFLICT);
  memset(room + 8, 0xff, 8);
  CHECK_CODE(cellroute_metrics_create(router, room, size, &first, NULL), CELLROUTE_E_UNSUPPORTED);
  memset(room, 0xff, 8);
  CHECK_CODE(cellroute_metrics_create(router, room, size, &first, NULL), CELLROUTE_E_CORRUPT);
  CHECK(first == NULL);
  options->lanes = 4097;
  CHECK_CODE(cellroute_metrics_memory_size(options, &size), CELLROUTE_E_INVALID_ARGUMENT);
  CHECK_CODE(cellroute_metrics_memory_size(options, NULL), CELLROUTE_E_NULL);
  free(text), free(decision), free(options);
  cellroute_metrics_destroy(second);
  cellroute_router_destroy(another);
  cellroute_router_destroy(router);
  free(room);
}

static void refused(void) {
  cellroute_router* router = serving(1, "");
  cellroute_router* another = serving(1, "");
  cellroute_metrics* metrics = metrics_of(router);
  cellroute_decision* decision = NEW(cellroute_decision);
  cellroute_decision* later = NEW_LARGER(cellroute_decision, 8);
  cellroute_outcome* outcome = NEW(cellroute_outcome);
  cellroute_mapping* mapping = NEW(cellroute_mapping);
  size_t size = 0;
  CHECK_CODE(cellroute_metrics_observe(NULL, 0, decision, NULL, 0), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_metrics_observe((cellroute_metrics*)router, 0, decision, NULL, 0),
             CELLROUTE_E_WRONG_HANDLE);
  CHECK_CODE(cellroute_metrics_observe(metrics, 0, NULL, NULL, 0), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_metrics_observe(metrics, 2, decision, NULL, 0),
             CELLROUTE_E_INVALID_ARGUMENT);
  CHECK_CODE(cellroute_metrics_observe(metrics, 0, later, NULL, 0), CELLROUTE_OK);
  ((char*)later)[sizeof *later] = 1;
  CHECK_CODE(cellroute_metrics_observe(metrics, 0, later, NULL, 0), CELLROUTE_E_UNKNOWN_TAIL);
  outcome->end = 4;
  CHECK_CODE(cellroute_metrics_observe(metrics, 0, decision, outcome, 0),
             CELLROUTE_E_INVALID_ARGUMENT);
  outcome->struct_size = 3;
  CHECK_CODE(cellroute_metrics_observe(metrics, 0, decision, outcome, 0), CELLROUTE_E_STRUCT_SIZE);
  mapping->answer = 3;
  CHECK_CODE(cellroute_metrics_lookup(metrics, 0, mapping), CELLROUTE_E_INVALID_ARGUMENT);
  mapping->answer = 0;
  CHECK_CODE(cellroute_metrics_lookup(metrics, 2, mapping), CELLROUTE_E_INVALID_ARGUMENT);
  CHECK_CODE(cellroute_metrics_lookup(metrics, 0, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_metrics_lookup(NULL, 0, mapping), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_metrics_write(metrics, another, NULL, NOW, NULL, 0, &size, NULL),
             CELLROUTE_E_CONFLICT);
  CHECK_CODE(cellroute_metrics_write(metrics, router, NULL, NOW, NULL, 0, NULL, NULL),
             CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_metrics_write(metrics, NULL, NULL, NOW, NULL, 0, &size, NULL),
             CELLROUTE_E_NULL);
  cellroute_metrics_destroy(NULL);
  free(mapping), free(outcome), free(later), free(decision);
  cellroute_metrics_destroy(metrics);
  cellroute_router_destroy(another);
  cellroute_router_destroy(router);
}

#define EACH 20000

static cellroute_metrics* crowded;
static cellroute_decision* crowds_decision;

static void* crowd(void* outcome) {
  int i = 0;
  for (; i < EACH; ++i) {
    (void)cellroute_metrics_observe(crowded, 0, crowds_decision, outcome, 3000000);
  }
  return NULL;
}

static void threads_that_share_a_lane_lose_nothing(void) {
  cellroute_router* router = serving(1, "");
  cellroute_outcome* outcome = NEW(cellroute_outcome);
  pthread_t threads[4];
  char line[128];
  char* text = NULL;
  int i = 0;
  crowded = metrics_of(router);
  crowds_decision = NEW(cellroute_decision);
  crowds_decision->reason = 1;
  crowds_decision->cell = number_of(router, "r-us");
  for (i = 0; i < 4; ++i) CHECK(pthread_create(&threads[i], NULL, crowd, outcome) == 0);
  for (i = 0; i < 4; ++i) CHECK(pthread_join(threads[i], NULL) == 0);
  text = text_of(crowded, router, NULL);
  snprintf(line, sizeof line, "cellroute_cell_latency_seconds_count{cell=\"r-us\"} %d", 4 * EACH);
  CHECK_LINE(text, line);
  CHECK_LINE(text, "cellroute_cell_latency_seconds_sum{cell=\"r-us\"} 240.000000000");
  free(text), free(outcome), free(crowds_decision);
  cellroute_metrics_destroy(crowded);
  cellroute_router_destroy(router);
}

void metrics_test(void) {
  counts();
  buckets();
  what_is_not_known();
  a_cell_that_left();
  guards_and_snapshot();
  a_cache();
  memory();
  refused();
  threads_that_share_a_lane_lose_nothing();
}
