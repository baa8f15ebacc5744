/* The path of a request: decisions, batches, reports, explanations. */
#include <math.h>

#include "tests.h"

static const char kGuards[] =
    "  breaker: {consecutive_failures: 2, open: 10s}\n"
    "  in_flight: {per_cell: 2}\n";

static void nothing_published(void) {
  cellroute_router* router = router_of(NULL);
  cellroute_request* request = NEW(cellroute_request);
  cellroute_decision* decision = NEW(cellroute_decision);
  cellroute_profile profile;
  cellroute_snapshot* snapshot = NULL;
  request->key = view_of("k");
  CHECK_CODE(cellroute_route(router, request, NOW, decision), CELLROUTE_OK);
  CHECK(decision->status == CELLROUTE_STATUS_UNAVAILABLE && decision->reason == 609);
  CHECK(decision->cell == CELLROUTE_NO_CELL);
  CHECK_CODE(cellroute_router_profile(router, NULL, &profile, NULL), CELLROUTE_E_NO_SNAPSHOT);
  CHECK_CODE(cellroute_snapshot_hold(router, &snapshot, NULL), CELLROUTE_E_NO_SNAPSHOT);
  free(request);
  free(decision);
  cellroute_router_destroy(router);
}

static void decisions(void) {
  cellroute_router* router = serving(7, "  timeout: 3s\n");
  cellroute_request* request = request_of(router, "k");
  cellroute_decision* decision = NEW(cellroute_decision);
  CHECK_CODE(cellroute_route(router, request, NOW, decision), CELLROUTE_OK);
  CHECK(decision->status == CELLROUTE_STATUS_OK && decision->reason == 1);
  CHECK(decision->cell == number_of(router, "r-us"));
  CHECK(decision->generation == 7 && decision->timeout_ns == 3 * SECOND);
  CHECK(decision->struct_size == sizeof *decision);
  request->key.size = 1025;
  request->key.data = calloc(1, 1025);
  CHECK_CODE(cellroute_route(router, request, NOW, decision), CELLROUTE_OK);
  CHECK(decision->reason == 101);
  free((void*)request->key.data);
  request->key = view_of("k");
  request->risk = NAN;
  CHECK_CODE(cellroute_route(router, request, NOW, decision), CELLROUTE_OK);
  CHECK(decision->reason == 108);
  request->risk = 0;
  request->lane = 2;
  CHECK_CODE(cellroute_route(router, request, NOW, decision), CELLROUTE_OK);
  CHECK(decision->reason == 112);
  request->lane = 0;
  memset(&request->profile, 0, sizeof request->profile);
  CHECK_CODE(cellroute_route(router, request, NOW, decision), CELLROUTE_OK);
  CHECK(decision->status == CELLROUTE_STATUS_INVALID_ARGUMENT && decision->reason == 110);
  free(request);
  free(decision);
  cellroute_router_destroy(router);
}

static void calls_as_one_struct(void) {
  cellroute_router* router = serving(1, "  in_flight: {per_cell: 1}\n");
  cellroute_request* request = request_of(router, "k");
  cellroute_decision* decision = NEW(cellroute_decision);
  cellroute_call* call = NEW(cellroute_call);
  call->router = router;
  call->request = request;
  call->now_ns = NOW;
  call->decision = decision;
  CHECK_CODE(cellroute_locate_call(call), CELLROUTE_OK);
  CHECK(decision->reason == 1 && decision->cell == number_of(router, "r-us"));
  CHECK_CODE(cellroute_route_call(call), CELLROUTE_OK);
  CHECK(decision->reason == 1 && decision->ticket.words[0] != 0);
  CHECK_CODE(cellroute_route_call(call), CELLROUTE_DENIED);
  CHECK(decision->reason == 606);
  call->reserved = 1;
  CHECK_CODE(cellroute_route_call(call), CELLROUTE_E_INVALID_ARGUMENT);
  call->reserved = 0;
  call->decision = NULL;
  CHECK_CODE(cellroute_route_call(call), CELLROUTE_E_NULL);
  call->decision = decision;
  call->request = NULL;
  CHECK_CODE(cellroute_locate_call(call), CELLROUTE_E_NULL);
  call->request = request;
  call->router = NULL;
  CHECK_CODE(cellroute_locate_call(call), CELLROUTE_E_NULL);
  call->struct_size = 8;
  CHECK_CODE(cellroute_route_call(call), CELLROUTE_E_STRUCT_SIZE);
  CHECK_CODE(cellroute_route_call(NULL), CELLROUTE_E_NULL);
  free(call);
  free(request);
  free(decision);
  cellroute_router_destroy(router);
}

