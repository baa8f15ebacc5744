// An HTTP server that misbehaves as told, in this process.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "fake_listener.hpp"

namespace cellroute::testing {

// A request, its names in small letters.
struct FakeRequest {
  std::string head;
  std::string operation;  // of DynamoDB, from X-Amz-Target
  std::string body;
};

// A request to the bytes that answer it, or kHangUp, kHalfClose, kDrip.
using FakeAnswer = std::function<std::string(const FakeRequest& request)>;

inline std::string http_reply(int status, const std::string& body,
                              const std::string& headers = "") {
  return "HTTP/1.1 " + std::to_string(status) + " Said\r\n" + headers +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

struct FakeHttpClient : FakeClient {
  std::string bytes;
};

// `answer` is called by a thread of its own, in which no assertion of the test framework may be
// used.
class FakeHttp final : public FakeListener<FakeHttpClient> {
 public:
  explicit FakeHttp(FakeAnswer answer) : FakeListener(" "), answer_(std::move(answer)) { start(); }
  ~FakeHttp() { stop(); }

 private:
  bool read_from(FakeHttpClient& client) override {
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

  static bool reply(FakeHttpClient& client, const std::string& said) {
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
};

}  // namespace cellroute::testing
