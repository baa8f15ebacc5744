/* New topologies and mappings: a timer asks a thread of nginx's pool to look, and what it finds is
 * loaded, resolved and published there. A refused one is logged once and changes nothing. */
#include "module.h"

#define CR_TICK_MS 20 /* the longest that a file system's clock stands still, and more */

/* By what a file is known to be another one than before. */
typedef struct {
  ngx_file_uniq_t inode;
  off_t size;
  struct timespec modified;
} stamp_t;

typedef enum { kTopology, kMappings, kSubjects } subject_t;

typedef struct {
  cellroute_error error; /* the last of this file; no text: there was none */
  ngx_uint_t untold;
} refusal_t;

/* What the thread is given and gives back: nothing else is touched by both at a time. */
typedef struct {
  stamp_t topology, mappings, beside; /* as they were last looked at */
  ngx_uint_t again[kSubjects];        /* they are to be looked at, though they did not change */
  cellroute_topology* loaded;         /* another one than serves */
  cr_mappings_t replacement;          /* what lies in the place of those that serve */
  ngx_uint_t renewed;                 /* those that serve have records that do not serve yet */
  ngx_uint_t topology_published, mappings_published;
  refusal_t refusals[kSubjects];
} look_t;

static ngx_event_t timer;
static ngx_thread_task_t* task;
static look_t look;

static ngx_uint_t changed(const ngx_str_t* path, stamp_t* before) {
  ngx_file_info_t info;
  stamp_t now;
  ngx_memzero(&now, sizeof now);
  if (path->len != 0 && ngx_file_info(path->data, &info) != NGX_FILE_ERROR) {
    now.inode = ngx_file_uniq(&info);
    now.size = ngx_file_size(&info);
    now.modified = info.st_mtim;
  }
  const ngx_uint_t differs = ngx_memcmp(&now, before, sizeof now) != 0;
  *before = now;
  return differs;
}

/* What is written next may then get the same time: the clock of file systems is a coarse one. */
static ngx_uint_t just_written(const stamp_t* stamp) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  const int64_t age = (int64_t)(now.tv_sec - stamp->modified.tv_sec) * 1000 +
                      (now.tv_nsec - stamp->modified.tv_nsec) / 1000000;
  return age >= 0 && age < CR_TICK_MS;
}

/* It is not the file's fault. */
static ngx_uint_t passes(const cellroute_error* error) {
  return error->code == CELLROUTE_E_UNAVAILABLE || error->code == CELLROUTE_E_NO_MEMORY;
}

static void note(subject_t subject, const cellroute_error* error) {
  refusal_t* refusal = &look.refusals[subject];
  if (passes(error)) look.again[subject] = 1;
  if (ngx_strcmp(refusal->error.text, error->text) == 0) return; /* as at the beat before */
  refusal->error = *error;
  refusal->untold = 1;
}

