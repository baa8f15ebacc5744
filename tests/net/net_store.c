/* A store of libcellroute-net through libcellroute's interface: net_store URL. Exits with 0, or
 * prints what does not hold. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cellroute_net.h"

static int failures;

#define CHECK(holds)                                 \
  do {                                               \
    if (!(holds)) {                                  \
      fprintf(stderr, "%d: %s\n", __LINE__, #holds); \
      ++failures;                                    \
    }                                                \
  } while (0)

static cellroute_view view(const char* text) {
  cellroute_view made = {text, strlen(text)};
  return made;
}

/* The last record that came, and how many. */
struct seen {
  int records;
  int pages;
  uint64_t revision;
  char cell[129];
};

static int32_t take(void* self, const cellroute_record* record) {
  struct seen* seen = self;
  ++seen->records;
  seen->revision = record->revision;
  memcpy(seen->cell, record->cell.data, record->cell.size);
  seen->cell[record->cell.size] = '\0';
  return CELLROUTE_OK;
}

static int32_t end(void* self, const cellroute_view* cursor, uint32_t done) {
  struct seen* seen = self;
  (void)cursor;
  seen->pages += (int)done;
  return CELLROUTE_OK;
}

static cellroute_router* monthly_router(void) {
  static const char kTopology[] =
      "generation: 1\n"
      "cells: [{id: a}]\n"
      "policy: {limits: [{scope: FLEET, kind: MONTHLY, name: calls, requests: 32000}]}\n";
  cellroute_topology* topology = NULL;
  cellroute_router* router = NULL;
  CHECK(cellroute_topology_load(view(kTopology), NULL, &topology, NULL) == CELLROUTE_OK);
  CHECK(cellroute_router_create(NULL, &router, NULL) == CELLROUTE_OK);
  CHECK(cellroute_router_publish(router, topology, NULL, NULL) == CELLROUTE_OK);
  cellroute_topology_destroy(topology);
  return router;
}

static uint64_t served(cellroute_router* router, int tries, int64_t now_ns) {
  cellroute_request request = {0};
  cellroute_decision decision = {0};
  uint64_t count = 0;
  request.struct_size = sizeof request;
  decision.struct_size = sizeof decision;
  request.key = view("tenant");
  CHECK(cellroute_router_profile(router, NULL, &request.profile, NULL) == CELLROUTE_OK);
  for (; tries > 0; --tries) {
    CHECK(cellroute_route(router, &request, now_ns, &decision) == CELLROUTE_OK);
    if (decision.status == CELLROUTE_STATUS_OK) ++count;
  }
  return count;
}

static int32_t take_usage(void* self, const cellroute_view* key, uint64_t used) {
  uint64_t* sum = self;
  CHECK(key->size == 6 && memcmp(key->data, "tenant", 6) == 0);
  *sum += used;
  return CELLROUTE_OK;
}

static void leases(const char* url) {
  cellroute_lease_store* store = NULL;
  cellroute_fleet_keeper* keeper = NULL;
  cellroute_router* router = monthly_router();
  const time_t clock = time(NULL);
  const struct tm* utc = gmtime(&clock);
  const uint32_t month = (uint32_t)(utc->tm_year + 1900) * 100 + (uint32_t)utc->tm_mon + 1;
  const int64_t now_ns = (int64_t)clock * 1000000000;
  uint64_t spent = 0, used = 0, listed = 0;
  cellroute_usage_sink sink = {0};
  sink.struct_size = sizeof sink;
  sink.self = &listed;
  sink.usage = take_usage;
  CHECK(cellroute_net_lease_store_open(view("rediss://h"), NULL, &store, NULL) ==
        CELLROUTE_E_UNSUPPORTED);
  CHECK(cellroute_net_lease_store_open(view("dynamodb://t"), NULL, &store, NULL) < 0);
  CHECK(cellroute_net_lease_store_open(view(url), NULL, NULL, NULL) == CELLROUTE_E_NULL);
  CHECK(cellroute_net_lease_store_open(view(url), NULL, &store, NULL) == CELLROUTE_OK);
  CHECK(cellroute_fleet_keeper_create(router, store, &keeper, NULL) == CELLROUTE_OK);
  spent += served(router, 40, now_ns);
  CHECK(cellroute_fleet_keeper_renew(keeper, now_ns, NULL, NULL) == CELLROUTE_OK);
  spent += served(router, 60, now_ns);
  CHECK(cellroute_fleet_keeper_release(keeper, now_ns, NULL) == CELLROUTE_OK);
  CHECK(spent == 100);
  CHECK(cellroute_usage(store, view("calls"), view("tenant"), month, &used, NULL) == CELLROUTE_OK);
  CHECK(cellroute_usages(store, view("calls"), month, view(""), 10, &sink, NULL) == CELLROUTE_OK);
  CHECK(listed == used);
  CHECK(used == spent || time(NULL) / 86400 != clock / 86400);
  cellroute_lease_store_destroy(store);
  cellroute_fleet_keeper_destroy(keeper);
  cellroute_router_destroy(router);
}

