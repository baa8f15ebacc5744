/*
 * cellroute: which cell serves this key, may it be served now, and why.
 *
 * The C interface (C99) of libcellroute. A host in C, or in any language that can call C, does
 *
 *     cellroute_topology_load_file()  cells, tiers, regions and rules from a file
 *     cellroute_router_create()       a router, with its guards' memory
 *     cellroute_router_publish()      the topology serves
 *     cellroute_extract()             whose request it is, by host, path, header, token
 *     cellroute_router_profile()      names of tier, region, flags to a handle, kept by the host
 *     cellroute_route()               a decision: status, reason, cell, ticket
 *     cellroute_report()              how the call to that cell went
 *
 * RULES, for all that is declared below
 *
 * Codes. A function that can fail returns int32_t: CELLROUTE_OK, a positive code that is an answer
 * of its own (CELLROUTE_UNCHANGED and its like), or a negative error. An error at or below
 * CELLROUTE_FATAL says that the program is at fault or the library is: do not try again. Each
 * function lists its codes; all may return besides CELLROUTE_E_NULL (a pointer that must not be
 * NULL is), CELLROUTE_E_WRONG_HANDLE (a handle of another type, or none), CELLROUTE_E_INTERNAL, and
 * where they take a struct, CELLROUTE_E_STRUCT_SIZE, CELLROUTE_E_UNKNOWN_TAIL and
 * CELLROUTE_E_INVALID_ARGUMENT for a field out of its range. Those that allocate may return
 * CELLROUTE_E_NO_MEMORY (but where memory runs out inside the parsers of those that load, refresh
 * or write topologies, the process may end). On an error nothing has changed and nothing is written
 * but `error`, unless the function says so. A denied request is no error: its decision says why.
 *
 * Errors' text. Where a function takes a cellroute_error, it may be NULL; else its struct_size is
 * set by the caller. It is written on an error alone.
 *
 * Structs. The caller sets struct_size to sizeof and all that it does not mean to zero. Structs
 * only ever grow at their end: a smaller one of an earlier version is taken and never touched
 * beyond its size; of a larger one of a later version the unknown tail must be zero where it is
 * read, and is zeroed where it is written. In arrays all struct_sizes equal the first, which is the
 * distance between the elements. cellroute_view, cellroute_field, cellroute_profile and
 * cellroute_ticket are values that never grow. What a later CELLROUTE_ABI_VERSION added says since
 * which.
 *
 * Bytes. A cellroute_view is `size` bytes at `data`, which may be NULL where size is 0. Nothing is
 * NUL-terminated or trimmed: a key is 1 to 1,024 bytes of any kind. Names are ASCII, file names
 * have no NUL.
 *
 * Time is Unix time in integer nanoseconds, given by the caller as now_ns; durations too are in
 * nanoseconds. The library reads no clock.
 *
 * Lifetimes. What goes in is copied, or used during the call alone, but for the guards' memory of
 * cellroute_router_options. What comes out as a view belongs to the handle it was asked of and
 * lives as long as that. A handle is freed by the destroy function of its type, which takes NULL;
 * using it afterwards is the caller's fault and is not noticed. A router does not need the topology
 * handle after publishing, nor a snapshot the router after it was held, nor a cached store the
 * handle of the store behind it, nor a fleet keeper those of its router and store.
 *
 * Threads. Topologies, snapshots and pickers are immutable: any number of threads may use one.
 * Routers, stores and metrics too may be used by any number of threads at once, also while one of
 * them publishes; routing threads should each have a lane of their own, and are safe where they
 * share one. No handle may be destroyed while another thread uses it. No function starts a thread
 * unless cellroute_load_options.threads says so, or installs a signal handler.
 *
 * Off the event loop. Loading, publishing, refreshing, holding, explaining, resolving, assigning
 * and all of stores allocate and may take long or block; writing metrics allocates. extract, route,
 * locate, report and their batches, views of a snapshot, marks, counts, observing and readiness do
 * no I/O, allocation, lock or system call.
 *
 * Fork. Create routers and open stores in the process that uses them. In a child of fork() a router
 * or store of the parent answers CELLROUTE_E_FORKED, and destroying a router leaves its memory
 * alone; topologies, snapshots and pickers go on working. Processes share guards through memory:
 * map it MAP_SHARED before fork and create a router over it in each process. Metrics in such memory
 * go on working too; those in memory of their own are another copy in the child.
 */
#ifndef CELLROUTE_H
#define CELLROUTE_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define CELLROUTE_API __attribute__((visibility("default")))
#else
#define CELLROUTE_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Versions ---- */

/* The interface of this header: the major number in the high 16 bits, which changes with what a
 * program must be changed for, and the minor one, which grows with what is added. */
#define CELLROUTE_ABI_VERSION 4u

/* The library's CELLROUTE_ABI_VERSION. */
CELLROUTE_API uint32_t cellroute_abi_version(void);

/* Whether the library serves a program that was compiled with a header of `version`: pass
 * CELLROUTE_ABI_VERSION. CELLROUTE_OK, or CELLROUTE_E_ABI: the library is older than the header,
 * or of another major version. */
CELLROUTE_API int32_t cellroute_abi_check(uint32_t version);

/* The library's release, such as "0.1.0"; NUL-terminated, for ever. */
CELLROUTE_API const char* cellroute_version_string(void);

/* ---- Codes and errors ---- */

#define CELLROUTE_OK 0
#define CELLROUTE_UNCHANGED 1 /* refresh: the file holds what serves */
#define CELLROUTE_ABSENT 2    /* store_get: the key has no record in force */
#define CELLROUTE_DENIED 3    /* route_call, locate_call: the decision's status is not OK */
#define CELLROUTE_STALE 4     /* store_get: the last good record of a store that fails. Since 3 */

#define CELLROUTE_E_INVALID_ARGUMENT (-1) /* input breaks a rule; the text says which and where */
#define CELLROUTE_E_NOT_FOUND (-2)        /* the thing named does not exist */
#define CELLROUTE_E_CONFLICT (-3)    /* a compare-and-set lost, or memory of another geometry */
#define CELLROUTE_E_UNAVAILABLE (-4) /* no answer now; trying again may help */
#define CELLROUTE_E_REFUSED (-5)     /* sound, but against a bound or a gate */
#define CELLROUTE_E_EXHAUSTED (-6)   /* a table, a map or memory is full */
#define CELLROUTE_E_CORRUPT (-7)     /* stored bytes fail their check */
#define CELLROUTE_E_UNSUPPORTED (-8) /* this store or build cannot do it */
#define CELLROUTE_E_FORKED (-9)      /* the handle is of the process before fork() */

#define CELLROUTE_E_NO_MEMORY (-100)
#define CELLROUTE_E_NULL (-101)         /* a pointer that must not be NULL is */
#define CELLROUTE_E_STRUCT_SIZE (-102)  /* none of any version, or differs in an array */
#define CELLROUTE_E_UNKNOWN_TAIL (-103) /* a field that this library does not know is not zero */
#define CELLROUTE_E_BUFFER (-104)       /* the buffer is too small; *size says what is needed */
#define CELLROUTE_E_UNKNOWN_NAME (-105) /* error.reason says of what */
#define CELLROUTE_E_NO_SNAPSHOT (-106)  /* nothing has been published */
#define CELLROUTE_E_BROKEN_STORE (-107) /* a custom store broke its contract */
#define CELLROUTE_E_REENTERED (-108)    /* a custom store called itself */

#define CELLROUTE_FATAL (-1000)
#define CELLROUTE_E_WRONG_HANDLE (-1000)
#define CELLROUTE_E_ABI (-1001)
#define CELLROUTE_E_INTERNAL (-1002) /* an exception that nothing should throw */

/* The name of a code, as "CELLROUTE_E_REFUSED"; "CELLROUTE_E_UNKNOWN" for what is none.
 * NUL-terminated, for ever. */
CELLROUTE_API const char* cellroute_code_name(int32_t code);

#define CELLROUTE_ERROR_TEXT_SIZE 1008

/* What went wrong, for people: what is wrong, where, what to do. */
typedef struct cellroute_error {
  uint32_t struct_size;
  int32_t code;
  uint32_t reason;    /* a reason of a decision where one is meant, else 0 */
  uint32_t text_size; /* of the whole text; where it is not below the buffer's, the text was cut */
  char text[CELLROUTE_ERROR_TEXT_SIZE]; /* NUL-terminated */
} cellroute_error;

/* ---- Views, statuses, reasons ---- */

typedef struct cellroute_view {
  const char* data;
  size_t size;
} cellroute_view;

