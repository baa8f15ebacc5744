#define _GNU_SOURCE
#include "service.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { kNews = 16, kRetired = kMaxLanes + 1 };

/* What tells a file from the one that lay there before. */
struct mark {
  struct timespec changed;
  off_t size;
  ino_t inode;
};

struct service {
  /* Written before HAProxy forks. */
  char topology_path[PATH_MAX]; /* absolute, as the next */
  char mappings_path[PATH_MAX]; /* empty: there are none */
  int64_t connect_timeout_ns;
  int64_t poll_ns;
  int root; /* the directory "/" as it was: a worker of HAProxy's may be in a chroot */
  struct lane* lanes[kMaxLanes];
  uint32_t lane_count;
  uint32_t states; /* that have a lane now */

  /* The loading thread's alone once it runs. */
  const char* topology_name; /* the paths as that thread sees them */
  const char* mappings_name;
  cellroute_topology* topology; /* what serves, or is to be first */
  struct mark tried_mark;       /* of the last file that was tried */
  cellroute_store* mappings;
  bool refused; /* what lies at the topology's path */
  bool again;   /* to publish, though nothing is newer */
  cellroute_snapshot* retired[kRetired];
  uint32_t retired_count;

  _Atomic(cellroute_router*) router;
  _Atomic(cellroute_metrics*) metrics;
  _Atomic(cellroute_snapshot*) serving;
  atomic_bool started;
  pthread_mutex_t starting;
  pthread_t thread;
  bool running;

  pthread_mutex_t mutex; /* of what follows */
  pthread_cond_t wake;
  bool tried; /* to publish, for the first time */
  bool stop;
  char news[kNews][kNewsSize];
  uint32_t news_first, news_count;
  char said[kNewsSize];
};

/* HAProxy loads this module once for each of its Lua states; the process has one router. */
static struct service service = {.root = -1,
                                 .starting = PTHREAD_MUTEX_INITIALIZER,
                                 .mutex = PTHREAD_MUTEX_INITIALIZER,
                                 .wake = PTHREAD_COND_INITIALIZER};

int64_t service_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* ---- News ---- */

void service_say(const char* format, ...) {
  char text[kNewsSize];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  pthread_mutex_lock(&service.mutex);
  if (strcmp(text, service.said) != 0) {
    memcpy(service.said, text, sizeof text);
    if (service.news_count == kNews) {
      service.news_first = (service.news_first + 1) % kNews;
      --service.news_count;
    }
    memcpy(service.news[(service.news_first + service.news_count++) % kNews], text, sizeof text);
  }
  pthread_mutex_unlock(&service.mutex);
}

bool service_news(char text[kNewsSize]) {
  pthread_mutex_lock(&service.mutex);
  const bool some = service.news_count != 0;
  if (some) {
    memcpy(text, service.news[service.news_first], kNewsSize);
    service.news_first = (service.news_first + 1) % kNews;
    --service.news_count;
  }
  pthread_mutex_unlock(&service.mutex);
  return some;
}

/* What was refused may be said again when something else has served meanwhile. */
static void forget_what_was_said(void) {
  pthread_mutex_lock(&service.mutex);
  service.said[0] = '\0';
  pthread_mutex_unlock(&service.mutex);
}

/* ---- Snapshots: lanes read what serves, the loading thread alone destroys ---- */

cellroute_snapshot* service_enter(struct lane* lane) {
  cellroute_snapshot* serving = atomic_load(&service.serving);
  for (;;) {
    atomic_store(&lane->using, serving);
    cellroute_snapshot* const still = atomic_load(&service.serving);
    if (still == serving) return serving;
    serving = still;
  }
}

void service_exit(struct lane* lane) {
  atomic_store_explicit(&lane->using, NULL, memory_order_release);
}

static bool in_use(const cellroute_snapshot* snapshot) {
  for (uint32_t i = 0; i < kMaxLanes; ++i) {
    if (service.lanes[i] != NULL && atomic_load(&service.lanes[i]->using) == snapshot) return true;
  }
  return false;
}

