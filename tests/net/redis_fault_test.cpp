// Stores in Redis whose servers stop, die, hang up, answer late or nonsense, or redirect for ever.
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "control/assign.hpp"
#include "fake_server.hpp"
#include "net/deadline.hpp"
#include "net/redis_layout.hpp"
#include "net/redis_servers.hpp"
#include "net/redis_store.hpp"
#include "redis_server.hpp"
#include "store_records.hpp"

namespace cellroute {
namespace {

using testing::code_of;
using testing::FakeServer;
using testing::kHalfClose;
using testing::kHangUp;
using testing::must;
using testing::opening_answer;
using testing::plain_record;
using testing::RedisServer;

constexpr Nanos kNow = 1'700'000'100 * kSecond;
constexpr Nanos kShort = 200 * kMillisecond;
constexpr Nanos kBusyMachine = 5 * kSecond;  // a bound that a call without one would exceed

// Also where the machine is too busy to open it in that time.
std::unique_ptr<MappingStore> open_with(const std::string& url, Nanos timeout) {
  StoreOptions options;
  options.timeout = timeout;
  const net::Deadline deadline = net::Deadline::after(testing::kPatience);
  for (;;) {
    auto store = open_redis_store(url, options);
    if (code_of(store) != ErrorCode::kUnavailable || deadline.passed()) {
      return must(std::move(store));
    }
  }
}

// By a store that has the time for it.
void put_first(const std::string& url, const std::string& key) {
  REQUIRE(open_with(url, testing::kPatience)->put_if(plain_record(key), 0).ok());
}

// What `call` returns, which must not outlast its time by far.
template <class Call>
auto in_time(Call call) {
  const net::Deadline deadline = net::Deadline::after(kBusyMachine);
  auto result = call();
  CHECK_FALSE(deadline.passed());
  return result;
}

void check_unknown(MappingStore& store, const std::string& key) {
  const Lookup found = in_time([&] { return store.get(key, kNow); });
  CHECK(found.answer == Answer::kUnknown);
  CHECK(found.error.code() == ErrorCode::kUnavailable);
}

TEST_CASE("redis: with no server, opening fails in time and says where it asked") {
  const testing::TemporaryDirectory directory;
  StoreOptions options;
  options.timeout = kShort;
  for (const std::string& url :
       {"redis+unix://" + directory.path("none"),
        "redis://127.0.0.1:" + std::to_string(testing::free_port()),
        "redis+cluster://127.0.0.1:" + std::to_string(testing::free_port())}) {
    const auto store = in_time([&] { return open_redis_store(url, options); });
    REQUIRE_FALSE(store.ok());
    CHECK(store.error().code() == ErrorCode::kUnavailable);
    CHECK(store.error().text().find("Redis at") != std::string::npos);
  }
}

TEST_CASE("redis: while a server is stopped keys are unknown, and known when it goes on") {
  RedisServer server;
  const auto store = open_with(server.url(), kShort);
  put_first(server.url(), "tenant");
  server.stop();
  check_unknown(*store, "tenant");
  check_unknown(*store, "nobody");
  CHECK(in_time([&] { return code_of(store->put_if(plain_record("late"), 0)); }) ==
        ErrorCode::kUnavailable);
  CHECK(in_time([&] { return code_of(store->scan("", 10, kNow)); }) == ErrorCode::kUnavailable);
  CHECK(in_time([&] { return code_of(store->scan_cell("cell-a", "", 10, kNow)); }) ==
        ErrorCode::kUnavailable);
  CHECK(in_time([&] { return code_of(store->changes("", 10)); }) == ErrorCode::kUnavailable);
  CHECK(in_time([&] { return code_of(store->purge(kNow, 10)); }) == ErrorCode::kUnavailable);
  server.go_on();
  const auto patient = open_with(server.url(), testing::kPatience);
  CHECK(patient->get("tenant", kNow).answer == Answer::kFound);
  // The answer to the put that came too late disturbs nobody.
  Lookup found;
  for (int i = 0; i < 100 && found.answer == Answer::kUnknown; ++i)
    found = store->get("tenant", kNow);
  CHECK(found.record.key == "tenant");
}

// Asks until there is an answer.
Lookup get_until_known(MappingStore& store, const std::string& key) {
  const net::Deadline deadline = net::Deadline::after(testing::kPatience);
  Lookup found = store.get(key, kNow);
  while (found.answer == Answer::kUnknown && !deadline.passed()) found = store.get(key, kNow);
  return found;
}

TEST_CASE("redis: a killed server's keys are unknown; one that starts in its place is used") {
  RedisServer server;
  const auto store = open_with(server.url(), kShort);
  const auto reader = open_with(server.url(), testing::kPatience);
  put_first(server.url(), "tenant");
  const Cursor read = must(reader->changes("", 10)).next;
  server.kill();
  check_unknown(*store, "tenant");
  server.start();  // and has lost all, as Redis does that keeps nothing on disk
  CHECK(get_until_known(*store, "tenant").answer == Answer::kAbsent);
  CHECK(code_of(reader->changes(read, 10)) == ErrorCode::kRefused);
  // Those that had it open and those that open it now write to one store.
  CHECK(reader->put_if(plain_record("tenant"), 0).ok());
  const auto late = open_with(server.url(), testing::kPatience);
  CHECK(late->put_if(plain_record("other"), 0).ok());
  CHECK(reader->put_if(plain_record("third"), 0).ok());
  CHECK(must(late->scan("", 10, kNow)).records.size() == 3);
}

TEST_CASE("redis: a store that another one replaced refuses to write, and readers of changes") {
  RedisServer server;
  const auto store = open_with(server.url(), testing::kPatience);
  REQUIRE(store->put_if(plain_record("tenant"), 0).ok());
  const Cursor read = must(store->changes("", 10)).next;
  server.ask({"FLUSHALL"});
  const auto other = open_with(server.url(), testing::kPatience);
  CHECK(code_of(store->put_if(plain_record("tenant"), 0)) == ErrorCode::kRefused);
  CHECK(other->put_if(plain_record("tenant"), 0).ok());
  CHECK(code_of(store->put_if(plain_record("other"), 0)) == ErrorCode::kRefused);
  CHECK(code_of(store->changes(read, 10)) == ErrorCode::kRefused);
  CHECK(code_of(other->changes(read, 10)) == ErrorCode::kRefused);
  CHECK(code_of(store->purge(kNow, 10)) == ErrorCode::kRefused);
}

TEST_CASE(
    "redis: where the feed was renewed, whoever had the store open refuses until it opens it") {
  const std::string url = testing::shared_cluster().url(testing::fresh_prefix());
  const auto before = open_with(url, testing::kPatience);
  for (int i = 0; i < 20; ++i) {
    REQUIRE(before->put_if(plain_record("k" + std::to_string(i)), 0).ok());
  }
  const Cursor cursor = must(before->changes("", 100)).next;
  const auto restoring = open_with(url, testing::kPatience);
  REQUIRE(restoring->renew_feed().ok());
  for (MappingStore* const old : {before.get(), restoring.get()}) {
    CHECK(code_of(old->put_if(plain_record("k3"), 1)) == ErrorCode::kRefused);
    CHECK(code_of(old->changes(cursor, 100)) == ErrorCode::kRefused);
    CHECK(old->get("k3", kNow).answer == Answer::kFound);
    CHECK(old->renew_feed().code() == ErrorCode::kRefused);
  }
  const auto after = open_with(url, testing::kPatience);
  CHECK(code_of(after->changes(cursor, 100)) == ErrorCode::kRefused);
  CHECK(must(after->changes("", 100)).records.size() == 20);
  for (int i = 0; i < 40; ++i) {  // also in partitions that nobody had written to
    CHECK(must(after->put_if(plain_record("k" + std::to_string(i)), i < 20 ? 1 : 0)) > 0);
  }
}

TEST_CASE("redis: a script that the server forgot is sent again") {
  RedisServer server;
  const auto store = open_with(server.url(), testing::kPatience);
  server.ask({"SCRIPT", "FLUSH"});
  CHECK(must(store->put_if(plain_record("tenant"), 0)) == 1);
  server.ask({"SCRIPT", "FLUSH"});
  CHECK(must(store->scan("", 10, kNow)).records.size() == 1);
}

TEST_CASE("redis: a put whose reply is dropped is confirmed, and never done twice") {
  RedisServer server;
  const auto store = open_with(server.url(), testing::kPatience);
  // Passes on what it is asked, but for the answers to puts.
  std::atomic<int> puts{0};
  FakeServer between([&](const std::vector<std::string>& command) -> std::string {
    if (command.front() != "EVALSHA") {
      const net::RedisReply reply = server.ask(command);
      if (command.front() == "ROLE") return "*1\r\n$6\r\nmaster\r\n";
      if (command.front() != "HMGET") {
        return "$" + std::to_string(reply.text.size()) + "\r\n" + reply.text + "\r\n";
      }
      const std::string& value = reply.elements[0].text;
      if (value.empty()) return "*1\r\n$-1\r\n";
      return "*1\r\n$" + std::to_string(value.size()) + "\r\n" + value + "\r\n";
    }
    const net::RedisReply reply = server.ask(command);
    if (reply.elements[0].elements[0].text != "put") return "*1\r\n*1\r\n$9\r\nunclaimed\r\n";
    ++puts;
    return kHangUp;
  });
  const auto lossy = open_with(between.url(), testing::kPatience);
  const MappingRecord record = plain_record("tenant");
  CHECK(code_of(lossy->put_if(plain_record("first"), 0)) == ErrorCode::kUnavailable);
  CHECK(puts == 1);
  CHECK(store->get("first", kNow).record.revision == 1);
  CHECK(must(put_confirmed(*lossy, record, 0, kNow)) == 1);
  CHECK(puts == 2);
  CHECK(store->get("tenant", kNow).record.revision == 1);
}

TEST_CASE("redis: a page of puts is one command") {
  RedisServer server;
  const auto store = open_with(server.url(), testing::kPatience);
  REQUIRE(store->put_if(plain_record("first"), 0).ok());
  std::vector<ConditionalPut> puts;
  for (int i = 0; i < 256; ++i) puts.push_back({plain_record("k" + std::to_string(i)), 0});
  server.ask({"CONFIG", "RESETSTAT"});
  for (const auto& result : store->put_many(puts)) CHECK(result.ok());
  const std::string stats = server.ask({"INFO", "commandstats"}).text;
  CHECK(stats.find("cmdstat_evalsha:calls=1,") != std::string::npos);
}

TEST_CASE("redis: where a page's reply is lost, each of its puts is unknown") {
  std::atomic<int> puts{0};
  FakeServer server([&](const std::vector<std::string>& command) -> std::string {
    const std::string opened = opening_answer(command);
    if (!opened.empty()) return opened;
    ++puts;
    return kHangUp;
  });
  const auto store = open_with(server.url(), testing::kPatience);
  std::vector<ConditionalPut> page = {{plain_record("a"), 0}, {plain_record(""), 0}};
  page.push_back({plain_record("b"), 0});
  const auto results = store->put_many(page);
  REQUIRE(results.size() == 3);
  CHECK(code_of(results[0]) == ErrorCode::kUnavailable);
  CHECK(code_of(results[1]) == ErrorCode::kInvalidArgument);
  CHECK(code_of(results[2]) == ErrorCode::kUnavailable);
  CHECK(puts == 1);
}

TEST_CASE("redis: a partition that lost its head alone refuses writes and stays whole") {
  RedisServer server;
  const auto store = open_with(server.url(), testing::kPatience);
  for (const char* key : {"a", "b", "c"}) REQUIRE(store->put_if(plain_record(key), 0).ok());
  server.ask({"DEL", "cellroute:{0}:head"});
  CHECK(code_of(store->put_if(plain_record("d"), 0)) == ErrorCode::kUnavailable);
  CHECK(must(store->scan("", 10, kNow)).records.size() == 3);
  CHECK(must(store->scan_cell("cell-a", "", 10, kNow)).records.size() == 3);
  CHECK(store->get("d", kNow).answer == Answer::kAbsent);
}

// A server that opens well and answers all else by `answer`.
testing::FakeAnswer after_opening(testing::FakeAnswer answer) {
  return [answer](const std::vector<std::string>& command) {
    const std::string opened = opening_answer(command);
    return opened.empty() ? answer(command) : opened;
  };
}

TEST_CASE("redis: whatever a server says instead of an answer, the key is unknown, in time") {
  for (const std::string& said : std::vector<std::string>{"",
                                                          kHangUp,
                                                          kHalfClose,
                                                          "$5\r\nab",
                                                          "*1\r\n",
                                                          "nonsense\r\n",
                                                          "$-1\r\n",
                                                          ":1\r\n",
                                                          "+OK\r\n",
                                                          "*0\r\n",
                                                          "*2\r\n$-1\r\n$-1\r\n",
                                                          "*1\r\n:5\r\n",
                                                          "*1\r\n$3\r\nabc\r\n",
                                                          "*1\r\n$-1\r\n$-1\r\n",
                                                          "*2147483647\r\n",
                                                          "$2147483647\r\n",
                                                          "-ERR broken\r\n",
                                                          "-LOADING\r\n",
                                                          "-MOVED\r\n",
                                                          "-MOVED 1 here:1\r\n",
                                                          "-ASK 99999 x:1\r\n",
                                                          "-READONLY You can't\r\n",
                                                          "-NOPERM no\r\n",
                                                          "-OOM full\r\n"}) {
    INFO(said);
    FakeServer server(after_opening([&](const auto&) { return said; }));
    const auto store = open_with(server.url(), kShort);
    const Lookup found = in_time([&] { return store->get("tenant", kNow); });
    CHECK(found.answer == Answer::kUnknown);
    CHECK_FALSE(found.error.ok());
    CHECK_FALSE(in_time([&] { return store->put_if(plain_record("tenant"), 0); }).ok());
    CHECK_FALSE(in_time([&] { return store->scan("", 10, kNow); }).ok());
    CHECK_FALSE(in_time([&] { return store->changes("", 10); }).ok());
    const bool count = said == ":1\r\n";  // an answer to this one
    CHECK(in_time([&] { return store->purge(kNow, 10); }).ok() == count);
  }
}

TEST_CASE("redis: a server that sends a byte at a time does not outlast the call") {
  FakeServer server(after_opening([](const auto&) { return testing::kDrip; }));
  const auto store = open_with(server.url(), kShort);
  check_unknown(*store, "tenant");
}

TEST_CASE("redis: an answer that comes late is not taken for the next one's") {
  FakeServer server(after_opening([](const std::vector<std::string>& command) -> std::string {
    if (command.back() != "slow") return "*1\r\n$-1\r\n";
    std::this_thread::sleep_for(std::chrono::nanoseconds(kShort + kShort / 4));
    return "*1\r\n$9\r\nsomething\r\n";
  }));
  const auto store = open_with(server.url(), kShort);
  for (int i = 0; i < 3; ++i) {
    check_unknown(*store, "slow");
    CHECK(get_until_known(*store, "quick").answer == Answer::kAbsent);
  }
}

TEST_CASE("redis: connections to a server that hangs up are spaced by a back-off") {
  FakeServer server(after_opening([](const auto&) { return kHangUp; }));
  const auto store = open_with(server.url(), kSecond);
  check_unknown(*store, "tenant");
  CHECK(server.connections() > 2);
  CHECK(server.connections() < 30);
}

TEST_CASE("redis: writing to a connection that is gone raises no signal") {
  static volatile sig_atomic_t raised = 0;
  const auto before = ::signal(SIGPIPE, [](int) { raised = 1; });
  FakeServer server(after_opening([](const auto&) { return kHangUp; }));
  const auto store = open_with(server.url(), kShort);
  MappingRecord record = plain_record("tenant");
  for (int i = 0; i < 20; ++i) CHECK_FALSE(store->put_if(record, 0).ok());
  ::signal(SIGPIPE, before);
  CHECK(raised == 0);
}

TEST_CASE("redis: a cluster that redirects for ever is given up") {
  for (const std::string word : {"MOVED", "ASK"}) {
    std::atomic<int> asked{0};
    std::string port;  // set before anything is asked
    FakeServer server([&](const std::vector<std::string>& command) -> std::string {
      if (command.front() == "CLUSTER") {
        return "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:" + port + "\r\n";
      }
      if (command.front() == "ASKING") return "+OK\r\n";
      const std::string opened = opening_answer(command);
      if (!opened.empty()) return opened;
      ++asked;
      return "-" + word + " 7 127.0.0.1:" + port + "\r\n";
    });
    port = server.address().substr(server.address().find(':') + 1);
    const auto store = open_with("redis+cluster://" + server.address(), testing::kPatience);
    check_unknown(*store, "tenant");
    CHECK(asked == 17);
    CHECK(code_of(in_time([&] { return store->put_if(plain_record("tenant"), 0); })) ==
          ErrorCode::kUnavailable);
    CHECK(asked == 34);
  }
}

TEST_CASE("redis: a child of fork is refused, and its parent's connections live on") {
  RedisServer server;
  auto store = open_with(server.url(), testing::kPatience);
  REQUIRE(store->put_if(plain_record("tenant"), 0).ok());
  testing::Child child([&] {
    const bool refused = store->get("tenant", kNow).error.code() == ErrorCode::kWrongProcess &&
                         code_of(store->put_if(plain_record("x"), 0)) == ErrorCode::kWrongProcess &&
                         code_of(store->scan("", 1, kNow)) == ErrorCode::kWrongProcess &&
                         code_of(store->changes("", 1)) == ErrorCode::kWrongProcess;
    store.reset();
    return refused ? 0 : 1;
  });
  CHECK(child.wait() == 0);
  CHECK(store->get("tenant", kNow).answer == Answer::kFound);
}

TEST_CASE("redis: while the store is down nothing is assigned") {
  RedisServer server;
  const auto store = open_with(server.url(), kShort);
  server.kill();
  for (int i = 0; i < 5; ++i) {
    const auto assigned = in_time([&] { return assign(*store, {"tenant", "cell-a", {}}, kNow); });
    CHECK(code_of(assigned) == ErrorCode::kUnavailable);
  }
  server.start();
  CHECK(get_until_known(*store, "tenant").answer == Answer::kAbsent);
}

TEST_CASE("redis: a server that evicts is refused, and no longer used where it begins to") {
  RedisServer server;
  const auto store = open_with(server.url(), testing::kPatience);
  server.ask({"CONFIG", "SET", "maxmemory-policy", "volatile-lru"});
  CHECK(open_with(server.url(), testing::kPatience) != nullptr);  // it has no end to make room at
  server.ask({"CONFIG", "SET", "maxmemory", "100mb"});
  const auto opened = open_redis_store(server.url());
  REQUIRE(code_of(opened) == ErrorCode::kRefused);
  CHECK(opened.error().text().find("maxmemory-policy") != std::string::npos);
  const net::Deadline deadline = net::Deadline::after(testing::kPatience);
  while (store->get("tenant", kNow).error.code() != ErrorCode::kRefused) {
    if (deadline.passed()) FAIL("it is still used");
  }
}

TEST_CASE("redis: a server that is made a replica acknowledges nothing and is not read for long") {
  RedisServer server(testing::free_port());
  const auto store = open_with(server.url(), kShort);
  put_first(server.url(), "tenant");
  server.ask({"REPLICAOF", "127.0.0.1", std::to_string(testing::free_port())});
  CHECK(in_time([&] { return code_of(store->put_if(plain_record("late"), 0)); }) ==
        ErrorCode::kUnavailable);
  check_unknown(*store, "tenant");
  server.ask({"REPLICAOF", "NO", "ONE"});
  CHECK(get_until_known(*store, "tenant").answer == Answer::kFound);
  CHECK(get_until_known(*store, "late").answer == Answer::kAbsent);
  // Who only reads is told nothing by the server itself.
  server.ask({"REPLICAOF", "127.0.0.1", std::to_string(testing::free_port())});
  const net::Deadline deadline = net::Deadline::after(testing::kPatience);
  while (store->get("tenant", kNow).answer != Answer::kUnknown) {
    if (deadline.passed()) FAIL("it is still read from");
  }
}

TEST_CASE("redis cluster: nodes that left the map make room for those that came") {
  FakeServer last([](const auto& command) {
    return command.front() == "PING" ? std::string("+PONG\r\n") : opening_answer(command);
  });
  std::atomic<bool> grown{false};
  FakeServer seed([&](const std::vector<std::string>& command) -> std::string {
    if (command.front() == "PING") return "-MOVED 0 " + last.address() + "\r\n";
    if (command.front() != "CLUSTER") return opening_answer(command);
    // As many masters as may be known, where nobody listens; then one that is none of them.
    const int masters = grown.exchange(true) ? 1 : 1'023;
    std::string map = "*" + std::to_string(masters) + "\r\n";
    for (int i = 0; i < masters; ++i) {
      const std::string port = masters == 1 ? last.address().substr(10) : std::to_string(i + 1);
      map += "*3\r\n:" + std::to_string(i) + "\r\n:" + std::to_string(i) +
             "\r\n*2\r\n$9\r\n127.0.0.1\r\n:" + port + "\r\n";
    }
    return map;
  });
  net::RedisServers servers(must(net::read_redis_url("redis+cluster://" + seed.address())));
  constexpr std::string_view kPing[] = {"PING"};
  const auto reply = in_time([&] {
    return servers.call(0, {.arguments = kPing}, net::Deadline::after(testing::kPatience));
  });
  CHECK(must(reply).text == "PONG");
}

// The name by which clients find the master: a symbolic link to its socket, moved at once.
void point_to(const std::string& name, const RedisServer& server) {
  const std::string next = name + ".next";
  std::filesystem::create_symlink(server.socket(), next);
  std::filesystem::rename(next, name);
}

// Writes one key after another, each with revision 1 only, until told to end.
struct Writer {
  void run(MappingStore& store, const std::string& name, const std::atomic<bool>& demoted,
           const std::atomic<bool>& ending) {
    for (int i = 0; !ending; ++i) {
      const std::string key = name + std::to_string(i);
      const bool late = demoted;
      const net::Deadline deadline = net::Deadline::after(kBusyMachine);
      const ErrorCode code = code_of(put_confirmed(store, plain_record(key), 0, kNow));
      if (deadline.passed()) ++hung;
      if (code == ErrorCode::kOk) {
        ++acknowledged;
        if (late) kept.push_back(key);
      } else if (code != ErrorCode::kUnavailable) {
        ++wrong;  // every key is this writer's alone: a conflict would be with its own success
      }
    }
  }

