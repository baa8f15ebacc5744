#include "net/open_net_store.hpp"

#include "net/redis_store.hpp"

namespace cellroute {

Result<std::unique_ptr<MappingStore>> open_net_store(std::string_view url,
                                                     const StoreOptions& options) {
  const std::string_view scheme = url.substr(0, url.find("://"));
  for (const std::string_view redis : {"redis", "rediss", "redis+unix", "redis+cluster"}) {
    if (scheme == redis && scheme.size() < url.size()) return open_redis_store(url, options);
  }
  return open_store(url, options);
}

}  // namespace cellroute
