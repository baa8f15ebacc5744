// Who a program is for AWS: keys from its environment or from its container's endpoint.
#pragma once

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
  std::string container_path;   // AWS_CONTAINER_CREDENTIALS_RELATIVE_URI
  std::string container_url;    // AWS_CONTAINER_CREDENTIALS_FULL_URI
  std::string container_token;  // AWS_CONTAINER_AUTHORIZATION_TOKEN
};

// Reads them now. No other thread may change the environment meanwhile.
AwsEnvironment read_aws_environment();

// Where a container's keys come from: 169.254.170.2 with the path, or else the URL, whose host must
// be an address of this host or of its link (127.0.0.0/8, ::1, localhost, 169.254.0.0/16,
// fe80::/10, and EKS's fd00:ec2::23), so that neither keys nor token leave it. Empty where the
// environment names none. kInvalidArgument: it names another.
Result<std::string> container_credentials_url(const AwsEnvironment& environment);

// The keys in the reply of a container's endpoint, and when they expire. kUnavailable: it has none.
struct ExpiringKeys {
  AwsKeys keys;
  Nanos expires = 0;  // Unix time
};
Result<ExpiringKeys> read_container_credentials(std::string_view reply);

// Keys in the environment come first. A container's are kept, and asked for anew from five minutes
// before they expire.
// Thread safety: any thread; one asks, others use what there is, or wait for it.
class AwsCredentials {
 public:
  explicit AwsCredentials(AwsEnvironment environment) : environment_(std::move(environment)) {}

  // kRefused: there are none, or the endpoint is not one to ask. kUnavailable: it does not answer.
  Result<AwsKeys> get(Deadline deadline);

 private:
  Result<ExpiringKeys> ask(Deadline deadline);

  const AwsEnvironment environment_;
  HttpClient http_;
  std::timed_mutex mutex_;  // guards the rest
  ExpiringKeys kept_;
  Nanos ask_at_ = 0;  // Unix time
};

}  // namespace cellroute::net
