/* New topologies and mappings: a timer asks a thread of nginx's pool to look, and what it finds is
 * loaded, resolved and published there. A refused one is logged once and changes nothing. */
#include "module.h"

/* By what a file is known to be another one than before. */
typedef struct {
  ngx_file_uniq_t inode;
  off_t size;
  struct timespec modified;
} stamp_t;

/* What the thread is given and gives back: nothing else is touched by both at a time. */
typedef struct {
  stamp_t topology, mappings; /* as they were last read */
  cellroute_topology* loaded; /* newer than what serves */
  ngx_uint_t topology_new;
  ngx_uint_t mappings_new; /* not published yet */
  ngx_uint_t mappings_published;
  ngx_uint_t failures;
  const char* subject[2]; /* what failed */
  cellroute_error error[2];
} look_t;

static ngx_event_t timer;
static ngx_thread_task_t* task;
static look_t look;

static ngx_uint_t changed(const char* path, stamp_t* before) {
  ngx_file_info_t info;
  stamp_t now;
  ngx_memzero(&now, sizeof now);
  if (ngx_file_info(path, &info) != NGX_FILE_ERROR) {
    now.inode = ngx_file_uniq(&info);
    now.size = ngx_file_size(&info);
    now.modified = info.st_mtim;
  }
  const ngx_uint_t differs = ngx_memcmp(&now, before, sizeof now) != 0;
  *before = now;
  return differs;
}

static void note(const char* subject, const cellroute_error* error) {
  if (look.failures == 2) return;
  look.subject[look.failures] = subject;
  look.error[look.failures++] = *error;
}

/* Without its mappings a topology would send their keys elsewhere: it does not serve before. */
static ngx_uint_t mappings_changed(void) {
  cellroute_error error = {.struct_size = sizeof error};
  u_char path[NGX_MAX_PATH];
  const u_char* place = cr_worker.conf->mappings.data + 5;
  const ngx_uint_t lmdb = ngx_strncmp(cr_worker.conf->mappings.data, "lmdb:", 5) == 0;
  const ngx_uint_t opened = cr_worker.store != NULL;
  ngx_snprintf(path, sizeof path, lmdb ? "%s/data.mdb%Z" : "%s%Z", place);
  if (opened && lmdb) return changed((const char*)path, &look.mappings);
  const int32_t code =
      opened ? cellroute_store_refresh(cr_worker.store, &error) : cr_worker_open_mappings(&error);
  if (code == CELLROUTE_OK || code == CELLROUTE_UNCHANGED) {
    ngx_memzero(&look.mappings, sizeof look.mappings);
    return code == CELLROUTE_OK;
  }
  /* It fails as long as the file stays: told once a file. */
  if (changed((const char*)path, &look.mappings)) note("mappings", &error);
  return 0;
}

/* The bytes of a topology, which equal ones share; NULL without memory. */
static char* bytes_of(const cellroute_topology* topology, size_t* size) {
  if (cellroute_topology_write(topology, CELLROUTE_FORMAT_BINARY, NULL, 0, size, NULL) !=
      CELLROUTE_OK) {
    return NULL;
  }
  char* bytes = malloc(*size + 1);
  if (bytes != NULL && cellroute_topology_write(topology, CELLROUTE_FORMAT_BINARY, bytes, *size + 1,
                                                size, NULL) != CELLROUTE_OK) {
    free(bytes);
    return NULL;
  }
  return bytes;
}

/* Whether it is what serves, read once more. Another one of the same generation is not, and the
 * library will say what is wrong with it. */
static ngx_uint_t serves(const cellroute_topology* loaded) {
  uint64_t generation = 0, serving = 0;
  size_t size = 0, serving_size = 0;
  if (cr_worker.topology == NULL) return 0;
  cellroute_topology_generation(loaded, &generation);
  cellroute_topology_generation(cr_worker.topology, &serving);
  if (generation != serving) return 0;
  char* bytes = bytes_of(loaded, &size);
  char* serving_bytes = bytes_of(cr_worker.topology, &serving_size);
  const ngx_uint_t same = bytes != NULL && serving_bytes != NULL && size == serving_size &&
                          ngx_memcmp(bytes, serving_bytes, size) == 0;
  free(bytes);
  free(serving_bytes);
  return same;
}

