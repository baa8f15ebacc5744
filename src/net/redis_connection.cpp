#include "net/redis_connection.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>
#include <vector>

#include "cellroute/check/problems.hpp"

namespace cellroute::net {
namespace {

constexpr std::size_t kReadBytes = 16 * 1024;

Error unavailable(std::string text) { return Error(ErrorCode::kUnavailable, std::move(text)); }

std::string system_text(int code) { return std::generic_category().message(code); }

// 0, or ETIMEDOUT, or what poll says.
int wait_for(int socket, short events, Deadline deadline) {
  for (;;) {
    const Nanos left = deadline.left();
    if (left == 0) return ETIMEDOUT;
    const timespec time{left / kSecond, left % kSecond};
    pollfd polled{socket, events, 0};
    const int ready = ::ppoll(&polled, 1, &time, nullptr);
    if (ready > 0) return 0;
    if (ready < 0 && errno != EINTR) return errno;
  }
}

// A connected socket, or the negative of an error's number.
int connect_to(const sockaddr* address, socklen_t size, Deadline deadline) {
  const int socket = ::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (socket < 0) return -errno;
  int code = ::connect(socket, address, size) == 0 ? 0 : errno;
  if (code == EINPROGRESS) {
    code = wait_for(socket, POLLOUT, deadline);
    socklen_t length = sizeof code;
    if (code == 0 && ::getsockopt(socket, SOL_SOCKET, SO_ERROR, &code, &length) != 0) code = errno;
  }
  if (code == 0) return socket;
  ::close(socket);
  return -code;
}

int connect_unix(const std::string& path, Deadline deadline) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return -ENAMETOOLONG;
  std::memcpy(address.sun_path, path.data(), path.size());
  return connect_to(reinterpret_cast<const sockaddr*>(&address), sizeof address, deadline);
}

struct FreeAddresses {
  void operator()(addrinfo* addresses) const noexcept { ::freeaddrinfo(addresses); }
};

// The first of the host's addresses that answers; each gets its share of the time.
Result<int> connect_host(const RedisEndpoint& endpoint, Deadline deadline) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int code =
      ::getaddrinfo(endpoint.host.c_str(), std::to_string(endpoint.port).c_str(), &hints, &found);
  if (code != 0) return unavailable(endpoint.text() + ": " + ::gai_strerror(code));
  const std::unique_ptr<addrinfo, FreeAddresses> addresses(found);
  int remaining = 0;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) ++remaining;
  int socket = -ETIMEDOUT;
  for (const addrinfo* at = found; at != nullptr && socket < 0; at = at->ai_next) {
    socket = connect_to(at->ai_addr, at->ai_addrlen, deadline.within(deadline.left() / remaining));
    --remaining;
  }
  if (socket < 0) return socket;
  const int on = 1;  // both are a help, no need
  (void)::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  (void)::setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  return socket;
}

// Of INFO's text.
bool has_line(const std::string& info, std::string_view line) {
  return info.find("\r\n" + std::string(line) + "\r\n") != std::string::npos;
}

}  // namespace

void append_command(std::string& bytes, std::span<const std::string_view> arguments) {
  bytes += '*' + std::to_string(arguments.size()) + "\r\n";
  for (const std::string_view argument : arguments) {
    bytes += '$' + std::to_string(argument.size()) + "\r\n";
    bytes += argument;
    bytes += "\r\n";
  }
}

Error error_of_reply(const RedisReply& reply, std::string_view from) {
  ErrorCode code = ErrorCode::kUnavailable;
  for (const char* word : {"NOAUTH", "WRONGPASS", "NOPERM"}) {
    if (reply.is_error(word)) code = ErrorCode::kRefused;
  }
  if (reply.is_error("OOM")) code = ErrorCode::kResourceExhausted;
  if (reply.is_error("WRONGTYPE")) code = ErrorCode::kCorrupt;
  const bool error = reply.is(RedisReply::Type::kError);
  return Error(code, std::string(from) + ": " +
                         (error ? check::quoted(reply.text.substr(0, 200))
                                : "the reply is none to what was asked"));
}

RedisConnection::~RedisConnection() { ::close(socket_); }

Error RedisConnection::failed(std::string_view what) const {
  return unavailable(name_ + ": " + std::string(what));
}

