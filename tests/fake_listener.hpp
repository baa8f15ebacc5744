// The connections of a server that misbehaves as told, in this process.
#pragma once

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace cellroute::testing {

// Answers that are no bytes: close the connection; send no more but keep it; begin a long reply
// that goes on bit by bit. An empty one is none.
inline const std::string kHangUp = "hang up";
inline const std::string kHalfClose = "half close";
inline const std::string kDrip = "drip";

// What a server keeps of a connection.
struct FakeClient {
  int socket = -1;
  bool drips = false;
};

// Listens on a port of this host, with a thread of its own for all connections, between the
// derived class's start() and stop(): from its constructor's end to its destructor's beginning.
template <class Client>
class FakeListener {
 public:
  FakeListener(const FakeListener&) = delete;
  FakeListener& operator=(const FakeListener&) = delete;

  const std::string& address() const { return address_; }
  int connections() const { return connections_; }

 protected:
  // `drop` is what a connection that drips goes on with.
  explicit FakeListener(std::string drop) : drop_(std::move(drop)) {
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
  }
  ~FakeListener() {
    for (const Client& client : clients_) ::close(client.socket);
    ::close(listening_);
  }

  void start() {
    thread_ = std::thread([this] { serve(); });
  }
  void stop() {
    ending_ = true;
    thread_.join();
  }

  // Takes what came. False where the connection is at its end.
  virtual bool read_from(Client& client) = 0;

 private:
  void serve() {
    while (!ending_) {
      std::vector<pollfd> polled = {{listening_, POLLIN, 0}};
      for (const Client& client : clients_) polled.push_back({client.socket, POLLIN, 0});
      const int ready = ::poll(polled.data(), polled.size(), 5);
      for (const Client& client : clients_) {
        if (client.drips) (void)::send(client.socket, drop_.data(), drop_.size(), MSG_NOSIGNAL);
      }
      if (ready <= 0) continue;
      for (std::size_t i = clients_.size(); i > 0; --i) {
        if (polled[i].revents == 0 || read_from(clients_[i - 1])) continue;
        ::close(clients_[i - 1].socket);
        clients_.erase(clients_.begin() + static_cast<std::ptrdiff_t>(i - 1));
      }
      if (polled[0].revents == 0) continue;
      ++connections_;
      clients_.emplace_back().socket = ::accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC);
    }
  }

  const std::string drop_;
  std::string address_;
  int listening_ = -1;
  std::atomic<bool> ending_{false};
  std::atomic<int> connections_{0};
  std::vector<Client> clients_;
  std::thread thread_;
};

}  // namespace cellroute::testing