static void stale_profiles(void) {
  cellroute_router* router = serving(1, "");
  cellroute_topology* next = topology_of(2, "");
  cellroute_request* request = request_of(router, "k");
  cellroute_decision* decision = NEW(cellroute_decision);
  CHECK_CODE(cellroute_router_publish(router, next, NULL, NULL), CELLROUTE_OK);
  CHECK_CODE(cellroute_route(router, request, NOW, decision), CELLROUTE_OK);
  CHECK(decision->reason == 110);
  request->profile = profile_of(router, "vip", "us");
  request->profile.tier = 77;
  CHECK_CODE(cellroute_route(router, request, NOW, decision), CELLROUTE_OK);
  CHECK(decision->reason == 110);
  free(request);
  free(decision);
  cellroute_topology_destroy(next);
  cellroute_router_destroy(router);
}

static void bad_requests(void) {
  cellroute_router* router = serving(1, "");
  cellroute_request* request = request_of(router, "k");
  cellroute_decision* decision = NEW(cellroute_decision);
  cellroute_request* larger = NEW_LARGER(cellroute_request, 8);
  cellroute_mapping* mapping = NEW(cellroute_mapping);
  CHECK_CODE(cellroute_route(NULL, request, NOW, decision), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_route(router, NULL, NOW, decision), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_route(router, request, NOW, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_route((cellroute_router*)(void*)request, request, NOW, decision),
             CELLROUTE_E_WRONG_HANDLE);
  request->key = bad_view();
  CHECK_CODE(cellroute_route(router, request, NOW, decision), CELLROUTE_E_NULL);
  request->key = view_of("k");
  request->resource = bad_view();
  CHECK_CODE(cellroute_route(router, request, NOW, decision), CELLROUTE_E_NULL);
  request->resource = no_view();
  request->tried_count = 1;
  CHECK_CODE(cellroute_route(router, request, NOW, decision), CELLROUTE_E_NULL);
  request->tried_count = 0;
  request->access = 2;
  CHECK_CODE(cellroute_route(router, request, NOW, decision), CELLROUTE_E_INVALID_ARGUMENT);
  request->access = 0;
  memcpy(larger, request, sizeof *request);
  larger->struct_size = sizeof *larger + 8;
  CHECK_CODE(cellroute_route(router, larger, NOW, decision), CELLROUTE_OK);
  ((char*)(larger + 1))[0] = 1;
  CHECK_CODE(cellroute_route(router, larger, NOW, decision), CELLROUTE_E_UNKNOWN_TAIL);
  request->struct_size = 0;
  CHECK_CODE(cellroute_route(router, request, NOW, decision), CELLROUTE_E_STRUCT_SIZE);
  request->struct_size = sizeof *request;
  decision->struct_size = 0;
  CHECK_CODE(cellroute_route(router, request, NOW, decision), CELLROUTE_E_STRUCT_SIZE);
  decision->struct_size = sizeof *decision;
  request->mapping = mapping;
  mapping->answer = 3;
  CHECK_CODE(cellroute_locate(router, request, NOW, decision), CELLROUTE_E_INVALID_ARGUMENT);
  mapping->answer = CELLROUTE_FOUND;
  mapping->generation = 1;
  mapping->cell = 4;
  CHECK_CODE(cellroute_locate(router, request, NOW, decision), CELLROUTE_OK);
  CHECK(decision->reason == 115);
  mapping->struct_size = 0;
  CHECK_CODE(cellroute_locate(router, request, NOW, decision), CELLROUTE_E_STRUCT_SIZE);
  free(mapping);
  free(larger);
  free(request);
  free(decision);
  cellroute_router_destroy(router);
}

static void larger_decisions(void) {
  cellroute_router* router = serving(1, "");
  cellroute_request* request = request_of(router, "k");
  cellroute_decision* larger = NEW_LARGER(cellroute_decision, 8);
  memset(larger + 1, 0xee, 8);
  CHECK_CODE(cellroute_route(router, request, NOW, larger), CELLROUTE_OK);
  CHECK(larger->reason == 1 && larger->generation == 1);
  CHECK(((unsigned char*)(larger + 1))[7] == 0);
  CHECK(larger->struct_size == sizeof *larger + 8);
  free(larger);
  free(request);
  cellroute_router_destroy(router);
}

static void reports(void) {
  cellroute_router* router = serving(1, kGuards);
  cellroute_request* request = request_of(router, "k");
  cellroute_decision* first = NEW(cellroute_decision);
  cellroute_decision* second = NEW(cellroute_decision);
  cellroute_outcome* outcome = NEW(cellroute_outcome);
  cellroute_cell_metrics* metrics = NEW(cellroute_cell_metrics);
  cellroute_ticket copy;
  const uint32_t cell = number_of(router, "r-us");
  CHECK_CODE(cellroute_route(router, request, NOW, first), CELLROUTE_OK);
  copy = first->ticket;
  CHECK_CODE(cellroute_route(router, request, NOW, second), CELLROUTE_OK);
  CHECK_CODE(cellroute_router_cell_metrics(router, cell, NOW, metrics), CELLROUTE_OK);
  CHECK(metrics->in_flight == 2 && metrics->refusal == 0);
  outcome->http_status = 200;
  CHECK_CODE(cellroute_report(router, &first->ticket, outcome, NOW), CELLROUTE_OK);
  CHECK_CODE(cellroute_report(router, &first->ticket, outcome, NOW), CELLROUTE_OK);
  CHECK_CODE(cellroute_router_cell_metrics(router, cell, NOW, metrics), CELLROUTE_OK);
  CHECK(metrics->in_flight == 1);
  outcome->end = CELLROUTE_TIMEOUT;
  CHECK_CODE(cellroute_report(router, &second->ticket, outcome, NOW), CELLROUTE_OK);
  CHECK_CODE(cellroute_route(router, request, NOW, first), CELLROUTE_OK);
  outcome->end = CELLROUTE_ANSWERED;
  outcome->http_status = 503;
  CHECK_CODE(cellroute_report(router, &first->ticket, outcome, NOW), CELLROUTE_OK);
  CHECK_CODE(cellroute_route(router, request, NOW, first), CELLROUTE_OK);
  CHECK(first->status == CELLROUTE_STATUS_UNAVAILABLE && first->reason == 604);
  CHECK(first->retry_after_ns > 0);
  CHECK_CODE(cellroute_report(router, &first->ticket, outcome, NOW), CELLROUTE_OK);
  CHECK_CODE(cellroute_report(router, &copy, outcome, NOW), CELLROUTE_OK);
  memset(&copy, 0xff, sizeof copy);
  CHECK_CODE(cellroute_report(router, &copy, outcome, NOW), CELLROUTE_OK);
  outcome->end = 4;
  CHECK_CODE(cellroute_report(router, &copy, outcome, NOW), CELLROUTE_E_INVALID_ARGUMENT);
  outcome->end = 0;
  outcome->http_status = 1000;
  CHECK_CODE(cellroute_report(router, &copy, outcome, NOW), CELLROUTE_E_INVALID_ARGUMENT);
  CHECK_CODE(cellroute_report(router, &copy, NULL, NOW), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_report(router, NULL, outcome, NOW), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_report(NULL, &copy, outcome, NOW), CELLROUTE_E_NULL);
  free(metrics);
  free(outcome);
  free(second);
  free(first);
  free(request);
  cellroute_router_destroy(router);
}

static void batches(void) {
  enum { kCount = 3 };
  uint32_t i = 0;
  cellroute_router* router = serving(1, kGuards);
  cellroute_request* one = request_of(router, "k");
  cellroute_request* requests = calloc(kCount, sizeof *requests);
  cellroute_decision* decisions = calloc(kCount, sizeof *decisions);
  for (; i < kCount; ++i) {
    requests[i] = *one;
    decisions[i].struct_size = sizeof *decisions;
  }
  CHECK_CODE(cellroute_route_batch(router, requests, kCount, NOW, decisions), CELLROUTE_OK);
  CHECK(decisions[0].reason == 1 && decisions[1].reason == 1 && decisions[2].reason == 606);
  CHECK_CODE(cellroute_locate_batch(router, requests, kCount, NOW, decisions), CELLROUTE_OK);
  CHECK(decisions[2].reason == 1 && decisions[2].ticket.words[0] == 0);
  decisions[0].reason = 99;
  requests[2].struct_size = 4;
  CHECK_CODE(cellroute_route_batch(router, requests, kCount, NOW, decisions),
             CELLROUTE_E_STRUCT_SIZE);
  CHECK(decisions[0].reason == 99);
  requests[2].struct_size = sizeof *requests;
  requests[2].access = 7;
  CHECK_CODE(cellroute_route_batch(router, requests, kCount, NOW, decisions),
             CELLROUTE_E_INVALID_ARGUMENT);
  CHECK(decisions[0].reason == 99);
  requests[2].access = 0;
  decisions[1].struct_size = 0;
  CHECK_CODE(cellroute_locate_batch(router, requests, kCount, NOW, decisions),
             CELLROUTE_E_STRUCT_SIZE);
  CHECK_CODE(cellroute_route_batch(router, NULL, kCount, NOW, decisions), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_route_batch(router, requests, kCount, NOW, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_route_batch(router, NULL, 0, NOW, NULL), CELLROUTE_OK);
  CHECK_CODE(cellroute_route_batch(NULL, requests, kCount, NOW, decisions), CELLROUTE_E_NULL);
  free(requests);
  free(decisions);
  free(one);
  cellroute_router_destroy(router);
}

static void explanations(void) {
  size_t size = 0;
  char* text;
  cellroute_router* router = serving(1, "");
  cellroute_request* request = request_of(router, "k");
  CHECK_CODE(cellroute_explain(router, request, NOW, NULL, 0, &size, NULL), CELLROUTE_OK);
  text = calloc(1, size + 1);
  CHECK_CODE(cellroute_explain(router, request, NOW, text, size, &size, NULL), CELLROUTE_E_BUFFER);
  CHECK(text[0] == '\0');
  CHECK_CODE(cellroute_explain(router, request, NOW, text, size + 1, &size, NULL), CELLROUTE_OK);
  CHECK(strlen(text) == size);
  CHECK(strstr(text, "\"cell\":\"r-us\",\"endpoint\":\"https://r-us.test\"") != NULL);
  CHECK(strstr(text, "{\"step\":\"decision\"") != NULL);
  CHECK_CODE(cellroute_explain(router, request, NOW, text, 0, NULL, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_explain(router, NULL, NOW, text, 0, &size, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_explain(NULL, request, NOW, text, 0, &size, NULL), CELLROUTE_E_NULL);
  free(text);
  cellroute_router_destroy(router);
  router = router_of(NULL);
  CHECK_CODE(cellroute_explain(router, request, NOW, NULL, 0, &size, NULL), CELLROUTE_OK);
  free(request);
  cellroute_router_destroy(router);
}

void route_test(void) {
  nothing_published();
  decisions();
  calls_as_one_struct();
  stale_profiles();
  bad_requests();
  larger_decisions();
  reports();
  batches();
  explanations();
}
