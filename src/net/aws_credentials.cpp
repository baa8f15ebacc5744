#include "net/aws_credentials.hpp"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <nlohmann/json.hpp>
#include <utility>

#include "mapping/new_file.hpp"
#include "net/iso_time.hpp"

namespace cellroute::net {
namespace {

using Json = nlohmann::json;

constexpr Nanos kRefreshBefore = 300 * kSecond;
// Where asking fails and the old ones still serve, and how long it may take then.
constexpr Nanos kBetweenRefreshes = 10 * kSecond;
constexpr Nanos kMostWhileServing = kSecond;
constexpr std::size_t kMaxUrlBytes = 2048;
constexpr std::size_t kMaxTokenBytes = std::size_t{16} << 10;
constexpr std::string_view kAgentsV4[] = {"169.254.170.2", "169.254.170.23"};  // ECS, EKS
constexpr std::string_view kAgentV6 = "fd00:ec2::23";                          // EKS

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

bool near_v6(const in6_addr& address) {
  in6_addr agent{};
  ::inet_pton(AF_INET6, kAgentV6.data(), &agent);
  return IN6_IS_ADDR_LOOPBACK(&address) || std::memcmp(&address, &agent, sizeof agent) == 0;
}

bool is_near(std::string host) {
  if (host == "localhost") return true;
  for (const std::string_view agent : kAgentsV4) {
    if (host == agent) return true;
  }
  in_addr v4{};
  if (::inet_pton(AF_INET, host.c_str(), &v4) == 1) return ntohl(v4.s_addr) >> 24 == 127;
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

// Of a plain file alone: a pipe would keep who reads it for as long as it likes.
Result<std::string> read_token_file(const std::string& path) {
  const Error unreadable =
      refused("the container's token: " + path + " cannot be read, or is no plain file");
  const mapping::Descriptor file(
      ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat status {};
  if (!file.ok() || ::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return unreadable;
  }
  std::string token(kMaxTokenBytes + 1, '\0');
  std::size_t size = 0;
  while (size < token.size()) {
    const ssize_t got = ::read(file.get(), token.data() + size, token.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return unreadable;
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  token.resize(size);
  return token;
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
  environment.container_token_file = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
  environment.ca_bundle = variable("AWS_CA_BUNDLE");
  return environment;
}

Result<std::string> container_credentials_url(const AwsEnvironment& environment) {
  const std::string& path = environment.container_path;
  if (path.empty() && environment.container_url.empty()) return std::string();
  const bool absolute = path.empty() || path.front() == '/';
  std::string url = path.empty() ? environment.container_url : "http://169.254.170.2" + path;
  if (!absolute || url.size() > kMaxUrlBytes || !visible(url) || !is_near(host_of(url))) {
    return invalid_argument(
        "the container's credentials: their URL is not of this host or of an agent of AWS's on its "
        "link, and is not asked");
  }
  return url;
}

Result<std::string> container_token(const AwsEnvironment& environment) {
  Result<std::string> token = environment.container_token;
  const std::string& path = environment.container_token_file;
  if (!path.empty()) token = read_token_file(path);
  if (!token.ok()) return token;
  const bool fits =
      token->size() <= kMaxTokenBytes &&
      std::all_of(token->begin(), token->end(), [](char c) { return c >= ' ' && c <= '~'; }) &&
      (path.empty() || !token->empty());
  if (fits) return token;
  return refused("the container's token" + (path.empty() ? "" : " in " + path) +
                 ": it is empty, longer than 16 KiB, or has more than one line");
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
  std::unique_lock lock(mutex_);
  for (;;) {
    const Nanos now = unix_now();
    const bool serve = now < kept_.expires;
    if (now < ask_at_ || (serve && asking_)) return kept_.keys;
    if (!asking_) return renew(lock, serve ? deadline.within(kMostWhileServing) : deadline);
    const auto left = std::chrono::nanoseconds(deadline.left());
    if (left.count() == 0) return no_keys("no answer in time");
    asked_.wait_for(lock, left);
  }
}

// With the lock, which is let go while the endpoint is asked.
Result<AwsKeys> AwsCredentials::renew(std::unique_lock<std::mutex>& lock, Deadline deadline) {
  asking_ = true;
  lock.unlock();
  Result<ExpiringKeys> fresh = no_keys("no memory");
  try {
    fresh = ask(deadline);
  } catch (const std::bad_alloc&) {
    // As where there is no answer: whoever waits goes on.
  }
  lock.lock();
  asking_ = false;
  asked_.notify_all();
  const Nanos now = unix_now();
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
  const Result<std::string> token = container_token(environment_);
  if (!token.ok()) return token.error();
  request.headers = {"Accept: application/json"};
  if (!token->empty()) request.headers.push_back("Authorization: " + *token);
  bool sent = false;
  const Result<HttpReply> reply = http_.exchange(request, deadline, sent);
  if (!reply.ok()) {
    return Error(reply.error().code(), "the container's credentials: " + reply.error().text());
  }
  if (reply->status != 200) return no_keys("status " + std::to_string(reply->status));
  return read_container_credentials(reply->body);
}

}  // namespace cellroute::net
