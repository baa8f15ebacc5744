// One connection to a Redis server, each of whose calls ends by a deadline.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "cellroute/status.hpp"
#include "net/deadline.hpp"
#include "net/redis_reply.hpp"
#include "net/redis_url.hpp"

namespace cellroute::net {

// `arguments` as a command of the protocol, behind `bytes`.
void append_command(std::string& bytes, std::span<const std::string_view> arguments);

// The socket is our own, and hiredis has the protocol alone: its calls bound each read rather than
// the whole, and write so that a closed connection raises SIGPIPE.
//
// After an error nothing may be asked any more: what comes late would answer another question.
// Thread safety: one thread at a time. A copy in a child of fork() may be destroyed.
class RedisConnection {
 public:
  // Connects and logs in. Of a server that stands alone, to a master only: a replica may be behind;
  // and to none that evicts what it holds to make room (maxmemory-policy).
  // Names are looked up by the system's resolver, which has a time of its own (resolv.conf).
  //   kUnavailable      no answer in time, or it is a replica
  //   kRefused          the server does not let us in, or evicts
  static Result<std::unique_ptr<RedisConnection>> open(const RedisEndpoint& endpoint,
                                                       const RedisTarget& target,
                                                       Deadline deadline);
  ~RedisConnection();
  RedisConnection(const RedisConnection&) = delete;
  RedisConnection& operator=(const RedisConnection&) = delete;

  // Sends `commands`, and receives as many replies as there is room for in `replies`.
  Error exchange(std::string_view commands, std::span<RedisReply> replies, Deadline deadline);

  // Nothing came that was not asked for, nor the connection's end; and what the server said of
  // itself when it let us in is not old: it may be made a replica without a word to its clients.
  bool reusable() const noexcept;

 private:
  static constexpr Nanos kTrusted = kSecond;

  RedisConnection(int socket, std::string name) : socket_(socket), name_(std::move(name)) {}

  Error log_in(const RedisTarget& target, Deadline deadline);
  Error check_server(std::span<const RedisReply> replies, bool cluster) const;
  Error send(std::string_view bytes, Deadline deadline);
  Error receive(RedisReply& reply, Deadline deadline);
  Error failed(std::string_view what) const;

  const int socket_;
  const std::string name_;
  const Deadline trusted_ = Deadline::after(kTrusted);
  RedisReplyParser parser_;
};

// What an error reply means for a caller, with where it came from.
Error error_of_reply(const RedisReply& reply, std::string_view from);

}  // namespace cellroute::net
