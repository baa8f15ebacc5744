/* Handles across fork(). */
#define _DEFAULT_SOURCE
#include <sys/mman.h>

#include "tests.h"

typedef struct handles {
  cellroute_topology* topology;
  cellroute_router* router;
  cellroute_snapshot* snapshot;
  cellroute_store* store;
  cellroute_store* cached;
  cellroute_metrics* metrics;
} handles;

static void in_the_child(void* argument) {
  const handles* of = argument;
  kept_record kept;
  cellroute_snapshot* snapshot = NULL;
  cellroute_view endpoint;
  cellroute_profile profile;
  cellroute_ticket ticket;
  uint64_t generation = 0;
  size_t size = 0;
  cellroute_sink* sink = sink_into(&kept);
  cellroute_request* request = NEW(cellroute_request);
  cellroute_decision* decision = NEW(cellroute_decision);
  cellroute_mapping* mapping = NEW(cellroute_mapping);
  cellroute_outcome* outcome = NEW(cellroute_outcome);
  cellroute_count* count = NEW(cellroute_count);
  cellroute_cell_metrics* metrics = NEW(cellroute_cell_metrics);
  cellroute_metrics* counts = NULL;
  cellroute_readiness* readiness = NEW(cellroute_readiness);
  cellroute_keys* keys = NEW(cellroute_keys);
  cellroute_answers* answers = NEW(cellroute_answers);
  cellroute_cache_counts* cached_counts = NEW(cellroute_cache_counts);
  cellroute_record* record = record_of("k", "r-us", 1);
  cellroute_router* const router = of->router;
  memset(&ticket, 0, sizeof ticket);
  request->key = view_of("k");
  CHECK_CODE(cellroute_route(router, request, NOW, decision), CELLROUTE_E_FORKED);
  CHECK_CODE(cellroute_locate(router, request, NOW, decision), CELLROUTE_E_FORKED);
  CHECK_CODE(cellroute_route_batch(router, request, 1, NOW, decision), CELLROUTE_E_FORKED);
  CHECK_CODE(cellroute_locate_batch(router, request, 1, NOW, decision), CELLROUTE_E_FORKED);
  CHECK_CODE(cellroute_route_keys(router, keys, NOW, answers), CELLROUTE_E_FORKED);
  CHECK_CODE(cellroute_locate_keys(router, keys, NOW, answers), CELLROUTE_E_FORKED);
  CHECK_CODE(cellroute_report(router, &ticket, outcome, NOW), CELLROUTE_E_FORKED);
  CHECK_CODE(cellroute_explain(router, request, NOW, NULL, 0, &size, NULL), CELLROUTE_E_FORKED);
  CHECK_CODE(cellroute_router_publish(router, of->topology, NULL, NULL), CELLROUTE_E_FORKED);
  CHECK_CODE(cellroute_router_refresh(router, view_of("x.yaml"), NULL, NULL, NULL),
             CELLROUTE_E_FORKED);
  CHECK_CODE(cellroute_router_profile(router, NULL, &profile, NULL), CELLROUTE_E_FORKED);
  CHECK_CODE(cellroute_snapshot_hold(router, &snapshot, NULL), CELLROUTE_E_FORKED);
  CHECK_CODE(cellroute_mark_health(router, 0, 0), CELLROUTE_E_FORKED);
  CHECK_CODE(cellroute_mark_load(router, 0, 0), CELLROUTE_E_FORKED);
  CHECK_CODE(cellroute_router_count(router, 0, 0, count), CELLROUTE_E_FORKED);
  CHECK_CODE(cellroute_router_cell_metrics(router, 0, NOW, metrics), CELLROUTE_E_FORKED);
  CHECK_CODE(cellroute_router_readiness(router, 0, NOW, readiness), CELLROUTE_E_FORKED);
  CHECK_CODE(cellroute_metrics_create(router, NULL, 0, &counts, NULL), CELLROUTE_E_FORKED);
  CHECK_CODE(cellroute_metrics_write(of->metrics, router, NULL, NOW, NULL, 0, &size, NULL),
             CELLROUTE_E_FORKED);
  CHECK_CODE(cellroute_metrics_observe(of->metrics, 0, decision, NULL, 0), CELLROUTE_OK);
  CHECK_CODE(cellroute_resolve(router, of->store, request->key, NOW, mapping, NULL),
             CELLROUTE_E_FORKED);
  CHECK_CODE(cellroute_assign(router, of->store, request, NULL, NOW, mapping, decision, NULL),
             CELLROUTE_E_FORKED);
  CHECK_CODE(cellroute_store_get(of->store, request->key, NOW, sink, NULL), CELLROUTE_E_FORKED);
  CHECK_CODE(cellroute_store_put_if(of->store, record, 0, NOW, NULL, NULL), CELLROUTE_E_FORKED);
  CHECK_CODE(cellroute_store_scan(of->store, no_view(), 1, NOW, sink, NULL), CELLROUTE_E_FORKED);
  CHECK_CODE(cellroute_store_get(of->cached, request->key, NOW, sink, NULL), CELLROUTE_E_FORKED);
  CHECK_CODE(cellroute_store_put_if(of->cached, record, 0, NOW, NULL, NULL), CELLROUTE_E_FORKED);
  CHECK_CODE(cellroute_store_invalidate(of->cached, request->key, NULL), CELLROUTE_E_FORKED);
  CHECK_CODE(cellroute_store_cache_counts(of->cached, cached_counts), CELLROUTE_E_FORKED);
  record->revision = 1;
  CHECK_CODE(cellroute_store_observe(of->cached, record, NULL), CELLROUTE_E_FORKED);
  cellroute_router_destroy(router);
  cellroute_store_destroy(of->cached);
  cellroute_store_destroy(of->store);
  CHECK_CODE(cellroute_topology_generation(of->topology, &generation), CELLROUTE_OK);
  CHECK_CODE(cellroute_snapshot_endpoint(of->snapshot, CELLROUTE_NO_CELL, no_view(), &endpoint),
             CELLROUTE_E_NOT_FOUND);
  CHECK_CODE(cellroute_profile_resolve(of->snapshot, NULL, &profile, NULL), CELLROUTE_OK);
  cellroute_router_destroy(router_of(of->topology));
  cellroute_metrics_destroy(of->metrics);
  cellroute_snapshot_destroy(of->snapshot);
  cellroute_topology_destroy(of->topology);
  free(readiness), free(cached_counts), free(record), free(answers), free(keys), free(metrics),
      free(count), free(outcome);
  free(mapping), free(decision), free(request), free(sink);
}

