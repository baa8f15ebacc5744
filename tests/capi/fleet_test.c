/* Limits of the fleet: stores of leases, a router's keeper, usage. */
#include "tests.h"

#define MONTH 202311u /* of NOW */

static const char kPolicy[] =
    "  limits:\n"
    "    - {scope: FLEET, kind: MONTHLY, requests: 6400}\n"
    "    - {scope: FLEET, kind: MONTHLY, plan: enterprise, unlimited: true}\n";

typedef struct kept_usages {
  int usages;
  int pages;
  int32_t answer; /* what the sink returns */
  uint64_t used;
  char key[65];
  uint32_t done;
} kept_usages;

static int32_t keep_usage(void* self, const cellroute_view* key, uint64_t used) {
  kept_usages* kept = self;
  ++kept->usages;
  kept->used += used;
  snprintf(kept->key, sizeof kept->key, "%.*s", (int)key->size, key->data);
  return kept->answer;
}

static int32_t keep_page(void* self, const cellroute_view* cursor, uint32_t done) {
  kept_usages* kept = self;
  (void)cursor;
  ++kept->pages;
  kept->done = done;
  return CELLROUTE_OK;
}

static cellroute_usage_sink* sink_for(kept_usages* kept) {
  cellroute_usage_sink* sink = NEW(cellroute_usage_sink);
  memset(kept, 0, sizeof *kept);
  sink->self = kept;
  sink->usage = keep_usage;
  sink->page = keep_page;
  return sink;
}

/* A host's store that grants what is wanted, or fails, or lies. */
typedef struct own_store {
  int settles;
  int released;
  int32_t answer;
  uint64_t too_many;
  int64_t settled;
  uint32_t kind;
} own_store;

static int32_t own_settle(void* self, const cellroute_fleet_limit* limit,
                          const cellroute_lease_order* orders, cellroute_lease_grant* grants,
                          uint64_t count, int64_t now_ns, cellroute_error* error) {
  own_store* own = self;
  uint64_t i;
  (void)error;
  ++own->settles;
  own->kind = limit->kind;
  CHECK_TEXT(limit->name, "requests");
  CHECK(now_ns >= NOW);
  if (own->answer != CELLROUTE_OK) return own->answer;
  for (i = 0; i < count; ++i) {
    CHECK(orders[i].requests == 6400 && orders[i].lasting_ns == 2 * SECOND);
    own->settled += orders[i].settled;
    grants[i].month = MONTH;
    grants[i].tokens = orders[i].wanted + own->too_many;
    grants[i].lasts_ns = orders[i].lasting_ns;
  }
  return CELLROUTE_OK;
}

static int32_t own_usages(void* self, const cellroute_view* limit, uint32_t month,
                          const cellroute_view* cursor, uint64_t most,
                          const cellroute_usage_sink* sink, cellroute_error* error) {
  const own_store* own = self;
  const cellroute_view keys[2] = {{"a", 1}, {"b", 1}};
  uint64_t i;
  (void)limit, (void)cursor, (void)error;
  CHECK(month == MONTH);
  for (i = 0; i < most + own->too_many && i < 2; ++i) {
    const int32_t code = sink->usage(sink->self, &keys[i], i + 1);
    if (code != CELLROUTE_OK) return code;
  }
  return sink->page(sink->self, &keys[0], 1);
}

static void own_release(void* self) { ++((own_store*)self)->released; }

static cellroute_lease_store* store_of(own_store* own) {
  cellroute_lease_store* store = NULL;
  cellroute_lease_calls* calls = NEW(cellroute_lease_calls);
  calls->settle = own_settle;
  calls->usages = own_usages;
  calls->release = own_release;
  CHECK_CODE(cellroute_lease_store_create(calls, own, &store, NULL), CELLROUTE_OK);
  free(calls);
  return store;
}

static cellroute_lease_store* memory(void) {
  cellroute_lease_store* store = NULL;
  CHECK_CODE(cellroute_lease_store_open(view_of("memory:"), &store, NULL), CELLROUTE_OK);
  return store;
}

static cellroute_router* router_with(uint32_t routers, cellroute_topology* topology) {
  cellroute_router* router = NULL;
  cellroute_router_options* options = NEW(cellroute_router_options);
  options->fleet_routers = routers;
  options->fleet_entries = 64;
  CHECK_CODE(cellroute_router_create(options, &router, NULL), CELLROUTE_OK);
  CHECK_CODE(cellroute_router_publish(router, topology, NULL, NULL), CELLROUTE_OK);
  free(options);
  return router;
}

static int served(cellroute_router* router, const char* key, int tries, uint32_t* reason) {
  cellroute_request* request = request_of(router, key);
  cellroute_decision* decision = NEW(cellroute_decision);
  int count = 0;
  while (tries-- > 0) {
    CHECK_CODE(cellroute_route(router, request, NOW, decision), CELLROUTE_OK);
    if (decision->status == CELLROUTE_STATUS_OK) ++count;
    *reason = decision->reason;
  }
  free(decision), free(request);
  return count;
}