  int hung = 0;
  int wrong = 0;
  std::atomic<int> acknowledged{0};
  std::vector<std::string> kept;  // those written after the old master had become a replica
};

TEST_CASE("redis: a failover to a replica under load hangs nobody and turns no success around") {
  RedisServer master(testing::free_port(), {"--repl-diskless-sync-delay", "0"});
  RedisServer replica(testing::free_port(),
                      {"--replicaof", "127.0.0.1", std::to_string(master.port())});
  const net::Deadline synced = net::Deadline::after(testing::kPatience);
  while (replica.ask({"INFO", "replication"}).text.find("master_link_status:up") ==
         std::string::npos) {
    if (synced.passed()) FAIL("the replica has no link");
  }
  const testing::TemporaryDirectory directory;
  const std::string name = directory.path("master");
  point_to(name, master);
  const auto store = open_with("redis+unix://" + name, kShort);
  CHECK(store->capabilities().loses_acknowledged);
  CHECK_FALSE(store->capabilities().durable);

  std::atomic<bool> demoted{false};
  std::atomic<bool> ending{false};
  std::array<Writer, 3> writers;
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < writers.size(); ++i) {
    threads.emplace_back(
        [&, i] { writers[i].run(*store, "w" + std::to_string(i) + "-", demoted, ending); });
  }
  const auto wait_for_writes = [&](int more) {
    for (Writer& writer : writers) {
      const int enough = writer.acknowledged + more;
      const net::Deadline deadline = net::Deadline::after(testing::kPatience);
      while (writer.acknowledged < enough && !deadline.passed()) std::this_thread::yield();
    }
  };
  wait_for_writes(100);
  replica.ask({"REPLICAOF", "NO", "ONE"});
  master.ask({"REPLICAOF", "127.0.0.1", std::to_string(replica.port())});
  demoted = true;
  point_to(name, replica);
  wait_for_writes(100);
  ending = true;
  for (std::thread& thread : threads) thread.join();

