/* Every allocation of every call fails once, in turn: the call returns an error, leaves nothing
 * behind and changes nothing; then it succeeds. Parsers of topologies, which are others' code and
 * run before anything is changed, need only return an error. */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */
#include <errno.h>
#include <stddef.h>

#include "check.h"

/* glibc's own, under our malloc, which takes the place of the program's and the library's. */
extern void* __libc_malloc(size_t size);
extern void* __libc_calloc(size_t count, size_t size);
extern void* __libc_realloc(void* old, size_t size);
extern void* __libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void* memory);

static int armed;
static long until; /* allocations that succeed before the one that fails */
static long live;

static int refused(void) {
  if (!armed) return 0;
  if (until-- != 0) return 0;
  armed = 0;
  errno = ENOMEM;
  return 1;
}

static void* count_up(void* memory) {
  if (memory != NULL) ++live;
  return memory;
}

void* malloc(size_t size) { return refused() ? NULL : count_up(__libc_malloc(size)); }
void* calloc(size_t count, size_t size) {
  return refused() ? NULL : count_up(__libc_calloc(count, size));
}
void* realloc(void* old, size_t size) {
  if (refused()) return NULL;
  return old == NULL ? count_up(__libc_malloc(size)) : __libc_realloc(old, size);
}
void* memalign(size_t alignment, size_t size) {
  return refused() ? NULL : count_up(__libc_memalign(alignment, size));
}
void* aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }
int posix_memalign(void** memory, size_t alignment, size_t size) {
  *memory = memalign(alignment, size);
  return *memory != NULL ? 0 : ENOMEM;
}
void free(void* memory) {
  if (memory == NULL) return;
  --live;
  __libc_free(memory);
}

/* What the calls work on. */
static cellroute_topology* topology;
static cellroute_topology* next;
static cellroute_router* router;
static cellroute_snapshot* snapshot;
static cellroute_metrics* metrics;
static cellroute_store* store;
static cellroute_store* custom;
static cellroute_store* lmdb;
static cellroute_store* cached; /* in front of `store` */
static char lmdb_url[] = "lmdb:capi_allocation_XXXXXX";
static cellroute_view first_key;
static cellroute_record* put_record;
static cellroute_record* record;
static cellroute_request* request;
static cellroute_decision* decision;
static cellroute_mapping* mapping;
static cellroute_publish_options* options;
static cellroute_member* members;
static cellroute_error* error;
static cellroute_sink* sink;
static kept_record kept;
static char text[65536];
static size_t size;
static const char* strategy;

static int32_t create(void) {
  cellroute_router* made = NULL;
  const int32_t code = cellroute_router_create(NULL, &made, error);
  cellroute_router_destroy(made);
  return code;
}

static int32_t publish(void) {
  options->records = record;
  options->record_count = 1;
  options->mappings = custom;
  return cellroute_router_publish(router, next, options, error);
}

static int32_t hold(void) {
  cellroute_snapshot* held = NULL;
  const int32_t code = cellroute_snapshot_hold(router, &held, error);
  cellroute_snapshot_destroy(held);
  return code;
}

static int32_t resolve_profile(void) {
  cellroute_profile profile;
  const int32_t code = cellroute_router_profile(router, NULL, &profile, error);
  return code != CELLROUTE_OK ? code : cellroute_profile_resolve(snapshot, NULL, &profile, error);
}

static int32_t explain(void) {
  return cellroute_explain(router, request, NOW, text, sizeof text, &size, error);
}

static int32_t create_metrics(void) {
  cellroute_metrics* made = NULL;
  const int32_t code = cellroute_metrics_create(router, NULL, 0, &made, error);
  cellroute_metrics_destroy(made);
  return code;
}

static int32_t write_metrics(void) {
  return cellroute_metrics_write(metrics, router, NULL, NOW, text, sizeof text, &size, error);
}

