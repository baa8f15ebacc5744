// What a store in Redis is made of: URLs, slots, replies, redirections, values.
#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "net/redis_layout.hpp"
#include "net/redis_reply.hpp"
#include "net/redis_servers.hpp"
#include "net/redis_slots.hpp"
#include "net/redis_url.hpp"
#include "net/redis_value.hpp"
#include "store_fixtures.hpp"
#include "store_records.hpp"

namespace cellroute::net {
namespace {

using testing::code_of;
using testing::must;

TEST_CASE("redis url: each kind names its servers") {
  const RedisTarget plain = must(read_redis_url("redis://cache.example.com"));
  CHECK(plain.endpoints == std::vector<RedisEndpoint>{{"cache.example.com", 6379, ""}});
  CHECK(plain.prefix == "cellroute");
  CHECK_FALSE(plain.cluster);
  const RedisTarget full = must(read_redis_url("redis://u:p%40ss:w@[::1]:7/3?prefix=eu:a"));
  CHECK(full.endpoints == std::vector<RedisEndpoint>{{"::1", 7, ""}});
  CHECK(full.user == "u");
  CHECK(full.password == "p@ss:w");
  CHECK(full.database == 3);
  CHECK(full.prefix == "eu:a");
  const RedisTarget socket = must(read_redis_url("redis+unix://:pw@/run/re%20dis?db=2"));
  CHECK(socket.endpoints == std::vector<RedisEndpoint>{{"", 0, "/run/re dis"}});
  CHECK(socket.password == "pw");
  CHECK(socket.database == 2);
  const RedisTarget cluster = must(read_redis_url("redis+cluster://a:1,b:2"));
  CHECK(cluster.endpoints == std::vector<RedisEndpoint>{{"a", 1, ""}, {"b", 2, ""}});
  CHECK(cluster.cluster);
}

TEST_CASE("redis url: whatever is none is refused, and no password told") {
  for (const char* url : {"redis:",
                          "redis://",
                          "redis://:secret@",
                          "redis://a:0",
                          "redis://a:65536",
                          "redis://a:",
                          "redis://a:1x",
                          "redis://a,b",
                          "redis://a/x",
                          "redis://a/1/2",
                          "redis://a/99999",
                          "redis://a?prefix=",
                          "redis://a?prefix={x}",
                          "redis://a?color=red",
                          "redis://secret@a",
                          "redis://u:@a",
                          "redis://u:secret%4@a",
                          "redis://::1",
                          "redis://[::1",
                          "redis://[::1]x",
                          "redis://a b",
                          "redis+unix://",
                          "redis+unix://relative",
                          "redis+unix:///a%00b",
                          "redis+cluster://a,",
                          "redis+cluster://a,,b",
                          "redis+cluster://a/1",
                          "redis+cluster://a?db=1",
                          "lmdb:x",
                          ""}) {
    INFO(url);
    const auto target = read_redis_url(url);
    REQUIRE_FALSE(target.ok());
    CHECK(target.error().code() == ErrorCode::kInvalidArgument);
    CHECK(target.error().text().find("secret") == std::string::npos);
  }
  CHECK(code_of(read_redis_url("rediss://a")) == ErrorCode::kUnsupported);
}

TEST_CASE("redis slots: those of the specification's checksum, by what the braces hold") {
  CHECK(crc16("123456789") == 0x31c3);
  CHECK(redis_slot("foo") == 12182);
  CHECK(redis_slot("{user1000}.following") == redis_slot("user1000"));
  CHECK(redis_slot("a{}b{c}") == crc16("a{}b{c}") % kRedisSlots);
  CHECK(redis_slot("a{{b}}") == crc16("{b") % kRedisSlots);
  CHECK(redis_slot("a{b") == crc16("a{b") % kRedisSlots);
  for (unsigned i = 0; i < kClusterPartitions; ++i) {
    CHECK(RedisPartition("x", i).slot() == redis_slot(std::to_string(i)));
  }
}

Result<RedisReply> parse(const std::string& bytes, std::size_t step) {
  RedisReplyParser parser;
  RedisReply reply;
  for (std::size_t i = 0; i < bytes.size(); i += step) {
    if (Error error = parser.feed(bytes.substr(i, step)); !error.ok()) return error;
    const Result<bool> whole = parser.next(reply);
    if (!whole.ok()) return whole.error();
    if (*whole) return reply;
  }
  return Error(ErrorCode::kNotFound, "no whole reply");
}

TEST_CASE("redis reply: every type is read, in whatever pieces it comes") {
  using namespace std::string_literals;
  const std::string whole = "*5\r\n$3\r\na\0b\r\n:-7\r\n$-1\r\n*1\r\n+OK\r\n-ERR no\r\n"s;
  for (const std::size_t step : {std::size_t{1}, std::size_t{7}, whole.size()}) {
    const RedisReply reply = must(parse(whole, step));
    REQUIRE(reply.elements.size() == 5);
    CHECK(reply.elements[0].text == std::string("a\0b", 3));
    CHECK(reply.elements[1].integer == -7);
    CHECK(reply.elements[2].is(RedisReply::Type::kNil));
    REQUIRE(reply.elements[3].elements.size() == 1);
    CHECK(reply.elements[3].elements[0].is(RedisReply::Type::kStatus));
    CHECK(reply.elements[4].is_error("ERR"));
    CHECK_FALSE(reply.elements[4].is_error("ER"));
  }
}

TEST_CASE("redis reply: what is none, or beyond its bounds, is an error") {
  for (const std::string& bytes : std::vector<std::string>{
           "hello\r\n", "*-2\r\n", "*262145\r\n", "*2147483647\r\n", ":x\r\n",
           "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n"}) {
    INFO(bytes);
    CHECK(code_of(parse(bytes, bytes.size())) == ErrorCode::kUnavailable);
  }
  CHECK(must(parse("*0\r\n", 4)).elements.empty());
  RedisReplyParser parser;
  REQUIRE(parser.feed("$999999999\r\n").ok());
  const std::string megabyte(std::size_t{1} << 20, 'x');
  int taken = 0;
  while (taken < 100 && parser.feed(megabyte).ok()) ++taken;
  CHECK(taken == 15);
}

TEST_CASE("redis redirect: slot and place are read, and nothing else is one") {
  const auto read = [](const std::string& text) {
    RedisReply reply;
    reply.type = RedisReply::Type::kError;
    reply.text = text;
    return read_redirect(reply);
  };
  const auto moved = read("MOVED 3999 127.0.0.1:6381");
  REQUIRE(moved);
  CHECK(moved->slot == 3999);
  CHECK(moved->endpoint == RedisEndpoint{"127.0.0.1", 6381, ""});
  CHECK_FALSE(moved->ask);
  const auto ask = read("ASK 0 ::1:7");
  REQUIRE(ask);
  CHECK(ask->ask);
  CHECK(ask->endpoint == RedisEndpoint{"::1", 7, ""});
  CHECK(read("MOVED 1 :7")->endpoint.host.empty());
  for (const char* text : {"MOVED", "MOVED 1", "MOVED x a:1", "MOVED 16384 a:1", "MOVED 1 a",
                           "MOVED 1 a:0", "MOVED 1 ?:1", "MOVEDX 1 a:1", "ERR a"}) {
    INFO(text);
    CHECK_FALSE(read(text));
  }
}

TEST_CASE("redis format: versions, ids and partitions are held against their bounds") {
  const RedisFormat format = must(read_redis_format("1 18446744073709551615 64"));
  CHECK(format.store_id == UINT64_MAX);
  CHECK(format.text() == "1 18446744073709551615 64");
  for (const char* text : {"", "1", "1 2", "1 2 0", "1 2 129", "0 2 3", "1 02 3", "1 2 3 4",
                           "1 2 -3", "x", "1  2 3"}) {
    INFO(text);
    CHECK(code_of(read_redis_format(text)) == ErrorCode::kCorrupt);
  }
  CHECK(code_of(read_redis_format("2 anything")) == ErrorCode::kUnsupported);
}

TEST_CASE("redis value: a line that is not of its message is damage") {
  stores::RecordCodec codec;
  const MappingRecord record = testing::full_record("tenant");
  std::string message;
  REQUIRE(codec.encode(record, message).ok());
  const std::string line = redis_line(record, 12);
  MappingRecord read;
  REQUIRE(read_redis_value(codec, line + '\n' + message, "tenant", read).ok());
  CHECK(read == record);
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (i >= line.find(" 12 ") && i <= line.find(" 12 ") + 2)
      continue;  // its sequence alone is free
    std::string damaged = line;
    damaged[i] ^= 1;
    INFO(damaged);
    const Error error = read_redis_value(codec, damaged + '\n' + message, "tenant", read);
    CHECK(error.code() == ErrorCode::kCorrupt);
  }
  for (const std::string& value : {std::string(), line, message, "\n" + message, line + "\n"}) {
    CHECK(read_redis_value(codec, value, "tenant", read).code() == ErrorCode::kCorrupt);
  }
  CHECK_FALSE(read_redis_value(codec, line + '\n' + message, "other", read).ok());
}

}  // namespace
}  // namespace cellroute::net
