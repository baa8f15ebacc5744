#include "net/aws_credentials.hpp"

#include <arpa/inet.h>
#include <curl/curl.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "net/iso_time.hpp"

namespace cellroute::net {
namespace {

using Json = nlohmann::json;

constexpr Nanos kRefreshBefore = 300 * kSecond;
constexpr Nanos kBetweenRefreshes =
    10 * kSecond;  // where asking fails and the old ones still serve
constexpr std::size_t kMaxUrlBytes = 2048;
constexpr std::string_view kEksAddress = "fd00:ec2::23";

Nanos unix_now() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(since).count();
}

std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool visible(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

bool near_v4(const in_addr& address) {
  const std::uint32_t number = ntohl(address.s_addr);
  return number >> 24 == 127 || number >> 16 == 0xa9fe;
}

bool near_v6(const in6_addr& address) {
  in6_addr eks{};
  ::inet_pton(AF_INET6, kEksAddress.data(), &eks);
  return IN6_IS_ADDR_LOOPBACK(&address) || IN6_IS_ADDR_LINKLOCAL(&address) ||
         std::memcmp(&address, &eks, sizeof eks) == 0;
}

bool is_near(std::string host) {
  if (host == "localhost") return true;
  in_addr v4{};
  if (::inet_pton(AF_INET, host.c_str(), &v4) == 1) return near_v4(v4);
  if (host.size() < 2 || host.front() != '[' || host.back() != ']') return false;
  host = host.substr(1, host.size() - 2);
  in6_addr v6{};
  return ::inet_pton(AF_INET6, host.c_str(), &v6) == 1 && near_v6(v6);
}

std::string host_of(const std::string& url) {
  const std::unique_ptr<CURLU, decltype(&::curl_url_cleanup)> parsed(::curl_url(),
                                                                     ::curl_url_cleanup);
  char* host = nullptr;
  if (parsed == nullptr ||
      ::curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), CURLU_DISALLOW_USER) != CURLUE_OK ||
      ::curl_url_get(parsed.get(), CURLUPART_HOST, &host, 0) != CURLUE_OK) {
    return {};
  }
  const std::unique_ptr<char, decltype(&::curl_free)> held(host, ::curl_free);
  return held.get();
}

Error no_keys(std::string why) {
  return Error(ErrorCode::kUnavailable, "the container's credentials: " + std::move(why));
}

bool read_text(const Json& json, const char* name, std::string& text) {
  const auto at = json.find(name);
  if (at == json.end() || !at->is_string()) return false;
  text = at->get<std::string>();
  return !text.empty() && visible(text);
}

}  // namespace

AwsEnvironment read_aws_environment() {
  AwsEnvironment environment;
  environment.keys = {variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"),
                      variable("AWS_SESSION_TOKEN")};
  environment.region = variable("AWS_REGION");
  if (environment.region.empty()) environment.region = variable("AWS_DEFAULT_REGION");
  environment.container_path = variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  environment.container_url = variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
  environment.container_token = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN");
  return environment;
}

Result<std::string> container_credentials_url(const AwsEnvironment& environment) {
  const std::string& path = environment.container_path;
  if (path.empty() && environment.container_url.empty()) return std::string();
  const bool absolute = path.empty() || path.front() == '/';
  std::string url = path.empty() ? environment.container_url : "http://169.254.170.2" + path;
  if (!absolute || url.size() > kMaxUrlBytes || !visible(url) || !is_near(host_of(url))) {
    return invalid_argument(
        "the container's credentials: their URL is not of this host or its link, and is not asked");
  }
  return url;
}

Result<ExpiringKeys> read_container_credentials(std::string_view reply) {
  const Json json = Json::parse(reply, nullptr, false);
  ExpiringKeys read;
  std::string expiration;
  if (!json.is_object() || !read_text(json, "AccessKeyId", read.keys.key_id) ||
      !read_text(json, "SecretAccessKey", read.keys.secret) ||
      !read_text(json, "Token", read.keys.token) || !read_text(json, "Expiration", expiration)) {
    return no_keys("the reply has none");
  }
  const std::optional<Nanos> expires = read_iso_time(expiration);
  if (!expires) return no_keys("the reply does not say when they expire");
  read.expires = *expires;
  return read;
}

Result<AwsKeys> AwsCredentials::get(Deadline deadline) {
  const AwsKeys& own = environment_.keys;
  if (!own.key_id.empty() && !own.secret.empty()) return own;
  std::unique_lock lock(mutex_, std::chrono::nanoseconds(deadline.left()));
  if (!lock.owns_lock()) return no_keys("no answer in time");
  const Nanos now = unix_now();
  if (now < ask_at_) return kept_.keys;
  Result<ExpiringKeys> fresh = ask(deadline);
  if (fresh.ok() && fresh->expires <= now) fresh = no_keys("they have expired");
  if (fresh.ok()) {
    kept_ = std::move(*fresh);
    ask_at_ = std::max(kept_.expires - kRefreshBefore, now + kBetweenRefreshes);
    ask_at_ = std::min(ask_at_, kept_.expires);
    return kept_.keys;
  }
  if (now >= kept_.expires) return fresh.error();
  ask_at_ = std::min(now + kBetweenRefreshes, kept_.expires);
  return kept_.keys;
}

Result<ExpiringKeys> AwsCredentials::ask(Deadline deadline) {
  const Result<std::string> url = container_credentials_url(environment_);
  if (!url.ok()) return refused(url.error().text());
  if (url->empty()) {
    return refused(
        "there are no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run "
        "where a container's or function's role gives them");
  }
  HttpRequest request;
  request.url = *url;
  request.direct = true;
  if (!environment_.container_token.empty()) {
    if (!visible(environment_.container_token)) return refused("the container's token is none");
    request.headers = {"Authorization: " + environment_.container_token};
  }
  bool sent = false;
  const Result<HttpReply> reply = http_.exchange(request, deadline, sent);
  if (!reply.ok()) return no_keys(reply.error().text());
  if (reply->status != 200) return no_keys("status " + std::to_string(reply->status));
  return read_container_credentials(reply->body);
}

}  // namespace cellroute::net
