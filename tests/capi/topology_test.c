/* Topologies: formats, files, writing. */
#include "tests.h"

static void formats(void) {
  uint64_t generation = 0;
  uint32_t cells = 0;
  size_t size = 0;
  uint32_t format = CELLROUTE_FORMAT_YAML;
  cellroute_topology* topology = topology_of(7, "");
  CHECK_CODE(cellroute_topology_generation(topology, &generation), CELLROUTE_OK);
  CHECK_CODE(cellroute_topology_cell_count(topology, &cells), CELLROUTE_OK);
  CHECK(generation == 7 && cells == 4);
  for (; format <= CELLROUTE_FORMAT_BINARY; ++format) {
    cellroute_topology* again = NULL;
    cellroute_load_options* options = NEW(cellroute_load_options);
    cellroute_view bytes;
    char* text;
    options->format = format;
    CHECK_CODE(cellroute_topology_write(topology, format, NULL, 0, &size, NULL), CELLROUTE_OK);
    text = malloc(size + 1);
    CHECK_CODE(cellroute_topology_write(topology, format, text, size, &size, NULL),
               CELLROUTE_E_BUFFER);
    CHECK_CODE(cellroute_topology_write(topology, format, text, size + 1, &size, NULL),
               CELLROUTE_OK);
    CHECK(text[size] == '\0');
    bytes.data = text;
    bytes.size = size;
    CHECK_CODE(cellroute_topology_load(bytes, options, &again, NULL), CELLROUTE_OK);
    CHECK_CODE(cellroute_topology_generation(again, &generation), CELLROUTE_OK);
    CHECK(generation == 7);
    cellroute_topology_destroy(again);
    free(options);
    free(text);
  }
  CHECK_CODE(cellroute_topology_write(topology, CELLROUTE_FORMAT_BY_NAME, NULL, 0, &size, NULL),
             CELLROUTE_E_INVALID_ARGUMENT);
  CHECK_CODE(cellroute_topology_write(topology, 9, NULL, 0, &size, NULL),
             CELLROUTE_E_INVALID_ARGUMENT);
  CHECK_CODE(cellroute_topology_write(topology, 1, NULL, 0, NULL, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_topology_write(NULL, 1, NULL, 0, &size, NULL), CELLROUTE_E_NULL);
  cellroute_topology_destroy(topology);
}

/* Its own text, since of the shared one's cells none has endpoints by resource. */
static void endpoints(void) {
  const char* text =
      "generation: 1\nhash_seed: 1\ncells:\n"
      "  - {id: b, endpoint: 'http://b', endpoints: {orders: 'http://o.b', pay: 'http://p.b'}}\n"
      "  - {id: a}\n";
  cellroute_topology* topology = NULL;
  cellroute_view resource, endpoint;
  CHECK_CODE(cellroute_topology_load(view_of(text), NULL, &topology, NULL), CELLROUTE_OK);
  CHECK_CODE(cellroute_topology_endpoint_at(topology, 0, 0, &resource, &endpoint), CELLROUTE_OK);
  CHECK(resource.size == 0 && endpoint.size == 0); /* of a, the first by id */
  CHECK_CODE(cellroute_topology_endpoint_at(topology, 0, 1, &resource, &endpoint),
             CELLROUTE_E_NOT_FOUND);
  CHECK_CODE(cellroute_topology_endpoint_at(topology, 1, 0, &resource, &endpoint), CELLROUTE_OK);
  CHECK(resource.size == 0);
  CHECK_TEXT(endpoint, "http://b");
  CHECK_CODE(cellroute_topology_endpoint_at(topology, 1, 2, &resource, &endpoint), CELLROUTE_OK);
  CHECK_TEXT(resource, "pay");
  CHECK_TEXT(endpoint, "http://p.b");
  CHECK_CODE(cellroute_topology_endpoint_at(topology, 1, 3, &resource, &endpoint),
             CELLROUTE_E_NOT_FOUND);
  CHECK_CODE(cellroute_topology_endpoint_at(topology, 2, 0, &resource, &endpoint),
             CELLROUTE_E_NOT_FOUND);
  CHECK_CODE(cellroute_topology_endpoint_at(topology, 0, 0, NULL, &endpoint), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_topology_endpoint_at(topology, 0, 0, &resource, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_topology_endpoint_at(NULL, 0, 0, &resource, &endpoint), CELLROUTE_E_NULL);
  cellroute_topology_destroy(topology);
}

static void files(void) {
  const char* path = "capi_topology.yaml";
  cellroute_topology* topology = NULL;
  cellroute_error* error = NEW(cellroute_error);
  cellroute_view with_nul = {"a\0b.yaml", 8};
  char* text = topology_text(3, "");
  FILE* file = fopen(path, "wb");
  fputs(text, file);
  fclose(file);
  CHECK_CODE(cellroute_topology_load_file(view_of(path), NULL, &topology, error), CELLROUTE_OK);
  cellroute_topology_destroy(topology);
  remove(path);
  CHECK_CODE(cellroute_topology_load_file(view_of(path), NULL, &topology, error),
             CELLROUTE_E_NOT_FOUND);
  CHECK(strstr(error->text, path) != NULL);
  CHECK_CODE(cellroute_topology_load_file(view_of("./x.yaml/y.yaml"), NULL, &topology, error),
             CELLROUTE_E_NOT_FOUND);
  CHECK_CODE(cellroute_topology_load_file(view_of("/.yaml"), NULL, &topology, error),
             CELLROUTE_E_NOT_FOUND);
  CHECK_CODE(cellroute_topology_load_file(with_nul, NULL, &topology, error),
             CELLROUTE_E_INVALID_ARGUMENT);
  CHECK_CODE(cellroute_topology_load_file(no_view(), NULL, &topology, error),
             CELLROUTE_E_INVALID_ARGUMENT);
  CHECK_CODE(cellroute_topology_load_file(bad_view(), NULL, &topology, error), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_topology_load_file(view_of(path), NULL, NULL, error), CELLROUTE_E_NULL);
  free(text);
  free(error);
}

static void unreadable_files(void) {
  cellroute_topology* topology = NULL;
  cellroute_load_options* options = NEW(cellroute_load_options);
  options->format = CELLROUTE_FORMAT_YAML;
  CHECK_CODE(cellroute_topology_load_file(view_of("."), options, &topology, NULL),
             CELLROUTE_E_UNAVAILABLE);
  free(options);
}

static void options(void) {
  cellroute_topology* topology = NULL;
  cellroute_load_options* given = NEW(cellroute_load_options);
  char* text = topology_text(1, "");
  given->name = view_of("cells.yaml");
  given->threads = 2;
  CHECK_CODE(cellroute_topology_load(view_of(text), given, &topology, NULL), CELLROUTE_OK);
  cellroute_topology_destroy(topology);
  given->format = 5;
  CHECK_CODE(cellroute_topology_load(view_of(text), given, &topology, NULL),
             CELLROUTE_E_INVALID_ARGUMENT);
  given->format = 0;
  given->reserved = 1;
  CHECK_CODE(cellroute_topology_load(view_of(text), given, &topology, NULL),
             CELLROUTE_E_INVALID_ARGUMENT);
  given->reserved = 0;
  given->threads = UINT32_MAX;
  CHECK_CODE(cellroute_topology_load(view_of(text), given, &topology, NULL),
             CELLROUTE_E_INVALID_ARGUMENT);
  given->threads = 0;
  given->name = bad_view();
  CHECK_CODE(cellroute_topology_load(view_of(text), given, &topology, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_topology_load(bad_view(), NULL, &topology, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_topology_load(no_view(), NULL, &topology, NULL),
             CELLROUTE_E_INVALID_ARGUMENT);
  free(text);
  free(given);
}

/* Sound, but over a bound that only compiling finds. */
static void bounds(void) {
  cellroute_topology* topology = NULL;
  char* text = topology_text(1, "  max_table_bytes: 1\n");
  CHECK_CODE(cellroute_topology_load(view_of(text), NULL, &topology, NULL), CELLROUTE_E_REFUSED);
  free(text);
}

static void handles(void) {
  uint64_t generation = 0;
  uint32_t count = 0;
  cellroute_topology* topology = topology_of(1, "");
  CHECK_CODE(cellroute_topology_generation(NULL, &generation), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_topology_generation(topology, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_topology_cell_count(NULL, &count), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_topology_cell_count(topology, NULL), CELLROUTE_E_NULL);
  CHECK_CODE(cellroute_snapshot_generation((const cellroute_snapshot*)topology, &generation),
             CELLROUTE_E_WRONG_HANDLE);
  cellroute_snapshot_destroy((cellroute_snapshot*)topology);
  CHECK_CODE(cellroute_topology_generation(topology, &generation), CELLROUTE_OK);
  cellroute_topology_destroy(topology);
  cellroute_topology_destroy(NULL);
}

void topology_test(void) {
  formats();
  endpoints();
  files();
  unreadable_files();
  options();
  bounds();
  handles();
}