/* Statuses of a decision. Their numbers never change; later versions may add some. */
#define CELLROUTE_STATUS_OK 0u
#define CELLROUTE_STATUS_INVALID_ARGUMENT 1u
#define CELLROUTE_STATUS_UNAUTHENTICATED 2u
#define CELLROUTE_STATUS_COMPLIANCE 3u
#define CELLROUTE_STATUS_FORBIDDEN 4u
#define CELLROUTE_STATUS_UNASSIGNED 5u
#define CELLROUTE_STATUS_RATE_LIMITED 6u
#define CELLROUTE_STATUS_NO_ELIGIBLE_CELL 7u
#define CELLROUTE_STATUS_UNAVAILABLE 8u
#define CELLROUTE_STATUS_MIGRATING 9u

typedef struct cellroute_status_info {
  uint32_t struct_size;
  uint32_t status;
  uint32_t http_status; /* what an HTTP host answers */
  uint32_t reserved;
  cellroute_view name; /* "RATE_LIMITED"; lives as long as the library, NUL-terminated */
} cellroute_status_info;

/* The index-th status, from 0. CELLROUTE_E_NOT_FOUND behind the last. */
CELLROUTE_API int32_t cellroute_status_at(uint32_t index, cellroute_status_info* info);

typedef struct cellroute_reason_info {
  uint32_t struct_size;
  uint32_t reason; /* its number is public and never means anything else */
  uint32_t status; /* that decisions with this reason have */
  uint32_t reserved;
  cellroute_view name;     /* "KEY_LIMIT"; lives as long as the library, NUL-terminated */
  cellroute_view sentence; /* "the key's limit is used up"; likewise */
} cellroute_reason_info;

/* The index-th reason, from 0. CELLROUTE_E_NOT_FOUND behind the last. */
CELLROUTE_API int32_t cellroute_reason_at(uint32_t index, cellroute_reason_info* info);

/* ---- Topologies ---- */

/* A topology, checked whole and compiled. */
typedef struct cellroute_topology cellroute_topology;

#define CELLROUTE_FORMAT_BY_NAME 0u /* by its ending: .yaml .json .textproto .pb and others */
#define CELLROUTE_FORMAT_YAML 1u
#define CELLROUTE_FORMAT_JSON 2u
#define CELLROUTE_FORMAT_TEXTPROTO 3u
#define CELLROUTE_FORMAT_BINARY 4u

typedef struct cellroute_load_options {
  uint32_t struct_size;
  uint32_t format;     /* CELLROUTE_FORMAT_...; 0 by name */
  uint32_t threads;    /* that build tables, the caller's included; 0 and 1: the caller's alone */
  uint32_t reserved;   /* 0 */
  cellroute_view name; /* what errors call the bytes; files have theirs. Empty: "topology" */
} cellroute_load_options;

/* Reads a topology of at most 64 MiB from bytes. `options` may be NULL where the format is YAML,
 * which JSON is too. CELLROUTE_E_INVALID_ARGUMENT: it is wrong, error.text names each problem with
 * its line; CELLROUTE_E_REFUSED: it is over a bound. */
CELLROUTE_API int32_t cellroute_topology_load(cellroute_view bytes,
                                              const cellroute_load_options* options,
                                              cellroute_topology** topology,
                                              cellroute_error* error);

/* The same from a file. `options` may be NULL. CELLROUTE_E_NOT_FOUND: there is no such file;
 * CELLROUTE_E_UNAVAILABLE: it cannot be read. */
CELLROUTE_API int32_t cellroute_topology_load_file(cellroute_view path,
                                                   const cellroute_load_options* options,
                                                   cellroute_topology** topology,
                                                   cellroute_error* error);

CELLROUTE_API void cellroute_topology_destroy(cellroute_topology* topology);

CELLROUTE_API int32_t cellroute_topology_generation(const cellroute_topology* topology,
                                                    uint64_t* generation);
CELLROUTE_API int32_t cellroute_topology_cell_count(const cellroute_topology* topology,
                                                    uint32_t* count);

/* The index-th endpoint of the cell-th cell in byte order of id, both from 0: first its general
 * one, which may be empty, and `resource` with it, then those by resource. Views live as long as
 * the topology: for hosts that look addresses up before they publish. CELLROUTE_E_NOT_FOUND: there
 * is no such cell, or behind its last. Since 4. */
CELLROUTE_API int32_t cellroute_topology_endpoint_at(const cellroute_topology* topology,
                                                     uint32_t cell, uint32_t index,
                                                     cellroute_view* resource,
                                                     cellroute_view* endpoint);

/* Writes the topology as load reads it back; equal topologies give equal bytes. `format` is not
 * BY_NAME; YAML is written as JSON. *size becomes the bytes of the text, a NUL behind it not
 * counted. With `buffer` NULL that is all; else `capacity` is more than *size, or
 * CELLROUTE_E_BUFFER is returned and nothing written but *size. */
CELLROUTE_API int32_t cellroute_topology_write(const cellroute_topology* topology, uint32_t format,
                                               char* buffer, size_t capacity, size_t* size,
                                               cellroute_error* error);

/* ---- Mapping stores ---- */

/* Which cell serves which key, explicitly: an authority that changes by compare-and-set alone. */
typedef struct cellroute_store cellroute_store;

/* `cell` served the key from first_epoch to last_epoch, both included. */
typedef struct cellroute_past {
  cellroute_view cell;
  uint64_t first_epoch;
  uint64_t last_epoch;
} cellroute_past;

#define CELLROUTE_RECORD_EPHEMERAL 1u   /* a key that may expire */
#define CELLROUTE_RECORD_DELETED 2u     /* a tombstone */
#define CELLROUTE_RECORD_HAS_PROFILE 4u /* tier, region, plan and flags are the record's */

#define CELLROUTE_STABLE 0u
#define CELLROUTE_COPYING 1u
#define CELLROUTE_FREEZING 2u
#define CELLROUTE_FROZEN 3u

/* Names are 1 to 128 visible ASCII bytes, or empty where there is none. */
typedef struct cellroute_record {
  uint32_t struct_size;
  uint32_t marks;         /* CELLROUTE_RECORD_... */
  uint32_t state;         /* of its migration: CELLROUTE_STABLE ... */
  uint32_t flag_count;    /* at most 16 */
  uint32_t history_count; /* at most 16 */
  uint32_t reserved;      /* 0 */
  cellroute_view key;
  cellroute_view cell;   /* its id */
  cellroute_view target; /* of the migration; empty when STABLE */
  cellroute_view tier, region, plan;
  const cellroute_view* flags;
  const cellroute_past* history; /* oldest first, without the present */
  cellroute_view unknown_fields; /* of a later version: hand it back as it came */
  uint64_t epoch;                /* at least 1; rises with every change of cell */
  uint64_t revision;             /* set by the store */
  int64_t created_ns, updated_ns;
  int64_t expires_ns; /* 0: never */
  uint8_t op_id[16];  /* unique to the write that made the revision, not all zero */
} cellroute_record;

/* Where records go. What it is given lives for that call alone. A negative answer ends the caller's
 * call, which returns it. */
typedef struct cellroute_sink {
  uint32_t struct_size;
  uint32_t reserved; /* 0 */
  void* self;
  int32_t (*record)(void* self, const cellroute_record* record);
  /* The end of a page: where to go on, and whether nothing is behind it. NULL: not wanted. */
  int32_t (*page)(void* self, const cellroute_view* cursor, uint32_t done);
} cellroute_sink;

#define CELLROUTE_STORE_DURABLE 1u            /* an acknowledged write survives the processes */
#define CELLROUTE_STORE_LOSES_ACKNOWLEDGED 2u /* a failover may forget one: no migrations */
#define CELLROUTE_STORE_SHARED 4u             /* other processes see the same records */

/* A store of the host's own. Each call gets `self` first, may run on any thread, must be bounded in
 * time, and returns CELLROUTE_OK or a code from CELLROUTE_E_INVALID_ARGUMENT to CELLROUTE_E_FORKED.
 * Any other code, a record that breaks a rule or was not asked for, a page too long: the caller
 * gets CELLROUTE_E_BROKEN_STORE. Sinks live for the call; an answer of a sink that is not
 * CELLROUTE_OK is to be returned. A call that uses its own store's handle gets
 * CELLROUTE_E_REENTERED. */
