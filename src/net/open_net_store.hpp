// Opens a mapping store by its URL, also one behind a network.
#pragma once

#include <memory>
#include <string_view>

#include "cellroute/mapping_store.hpp"
#include "stores/open_store.hpp"

namespace cellroute {

// redis://, redis+unix:// and redis+cluster:// (redis_store.hpp), dynamodb:// (dynamodb_store.hpp),
// and all that open_store() takes.
Result<std::unique_ptr<MappingStore>> open_net_store(std::string_view url,
                                                     const StoreOptions& options = {});

}  // namespace cellroute