/* Whether there is anything to do: it is another file, or is to be looked at again. */
static ngx_uint_t due(subject_t subject, ngx_uint_t differs) {
  if (differs) look.refusals[subject].error.text[0] = '\0';
  const ngx_uint_t is_due = differs || look.again[subject];
  look.again[subject] = 0;
  return is_due;
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

static void look_for_topology(void) {
  cellroute_error error = {.struct_size = sizeof error};
  const ngx_str_t* path = &cr_worker.conf->topology;
  if (!due(kTopology, changed(path, &look.topology))) return;
  if (cellroute_topology_load_file(cr_view_of(path), NULL, &look.loaded, &error) != CELLROUTE_OK) {
    note(kTopology, &error);
  } else if (serves(look.loaded)) {
    cellroute_topology_destroy(look.loaded);
    look.loaded = NULL;
  }
}

/* Those that serve are not given up before others are found good: a file with too few keys, say, is
 * opened beside them. (One that comes between the last look at what is there and the reading of its
 * newer changes is not.) */
static void look_for_mappings(void) {
  cellroute_error error = {.struct_size = sizeof error};
  const cr_main_conf_t* conf = cr_worker.conf;
  if (conf->mappings.len == 0) return;
  const ngx_uint_t differs = changed(&conf->mapping_files[0], &look.mappings);
  if (!due(kMappings, changed(&conf->mapping_files[1], &look.beside) || differs)) return;
  const ngx_uint_t in_place = conf->mapping_files[1].len == 0; /* an lmdb: store is written so */
  if (in_place && just_written(&look.mappings)) look.again[kMappings] = 1;
  if (!cr_mappings_there(conf, &cr_worker.mappings)) {
    if (cr_mappings_open(conf, &look.replacement, &error) != NGX_OK) note(kMappings, &error);
    return;
  }
  const int32_t code = cr_mappings_refresh(conf, &cr_worker.mappings, &error);
  if (code == CELLROUTE_OK) look.renewed = 1;
  if (code < 0) note(kMappings, &error);
}

/* Without its mappings a topology would send their keys elsewhere: it does not serve before there
 * are any. */
static ngx_uint_t unmapped(void) {
  return cr_worker.conf->mappings.len != 0 && cr_worker.mappings.store == NULL &&
         look.replacement.store == NULL;
}

static ngx_int_t publish_loaded(const cr_mappings_t* mappings, cellroute_error* error) {
  if (cr_worker_publish(look.loaded, mappings, 1, error) != NGX_OK) return NGX_ERROR;
  look.topology_published = 1;
  return NGX_OK;
}

static void take_mappings(void) {
  look.renewed = 0;
  if (look.replacement.store == NULL) return;
  cr_mappings_close(&cr_worker.mappings);
  cr_worker.mappings = look.replacement;
  ngx_memzero(&look.replacement, sizeof look.replacement);
}

static void publish_mappings(const cr_mappings_t* mappings) {
  cellroute_error error = {.struct_size = sizeof error};
  const cellroute_topology* topology = cr_worker.topology;
  if (topology == NULL) topology = cr_worker.conf->checked;
  if (cr_worker_publish(topology, mappings, 1, &error) == NGX_OK) {
    look.mappings_published = 1;
    take_mappings();
    return;
  }
  note(kMappings, &error);
  if (look.replacement.store == NULL) look.renewed = passes(&error);
  cr_mappings_close(&look.replacement);
}

/* Both at once where both are new, since records may name a cell that is new; where they are
 * refused, each by itself, so that neither holds the other up. */
static void publish_what_is_new(void) {
  cellroute_error error = {.struct_size = sizeof error};
  const ngx_uint_t replaced = look.replacement.store != NULL;
  const cr_mappings_t* mappings = replaced ? &look.replacement : &cr_worker.mappings;
  if (look.loaded != NULL && publish_loaded(mappings, &error) == NGX_OK) {
    take_mappings();
    return;
  }
  if (replaced || look.renewed) publish_mappings(mappings);
  if (look.loaded == NULL) return;
  if (unmapped()) {
    look.again[kTopology] = 1;
  } else if (!replaced || publish_loaded(&cr_worker.mappings, &error) != NGX_OK) {
    note(kTopology, &error);
  }
}

/* The addresses of a topology stand ready before the first request can be routed by it. */
static void prepare_addresses(ngx_log_t* log) {
  cr_addresses_t* addresses = cr_addresses_create(look.loaded, log);
  cr_addresses_release(__atomic_exchange_n(&cr_worker.incoming, addresses, __ATOMIC_ACQ_REL));
  if (addresses != NULL) return;
  cellroute_topology_destroy(look.loaded);
  look.loaded = NULL;
  look.again[kTopology] = 1;
}

static void refresh_task(void* data, ngx_log_t* log) {
  look_for_mappings();
  if (unmapped()) return;
  look_for_topology();
  if (look.loaded != NULL) prepare_addresses(log);
  publish_what_is_new();
  if (look.loaded == NULL || look.topology_published) return;
  cr_addresses_release(__atomic_exchange_n(&cr_worker.incoming, NULL, __ATOMIC_ACQ_REL));
}

static void tell(void) {
  const cr_main_conf_t* conf = cr_worker.conf;
  for (ngx_uint_t i = 0; i < kSubjects; ++i) {
    if (!look.refusals[i].untold) continue;
    look.refusals[i].untold = 0;
    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "cellroute: \"%V\" is refused, the last good one serves on: %s",
                  i == kTopology ? &conf->topology : &conf->mappings, look.refusals[i].error.text);
  }
  if (look.topology_published) {
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
  if (look.topology_published) {
    cellroute_topology_destroy(cr_worker.refreshed);
    cr_worker.refreshed = look.loaded;
  } else {
    cellroute_topology_destroy(look.loaded);
  }
  if (look.topology_published || look.mappings_published) cr_worker_renew_view();
  tell();
  look.loaded = NULL;
  look.topology_published = look.mappings_published = 0;
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
  look.again[kTopology] = look.again[kMappings] = 1; /* also where there is no file any more */
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
