#include "net/dynamodb_client.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "cellroute/check/problems.hpp"
#include "net/back_off.hpp"
#include "net/http_batch.hpp"

namespace cellroute::net {
namespace {

constexpr std::string_view kService = "dynamodb";
constexpr Nanos kRounding = 20 * kMillisecond;
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
};

DynamodbClient::DynamodbClient(const DynamodbTarget& target, AwsEnvironment environment)
    : region_(target.region),
      address_(target.address()),
      authorities_(environment.ca_bundle),
      credentials_(std::move(environment)),
      http_(authorities_) {
  usage_[target.table];
  if (!target.profiles.empty()) usage_[target.profiles];
}

Result<DynamodbReply> DynamodbClient::call(const DynamodbCall& call, Deadline deadline) {
  const std::string body = call.body.dump(-1, ' ', false, Json::error_handler_t::replace);
  for (unsigned waits = 0;;) {
    Attempt attempt;
    Error error = try_once(call, body, deadline, attempt);
    if (attempt.done) return std::move(attempt.reply);
    if (!attempt.again || !sleep_within(back_off(++waits), deadline)) return error;
  }
}

// Some calls on their way at once: each is waiting for its turn, or under way, or has its result.
class DynamodbClient::Flight {
 public:
  Flight(DynamodbClient& client, std::span<const DynamodbCall> calls, AwsKeys keys,
         Deadline deadline)
      : client_(client),
        calls_(calls),
        keys_(std::move(keys)),
        signing_{keys_.key_id, keys_.secret, client.region_, kService},
        deadline_(deadline),
        outgoing_(calls.size()),
        results_(calls.size(),
                 Error(ErrorCode::kUnavailable, client.address_ + ": no answer in time")),
        batch_(client.authorities_) {
    for (std::size_t i = 0; i < calls.size(); ++i) waiting_.emplace(0, i);
  }

  std::vector<Result<DynamodbReply>> run() {
    while ((!waiting_.empty() || batch_.under_way() != 0) && !deadline_.passed()) {
      start_those_ready();
      const std::optional<HttpBatch::Ended> ended = batch_.next(next_start());
      if (ended) {
        take(*ended);
      } else if (batch_.under_way() == 0 && !waiting_.empty()) {
        const Nanos wait = waiting_.begin()->first - monotonic_now();
        if (wait > 0 && !sleep_within(wait, deadline_)) break;
      }
    }
    // libcurl counts milliseconds: those whose time is over say so now.
    const Deadline last = Deadline::after(kRounding);
    while (const std::optional<HttpBatch::Ended> ended = batch_.next(last)) take(*ended);
    return std::move(results_);
  }

 private:
  struct Outgoing {
    std::string body;
    HttpRequest request;
    unsigned waits = 0;
  };

  // When there is room for another one whose turn has come.
  Deadline next_start() const {
    if (waiting_.empty() || batch_.under_way() == kMaxUnderWay) return deadline_;
    return deadline_.within(std::max<Nanos>(waiting_.begin()->first - monotonic_now(), 0));
  }

  void start_those_ready() {
    const Nanos now = monotonic_now();
    while (!waiting_.empty() && waiting_.begin()->first <= now &&
           batch_.under_way() < kMaxUnderWay) {
      const std::size_t i = waiting_.begin()->second;
      waiting_.erase(waiting_.begin());
      Outgoing& out = outgoing_[i];
      if (out.body.empty()) {
        out.body = calls_[i].body.dump(-1, ' ', false, Json::error_handler_t::replace);
        out.request = client_.request_of(calls_[i], out.body, keys_, signing_);
      }
      Error error = batch_.start(i, out.request, deadline_);
      if (!error.ok()) results_[i] = std::move(error);
    }
  }

  void take(const HttpBatch::Ended& ended) {
    Attempt attempt;
    Error error = client_.settle(calls_[ended.id], ended.reply, ended.sent, attempt);
    if (attempt.done) {
      results_[ended.id] = std::move(attempt.reply);
      return;
    }
    results_[ended.id] = std::move(error);
    const Nanos wait = back_off(++outgoing_[ended.id].waits);
    if (attempt.again && wait < deadline_.left()) {
      waiting_.emplace(monotonic_now() + wait, ended.id);
    }
  }

  DynamodbClient& client_;
  const std::span<const DynamodbCall> calls_;
  const AwsKeys keys_;
  const HttpSigning signing_;
  const Deadline deadline_;
  std::multimap<Nanos, std::size_t> waiting_;  // by when their turn comes
  std::vector<Outgoing> outgoing_;
  std::vector<Result<DynamodbReply>> results_;
  HttpBatch batch_;
};

std::vector<Result<DynamodbReply>> DynamodbClient::call_many(std::span<const DynamodbCall> calls,
                                                             Deadline deadline) {
  Result<AwsKeys> keys = credentials_.get(deadline);
  for (unsigned waits = 0; !keys.ok() && keys.error().code() == ErrorCode::kUnavailable;) {
    if (!sleep_within(back_off(++waits), deadline)) break;
    keys = credentials_.get(deadline);
  }
  if (!keys.ok()) return std::vector<Result<DynamodbReply>>(calls.size(), keys.error());
  return Flight(*this, calls, std::move(*keys), deadline).run();
}

Result<Json> DynamodbClient::must(const DynamodbCall& call, Deadline deadline) {
  Result<DynamodbReply> reply = this->call(call, deadline);
  if (!reply.ok()) return reply.error();
  if (!reply->exception.empty()) return error_of_exception(*reply, call.operation);
  return std::move(reply->body);
}

// `body`, `keys` and `signing` must outlive it.
HttpRequest DynamodbClient::request_of(const DynamodbCall& call, const std::string& body,
                                       const AwsKeys& keys, const HttpSigning& signing) const {
  HttpRequest request;
  request.url = address_ + "/";
  request.headers = {"Content-Type: application/x-amz-json-1.0",
                     "X-Amz-Target: DynamoDB_20120810." + std::string(call.operation)};
  if (!keys.token.empty()) request.headers.push_back("X-Amz-Security-Token: " + keys.token);
  request.body = &body;
  request.signing = &signing;
  return request;
}

Error DynamodbClient::try_once(const DynamodbCall& call, const std::string& body, Deadline deadline,
                               Attempt& attempt) {
  const Result<AwsKeys> keys = credentials_.get(deadline);
  if (!keys.ok()) {
    attempt.again = keys.error().code() == ErrorCode::kUnavailable;
    return keys.error();
  }
  const HttpSigning signing{keys->key_id, keys->secret, region_, kService};
  const HttpRequest request = request_of(call, body, *keys, signing);
  bool sent = false;
  const Result<HttpReply> reply = http_.exchange(request, deadline, sent);
  return settle(call, reply, sent, attempt);
}

Error DynamodbClient::settle(const DynamodbCall& call, const Result<HttpReply>& reply, bool sent,
                             Attempt& attempt) {
  Error error;
  if (reply.ok()) {
    error = settle_reply(call, *reply, attempt);
  } else {
    error = reply.error();
    attempt.again = error.code() == ErrorCode::kUnavailable && (call.repeatable || !sent);
  }
  if (sent) count(call, attempt);
  return error;
}

Error DynamodbClient::settle_reply(const DynamodbCall& call, const HttpReply& reply,
                                   Attempt& attempt) {
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