typedef struct cellroute_store_calls {
  uint32_t struct_size;
  uint32_t capabilities; /* CELLROUTE_STORE_... */
  /* Gives the sink the record of `key`, or the tombstone or expired record that is left of it, or
   * nothing where there is none. An error means that it is not known. Required. */
  int32_t (*get)(void* self, const cellroute_view* key, int64_t now_ns, const cellroute_sink* sink,
                 cellroute_error* error);
  /* Writes `record` if the stored revision is `expected` (0: there is none) as `expected` + 1.
   * CELLROUTE_E_CONFLICT: it is another; CELLROUTE_E_REFUSED: the epoch falls, or stays while the
   * cell changes; CELLROUTE_E_UNAVAILABLE: not known whether it was written. Required. */
  int32_t (*put_if)(void* self, const cellroute_record* record, uint64_t expected,
                    cellroute_error* error);
  /* Gives the sink at most `limit` records in a fixed order from `cursor` (empty: the beginning),
   * without tombstones and expired ones, and then the page's end. NULL: unsupported. */
  int32_t (*scan)(void* self, const cellroute_view* cursor, uint64_t limit, int64_t now_ns,
                  const cellroute_sink* sink, cellroute_error* error);
  /* Called once when the store is destroyed. May be NULL. */
  void (*release)(void* self);
} cellroute_store_calls;

typedef struct cellroute_store_options {
  uint32_t struct_size;
  uint32_t open_existing; /* 1: do not make the store where there is none */
  int64_t timeout_ns;     /* the longest that a call waits for another writer; 0: 5 s */
  uint64_t map_bytes;     /* lmdb: address space to begin with; 0: 1 GiB */
  uint64_t max_map_bytes; /* lmdb: and at most; 0: 1 TiB */
  uint32_t readers;       /* lmdb: reader slots of all processes together; 0: 2,048 */
  uint32_t reserved;      /* 0 */
} cellroute_store_options;

/* Opens "memory:" (gone with the handle), "lmdb:PATH" (a directory on a local disk, shared by the
 * processes of a host) or, since 3, "file:PATH" (a mapping file and the changes beside it, which
 * look-ups and publishing read, and nothing writes). `options` may be NULL.
 * CELLROUTE_E_UNSUPPORTED: another store, which this library does not carry;
 * CELLROUTE_E_INVALID_ARGUMENT, _NOT_FOUND, _REFUSED (permissions, a network file system),
 * _CORRUPT, _UNAVAILABLE as the text says. */
CELLROUTE_API int32_t cellroute_store_open(cellroute_view url,
                                           const cellroute_store_options* options,
                                           cellroute_store** store, cellroute_error* error);

/* A store of the host's own. `calls` is copied; `self` is the host's until release. On an error
 * release is not called. */
CELLROUTE_API int32_t cellroute_store_create(const cellroute_store_calls* calls, void* self,
                                             cellroute_store** store, cellroute_error* error);

/* Takes what lies at the path of a "file:" store now, if it is newer; publish with the store again
 * to serve by it. What was published before serves on, and is let go when nobody uses it any more.
 * CELLROUTE_UNCHANGED: nothing is newer; CELLROUTE_E_REFUSED: it is older; CELLROUTE_E_CORRUPT,
 * _NOT_FOUND, _UNAVAILABLE as the text says: the store is as it was. CELLROUTE_E_UNSUPPORTED: it is
 * another store. Since 3. */
CELLROUTE_API int32_t cellroute_store_refresh(cellroute_store* store, cellroute_error* error);

/* Gives the `self` of a custom store that was made with `release`, or of a cached one over it: for
 * functions that whoever made it adds for handles of its own. It lives as long as `store`.
 * CELLROUTE_E_UNSUPPORTED: it is another store. Since 4. */
CELLROUTE_API int32_t cellroute_store_self(const cellroute_store* store,
                                           void (*release)(void* self), void** self);

/* From inside one of a custom store's own calls it does nothing. */
CELLROUTE_API void cellroute_store_destroy(cellroute_store* store);

/* CELLROUTE_STORE_... bits. */
CELLROUTE_API int32_t cellroute_store_capabilities(const cellroute_store* store,
                                                   uint32_t* capabilities);

/* Gives `sink` the key's record. CELLROUTE_ABSENT: none is in force; the sink got the tombstone or
 * expired record if one is left, whose revision a put expects. CELLROUTE_STALE, of
 * cellroute_store_cached() alone: the store fails, and the sink got the last good record. Errors
 * are the store's: the key is UNKNOWN. */
CELLROUTE_API int32_t cellroute_store_get(cellroute_store* store, cellroute_view key,
                                          int64_t now_ns, const cellroute_sink* sink,
                                          cellroute_error* error);

/* Writes `record` if the key's stored revision is `expected` (0: it has none), and reads back by
 * op_id where the reply was lost. *revision, which may be NULL, becomes the new one.
 * CELLROUTE_E_CONFLICT: another revision is stored; CELLROUTE_E_REFUSED: the epoch falls, or stays
 * while the cell changes; CELLROUTE_E_UNAVAILABLE: it is not known whether it was written. */
CELLROUTE_API int32_t cellroute_store_put_if(cellroute_store* store, const cellroute_record* record,
                                             uint64_t expected, int64_t now_ns, uint64_t* revision,
                                             cellroute_error* error);

/* Gives `sink` at most `limit` (1 to 10,000) records from `cursor` (empty: the beginning), and the
 * page's end, whose cursor the next call takes. A page without records does not mean the end. */
CELLROUTE_API int32_t cellroute_store_scan(cellroute_store* store, cellroute_view cursor,
                                           uint64_t limit, int64_t now_ns,
                                           const cellroute_sink* sink, cellroute_error* error);

/* ---- Stores kept near (since 3) ---- */

typedef struct cellroute_cache_options {
  uint32_t struct_size;
  uint32_t reserved;       /* 0 */
  uint64_t max_entries;    /* keys held at most, to 2^26; 0: 100,000 */
  uint64_t max_bytes;      /* held at most, with all that goes with the records; 0: 64 MiB */
  int64_t ttl_ns;          /* how long a record is served without asking the store, less up to an
                              eighth by a hash of the key, never beyond its own expiry; 0: 5 min */
  int64_t negative_ttl_ns; /* the same for ABSENT; 0: 5 s. Shorter, and a mapping that another
                              router writes for a new key is seen earlier */
  int64_t max_stale_ns;    /* how long beyond ttl_ns a record is served while the store fails;
                              0: 1 h; 1: as good as not */
  int64_t wait_ns;         /* the longest that a call waits for another one's question to the store,
                              to 1 h; 0: 5 s. No less than the store's own timeout */
} cellroute_cache_options;

/* A store that answers for `store` from memory, and takes its place in every function: for
 * cellroute_resolve() where the store is far. Of the calls that miss a key at once one asks the
 * store. While the store fails, the last good record serves: the mapping is marked stale, and
 * decisions say STALE_MAPPING (6); ABSENT is never told stale, but UNKNOWN. Puts go through, and
 * what they wrote is kept; scans go through.
 *
 * A call that begins when another one of this handle has returned is never answered by an older
 * record, by epoch and revision, than that one gave, wrote or was given: over expiry, eviction and
 * invalidation if the store's get sees every write acknowledged before it; else as long as the key
 * is held. After a put that failed the next call asks the store. What other routers write is seen
 * when the time is over, or when cellroute_store_observe() brings it.
 *
 * `store` stays usable by itself, and lives until both handles are destroyed, in any order. Threads
 * and fork: as any store. `options` may be NULL. CELLROUTE_E_UNAVAILABLE: the system gave no random
 * bytes. */
CELLROUTE_API int32_t cellroute_store_cached(cellroute_store* store,
                                             const cellroute_cache_options* options,
                                             cellroute_store** cached, cellroute_error* error);

/* What a feed of changes brings, with its revision: it takes the place of an older record of its
 * key, and expires when that would have. A key that is not held stays so.
 * CELLROUTE_E_INVALID_ARGUMENT: the record breaks a rule or has no revision; _UNSUPPORTED: `cached`
 * is not of cellroute_store_cached(); _FORKED. */
CELLROUTE_API int32_t cellroute_store_observe(cellroute_store* cached,
                                              const cellroute_record* record,
                                              cellroute_error* error);

/* What is held of `key` is not served again: the next call asks the store. The same codes. */
CELLROUTE_API int32_t cellroute_store_invalidate(cellroute_store* cached, cellroute_view key,
                                                 cellroute_error* error);