  const auto after = open_with(replica.url(), testing::kPatience);
  for (const Writer& writer : writers) {
    CHECK(writer.hung == 0);
    CHECK(writer.wrong == 0);
    CHECK(writer.kept.size() >= 50);
    for (const std::string& key : writer.kept) {
      CHECK(after->get(key, kNow).answer == Answer::kFound);
    }
  }
}

// A key of the partition's.
std::string key_in_partition(unsigned partition) {
  for (int i = 0;; ++i) {
    const std::string key = "k" + std::to_string(i);
    if (net::redis_partition(key, net::kClusterPartitions) == partition) return key;
  }
}

TEST_CASE("redis cluster: a slot that is being moved, and has been, is followed") {
  testing::RedisCluster cluster;
  const auto store = open_with(cluster.url(), testing::kPatience);
  const std::string slot = std::to_string(net::RedisPartition("cellroute", 0).slot());
  RedisServer& from = cluster.server(2);  // has the last third of the slots
  RedisServer& to = cluster.server(0);
  const std::string to_id = to.ask({"CLUSTER", "MYID"}).text;
  to.ask({"CLUSTER", "SETSLOT", slot, "IMPORTING", from.ask({"CLUSTER", "MYID"}).text});
  from.ask({"CLUSTER", "SETSLOT", slot, "MIGRATING", to_id});
  const std::string key = key_in_partition(0);
  // Whoever asks for one key is sent on (ASK); a script needs all of them at one server.
  CHECK(store->get(key, kNow).answer == Answer::kAbsent);
  const auto hasty = open_with(cluster.url(), kShort);
  CHECK(in_time([&] { return code_of(hasty->put_if(plain_record(key), 0)); }) ==
        ErrorCode::kUnavailable);
  to.ask({"CLUSTER", "SETSLOT", slot, "NODE", to_id});
  from.ask({"CLUSTER", "SETSLOT", slot, "NODE", to_id});
  CHECK(store->get(key, kNow).answer == Answer::kAbsent);  // MOVED
  CHECK(must(store->put_if(plain_record(key), 0)) == 1);   // to one that has not seen the script
  CHECK(store->get(key, kNow).answer == Answer::kFound);
  CHECK(to.ask({"EXISTS", "cellroute:{0}:records"}).integer == 1);
}

TEST_CASE("redis cluster: a node that is stopped holds up its own keys alone") {
  testing::RedisCluster cluster;
  const auto patient = open_with(cluster.url(), testing::kPatience);
  const auto store = open_with(cluster.url(), kShort);
  const auto fresh = open_with(cluster.url(), 2 * kSecond);
  const auto writer = open_with(cluster.url(), 2 * kSecond);
  for (std::size_t i = 0; i < 3; ++i) {  // or the others stop serving when they miss one
    cluster.server(i).ask({"CONFIG", "SET", "cluster-require-full-coverage", "no"});
  }
  for (int i = 0; i < 30; ++i) {
    REQUIRE(patient->put_if(plain_record("k" + std::to_string(i)), 0).ok());
  }
  cluster.server(2).stop();
  int known = 0;
  for (int i = 0; i < 30; ++i) {
    const Lookup found = in_time([&] { return store->get("k" + std::to_string(i), kNow); });
    if (found.answer == Answer::kFound) ++known;
    CHECK(found.answer != Answer::kAbsent);
  }
  CHECK(known > 0);
  CHECK(known < 30);
  // Asked for at once, whichever come first.
  std::vector<std::string> keys;
  for (int i = 0; i < 30; ++i) keys.push_back("k" + std::to_string(i));
  const std::vector<std::string_view> wanted(keys.begin(), keys.end());
  std::vector<Lookup> found(wanted.size());
  for (MappingStore* const asked : {fresh.get(), fresh.get(), store.get()}) {
    in_time([&] {
      asked->get_many(wanted, kNow, found);
      return 0;
    });
    int together = 0;
    for (const Lookup& lookup : found) {
      if (lookup.answer == Answer::kFound) ++together;
      CHECK(lookup.answer != Answer::kAbsent);
    }
    CHECK(together == known);
  }
  // And put at once.
  std::vector<MappingRecord> next;
  for (const std::string& key : keys) next.emplace_back(plain_record(key)).revision = 2;
  std::vector<ConditionalPut> puts;
  for (const MappingRecord& record : next) puts.push_back({record, 1});
  const auto results = in_time([&] { return writer->put_many(puts); });
  int put = 0;
  for (const auto& result : results) {
    if (result.ok()) {
      ++put;
    } else {
      CHECK(result.error().code() == ErrorCode::kUnavailable);
    }
  }
  CHECK(put == known);
  cluster.server(2).go_on();
  for (int i = 0; i < 30; ++i) {
    CHECK(get_until_known(*patient, "k" + std::to_string(i)).answer == Answer::kFound);
  }
}

}  // namespace
}  // namespace cellroute