static void options_are_checked(void) {
  cellroute_router* router = NULL;
  cellroute_router_options* options = NEW(cellroute_router_options);
  cellroute_router_options* first = new_struct(offsetof(cellroute_router_options, fleet_routers));
  options->fleet_routers = 65537;
  CHECK_CODE(cellroute_router_create(options, &router, NULL), CELLROUTE_E_INVALID_ARGUMENT);
  options->fleet_routers = 0;
  options->fleet_entries = 9;
  CHECK_CODE(cellroute_router_create(options, &router, NULL), CELLROUTE_E_INVALID_ARGUMENT);
  options->fleet_entries = 0;
  options->fleet_lease_ns = -1;
  CHECK_CODE(cellroute_router_create(options, &router, NULL), CELLROUTE_E_INVALID_ARGUMENT);
  CHECK_CODE(cellroute_router_create(first, &router, NULL), CELLROUTE_OK);
  cellroute_router_destroy(router);
  free(first), free(options);
}

static void arguments(void) {
  kept_usages kept;
  cellroute_usage_sink* sink = sink_for(&kept);
  cellroute_lease_store* store = memory();
  cellroute_lease_store* other = NULL;
  cellroute_fleet_keeper* keeper = NULL;
  cellroute_lease_calls* calls = NEW(cellroute_lease_calls);
  cellroute_error* error = NEW(cellroute_error);
  const cellroute_view name = view_of("requests");
  uint64_t used = 7;
  CHECK_CODE(cellroute_lease_store_open(view_of("redis://h"), &other, error),
             CELLROUTE_E_UNSUPPORTED);
  CHECK(strstr(error->text, "libcellroute-net") != NULL);
  CHECK_CODE(cellroute_lease_store_open(view_of("memory:"), NULL, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_lease_store_create(calls, NULL, &other, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_usage(store, name, view_of("k"), 202313, &used, NULL),
             CELLROUTE_E_INVALID_ARGUMENT);
  CHECK_CODE(cellroute_usage(store, view_of("a b"), view_of("k"), MONTH, &used, NULL),
             CELLROUTE_E_INVALID_ARGUMENT);
  CHECK_CODE(cellroute_usage(store, name, view_of("k"), MONTH, NULL, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_usage((cellroute_lease_store*)error, name, name, MONTH, &used, NULL),
             CELLROUTE_E_WRONG_HANDLE);
  CHECK_CODE(cellroute_usages(store, name, 0, no_view(), 5, sink, NULL),
             CELLROUTE_E_INVALID_ARGUMENT);
  CHECK_CODE(cellroute_usages(store, name, MONTH, no_view(), 0, sink, NULL),
             CELLROUTE_E_INVALID_ARGUMENT);
  CHECK_CODE(cellroute_usages(store, name, MONTH, no_view(), 5, NULL, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_usages(store, name, MONTH, bad_view(), 5, sink, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_fleet_keeper_create(NULL, store, &keeper, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_fleet_keeper_renew(NULL, NOW, NULL, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_fleet_keeper_release(NULL, NOW, NULL), CELLROUTE_E_NULL);
  CHECK(used == 7 && other == NULL && keeper == NULL);
  cellroute_lease_store_destroy(NULL);
  cellroute_fleet_keeper_destroy(NULL);
  cellroute_lease_store_destroy(store);
  free(error), free(calls), free(sink);
}

static void two_routers_share(cellroute_topology* topology) {
  kept_usages kept;
  cellroute_usage_sink* sink = sink_for(&kept);
  cellroute_lease_store* store = memory();
  cellroute_router* routers[2];
  cellroute_fleet_keeper* keepers[2];
  cellroute_fleet_keeper* another = NULL;
  uint32_t reason = 0;
  uint64_t used = 0;
  int64_t next = 0;
  int admitted = 0, round, i;
  for (i = 0; i < 2; ++i) {
    routers[i] = router_with(2, topology);
    CHECK_CODE(cellroute_fleet_keeper_create(routers[i], store, &keepers[i], NULL), CELLROUTE_OK);
  }
  CHECK_CODE(cellroute_fleet_keeper_create(routers[0], store, &another, NULL),
             CELLROUTE_E_CONFLICT);
  for (round = 0; round < 40; ++round) {
    for (i = 0; i < 2; ++i) {
      admitted += served(routers[i], "tenant", 400, &reason);
      CHECK_CODE(cellroute_fleet_keeper_renew(keepers[i], NOW, &next, NULL), CELLROUTE_OK);
      CHECK(next == NOW + SECOND / 2);
    }
  }
  CHECK(admitted >= 6400 && admitted <= 6400 + 2 * 100); /* and each one's first share */
  CHECK(served(routers[0], "tenant", 10, &reason) == 0 && reason == 404);
  CHECK_CODE(cellroute_usage(store, view_of("requests"), view_of("tenant"), MONTH, &used, NULL),
             CELLROUTE_OK);
  CHECK(used == (uint64_t)admitted);
  CHECK_CODE(cellroute_usages(store, view_of("requests"), MONTH, no_view(), 10, sink, NULL),
             CELLROUTE_OK);
  CHECK(kept.usages == 1 && kept.pages == 1 && kept.done == 1 && kept.used == used);
  CHECK(strcmp(kept.key, "tenant") == 0);
  kept.answer = CELLROUTE_E_REFUSED;
  CHECK_CODE(cellroute_usages(store, view_of("requests"), MONTH, no_view(), 10, sink, NULL),
             CELLROUTE_E_REFUSED);
  cellroute_lease_store_destroy(store); /* in any order */
  cellroute_router_destroy(routers[0]);
  for (i = 0; i < 2; ++i) {
    CHECK_CODE(cellroute_fleet_keeper_release(keepers[i], NOW, NULL), CELLROUTE_OK);
    cellroute_fleet_keeper_destroy(keepers[i]);
  }
  cellroute_router_destroy(routers[1]);
  free(sink);
}

static void a_host_has_its_own_store(cellroute_topology* topology) {
  own_store own = {0, 0, CELLROUTE_OK, 0, 0, 0};
  kept_usages kept;
  cellroute_usage_sink* sink = sink_for(&kept);
  cellroute_lease_store* store = store_of(&own);
  cellroute_router* router = router_with(4, topology);
  cellroute_fleet_keeper* keeper = NULL;
  cellroute_fleet_keeper* next_keeper = NULL;
  cellroute_error* error = NEW(cellroute_error);
  uint32_t reason = 0;
  uint64_t used = 0;
  int64_t next = 0;
  CHECK_CODE(cellroute_fleet_keeper_create(router, store, &keeper, NULL), CELLROUTE_OK);
  CHECK(served(router, "k", 200, &reason) == 50); /* a quarter's thirty-second */
  own.answer = CELLROUTE_E_UNAVAILABLE;
  CHECK_CODE(cellroute_fleet_keeper_renew(keeper, NOW, &next, error), CELLROUTE_E_UNAVAILABLE);
  CHECK(next == NOW + SECOND / 2 && own.settles == 1 && own.settled == 0);
  own.answer = 12345; /* none of its codes */
  CHECK_CODE(cellroute_fleet_keeper_renew(keeper, NOW, &next, NULL), CELLROUTE_E_UNAVAILABLE);
  own.answer = CELLROUTE_OK;
  CHECK_CODE(cellroute_fleet_keeper_renew(keeper, NOW, &next, NULL), CELLROUTE_OK);
  CHECK(own.settled == 50 && own.kind == CELLROUTE_FLEET_MONTHLY);
  CHECK(served(router, "k", 10, &reason) == 10);
  own.too_many = 1;
  CHECK(served(router, "k", 2000, &reason) > 0);
  CHECK_CODE(cellroute_fleet_keeper_renew(keeper, NOW, &next, NULL), CELLROUTE_E_UNAVAILABLE);
  CHECK_CODE(cellroute_usages(store, view_of("requests"), MONTH, no_view(), 1, sink, NULL),
             CELLROUTE_E_UNAVAILABLE);
  own.too_many = 0;
  CHECK_CODE(cellroute_usages(store, view_of("requests"), MONTH, no_view(), 2, sink, NULL),
             CELLROUTE_OK);
  CHECK(kept.usages == 2 && kept.used == 3 && kept.done == 1);
  CHECK_CODE(cellroute_usage(store, view_of("requests"), view_of("k"), MONTH, &used, error),
             CELLROUTE_E_UNSUPPORTED);
  cellroute_fleet_keeper_destroy(keeper);
  CHECK_CODE(cellroute_fleet_keeper_create(router, store, &next_keeper, NULL), CELLROUTE_OK);
  cellroute_lease_store_destroy(store);
  CHECK(own.released == 0);
  cellroute_fleet_keeper_destroy(next_keeper);
  CHECK(own.released == 1);
  cellroute_router_destroy(router);
  free(error), free(sink);
}

static void renew_in_child(void* keeper) {
  CHECK_CODE(cellroute_fleet_keeper_renew(keeper, NOW, NULL, NULL), CELLROUTE_E_FORKED);
  CHECK_CODE(cellroute_fleet_keeper_release(keeper, NOW, NULL), CELLROUTE_E_FORKED);
  cellroute_fleet_keeper_destroy(keeper);
  exit(failures);
}

static void a_child_keeps_nothing(cellroute_topology* topology) {
  cellroute_lease_store* store = memory();
  cellroute_router* router = router_with(1, topology);
  cellroute_fleet_keeper* keeper = NULL;
  CHECK_CODE(cellroute_fleet_keeper_create(router, store, &keeper, NULL), CELLROUTE_OK);
  CHECK(in_child(renew_in_child, keeper) == failures);
  CHECK_CODE(cellroute_fleet_keeper_renew(keeper, NOW, NULL, NULL), CELLROUTE_OK);
  cellroute_fleet_keeper_destroy(keeper);
  cellroute_router_destroy(router);
  cellroute_lease_store_destroy(store);
}

void fleet_test(void) {
  cellroute_topology* topology = topology_of(1, kPolicy);
  options_are_checked();
  arguments();
  two_routers_share(topology);
  a_host_has_its_own_store(topology);
  a_child_keeps_nothing(topology);
  cellroute_topology_destroy(topology);
}