static void parents_handles(void) {
  handles of = {NULL, NULL, NULL, NULL, NULL, NULL};
  cellroute_request* request;
  cellroute_decision* decision = NEW(cellroute_decision);
  of.topology = topology_of(1, "");
  of.router = router_of(of.topology);
  request = request_of(of.router, "k");
  CHECK_CODE(cellroute_snapshot_hold(of.router, &of.snapshot, NULL), CELLROUTE_OK);
  CHECK_CODE(cellroute_metrics_create(of.router, NULL, 0, &of.metrics, NULL), CELLROUTE_OK);
  CHECK_CODE(cellroute_store_open(view_of("memory:"), NULL, &of.store, NULL), CELLROUTE_OK);
  CHECK_CODE(cellroute_store_cached(of.store, NULL, &of.cached, NULL), CELLROUTE_OK);
  CHECK(in_child(in_the_child, &of) == 0);
  CHECK_CODE(cellroute_route(of.router, request, NOW, decision), CELLROUTE_OK);
  CHECK(decision->reason == 1);
  free(decision);
  free(request);
  cellroute_store_destroy(of.cached);
  cellroute_store_destroy(of.store);
  cellroute_metrics_destroy(of.metrics);
  cellroute_snapshot_destroy(of.snapshot);
  cellroute_router_destroy(of.router);
  cellroute_topology_destroy(of.topology);
}

typedef struct shared {
  void* memory;
  uint64_t size;
} shared;

static cellroute_router* over(const shared* guards) {
  cellroute_router* router = NULL;
  cellroute_topology* topology = topology_of(1, "");
  cellroute_router_options* options = NEW(cellroute_router_options);
  options->cells = 64;
  options->lanes = 2;
  options->limiter_entries = CELLROUTE_NO_LIMITER;
  options->memory = guards->memory;
  options->memory_size = guards->size;
  CHECK_CODE(cellroute_router_create(options, &router, NULL), CELLROUTE_OK);
  CHECK_CODE(cellroute_router_publish(router, topology, NULL, NULL), CELLROUTE_OK);
  cellroute_topology_destroy(topology);
  free(options);
  return router;
}

static void mark_in_the_child(void* argument) {
  cellroute_router* router = over(argument);
  CHECK_CODE(cellroute_mark_health(router, number_of(router, "r-us"), 0), CELLROUTE_OK);
  cellroute_router_destroy(router);
}

/* Guards in shared memory: what a child marks, the parent sees. */
static void shared_guards(void) {
  shared guards = {NULL, 0};
  cellroute_router* router;
  cellroute_request* request;
  cellroute_decision* decision = NEW(cellroute_decision);
  cellroute_router_options* options = NEW(cellroute_router_options);
  options->cells = 64;
  options->lanes = 2;
  options->limiter_entries = CELLROUTE_NO_LIMITER;
  CHECK_CODE(cellroute_router_memory_size(options, &guards.size), CELLROUTE_OK);
  guards.memory =
      mmap(NULL, (size_t)guards.size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(guards.memory != MAP_FAILED);
  CHECK(in_child(mark_in_the_child, &guards) == 0);
  router = over(&guards);
  request = request_of(router, "k");
  CHECK_CODE(cellroute_route(router, request, NOW, decision), CELLROUTE_OK);
  CHECK(decision->reason == 603);
  cellroute_router_destroy(router);
  munmap(guards.memory, (size_t)guards.size);
  free(options);
  free(request);
  free(decision);
}

void fork_test(void) {
  parents_handles();
  shared_guards();
}
