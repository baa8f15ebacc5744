/*
 * cellroute: mapping and lease stores behind a network, of libcellroute-net.
 *
 * A store opened here is one of libcellroute's: every function of cellroute.h takes it, and its
 * rules hold. The two libraries meet in that interface alone; this one needs the system's
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

/* Opens a store of leases for limits of the fleet in Redis, by the same URLs. It counts by the
 * servers' clocks; a failover may forget what was used since the last write that survived. No
 * server is asked yet, so that a router begins with its share where none answers. Of the options
 * the timeout alone counts. `options` may be NULL. CELLROUTE_E_INVALID_ARGUMENT,
 * CELLROUTE_E_UNSUPPORTED as above. Since 4. */
CELLROUTE_API int32_t cellroute_net_lease_store_open(cellroute_view url,
                                                     const cellroute_net_options* options,
                                                     cellroute_lease_store** store,
                                                     cellroute_error* error);

#ifdef __cplusplus
}
#endif

#endif /* CELLROUTE_NET_H */
