#include "net/dynamodb_batches.hpp"

#include <utility>

#include "net/back_off.hpp"
#include "net/dynamodb_requests.hpp"

namespace cellroute::net {
namespace {

constexpr std::string_view kOperation = "BatchGetItem";

using TakeItem = std::function<Error(const std::vector<std::size_t>&, const Json&)>;

// The items of one reply.
Error take_items(const Json& items, const BatchSource& source, const WantedKeys& wanted,
                 const TakeItem& take) {
  if (!items.is_array()) return bad_reply(kOperation);
  for (const Json& item : items) {
    const std::string* const stored = find_text(item, source.key);
    const auto at = stored == nullptr ? wanted.end() : wanted.find(*stored);
    if (at == wanted.end()) return bad_reply(kOperation);
    if (Error error = take(at->second, item); !error.ok()) return error;
  }
  return {};
}

// The keys that a reply leaves for later.
Result<std::vector<std::string>> keys_left(const Json& left, const BatchSource& source) {
  std::vector<std::string> keys;
  const Json* const listed = find_member(left, "Keys");
  if (listed == nullptr || !listed->is_array() || listed->size() > kMaxBatchKeys) {
    return bad_reply(kOperation);
  }
  for (const Json& key : *listed) {
    const std::string* const stored = find_text(key, source.key);
    if (stored == nullptr) return bad_reply(kOperation);
    keys.push_back(*stored);
  }
  return keys;
}

Error get_batch(DynamodbClient& client, const BatchSource& source, const WantedKeys& wanted,
                std::vector<std::string> keys, Deadline deadline, const TakeItem& take) {
  for (unsigned waits = 0;;) {
    const Json body = source.request(keys);
    const auto reply = client.must({kOperation, body, source.table}, deadline);
    if (!reply.ok()) return reply.error();
    const Json* const responses = find_member(*reply, "Responses");
    const Json* const items =
        responses == nullptr ? nullptr : find_member(*responses, source.table);
    const Json* const unprocessed = find_member(*reply, "UnprocessedKeys");
    const Json* const left =
        unprocessed == nullptr ? nullptr : find_member(*unprocessed, source.table);
    // Only an answer about the table says that a key is absent.
    if (items == nullptr && left == nullptr) return bad_reply(kOperation);
    if (items != nullptr) {
      if (Error error = take_items(*items, source, wanted, take); !error.ok()) return error;
    }
    if (left == nullptr) return {};
    auto later = keys_left(*left, source);
    if (!later.ok()) return later.error();
    if (later->empty()) return {};
    keys = std::move(*later);
    if (!sleep_within(back_off(++waits), deadline)) {
      return Error(ErrorCode::kUnavailable, "DynamoDB: BatchGetItem: throttled until the end");
    }
  }
}

}  // namespace

const Json* find_member(const Json& of, std::string_view name) {
  if (!of.is_object()) return nullptr;
  const auto at = of.find(name);
  return at == of.end() || at->is_null() ? nullptr : &*at;
}

Error bad_reply(std::string_view operation) {
  return Error(ErrorCode::kUnavailable,
               "DynamoDB: " + std::string(operation) + ": the reply is none");
}

Error get_items(DynamodbClient& client, const BatchSource& source, const WantedKeys& wanted,
                Deadline deadline, const TakeItem& take) {
  std::vector<std::string> keys;
  for (auto next = wanted.begin(); next != wanted.end();) {
    keys.push_back(next->first);
    ++next;
    if (keys.size() < kMaxBatchKeys && next != wanted.end()) continue;
    Error error = get_batch(client, source, wanted, std::exchange(keys, {}), deadline, take);
    if (!error.ok()) return error;
  }
  return {};
}

}  // namespace cellroute::net
