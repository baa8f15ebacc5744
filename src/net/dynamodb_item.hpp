// A record as an item of a table: DynamoDB's JSON to a record and back (dynamodb_format.md). JSON
// may be hostile.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cellroute/mapping.hpp"
#include "cellroute/status.hpp"
#include "net/dynamodb_url.hpp"
#include "net/dynamodb_value.hpp"

namespace cellroute::net {

// `key` as the value of a string attribute. UTF-8 stands for itself; other bytes, and what looks
// like their spelling, are kBytesMark and base 64, so that no two keys have one spelling.
inline constexpr std::string_view kBytesMark = "base64:";
std::string stored_key(const DynamodbTarget& target, std::string_view key);

// The key that `stored` spells; nothing where it is without the prefix, or nobody's spelling.
std::optional<std::string> key_of_stored(const DynamodbTarget& target, std::string_view stored);

// All attributes of `record` but the key. Times to live are whole seconds, rounded up.
Json attributes_of(const DynamodbTarget& target, const MappingRecord& record);

// What an item may be.
enum class ItemKind : std::uint8_t {
  kNone,     // no mapping: it has no cell
  kForeign,  // one that cellroute has not written yet: revision 1, epoch 1
  kOwn,
};

// Replaces `record` by what `item` says of `key`. Attributes that are none of the store's are
// passed over. kCorrupt: one of them is of another type, or the record breaks a rule.
Result<ItemKind> read_item(const DynamodbTarget& target, const Json& item, std::string_view key,
                           MappingRecord& record);

// The profile in `item`, which may be of another table; nothing where it has none of its
// attributes. kCorrupt as above.
Result<std::optional<MappedProfile>> read_profile(const DynamodbTarget& target, const Json& item);

}  // namespace cellroute::net
