/*
 * cellroute: mapping stores behind a network, and a prober of cells' health, of libcellroute-net.
 *
 * The rules of cellroute.h hold. A store opened here is one of libcellroute's: every function of
 * cellroute.h takes it. The two libraries meet in that interface alone; this one needs the system's
 * hiredis and libcurl.
 */
#ifndef CELLROUTE_NET_H
#define CELLROUTE_NET_H

#include "cellroute.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cellroute_net_options {
  uint32_t struct_size;
  uint32_t open_existing; /* 1: do not make the store where there is none */
  int64_t timeout_ns;     /* the longest that a call takes; 0: 5 s */
} cellroute_net_options;

/* Opens a store, in Redis:
 *
 *     redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]       a server that stands alone
 *     redis+unix://[[USER]:PASSWORD@]/PATH[?db=DATABASE]     the same by a unix socket
 *     redis+cluster://[[USER]:PASSWORD@]HOST[:PORT][,...]    some nodes of a cluster
 *
 * each with ?prefix=NAME for what the store's keys begin with ("cellroute"). Redis may forget what
 * it acknowledged when it fails over or restarts (CELLROUTE_STORE_LOSES_ACKNOWLEDGED). Or in
 * DynamoDB, in a table that is there (`cellroute mapping create-table` makes one):
 *
 *     dynamodb://TABLE[?OPTION=VALUE[&...]]
 *
 * with the options region=NAME (else AWS_REGION), endpoint=[https://|http://]HOST[:PORT],
 * consistency=strong|eventual, write_region=NAME, index=NAME, target_index=NAME, prefix=TEXT,
 * profiles=TABLE, profiles_key_attribute=NAME, and key_attribute=NAME, cell_attribute=NAME and so
 * on for the names of attributes (src/net/dynamodb_format.md). Credentials are in the environment,
 * which no other thread may change meanwhile, or come from the container's endpoint. libcurl is
 * initialized for the process and stays so; it looks names up in a thread of its own.
 *
 * Destroy the store, and what is cached of it, with cellroute_store_destroy() before this library
 * is unloaded. `options` may be NULL. CELLROUTE_E_UNSUPPORTED: another store, TLS to Redis, or a
 * server or table that is not what the URL says; CELLROUTE_E_INVALID_ARGUMENT, _NOT_FOUND, _REFUSED
 * (the login), _CORRUPT, _UNAVAILABLE as the text says, which never holds the URL's password. */
CELLROUTE_API int32_t cellroute_net_store_open(cellroute_view url,
                                               const cellroute_net_options* options,
                                               cellroute_store** store, cellroute_error* error);

/* ---- Probing cells (since 4) ---- */

/* Asks the cells of what a router serves how they are, and marks their health and load there:
 *
 *     GET /health          200 or 503, which alone says whether the cell is well, with
 *     {"cell_id": "retail-us-east-1", "status": "ok", "checks": {"load": 4211, ...}}
 *
 * at the root of the cell's general endpoint, of http or https, or of host:port by http; cells
 * without such a one are not asked. `cell_id` is required with 200 and must be the cell's: another
 * cell's answer makes the cell unhealthy at once, whatever `fall` is. `status` is for people.
 * `checks.load`, if it is there, is a number from 0 to 2^62 in the unit of the cell's capacity.
 * An answer has at most 64 KiB with its headers. Each probe is a connection of its own, by no
 * proxy; no redirect is followed; names of https are checked. Of no cell marks change before `rise`
 * good or `fall` bad answers in a row; from then on each probe marks the cell as it is known to be,
 * so that a prober should be the only one who marks its cells' health.
 *
 * Threads: any; each call waits for another one of the same prober, none for a cell. Fork: for the
 * process that created it; in a child it answers CELLROUTE_E_FORKED, and destroying it leaves its
 * memory alone. Where processes share guards, one prober serves all of them. */
typedef struct cellroute_net_prober cellroute_net_prober;

typedef struct cellroute_net_prober_options {
  uint32_t struct_size;
  uint32_t rise;          /* good answers in a row that make a cell healthy, to 1,000; 0: 2 */
  uint32_t fall;          /* bad ones that make it unhealthy, to 1,000; 0: 2 */
  uint32_t concurrency;   /* probes at once, to 1,024; 0: 16 */
  int64_t interval_ns;    /* between probes of a cell, give or take an eighth; 0: 5 s */
  int64_t timeout_ns;     /* of a probe in all; 0: 2 s */
  cellroute_view path;    /* with a slash first; empty: /health */
  cellroute_view ca_file; /* authorities as PEM; empty: the system's */
  uint64_t seed;          /* of the jitter; 0: a random one, which is best */
} cellroute_net_prober_options;