/* Since the handle was made. A look-up is a hit, a miss, or a stale answer without a question. */
typedef struct cellroute_cache_counts {
  uint32_t struct_size;
  uint32_t reserved;
  uint64_t hits;
  uint64_t misses;    /* the store was asked, or another call's question waited for */
  uint64_t shared;    /* of these, those that waited */
  uint64_t stale;     /* answers that were the last good one */
  uint64_t errors;    /* questions that the store failed to answer */
  uint64_t evictions; /* keys given up for room */
  uint64_t entries;   /* keys held now */
  uint64_t bytes;     /* held now */
  uint64_t waiting;   /* calls that wait for another one's question now */
} cellroute_cache_counts;

/* CELLROUTE_E_UNSUPPORTED: `cached` is not of cellroute_store_cached(); _FORKED. */
CELLROUTE_API int32_t cellroute_store_cache_counts(const cellroute_store* cached,
                                                   cellroute_cache_counts* counts);

/* ---- Routers ---- */

typedef struct cellroute_router cellroute_router;

#define CELLROUTE_NO_LIMITER 0xffffffffu

typedef struct cellroute_router_options {
  uint32_t struct_size;
  uint32_t cells;           /* that ever get a number, 1 to 65,535; 0: 1,024 */
  uint32_t lanes;           /* threads, in all processes that share the guards, that route at once:
                               1 to 4,096; 0: 1 */
  uint32_t limiter_entries; /* keys with limits, 16 bytes each; 0: 1,048,576;
                               CELLROUTE_NO_LIMITER: none */
  uint64_t guard_seed;      /* of the limiter's tables; 0: a random one, which is best */
  void* memory;         /* for the guards; NULL: the router's own. Else aligned to 64, zero before
                           the first router, mapped until the last is destroyed; where it is
                           shared, processes share guards */
  uint64_t memory_size; /* at least cellroute_router_memory_size() */
  /* For limits of scope FLEET, since 4. */
  uint32_t fleet_routers; /* that share them, at most 65,536; processes that share guards count as
                             one; 0: 1 */
  uint32_t fleet_entries; /* keys at a time of each limit, 1,088 bytes each of the router's own: a
                             power of two from 8 to 2^20; 0: 8,192 */
  int64_t fleet_lease_ns; /* how long a lease lasts: 500 ms to an hour; 0: 2 s */
} cellroute_router_options;

/* The bytes of `memory` that such a router needs. */
CELLROUTE_API int32_t cellroute_router_memory_size(const cellroute_router_options* options,
                                                   uint64_t* size);

/* `options` may be NULL. CELLROUTE_E_INVALID_ARGUMENT: a number is out of range, or the memory is
 * too small or not aligned; _CONFLICT: it holds guards of other options; _CORRUPT: it is neither
 * zero nor guards; _UNSUPPORTED: guards of another layout; _EXHAUSTED: no memory for the guards. */
CELLROUTE_API int32_t cellroute_router_create(const cellroute_router_options* options,
                                              cellroute_router** router, cellroute_error* error);

/* In a child of fork() it leaves the parent's router as it is. */
CELLROUTE_API void cellroute_router_destroy(cellroute_router* router);

typedef struct cellroute_publish_options {
  uint32_t struct_size;
  uint32_t max_moved_percent;      /* of the hash space that may move; default 10 */
  uint32_t max_cells_lost;         /* serving cells that may go; default 1 */
  uint32_t allow_seed_change;      /* 1: a new hash_seed, which moves nearly every key; default 0 */
  cellroute_store* mappings;       /* whose records serve too; NULL: `records` alone. Of a "file:"
                                      one nothing is copied: routes read the file's memory */
  const cellroute_record* records; /* explicit mappings; of several of a key the newest counts */
  uint64_t record_count;
  int64_t now_ns;                 /* records that have expired by then are left out */
  uint32_t max_keys_lost_percent; /* of the mapping file's that serves; default 10. Since 3 */
  uint32_t reserved;              /* 0. Since 3 */
} cellroute_publish_options;

/* Sets struct_size, which is the caller's sizeof, and all defaults. */
CELLROUTE_API int32_t cellroute_publish_options_default(cellroute_publish_options* options,
                                                        uint32_t struct_size);

/* Checks the topology against what serves, and serves it with these mappings from now on; those
 * that served before are gone. The same handle may be published again with other mappings.
 * `options` may be NULL. CELLROUTE_E_REFUSED: it is older or moves more than allowed; _EXHAUSTED:
 * more cells than the guards have room for; _UNAVAILABLE: threads stopped inside calls, or the
 * store. What served serves on. CELLROUTE_E_FORKED. */
CELLROUTE_API int32_t cellroute_router_publish(cellroute_router* router,
                                               const cellroute_topology* topology,
                                               const cellroute_publish_options* options,
                                               cellroute_error* error);

/* Loads a file and publishes it if it is newer. CELLROUTE_UNCHANGED: it holds what serves, and
 * nothing was done. `load` and `options` may be NULL. Codes besides: those of
 * cellroute_topology_load_file() and cellroute_router_publish(). */
CELLROUTE_API int32_t cellroute_router_refresh(cellroute_router* router, cellroute_view path,
                                               const cellroute_load_options* load,
                                               const cellroute_publish_options* options,
                                               cellroute_error* error);

/* The generation that serves now: a host that holds a snapshot compares, and holds anew where it is
 * another. No I/O, allocation, lock or system call. CELLROUTE_E_NO_SNAPSHOT, CELLROUTE_E_FORKED.
 * Since 4. */
CELLROUTE_API int32_t cellroute_router_generation(cellroute_router* router, uint64_t* generation);

/* Whether a cell may be routed to, for every process that shares the guards: `healthy` is 0 or 1.
 * `cell` is a number. CELLROUTE_E_NOT_FOUND: no cell has it. CELLROUTE_E_FORKED. */
CELLROUTE_API int32_t cellroute_mark_health(cellroute_router* router, uint32_t cell,
                                            uint32_t healthy);

/* A cell's load, in the unit of its capacity, at most 2^62. The same codes. */
CELLROUTE_API int32_t cellroute_mark_load(cellroute_router* router, uint32_t cell, uint64_t load);

/* ---- Snapshots: names, endpoints, labels ---- */

/* What serves at one moment, held: names for the numbers of its decisions. Hold one for as long as
 * its generation is of use; it keeps the memory of that generation. */
typedef struct cellroute_snapshot cellroute_snapshot;

/* CELLROUTE_E_NO_SNAPSHOT, CELLROUTE_E_FORKED. */
CELLROUTE_API int32_t cellroute_snapshot_hold(cellroute_router* router,
                                              cellroute_snapshot** snapshot,
                                              cellroute_error* error);

CELLROUTE_API void cellroute_snapshot_destroy(cellroute_snapshot* snapshot);

CELLROUTE_API int32_t cellroute_snapshot_generation(const cellroute_snapshot* snapshot,
                                                    uint64_t* generation);
CELLROUTE_API int32_t cellroute_snapshot_cell_count(const cellroute_snapshot* snapshot,
                                                    uint32_t* count);

/* The number of the index-th cell in byte order of id, from 0. Numbers are the same in every
 * generation and are not dense. CELLROUTE_E_NOT_FOUND behind the last. */
CELLROUTE_API int32_t cellroute_snapshot_cell_at(const cellroute_snapshot* snapshot, uint32_t index,
                                                 uint32_t* cell);

/* The number of the cell called `id`. CELLROUTE_E_NOT_FOUND. */
CELLROUTE_API int32_t cellroute_snapshot_find_cell(const cellroute_snapshot* snapshot,
                                                   cellroute_view id, uint32_t* cell);

#define CELLROUTE_CELL_ACTIVE 0u
#define CELLROUTE_CELL_DRAINING 1u
#define CELLROUTE_CELL_OFFLINE 2u

/* Views live as long as the snapshot and are NUL-terminated. */
typedef struct cellroute_cell {
  uint32_t struct_size;
  uint32_t number;
  uint32_t state;    /* CELLROUTE_CELL_... */
  uint32_t weight;   /* thousandths */
  uint64_t capacity; /* 0: unknown */
  uint32_t label_count;
  uint32_t reserved;
  cellroute_view id;
  cellroute_view tier;       /* empty where the topology names none */
  cellroute_view region;     /* likewise */
  cellroute_view endpoint;   /* the general one; may be empty */
  cellroute_view encryption; /* its level; empty where the topology names none. Since 2 */
  uint32_t certification_count;
  uint32_t reserved2;
} cellroute_cell;

/* CELLROUTE_E_NOT_FOUND: this snapshot has no cell of that number. */
CELLROUTE_API int32_t cellroute_snapshot_cell(const cellroute_snapshot* snapshot, uint32_t number,
                                              cellroute_cell* cell);

/* The cell's endpoint for `resource`, its general one where it has none of its own; may be empty.
 * CELLROUTE_E_NOT_FOUND. */
