/* Look-up on a miss, and first assignment. */
#include "tests.h"

static const char kAssign[] = "  unassigned: ASSIGN\n";

static int32_t failing_get(void* self, const cellroute_view* key, int64_t now_ns,
                           const cellroute_sink* sink, cellroute_error* error) {
  (void)self, (void)key, (void)now_ns, (void)sink, (void)error;
  return CELLROUTE_E_UNAVAILABLE;
}

static int32_t failing_put(void* self, const cellroute_record* record, uint64_t expected,
                           cellroute_error* error) {
  (void)self, (void)record, (void)expected, (void)error;
  return CELLROUTE_E_UNAVAILABLE;
}

static cellroute_store* failing_store(void) {
  cellroute_store* store = NULL;
  cellroute_store_calls* calls = NEW(cellroute_store_calls);
  calls->get = failing_get;
  calls->put_if = failing_put;
  CHECK_CODE(cellroute_store_create(calls, NULL, &store, NULL), CELLROUTE_OK);
  free(calls);
  return store;
}

static cellroute_store* memory_store(void) {
  cellroute_store* store = NULL;
  CHECK_CODE(cellroute_store_open(view_of("memory:"), NULL, &store, NULL), CELLROUTE_OK);
  return store;
}

static void resolved(void) {
  cellroute_router* router = serving(1, kAssign);
  cellroute_store* store = memory_store();
  cellroute_store* failing = failing_store();
  cellroute_record* record = record_of("k", "r-eu", 5);
  cellroute_mapping* mapping = NEW(cellroute_mapping);
  cellroute_request* request = request_of(router, "k");
  cellroute_decision* decision = NEW(cellroute_decision);
  const cellroute_view key = view_of("k");
  request->mapping = mapping;
  CHECK_CODE(cellroute_resolve(router, store, key, NOW, mapping, NULL), CELLROUTE_OK);
  CHECK(mapping->answer == CELLROUTE_LOOKUP_ABSENT);
  CHECK_CODE(cellroute_route(router, request, NOW, decision), CELLROUTE_OK);
  CHECK(decision->status == CELLROUTE_STATUS_UNASSIGNED && decision->reason == 300);
  CHECK_CODE(cellroute_store_put_if(store, record, 0, NOW, NULL, NULL), CELLROUTE_OK);
  CHECK_CODE(cellroute_resolve(router, store, key, NOW, mapping, NULL), CELLROUTE_OK);
  CHECK(mapping->answer == CELLROUTE_FOUND && mapping->epoch == 5);
  CHECK_CODE(cellroute_route(router, request, NOW, decision), CELLROUTE_OK);
  CHECK(decision->cell == number_of(router, "r-eu") && decision->epoch == 5);
  mapping->stale = 1;
  CHECK_CODE(cellroute_route(router, request, NOW, decision), CELLROUTE_OK);
  CHECK(decision->reason == 6);
  CHECK_CODE(cellroute_resolve(router, failing, key, NOW, mapping, NULL), CELLROUTE_E_UNAVAILABLE);
  CHECK(mapping->answer == CELLROUTE_LOOKUP_UNKNOWN);
  CHECK_CODE(cellroute_route(router, request, NOW, decision), CELLROUTE_OK);
  CHECK(decision->status == CELLROUTE_STATUS_UNAVAILABLE && decision->reason == 602);
  CHECK_CODE(cellroute_resolve(router, store, key, NOW, NULL, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_resolve(router, store, bad_view(), NOW, mapping, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_resolve(router, NULL, key, NOW, mapping, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_resolve(NULL, store, key, NOW, mapping, NULL), CELLROUTE_E_NULL);
  free(decision);
  free(request);
  free(mapping);
  free(record);
  cellroute_store_destroy(failing);
  cellroute_store_destroy(store);
  cellroute_router_destroy(router);
}

static void assigned(void) {
  cellroute_router* router = serving(1, kAssign);
  cellroute_store* store = memory_store();
  kept_record kept;
  cellroute_sink* sink = sink_into(&kept);
  cellroute_mapping* mapping = NEW(cellroute_mapping);
  cellroute_request* request = request_of(router, "k");
  cellroute_decision* decision = NEW(cellroute_decision);
  cellroute_profile_names* pinned = NEW(cellroute_profile_names);
  pinned->tier = view_of("retail");
  CHECK_CODE(cellroute_assign(router, store, request, pinned, NOW, mapping, decision, NULL),
             CELLROUTE_OK);
  CHECK(decision->status == CELLROUTE_STATUS_OK && decision->reason == 2 && decision->epoch == 1);
  CHECK(mapping->answer == CELLROUTE_FOUND);
  CHECK_CODE(cellroute_store_get(store, view_of("k"), NOW, sink, NULL), CELLROUTE_OK);
  CHECK(strcmp(kept.cell, "r-us") == 0 && kept.revision == 1);
  request->profile = profile_of(router, "retail", "eu"); /* the first writer's answer stands */
  CHECK_CODE(cellroute_assign(router, store, request, NULL, NOW, mapping, decision, NULL),
             CELLROUTE_OK);
  CHECK(decision->cell == number_of(router, "r-us"));
  pinned->tier = view_of("none");
  CHECK_CODE(cellroute_assign(router, store, request, pinned, NOW, mapping, decision, NULL),
             CELLROUTE_E_UNKNOWN_NAME);
  request->profile = profile_of(router, "hnw", "eu"); /* no ACTIVE cell for a new key */
  request->key = view_of("new");
  CHECK_CODE(cellroute_assign(router, store, request, NULL, NOW, mapping, decision, NULL),
             CELLROUTE_OK);
  CHECK(decision->status == CELLROUTE_STATUS_NO_ELIGIBLE_CELL);
  CHECK(mapping->answer == CELLROUTE_LOOKUP_ABSENT);
  CHECK_CODE(cellroute_assign(router, store, NULL, NULL, NOW, mapping, decision, NULL),
             CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_assign(router, store, request, NULL, NOW, NULL, decision, NULL),
             CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_assign(router, store, request, NULL, NOW, mapping, NULL, NULL),
             CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_assign(router, NULL, request, NULL, NOW, mapping, decision, NULL),
             CELLROUTE_E_NULL);
  free(pinned);
  free(decision);
  free(request);
  free(mapping);
  free(sink);
  cellroute_store_destroy(store);
  cellroute_router_destroy(router);
}

static void store_fails(void) {
  cellroute_router* router = serving(1, kAssign);
  cellroute_router* idle = router_of(NULL);
  cellroute_store* store = failing_store();
  cellroute_mapping* mapping = NEW(cellroute_mapping);
  cellroute_request* request = request_of(router, "k");
  cellroute_decision* decision = NEW(cellroute_decision);
  CHECK_CODE(cellroute_assign(router, store, request, NULL, NOW, mapping, decision, NULL),
             CELLROUTE_E_UNAVAILABLE);
  CHECK(decision->reason == 602 && mapping->answer == CELLROUTE_LOOKUP_UNKNOWN);
  request->profile = profile_of(router, "hnw", "eu");
  CHECK_CODE(cellroute_assign(router, store, request, NULL, NOW, mapping, decision, NULL),
             CELLROUTE_E_UNAVAILABLE);
  CHECK(decision->reason == 602);
  CHECK_CODE(cellroute_assign(idle, store, request, NULL, NOW, mapping, decision, NULL),
             CELLROUTE_E_NO_SNAPSHOT);
  CHECK_CODE(cellroute_resolve(idle, store, view_of("k"), NOW, mapping, NULL),
             CELLROUTE_E_NO_SNAPSHOT);
  free(decision);
  free(request);
  free(mapping);
  cellroute_store_destroy(store);
  cellroute_router_destroy(idle);
  cellroute_router_destroy(router);
}

static void capped(void) {
  cellroute_router* router =
      serving(1, "  unassigned: ASSIGN\n  assignments: {requests: 1, period: 60s}\n");
  cellroute_store* store = memory_store();
  cellroute_mapping* mapping = NEW(cellroute_mapping);
  cellroute_request* request = request_of(router, "k");
  cellroute_decision* decision = NEW(cellroute_decision);
  CHECK_CODE(cellroute_assign(router, store, request, NULL, NOW, mapping, decision, NULL),
             CELLROUTE_OK);
  request->key = view_of("l");
  CHECK_CODE(cellroute_assign(router, store, request, NULL, NOW, mapping, decision, NULL),
             CELLROUTE_OK);
  CHECK(decision->status == CELLROUTE_STATUS_RATE_LIMITED && decision->reason == 403);
  CHECK(decision->retry_after_ns > 0 && mapping->answer == CELLROUTE_LOOKUP_ABSENT);
  free(decision);
  free(request);
  free(mapping);
  cellroute_store_destroy(store);
  cellroute_router_destroy(router);
}

void assign_test(void) {
  resolved();
  assigned();
  store_fails();
  capped();
}