/* `router` lives until the prober is destroyed. `options` may be NULL.
 * CELLROUTE_E_INVALID_ARGUMENT, _NOT_FOUND (no such ca_file), _UNAVAILABLE (libcurl), _FORKED. */
CELLROUTE_API int32_t cellroute_net_prober_create(cellroute_router* router,
                                                  const cellroute_net_prober_options* options,
                                                  cellroute_net_prober** prober,
                                                  cellroute_error* error);

/* Ends the prober's thread, if it has one, and breaks off what is under way. */
CELLROUTE_API void cellroute_net_prober_destroy(cellroute_net_prober* prober);

/* For a host's timer, off its event loop: takes the answers that have come, ends probes that are
 * overdue, begins those that are due by now_ns, and follows what the router serves. It allocates,
 * but waits for nothing. *next_ns, which may be NULL, becomes when to call again: soon while probes
 * are under way. CELLROUTE_E_CONFLICT: the prober has a thread; _FORKED. */
CELLROUTE_API int32_t cellroute_net_prober_poll(cellroute_net_prober* prober, int64_t now_ns,
                                                int64_t* next_ns, cellroute_error* error);

/* Starts a thread that polls by the system's clock, with all signals blocked, until stopped.
 * CELLROUTE_E_CONFLICT: there is one; _UNAVAILABLE: the system gives none; _FORKED. */
CELLROUTE_API int32_t cellroute_net_prober_start(cellroute_net_prober* prober,
                                                 cellroute_error* error);

/* Ends it, and returns when it has ended; probes under way end with the next poll. Without a thread
 * it does nothing. CELLROUTE_E_FORKED. */
CELLROUTE_API int32_t cellroute_net_prober_stop(cellroute_net_prober* prober);

#define CELLROUTE_NET_CELL_UNKNOWN 0u
#define CELLROUTE_NET_CELL_HEALTHY 1u
#define CELLROUTE_NET_CELL_UNHEALTHY 2u

/* How a probe ended. Later versions may add some. */
#define CELLROUTE_NET_PROBE_NONE 0u          /* none has ended yet */
#define CELLROUTE_NET_PROBE_HEALTHY 1u       /* 200, by the cell itself */
#define CELLROUTE_NET_PROBE_UNHEALTHY 2u     /* 503 */
#define CELLROUTE_NET_PROBE_WRONG_CELL 3u    /* another cell answers at this endpoint */
#define CELLROUTE_NET_PROBE_BAD_STATUS 4u    /* neither 200 nor 503 */
#define CELLROUTE_NET_PROBE_REDIRECT 5u      /* 3xx */
#define CELLROUTE_NET_PROBE_BAD_BODY 6u      /* 200, and the body is not as above */
#define CELLROUTE_NET_PROBE_TOO_LARGE 7u     /* above 64 KiB */
#define CELLROUTE_NET_PROBE_TIMEOUT 8u       /* no whole answer in time */
#define CELLROUTE_NET_PROBE_CONNECT_ERROR 9u /* no such host, or nothing listens */
#define CELLROUTE_NET_PROBE_TLS_ERROR 10u    /* no agreement, or a certificate that does not hold */
#define CELLROUTE_NET_PROBE_BROKEN 11u       /* the connection ended, or what came is no HTTP */
#define CELLROUTE_NET_PROBE_NOT_PROBED 12u   /* no endpoint that HTTP reaches */

typedef struct cellroute_net_probe {
  uint32_t struct_size;
  uint32_t state;       /* CELLROUTE_NET_CELL_... */
  uint32_t last;        /* CELLROUTE_NET_PROBE_... */
  uint32_t http_status; /* of the last answer; 0: there was none */
  uint32_t successes;   /* good answers in a row */
  uint32_t failures;    /* bad ones */
  uint64_t probes;      /* that ended, since the cell has been asked at its endpoint */
  int64_t ended_ns;     /* when the last one did; 0: none has */
  int64_t took_ns;      /* by it */
} cellroute_net_probe;

/* What the prober knows of the cell of that number. CELLROUTE_E_NOT_FOUND: it asks no such cell;
 * _FORKED. */
CELLROUTE_API int32_t cellroute_net_prober_cell(cellroute_net_prober* prober, uint32_t cell,
                                                cellroute_net_probe* probe);

#ifdef __cplusplus
}
#endif

#endif /* CELLROUTE_NET_H */
