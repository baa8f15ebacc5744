#include "net/open_net_store.hpp"

#include <utility>

#include "net/dynamodb_store.hpp"
#include "net/redis_store.hpp"

namespace cellroute {

Result<std::unique_ptr<MappingStore>> open_net_store(std::string_view url,
                                                     const StoreOptions& options) {
  const std::string_view scheme = url.substr(0, url.find("://"));
  for (const std::string_view redis : {"redis", "rediss", "redis+unix", "redis+cluster"}) {
    if (scheme == redis && scheme.size() < url.size()) return open_redis_store(url, options);
  }
  if (scheme == "dynamodb" && scheme.size() < url.size()) {
    auto store = open_dynamodb_store(url, options);
    if (!store.ok()) return store.error();
    return std::unique_ptr<MappingStore>(std::move(*store));
  }
  return open_store(url, options);
}

}  // namespace cellroute
