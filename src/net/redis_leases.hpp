// A fleet's limits in Redis 7, alone or as Redis Cluster. redis_format.md says how they lie there.
//
// Lossy, as the mapping store: what a failover or a restart forgets of a month may be spent again,
//   at most what was leased and settled since the last write that survived; of a rate, a burst.
// Time: every call ends within options.timeout, less what the system's resolver takes. None is ever
//   made twice. Months and rates go by the servers' clocks.
// Counters of a month are kept for 100 days after its end.
// Threads, fork, signals: as the mapping store's (redis_store.hpp).
#pragma once

#include <memory>
#include <string_view>

#include "cellroute/lease_store.hpp"
#include "stores/open_store.hpp"

namespace cellroute {

// `url` as of open_redis_store(); of the options the timeout alone counts. No server is asked yet,
// so that a router begins with its share where none answers.
//   kInvalidArgument  it is no such URL, or options.timeout is not positive
//   kUnsupported      rediss://
Result<std::unique_ptr<LeaseStore>> open_redis_leases(std::string_view url,
                                                      const StoreOptions& options = {});

}  // namespace cellroute
