// A server that misbehaves as told, in this process.
#pragma once

#include <sys/socket.h>

#include <array>
#include <catch2/catch.hpp>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fake_listener.hpp"
#include "net/redis_reply.hpp"

namespace cellroute::testing {

// A command's name and arguments to the bytes that answer it, or kHangUp, kHalfClose, kDrip.
using FakeAnswer = std::function<std::string(const std::vector<std::string>& command)>;

struct FakeRedisClient : FakeClient {
  // Commands look like replies.
  std::unique_ptr<net::RedisReplyParser> parser = std::make_unique<net::RedisReplyParser>();
};

// `answer` is called by a thread of its own, one connection after another and also while several
// are open. No assertion of the test framework may be used there.
class FakeServer final : public FakeListener<FakeRedisClient> {
 public:
  explicit FakeServer(FakeAnswer answer) : FakeListener(":1\r\n"), answer_(std::move(answer)) {
    start();
  }
  ~FakeServer() { stop(); }

  std::string url() const { return "redis://" + address(); }

 private:
  bool read_from(FakeRedisClient& client) override {
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
