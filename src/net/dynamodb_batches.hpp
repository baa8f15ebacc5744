// Items of a table by their keys, in batches.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "cellroute/status.hpp"
#include "net/deadline.hpp"
#include "net/dynamodb_client.hpp"
#include "net/dynamodb_item.hpp"

namespace cellroute::net {

// Keys as stored_key() spells them, and where each one is wanted.
using WantedKeys = std::unordered_map<std::string, std::vector<std::size_t>>;

// Which table, and how it is asked for at most kMaxBatchKeys keys (dynamodb_requests.hpp).
struct BatchSource {
  std::string_view table;
  const std::string& key;  // what its key is called
  std::function<Json(std::span<const std::string> stored_keys)> request;
};

// Hands each item that is there, and where it was wanted, to `take`; an error of that ends it. Keys
// that DynamoDB leaves for later, throttled, are asked for again.
//   kUnavailable  no answer in time: nothing is known of the keys whose items were not handed over
Error get_items(DynamodbClient& client, const BatchSource& source, const WantedKeys& wanted,
                Deadline deadline,
                const std::function<Error(const std::vector<std::size_t>&, const Json&)>& take);

// The member of an object, or null; a JSON null is none.
const Json* find_member(const Json& of, std::string_view name);

// kUnavailable: what came is no reply of `operation`.
Error bad_reply(std::string_view operation);

}  // namespace cellroute::net
