/* Whether a router may be sent requests. */
#include "tests.h"

static uint32_t reason_of(cellroute_router* router, int64_t max_age, int64_t now) {
  cellroute_readiness* readiness = NEW(cellroute_readiness);
  uint32_t reason = 0;
  CHECK_CODE(cellroute_router_readiness(router, max_age, now, readiness), CELLROUTE_OK);
  reason = readiness->reason;
  CHECK(readiness->ready == (reason == CELLROUTE_READY));
  CHECK(readiness->sentence.size > 0 &&
        strlen(readiness->sentence.data) == readiness->sentence.size);
  free(readiness);
  return reason;
}

static void by_age(void) {
  cellroute_topology* topology = topology_of(5, "");
  cellroute_router* router = router_of(NULL);
  cellroute_publish_options* options = NEW(cellroute_publish_options);
  cellroute_readiness* readiness = NEW(cellroute_readiness);
  CHECK(reason_of(router, 0, NOW) == CELLROUTE_READY_NO_SNAPSHOT);
  CHECK_CODE(cellroute_router_publish(router, topology, NULL, NULL), CELLROUTE_OK);
  CHECK(reason_of(router, 0, NOW) == CELLROUTE_READY);
  CHECK(reason_of(router, SECOND, NOW) == CELLROUTE_READY_AGE_UNKNOWN);
  CHECK_CODE(cellroute_publish_options_default(options, sizeof *options), CELLROUTE_OK);
  options->now_ns = NOW;
  CHECK_CODE(cellroute_router_publish(router, topology, options, NULL), CELLROUTE_OK);
  CHECK(reason_of(router, SECOND, NOW + SECOND) == CELLROUTE_READY);
  CHECK(reason_of(router, SECOND, NOW + SECOND + 1) == CELLROUTE_READY_TOO_OLD);
  CHECK(reason_of(router, SECOND, NOW - SECOND) == CELLROUTE_READY);
  CHECK_CODE(cellroute_router_readiness(router, 0, NOW + 3, readiness), CELLROUTE_OK);
  CHECK(readiness->generation == 5 && readiness->age_ns == 3);
  free(readiness), free(options);
  cellroute_topology_destroy(topology);
  cellroute_router_destroy(router);
}

/* A file that holds what serves is news of its kind; one that is refused is none. */
static void by_refreshing(void) {
  static const char kFile[] = "capi_readiness.yaml";
  cellroute_router* router = router_of(NULL);
  cellroute_publish_options* options = NEW(cellroute_publish_options);
  char* text = topology_text(5, "");
  FILE* file = fopen(kFile, "w");
  CHECK(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
  CHECK_CODE(cellroute_publish_options_default(options, sizeof *options), CELLROUTE_OK);
  options->now_ns = NOW;
  CHECK_CODE(cellroute_router_refresh(router, view_of(kFile), NULL, options, NULL), CELLROUTE_OK);
  options->now_ns = NOW + SECOND;
  CHECK_CODE(cellroute_router_refresh(router, view_of(kFile), NULL, options, NULL),
             CELLROUTE_UNCHANGED);
  CHECK(reason_of(router, SECOND, NOW + 2 * SECOND) == CELLROUTE_READY);
  CHECK(remove(kFile) == 0);
  options->now_ns = NOW + 9 * SECOND;
  CHECK_CODE(cellroute_router_refresh(router, view_of(kFile), NULL, options, NULL),
             CELLROUTE_E_NOT_FOUND);
  CHECK(reason_of(router, SECOND, NOW + 9 * SECOND) == CELLROUTE_READY_TOO_OLD);
  free(text), free(options);
  cellroute_router_destroy(router);
}

static void refused(void) {
  cellroute_router* router = serving(1, "");
  cellroute_readiness* readiness = NEW(cellroute_readiness);
  CHECK_CODE(cellroute_router_readiness(router, -1, NOW, readiness), CELLROUTE_E_INVALID_ARGUMENT);
  CHECK_CODE(cellroute_router_readiness(router, 0, NOW, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_router_readiness(NULL, 0, NOW, readiness), CELLROUTE_E_NULL);
  readiness->struct_size = 8;
  CHECK_CODE(cellroute_router_readiness(router, 0, NOW, readiness), CELLROUTE_E_STRUCT_SIZE);
  free(readiness);
  cellroute_router_destroy(router);
}

void readiness_test(void) {
  by_age();
  by_refreshing();
  refused();
}