static cellroute_topology* load(void) {
  cellroute_error error = {.struct_size = sizeof error};
  cellroute_topology* loaded = NULL;
  const ngx_str_t* path = &cr_worker.conf->topology;
  if (!changed((const char*)path->data, &look.topology)) return NULL;
  if (cellroute_topology_load_file(cr_view_of(path), NULL, &loaded, &error) != CELLROUTE_OK) {
    note("topology", &error);
  } else if (serves(loaded)) {
    cellroute_topology_destroy(loaded);
    loaded = NULL;
  }
  return loaded;
}

/* Its addresses stand ready before the first request can be routed by it. */
static ngx_int_t publish_loaded(ngx_log_t* log) {
  cellroute_error error = {.struct_size = sizeof error};
  cr_addresses_t* addresses = cr_addresses_create(look.loaded, log);
  if (addresses == NULL) return NGX_ERROR;
  cr_addresses_release(__atomic_exchange_n(&cr_worker.incoming, addresses, __ATOMIC_ACQ_REL));
  if (cr_worker_publish(look.loaded, 1, &error) == NGX_OK) return NGX_OK;
  cr_addresses_release(__atomic_exchange_n(&cr_worker.incoming, NULL, __ATOMIC_ACQ_REL));
  note("topology", &error);
  if (error.code == CELLROUTE_E_UNAVAILABLE) ngx_memzero(&look.topology, sizeof look.topology);
  return NGX_ERROR;
}

static void publish_mappings(void) {
  cellroute_error error = {.struct_size = sizeof error};
  const cellroute_topology* topology = cr_worker.topology;
  if (topology == NULL) topology = cr_worker.conf->checked;
  look.mappings_published = cr_worker_publish(topology, 1, &error) == NGX_OK;
  look.mappings_new = error.code == CELLROUTE_E_UNAVAILABLE; /* next time */
  if (!look.mappings_published) note("mappings", &error);
}

static void refresh_task(void* data, ngx_log_t* log) {
  const ngx_uint_t mapped = cr_worker.conf->mappings.len != 0;
  if (mapped && mappings_changed()) look.mappings_new = 1;
  if (mapped && cr_worker.store == NULL) return;
  look.loaded = load();
  look.topology_new = look.loaded != NULL && publish_loaded(log) == NGX_OK;
  if (look.topology_new) look.mappings_new = 0;
  if (look.mappings_new) publish_mappings();
}

static void tell(void) {
  for (ngx_uint_t i = 0; i < look.failures; ++i) {
    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "cellroute: the %s is refused, the last good one serves on: %s", look.subject[i],
                  look.error[i].text);
  }
  look.failures = 0;
  if (look.topology_new) {
    ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0, "cellroute: topology of generation %uL serves",
                  cr_worker.view->generation);
  }
}

static void again(void) {
  const ngx_msec_t beat = cr_worker.conf->refresh;
  /* Workers that look at the same moment would load at the same moment. */
  ngx_add_timer(&timer, beat - beat / 4 + (ngx_msec_t)ngx_random() % (beat / 2 + 1));
}

static void refreshed(ngx_event_t* event) {
  if (look.topology_new) {
    cellroute_topology_destroy(cr_worker.refreshed);
    cr_worker.refreshed = look.loaded;
  } else {
    cellroute_topology_destroy(look.loaded);
  }
  if (look.topology_new || look.mappings_published) cr_worker_renew_view();
  tell();
  look.loaded = NULL;
  look.topology_new = look.mappings_published = 0;
  again();
}

static void ask(ngx_event_t* event) {
  if (ngx_thread_task_post(cr_worker.conf->threads, task) != NGX_OK) again();
}

ngx_int_t cr_refresh_start(ngx_cycle_t* cycle) {
  uint64_t generation = 0;
  if (cr_worker.topology != NULL) {
    cellroute_topology_generation(cr_worker.topology, &generation);
    cr_worker_view(generation);
  }
  ngx_memzero(&look, sizeof look);
  task = ngx_thread_task_alloc(cycle->pool, 0);
  if (task == NULL) return NGX_ERROR;
  task->handler = refresh_task;
  task->event.handler = refreshed;
  task->event.log = cycle->log;
  ngx_memzero(&timer, sizeof timer);
  timer.handler = ask;
  timer.log = cycle->log;
  timer.data = &timer;
  timer.cancelable = 1; /* an old worker that has nothing else to do ends */
  /* At once: the file may be newer than what the configuration was checked with. */
  ngx_add_timer(&timer, 1);
  return NGX_OK;
}