Result<std::unique_ptr<RedisConnection>> RedisConnection::open(const RedisEndpoint& endpoint,
                                                               const RedisTarget& target,
                                                               Deadline deadline) {
  const Result<int> socket = endpoint.path.empty()
                                 ? connect_host(endpoint, deadline)
                                 : Result<int>(connect_unix(endpoint.path, deadline));
  if (!socket.ok()) return socket.error();
  if (*socket < 0) return unavailable(endpoint.text() + ": " + system_text(-*socket));
  std::unique_ptr<RedisConnection> made;
  try {
    made.reset(new RedisConnection(*socket, endpoint.text()));
  } catch (...) {
    ::close(*socket);
    throw;
  }
  if (Error error = made->log_in(target, deadline); !error.ok()) return error;
  return made;
}

Error RedisConnection::log_in(const RedisTarget& target, Deadline deadline) {
  std::string commands;
  std::size_t count = 0;
  const auto add = [&](std::initializer_list<std::string_view> arguments) {
    append_command(commands, std::span(arguments.begin(), arguments.size()));
    ++count;
  };
  if (!target.password.empty() && target.user.empty()) {
    add({"AUTH", target.password});
  } else if (!target.password.empty()) {
    add({"AUTH", target.user, target.password});
  }
  if (target.database != 0) add({"SELECT", std::to_string(target.database)});
  if (!target.cluster) add({"ROLE"});  // a cluster's replicas send us to their master by themselves
  add({"INFO", "memory"});
  std::vector<RedisReply> replies(count);
  if (Error error = exchange(commands, replies, deadline); !error.ok()) return error;
  for (const RedisReply& reply : replies) {
    if (reply.is(RedisReply::Type::kError)) return error_of_reply(reply, name_);
  }
  return check_server(replies, target.cluster);
}

// What it said of itself: its role, unless it is a cluster's, and last its memory.
Error RedisConnection::check_server(std::span<const RedisReply> replies, bool cluster) const {
  const std::string& memory = replies.back().text;
  if (!has_line(memory, "maxmemory:0") && !has_line(memory, "maxmemory_policy:noeviction")) {
    return refused(name_ + ": it evicts what it holds; set its maxmemory-policy to noeviction");
  }
  if (cluster) return {};
  const std::vector<RedisReply>& role = replies[replies.size() - 2].elements;
  if (!role.empty() && role.front().text == "master") return {};
  return failed("it is no master, so what it holds may be old");
}

Error RedisConnection::exchange(std::string_view commands, std::span<RedisReply> replies,
                                Deadline deadline) {
  if (Error error = send(commands, deadline); !error.ok()) return error;
  for (RedisReply& reply : replies) {
    if (Error error = receive(reply, deadline); !error.ok()) return error;
  }
  return parser_.empty() ? Error() : failed("it sent more than it was asked for");
}

Error RedisConnection::send(std::string_view bytes, Deadline deadline) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
      continue;
    }
    int code = errno;
    if (code == EINTR) continue;
    if (code == EAGAIN) code = wait_for(socket_, POLLOUT, deadline);
    if (code != 0) return failed(system_text(code));
  }
  return {};
}

Error RedisConnection::receive(RedisReply& reply, Deadline deadline) {
  std::array<char, kReadBytes> bytes;
  for (;;) {
    const Result<bool> whole = parser_.next(reply);
    if (!whole.ok()) return failed(whole.error().text());
    if (*whole) return {};
    // Also where bytes keep coming: a server that sends one at a time must not outlast the call.
    if (deadline.passed()) return failed(system_text(ETIMEDOUT));
    const ssize_t got = ::recv(socket_, bytes.data(), bytes.size(), 0);
    if (got > 0) {
      Error error = parser_.feed({bytes.data(), static_cast<std::size_t>(got)});
      if (!error.ok()) return failed(error.text());
      continue;
    }
    if (got == 0) return failed("it closed the connection");
    int code = errno;
    if (code == EINTR) continue;
    if (code == EAGAIN) code = wait_for(socket_, POLLIN, deadline);
    if (code != 0) return failed(system_text(code));
  }
}

bool RedisConnection::reusable() const noexcept {
  pollfd polled{socket_, POLLIN | POLLRDHUP, 0};
  return !trusted_.passed() && ::poll(&polled, 1, 0) == 0;
}

}  // namespace cellroute::net
