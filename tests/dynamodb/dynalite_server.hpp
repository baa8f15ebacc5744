// A server with DynamoDB's interface, for tests.
#pragma once

#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "net/deadline.hpp"
#include "net/dynamodb_client.hpp"
#include "net/dynamodb_store.hpp"
#include "net/dynamodb_table.hpp"
#include "server_process.hpp"
#include "store_fixtures.hpp"

namespace cellroute::testing {

// Keys that nobody checks: dynalite takes any signature.
inline net::AwsEnvironment test_environment() {
  net::AwsEnvironment environment;
  environment.keys = {"AKIDEXAMPLE", "secret", ""};
  return environment;
}

// dynalite with all in memory, that answers.
class DynaliteServer {
 public:
  DynaliteServer() : port_(free_port()) {
    process_ = std::make_unique<Child>(run_program(
        {"node", CELLROUTE_DYNALITE "/node_modules/dynalite/cli.js", "--host", "127.0.0.1",
         "--port", std::to_string(port_), "--createTableMs", "0", "--deleteTableMs", "0"},
        directory_.path()));
    const net::Deadline deadline = net::Deadline::after(kPatience);
    const auto target = must(net::read_dynamodb_url(url("none"), ""));
    net::DynamodbClient client(target, test_environment());
    (void)must(client.must({"ListTables", net::Json::object(), "none"}, deadline));
  }

  std::string url(const std::string& table) const {
    return "dynamodb://" + table +
           "?region=eu-west-1&endpoint=http://127.0.0.1:" + std::to_string(port_);
  }
  void stop() const { ::kill(process_->process(), SIGSTOP); }
  void go_on() const { ::kill(process_->process(), SIGCONT); }
  void kill() { process_.reset(); }

  // A reply of the server's to any request.
  net::Json ask(const std::string& operation, const net::Json& body) const {
    const auto target = must(net::read_dynamodb_url(url("none"), ""));
    net::DynamodbClient client(target, test_environment());
    return must(client.must({operation, body, "none"}, net::Deadline::after(kPatience)));
  }

  // A table as create_table makes it, less what dynalite lacks; its URL.
  std::string make_table(const std::string& name, const std::string& further = "") const {
    const auto target = must(net::read_dynamodb_url(url(name) + further, ""));
    net::DynamodbClient client(target, test_environment());
    const Error error = net::create_table(client, target, {}, net::Deadline::after(kPatience));
    if (error.text().find("the table is there, but not its time to live") == std::string::npos) {
      FAIL(error.text());
    }
    return url(name) + further;
  }

 private:
  const TemporaryDirectory directory_;
  const std::uint16_t port_;
  std::unique_ptr<Child> process_;
};

// Sets what a store reads, once for the program.
inline void set_test_credentials() {
  static const bool done = [] {
    const net::AwsKeys keys = test_environment().keys;
    ::setenv("AWS_ACCESS_KEY_ID", keys.key_id.c_str(), 1);
    ::setenv("AWS_SECRET_ACCESS_KEY", keys.secret.c_str(), 1);
    ::unsetenv("AWS_SESSION_TOKEN");
    return true;
  }();
  (void)done;
}

inline std::unique_ptr<DynamodbStore> open_dynamodb(const std::string& url,
                                                    Nanos timeout = kPatience) {
  set_test_credentials();
  StoreOptions options;
  options.timeout = timeout;
  return must(open_dynamodb_store(url, options));
}

// The one that a run's tests share, started for the first of them.
inline DynaliteServer& shared_dynalite() {
  static DynaliteServer server;
  return server;
}

// Never given out before in this run.
inline std::string fresh_table() {
  static int number = 0;
  return "table-" + std::to_string(++number);
}

}  // namespace cellroute::testing
