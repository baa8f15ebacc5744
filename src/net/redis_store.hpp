// A mapping store in Redis 7, alone or as Redis Cluster. redis_format.md says how it lies there.
//
// Lossy: Redis acknowledges before its replicas and its disk have a write, so a failover, and a
//   restart, may forget some. It serves as a cache, as a change feed, and as an authority only
//   where losing is acceptable; capabilities() says loses_acknowledged, and not durable. A server
//   that evicts to make room (maxmemory-policy) would forget without any failover: it is refused.
// Time: every call ends within options.timeout, less what the system's resolver takes to look up a
//   name while connecting. Reads are tried again until then; a put never is.
// Changes: in order for each key; in the order of all writes where the store has one partition, as
//   it has but in a cluster (capabilities().ordered_changes). After a failover or restart, or when
//   a slot was moved, a cursor is refused, since what it stands behind may have been lost.
// Roles: a server that stands alone and is made a replica without a word to its clients is found
//   out within a second, and not read from any more.
// Resharding: look-ups go on while a slot is moved; all else about its partition waits until its
//   keys are together again (TRYAGAIN), or for its time.
// Threads: any; connections are shared. No thread and no signal handler is made, and no SIGPIPE is
//   raised.
// Fork: as all stores; a child's copy of the handle does not disturb the parent's connections.
#pragma once

#include <memory>
#include <string_view>

#include "cellroute/mapping_store.hpp"
#include "stores/open_store.hpp"

namespace cellroute {

// `url` is one of
//   redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]         port 6379, database 0
//   redis+unix://[[USER]:PASSWORD@]/PATH[?db=DATABASE]       a unix socket
//   redis+cluster://[[USER]:PASSWORD@]HOST[:PORT][,HOST[:PORT]...]   some nodes of a cluster
// each with ?prefix=NAME for what the store's keys begin with (cellroute; 1 to 64 visible ASCII
// bytes without braces). An IPv6 address stands in brackets; in user, password, path and prefix %XX
// is a byte. Nothing is encrypted (rediss:// is kUnsupported).
//   kInvalidArgument  it is no such URL, or options.timeout is not positive
//   kNotFound         there is no store, and options.create is false
//   kUnavailable      no answer in time
//   kRefused          the server does not let us in, or evicts
//   kCorrupt          the format record is none
//   kUnsupported      a later version of cellroute made the store; or a cluster's server, or none
//                     of a cluster's, where the URL says otherwise
Result<std::unique_ptr<MappingStore>> open_redis_store(std::string_view url,
                                                       const StoreOptions& options = {});

}  // namespace cellroute
