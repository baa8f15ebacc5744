/* Names, endpoints, labels and profiles through a held snapshot. */
#include "tests.h"

static void cells(cellroute_snapshot* snapshot) {
  static const char* const kIds[] = {"h-eu", "h-us", "r-eu", "r-us"};
  uint32_t index = 0;
  uint32_t number = 0;
  uint32_t found = 0;
  uint32_t count = 0;
  cellroute_cell* cell = NEW(cellroute_cell);
  CHECK_CODE(cellroute_snapshot_cell_count(snapshot, &count), CELLROUTE_OK);
  CHECK(count == 4);
  for (; index < count; ++index) {
    CHECK_CODE(cellroute_snapshot_cell_at(snapshot, index, &number), CELLROUTE_OK);
    CHECK_CODE(cellroute_snapshot_cell(snapshot, number, cell), CELLROUTE_OK);
    CHECK_TEXT(cell->id, kIds[index]);
    CHECK(cell->number == number && cell->id.data[cell->id.size] == '\0');
    CHECK_CODE(cellroute_snapshot_find_cell(snapshot, cell->id, &found), CELLROUTE_OK);
    CHECK(found == number);
  }
  CHECK_TEXT(cell->tier, "retail");
  CHECK_TEXT(cell->region, "us");
  CHECK_TEXT(cell->endpoint, "https://r-us.test");
  CHECK_TEXT(cell->encryption, "maximum");
  CHECK(cell->capacity == 100 && cell->weight == 1000 && cell->label_count == 2);
  CHECK(cell->certification_count == 2);
  CHECK_CODE(cellroute_snapshot_cell_at(snapshot, 0, &number), CELLROUTE_OK);
  CHECK_CODE(cellroute_snapshot_cell(snapshot, number, cell), CELLROUTE_OK);
  CHECK(cell->state == CELLROUTE_CELL_DRAINING && cell->certification_count == 0);
  CHECK_TEXT(cell->encryption, "standard");
  CHECK_CODE(cellroute_snapshot_cell_at(snapshot, 4, &number), CELLROUTE_E_NOT_FOUND);
  CHECK_CODE(cellroute_snapshot_cell(snapshot, CELLROUTE_NO_CELL, cell), CELLROUTE_E_NOT_FOUND);
  CHECK_CODE(cellroute_snapshot_find_cell(snapshot, view_of("x"), &found), CELLROUTE_E_NOT_FOUND);
  CHECK_CODE(cellroute_snapshot_find_cell(snapshot, bad_view(), &found), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_snapshot_find_cell(snapshot, view_of("x"), NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_snapshot_cell_at(snapshot, 0, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_snapshot_cell(snapshot, number, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_snapshot_cell_count(snapshot, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_snapshot_cell_count(NULL, &count), CELLROUTE_E_NULL);
  free(cell);
}

static void endpoints(cellroute_snapshot* snapshot, uint32_t cell) {
  cellroute_view endpoint;
  CHECK_CODE(cellroute_snapshot_endpoint(snapshot, cell, view_of("orders"), &endpoint),
             CELLROUTE_OK);
  CHECK_TEXT(endpoint, "https://orders.test");
  CHECK_CODE(cellroute_snapshot_endpoint(snapshot, cell, no_view(), &endpoint), CELLROUTE_OK);
  CHECK_TEXT(endpoint, "https://r-us.test");
  CHECK_CODE(cellroute_snapshot_endpoint(snapshot, 64, no_view(), &endpoint),
             CELLROUTE_E_NOT_FOUND);
  CHECK_CODE(cellroute_snapshot_endpoint(snapshot, cell, bad_view(), &endpoint), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_snapshot_endpoint(snapshot, cell, no_view(), NULL), CELLROUTE_E_NULL);
}

static void certifications(cellroute_snapshot* snapshot, uint32_t cell) {
  cellroute_view name;
  CHECK_CODE(cellroute_snapshot_certification_at(snapshot, cell, 0, &name), CELLROUTE_OK);
  CHECK_TEXT(name, "PCI-DSS");
  CHECK_CODE(cellroute_snapshot_certification_at(snapshot, cell, 1, &name), CELLROUTE_OK);
  CHECK_TEXT(name, "SOC2");
  CHECK_CODE(cellroute_snapshot_certification_at(snapshot, cell, 2, &name), CELLROUTE_E_NOT_FOUND);
  CHECK_CODE(cellroute_snapshot_certification_at(snapshot, 64, 0, &name), CELLROUTE_E_NOT_FOUND);
  CHECK_CODE(cellroute_snapshot_certification_at(snapshot, cell, 0, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_snapshot_certification_at(NULL, cell, 0, &name), CELLROUTE_E_NULL);
}

static void labels(cellroute_snapshot* snapshot, uint32_t cell) {
  char* const buffer = malloc(13);
  char* const long_key = malloc(1025);
  size_t size = 0;
  cellroute_view name;
  const cellroute_view schema = view_of("schema");
  const cellroute_view key = view_of("a/b");
  cellroute_view too_long;
  too_long.data = long_key;
  too_long.size = 1025;
  memset(long_key, 'a', 1025);
  CHECK_CODE(cellroute_snapshot_label_at(snapshot, cell, 0, &name), CELLROUTE_OK);
  CHECK_CODE(cellroute_snapshot_label_at(snapshot, cell, 2, &name), CELLROUTE_E_NOT_FOUND);
  CHECK_CODE(cellroute_snapshot_label_at(snapshot, cell, 0, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_snapshot_label_at(snapshot, 64, 0, &name), CELLROUTE_E_NOT_FOUND);
  CHECK_CODE(cellroute_snapshot_label(snapshot, cell, schema, key, NULL, 0, &size), CELLROUTE_OK);
  CHECK(size == 12);
  CHECK_CODE(cellroute_snapshot_label(snapshot, cell, schema, key, buffer, 12, &size),
             CELLROUTE_E_BUFFER);
  CHECK_CODE(cellroute_snapshot_label(snapshot, cell, schema, key, buffer, 13, &size),
             CELLROUTE_OK);
  CHECK(strcmp(buffer, "tenant_a%2Fb") == 0);
  CHECK_CODE(
      cellroute_snapshot_label(snapshot, cell, view_of("table"), no_view(), buffer, 13, &size),
      CELLROUTE_OK);
  CHECK(strcmp(buffer, "Orders-r-us") == 0);
  CHECK_CODE(cellroute_snapshot_label(snapshot, cell, schema, no_view(), buffer, 13, &size),
             CELLROUTE_E_INVALID_ARGUMENT);
  CHECK_CODE(cellroute_snapshot_label(snapshot, cell, schema, too_long, buffer, 13, &size),
             CELLROUTE_E_INVALID_ARGUMENT);
  CHECK_CODE(cellroute_snapshot_label(snapshot, cell, view_of("x"), key, buffer, 13, &size),
             CELLROUTE_E_NOT_FOUND);
  CHECK_CODE(cellroute_snapshot_label(snapshot, cell, schema, key, buffer, 13, NULL),
             CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_snapshot_label(snapshot, cell, schema, bad_view(), buffer, 13, &size),
             CELLROUTE_E_NULL);
  free(long_key);
  free(buffer);
}

/* A template that asks for the key so often that the text passes its bound. */
static void labels_are_bounded(void) {
  int i = 0;
  size_t size = 0;
  char key[1024];
  cellroute_view whole;
  cellroute_snapshot* snapshot = NULL;
  cellroute_topology* topology = NULL;
  cellroute_router* router;
  uint32_t cell = 0;
  const char* text =
      "generation: 1\nhash_seed: 1\ncells: [{id: c, endpoint: 'https://c.test', labels: {all: "
      "'{key}{key}{key}{key}{key}{key}{key}{key}{key}'}}]\npolicy: {slots: 1024}\n";
  CHECK_CODE(cellroute_topology_load(view_of(text), NULL, &topology, NULL), CELLROUTE_OK);
  router = router_of(topology);
  CHECK_CODE(cellroute_snapshot_hold(router, &snapshot, NULL), CELLROUTE_OK);
  CHECK_CODE(cellroute_snapshot_cell_at(snapshot, 0, &cell), CELLROUTE_OK);
  for (; i < 1024; ++i) key[i] = 'a';
  whole.data = key;
  whole.size = sizeof key;
  CHECK_CODE(cellroute_snapshot_label(snapshot, cell, view_of("all"), whole, NULL, 0, &size),
             CELLROUTE_E_REFUSED);
  whole.size = 900;
  CHECK_CODE(cellroute_snapshot_label(snapshot, cell, view_of("all"), whole, NULL, 0, &size),
             CELLROUTE_OK);
  CHECK(size == 8100);
  cellroute_snapshot_destroy(snapshot);
  cellroute_router_destroy(router);
  cellroute_topology_destroy(topology);
}

static void profiles(cellroute_router* router, cellroute_snapshot* snapshot) {
  cellroute_profile here;
  cellroute_profile there;
  cellroute_view flags[2];
  cellroute_error* error = NEW(cellroute_error);
  cellroute_profile_names* names = NEW(cellroute_profile_names);
  flags[0] = view_of("EU_RESIDENT");
  flags[1] = view_of("NO_SUCH_FLAG");
  names->tier = view_of("vip");
  names->region = view_of("eu");
  names->flags = flags;
  names->flag_count = 1;
  CHECK_CODE(cellroute_profile_resolve(snapshot, names, &here, error), CELLROUTE_OK);
  CHECK_CODE(cellroute_router_profile(router, names, &there, error), CELLROUTE_OK);
  CHECK(memcmp(&here, &there, sizeof here) == 0);
  CHECK(here.generation == 1 && here.tier == 1 && here.region == 1 && here.flags == 1);
  names->flag_count = 2;
  CHECK_CODE(cellroute_profile_resolve(snapshot, names, &here, error), CELLROUTE_E_UNKNOWN_NAME);
  CHECK(error->reason == 106);
  names->flag_count = 17;
  CHECK_CODE(cellroute_profile_resolve(snapshot, names, &here, error),
             CELLROUTE_E_INVALID_ARGUMENT);
  names->flag_count = 1;
  names->flags = NULL;
  CHECK_CODE(cellroute_profile_resolve(snapshot, names, &here, error), CELLROUTE_E_NULL);
  names->flag_count = 0;
  names->tier = view_of("none");
  CHECK_CODE(cellroute_router_profile(router, names, &here, error), CELLROUTE_E_UNKNOWN_NAME);
  CHECK(error->reason == 102);
  names->tier = bad_view();
  CHECK_CODE(cellroute_router_profile(router, names, &here, error), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_router_profile(router, NULL, &here, error), CELLROUTE_OK);
  CHECK_CODE(cellroute_router_profile(router, NULL, NULL, error), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_router_profile(NULL, NULL, &here, error), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_profile_resolve(NULL, NULL, &here, error), CELLROUTE_E_NULL);
  free(names);
  free(error);
}

/* A snapshot outlives what serves, and the router. */
static void held(void) {
  uint64_t generation = 0;
  cellroute_view endpoint;
  cellroute_snapshot* snapshot = NULL;
  cellroute_router* router = serving(1, "");
  cellroute_topology* next = topology_of(2, "");
  const uint32_t cell = number_of(router, "r-us");
  CHECK_CODE(cellroute_snapshot_hold(router, &snapshot, NULL), CELLROUTE_OK);
  CHECK_CODE(cellroute_router_publish(router, next, NULL, NULL), CELLROUTE_OK);
  cellroute_topology_destroy(next);
  cellroute_router_destroy(router);
  CHECK_CODE(cellroute_snapshot_generation(snapshot, &generation), CELLROUTE_OK);
  CHECK(generation == 1);
  CHECK_CODE(cellroute_snapshot_endpoint(snapshot, cell, no_view(), &endpoint), CELLROUTE_OK);
  CHECK_TEXT(endpoint, "https://r-us.test");
  CHECK_CODE(cellroute_snapshot_generation(snapshot, NULL), CELLROUTE_E_NULL);
  cellroute_snapshot_destroy(snapshot);
  cellroute_snapshot_destroy(NULL);
}

void snapshot_test(void) {
  cellroute_router* router = serving(1, "  unassigned: ASSIGN\n");
  cellroute_snapshot* snapshot = NULL;
  const uint32_t cell = number_of(router, "r-us");
  CHECK_CODE(cellroute_snapshot_hold(router, NULL, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_snapshot_hold(NULL, &snapshot, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_snapshot_hold(router, &snapshot, NULL), CELLROUTE_OK);
  cells(snapshot);
  endpoints(snapshot, cell);
  certifications(snapshot, cell);
  labels(snapshot, cell);
  labels_are_bounded();
  profiles(router, snapshot);
  cellroute_snapshot_destroy(snapshot);
  cellroute_router_destroy(router);
  held();
}
