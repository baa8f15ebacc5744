/* loading LIBRARY COPY: the library comes and goes two hundred times; then two copies of it serve
 * in one process. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cellroute.h"

enum { kCycles = 200 };

static const char kText[] =
    "generation: 1\nhash_seed: 1\ncells: [{id: c, endpoint: 'https://c.test'}]\n"
    "policy: {slots: 1024}\n";

static void fail(const char* what) {
  fprintf(stderr, "%s\n", what);
  exit(1);
}

static void* load(const char* path) {
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) fail(dlerror());
  return library;
}

/* ISO C has no cast from an object's pointer to a function's. */
#define FUNCTION(library, name, type) \
  type name;                          \
  *(void**)&name = dlsym(library, "cellroute_" #name)

typedef int32_t load_call(cellroute_view, const cellroute_load_options*, cellroute_topology**,
                          cellroute_error*);
typedef int32_t create_call(const cellroute_router_options*, cellroute_router**, cellroute_error*);
typedef int32_t publish_call(cellroute_router*, const cellroute_topology*,
                             const cellroute_publish_options*, cellroute_error*);
typedef void topology_destroy_call(cellroute_topology*);
typedef void router_destroy_call(cellroute_router*);
typedef int32_t open_call(cellroute_view, const cellroute_store_options*, cellroute_store**,
                          cellroute_error*);
typedef void store_destroy_call(cellroute_store*);

/* Parsers, router and store: what has state of its own inside the library. */
static void use(void* library) {
  FUNCTION(library, topology_load, load_call*);
  FUNCTION(library, topology_destroy, topology_destroy_call*);
  FUNCTION(library, router_create, create_call*);
  FUNCTION(library, router_publish, publish_call*);
  FUNCTION(library, router_destroy, router_destroy_call*);
  FUNCTION(library, store_open, open_call*);
  FUNCTION(library, store_destroy, store_destroy_call*);
  cellroute_topology* topology = NULL;
  cellroute_router* router = NULL;
  cellroute_store* store = NULL;
  cellroute_router_options options;
  const cellroute_view text = {kText, sizeof kText - 1};
  const cellroute_view url = {"memory:", 7};
  memset(&options, 0, sizeof options);
  options.struct_size = sizeof options;
  options.limiter_entries = CELLROUTE_NO_LIMITER;
  if (topology_load(text, NULL, &topology, NULL) != CELLROUTE_OK) fail("topology_load");
  if (router_create(&options, &router, NULL) != CELLROUTE_OK) fail("router_create");
  if (router_publish(router, topology, NULL, NULL) != CELLROUTE_OK) fail("router_publish");
  if (store_open(url, NULL, &store, NULL) != CELLROUTE_OK) fail("store_open");
  store_destroy(store);
  router_destroy(router);
  topology_destroy(topology);
}

static int is_mapped(const char* name) {
  char line[4096];
  int found = 0;
  FILE* maps = fopen("/proc/self/maps", "r");
  if (maps == NULL) fail("/proc/self/maps");
  while (fgets(line, sizeof line, maps) != NULL) found = found || strstr(line, name) != NULL;
  fclose(maps);
  return found;
}

static long resident_pages(void) {
  long total = 0;
  long resident = 0;
  FILE* file = fopen("/proc/self/statm", "r");
  if (file == NULL || fscanf(file, "%ld %ld", &total, &resident) != 2) fail("/proc/self/statm");
  fclose(file);
  return resident;
}

static void copy(const char* from, const char* to) {
  char block[1 << 16];
  size_t count = 0;
  FILE* in = fopen(from, "rb");
  FILE* out = fopen(to, "wb");
  if (in == NULL || out == NULL) fail("cannot copy the library");
  while ((count = fread(block, 1, sizeof block, in)) > 0) fwrite(block, 1, count, out);
  fclose(in);
  if (fclose(out) != 0) fail("cannot copy the library");
}

int main(int argc, char** argv) {
  int i = 0;
  long before = 0;
  void* first;
  void* second;
  if (argc != 3) fail("usage: loading LIBRARY COPY");
  for (; i < kCycles; ++i) {
    first = load(argv[1]);
    use(first);
    if (dlclose(first) != 0) fail(dlerror());
    if (is_mapped("libcellroute")) fail("the library stays after dlclose");
    if (i == kCycles / 10) before = resident_pages();
  }
  printf("%d cycles, %ld pages resident, then %ld\n", kCycles, before, resident_pages());
  if (resident_pages() > before + before / 4) fail("every cycle leaves memory behind");
  copy(argv[1], argv[2]);
  first = load(argv[1]);
  second = load(argv[2]);
  use(first);
  use(second);
  if (dlsym(first, "cellroute_route") == dlsym(second, "cellroute_route")) fail("only one copy");
  dlclose(first);
  use(second);
  dlclose(second);
  remove(argv[2]);
  return 0;
}
