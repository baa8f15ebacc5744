#include "net/dynamodb_requests.hpp"

#include <algorithm>
#include <initializer_list>
#include <utility>

namespace cellroute::net {
namespace {

std::string marked(char mark, Attribute attribute) {
  std::string text(1, mark);
  return text += std::to_string(static_cast<unsigned>(attribute));
}

// What stands for an attribute's name in an expression, and for its value.
std::string placeholder(Attribute attribute) { return marked('#', attribute); }
std::string value_of(Attribute attribute) { return marked(':', attribute); }

constexpr Attribute at(std::size_t i) { return static_cast<Attribute>(i); }

void use(const DynamodbTarget& target, Json& names, std::initializer_list<Attribute> attributes) {
  for (const Attribute attribute : attributes) {
    names[placeholder(attribute)] = target.name(attribute);
  }
}

// "#3", or "#3, #4".
void append_listed(std::string& list, const std::string& element) {
  if (!list.empty()) list += ", ";
  list += element;
}

// All of the store's attributes, so that no reply has more than it must.
void project(const DynamodbTarget& target, const std::string& besides, Json& request) {
  std::string list;
  Json& names = request["ExpressionAttributeNames"];
  for (std::size_t i = 0; i < kAttributes; ++i) {
    append_listed(list, placeholder(at(i)));
    names[placeholder(at(i))] = target.names[i];
  }
  const bool listed =
      std::find(target.names.begin(), target.names.end(), besides) != target.names.end();
  if (!besides.empty() && !listed) {
    append_listed(list, "#range");
    names["#range"] = besides;
  }
  request["ProjectionExpression"] = list;
}

Json key_of(const DynamodbTarget& target, std::string_view key) {
  return {{target.name(Attribute::kKey), text_value(stored_key(target, key))}};
}

// The stored record is the expected one, and `next` may follow it.
std::string condition(const MappingRecord& next, std::uint64_t expected) {
  const std::string cell = placeholder(Attribute::kCell);
  const std::string epoch = placeholder(Attribute::kEpoch);
  const std::string revision = placeholder(Attribute::kRevision);
  if (expected == 0) return "attribute_not_exists(" + cell + ")";
  const std::string same_cell = cell + " = " + value_of(Attribute::kCell);
  const std::string new_epoch = value_of(Attribute::kEpoch);
  std::string stays = epoch + " = " + new_epoch + " AND " + same_cell;
  if (!next.deleted) {
    stays += " AND attribute_not_exists(" + placeholder(Attribute::kDeleted) + ")";
  }
  std::string own =
      revision + " = :expected AND (" + epoch + " < " + new_epoch + " OR (" + stays + "))";
  if (expected != 1) return own;
  // One that is not cellroute's yet counts as revision 1, epoch 1.
  const std::string foreign = "attribute_not_exists(" + revision + ") AND " +
                              (next.epoch > 1 ? "attribute_exists(" + cell + ")" : same_cell);
  return "(" + own + ") OR (" + foreign + ")";
}

Json page_request(const DynamodbTarget& target, const Json& start) {
  Json request = {{"TableName", target.table}, {"ReturnConsumedCapacity", "TOTAL"}};
  if (!start.is_null()) request["ExclusiveStartKey"] = start;
  return request;
}

Json keys_request(const std::string& table, const std::string& key, bool strong,
                  std::span<const std::string> stored_keys) {
  Json keys = Json::array();
  for (const std::string& stored : stored_keys) keys.push_back({{key, text_value(stored)}});
  return {{"ReturnConsumedCapacity", "TOTAL"},
          {"RequestItems", {{table, {{"Keys", std::move(keys)}, {"ConsistentRead", strong}}}}}};
}

const std::string& hash_name(const DynamodbTarget& target, const DynamodbIndex& index) {
  return target.name(index.hash);
}

bool is_key_value(const Json& value) {
  if (!value.is_object() || value.size() != 1 || !value.begin()->is_string()) return false;
  return value.begin().key() == "S" || value.begin().key() == "N" || value.begin().key() == "B";
}

}  // namespace

Json put_request(const DynamodbTarget& target, const MappingRecord& next, std::uint64_t expected) {
  const Json attributes = attributes_of(target, next);
  Json names = Json::object();
  Json values = Json::object();
  std::string set;
  std::string remove;
  for (std::size_t i = 1; i < kAttributes; ++i) {
    const std::string name = placeholder(at(i));
    names[name] = target.names[i];
    const auto given = attributes.find(target.names[i]);
    if (given == attributes.end()) {
      append_listed(remove, name);
    } else {
      append_listed(set, name + " = " + value_of(at(i)));
      values[value_of(at(i))] = *given;
    }
  }
  if (expected != 0) values[":expected"] = number_value(expected);
  return {{"TableName", target.table},
          {"Key", key_of(target, next.key)},
          {"UpdateExpression", "SET " + set + (remove.empty() ? "" : " REMOVE " + remove)},
          {"ConditionExpression", condition(next, expected)},
          {"ExpressionAttributeNames", std::move(names)},
          {"ExpressionAttributeValues", std::move(values)},
          {"ReturnValuesOnConditionCheckFailure", "ALL_OLD"},
          {"ReturnConsumedCapacity", "TOTAL"}};
}

Json delete_request(const DynamodbTarget& target, const MappingRecord& record, ItemKind kind) {
  const bool own = kind == ItemKind::kOwn;
  Json names = Json::object();
  use(target, names, {own ? Attribute::kRevision : Attribute::kTtl});
  if (!own) use(target, names, {Attribute::kRevision});
  const std::string same = own ? placeholder(Attribute::kRevision)
                               : "attribute_not_exists(" + placeholder(Attribute::kRevision) +
                                     ") AND " + placeholder(Attribute::kTtl);
  const Json attributes = attributes_of(target, record);
  return {{"TableName", target.table},
          {"Key", key_of(target, record.key)},
          {"ConditionExpression", same + " = :same"},
          {"ExpressionAttributeNames", std::move(names)},
          {"ExpressionAttributeValues",
           {{":same", attributes.at(target.name(own ? Attribute::kRevision : Attribute::kTtl))}}},
          {"ReturnConsumedCapacity", "TOTAL"}};
}

Json batch_request(const DynamodbTarget& target, std::span<const std::string> stored_keys,
                   bool strong) {
  Json request = keys_request(target.table, target.name(Attribute::kKey), strong, stored_keys);
  project(target, "", request["RequestItems"][target.table]);
  return request;
}

Json profiles_request(const DynamodbTarget& target, std::span<const std::string> stored_keys) {
  Json request = keys_request(target.profiles, target.profiles_key, target.strong, stored_keys);
  Json& table = request["RequestItems"][target.profiles];
  Json& names = table["ExpressionAttributeNames"];
  std::string list = "#key";
  names["#key"] = target.profiles_key;
  for (const Attribute attribute :
       {Attribute::kTier, Attribute::kRegion, Attribute::kPlan, Attribute::kFlags}) {
    append_listed(list, placeholder(attribute));
    use(target, names, {attribute});
  }
  table["ProjectionExpression"] = list;
  return request;
}

Json scan_request(const DynamodbTarget& target, const Json& start, std::size_t limit) {
  Json request = page_request(target, start);
  request["ConsistentRead"] = target.strong;
  request["Limit"] = limit;
  project(target, "", request);
  return request;
}

Json expired_request(const DynamodbTarget& target, const Json& start, Nanos before) {
  Json request = page_request(target, start);
  request["ConsistentRead"] = true;
  project(target, "", request);
  request["FilterExpression"] = placeholder(Attribute::kTtl) + " <= :before";
  const auto seconds = static_cast<std::uint64_t>(before / kSecond + 1);
  request["ExpressionAttributeValues"] = {{":before", number_value(seconds)}};
  return request;
}

Json query_request(const DynamodbTarget& target, const DynamodbIndex& index, std::string_view cell,
                   const Json& start, std::size_t limit) {
  Json request = page_request(target, start);
  request["IndexName"] = index.name;
  request["Limit"] = limit;
  project(target, index.range, request);
  request["KeyConditionExpression"] = placeholder(index.hash) + " = :cell";
  request["ExpressionAttributeValues"] = {{":cell", text_value(cell)}};
  return request;
}

Json start_key(const DynamodbTarget& target, const DynamodbIndex* index, const Json& item) {
  Json key = Json::object();
  const auto copy = [&](const std::string& name) {
    const auto found = item.find(name);
    if (found != item.end()) key[name] = *found;
    return found != item.end();
  };
  if (!item.is_object() || !copy(target.name(Attribute::kKey))) return Json();
  if (index == nullptr) return key;
  if (!copy(hash_name(target, *index))) return Json();
  if (!index->range.empty() && !copy(index->range)) return Json();
  return key;
}

bool start_key_ok(const DynamodbTarget& target, const DynamodbIndex* index, std::string_view cell,
                  const Json& key) {
  const std::string* const stored = find_text(key, target.name(Attribute::kKey));
  if (stored == nullptr || start_key(target, index, key) != key) return false;
  if (!std::all_of(key.begin(), key.end(), is_key_value)) return false;
  if (index == nullptr) return true;
  const std::string* const hash = find_text(key, hash_name(target, *index));
  return hash != nullptr && *hash == cell;
}

}  // namespace cellroute::net
