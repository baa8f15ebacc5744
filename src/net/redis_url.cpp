#include "net/redis_url.hpp"

#include <charconv>
#include <utility>

#include "net/url_text.hpp"

namespace cellroute::net {
namespace {

constexpr std::uint16_t kDefaultPort = 6379;
constexpr std::size_t kMaxSeeds = 64;
constexpr std::size_t kMaxHostBytes = 255;
constexpr std::size_t kMaxPrefixBytes = 64;
constexpr unsigned kMaxDatabase = 65'535;

Error bad(std::string_view why) {
  return invalid_argument("mapping store redis: " + std::string(why));
}

bool read_whole(std::string_view text, unsigned most, unsigned& number) {
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  return failed == std::errc() && end == text.data() + text.size() && number <= most;
}

bool host_ok(std::string_view host) {
  if (host.empty() || host.size() > kMaxHostBytes) return false;
  for (const char c : host) {
    const bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '.' || c == '-' || c == '_' || c == ':' || c == '%';
    if (!ok) return false;
  }
  return true;
}

Error read_port(std::string_view text, std::uint16_t& port) {
  unsigned number = 0;
  if (!read_whole(text, 65'535, number) || number == 0) {
    return bad("a port is a number from 1 to 65535");
  }
  port = static_cast<std::uint16_t>(number);
  return {};
}

// host, host:port, [address] or [address]:port.
Error read_endpoint(std::string_view text, RedisEndpoint& endpoint) {
  endpoint.port = kDefaultPort;
  std::string_view port;
  if (take(text, "[")) {
    const std::size_t end = text.find(']');
    if (end == text.npos) return bad("an address in brackets does not end");
    endpoint.host = text.substr(0, end);
    port = text.substr(end + 1);
    if (!port.empty() && port.front() != ':') return bad("an address in brackets goes on");
  } else {
    const std::size_t colon = text.find(':');
    endpoint.host = text.substr(0, colon);
    if (colon != text.npos) port = text.substr(colon);
    if (port.find(':', 1) != port.npos) return bad("an IPv6 address stands in brackets");
  }
  if (!host_ok(endpoint.host)) return bad("there is no host, or it is none");
  return port.empty() ? Error() : read_port(port.substr(1), endpoint.port);
}

Error read_login(std::string_view login, RedisTarget& target) {
  std::string_view password = login;
  const std::string_view user = take_until(password, ':');
  const bool whole = user.size() < login.size();  // there was a colon
  if (!whole || password.empty()) return bad("before the @ stands user:password or :password");
  if (!decode_percents(user, target.user) || !decode_percents(password, target.password)) {
    return bad("user or password has a % without two hexadecimal digits");
  }
  return {};
}

bool prefix_ok(std::string_view prefix) {
  if (prefix.empty() || prefix.size() > kMaxPrefixBytes) return false;
  for (const char c : prefix) {
    if (c <= ' ' || c > '~' || c == '{' || c == '}') return false;
  }
  return true;
}

Error read_database(std::string_view text, RedisTarget& target) {
  if (read_whole(text, kMaxDatabase, target.database)) return {};
  return bad("the database is a number");
}

Error read_query(std::string_view query, RedisTarget& target) {
  while (!query.empty()) {
    std::string_view value = take_until(query, '&');
    const std::string_view name = take_until(value, '=');
    if (name == "prefix") {
      if (!decode_percents(value, target.prefix) || !prefix_ok(target.prefix)) {
        return bad("prefix is 1 to 64 visible ASCII bytes without braces");
      }
    } else if (name == "db" && !target.cluster) {
      if (Error error = read_database(value, target); !error.ok()) return error;
    } else {
      return bad("behind the ? stand prefix=NAME and, but for a cluster, db=NUMBER");
    }
  }
  return {};
}

Error read_socket(std::string_view rest, RedisTarget& target) {
  RedisEndpoint endpoint;
  if (!decode_percents(rest, endpoint.path) || endpoint.path.empty() ||
      endpoint.path.front() != '/' || endpoint.path.find('\0') != std::string::npos) {
    return bad("redis+unix:// takes the absolute path of a socket");
  }
  target.endpoints.push_back(std::move(endpoint));
  return {};
}

Error read_hosts(std::string_view rest, RedisTarget& target) {
  std::string_view path = rest;
  std::string_view hosts = take_until(path, '/');
  if (!path.empty()) {
    if (target.cluster) return bad("a cluster has no databases");
    if (Error error = read_database(path, target); !error.ok()) return error;
  }
  if (!hosts.empty() && hosts.back() == ',') return bad("there is no host behind a comma");
  do {
    RedisEndpoint endpoint;
    if (Error error = read_endpoint(take_until(hosts, ','), endpoint); !error.ok()) return error;
    target.endpoints.push_back(std::move(endpoint));
  } while (!hosts.empty() && target.endpoints.size() < kMaxSeeds);
  if (!hosts.empty()) return bad("there are more than 64 hosts");
  if (!target.cluster && target.endpoints.size() > 1) {
    return bad("redis:// takes one host; redis+cluster:// takes some of a cluster");
  }
  return {};
}

}  // namespace

std::string RedisEndpoint::text() const {
  if (!path.empty()) return "Redis at " + path;
  const bool bare = host.find(':') == std::string::npos;
  return "Redis at " + (bare ? host : "[" + host + "]") + ":" + std::to_string(port);
}

Result<RedisEndpoint> read_redis_address(std::string_view text) {
  RedisEndpoint endpoint;
  const std::size_t colon = text.rfind(':');
  if (colon == text.npos) return bad("an address has no port");
  if (Error error = read_port(text.substr(colon + 1), endpoint.port); !error.ok()) return error;
  endpoint.host = text.substr(0, colon);
  if (!endpoint.host.empty() && !host_ok(endpoint.host)) return bad("an address has no host");
  return endpoint;
}

Result<RedisTarget> read_redis_url(std::string_view url) {
  RedisTarget target;
  if (take(url, "rediss:")) {
    return Error(ErrorCode::kUnsupported, "mapping store rediss: there is no TLS in this build");
  }
  const bool socket = take(url, "redis+unix://");
  target.cluster = !socket && take(url, "redis+cluster://");
  if (!socket && !target.cluster && !take(url, "redis://")) {
    return bad("it begins with redis://, redis+unix:// or redis+cluster://");
  }
  std::string_view query = url;
  std::string_view rest = take_until(query, '?');
  if (const std::size_t at = rest.rfind('@'); at != rest.npos) {
    if (Error error = read_login(rest.substr(0, at), target); !error.ok()) return error;
    rest.remove_prefix(at + 1);
  }
  Error error = socket ? read_socket(rest, target) : read_hosts(rest, target);
  if (error.ok()) error = read_query(query, target);
  if (!error.ok()) return error;
  return target;
}

}  // namespace cellroute::net
