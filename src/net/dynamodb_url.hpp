// Which table of DynamoDB a URL names, and what its attributes are called.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "cellroute/status.hpp"

namespace cellroute::net {

// What an item of a table has (dynamodb_format.md). The order is that of kAttributeOptions.
enum class Attribute : std::uint8_t {
  kKey,
  kCell,
  kCreated,
  kUpdated,
  kTtl,
  kRevision,
  kEpoch,
  kOpId,
  kState,
  kTarget,
  kExpires,
  kEphemeral,
  kDeleted,
  kHistory,
  kTier,
  kRegion,
  kPlan,
  kFlags,
  kUnknownFields,
};

// An attribute's option in a URL, and its name where the URL gives none.
struct AttributeOption {
  std::string_view option;
  std::string_view name;
};
inline constexpr AttributeOption kAttributeOptions[] = {
    {"key_attribute", "PartitionKey"},
    {"cell_attribute", "CellId"},
    {"created_attribute", "CreatedAt"},
    {"updated_attribute", "LastUpdated"},
    {"ttl_attribute", "TTL"},
    {"revision_attribute", "Revision"},
    {"epoch_attribute", "Epoch"},
    {"op_id_attribute", "OpId"},
    {"state_attribute", "State"},
    {"target_attribute", "TargetCellId"},
    {"expires_attribute", "Expires"},
    {"ephemeral_attribute", "Ephemeral"},
    {"deleted_attribute", "Deleted"},
    {"history_attribute", "History"},
    {"tier_attribute", "Tier"},
    {"region_attribute", "Region"},
    {"plan_attribute", "Plan"},
    {"flags_attribute", "Flags"},
    {"unknown_fields_attribute", "UnknownFields"},
};
inline constexpr std::size_t kAttributes = std::size(kAttributeOptions);

// Thread safety: a plain value.
struct DynamodbTarget {
  std::string table;
  std::string region;        // of AWS
  std::string endpoint;      // scheme://host[:port]; empty: the region's own
  bool strong = true;        // look-ups and scans see every acknowledged write
  std::string write_region;  // where alone writes go; empty: wherever this store is
  std::string index = "CellIdIndex";
  std::string target_index = "TargetCellIdIndex";
  std::string prefix;        // what the store's keys begin with
  std::string profiles;      // a table of the keys' attributes, or none
  std::string profiles_key;  // and what its key is called
  std::array<std::string, kAttributes> names;

  const std::string& name(Attribute attribute) const noexcept {
    return names[static_cast<std::size_t>(attribute)];
  }
  // https://dynamodb.REGION.amazonaws.com, or in China .com.cn, unless the URL says otherwise.
  std::string address() const;
};

// `url` as dynamodb_store.hpp says; where it names no region, `default_region` does.
// kInvalidArgument: it is no such URL.
Result<DynamodbTarget> read_dynamodb_url(std::string_view url, std::string_view default_region);

}  // namespace cellroute::net
