#include "net/dynamodb_table.hpp"

#include <algorithm>
#include <chrono>
#include <thread>

#include "cellroute/check/problems.hpp"
#include "net/back_off.hpp"
#include "net/dynamodb_client.hpp"

namespace cellroute::net {
namespace {

constexpr Nanos kPoll = 200 * kMillisecond;
constexpr std::size_t kMaxTags = 50;  // of DynamoDB
constexpr std::size_t kMaxTagKeyBytes = 128;
constexpr std::size_t kMaxTagValueBytes = 256;
constexpr std::size_t kMaxEncryptionBytes = 2048;

const Json& member(const Json& of, const char* name) {
  static const Json none;
  if (!of.is_object()) return none;
  const auto at = of.find(name);
  return at == of.end() ? none : *at;
}

bool is_text(const Json& value, std::string_view text) {
  return value.is_string() && value.get_ref<const std::string&>() == text;
}

// The names of a key schema, the partition's first; empty where it is none.
std::vector<std::string> key_names(const Json& schema) {
  std::vector<std::string> names;
  if (!schema.is_array() || schema.size() > 2) return names;
  for (const Json& part : schema) {
    const Json& name = member(part, "AttributeName");
    const Json& type = member(part, "KeyType");
    if (!name.is_string() || !is_text(type, names.empty() ? "HASH" : "RANGE")) return {};
    names.push_back(name.get<std::string>());
  }
  return names;
}

bool is_string_attribute(const Json& definitions, const std::string& name) {
  if (!definitions.is_array()) return false;
  return std::any_of(definitions.begin(), definitions.end(), [&](const Json& definition) {
    return is_text(member(definition, "AttributeName"), name) &&
           is_text(member(definition, "AttributeType"), "S");
  });
}

std::optional<DynamodbIndex> find_index(const DynamodbTarget& target, const Json& table,
                                        const std::string& name, Attribute hash) {
  const Json& indexes = member(table, "GlobalSecondaryIndexes");
  if (!indexes.is_array()) return std::nullopt;
  for (const Json& index : indexes) {
    if (!is_text(member(index, "IndexName"), name)) continue;
    const std::vector<std::string> key = key_names(member(index, "KeySchema"));
    const bool fits = !key.empty() && key[0] == target.name(hash) &&
                      is_text(member(index, "IndexStatus"), "ACTIVE") &&
                      is_text(member(member(index, "Projection"), "ProjectionType"), "ALL") &&
                      is_string_attribute(member(table, "AttributeDefinitions"), key[0]);
    if (!fits) return std::nullopt;
    return DynamodbIndex{name, hash, key.size() == 2 ? key[1] : ""};
  }
  return std::nullopt;
}

Json key_schema(const std::string& name) {
  return Json::array({{{"AttributeName", name}, {"KeyType", "HASH"}}});
}

Json throughput(const TableOptions& options) {
  return {{"ReadCapacityUnits", options.read_units}, {"WriteCapacityUnits", options.write_units}};
}

Json index_request(const std::string& name, const std::string& hash, const TableOptions& options) {
  Json index = {{"IndexName", name},
                {"KeySchema", key_schema(hash)},
                {"Projection", {{"ProjectionType", "ALL"}}}};
  if (options.read_units != 0) index["ProvisionedThroughput"] = throughput(options);
  return index;
}

Error check(const TableOptions& options) {
  if ((options.read_units == 0) != (options.write_units == 0)) {
    return invalid_argument("a table has units for reads and for writes, or neither");
  }
  if (options.encryption.size() > kMaxEncryptionBytes) {
    return invalid_argument("the encryption is no name of a key");
  }
  if (options.tags.size() > kMaxTags) return invalid_argument("a table has at most 50 tags");
  for (const auto& [key, value] : options.tags) {
    if (key.empty() || key.size() > kMaxTagKeyBytes || value.size() > kMaxTagValueBytes) {
      return invalid_argument("a tag's name has 1 to 128 bytes, its value at most 256");
    }
  }
  return {};
}

// `what` could not be done; the table is there.
Error behind(const char* what, const Error& error) {
  return Error(error.code() == ErrorCode::kRefused ? ErrorCode::kRefused : ErrorCode::kUnavailable,
               std::string("the table is there, but not its ") + what + ": " + error.text());
}

Error wait_until_it_serves(DynamodbClient& client, const DynamodbTarget& target,
                           Deadline deadline) {
  const Json request = {{"TableName", target.table}};
  for (;;) {
    const auto reply = client.must({"DescribeTable", request, target.table}, deadline);
    Error error = reply.ok() ? Error() : reply.error();
    if (reply.ok()) {
      const auto table = read_table(target, *reply);
      if (table.ok()) return {};
      error = table.error();
    }
    // Just made, it may not be known everywhere.
    const bool passes =
        error.code() == ErrorCode::kUnavailable || error.code() == ErrorCode::kNotFound;
    if (!passes || !sleep_within(kPoll, deadline)) return error;
  }
}

Error set_time_to_live(DynamodbClient& client, const DynamodbTarget& target, Deadline deadline) {
  const Json describe = {{"TableName", target.table}};
  const auto now = client.must({"DescribeTimeToLive", describe, target.table}, deadline);
  if (!now.ok()) return behind("time to live", now.error());
  const Json& set = member(*now, "TimeToLiveDescription");
  const Json& status = member(set, "TimeToLiveStatus");
  const bool on = is_text(status, "ENABLED") || is_text(status, "ENABLING");
  if (on && is_text(member(set, "AttributeName"), target.name(Attribute::kTtl))) return {};
  const Json request = time_to_live_request(target);
  const auto reply = client.must({"UpdateTimeToLive", request, target.table}, deadline);
  return reply.ok() ? Error() : behind("time to live", reply.error());
}

// DynamoDB makes a new table's backups ready a little after the table.
Error set_recovery(DynamodbClient& client, const DynamodbTarget& target, Deadline deadline) {
  const Json request = recovery_request(target);
  for (;;) {
    const auto reply = client.call({"UpdateContinuousBackups", request, target.table}, deadline);
    if (reply.ok() && reply->exception.empty()) return {};
    const Error error =
        reply.ok() ? error_of_exception(*reply, "UpdateContinuousBackups") : reply.error();
    const bool passes = reply.ok() && reply->is("ContinuousBackupsUnavailableException");
    if (!passes || !sleep_within(kPoll, deadline)) return behind("recovery", error);
  }
}

}  // namespace

Result<DynamodbTable> read_table(const DynamodbTarget& target, const Json& reply) {
  const Json& table = member(reply, "Table");
  const std::string name = "table " + target.table;
  const Json& status = member(table, "TableStatus");
  if (!status.is_string()) return Error(ErrorCode::kUnavailable, name + ": the reply is none");
  if (!is_text(status, "ACTIVE") && !is_text(status, "UPDATING")) {
    return Error(ErrorCode::kUnavailable,
                 name + ": its status is " + check::quoted(status.get_ref<const std::string&>()));
  }
  const std::string& key = target.name(Attribute::kKey);
  if (key_names(member(table, "KeySchema")) != std::vector<std::string>{key} ||
      !is_string_attribute(member(table, "AttributeDefinitions"), key)) {
    return Error(ErrorCode::kUnsupported, name + ": its key is not one string attribute " +
                                              check::quoted(key) + "; key_attribute names another");
  }
  DynamodbTable read;
  for (const char* const part : {"TableArn", "TableId"}) {
    const Json& text = member(table, part);
    if (text.is_string()) read.id += text.get_ref<const std::string&>() + ' ';
  }
  read.cells = find_index(target, table, target.index, Attribute::kCell);
  read.targets = find_index(target, table, target.target_index, Attribute::kTarget);
  return read;
}

Json create_table_request(const DynamodbTarget& target, const TableOptions& options) {
  const std::string& key = target.name(Attribute::kKey);
  const std::string& cell = target.name(Attribute::kCell);
  const std::string& to = target.name(Attribute::kTarget);
  Json definitions = Json::array();
  for (const std::string& name : {key, cell, to}) {
    definitions.push_back({{"AttributeName", name}, {"AttributeType", "S"}});
  }
  Json request = {
      {"TableName", target.table},
      {"AttributeDefinitions", definitions},
      {"KeySchema", key_schema(key)},
      {"GlobalSecondaryIndexes", Json::array({index_request(target.index, cell, options),
                                              index_request(target.target_index, to, options)})},
      {"BillingMode", options.read_units == 0 ? "PAY_PER_REQUEST" : "PROVISIONED"}};
  if (options.read_units != 0) request["ProvisionedThroughput"] = throughput(options);
  if (!options.encryption.empty()) {
    Json& encryption = request["SSESpecification"];
    encryption = {{"Enabled", true}, {"SSEType", "KMS"}};
    if (options.encryption != "aws") encryption["KMSMasterKeyId"] = options.encryption;
  }
  if (options.stream) {
    request["StreamSpecification"] = {{"StreamEnabled", true},
                                      {"StreamViewType", "NEW_AND_OLD_IMAGES"}};
  }
  for (const auto& [name, value] : options.tags) {
    request["Tags"].push_back({{"Key", name}, {"Value", value}});
  }
  return request;
}

Json time_to_live_request(const DynamodbTarget& target) {
  return {{"TableName", target.table},
          {"TimeToLiveSpecification",
           {{"AttributeName", target.name(Attribute::kTtl)}, {"Enabled", true}}}};
}

Json recovery_request(const DynamodbTarget& target) {
  return {{"TableName", target.table},
          {"PointInTimeRecoverySpecification", {{"PointInTimeRecoveryEnabled", true}}}};
}

Error create_table(DynamodbClient& client, const DynamodbTarget& target,
                   const TableOptions& options, Deadline deadline) {
  if (Error error = check(options); !error.ok()) return error;
  const Json request = create_table_request(target, options);
  // A reply that was lost is no matter: the second attempt finds the table.
  const auto made = client.call({"CreateTable", request, target.table}, deadline);
  if (!made.ok()) return made.error();
  if (!made->exception.empty() && !made->is("ResourceInUseException")) {
    return error_of_exception(*made, "CreateTable");
  }
  Error error = wait_until_it_serves(client, target, deadline);
  if (error.ok()) error = set_time_to_live(client, target, deadline);
  if (error.ok() && options.recovery) error = set_recovery(client, target, deadline);
  return error;
}

Error create_dynamodb_table(std::string_view url, const TableOptions& options, Nanos timeout) {
  AwsEnvironment environment = read_aws_environment();
  const Result<DynamodbTarget> target = read_dynamodb_url(url, environment.region);
  if (!target.ok()) return target.error();
  DynamodbClient client(*target, std::move(environment));
  return create_table(client, *target, options, Deadline::after(timeout));
}

}  // namespace cellroute::net
