// The parts of the store in DynamoDB: URLs, times, items, credentials, streams.
#include <sys/stat.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <fstream>
#include <limits>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "dynalite_server.hpp"
#include "fake_http.hpp"
#include "net/aws_credentials.hpp"
#include "net/dynamodb_item.hpp"
#include "net/dynamodb_stream.hpp"
#include "net/dynamodb_url.hpp"
#include "net/iso_time.hpp"
#include "store_records.hpp"

namespace cellroute {
namespace {

using net::Attribute;
using net::AwsEnvironment;
using net::Deadline;
using net::DynamodbTarget;
using net::ItemKind;
using net::Json;
using testing::code_of;
using testing::FakeHttp;
using testing::FakeRequest;
using testing::full_record;
using testing::http_reply;
using testing::kPatience;
using testing::must;
using testing::plain_record;
using testing::shared_dynalite;

constexpr Nanos kNow = 1'700'000'100 * kSecond;

DynamodbTarget target_of(const std::string& options = "") {
  return must(net::read_dynamodb_url("dynamodb://table?region=eu-west-1" + options, ""));
}

TEST_CASE("dynamodb parts: a URL says table, region, endpoint and names") {
  const DynamodbTarget plain = target_of();
  CHECK(plain.table == "table");
  CHECK(plain.address() == "https://dynamodb.eu-west-1.amazonaws.com");
  CHECK(plain.strong);
  CHECK(plain.name(Attribute::kCell) == "CellId");
  CHECK(plain.index == "CellIdIndex");
  const DynamodbTarget given = target_of(
      "&endpoint=http://localhost:8000&consistency=eventual&key_attribute=customer%5Fid&"
      "write_region=us-east-1&index=by-cell&profiles=Profiles&prefix=T%23");
  CHECK(given.address() == "http://localhost:8000");
  CHECK_FALSE(given.strong);
  CHECK(given.name(Attribute::kKey) == "customer_id");
  CHECK(given.profiles_key == "customer_id");
  CHECK(given.prefix == "T#");
  CHECK(target_of("&endpoint=example.com").address() == "https://example.com");
  CHECK(target_of("&endpoint=[::1]:8000").address() == "https://[::1]:8000");
  CHECK(must(net::read_dynamodb_url("dynamodb://table", "cn-north-1")).address() ==
        "https://dynamodb.cn-north-1.amazonaws.com.cn");
  CHECK(must(net::read_dynamodb_url("dynamodb://table?region=a-1", "b-1")).region == "a-1");
}

TEST_CASE("dynamodb parts: what is no URL of a table is refused") {
  for (const char* const url : {"dynamodb:table",
                                "dynamodb://",
                                "dynamodb://ab",
                                "dynamodb://a/b",
                                "dynamodb://u:p@table",
                                "dynamodb://table?regoin=x",
                                "dynamodb://table?region=",
                                "dynamodb://table?region=EU",
                                "dynamodb://table?region=a&region=a",
                                "dynamodb://table?consistency=maybe",
                                "dynamodb://table?endpoint=ftp://x",
                                "dynamodb://table?endpoint=http://u:p@x",
                                "dynamodb://table?endpoint=http://x/path",
                                "dynamodb://table?endpoint=http://x?y",
                                "dynamodb://table?endpoint=",
                                "dynamodb://table?key_attribute=",
                                "dynamodb://table?key_attribute=CellId",
                                "dynamodb://table?prefix=%zz",
                                "dynamodb://table?index=TargetCellIdIndex",
                                "dynamodb://table?profiles_key_attribute=x",
                                "dynamodb://table?endpoint=http://x:99999",
                                "dynamodb://table?prefix=%00",
                                "dynamodb://table?&"}) {
    INFO(url);
    CHECK(code_of(net::read_dynamodb_url(url, "eu-west-1")) == ErrorCode::kInvalidArgument);
  }
  CHECK(code_of(net::read_dynamodb_url("dynamodb://table", "")) == ErrorCode::kInvalidArgument);
}

TEST_CASE("dynamodb parts: times are written exactly, and read as others write them") {
  constexpr Nanos kLeast = std::numeric_limits<Nanos>::min();
  constexpr Nanos kMost = std::numeric_limits<Nanos>::max();
  CHECK(net::iso_time(0) == "1970-01-01T00:00:00Z");
  CHECK(net::iso_time(-1) == "1969-12-31T23:59:59.999999999Z");
  CHECK(net::iso_time(1'709'164'800 * kSecond + 5 * kMillisecond) == "2024-02-29T00:00:00.005Z");
  CHECK(net::iso_time(kMost) == "2262-04-11T23:47:16.854775807Z");
  for (const Nanos time :
       {Nanos{0}, Nanos{-1}, kNow, kNow + 1, kNow + 1000, kLeast, kLeast + 1, kMost}) {
    CHECK(net::read_iso_time(net::iso_time(time)) == time);
  }
  const Nanos at = 1'704'067'200 * kSecond;
  for (const char* const text : {"2024-01-01T00:00:00", "2024-01-01 00:00:00Z",
                                 "2024-01-01T01:30:00+01:30", "2023-12-31T19:00:00.000-05:00"}) {
    CHECK(net::read_iso_time(text) == at);
  }
  CHECK(net::read_iso_time("2024-01-01T00:00:00.123456") == at + 123'456'000);
  for (const char* const text :
       {"", "2024-01-01", "2024-02-30T00:00:00", "2024-01-01T24:00:00", "2024-01-01T00:60:00",
        "2024-01-01T00:00:00.", "2024-01-01T00:00:00.1234567890", "2024-01-01T00:00:00z",
        "2024-01-01T00:00:00+1", "2024-01-01T00:00:00ZZ", "2262-04-11T23:47:16.854775808Z",
        "1677-09-21T00:12:43.145224191Z", "0000-00-00T00:00:00", "-024-01-01T00:00:00"}) {
    INFO(text);
    CHECK_FALSE(net::read_iso_time(text).has_value());
  }
}

TEST_CASE("dynamodb parts: every key has one spelling, and no two have the same") {
  const DynamodbTarget plain = target_of();
  const DynamodbTarget prefixed = target_of("&prefix=T%23");
  CHECK(net::stored_key(plain, "tenant-é") == "tenant-é");
  CHECK(net::stored_key(plain, "\xff") == "base64:/w==");
  CHECK(net::stored_key(plain, "base64:/w==") == "base64:YmFzZTY0Oi93PT0=");
  CHECK(net::stored_key(prefixed, "a") == "T#a");
  const std::vector<std::string> keys = {
      "a", std::string("a\0b", 3), std::string(1024, '\xff'), "base64:", "base64:/w==", "\xc3"};
  for (const std::string& key : keys) {
    CHECK(net::key_of_stored(prefixed, net::stored_key(prefixed, key)) == key);
    CHECK(net::stored_key(prefixed, key).size() <= 2048);
  }
  for (const char* const stored :
       {"", "base64:", "base64:YQ==", "base64:/w", "base64:????", "\xff"}) {
    INFO(stored);
    CHECK_FALSE(net::key_of_stored(plain, stored).has_value());
  }
  CHECK_FALSE(net::key_of_stored(prefixed, "a").has_value());
}

TEST_CASE("dynamodb parts: a record's item holds all of it, its time to live rounded up") {
  const DynamodbTarget target = target_of();
  MappingRecord record = full_record("tenant");
  record.expires = kNow + 1;
  record.unknown_fields = std::string("\x9a\x06\x01\0", 4);
  const Json item = net::attributes_of(target, record);
  CHECK(item["TTL"]["N"] == std::to_string(kNow / kSecond + 1));
  MappingRecord read;
  CHECK(must(net::read_item(target, item, "tenant", read)) == ItemKind::kOwn);
  CHECK(read == record);

  // Whoever changes the time to live means it.
  Json changed = item;
  changed["TTL"]["N"] = "1800000000";
  REQUIRE(net::read_item(target, changed, "tenant", read).ok());
  CHECK(read.expires == 1'800'000'000 * kSecond);
}

TEST_CASE("dynamodb parts: somebody else's item is revision 1, and its time to live counts") {
  const DynamodbTarget target = target_of();
  MappingRecord record;
  const Json item = {{"CellId", {{"S", "cell-a"}}}, {"TTL", {{"N", "1700000000"}}}};
  CHECK(must(net::read_item(target, item, "tenant", record)) == ItemKind::kForeign);
  CHECK(record.revision == 1);
  CHECK(record.epoch == 1);
  CHECK(record.answer(1'700'000'000 * kSecond - 1) == Answer::kFound);
  CHECK(record.answer(1'700'000'000 * kSecond) == Answer::kAbsent);
  for (const char* const never : {R"({"S":"soon"})", R"({"N":"0"})", R"({"N":"1e9"})"}) {
    Json other = item;
    other["TTL"] = Json::parse(never);
    REQUIRE(net::read_item(target, other, "tenant", record).ok());
    CHECK(record.expires == 0);
  }
  Json far = item;
  far["TTL"]["N"] = "1700000000000";  // milliseconds, by mistake
  REQUIRE(net::read_item(target, far, "tenant", record).ok());
  CHECK(record.expires == std::numeric_limits<Nanos>::max());
  CHECK(must(net::read_item(target, {{"Tier", {{"S", "retail"}}}}, "tenant", record)) ==
        ItemKind::kNone);
}

TEST_CASE("dynamodb: a first write takes over what others wrote, if the cell did not change") {
  const std::string table = testing::fresh_table();
  const auto store = testing::open_dynamodb(shared_dynalite().make_table(table));
  const Json item = {{"PartitionKey", {{"S", "tenant"}}},
                     {"CellId", {{"S", "cell-a"}}},
                     {"Email", {{"S", "kept"}}}};
  (void)shared_dynalite().ask("PutItem", {{"TableName", table}, {"Item", item}});
  CHECK(code_of(store->put_if(plain_record("tenant"), 0)) == ErrorCode::kConflict);
  CHECK(code_of(store->put_if(plain_record("tenant", "cell-b"), 1)) == ErrorCode::kRefused);
  CHECK(must(store->put_if(plain_record("tenant", "cell-a"), 1)) == 2);
  const Json read = shared_dynalite().ask(
      "GetItem", {{"TableName", table}, {"Key", {{"PartitionKey", {{"S", "tenant"}}}}}});
  CHECK(read["Item"]["Email"]["S"] == "kept");
  CHECK(read["Item"]["Revision"]["N"] == "2");
}

TEST_CASE("dynamodb: a damaged record is damaged to its writers, too, and stays") {
  const std::string table = testing::fresh_table();
  const auto store = testing::open_dynamodb(shared_dynalite().make_table(table));
  const Json item = {{"PartitionKey", {{"S", "tenant"}}},
                     {"CellId", {{"S", "cell-a"}}},
                     {"Revision", {{"N", "3"}}}};
  (void)shared_dynalite().ask("PutItem", {{"TableName", table}, {"Item", item}});
  CHECK(store->get("tenant", kNow).error.code() == ErrorCode::kCorrupt);
  CHECK(code_of(store->put_if(plain_record("tenant"), 3)) == ErrorCode::kCorrupt);
  CHECK(code_of(store->scan("", 10, kNow)) == ErrorCode::kCorrupt);
}

TEST_CASE("dynamodb: an expired item of somebody else's is purged, unless it changed") {
  const std::string table = testing::fresh_table();
  const auto store = testing::open_dynamodb(shared_dynalite().make_table(table));
  for (const char* const key : {"old", "young"}) {
    const Json item = {{"PartitionKey", {{"S", key}}},
                       {"CellId", {{"S", "cell-a"}}},
                       {"TTL", {{"N", key == std::string("old") ? "1000" : "2000000000"}}}};
    (void)shared_dynalite().ask("PutItem", {{"TableName", table}, {"Item", item}});
  }
  CHECK(must(store->purge(kNow, 10)) == 1);
  CHECK(store->get("old", 1).answer == Answer::kAbsent);
  CHECK(store->get("young", kNow).answer == Answer::kFound);
}

TEST_CASE("dynamodb: without indexes that have whole items, a cell's records are still found") {
  const std::string table = testing::fresh_table();
  const Json index = {{"IndexName", "CellIdIndex"},
                      {"KeySchema", {{{"AttributeName", "CellId"}, {"KeyType", "HASH"}}}},
                      {"Projection", {{"ProjectionType", "KEYS_ONLY"}}}};
  (void)shared_dynalite().ask(
      "CreateTable", {{"TableName", table},
                      {"BillingMode", "PAY_PER_REQUEST"},
                      {"AttributeDefinitions",
                       {{{"AttributeName", "PartitionKey"}, {"AttributeType", "S"}},
                        {{"AttributeName", "CellId"}, {"AttributeType", "S"}}}},
                      {"KeySchema", {{{"AttributeName", "PartitionKey"}, {"KeyType", "HASH"}}}},
                      {"GlobalSecondaryIndexes", Json::array({index})}});
  const Deadline deadline = Deadline::after(kPatience);
  StoreOptions options;
  testing::set_test_credentials();
  auto store = open_dynamodb_store(shared_dynalite().url(table), options);
  while (code_of(store) == ErrorCode::kUnavailable && !deadline.passed()) {  // being made
    store = open_dynamodb_store(shared_dynalite().url(table), options);
  }
  REQUIRE(store.ok());
  for (int i = 0; i < 5; ++i) {
    REQUIRE((*store)->put_if(plain_record("k" + std::to_string(i)), 0).ok());
  }
  REQUIRE((*store)->put_if(plain_record("other", "cell-b"), 0).ok());
  CHECK(must((*store)->scan_cell("cell-a", "", 10, kNow)).records.size() == 5);
  CHECK(must((*store)->scan_cell("cell-b", "", 10, kNow)).records.size() == 1);
}

TEST_CASE("dynamodb: a table with another key is refused") {
  const std::string url = shared_dynalite().make_table(testing::fresh_table());
  testing::set_test_credentials();
  CHECK(code_of(open_dynamodb_store(url + "&key_attribute=customer_id")) ==
        ErrorCode::kUnsupported);
}

TEST_CASE(
    "dynamodb parts: a container's keys are asked for where botocore asks, and nowhere else") {
  const auto url_of = [](const std::string& path, const std::string& url) {
    AwsEnvironment environment;
    environment.container_path = path;
    environment.container_url = url;
    return net::container_credentials_url(environment);
  };
  CHECK(must(url_of("/v2/x", "")) == "http://169.254.170.2/v2/x");
  CHECK(must(url_of("", "")).empty());
  for (const char* const near :
       {"http://127.0.0.1:9001/x", "http://169.254.170.23/v1/credentials", "http://[::1]:80/",
        "http://localhost/x", "http://[fd00:ec2::23]/x", "https://127.9.9.9/"}) {
    CHECK(must(url_of("", near)) == near);
  }
  for (const char* const far :
       {"http://example.com/", "http://10.0.0.1/", "http://[2001:db8::1]/",
        "http://169.254.169.254/latest/", "http://169.254.170.22/", "http://[fe80::1]/",
        "http://[::ffff:127.0.0.1]/", "http://169.254.170.2.example.com/",
        "http://127.0.0.1@example.com/", "http://localhost.example.com/", "127.0.0.1", "http://",
        "http://127.0.0.1/ x", "http://1.2.3.4#127.0.0.1"}) {
    INFO(far);
    CHECK(code_of(url_of("", far)) == ErrorCode::kInvalidArgument);
  }
  CHECK(code_of(url_of("@example.com/", "")) == ErrorCode::kInvalidArgument);
}

std::string keys_reply(const std::string& id, Nanos expires) {
  return http_reply(200, R"({"AccessKeyId":")" + id +
                             R"(","SecretAccessKey":"s","Token":"t","Expiration":")" +
                             net::iso_time(expires) + R"("})");
}

Nanos unix_now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

TEST_CASE("dynamodb parts: a container's keys are kept until shortly before they expire") {
  std::atomic<int> asked{0};
  std::atomic<Nanos> life{3600 * kSecond};
  FakeHttp server([&](const FakeRequest& request) -> std::string {
    ++asked;
    const bool allowed = FakeHttp::value(request.head, "authorization") == "Bearer-1";
    return allowed ? keys_reply("K" + std::to_string(asked), unix_now() + life)
                   : http_reply(401, "");
  });
  AwsEnvironment environment;
  environment.container_url = "http://" + server.address() + "/keys";
  environment.container_token = "Bearer-1";
  net::AwsCredentials credentials(environment);
  const Deadline deadline = Deadline::after(kPatience);
  CHECK(must(credentials.get(deadline)).key_id == "K1");
  CHECK(must(credentials.get(deadline)).key_id == "K1");
  CHECK(asked == 1);
  life = -kSecond;  // a net::AwsCredentials that asks now gets what has expired
  net::AwsCredentials late(environment);
  CHECK(code_of(late.get(deadline)) == ErrorCode::kUnavailable);
  environment.container_token = "wrong";
  net::AwsCredentials unknown(environment);
  CHECK(code_of(unknown.get(deadline)) == ErrorCode::kUnavailable);
}

TEST_CASE("dynamodb parts: a container's token is what its file says when the keys are asked for") {
  const testing::TemporaryDirectory directory;
  const std::string path = directory.path("token");
  const auto write = [&](const std::string& token) { std::ofstream(path) << token; };
  AwsEnvironment environment;
  environment.container_token = "of the variable";
  CHECK(must(net::container_token(environment)) == "of the variable");
  environment.container_token_file = path;
  for (const std::string& none : {std::string(), std::string("two\nlines"), std::string("a\r"),
                                  std::string(20'000, 'x'), std::string("nul\0", 4)}) {
    write(none);
    CHECK(code_of(net::container_token(environment)) == ErrorCode::kRefused);
  }
  environment.container_token_file = directory.path("none");
  CHECK(code_of(net::container_token(environment)) == ErrorCode::kRefused);
  REQUIRE(::mkfifo(environment.container_token_file.c_str(), 0600) == 0);
  CHECK(code_of(net::container_token(environment)) == ErrorCode::kRefused);  // and does not wait
  environment.container_token_file = directory.path(".");
  CHECK(code_of(net::container_token(environment)) == ErrorCode::kRefused);

  FakeHttp server([&](const FakeRequest& request) {
    return keys_reply(FakeHttp::value(request.head, "authorization"), unix_now() + kSecond);
  });
  environment.container_token_file = path;
  environment.container_url = "http://" + server.address() + "/v1/credentials";
  net::AwsCredentials credentials(environment);
  const auto wait_for = [&](const std::string& token) {
    const Deadline deadline = Deadline::after(kPatience);
    while (!deadline.passed()) {
      const auto keys = credentials.get(deadline);
      if (keys.ok() && keys->key_id == token) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return false;
  };
  write("first");
  CHECK(wait_for("first"));
  write("second");
  CHECK(wait_for("second"));
}

TEST_CASE("dynamodb parts: of threads without keys one asks, and the others wait for it") {
  std::atomic<int> asked{0};
  FakeHttp server([&](const FakeRequest&) {
    ++asked;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    return keys_reply("K", unix_now() + 3600 * kSecond);
  });
  AwsEnvironment environment;
  environment.container_url = "http://" + server.address() + "/keys";
  net::AwsCredentials credentials(environment);
  std::atomic<int> served{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      const auto keys = credentials.get(Deadline::after(kPatience));
      if (keys.ok() && keys->key_id == "K") ++served;
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(served == 8);
  CHECK(asked == 1);
}

TEST_CASE("dynamodb parts: who waits for another's question does not outlast its own time") {
  FakeHttp server([](const FakeRequest&) { return std::string(testing::kDrip); });
  AwsEnvironment environment;
  environment.container_url = "http://" + server.address() + "/keys";
  net::AwsCredentials credentials(environment);
  std::thread asking([&] { (void)credentials.get(Deadline::after(2 * kSecond)); });
  const Deadline bound = Deadline::after(10 * kSecond);
  CHECK(code_of(credentials.get(Deadline::after(200 * kMillisecond))) == ErrorCode::kUnavailable);
  CHECK_FALSE(bound.passed());
  asking.join();
}

TEST_CASE("dynamodb parts: without credentials nothing is sent") {
  net::AwsCredentials credentials{AwsEnvironment{}};
  CHECK(code_of(credentials.get(Deadline::after(kPatience))) == ErrorCode::kRefused);
  AwsEnvironment both;
  both.keys = {"own", "secret", ""};
  both.container_url = "http://127.0.0.1:1/";
  net::AwsCredentials own(both);
  CHECK(must(own.get(Deadline::after(kPatience))).key_id == "own");
}

std::string stream_event() {
  const std::ifstream file(CELLROUTE_SOURCE_DIR "/tests/data/dynamodb_stream_event.json");
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST_CASE("dynamodb stream: records bring what changed, in order and once") {
  std::vector<net::StreamChange> changes;
  const auto result = must(
      net::read_stream_event(target_of(), stream_event(), [&](const net::StreamChange& change) {
        changes.push_back(change);
        return Error();
      }));
  CHECK(result.response() == R"({"batchItemFailures":[]})");
  CHECK(result.taken == 7);
  CHECK(result.passed_over == 2);  // one seen before, one whose profile alone changed
  REQUIRE(changes.size() == 7);
  CHECK(changes[0].record->cell == "cell-a");
  CHECK(changes[1].record->cell == "cell-b");
  CHECK(changes[1].record->revision == 2);
  // Removed: a tombstone, newer than the last, and in no migration.
  CHECK(changes[2].record->deleted);
  CHECK(changes[2].record->revision == 3);
  CHECK(changes[2].record->epoch == 2);
  CHECK(broken_rule(*changes[2].record) == nullptr);
  CHECK_FALSE(changes[2].expired);
  CHECK(changes[3].key == "session");
  CHECK(changes[3].expired);
  CHECK(changes[3].record->deleted);
  // Without an image the store must be asked.
  CHECK(changes[4].key == "keys-only");
  CHECK_FALSE(changes[4].record.has_value());
  CHECK(changes[5].key == "no-old-image");
  CHECK_FALSE(changes[5].record.has_value());
  CHECK(changes[6].record->cell == "cell-f");
  CHECK(changes[6].record->revision == 1);
}

TEST_CASE("dynamodb stream: where another table has profiles, a record without one must be read") {
  net::DynamodbTarget target = target_of();
  target.profiles = "Profiles";
  std::vector<net::StreamChange> changes;
  const auto take = [&](const net::StreamChange& change) {
    changes.push_back(change);
    return Error();
  };
  CHECK(must(net::read_stream_event(target, stream_event(), take)).taken == 7);
  CHECK(changes[0].key == "tenant");
  CHECK_FALSE(changes[0].record.has_value());
  REQUIRE(changes[2].record.has_value());  // what is gone has no profile
  CHECK(changes[2].record->deleted);
  Json event = Json::parse(stream_event());
  event["Records"][0]["dynamodb"]["NewImage"]["Tier"] = {{"S", "retail"}};
  changes.clear();
  CHECK(must(net::read_stream_event(target, event.dump(), take)).taken == 7);
  REQUIRE(changes[0].record.has_value());
  CHECK(changes[0].record->profile->tier == "retail");
}

TEST_CASE("dynamodb stream: the first that fails is named, and what is behind it is not taken") {
  int taken = 0;
  const auto result = must(
      net::read_stream_event(target_of(), stream_event(), [&](const net::StreamChange& change) {
        if (change.key == "session") return Error(ErrorCode::kUnavailable, "not now");
        ++taken;
        return Error();
      }));
  CHECK(taken == 3);
  CHECK(result.taken == 3);
  CHECK(result.error.code() == ErrorCode::kUnavailable);
  CHECK(Json::parse(result.response()) ==
        Json{{"batchItemFailures", {{{"itemIdentifier", result.failed}}}}});
  Json damaged = Json::parse(stream_event());
  damaged["Records"][1]["dynamodb"]["NewImage"]["Epoch"] = {{"S", "two"}};
  const auto corrupt = must(net::read_stream_event(
      target_of(), damaged.dump(), [](const net::StreamChange&) { return Error(); }));
  CHECK(corrupt.taken == 1);
  CHECK(corrupt.error.code() == ErrorCode::kCorrupt);
  CHECK(corrupt.failed == damaged["Records"][1]["dynamodb"]["SequenceNumber"]);
}

TEST_CASE("dynamodb: a record whose migration ends while its target is scanned comes once") {
  const auto store = testing::open_dynamodb(shared_dynalite().make_table(testing::fresh_table()));
  MappingRecord moving = plain_record("moving");
  moving.state = MigrationState::kCopying;
  moving.target = "cell-b";
  REQUIRE(store->put_if(moving, 0).ok());
  for (int i = 0; i < 3; ++i) {
    REQUIRE(store->put_if(plain_record("k" + std::to_string(i), "cell-b"), 0).ok());
  }
  std::multiset<std::string> keys;
  Page page = must(store->scan_cell("cell-b", "", 1, kNow));
  REQUIRE(page.records.size() == 1);
  CHECK(page.records[0].key == "moving");
  MappingRecord arrived = plain_record("moving", "cell-b");
  arrived.epoch = 2;
  arrived.op_id = testing::next_op_id();
  REQUIRE(store->put_if(arrived, 1).ok());
  for (;;) {
    for (const MappingRecord& record : page.records) keys.insert(record.key);
    if (page.done) break;
    page = must(store->scan_cell("cell-b", page.next, 1, kNow));
  }
  CHECK(keys == std::multiset<std::string>{"k0", "k1", "k2", "moving"});
  // A scan that begins now finds it where it is.
  CHECK(must(store->scan_cell("cell-b", "", 10, kNow)).records.size() == 4);
  // Cursors with more hashes than there are bytes, or than there may be, are none.
  for (const std::string& bytes :
       {std::string("t"), std::string("c\0\1", 3), std::string("t\xff\xff")}) {
    INFO(bytes);
    Cursor cursor = page.next.substr(0, 9) + bytes;
    CHECK(code_of(store->scan_cell("cell-b", cursor, 1, kNow)) == ErrorCode::kInvalidArgument);
  }
}

TEST_CASE("dynamodb stream: what is no event is an error") {
  const auto take = [](const net::StreamChange&) { return Error(); };
  for (const char* const event : {"", "[]", "{}", R"({"Records":{}})", R"({"Records":[1]})",
                                  R"({"Records":[{"dynamodb":{"Keys":{}}}]})",
                                  R"({"Records":[{"dynamodb":{"SequenceNumber":""}}]})",
                                  R"({"Records":[{"dynamodb":{"SequenceNumber":"1\""}}]})",
                                  R"({"Records":[{"dynamodb":{"SequenceNumber":
                                     "12345678901234567890123456789012345678901"}}]})"}) {
    INFO(event);
    CHECK(code_of(net::read_stream_event(target_of(), event, take)) == ErrorCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace cellroute