static void destroy_retired(void) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < service.retired_count; ++i) {
    if (in_use(service.retired[i])) {
      service.retired[kept++] = service.retired[i];
    } else {
      cellroute_snapshot_destroy(service.retired[i]);
    }
  }
  service.retired_count = kept;
}

static void serve(cellroute_snapshot* snapshot) {
  cellroute_snapshot* const before = atomic_exchange(&service.serving, snapshot);
  if (before != NULL) service.retired[service.retired_count++] = before;
  destroy_retired();
}

/* ---- Loading ---- */

/* Errors begin with the name of the file, as the loading thread has it. */
static void say_refused(const char* what, const char* name, const cellroute_error* error) {
  const bool short_name = name[0] != '/' && strncmp(error->text, name, strlen(name)) == 0;
  service_say("cellroute: %s refused: %s%s", what, short_name ? "/" : "", error->text);
}

static cellroute_view view_of(const char* text) {
  return (cellroute_view){.data = text, .size = strlen(text)};
}

static struct mark mark_of(const char* path) {
  struct stat status;
  if (stat(path, &status) != 0) return (struct mark){.size = -1};
  return (struct mark){status.st_mtim, status.st_size, status.st_ino};
}

static bool same(const struct mark* a, const struct mark* b) {
  return a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec &&
         a->size == b->size && a->inode == b->inode;
}

/* Takes the mappings as they lie there now; true where they are other ones than before. */
static bool take_mappings(void) {
  cellroute_error error = {.struct_size = sizeof error};
  int32_t code;
  if (service.mappings == NULL) {
    char url[PATH_MAX + 8];
    snprintf(url, sizeof url, "file:%s", service.mappings_name);
    code = cellroute_store_open(view_of(url), NULL, &service.mappings, &error);
  } else {
    code = cellroute_store_refresh(service.mappings, &error);
  }
  if (code < 0) say_refused("mappings", service.mappings_name, &error);
  return code == CELLROUTE_OK;
}

static int32_t publish(const cellroute_topology* topology) {
  cellroute_publish_options options;
  cellroute_publish_options_default(&options, sizeof options);
  options.mappings = service.mappings;
  options.now_ns = service_now();
  cellroute_router* const router = atomic_load(&service.router);
  cellroute_error error = {.struct_size = sizeof error};
  int32_t code = cellroute_router_publish(router, topology, &options, &error);
  cellroute_snapshot* snapshot = NULL;
  if (code == CELLROUTE_OK) code = cellroute_snapshot_hold(router, &snapshot, &error);
  if (code == CELLROUTE_OK) {
    serve(snapshot);
    forget_what_was_said();
  } else {
    service_say("cellroute: not published, what served serves on: %s", error.text);
  }
  service.again = code == CELLROUTE_E_UNAVAILABLE || code == CELLROUTE_E_NO_MEMORY;
  return code;
}

/* The bytes of a topology, for free(); equal ones have equal bytes. NULL: no memory. */
static char* bytes_of(const cellroute_topology* topology, size_t* size) {
  cellroute_topology_write(topology, CELLROUTE_FORMAT_BINARY, NULL, 0, size, NULL);
  char* const bytes = malloc(*size + 1);
  if (bytes == NULL) return NULL;
  cellroute_topology_write(topology, CELLROUTE_FORMAT_BINARY, bytes, *size + 1, size, NULL);
  return bytes;
}

static bool equal(const cellroute_topology* a, const cellroute_topology* b) {
  size_t a_size = 0;
  size_t b_size = 0;
  char* const a_bytes = bytes_of(a, &a_size);
  char* const b_bytes = bytes_of(b, &b_size);
  const bool are = a_bytes != NULL && b_bytes != NULL && a_size == b_size &&
                   memcmp(a_bytes, b_bytes, a_size) == 0;
  free(a_bytes);
  free(b_bytes);
  return are;
}

/* Loads what lies there and publishes it. False: nothing new serves by that, since it was refused,
 * which service.refused tells, or is what serves already. */
