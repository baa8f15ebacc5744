// DynamoDB's API: signed requests, tried again where that is safe, and counted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cellroute/status.hpp"
#include "net/aws_credentials.hpp"
#include "net/deadline.hpp"
#include "net/dynamodb_item.hpp"
#include "net/dynamodb_url.hpp"
#include "net/dynamodb_usage.hpp"
#include "net/http_client.hpp"

namespace cellroute::net {

// A reply. Thread safety: a plain value.
struct DynamodbReply {
  Json body;
  std::string exception;  // empty: the operation was done; else its name, without a namespace

  bool is(std::string_view name) const noexcept { return exception == name; }
};

// What an exception means for a caller.
Error error_of_exception(const DynamodbReply& reply, std::string_view operation);

// The name in a reply's "__type", behind the last #.
std::string exception_of(const Json& body);

struct DynamodbCall {
  std::string_view operation;  // "GetItem"
  const Json& body;
  std::string_view table;  // whom it is counted for
  bool writes = false;     // its capacity is for writing
  // Doing it twice is as good as once: it is tried again after a lost reply, until the deadline.
  // Otherwise only where it was not done: refused for throttling, or never sent.
  bool repeatable = true;
};

// Thread safety: any thread.
class DynamodbClient {
 public:
  DynamodbClient(const DynamodbTarget& target, AwsEnvironment environment);

  // kUnavailable: no answer in time, or not known whether it was done. kRefused: no credentials.
  Result<DynamodbReply> call(const DynamodbCall& call, Deadline deadline);

  // Each of `calls`, with its reply in the same place: at most kMaxUnderWay at once, over as many
  // connections, which end with the call. Those that are throttled wait each for itself.
  static constexpr std::size_t kMaxUnderWay = 16;
  std::vector<Result<DynamodbReply>> call_many(std::span<const DynamodbCall> calls,
                                               Deadline deadline);

  // As call(), with an exception as an error.
  Result<Json> must(const DynamodbCall& call, Deadline deadline);

  // By table: that of the mappings, and that of the profiles where there is one, from the start.
  std::map<std::string, DynamodbUsage> usage() const;

 private:
  struct Attempt;
  class Flight;

  HttpRequest request_of(const DynamodbCall& call, const std::string& body, const AwsKeys& keys,
                         const HttpSigning& signing) const;
  Error try_once(const DynamodbCall& call, const std::string& body, Deadline deadline,
                 Attempt& attempt);
  Error settle(const DynamodbCall& call, const Result<HttpReply>& reply, bool sent,
               Attempt& attempt);
  Error settle_reply(const DynamodbCall& call, const HttpReply& reply, Attempt& attempt);
  void count(const DynamodbCall& call, const Attempt& attempt);

  const std::string region_;
  const std::string address_;
  const std::string authorities_;
  AwsCredentials credentials_;
  HttpClient http_;
  mutable std::mutex mutex_;  // guards the rest
  std::map<std::string, DynamodbUsage> usage_;
};

}  // namespace cellroute::net
