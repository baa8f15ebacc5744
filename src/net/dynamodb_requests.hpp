// The requests of a store to its table, as DynamoDB's JSON.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "cellroute/mapping.hpp"
#include "net/dynamodb_item.hpp"
#include "net/dynamodb_table.hpp"
#include "net/dynamodb_url.hpp"

namespace cellroute::net {

// UpdateItem: writes `next` where the key's revision is `expected` and the epochs' rules hold
// (put_rules.hpp), in one condition. Attributes of others stay.
Json put_request(const DynamodbTarget& target, const MappingRecord& next, std::uint64_t expected);

// DeleteItem, where it is still `record`, read as `kind`.
Json delete_request(const DynamodbTarget& target, const MappingRecord& record, ItemKind kind);

// BatchGetItem of at most kMaxBatchKeys distinct keys, as stored_key() spells them.
inline constexpr std::size_t kMaxBatchKeys = 100;
Json batch_request(const DynamodbTarget& target, std::span<const std::string> stored_keys,
                   bool strong);

// The same from the table of profiles.
Json profiles_request(const DynamodbTarget& target, std::span<const std::string> stored_keys);

// Scan, from behind the key `start`; from the beginning where it is null.
Json scan_request(const DynamodbTarget& target, const Json& start, std::size_t limit);

// Scan of what may have expired at `before`.
Json expired_request(const DynamodbTarget& target, const Json& start, Nanos before);

// Query of `index` for `cell`.
Json query_request(const DynamodbTarget& target, const DynamodbIndex& index, std::string_view cell,
                   const Json& start, std::size_t limit);

// The key of `item` for a scan (null), or for a query of `index`. Null where it has none.
Json start_key(const DynamodbTarget& target, const DynamodbIndex* index, const Json& item);

// Whether `key` may be one that start_key gave, `cell` being what was asked for.
bool start_key_ok(const DynamodbTarget& target, const DynamodbIndex* index, std::string_view cell,
                  const Json& key);

}  // namespace cellroute::net