static bool publish_file(void) {
  cellroute_error error = {.struct_size = sizeof error};
  cellroute_topology* next = NULL;
  const cellroute_view path = view_of(service.topology_name);
  service.refused = true;
  if (cellroute_topology_load_file(path, NULL, &next, &error) != CELLROUTE_OK) {
    say_refused("topology", service.topology_name, &error);
    return false;
  }
  const bool other = !equal(next, service.topology);
  const bool published = other && publish(next) == CELLROUTE_OK;
  service.refused = other && !published;
  cellroute_topology_destroy(published ? service.topology : next);
  if (published) service.topology = next;
  return published;
}

/* Looks at the files, and publishes what is newer. A file that was refused is tried again when it
 * or the mappings change. */
static void look(void) {
  destroy_retired();
  const bool by_mappings = service.mappings_path[0] != '\0';
  bool newer = by_mappings && take_mappings();
  /* Told to go by mappings, it does not serve without: it would place their keys anew. */
  if (by_mappings && service.mappings == NULL) return;
  newer = newer || service.again || atomic_load(&service.serving) == NULL;
  const struct mark mark = mark_of(service.topology_name);
  const bool changed = !same(&mark, &service.tried_mark);
  if (!newer && !changed) return;
  service.tried_mark = mark;
  if ((changed || service.refused) && publish_file()) return;
  if (newer) publish(service.topology);
}

/* ---- The thread ---- */

static bool open_router(void) {
  uint32_t cells = 0;
  cellroute_topology_cell_count(service.topology, &cells);
  cellroute_router_options options = {.struct_size = sizeof options, .lanes = service.lane_count};
  options.cells = cells < 16000 ? cells * 4 : 65535; /* room for those that come later */
  if (options.cells < 1024) options.cells = 1024;
  cellroute_error error = {.struct_size = sizeof error};
  cellroute_router* router = NULL;
  cellroute_metrics* metrics = NULL;
  int32_t code = cellroute_router_create(&options, &router, &error);
  if (code == CELLROUTE_OK) code = cellroute_metrics_create(router, NULL, 0, &metrics, &error);
  if (code != CELLROUTE_OK) {
    service_say("cellroute: no router, nothing is served: %s", error.text);
    cellroute_router_destroy(router);
    return false;
  }
  atomic_store(&service.metrics, metrics);
  atomic_store(&service.router, router);
  return true;
}

/* A worker may be in a chroot. A thread that parts from its process's working directory and stands
 * at the root that was before sees the files by their own names, less the first '/'. */
static void see_files(bool own_thread) {
  service.topology_name = service.topology_path;
  service.mappings_name = service.mappings_path;
  if (own_thread && unshare(CLONE_FS) == 0 && fchdir(service.root) == 0) {
    ++service.topology_name;
    if (service.mappings_path[0] != '\0') ++service.mappings_name;
  }
  close(service.root);
  service.root = -1;
}

static bool wait_for_stop(void) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += service.poll_ns / 1000000000;
  until.tv_nsec += service.poll_ns % 1000000000;
  if (until.tv_nsec >= 1000000000) {
    ++until.tv_sec;
    until.tv_nsec -= 1000000000;
  }
  pthread_mutex_lock(&service.mutex);
  service.tried = true;
  pthread_cond_broadcast(&service.wake);
  while (!service.stop) {
    if (pthread_cond_clockwait(&service.wake, &service.mutex, CLOCK_MONOTONIC, &until) != 0) break;
  }
  const bool stop = service.stop;
  pthread_mutex_unlock(&service.mutex);
  return stop;
}

static void* load(void* nothing) {
  (void)nothing;
  see_files(true);
  const bool opened = open_router();
  do {
    if (opened) look();
  } while (!wait_for_stop());
  return NULL;
}

/* With all signals blocked: they are HAProxy's. */
static bool start_thread(void) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int failed = pthread_create(&service.thread, NULL, load, NULL);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return failed == 0;
}