CELLROUTE_API int32_t cellroute_snapshot_endpoint(const cellroute_snapshot* snapshot, uint32_t cell,
                                                  cellroute_view resource,
                                                  cellroute_view* endpoint);

/* The cell's index-th certification, from 0. CELLROUTE_E_NOT_FOUND. Since 2. */
CELLROUTE_API int32_t cellroute_snapshot_certification_at(const cellroute_snapshot* snapshot,
                                                          uint32_t cell, uint32_t index,
                                                          cellroute_view* name);

/* The name of the cell's index-th label, from 0. CELLROUTE_E_NOT_FOUND. */
CELLROUTE_API int32_t cellroute_snapshot_label_at(const cellroute_snapshot* snapshot, uint32_t cell,
                                                  uint32_t index, cellroute_view* name);

/* The cell's label `name` with {cell} and {key} expanded. Of what is put in, each byte but ASCII
 * letters, digits, '-' and '_' becomes %XX, so that no key breaks out of its place and no two keys
 * give one text. *size, `buffer` and `capacity` as in cellroute_topology_write().
 * CELLROUTE_E_NOT_FOUND: no such cell or label; CELLROUTE_E_REFUSED: more than 8,192 bytes;
 * CELLROUTE_E_INVALID_ARGUMENT: the key is longer than 1,024 bytes, or empty where it is needed. */
CELLROUTE_API int32_t cellroute_snapshot_label(const cellroute_snapshot* snapshot, uint32_t cell,
                                               cellroute_view name, cellroute_view key,
                                               char* buffer, size_t capacity, size_t* size);

/* ---- Profiles ---- */

/* A key's attributes in the numbers of one generation: keep it beside the connection or tenant, and
 * resolve again when a decision says PROFILE_STALE (reason 110). All zero is stale. */
typedef struct cellroute_profile {
  uint64_t generation;
  uint16_t tier, region, flags, plan;
} cellroute_profile;

/* Empty: not given; where the topology has one tier or region alone, that one is meant. */
typedef struct cellroute_profile_names {
  uint32_t struct_size;
  uint32_t flag_count;
  cellroute_view tier;
  cellroute_view region;
  cellroute_view plan;
  const cellroute_view* flags;
} cellroute_profile_names;

/* `names` may be NULL: nothing is given. CELLROUTE_E_UNKNOWN_NAME, with the decision's reason in
 * error.reason. */
CELLROUTE_API int32_t cellroute_profile_resolve(const cellroute_snapshot* snapshot,
                                                const cellroute_profile_names* names,
                                                cellroute_profile* profile, cellroute_error* error);

/* The same in what serves now. CELLROUTE_E_NO_SNAPSHOT, CELLROUTE_E_FORKED. */
CELLROUTE_API int32_t cellroute_router_profile(cellroute_router* router,
                                               const cellroute_profile_names* names,
                                               cellroute_profile* profile, cellroute_error* error);

/* ---- The tenant of an HTTP request. Since 4 ---- */

/* A header or a claim. */
typedef struct cellroute_field {
  cellroute_view name;
  cellroute_view value;
} cellroute_field;

/* A request as the host received it, undecoded: what a host has normalised hides what is forwarded.
 */
typedef struct cellroute_http_request {
  uint32_t struct_size;
  uint32_t header_count;
  cellroute_view authority; /* :authority of HTTP/2 and 3; empty where there is none */
  cellroute_view target;    /* the request line's, or :path: path and query, or an absolute URI */
  cellroute_view peer;      /* the connection's other end: an IPv4 or IPv6 address, or unix:... */
  const cellroute_field* headers; /* all, in order, with Host, duplicates and trusted ones */
  const cellroute_field* claims;  /* of a token that was verified, and of no other */
  uint32_t claim_count;
  uint32_t reserved; /* 0 */
} cellroute_http_request;

#define CELLROUTE_MAX_KEY 1024

#define CELLROUTE_SOURCE_HOSTS 0u
#define CELLROUTE_SOURCE_SUBDOMAIN 1u
#define CELLROUTE_SOURCE_PATH 2u
#define CELLROUTE_SOURCE_HEADER 3u
#define CELLROUTE_SOURCE_QUERY 4u
#define CELLROUTE_SOURCE_COOKIE 5u
#define CELLROUTE_SOURCE_CLAIM 6u

#define CELLROUTE_NO_SOURCE 0xffffffffu

/* Whose request it is, or why nobody's. */
typedef struct cellroute_tenant {
  uint32_t struct_size;
  uint32_t status; /* CELLROUTE_STATUS_OK, _INVALID_ARGUMENT or _UNAUTHENTICATED */
  uint32_t reason; /* 0 where it is OK; else a number of cellroute_reason_at() */
  uint32_t source; /* the first of tenant.sources that named the key, or the one that was at fault,
                      by its place; CELLROUTE_NO_SOURCE: none */
  uint32_t kind;   /* of that source: CELLROUTE_SOURCE_... */
  uint32_t reserved;
  cellroute_view key; /* in the caller's buffer; empty unless the status is OK */
} cellroute_tenant;

/* The key by the rules of the topology's section `tenant`: no I/O, allocation, lock or system call,
 * and time linear in the request's bytes. `buffer` has room for CELLROUTE_MAX_KEY bytes, and what
 * it holds afterwards counts as far as tenant.key says. CELLROUTE_OK whenever there is an answer,
 * also a refusal; CELLROUTE_E_NOT_FOUND: the topology has no such section; CELLROUTE_E_BUFFER:
 * capacity is below CELLROUTE_MAX_KEY. */
CELLROUTE_API int32_t cellroute_extract(const cellroute_snapshot* snapshot,
                                        const cellroute_http_request* request, char* buffer,
                                        size_t capacity, cellroute_tenant* tenant);

/* Whether cells trust the header `name`, so that the host takes it out of every request, then sets
 * it anew: *trusted becomes 1 or 0. A name counts in any case and with '_' or any other sign in the
 * place of '-', as CGI and its like make one variable of them. Where the topology has no section
 * `tenant`, none is. */
CELLROUTE_API int32_t cellroute_is_trusted_header(const cellroute_snapshot* snapshot,
                                                  cellroute_view name, uint32_t* trusted);

/* Where a request came from. */
typedef struct cellroute_client {
  uint32_t struct_size;
  uint32_t status;        /* CELLROUTE_STATUS_OK or _INVALID_ARGUMENT */
  uint32_t reason;        /* 0 where it is OK */
  uint32_t hops;          /* trusted proxies in between */
  cellroute_view address; /* in the request's peer or a header of it, without a port */
} cellroute_client;

/* The client's address. X-Forwarded-For counts from its right end, and only as far as it was
 * written by an address of tenant.trusted_proxies; the first address that is none of them is the
 * client's. Where an entry that counts is no address the request is refused, and `address` is that
 * of the proxy that sent it. Where the topology trusts no proxy it is the peer's. Of `request`
 * peer and headers are read. */
CELLROUTE_API int32_t cellroute_client_address(const cellroute_snapshot* snapshot,
                                               const cellroute_http_request* request,
                                               cellroute_client* client);

/* ---- The path of a request ---- */

#define CELLROUTE_FOUND 0u
#define CELLROUTE_LOOKUP_ABSENT 1u
#define CELLROUTE_LOOKUP_UNKNOWN 2u

/* What a look-up of a key's record found, in the numbers of one generation: from
 * cellroute_resolve() or cellroute_assign(). Good for that generation; else MAPPING_STALE (115). */
typedef struct cellroute_mapping {
  uint32_t struct_size;
  uint32_t answer; /* CELLROUTE_FOUND, _LOOKUP_ABSENT, _LOOKUP_UNKNOWN */
  uint64_t generation;
  uint64_t epoch;
  uint32_t state; /* CELLROUTE_STABLE ... */
  uint32_t stale; /* 1: the last good answer of a store that does not answer; set by a store of
                     cellroute_store_cached(), or by a host that keeps answers itself */
  uint32_t cell;  /* the library's own */
  uint32_t marks; /* the library's own */
  cellroute_profile profile;
} cellroute_mapping;

#define CELLROUTE_WRITE 0u
#define CELLROUTE_READ 1u

typedef struct cellroute_request {
  uint32_t struct_size;
  uint32_t lane; /* the thread's number, below cellroute_router_options.lanes */
  cellroute_view key;
  cellroute_view resource; /* at most 256 bytes; empty: none */
  cellroute_profile profile;
  double risk;           /* 0 to 1 */
  uint32_t access;       /* CELLROUTE_WRITE, CELLROUTE_READ */
  uint32_t tried_count;  /* at most 7 */
  const uint32_t* tried; /* numbers of cells that this request already tried; with any, its key's
                            limits are not charged again */
  const cellroute_mapping* mapping; /* what the host's own look-up found; NULL: those published */
} cellroute_request;

