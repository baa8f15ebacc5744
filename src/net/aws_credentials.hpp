// Who a program is for AWS: keys from its environment or from its container's endpoint.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <string_view>

#include "cellroute/status.hpp"
#include "cellroute/time.hpp"
#include "net/deadline.hpp"
#include "net/http_client.hpp"

namespace cellroute::net {

// Thread safety: a plain value.
struct AwsKeys {
  std::string key_id;
  std::string secret;
  std::string token;  // of a session; may be empty
};

// The variables that AWS's own clients read; those that are not set are empty.
struct AwsEnvironment {
  AwsKeys keys;        // AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, as on Lambda
  std::string region;  // AWS_REGION, else AWS_DEFAULT_REGION
  std::string container_path;        // AWS_CONTAINER_CREDENTIALS_RELATIVE_URI
  std::string container_url;         // AWS_CONTAINER_CREDENTIALS_FULL_URI
  std::string container_token;       // AWS_CONTAINER_AUTHORIZATION_TOKEN
  std::string container_token_file;  // AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE; before the token
  std::string ca_bundle;             // AWS_CA_BUNDLE: a file of the authorities to trust
};

// Reads them now. No other thread may change the environment meanwhile.
AwsEnvironment read_aws_environment();

// Where a container's keys come from: 169.254.170.2 with the path, or else the URL, whose host must
// be one of those that botocore asks: this one (127.0.0.0/8, ::1, localhost), or the agent of ECS
// (169.254.170.2) or of EKS (169.254.170.23, fd00:ec2::23), so that neither keys nor token go
// elsewhere. Empty where the environment names none. kInvalidArgument: it names another.
Result<std::string> container_credentials_url(const AwsEnvironment& environment);

// What is said to that endpoint as Authorization: what the file has now, where one is named, since
// it is written anew before its token expires; else the variable's; empty where there is neither.
// kRefused: the file cannot be read, is no plain one, or longer than 16 KiB, or what is there
// cannot stand in a header.
Result<std::string> container_token(const AwsEnvironment& environment);

// The keys in the reply of a container's endpoint, and when they expire. kUnavailable: it has none.
struct ExpiringKeys {
  AwsKeys keys;
  Nanos expires = 0;  // Unix time
};
Result<ExpiringKeys> read_container_credentials(std::string_view reply);

// Keys in the environment come first. A container's are kept, and asked for anew from five minutes
// before they expire, for a second at most while the old ones still serve.
// Thread safety: any thread; one asks, others use what there is, or wait for it where there is
// none.
class AwsCredentials {
 public:
  explicit AwsCredentials(AwsEnvironment environment)
      : environment_(std::move(environment)), http_(environment_.ca_bundle) {}

  // kRefused: there are none, or the endpoint is not one to ask. kUnavailable: it does not answer.
  Result<AwsKeys> get(Deadline deadline);

 private:
  Result<AwsKeys> renew(std::unique_lock<std::mutex>& lock, Deadline deadline);
  Result<ExpiringKeys> ask(Deadline deadline);

  const AwsEnvironment environment_;
  HttpClient http_;
  std::mutex mutex_;  // guards the rest
  std::condition_variable asked_;
  bool asking_ = false;  // a thread does
  ExpiringKeys kept_;
  Nanos ask_at_ = 0;  // Unix time
};

}  // namespace cellroute::net
