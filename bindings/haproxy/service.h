/*
 * The router of one HAProxy process, shared by its threads, and the thread beside them that loads
 * topologies and mapping files.
 *
 *     service_configure()  before HAProxy forks: reads the settings and checks the topology
 *     service_join()       a Lua state of HAProxy's, one a thread, gets its lane
 *     service_start()      in the worker: the router serves; later calls return at once
 *     service_leave()      a state is closed; with the last one the thread is joined
 *
 * Threads: configure, join and leave run in one thread at a time, since HAProxy opens and closes
 * its Lua states so. start and news may run in any thread. A lane belongs to one thread, or to
 * those that HAProxy's lock of its common Lua state lets in one at a time.
 */
#ifndef CELLROUTE_HAPROXY_SERVICE_H
#define CELLROUTE_HAPROXY_SERVICE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cellroute.h"

enum { kMaxLanes = 65, kNewsSize = 1200 };

struct settings {
  const char* topology;       /* a path */
  const char* mappings;       /* "file:PATH", or NULL: none */
  int64_t connect_timeout_ns; /* how long HAProxy tries to connect to a cell */
  int64_t poll_ns;            /* how often the files are looked at */
};

/* What a thread of HAProxy's has of its own. */
struct lane {
  uint32_t number;
  uint32_t reports; /* of requests, until one had what the configuration has to set */
  bool has_filter;
  uint64_t request_ids[2];            /* the last that was made */
  cellroute_profile plain;            /* of requests that name no tier, region, plan or flags */
  _Atomic(cellroute_snapshot*) using; /* what service_enter() gave: not to be destroyed */
  char key[CELLROUTE_MAX_KEY];        /* of the request in hand, where it is extracted */
  char text[8200];                    /* of the label in hand */
  _Alignas(64) char end[64];          /* no line is shared with the next lane */
};

/* Reads the topology, so that HAProxy refuses to start with a wrong one. Of the Lua states that
 * call it, all with the same settings, the first does it. False: `text`, of `size` bytes, says why
 * not. */
bool service_configure(const struct settings* settings, char* text, size_t size);

/* A lane for a Lua state; NULL: there are more than HAProxy has. It lives until as many have left
 * as joined, and with the last all is closed. */
struct lane* service_join(void);
void service_leave(void);

/* Opens the router, starts the thread and waits until it has published, or could not. */
void service_start(void);

/* NULL before service_start(). */
cellroute_router* service_router(void);
cellroute_metrics* service_metrics(void);

/* What serves, which stays until service_exit(); NULL: nothing does. Neither blocks. */
cellroute_snapshot* service_enter(struct lane* lane);
void service_exit(struct lane* lane);

/* Says something once: not if it is what was said last. */
void service_say(const char* format, ...) __attribute__((format(printf, 1, 2)));

/* The oldest thing said that nobody has read; false: there is none. */
bool service_news(char text[kNewsSize]);

/* The setting. */
int64_t service_connect_timeout(void);

/* Unix time. */
int64_t service_now(void);

#endif