/* What a routed request holds, until it is reported. A value: report it once. All zero is empty. */
typedef struct cellroute_ticket {
  uint64_t words[5];
} cellroute_ticket;

#define CELLROUTE_NO_CELL 0xffffffffu
#define CELLROUTE_READ_ONLY 1u

typedef struct cellroute_decision {
  uint32_t struct_size;
  uint32_t status; /* CELLROUTE_STATUS_... */
  uint32_t reason; /* a number of cellroute_reason_at() */
  uint32_t cell;   /* a number, or CELLROUTE_NO_CELL; with UNASSIGNED the proposed cell */
  uint32_t marks;  /* CELLROUTE_READ_ONLY: the cell may serve reads, not writes */
  uint32_t reserved;
  uint64_t epoch;         /* 0 placed by the strategy; else the mapping's */
  uint64_t generation;    /* of the topology that decided */
  int64_t retry_after_ns; /* 0: trying later does not help, or not known */
  int64_t timeout_ns;     /* for the call to the cell */
  cellroute_ticket ticket;
} cellroute_decision;

/* Decides, and reserves what the guards ask for: hand decision.ticket to cellroute_report(),
 * whatever the status. CELLROUTE_OK whenever there is a decision; CELLROUTE_E_FORKED. */
CELLROUTE_API int32_t cellroute_route(cellroute_router* router, const cellroute_request* request,
                                      int64_t now_ns, cellroute_decision* decision);

/* The same for `count` requests, all on one snapshot. No error leaves some of them decided. */
CELLROUTE_API int32_t cellroute_route_batch(cellroute_router* router,
                                            const cellroute_request* requests, uint64_t count,
                                            int64_t now_ns, cellroute_decision* decisions);

/* Where a key lives, by mappings, constraints, strategy, health and breakers; nothing is reserved,
 * counted or charged to limits, and the ticket is empty. The same codes. */
CELLROUTE_API int32_t cellroute_locate(cellroute_router* router, const cellroute_request* request,
                                       int64_t now_ns, cellroute_decision* decision);
CELLROUTE_API int32_t cellroute_locate_batch(cellroute_router* router,
                                             const cellroute_request* requests, uint64_t count,
                                             int64_t now_ns, cellroute_decision* decisions);

/* What cellroute_route() takes as one struct, which a host keeps and fills anew: for languages in
 * which each argument of a call costs. Since 2. */
typedef struct cellroute_call {
  uint32_t struct_size;
  uint32_t reserved; /* 0 */
  cellroute_router* router;
  const cellroute_request* request;
  int64_t now_ns;
  cellroute_decision* decision;
} cellroute_call;

/* cellroute_route() and cellroute_locate(). CELLROUTE_OK where the decision's status is OK, else
 * CELLROUTE_DENIED, so that a caller need not read the struct for that. */
CELLROUTE_API int32_t cellroute_route_call(const cellroute_call* call);
CELLROUTE_API int32_t cellroute_locate_call(const cellroute_call* call);

/* Many keys that share the rest of their request, as columns: made for Arrow, numpy and FFIs. */
typedef struct cellroute_keys {
  uint32_t struct_size;
  uint32_t lane;
  uint64_t count;
  const char* bytes; /* the keys, one behind the other */
  uint64_t byte_count;
  const int64_t* offsets;    /* count + 1 of them, rising: key i is [offsets[i], offsets[i + 1]);
                                NULL where they have a width */
  cellroute_profile profile; /* of all keys, where `profiles` is NULL */
  const cellroute_profile* profiles; /* one a key, or NULL */
  const cellroute_mapping* mappings; /* one a key, or NULL */
  cellroute_view resource;
  double risk;
  uint32_t access;
  uint32_t width; /* not 0: key i is the width bytes from i * width on, without the NULs at its end.
                     Since 2 */
} cellroute_keys;

/* Each column has room for count entries or is NULL; so may generation be. Without tickets, what a
 * route reserves in flight is given back when in_flight.deadline has passed. */
typedef struct cellroute_answers {
  uint32_t struct_size;
  uint32_t reserved; /* 0 */
  uint32_t* cells;
  uint8_t* statuses;
  uint16_t* reasons;
  uint64_t* epochs;
  int64_t* retry_after_ns;
  uint8_t* marks;
  cellroute_ticket* tickets;
  int64_t* timeout_ns;  /* since 2 */
  uint64_t* generation; /* one, of all decisions; untouched where there are none. Since 2 */
} cellroute_answers;

/* cellroute_route_batch() and cellroute_locate_batch() by columns. CELLROUTE_E_INVALID_ARGUMENT:
 * offsets that fall, offsets or a width that reach beyond byte_count, or both of them. Nothing is
 * decided on an error. */
CELLROUTE_API int32_t cellroute_route_keys(cellroute_router* router, const cellroute_keys* keys,
                                           int64_t now_ns, const cellroute_answers* answers);
CELLROUTE_API int32_t cellroute_locate_keys(cellroute_router* router, const cellroute_keys* keys,
                                            int64_t now_ns, const cellroute_answers* answers);

#define CELLROUTE_ANSWERED 0u
#define CELLROUTE_CONNECT_ERROR 1u
#define CELLROUTE_TIMEOUT 2u
#define CELLROUTE_CLIENT_ABORT 3u

/* How a call to a cell went. */
typedef struct cellroute_outcome {
  uint32_t struct_size;
  uint32_t end;         /* CELLROUTE_ANSWERED ... */
  uint32_t http_status; /* of an answer; 0: it was none of HTTP, and a good one */
  uint32_t slow;        /* 1: slow, also where breaker.slow_call does not say so */
} cellroute_outcome;

/* Ends a routed request: gives back what the ticket still holds, tells the breaker, empties the
 * ticket. One that is empty, foreign or reported before changes nothing; of one that is late, which
 * holds nothing any more, a closed breaker still counts how the call went. CELLROUTE_E_FORKED. */
CELLROUTE_API int32_t cellroute_report(cellroute_router* router, cellroute_ticket* ticket,
                                       const cellroute_outcome* outcome, int64_t now_ns);

/* How `request` would be located, step by step, as a JSON object. *size, `buffer` and `capacity` as
 * in cellroute_topology_write(); between two calls the text may change. CELLROUTE_E_FORKED. */
CELLROUTE_API int32_t cellroute_explain(cellroute_router* router, const cellroute_request* request,
                                        int64_t now_ns, char* buffer, size_t capacity, size_t* size,
                                        cellroute_error* error);

/* ---- Look-up and first assignment (they may block on the store) ---- */

/* Looks the key up. `mapping` is written on an error of the store too, as UNKNOWN, with which a
 * request is answered UNAVAILABLE. CELLROUTE_E_NO_SNAPSHOT, CELLROUTE_E_FORKED, the store's. */
CELLROUTE_API int32_t cellroute_resolve(cellroute_router* router, cellroute_store* store,
                                        cellroute_view key, int64_t now_ns,
                                        cellroute_mapping* mapping, cellroute_error* error);

/* Gives a key without a record the cell that the router proposes, and writes it down; of all who
 * want that the first writer wins and all get its answer. `request.mapping` is not looked at;
 * `pinned`, which may be NULL, is what the record keeps of the key. `decision` is what
 * cellroute_locate() says with the `mapping` that is found; RATE_LIMITED, ASSIGNMENT_RATE where
 * policy.assignments is used up. On an error of the store they are written too: UNAVAILABLE and
 * UNKNOWN. CELLROUTE_E_UNKNOWN_NAME, CELLROUTE_E_NO_SNAPSHOT, CELLROUTE_E_FORKED, the store's. */
CELLROUTE_API int32_t cellroute_assign(cellroute_router* router, cellroute_store* store,
                                       const cellroute_request* request,
                                       const cellroute_profile_names* pinned, int64_t now_ns,
                                       cellroute_mapping* mapping, cellroute_decision* decision,
                                       cellroute_error* error);

/* ---- Limits of the fleet (since 4) ---- */

/* Who knows how much is used of the limits of scope FLEET, which all routers keep together, and of
 * what each key used in a month. No route asks it: a keeper takes leases ahead, and route spends
 * them. A limit is known by its name and kind, a month by a number as 202611, November 2026 in
 * UTC. */
typedef struct cellroute_lease_store cellroute_lease_store;

