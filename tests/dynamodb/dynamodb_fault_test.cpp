// Stores in DynamoDB whose servers stop, die, hang up, answer late or nonsense, throttle or
// redirect for ever.
#include <signal.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "dynalite_server.hpp"
#include "fake_http.hpp"
#include "store_records.hpp"

namespace cellroute {
namespace {

using net::Json;
using testing::code_of;
using testing::DynaliteServer;
using testing::FakeHttp;
using testing::FakeRequest;
using testing::http_reply;
using testing::kDrip;
using testing::kHalfClose;
using testing::kHangUp;
using testing::must;
using testing::next_op_id;
using testing::open_dynamodb;
using testing::plain_record;
using testing::shared_dynalite;

constexpr Nanos kNow = 1'700'000'100 * kSecond;
constexpr Nanos kShort = 300 * kMillisecond;
constexpr Nanos kBusyMachine = 10 * kSecond;  // a bound that a call without one would exceed

// What `call` returns, which must not outlast its time by far.
template <class Call>
auto in_time(Call call) {
  const net::Deadline deadline = net::Deadline::after(kBusyMachine);
  auto result = call();
  CHECK_FALSE(deadline.passed());
  return result;
}

// Every call of the store answers in time that it does not know.
void check_deaf(MappingStore& store) {
  const Lookup found = in_time([&] { return store.get("tenant", kNow); });
  CHECK(found.answer == Answer::kUnknown);
  CHECK(found.error.code() == ErrorCode::kUnavailable);
  const auto unavailable = ErrorCode::kUnavailable;
  CHECK(in_time([&] { return code_of(store.put_if(plain_record("new"), 0)); }) == unavailable);
  CHECK(in_time([&] { return code_of(store.scan("", 10, kNow)); }) == unavailable);
  CHECK(in_time([&] { return code_of(store.scan_cell("cell-a", "", 10, kNow)); }) == unavailable);
  CHECK(in_time([&] { return code_of(store.purge(kNow, 10)); }) == unavailable);
}

// In front of dynalite: what it answers, as bytes.
std::string forward(const FakeRequest& request) {
  static const auto target = net::read_dynamodb_url(shared_dynalite().url("none"), "");
  static net::DynamodbClient client(*target, testing::test_environment());
  const Json body = Json::parse(request.body, nullptr, false);
  const auto reply =
      client.call({request.operation, body, "none"}, net::Deadline::after(testing::kPatience));
  if (!reply.ok()) return kHangUp;
  return http_reply(reply->exception.empty() ? 200 : 400, reply->body.dump());
}

std::string exception(const std::string& name) {
  return http_reply(
      400, R"({"__type":"com.amazonaws.dynamodb.v20120810#)" + name + R"(","message":"as told"})");
}

// A table of dynalite's behind a server that answers as told, or forwards where that is "forward".
class Behind {
 public:
  explicit Behind(testing::FakeAnswer answer)
      : table_(testing::fresh_table()),
        server_([this, answer = std::move(answer)](const FakeRequest& request) {
          {
            const std::lock_guard lock(mutex_);
            ++asked_[request.operation];
          }
          const std::string said = answer(request);
          return said == "forward" ? forward(request) : said;
        }) {
    shared_dynalite().make_table(table_);
  }

  std::string url(const std::string& further = "") const {
    return "dynamodb://" + table_ + "?region=eu-west-1&endpoint=http://" + server_.address() +
           further;
  }
  std::unique_ptr<DynamodbStore> open(Nanos timeout = testing::kPatience) const {
    return open_dynamodb(url(), timeout);
  }
  // The same table without anything between.
  std::unique_ptr<DynamodbStore> open_sound() const {
    return open_dynamodb(shared_dynalite().url(table_));
  }
  const std::string& table() const { return table_; }
  int connections() const { return server_.connections(); }
  int asked(const std::string& operation) {
    const std::lock_guard lock(mutex_);
    return asked_[operation];
  }

 private:
  const std::string table_;
  std::mutex mutex_;
  std::map<std::string, int> asked_;
  FakeHttp server_;
};

TEST_CASE("dynamodb: with no server, opening fails in time and says where it asked") {
  testing::set_test_credentials();
  StoreOptions options;
  options.timeout = kShort;
  const std::string address = "127.0.0.1:" + std::to_string(testing::free_port());
  const auto store = in_time([&] {
    return open_dynamodb_store("dynamodb://table?region=x&endpoint=http://" + address, options);
  });
  REQUIRE(code_of(store) == ErrorCode::kUnavailable);
  CHECK(store.error().text().find(address) != std::string::npos);
}

TEST_CASE("dynamodb: without its table a store does not open") {
  testing::set_test_credentials();
  const auto store = open_dynamodb_store(shared_dynalite().url("no-such-table"));
  REQUIRE(code_of(store) == ErrorCode::kNotFound);
  CHECK(store.error().text().find("create-table") != std::string::npos);
}

TEST_CASE("dynamodb: while a server is stopped keys are unknown, and known when it goes on") {
  const DynaliteServer server;
  const std::string url = server.make_table("mappings");
  const auto store = open_dynamodb(url, kShort);
  const auto patient = open_dynamodb(url);
  REQUIRE(patient->put_if(plain_record("tenant"), 0).ok());
  server.stop();
  check_deaf(*store);
  server.go_on();
  CHECK(patient->get("tenant", kNow).answer == Answer::kFound);
}

TEST_CASE("dynamodb: a killed server's keys are unknown") {
  DynaliteServer server;
  const std::string url = server.make_table("mappings");
  const auto store = open_dynamodb(url, kShort);
  REQUIRE(open_dynamodb(url)->put_if(plain_record("tenant"), 0).ok());
  server.kill();
  check_deaf(*store);
}

TEST_CASE("dynamodb: servers that hang up, end, drip or are silent are no answer, in time") {
  for (const std::string& mode : {kHangUp, kHalfClose, kDrip, std::string()}) {
    INFO("mode: " << mode);
    std::atomic<bool> sound{true};
    Behind behind([&](const FakeRequest&) { return sound ? "forward" : mode; });
    const auto patient = behind.open();
    REQUIRE(patient->put_if(plain_record("tenant"), 0).ok());
    const auto store = behind.open(kShort);
    sound = false;
    check_deaf(*store);
    sound = true;
    CHECK(patient->get("tenant", kNow).answer == Answer::kFound);
  }
}

TEST_CASE("dynamodb: replies that are none are no answer") {
  for (const std::string& reply :
       {http_reply(200, "<html>"), http_reply(200, "[]"), http_reply(200, "{}"),
        http_reply(200, R"({"Items":{},"Responses":[]})"),
        http_reply(200, R"({"Items":[1],"Responses":{"x":[1]},"TimeToLiveDescription":7})"),
        http_reply(403, ""), http_reply(400, "{}"), http_reply(500, "{}"),
        http_reply(301, "", "Location: /\r\n"), http_reply(204, ""),
        std::string("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"),
        std::string("nonsense\r\n\r\n")}) {
    INFO(reply);
    std::atomic<bool> sound{true};
    Behind behind([&](const FakeRequest&) { return sound ? "forward" : reply; });
    const auto store = behind.open(kShort);
    sound = false;
    for (const auto code : {in_time([&] { return code_of(store->scan("", 10, kNow)); }),
                            in_time([&] { return code_of(store->scan_cell("c", "", 9, kNow)); }),
                            in_time([&] { return code_of(store->purge(kNow, 10)); })}) {
      CHECK(code == ErrorCode::kUnavailable);
    }
    CHECK(in_time([&] { return store->get("tenant", kNow); }).answer == Answer::kUnknown);
  }
}

TEST_CASE("dynamodb: replies beyond the bounds are no answer") {
  for (const bool in_head : {true, false}) {
    std::atomic<bool> sound{true};
    const std::string filler(in_head ? 200 : 40'000'000, 'x');
    std::string many;
    for (int i = 0; in_head && i < 1000; ++i)
      many += "X-" + std::to_string(i) + ": " + filler + "\r\n";
    const std::string reply = in_head ? http_reply(200, "{}", many) : http_reply(200, filler);
    Behind behind([&](const FakeRequest&) { return sound ? "forward" : reply; });
    const auto store = behind.open(2 * kSecond);
    sound = false;
    CHECK(in_time([&] { return code_of(store->put_if(plain_record("tenant"), 0)); }) ==
          ErrorCode::kUnavailable);
    CHECK(behind.asked("UpdateItem") == 1);
  }
}

TEST_CASE(
    "dynamodb: a put that was done while its reply was lost is not sent again, and confirmed") {
  std::atomic<bool> drops{false};
  Behind behind([&](const FakeRequest& request) -> std::string {
    if (!drops || request.operation != "UpdateItem") return "forward";
    (void)forward(request);
    return kHangUp;
  });
  const auto store = behind.open(2 * kSecond);
  REQUIRE(store->put_if(plain_record("before"), 0).ok());  // from now on the connection is old
  drops = true;
  const int before = behind.asked("UpdateItem");
  const MappingRecord record = plain_record("tenant");
  CHECK(code_of(store->put_if(record, 0)) == ErrorCode::kUnavailable);
  CHECK(behind.asked("UpdateItem") == before + 1);
  MappingRecord again = plain_record("tenant");
  CHECK(code_of(put_confirmed(*store, again, 0, kNow)) == ErrorCode::kUnavailable);
  again.op_id = record.op_id;
  CHECK(must(put_confirmed(*store, again, 0, kNow)) == 1);
  const MappingRecord other = plain_record("other");
  CHECK(must(put_confirmed(*store, other, 0, kNow)) == 1);
}

TEST_CASE("dynamodb: no acknowledged write is lost where replies and requests are") {
  std::atomic<int> calls{0};
  Behind behind([&](const FakeRequest& request) -> std::string {
    const int call = ++calls;
    if (request.operation != "UpdateItem" || call % 3 == 0) return "forward";
    if (call % 3 == 1) (void)forward(request);
    return kHangUp;
  });
  const auto store = behind.open(2 * kSecond);
  std::map<std::string, OpId> acknowledged;
  int refused = 0;
  for (int i = 0; i < 60; ++i) {
    const MappingRecord record = plain_record("k" + std::to_string(i));
    const auto written = put_confirmed(*store, record, 0, kNow);
    if (written.ok()) acknowledged[record.key] = record.op_id;
    const ErrorCode code = code_of(written);
    CHECK((code == ErrorCode::kOk || code == ErrorCode::kUnavailable));
    if (code == ErrorCode::kUnavailable) ++refused;
  }
  CHECK(acknowledged.size() >= 20);
  CHECK(refused > 0);
  const auto sound = behind.open_sound();
  for (const auto& [key, op_id] : acknowledged) CHECK(sound->get(key, kNow).record.op_id == op_id);
}

TEST_CASE("dynamodb: throttling is waited out, is no conflict, and is counted") {
  for (const char* const name :
       {"ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded"}) {
    std::atomic<int> left{0};
    Behind behind([&](const FakeRequest&) { return left-- > 0 ? exception(name) : "forward"; });
    const auto store = behind.open();
    left = 3;
    CHECK(must(store->put_if(plain_record("tenant"), 0)) == 1);
    CHECK(behind.asked("UpdateItem") == 4);
    left = 2;
    CHECK(store->get("tenant", kNow).answer == Answer::kFound);
    const auto usage = must(store->usage()).at(behind.table());
    CHECK(usage.throttles == 5);
    CHECK(usage.calls == 8);  // one opened it
    CHECK(usage.failures == 0);
    CHECK(usage.write_units >= 1);
    CHECK(usage.read_units >= 0.5);
  }
}

TEST_CASE("dynamodb: throttled for ever, every call ends in time and none is a conflict") {
  std::atomic<bool> throttled{false};
  Behind behind([&](const FakeRequest&) {
    return throttled ? exception("ProvisionedThroughputExceededException") : "forward";
  });
  const auto store = behind.open(kShort);
  throttled = true;
  check_deaf(*store);
}

std::vector<ConditionalPut> new_puts(int count) {
  std::vector<ConditionalPut> puts;
  for (int i = 0; i < count; ++i) puts.push_back({plain_record("key-" + std::to_string(i)), 0});
  return puts;
}

TEST_CASE("dynamodb: of many puts several are under way at once, and no more than sixteen") {
  Behind behind([](const FakeRequest&) { return "forward"; });
  const auto store = behind.open();
  const int before = behind.connections();
  const auto puts = new_puts(60);
  for (const auto& result : store->put_many(puts)) CHECK(must(result) == 1);
  CHECK(behind.asked("UpdateItem") == 60);
  CHECK(behind.connections() - before > 1);
  CHECK(behind.connections() - before <= 16);
  const auto sound = behind.open_sound();
  for (const ConditionalPut& put : puts) {
    CHECK(sound->get(put.record.key, kNow).answer == Answer::kFound);
  }
}

TEST_CASE("dynamodb: puts of one key go one after another, whatever goes beside them") {
  const auto store = open_dynamodb(shared_dynalite().make_table(testing::fresh_table()));
  std::vector<ConditionalPut> puts;
  for (std::uint64_t turn = 0; turn < 4; ++turn) {
    for (int key = 0; key < 20; ++key) {
      puts.push_back({plain_record("key-" + std::to_string(key)), turn});
      puts.back().record.op_id = next_op_id();
    }
  }
  const auto results = store->put_many(puts);
  REQUIRE(results.size() == puts.size());
  for (std::size_t i = 0; i < puts.size(); ++i) CHECK(must(results[i]) == puts[i].expected + 1);
}

TEST_CASE("dynamodb: throttled puts beside others wait, and are no conflict") {
  std::atomic<int> asked{0};
  Behind behind([&](const FakeRequest& request) -> std::string {
    if (request.operation != "UpdateItem" || ++asked % 3 != 0) return "forward";
    return exception("ThrottlingException");
  });
  const auto store = behind.open();
  for (const auto& result : store->put_many(new_puts(50))) CHECK(must(result) == 1);
  const auto usage = must(store->usage()).at(behind.table());
  CHECK(usage.throttles == 24);
  CHECK(usage.failures == 0);
  CHECK(usage.write_units >= 50);
}

TEST_CASE("dynamodb: puts beside others end in time, and are sent once where a reply is lost") {
  std::atomic<bool> throttles{true};
  Behind behind([&](const FakeRequest& request) -> std::string {
    if (request.operation != "UpdateItem") return "forward";
    if (throttles) return exception("ThrottlingException");
    (void)forward(request);
    return kHangUp;
  });
  const auto store = behind.open(kShort);
  for (const auto& result : in_time([&] { return store->put_many(new_puts(40)); })) {
    CHECK(code_of(result) == ErrorCode::kUnavailable);
  }
  throttles = false;
  const int before = behind.asked("UpdateItem");
  const auto patient = behind.open();
  for (const auto& result : patient->put_many(new_puts(40))) {
    CHECK(code_of(result) == ErrorCode::kUnavailable);
  }
  CHECK(behind.asked("UpdateItem") - before == 40);
  for (const auto& result : behind.open_sound()->put_many(new_puts(40))) {
    CHECK(code_of(result) == ErrorCode::kConflict);  // each was done
  }
}

TEST_CASE("dynamodb: keys that a batch leaves for later are asked for again") {
  std::atomic<int> rounds{0};
  Behind behind([&](const FakeRequest& request) -> std::string {
    if (request.operation != "BatchGetItem") return "forward";
    Json now = Json::parse(request.body);
    const std::string table = now["RequestItems"].begin().key();
    Json later = now["RequestItems"][table];
    Json& keys = now["RequestItems"][table]["Keys"];
    if (keys.size() < 2) return "forward";
    ++rounds;
    later["Keys"].erase(0);
    keys = Json::array({keys[0]});
    FakeRequest part = request;
    part.body = now.dump();
    const std::string answer = forward(part);
    Json reply = Json::parse(answer.substr(answer.find("\r\n\r\n") + 4));
    reply["UnprocessedKeys"][table] = later;
    return http_reply(200, reply.dump());
  });
  const auto store = behind.open();
  for (const char* const key : {"a", "b", "c"}) REQUIRE(store->put_if(plain_record(key), 0).ok());
  const std::vector<std::string_view> keys = {"a", "b", "c", "nobody", "a"};
  std::vector<Lookup> found(keys.size());
  store->get_many(keys, kNow, found);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    CHECK(found[i].answer == (i == 3 ? Answer::kAbsent : Answer::kFound));
  }
  CHECK(rounds == 3);
}

TEST_CASE("dynamodb: a server that redirects for ever is asked once") {
  std::atomic<bool> redirects{false};
  Behind behind([&](const FakeRequest&) -> std::string {
    return redirects ? http_reply(307, "", "Location: /again\r\n") : "forward";
  });
  const auto store = behind.open(2 * kSecond);
  redirects = true;
  CHECK(in_time([&] { return store->get("tenant", kNow); }).answer == Answer::kUnknown);
  CHECK(behind.asked("BatchGetItem") == 1);
}

TEST_CASE("dynamodb: a failing server's reads are tried again, its puts are not") {
  std::atomic<int> left{0};
  Behind behind([&](const FakeRequest&) {
    return left-- > 0 ? http_reply(500, R"({"__type":"x#InternalServerError"})") : "forward";
  });
  const auto store = behind.open();
  left = 2;
  CHECK(store->get("tenant", kNow).answer == Answer::kAbsent);
  CHECK(behind.asked("BatchGetItem") == 3);
  left = 1;
  CHECK(code_of(store->put_if(plain_record("tenant"), 0)) == ErrorCode::kUnavailable);
  CHECK(behind.asked("UpdateItem") == 1);
}

TEST_CASE("dynamodb: who is not let in is told so at once") {
  std::atomic<bool> denies{false};
  Behind behind(
      [&](const FakeRequest&) { return denies ? exception("AccessDeniedException") : "forward"; });
  const auto store = behind.open();
  denies = true;
  CHECK(store->get("tenant", kNow).error.code() == ErrorCode::kRefused);
  CHECK(code_of(store->put_if(plain_record("tenant"), 0)) == ErrorCode::kRefused);
  CHECK(behind.asked("UpdateItem") == 1);
}

TEST_CASE("dynamodb: one region writes, and the others refuse to") {
  const std::string url = shared_dynalite().make_table(testing::fresh_table());
  const auto home = open_dynamodb(url + "&write_region=eu-west-1");
  const auto away = open_dynamodb(url + "&write_region=us-east-1");
  CHECK(code_of(away->put_if(plain_record("tenant"), 0)) == ErrorCode::kRefused);
  CHECK(code_of(away->purge(kNow, 10)) == ErrorCode::kRefused);
  CHECK(home->put_if(plain_record("tenant"), 0).ok());
  CHECK(away->get("tenant", kNow).answer == Answer::kFound);
}

TEST_CASE("dynamodb: reads are strong, or eventual where the URL says so") {
  std::mutex mutex;
  std::vector<bool> strong;
  Behind behind([&](const FakeRequest& request) -> std::string {
    const std::lock_guard lock(mutex);
    const Json body = Json::parse(request.body);
    if (request.operation == "Scan") strong.push_back(body["ConsistentRead"]);
    if (request.operation == "BatchGetItem") {
      strong.push_back(body["RequestItems"].begin().value()["ConsistentRead"]);
    }
    return "forward";
  });
  for (const char* const word : {"strong", "eventual"}) {
    const auto store = open_dynamodb(behind.url("&consistency=" + std::string(word)));
    CHECK(store->get("tenant", kNow).answer == Answer::kAbsent);
    CHECK(store->scan("", 1, kNow).ok());
  }
  CHECK(strong == std::vector<bool>{true, true, false, false});
}

TEST_CASE("dynamodb: calls one after another use one connection") {
  Behind behind([](const FakeRequest&) { return "forward"; });
  const auto store = behind.open();
  for (int i = 0; i < 10; ++i) CHECK(store->get("tenant", kNow).answer == Answer::kAbsent);
  CHECK(behind.connections() == 1);
}

TEST_CASE("dynamodb: a child's copy refuses to serve, and ends without harm to the parent's") {
  Behind behind([](const FakeRequest&) { return "forward"; });
  auto store = behind.open();
  REQUIRE(store->put_if(plain_record("tenant"), 0).ok());
  testing::Child child([&] {
    const bool refuses = store->get("tenant", kNow).error.code() == ErrorCode::kWrongProcess &&
                         code_of(store->put_if(plain_record("x"), 0)) == ErrorCode::kWrongProcess &&
                         code_of(store->scan("", 1, kNow)) == ErrorCode::kWrongProcess;
    store.reset();
    return refuses ? 0 : 1;
  });
  CHECK(child.wait() == 0);
  CHECK(store->get("tenant", kNow).answer == Answer::kFound);
  CHECK(behind.connections() == 1);
}

TEST_CASE("dynamodb: many threads share a store") {
  const auto store = open_dynamodb(shared_dynalite().make_table(testing::fresh_table()));
  std::vector<std::thread> threads;
  std::atomic<int> written{0};
  for (int i = 0; i < 12; ++i) {
    threads.emplace_back([&, i] {
      for (int n = 0; n < 5; ++n) {
        const std::string key = std::to_string(i) + "-" + std::to_string(n);
        if (store->put_if(plain_record(key), 0).ok()) ++written;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(written == 60);
  CHECK(must(store->scan("", 100, kNow)).records.size() == 60);
}

}  // namespace
}  // namespace cellroute
