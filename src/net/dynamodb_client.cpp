#include "net/dynamodb_client.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "cellroute/check/problems.hpp"
#include "net/back_off.hpp"

namespace cellroute::net {
namespace {

constexpr std::size_t kMaxMessageBytes = 300;  // of a server's own words in an error text

template <std::size_t N>
bool one_of(std::string_view word, const std::string_view (&words)[N]) {
  return std::find(std::begin(words), std::end(words), word) != std::end(words);
}

// Refused before anything was done, for as long as too much is asked.
bool throttles(std::string_view exception) {
  static constexpr std::string_view kNames[] = {"ProvisionedThroughputExceededException",
                                                "ThrottlingException",
                                                "ThrottledException",
                                                "RequestLimitExceeded",
                                                "TooManyRequestsException",
                                                "SlowDown"};
  return one_of(exception, kNames);
}

bool denies(std::string_view exception) {
  static constexpr std::string_view kNames[] = {
      "AccessDeniedException",          "UnrecognizedClientException",
      "InvalidSignatureException",      "IncompleteSignatureException",
      "MissingAuthenticationToken",     "MissingAuthenticationTokenException",
      "ExpiredTokenException",          "InvalidClientTokenId",
      "MissingAuthenticationException", "RequestExpired"};
  return one_of(exception, kNames);
}

ErrorCode code_of(std::string_view exception) {
  if (denies(exception)) return ErrorCode::kRefused;
  if (exception == "ResourceNotFoundException") return ErrorCode::kNotFound;
  if (exception == "ResourceInUseException") return ErrorCode::kConflict;
  if (exception == "UnknownOperationException") return ErrorCode::kUnsupported;
  if (exception == "ValidationException" || exception == "SerializationException") {
    return ErrorCode::kInvalidArgument;
  }
  return ErrorCode::kUnavailable;
}

std::string message_of(const Json& body) {
  for (const char* const name : {"message", "Message"}) {
    const auto at = body.find(name);
    if (at != body.end() && at->is_string()) {
      return ": " + check::escaped(at->get_ref<const std::string&>(), kMaxMessageBytes);
    }
  }
  return "";
}

void add_capacity(const Json& consumed, bool writes, std::map<std::string, DynamodbUsage>& usage) {
  if (!consumed.is_object()) return;
  const auto table = consumed.find("TableName");
  const auto units = consumed.find("CapacityUnits");
  if (table == consumed.end() || !table->is_string()) return;
  if (units == consumed.end() || !units->is_number()) return;
  const auto at = usage.find(table->get<std::string>());  // one that was asked
  if (at == usage.end()) return;
  (writes ? at->second.write_units : at->second.read_units) += units->get<double>();
}

}  // namespace

std::string exception_of(const Json& body) {
  if (!body.is_object()) return {};
  const auto at = body.find("__type");
  if (at == body.end() || !at->is_string()) return {};
  const std::string& type = at->get_ref<const std::string&>();
  return check::escaped(type.substr(type.rfind('#') + 1), 100);
}

Error error_of_exception(const DynamodbReply& reply, std::string_view operation) {
  return Error(code_of(reply.exception), "DynamoDB: " + std::string(operation) + ": " +
                                             reply.exception + message_of(reply.body));
}

// How far a call has come.
struct DynamodbClient::Attempt {
  DynamodbReply reply;
  bool done = false;  // `reply` is the call's
  bool again = false;
  bool throttled = false;
  bool counted = false;  // it reached the network
};

DynamodbClient::DynamodbClient(const DynamodbTarget& target, AwsEnvironment environment)
    : region_(target.region), address_(target.address()), credentials_(std::move(environment)) {}

Result<DynamodbReply> DynamodbClient::call(const DynamodbCall& call, Deadline deadline) {
  const std::string body = call.body.dump(-1, ' ', false, Json::error_handler_t::replace);
  for (unsigned waits = 0;;) {
    Attempt attempt;
    Error error = try_once(call, body, deadline, attempt);
    if (attempt.counted) count(call, attempt);
    if (attempt.done) return std::move(attempt.reply);
    if (!attempt.again || !sleep_within(back_off(++waits), deadline)) return error;
  }
}

Result<Json> DynamodbClient::must(const DynamodbCall& call, Deadline deadline) {
  Result<DynamodbReply> reply = this->call(call, deadline);
  if (!reply.ok()) return reply.error();
  if (!reply->exception.empty()) return error_of_exception(*reply, call.operation);
  return std::move(reply->body);
}

Error DynamodbClient::try_once(const DynamodbCall& call, const std::string& body, Deadline deadline,
                               Attempt& attempt) {
  const Result<AwsKeys> keys = credentials_.get(deadline);
  if (!keys.ok()) {
    attempt.again = keys.error().code() == ErrorCode::kUnavailable;
    return keys.error();
  }
  const HttpSigning signing{keys->key_id, keys->secret, region_, "dynamodb"};
  HttpRequest request;
  request.url = address_ + "/";
  request.headers = {"Content-Type: application/x-amz-json-1.0",
                     "X-Amz-Target: DynamoDB_20120810." + std::string(call.operation)};
  if (!keys->token.empty()) request.headers.push_back("X-Amz-Security-Token: " + keys->token);
  request.body = &body;
  request.signing = &signing;
  bool sent = false;
  Result<HttpReply> reply = http_.exchange(request, deadline, sent);
  attempt.counted = sent;
  if (!reply.ok()) {
    attempt.again = call.repeatable || !sent;
    return reply.error();
  }
  return settle(call, *reply, attempt);
}

Error DynamodbClient::settle(const DynamodbCall& call, const HttpReply& reply, Attempt& attempt) {
  attempt.reply.body = Json::parse(reply.body, nullptr, false);
  const std::string from = address_ + ": " + std::string(call.operation) + ": ";
  if (reply.status == 200) {
    attempt.done = attempt.reply.body.is_object();
    attempt.again = call.repeatable;
    return attempt.done ? Error() : Error(ErrorCode::kUnavailable, from + "the reply is no JSON");
  }
  attempt.reply.exception = exception_of(attempt.reply.body);
  const std::string& exception = attempt.reply.exception;
  attempt.throttled = throttles(exception);
  if (attempt.throttled) {
    attempt.again = true;
    return error_of_exception(attempt.reply, call.operation);
  }
  attempt.done = reply.status >= 400 && reply.status < 500 && !exception.empty();
  attempt.again = reply.status >= 500 && call.repeatable;
  return attempt.done
             ? Error()
             : Error(ErrorCode::kUnavailable, from + "status " + std::to_string(reply.status) +
                                                  (exception.empty() ? "" : ", " + exception));
}

void DynamodbClient::count(const DynamodbCall& call, const Attempt& attempt) {
  const std::lock_guard lock(mutex_);
  DynamodbUsage& usage = usage_[std::string(call.table)];
  ++usage.calls;
  if (attempt.throttled) ++usage.throttles;
  if (!attempt.done && !attempt.throttled) ++usage.failures;
  if (!attempt.done) return;
  const auto at = attempt.reply.body.find("ConsumedCapacity");
  if (at == attempt.reply.body.end()) return;
  if (!at->is_array()) return add_capacity(*at, call.writes, usage_);
  for (const Json& consumed : *at) add_capacity(consumed, call.writes, usage_);
}

std::map<std::string, DynamodbUsage> DynamodbClient::usage() const {
  const std::lock_guard lock(mutex_);
  return usage_;
}

}  // namespace cellroute::net