#define CELLROUTE_FLEET_RATE 0u    /* `burst` at once, then `requests` a period */
#define CELLROUTE_FLEET_MONTHLY 1u /* `requests` in each calendar month of UTC */

typedef struct cellroute_fleet_limit {
  uint32_t struct_size;
  uint32_t kind;       /* CELLROUTE_FLEET_... */
  cellroute_view name; /* 1 to 64 letters, digits, - and _ */
  int64_t period_ns;   /* of a rate */
} cellroute_fleet_limit;

/* One key's: what was settled since the last one, and a lease. */
typedef struct cellroute_lease_order {
  uint32_t struct_size;
  uint32_t month; /* MONTHLY: of what was settled; 0 where nothing was */
  cellroute_view key;
  uint64_t requests;  /* of the key's plan; 2^52: unlimited */
  uint64_t burst;     /* of a rate: at least 1 */
  uint64_t wanted;    /* tokens; 0: no lease */
  int64_t lasting_ns; /* for at most so long */
  int64_t settled;    /* spent without a lease, or below 0: leased and not spent */
} cellroute_lease_order;

typedef struct cellroute_lease_grant {
  uint32_t struct_size;
  int32_t code;           /* CELLROUTE_OK; _E_INVALID_ARGUMENT: nothing was done; another one: it is
                             not known whether the order was carried out */
  uint32_t month;         /* MONTHLY: whose tokens they are, by the store's clock */
  uint32_t reserved;      /* 0 */
  uint64_t tokens;        /* at most what was wanted */
  int64_t lasts_ns;       /* from before the call on */
  int64_t retry_after_ns; /* where it is less than was wanted: until there may be more */
} cellroute_lease_grant;

/* Where usages go. As a cellroute_sink. */
typedef struct cellroute_usage_sink {
  uint32_t struct_size;
  uint32_t reserved; /* 0 */
  void* self;
  int32_t (*usage)(void* self, const cellroute_view* key, uint64_t used);
  int32_t (*page)(void* self, const cellroute_view* cursor, uint32_t done); /* may be NULL */
} cellroute_usage_sink;

/* A lease store of the host's own. As cellroute_store_calls, but that its calls must not use its
 * own handle, and that what breaks a rule leaves the store away. */
typedef struct cellroute_lease_calls {
  uint32_t struct_size;
  uint32_t reserved; /* 0 */
  /* Carries out `count` orders, each at once or not at all and never twice, into the grants of the
   * same places, which are zero but for their struct_size. Its own clock decides; now_ns only says
   * which months it need know. An error is that of all. Required. */
  int32_t (*settle)(void* self, const cellroute_fleet_limit* limit,
                    const cellroute_lease_order* orders, cellroute_lease_grant* grants,
                    uint64_t count, int64_t now_ns, cellroute_error* error);
  /* What a key used of a MONTHLY limit; 0 where nothing is known. NULL: unsupported. */
  int32_t (*usage)(void* self, const cellroute_view* limit, const cellroute_view* key,
                   uint32_t month, uint64_t* used, cellroute_error* error);
  /* Gives the sink at most `most` keys that used any, each once, from `cursor` (empty: the
   * beginning), and then the page's end. NULL: unsupported. */
  int32_t (*usages)(void* self, const cellroute_view* limit, uint32_t month,
                    const cellroute_view* cursor, uint64_t most, const cellroute_usage_sink* sink,
                    cellroute_error* error);
  /* Called once when nothing uses the store any more. May be NULL. */
  void (*release)(void* self);
} cellroute_lease_calls;

/* Opens "memory:", which is gone with the handle and its keepers, shared by the routers of this
 * process, and goes by the clock of its callers. CELLROUTE_E_UNSUPPORTED: another store, which this
 * library does not carry (cellroute_net_lease_store_open() has Redis). */
CELLROUTE_API int32_t cellroute_lease_store_open(cellroute_view url, cellroute_lease_store** store,
                                                 cellroute_error* error);

/* A store of the host's own. `calls` is copied; `self` is the host's until release. On an error
 * release is not called. */
CELLROUTE_API int32_t cellroute_lease_store_create(const cellroute_lease_calls* calls, void* self,
                                                   cellroute_lease_store** store,
                                                   cellroute_error* error);

CELLROUTE_API void cellroute_lease_store_destroy(cellroute_lease_store* store);

/* What `key` used of a MONTHLY limit in a month: all that was leased, less what came back unspent,
 * and what was spent without a lease. A router that is gone has spent what it held.
 * CELLROUTE_E_INVALID_ARGUMENT: a name, a key or a month that is none; _UNAVAILABLE, _CORRUPT,
 * _FORKED, _UNSUPPORTED. */
CELLROUTE_API int32_t cellroute_usage(cellroute_lease_store* store, cellroute_view limit,
                                      cellroute_view key, uint32_t month, uint64_t* used,
                                      cellroute_error* error);

/* Gives `sink` at most `most` (1 to 10,000) keys that used any, each once, from `cursor` (empty:
 * the beginning), and the page's end, whose cursor the next call takes. The same codes. */
CELLROUTE_API int32_t cellroute_usages(cellroute_lease_store* store, cellroute_view limit,
                                       uint32_t month, cellroute_view cursor, uint64_t most,
                                       const cellroute_usage_sink* sink, cellroute_error* error);

/* Brings a router the leases of its topology's limits of scope FLEET, whatever topology it serves.
 * Without one, or while the store does not answer, each key has the limit divided by
 * cellroute_router_options.fleet_routers. Calls may come from any thread; they wait for each other
 * and for the store, and no route waits for them. */
typedef struct cellroute_fleet_keeper cellroute_fleet_keeper;

/* CELLROUTE_E_CONFLICT: the router has a keeper already. CELLROUTE_E_FORKED. */
CELLROUTE_API int32_t cellroute_fleet_keeper_create(cellroute_router* router,
                                                    cellroute_lease_store* store,
                                                    cellroute_fleet_keeper** keeper,
                                                    cellroute_error* error);

/* Leases are left as they are, and count as spent: release first. */
CELLROUTE_API void cellroute_fleet_keeper_destroy(cellroute_fleet_keeper* keeper);

/* Settles and renews once around; call it again at *next_ns, which may be NULL and is written on
 * CELLROUTE_E_UNAVAILABLE too: the store did not answer, and is asked again then. `now_ns` is the
 * clock that routes are given. CELLROUTE_E_FORKED. */
CELLROUTE_API int32_t cellroute_fleet_keeper_renew(cellroute_fleet_keeper* keeper, int64_t now_ns,
                                                   int64_t* next_ns, cellroute_error* error);

/* Gives all leases back, before the router ends. CELLROUTE_E_UNAVAILABLE: the store did not answer,
 * and they count as spent. CELLROUTE_E_FORKED. */
CELLROUTE_API int32_t cellroute_fleet_keeper_release(cellroute_fleet_keeper* keeper, int64_t now_ns,
                                                     cellroute_error* error);

/* ---- Counts ---- */

#define CELLROUTE_ALL_LANES 0xffffffffu

/* Decisions of cellroute_route() and its batches since the router was created. Exact where each
 * thread has a lane of its own; threads that share one may lose counts. */
typedef struct cellroute_count {
  uint32_t struct_size;
  uint32_t reason;
  uint32_t status;
  uint32_t reserved;
  uint64_t decisions;
} cellroute_count;

/* The count of the index-th reason, as cellroute_reason_at() lists them, of a lane or all.
 * CELLROUTE_E_NOT_FOUND behind the last, or there is no such lane. */
CELLROUTE_API int32_t cellroute_router_count(const cellroute_router* router, uint32_t lane,
                                             uint32_t index, cellroute_count* count);

/* A cell as its guards see it. */
typedef struct cellroute_cell_metrics {
  uint32_t struct_size;
  uint32_t healthy; /* the mark: 0 or 1 */
  uint32_t refusal; /* 0: it may be routed to; else the reason, CELL_UNHEALTHY, BREAKER_OPEN ... */
  uint32_t reserved;
  uint64_t in_flight;     /* exact where nobody routes meanwhile */
  uint64_t load;          /* the last mark and the placements since */
  int64_t retry_after_ns; /* until the breaker lets probes through */
} cellroute_cell_metrics;

/* CELLROUTE_E_NOT_FOUND: the serving snapshot has no such cell. CELLROUTE_E_NO_SNAPSHOT, _FORKED.
 */
CELLROUTE_API int32_t cellroute_router_cell_metrics(cellroute_router* router, uint32_t cell,
                                                    int64_t now_ns,
                                                    cellroute_cell_metrics* metrics);

/* ---- Readiness (since 4) ---- */

