// Which Redis a URL names.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cellroute/status.hpp"

namespace cellroute::net {

// Where a server listens: a host (name or address) and port, or the path of a unix socket.
// Thread safety: a plain value.
struct RedisEndpoint {
  std::string host;
  std::uint16_t port = 0;
  std::string path;

  bool operator==(const RedisEndpoint&) const = default;

  // For error texts.
  std::string text() const;
};

// "host:port" as Redis Cluster writes it: behind the last colon is the port.
Result<RedisEndpoint> read_redis_address(std::string_view text);

// Thread safety: a plain value.
struct RedisTarget {
  std::vector<RedisEndpoint> endpoints;  // one; of a cluster some of its nodes
  bool cluster = false;
  std::string user;      // empty: the server's default one
  std::string password;  // empty: none is sent
  unsigned database = 0;
  std::string prefix = "cellroute";  // what the store's keys begin with
};

// `url` as redis_store.hpp says. Texts of errors hold nothing of it, since it may hold a password.
//   kInvalidArgument  it is no such URL
//   kUnsupported      rediss:// (TLS)
Result<RedisTarget> read_redis_url(std::string_view url);

}  // namespace cellroute::net