static int32_t observe_decision(void) {
  static cellroute_outcome outcome = {sizeof outcome, 0, 200, 0};
  return cellroute_metrics_observe(metrics, 0, decision, &outcome, SECOND);
}

static int32_t readiness(void) {
  static cellroute_readiness ready = {sizeof ready, 0, 0, 0, 0, 0, {NULL, 0}};
  return cellroute_router_readiness(router, 0, NOW, &ready);
}

static int32_t write_emf(void) {
  return cellroute_emf_write(snapshot, NULL, decision, NULL, 0, NOW, text, sizeof text, &size,
                             error);
}

static int32_t open_store(void) {
  cellroute_store* made = NULL;
  const int32_t code = cellroute_store_open(view_of("memory:"), NULL, &made, error);
  cellroute_store_destroy(made);
  return code;
}

static int32_t get_one(void* self, const cellroute_view* key, int64_t now_ns,
                       const cellroute_sink* to, cellroute_error* failure) {
  (void)self, (void)now_ns, (void)failure;
  if (key->size != record->key.size) return CELLROUTE_OK;
  return to->record(to->self, record);
}

static int32_t put_one(void* self, const cellroute_record* given, uint64_t expected,
                       cellroute_error* failure) {
  (void)self, (void)given, (void)expected, (void)failure;
  return CELLROUTE_OK;
}

static int32_t scan_one(void* self, const cellroute_view* cursor, uint64_t limit, int64_t now_ns,
                        const cellroute_sink* to, cellroute_error* failure) {
  const int32_t code = to->record(to->self, record);
  (void)self, (void)limit, (void)now_ns, (void)failure;
  return code != CELLROUTE_OK ? code : to->page(to->self, cursor, 1);
}

static int32_t create_store(void) {
  cellroute_store* made = NULL;
  cellroute_store_calls calls;
  int32_t code;
  memset(&calls, 0, sizeof calls);
  calls.struct_size = sizeof calls;
  calls.get = get_one;
  calls.put_if = put_one;
  calls.scan = scan_one;
  code = cellroute_store_create(&calls, NULL, &made, error);
  if (custom == NULL) {
    custom = made;
  } else {
    cellroute_store_destroy(made);
  }
  return code;
}

static int32_t get(void) { return cellroute_store_get(store, record->key, NOW, sink, error); }
static int32_t get_custom(void) {
  return cellroute_store_get(custom, record->key, NOW, sink, error);
}
static int32_t put(void) { return cellroute_store_put_if(custom, record, 0, NOW, NULL, error); }
/* A key's first three revisions, then the next key. */
static int32_t put_into(cellroute_store* into) {
  static unsigned keys;
  static uint64_t revision;
  char key[64];
  int32_t code;
  snprintf(key, sizeof key, "a-key-too-long-to-lie-in-a-string-itself-%u", keys);
  put_record->key = view_of(key);
  code = cellroute_store_put_if(into, put_record, revision, NOW, &revision, error);
  if (code != CELLROUTE_OK || revision < 3) return code;
  revision = 0;
  ++keys;
  return code;
}
static int32_t put_memory(void) { return put_into(store); }
static int32_t put_cached(void) { return put_into(cached); }
static int32_t get_cached(void) { return cellroute_store_get(cached, first_key, NOW, sink, error); }
static int32_t miss_cached(void) {
  (void)cellroute_store_invalidate(cached, first_key, NULL);
  return get_cached();
}
static int32_t observe(void) {
  ++put_record->revision;
  return cellroute_store_observe(cached, put_record, error);
}
static int32_t create_cached(void) {
  cellroute_store* made = NULL;
  const int32_t code = cellroute_store_cached(store, NULL, &made, error);
  cellroute_store_destroy(made);
  return code;
}
static int32_t put_lmdb(void) { return put_into(lmdb); }
static int32_t get_lmdb(void) { return cellroute_store_get(lmdb, first_key, NOW, sink, error); }
static int32_t scan_lmdb(void) {
  return cellroute_store_scan(lmdb, no_view(), 9, NOW, sink, error);
}
static int32_t open_lmdb(void) {
  cellroute_store* made = NULL;
  const int32_t code = cellroute_store_open(view_of(lmdb_url), NULL, &made, error);
  cellroute_store_destroy(made);
  return code;
}
static int32_t scan(void) { return cellroute_store_scan(store, no_view(), 9, NOW, sink, error); }
static int32_t scan_custom(void) {
  return cellroute_store_scan(custom, no_view(), 9, NOW, sink, error);
}
static int32_t resolve(void) {
  return cellroute_resolve(router, custom, record->key, NOW, mapping, error);
}
static int32_t assign(void) {
  return cellroute_assign(router, custom, request, NULL, NOW, mapping, decision, error);
}