#define CELLROUTE_READY 0u
#define CELLROUTE_READY_NO_SNAPSHOT 1u /* nothing has been published */
#define CELLROUTE_READY_TOO_OLD 2u     /* the age is above max_age_ns */
#define CELLROUTE_READY_AGE_UNKNOWN 3u /* max_age_ns is given, and the age not known */

/* Whether a router may be sent requests. */
typedef struct cellroute_readiness {
  uint32_t struct_size;
  uint32_t ready;  /* 0 or 1 */
  uint32_t reason; /* CELLROUTE_READY, or why not */
  uint32_t reserved;
  uint64_t generation; /* of what serves; 0: nothing does */
  int64_t age_ns;      /* since cellroute_router_publish(), or a refresh that found what serves, by
                          the now_ns of their options; -1: not known, since that was 0 */
  cellroute_view sentence; /* for people; lives as long as the library, NUL-terminated */
} cellroute_readiness;

/* `max_age_ns` is the greatest age; 0: any. CELLROUTE_E_FORKED. */
CELLROUTE_API int32_t cellroute_router_readiness(cellroute_router* router, int64_t max_age_ns,
                                                 int64_t now_ns, cellroute_readiness* readiness);

/* ---- Metrics (since 4) ---- */

/* Decisions and calls, counted by cell in fixed memory for a monitoring system to fetch. A host
 * counts what it wants counted: observing costs nothing where it is not done. */
typedef struct cellroute_metrics cellroute_metrics;

/* The bytes of `memory` that the metrics of a router with these options need. */
CELLROUTE_API int32_t cellroute_metrics_memory_size(const cellroute_router_options* options,
                                                    uint64_t* size);

/* Metrics of the cells and lanes that `router` has room for. `memory` is NULL: their own; else
 * aligned to 64, zero before the first metrics, mapped until the last are destroyed, and shared by
 * processes that share the router's guards and by no others: cells are known by their numbers.
 * The router may be destroyed before. CELLROUTE_E_INVALID_ARGUMENT: the memory is too small or not
 * aligned; _CONFLICT: it holds metrics beside other guards; _CORRUPT: it is neither zero nor
 * metrics; _UNSUPPORTED: metrics of another layout, as another version of the library has;
 * _EXHAUSTED: no memory; _FORKED. */
CELLROUTE_API int32_t cellroute_metrics_create(cellroute_router* router, void* memory,
                                               uint64_t memory_size, cellroute_metrics** metrics,
                                               cellroute_error* error);

CELLROUTE_API void cellroute_metrics_destroy(cellroute_metrics* metrics);

/* Counts a decision and, where `outcome` is not NULL, how the call to its cell went and what it
 * took. `lane` is the caller's own, below cellroute_router_options.lanes; counts are exact also
 * where threads share one. A latency below 0, of a clock that stepped back, counts as 0. A cell
 * beyond the router's cells counts as "{other}", a reason that the library does not list as
 * "other". Call it beside cellroute_report(), once a decision, before or after.
 * CELLROUTE_E_INVALID_ARGUMENT: there is no such lane. */
CELLROUTE_API int32_t cellroute_metrics_observe(cellroute_metrics* metrics, uint32_t lane,
                                                const cellroute_decision* decision,
                                                const cellroute_outcome* outcome,
                                                int64_t latency_ns);

/* Counts a look-up, as cellroute_resolve() answered it. The same code. */
CELLROUTE_API int32_t cellroute_metrics_lookup(cellroute_metrics* metrics, uint32_t lane,
                                               const cellroute_mapping* mapping);

/* What an HTTP host sends as Content-Type with what cellroute_metrics_write() writes. */
#define CELLROUTE_METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Writes all counts and the state of the router's guards and snapshot as Prometheus text, each
 * metric as capi/metrics.md has it. `cached`, which may be NULL, is a store of
 * cellroute_store_cached() whose counts are written too. *size, `buffer` and `capacity` as in
 * cellroute_topology_write(); between two calls the text may grow. CELLROUTE_E_CONFLICT: the router
 * has other guards than the one that the metrics were made for; _UNSUPPORTED: `cached` is not of
 * cellroute_store_cached(); _FORKED. */
CELLROUTE_API int32_t cellroute_metrics_write(cellroute_metrics* metrics, cellroute_router* router,
                                              const cellroute_store* cached, int64_t now_ns,
                                              char* buffer, size_t capacity, size_t* size,
                                              cellroute_error* error);

/* Names of CloudWatch's metrics: 1 to 255 bytes of printable ASCII that begin with no colon, the
 * last five all different and none of them _aws, Status or Reason; empty: the name given here. */
typedef struct cellroute_emf_options {
  uint32_t struct_size;
  uint32_t reserved;            /* 0 */
  cellroute_view name_space;    /* CellRouter */
  cellroute_view cell_id;       /* CellId, a dimension: the cell's id */
  cellroute_view status_code;   /* StatusCode, a dimension: of the answer to the client */
  cellroute_view request_count; /* RequestCount, by cell: 1 */
  cellroute_view response_code; /* ResponseCode, by cell and status code: 1 */
  cellroute_view latency;       /* Latency, by cell, in milliseconds; not where `outcome` is NULL */
} cellroute_emf_options;

/* Writes one request as one line of CloudWatch's embedded metric format, without a line feed, for a
 * function to print to its standard output. `snapshot` names the cell: "{none}" where the decision
 * has none, "{other}" one that the snapshot does not have. The line says the decision's Status and
 * Reason besides, which are no metrics. The arguments are those of cellroute_metrics_observe();
 * `options` may be NULL. Where a call has no status of its own, the status code is 502 (connect
 * error), 504 (timeout), 499 (client abort) or 200; without a call it is the decision's. *size,
 * `buffer` and `capacity` as in cellroute_topology_write(); the line is below 8,192 bytes.
 * CELLROUTE_E_INVALID_ARGUMENT: a name breaks its rule, or now_ns is negative. */
CELLROUTE_API int32_t cellroute_emf_write(const cellroute_snapshot* snapshot,
                                          const cellroute_emf_options* options,
                                          const cellroute_decision* decision,
                                          const cellroute_outcome* outcome, int64_t latency_ns,
                                          int64_t now_ns, char* buffer, size_t capacity,
                                          size_t* size, cellroute_error* error);

/* ---- Hash and strategies on their own ---- */

/* The 64 bits that a placement seed makes of a key: XXH3, frozen. */
CELLROUTE_API int32_t cellroute_hash(uint64_t seed, cellroute_view key, uint64_t* hash);

/* One strategy's table over some members. */
typedef struct cellroute_picker cellroute_picker;

typedef struct cellroute_member {
  uint32_t struct_size;
  uint32_t weight;            /* thousandths; 0: 1,000 */
  cellroute_view id;          /* stable: placement depends on it and on weight alone */
  cellroute_view ketama_name; /* host[:port] as a legacy ring knows it; empty: the id */
} cellroute_member;

typedef struct cellroute_picker_options {
  uint32_t struct_size;
  uint32_t slots;           /* rendezvous-slots, maglev: 2^10 to 2^22, a power of two; 0: 65,536 */
  uint64_t seed;            /* the placement seed, a secret */
  uint64_t max_table_bytes; /* 0: 256 MiB */
} cellroute_picker_options;

/* `strategy` is a name: rendezvous-slots, rendezvous, ring, maglev, jump, modulo, md5-modulo,
 * ketama, ketama-nginx. jump, modulo and md5-modulo use the members' order, to others it does not
 * matter. `options` may be NULL. CELLROUTE_E_INVALID_ARGUMENT, CELLROUTE_E_REFUSED as the text
 * says. */
CELLROUTE_API int32_t cellroute_picker_create(cellroute_view strategy,
                                              const cellroute_member* members, uint64_t count,
                                              const cellroute_picker_options* options,
                                              cellroute_picker** picker, cellroute_error* error);

CELLROUTE_API void cellroute_picker_destroy(cellroute_picker* picker);

/* The key's member, by its place among `members`. CELLROUTE_E_INVALID_ARGUMENT: the key is not 1 to
 * 1,024 bytes. */
CELLROUTE_API int32_t cellroute_picker_pick(const cellroute_picker* picker, cellroute_view key,
                                            uint32_t* member);

/* The same for many keys, as in cellroute_keys, of which bytes, offsets and width count. */
CELLROUTE_API int32_t cellroute_picker_pick_keys(const cellroute_picker* picker,
                                                 const cellroute_keys* keys, uint32_t* members);

#ifdef __cplusplus
}
#endif

#endif /* CELLROUTE_H */
