// An HTTP server that misbehaves as told, in this process.
#pragma once

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace cellroute::testing {

// A request, its names in small letters.
struct FakeRequest {
  std::string head;
  std::string operation;  // of DynamoDB, from X-Amz-Target
  std::string body;
};

// A request to the bytes that answer it. kHangUp closes the connection, kHalfClose sends no more
// but keeps it, kDrip begins a reply that goes on bit by bit, and an empty answer is none.
using FakeAnswer = std::function<std::string(const FakeRequest& request)>;
inline const std::string kHangUp = "hang up";
inline const std::string kHalfClose = "half close";
inline const std::string kDrip = "drip";

inline std::string http_reply(int status, const std::string& body,
                              const std::string& headers = "") {
  return "HTTP/1.1 " + std::to_string(status) + " Said\r\n" + headers +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

// Listens on a port of this host; `answer` is called by a thread of its own, in which no assertion
// of the test framework may be used.
class FakeHttp {
 public:
  explicit FakeHttp(FakeAnswer answer) : answer_(std::move(answer)) {
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
  ~FakeHttp() {
    ending_ = true;
    thread_.join();
    for (const Client& client : clients_) ::close(client.socket);
    ::close(listening_);
  }
  FakeHttp(const FakeHttp&) = delete;
  FakeHttp& operator=(const FakeHttp&) = delete;

  const std::string& address() const { return address_; }
  int connections() const { return connections_; }

 private:
  struct Client {
    int socket;
    std::string bytes;
    bool drips = false;
  };

  void serve() {
    while (!ending_) {
      std::vector<pollfd> polled = {{listening_, POLLIN, 0}};
      for (const Client& client : clients_) polled.push_back({client.socket, POLLIN, 0});
      const int ready = ::poll(polled.data(), polled.size(), 5);
      for (const Client& client : clients_) {
        if (client.drips) (void)::send(client.socket, " ", 1, MSG_NOSIGNAL);
      }
      if (ready <= 0) continue;
      for (std::size_t i = clients_.size(); i > 0; --i) {
        if (polled[i].revents == 0 || read_from(clients_[i - 1])) continue;
        ::close(clients_[i - 1].socket);
        clients_.erase(clients_.begin() + static_cast<std::ptrdiff_t>(i - 1));
      }
      if (polled[0].revents == 0) continue;
      ++connections_;
      clients_.push_back({::accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC), "", false});
    }
  }

  // False where the connection is at its end.
  bool read_from(Client& client) {
    std::array<char, 65'536> bytes;
    const ssize_t got = ::recv(client.socket, bytes.data(), bytes.size(), 0);
    if (got <= 0) return false;
    client.bytes.append(bytes.data(), static_cast<std::size_t>(got));
    for (;;) {
      const std::size_t end = client.bytes.find("\r\n\r\n");
      if (end == std::string::npos) return true;
      FakeRequest request;
      request.head = client.bytes.substr(0, end + 2);
      const std::size_t size =
          std::strtoul(value(request.head, "content-length").c_str(), nullptr, 10);
      if (client.bytes.size() < end + 4 + size) return true;
      request.body = client.bytes.substr(end + 4, size);
      client.bytes.erase(0, end + 4 + size);
      const std::string operation = value(request.head, "x-amz-target");
      request.operation = operation.substr(operation.find('.') + 1);
      if (!reply(client, answer_(request))) return false;
    }
  }

  static bool reply(Client& client, const std::string& said) {
    if (said == kHangUp) return false;
    if (said == kHalfClose) {
      ::shutdown(client.socket, SHUT_WR);
      return true;
    }
    std::string_view rest = said;
    if (said == kDrip) {
      client.drips = true;
      rest = "HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n{";
    }
    while (!rest.empty()) {
      const ssize_t sent = ::send(client.socket, rest.data(), rest.size(), MSG_NOSIGNAL);
      if (sent < 0) return false;
      rest.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

 public:
  // A header's value; empty where there is none. `head` has a line each.
  static std::string value(const std::string& head, const std::string& name) {
    for (std::size_t at = head.find("\r\n"); at != std::string::npos; at = head.find("\r\n", at)) {
      at += 2;
      const std::size_t end = head.find("\r\n", at);
      if (end == std::string::npos) break;
      const std::string line = head.substr(at, end - at);
      const std::size_t colon = line.find(':');
      if (colon != name.size()) continue;
      bool same = true;
      for (std::size_t i = 0; i < colon; ++i) same &= (line[i] | 0x20) == (name[i] | 0x20);
      if (same) return line.substr(line.find_first_not_of(' ', colon + 1));
    }
    return "";
  }

 private:
  const FakeAnswer answer_;
  std::string address_;
  int listening_ = -1;
  std::atomic<bool> ending_{false};
  std::atomic<int> connections_{0};
  std::vector<Client> clients_;
  std::thread thread_;
};

}  // namespace cellroute::testing