void service_start(void) {
  if (atomic_load_explicit(&service.started, memory_order_acquire)) return;
  pthread_mutex_lock(&service.starting);
  if (!atomic_load(&service.started)) {
    service.running = start_thread();
    if (service.running) {
      pthread_mutex_lock(&service.mutex);
      while (!service.tried) pthread_cond_wait(&service.wake, &service.mutex);
      pthread_mutex_unlock(&service.mutex);
    } else {
      /* HAProxy forbids its workers threads and processes once they serve: too late for one. */
      see_files(false);
      if (open_router()) look();
      service_say(
          "cellroute: HAProxy allows no thread for loading any more, so topologies and mappings "
          "stay as they are: use lua-load-per-thread and filter lua.cellroute, or set "
          "insecure-fork-wanted");
    }
    atomic_store_explicit(&service.started, true, memory_order_release);
  }
  pthread_mutex_unlock(&service.starting);
}

/* Also where HAProxy exits without closing its Lua states. */
__attribute__((destructor)) static void stop_thread(void) {
  pthread_mutex_lock(&service.mutex);
  service.stop = true;
  pthread_cond_broadcast(&service.wake);
  pthread_mutex_unlock(&service.mutex);
  if (service.running) pthread_join(service.thread, NULL);
  service.running = false;
}

/* ---- Lanes ---- */

struct lane* service_join(void) {
  if (service.lane_count == kMaxLanes) return NULL;
  struct lane* const lane = aligned_alloc(64, sizeof *lane);
  if (lane == NULL) return NULL;
  memset(lane, 0, sizeof *lane);
  lane->number = service.lane_count;
  service.lanes[service.lane_count++] = lane;
  ++service.states;
  return lane;
}

void service_leave(void) {
  if (--service.states != 0) return;
  stop_thread();
  serve(NULL);
  cellroute_metrics_destroy(atomic_exchange(&service.metrics, NULL));
  cellroute_router_destroy(atomic_exchange(&service.router, NULL));
  cellroute_store_destroy(service.mappings);
  cellroute_topology_destroy(service.topology);
  for (uint32_t i = 0; i < service.lane_count; ++i) free(service.lanes[i]);
  if (service.root >= 0) close(service.root);
}

cellroute_router* service_router(void) { return atomic_load(&service.router); }

cellroute_metrics* service_metrics(void) { return atomic_load(&service.metrics); }

/* ---- Settings ---- */

int64_t service_connect_timeout(void) { return service.connect_timeout_ns; }

static bool absolute(const char* path, char out[PATH_MAX]) {
  if (path[0] == '/') return snprintf(out, PATH_MAX, "%s", path) < PATH_MAX;
  char here[PATH_MAX];
  return getcwd(here, sizeof here) != NULL &&
         snprintf(out, PATH_MAX, "%s/%s", here, path) < PATH_MAX;
}

bool service_configure(const struct settings* settings, char* text, size_t size) {
  if (service.topology != NULL) return true; /* another Lua state did, with the same settings */
  const char* mappings = settings->mappings;
  if (mappings != NULL && strncmp(mappings, "file:", 5) != 0) {
    snprintf(text, size, "CELLROUTE_MAPPINGS is \"%s\": give file: and the path of a mapping file",
             mappings);
    return false;
  }
  if (!absolute(settings->topology, service.topology_path) ||
      (mappings != NULL && !absolute(mappings + 5, service.mappings_path))) {
    snprintf(text, size, "CELLROUTE_TOPOLOGY or CELLROUTE_MAPPINGS is a path that is too long");
    return false;
  }
  service.connect_timeout_ns = settings->connect_timeout_ns;
  service.poll_ns = settings->poll_ns;
  service.root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  service.tried_mark = mark_of(service.topology_path);
  cellroute_error error = {.struct_size = sizeof error};
  const cellroute_view path = view_of(service.topology_path);
  if (cellroute_topology_load_file(path, NULL, &service.topology, &error) == CELLROUTE_OK) {
    return true;
  }
  snprintf(text, size, "%s", error.text);
  return false;
}