static int32_t create_picker(void) {
  cellroute_picker* made = NULL;
  const int32_t code = cellroute_picker_create(view_of(strategy), members, 3, NULL, &made, error);
  cellroute_picker_destroy(made);
  return code;
}

static int32_t path_of_a_request(void) {
  static cellroute_outcome outcome = {sizeof outcome, 0, 200, 0};
  int32_t code = cellroute_route(router, request, NOW, decision);
  if (code != CELLROUTE_OK) return code;
  code = cellroute_report(router, &decision->ticket, &outcome, NOW);
  return code != CELLROUTE_OK ? code : cellroute_locate(router, request, NOW, decision);
}

static uint64_t generation(void) {
  uint64_t serving_now = 0;
  cellroute_snapshot* held = NULL;
  CHECK_CODE(cellroute_snapshot_hold(router, &held, NULL), CELLROUTE_OK);
  CHECK_CODE(cellroute_snapshot_generation(held, &serving_now), CELLROUTE_OK);
  cellroute_snapshot_destroy(held);
  return serving_now;
}

enum allocations {
  kNone,
  kSome,
  kSpare, /* some that it can do without, for sorting */
  kKept   /* some that stay for later calls */
};

/* The number of allocations that were made to fail. */
static void exhaust(const char* name, int32_t (*call)(void), enum allocations expected) {
  long failed = 0;
  const uint64_t before = generation();
  for (;; ++failed) {
    const long was_live = live;
    int32_t code;
    until = failed;
    armed = 1;
    code = call();
    if (armed) { /* there is no allocation of that number: the call went through */
      armed = 0;
      CHECK(code >= 0);
      break;
    }
    if ((code >= 0 && expected != kSpare) || code <= CELLROUTE_FATAL) {
      ++failures;
      fprintf(stderr, "%s: allocation %ld failed, and it gave %s\n", name, failed,
              cellroute_code_name(code));
    }
    if (live != was_live && expected != kKept) {
      ++failures;
      fprintf(stderr, "%s: allocation %ld failed, and left %ld behind\n", name, failed,
              live - was_live);
    }
    CHECK(generation() == before);
  }
  printf("%-20s %ld allocations\n", name, failed);
  CHECK((failed == 0) == (expected == kNone));
}

static void prepare(void) {
  int i = 0;
  static const char* const kIds[] = {"a", "b", "c"};
  topology = topology_of(1, "  unassigned: ASSIGN\n");
  next = topology_of(2, "  unassigned: ASSIGN\n");
  router = router_of(topology);
  record = record_of("a-key-too-long-to-lie-in-a-string-itself", "r-us", 1);
  record->revision = 1;
  request = request_of(router, "another-key-too-long-to-lie-in-a-string");
  decision = NEW(cellroute_decision);
  mapping = NEW(cellroute_mapping);
  error = NEW(cellroute_error);
  options = NEW(cellroute_publish_options);
  cellroute_publish_options_default(options, sizeof *options);
  sink = sink_into(&kept);
  members = calloc(3, sizeof *members);
  for (; i < 3; ++i) {
    members[i].struct_size = sizeof *members;
    members[i].id = view_of(kIds[i]);
  }
  CHECK_CODE(cellroute_store_open(view_of("memory:"), NULL, &store, NULL), CELLROUTE_OK);
  CHECK_CODE(cellroute_snapshot_hold(router, &snapshot, NULL), CELLROUTE_OK);
}

