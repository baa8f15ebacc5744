// Real Redis servers for tests: alone, and as a cluster.
#pragma once

#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "net/redis_connection.hpp"
#include "server_process.hpp"
#include "store_fixtures.hpp"

namespace cellroute::testing {

// One command's reply; an error where there is no server.
inline Result<net::RedisReply> ask(const net::RedisTarget& target,
                                   const std::vector<std::string>& arguments) {
  const net::Deadline deadline = net::Deadline::after(kPatience);
  auto connection = net::RedisConnection::open(target.endpoints[0], target, deadline);
  if (!connection.ok()) return connection.error();
  const std::vector<std::string_view> views(arguments.begin(), arguments.end());
  std::string command;
  net::append_command(command, views);
  net::RedisReply reply;
  Error error = (*connection)->exchange(command, {&reply, 1}, deadline);
  if (!error.ok()) return error;
  return reply;
}

// redis-server with nothing on disk, that has answered PING.
class RedisServer {
 public:
  // With a port it listens on that besides; `further` goes to its command line.
  explicit RedisServer(std::uint16_t port = 0, std::vector<std::string> further = {})
      : further_(std::move(further)) {
    port_ = port;
    start();
  }

  std::string socket() const { return directory_.path("socket"); }
  std::uint16_t port() const { return port_; }
  std::string url(const std::string& prefix = "cellroute") const {
    return "redis+unix://" + socket() + "?prefix=" + prefix;
  }
  net::RedisReply ask(const std::vector<std::string>& arguments) const {
    return must(testing::ask(target(), arguments));
  }

  void stop() const { ::kill(process_->process(), SIGSTOP); }
  void go_on() const { ::kill(process_->process(), SIGCONT); }
  void kill() { process_.reset(); }
  void start() {
    std::vector<std::string> arguments = {"redis-server", "--port",    std::to_string(port_),
                                          "--bind",       "127.0.0.1", "--unixsocket",
                                          socket(),       "--save",    "",
                                          "--appendonly", "no"};
    arguments.insert(arguments.end(), further_.begin(), further_.end());
    process_ = std::make_unique<Child>(run_program(arguments, directory_.path()));
    const net::Deadline deadline = net::Deadline::after(kPatience);
    for (;;) {
      const auto reply = testing::ask(target(), {"PING"});
      if (reply.ok() && reply->text == "PONG") return;
      if (deadline.passed()) FAIL("redis-server does not answer");
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }

 private:
  net::RedisTarget target() const {
    net::RedisTarget target;
    target.endpoints.push_back({{}, 0, socket()});
    target.cluster = true;  // no question about its role
    return target;
  }

  const TemporaryDirectory directory_;
  const std::vector<std::string> further_;
  std::uint16_t port_ = 0;
  std::unique_ptr<Child> process_;
};

// Three masters, all slots assigned.
class RedisCluster {
 public:
  RedisCluster() {
    std::vector<std::string> create = {"redis-cli", "--cluster", "create"};
    for (int i = 0; i < 3; ++i) {
      const std::uint16_t port = free_port();
      ports_.push_back(port);
      servers_.push_back(std::make_unique<RedisServer>(
          port,
          std::vector<std::string>{"--cluster-enabled", "yes", "--cluster-port",
                                   std::to_string(free_port()), "--cluster-node-timeout", "2000"}));
      create.push_back("127.0.0.1:" + std::to_string(port));
    }
    create.push_back("--cluster-yes");
    const TemporaryDirectory directory;
    if (run_program(create, directory.path()).wait() != 0) FAIL("redis-cli makes no cluster");
    const net::Deadline deadline = net::Deadline::after(kPatience);
    for (const auto& server : servers_) {
      while (server->ask({"CLUSTER", "INFO"}).text.find("cluster_state:ok") == std::string::npos) {
        if (deadline.passed()) FAIL("the cluster does not come up");
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
      }
    }
  }

  RedisServer& server(std::size_t i) { return *servers_[i]; }
  std::uint16_t port(std::size_t i) const { return ports_[i]; }
  // Names one node; the others are to be found.
  std::string url(const std::string& prefix = "cellroute") const {
    return "redis+cluster://127.0.0.1:" + std::to_string(ports_[0]) + "?prefix=" + prefix;
  }

 private:
  std::vector<std::uint16_t> ports_;
  std::vector<std::unique_ptr<RedisServer>> servers_;
};

// Those that a run's tests share, started for the first of them; each store has a prefix of its
// own.
inline RedisServer& shared_server() {
  static RedisServer server;
  return server;
}
inline RedisCluster& shared_cluster() {
  static RedisCluster cluster;
  return cluster;
}

// Never given out before in this run.
inline std::string fresh_prefix() {
  static int number = 0;
  return "test-" + std::to_string(++number);
}

}  // namespace cellroute::testing
