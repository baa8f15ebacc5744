// A server that misbehaves as told, in this process.
#pragma once

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "net/redis_reply.hpp"

namespace cellroute::testing {

// A command's name and arguments to the bytes that answer it. kHangUp closes the connection,
// kHalfClose sends no more but keeps it, kDrip begins a long reply that goes on bit by bit, and an
// empty answer is none.
using FakeAnswer = std::function<std::string(const std::vector<std::string>& command)>;
inline const std::string kHangUp = "hang up";
inline const std::string kHalfClose = "half close";
inline const std::string kDrip = "drip";

// Listens on a port of this host. `answer` is called by a thread of its own, one connection after
// another and also while several are open. No assertion of the test framework may be used there.
class FakeServer {
 public:
  explicit FakeServer(FakeAnswer answer) : answer_(std::move(answer)) {
    listening_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listening_, any, size) != 0 || ::listen(listening_, 64) != 0 ||
        ::getsockname(listening_, any, &size) != 0) {
      std::abort();
    }
    address_ = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    thread_ = std::thread([this] { serve(); });
  }
  ~FakeServer() {
    ending_ = true;
    thread_.join();
    for (const Client& client : clients_) ::close(client.socket);
    ::close(listening_);
  }
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;

  const std::string& address() const { return address_; }
  std::string url() const { return "redis://" + address_; }
  int connections() const { return connections_; }

 private:
  struct Client {
    int socket;
    std::unique_ptr<net::RedisReplyParser> parser;  // commands look like replies
    bool drips = false;
  };

  void serve() {
    while (!ending_) {
      std::vector<pollfd> polled = {{listening_, POLLIN, 0}};
      for (const Client& client : clients_) polled.push_back({client.socket, POLLIN, 0});
      const int ready = ::poll(polled.data(), polled.size(), 5);
      for (const Client& client : clients_) {
        if (client.drips) (void)::send(client.socket, ":1\r\n", 4, MSG_NOSIGNAL);
      }
      if (ready <= 0) continue;
      for (std::size_t i = clients_.size(); i > 0; --i) {
        if (polled[i].revents == 0 || read_from(clients_[i - 1])) continue;
        ::close(clients_[i - 1].socket);
        clients_.erase(clients_.begin() + static_cast<std::ptrdiff_t>(i - 1));
      }
      if (polled[0].revents == 0) continue;
      ++connections_;
      clients_.push_back({::accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC),
                          std::make_unique<net::RedisReplyParser>(), false});
    }
  }

  // False where the connection is at its end.
  bool read_from(Client& client) {
    std::array<char, 65'536> bytes;
    const ssize_t got = ::recv(client.socket, bytes.data(), bytes.size(), 0);
    if (got <= 0) return false;
    if (!client.parser->feed({bytes.data(), static_cast<std::size_t>(got)}).ok()) return false;
    net::RedisReply command;
    for (;;) {
      const Result<bool> whole = client.parser->next(command);
      if (!whole.ok()) return false;
      if (!*whole) return true;
      std::vector<std::string> words;
      for (const net::RedisReply& word : command.elements) words.push_back(word.text);
      const std::string said = answer_(words);
      if (said == kHangUp) return false;
      if (said == kHalfClose) {
        ::shutdown(client.socket, SHUT_WR);
      } else if (said == kDrip) {
        client.drips = true;
        (void)::send(client.socket, "*99999\r\n", 8, MSG_NOSIGNAL);
      } else if (::send(client.socket, said.data(), said.size(), MSG_NOSIGNAL) < 0) {
        return false;
      }
    }
  }

  const FakeAnswer answer_;
  std::string address_;
  int listening_ = -1;
  std::atomic<bool> ending_{false};
  std::atomic<int> connections_{0};
  std::vector<Client> clients_;
  std::thread thread_;
};

// What a sound server says to open(), of a store of one partition; else nothing.
inline std::string opening_answer(const std::vector<std::string>& command) {
  const std::string& name = command.front();
  if (name == "ROLE") return "*1\r\n$6\r\nmaster\r\n";
  if (name == "INFO") return "$15\r\n\r\nmaxmemory:0\r\n\r\n";
  if (name == "GET") return "$5\r\n1 7 1\r\n";
  if (name == "SCRIPT") return "$40\r\n" + std::string(40, 'a') + "\r\n";
  return "";
}

}  // namespace cellroute::testing