static void remove_lmdb(void) {
  static const char* const kFiles[] = {"data.mdb", "lock.mdb", "writer.lock", ""};
  char path[64];
  size_t i = 0;
  for (; i < sizeof kFiles / sizeof kFiles[0]; ++i) {
    snprintf(path, sizeof path, "%s/%s", lmdb_url + 5, kFiles[i]);
    CHECK(remove(path) == 0);
  }
}

/* Long enough for every table to grow. */
static void stores(void) {
  int i = 0;
  first_key = view_of("a-key-too-long-to-lie-in-a-string-itself-0");
  put_record = record_of("", "r-us", 1);
  for (; i < 60; ++i) exhaust("store_put_if, memory", put_memory, kSome);
  exhaust("store_cached", create_cached, kSome);
  CHECK_CODE(cellroute_store_cached(store, NULL, &cached, NULL), CELLROUTE_OK);
  for (i = 0; i < 60; ++i) exhaust("store_put_if, cached", put_cached, kKept);
  exhaust("store_get, a miss", miss_cached, kKept);
  exhaust("store_get, a hit", get_cached, kSome);
  put_record->key = first_key;
  put_record->revision = 3;
  exhaust("store_observe", observe, kSome);
  cellroute_store_destroy(cached);
  if (mkdtemp(lmdb_url + 5) == NULL) abort();
  exhaust("store_open, lmdb", open_lmdb, kKept);
  CHECK_CODE(cellroute_store_open(view_of(lmdb_url), NULL, &lmdb, NULL), CELLROUTE_OK);
  for (i = 0; i < 60; ++i) exhaust("store_put_if, lmdb", put_lmdb, kKept);
  exhaust("store_get, lmdb", get_lmdb, kKept);
  exhaust("store_scan, lmdb", scan_lmdb, kKept);
  cellroute_store_destroy(lmdb);
  remove_lmdb();
}

static void pickers(void) {
  static const char* const kNames[] = {"rendezvous-slots", "rendezvous", "ring",
                                       "maglev",           "jump",       "modulo",
                                       "md5-modulo",       "ketama",     "ketama-nginx"};
  size_t i = 0;
  for (; i < sizeof kNames / sizeof kNames[0]; ++i) {
    strategy = kNames[i];
    exhaust(strategy, create_picker, kSpare);
  }
}

int main(void) {
  prepare();
  exhaust("router_create", create, kSome);
  exhaust("snapshot_hold", hold, kSome);
  exhaust("profile", resolve_profile, kNone);
  exhaust("route and report", path_of_a_request, kNone);
  exhaust("explain", explain, kSome);
  exhaust("metrics_create", create_metrics, kSome);
  CHECK_CODE(cellroute_metrics_create(router, NULL, 0, &metrics, NULL), CELLROUTE_OK);
  exhaust("metrics_observe", observe_decision, kNone);
  exhaust("metrics_write", write_metrics, kSome);
  exhaust("readiness", readiness, kNone);
  exhaust("emf_write", write_emf, kSome);
  cellroute_metrics_destroy(metrics);
  exhaust("store_open", open_store, kSome);
  exhaust("store_create", create_store, kSome);
  exhaust("store_put_if", put, kSome);
  exhaust("store_get", get, kNone);
  exhaust("store_get, custom", get_custom, kSome);
  exhaust("store_scan", scan, kSome);
  exhaust("store_scan, custom", scan_custom, kSome);
  exhaust("resolve", resolve, kSome);
  CHECK_CODE(assign(), CELLROUTE_OK); /* makes the cap, which stays */
  exhaust("assign", assign, kSome);
  stores();
  pickers();
  exhaust("router_publish", publish, kSome);
  CHECK(generation() == 2);
  return failures == 0 ? 0 : 1;
}