int main(int argc, char** argv) {
  cellroute_error error = {0};
  error.struct_size = sizeof error;
  cellroute_store* store = NULL;
  cellroute_net_options options = {0};
  options.struct_size = sizeof options;
  options.timeout_ns = 20000000000;
  if (argc != 2) return 2;

  CHECK(cellroute_net_store_open(view("lmdb:x"), NULL, &store, &error) ==
        CELLROUTE_E_INVALID_ARGUMENT);
  CHECK(cellroute_net_store_open(view("redis://:secret@"), NULL, &store, &error) ==
        CELLROUTE_E_INVALID_ARGUMENT);
  CHECK(strstr(error.text, "secret") == NULL);
  CHECK(cellroute_net_store_open(view(argv[1]), NULL, NULL, &error) == CELLROUTE_E_NULL);
  options.open_existing = 1;
  CHECK(cellroute_net_store_open(view(argv[1]), &options, &store, &error) == CELLROUTE_E_NOT_FOUND);
  options.open_existing = 2;
  CHECK(cellroute_net_store_open(view(argv[1]), &options, &store, &error) ==
        CELLROUTE_E_INVALID_ARGUMENT);
  options.open_existing = 0;
  CHECK(cellroute_net_store_open(view(argv[1]), &options, &store, &error) == CELLROUTE_OK);
  if (store == NULL) return 1;

  uint32_t capabilities = 0;
  CHECK(cellroute_store_capabilities(store, &capabilities) == CELLROUTE_OK);
  CHECK(capabilities == (CELLROUTE_STORE_LOSES_ACKNOWLEDGED | CELLROUTE_STORE_SHARED));

  struct seen seen = {0};
  cellroute_sink sink = {0};
  sink.struct_size = sizeof sink;
  sink.self = &seen;
  sink.record = take;
  sink.page = end;
  CHECK(cellroute_store_get(store, view("tenant"), 1, &sink, &error) == CELLROUTE_ABSENT);
  CHECK(seen.records == 0);

  cellroute_record record = {0};
  record.struct_size = sizeof record;
  record.key = view("tenant");
  record.cell = view("cell-a");
  record.epoch = 1;
  record.op_id[0] = 1;
  uint64_t revision = 0;
  CHECK(cellroute_store_put_if(store, &record, 0, 1, &revision, &error) == CELLROUTE_OK);
  CHECK(revision == 1);
  record.op_id[0] = 2;
  CHECK(cellroute_store_put_if(store, &record, 0, 1, &revision, &error) == CELLROUTE_E_CONFLICT);
  record.cell = view("cell-b");
  CHECK(cellroute_store_put_if(store, &record, 1, 1, &revision, &error) == CELLROUTE_E_REFUSED);
  record.epoch = 2;
  CHECK(cellroute_store_put_if(store, &record, 1, 1, &revision, &error) == CELLROUTE_OK);

  CHECK(cellroute_store_get(store, view("tenant"), 1, &sink, &error) == CELLROUTE_OK);
  CHECK(seen.records == 1 && seen.revision == 2 && strcmp(seen.cell, "cell-b") == 0);
  CHECK(cellroute_store_scan(store, view(""), 10, 1, &sink, &error) == CELLROUTE_OK);
  CHECK(seen.records == 2 && seen.pages == 1);
  cellroute_store_destroy(store);
  leases(argv[1]);
  return failures == 0 ? 0 : 1;
}
