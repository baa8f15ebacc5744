// The readers of the command's input, and base 64, byte by byte.
#include <unistd.h>

#include <catch2/catch.hpp>
#include <string>
#include <thread>
#include <vector>

#include "command/csv_input.hpp"
#include "command/jsonl_input.hpp"
#include "command/output.hpp"
#include "command/record_json.hpp"
#include "stores/base64.hpp"

using namespace cellroute;
using namespace cellroute::command;

namespace {

struct Read {
  std::uint64_t line;
  std::string key;
  std::string malformed;
};

// `text` through a pipe, in pieces of `step` bytes.
template <class Reader>
std::vector<Read> read_all(const std::string& text, std::size_t step) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  std::thread writer([&] {
    for (std::size_t at = 0; at < text.size(); at += step) {
      const std::size_t size = std::min(step, text.size() - at);
      if (::write(ends[1], text.data() + at, size) != static_cast<ssize_t>(size)) break;
    }
    ::close(ends[1]);
  });
  Reader reader(std::make_unique<InputBuffer>(ends[0], "test"));
  std::vector<Read> all;
  Batch batch;
  do {
    REQUIRE(reader.read(batch).ok());
    for (const InputRecord& record : batch.records()) {
      all.push_back({record.line, std::string(record.key), std::string(record.malformed)});
    }
  } while (!batch.empty());
  writer.join();
  return all;
}

InputRecord json_record(std::string line, Batch& batch) {
  static JsonLine json;
  const std::size_t size = line.size();
  line.resize(size + 64);
  batch.clear();
  InputRecord& record = batch.add(1);
  json.read(std::string_view(line).substr(0, size), batch, record);
  return record;
}

}  // namespace

TEST_CASE("base64: the vectors of RFC 4648, section 10") {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : vectors) {
    std::string spelled, back;
    append_base64(bytes, spelled);
    CHECK(spelled == text);
    CHECK(decode_base64(text, back));
    CHECK(back == bytes);
  }
}

TEST_CASE("base64: every pair of bytes goes there and back, other spellings are refused") {
  for (int i = 0; i < 65536; ++i) {
    const std::string bytes{static_cast<char>(i >> 8), static_cast<char>(i & 255)};
    std::string text, back;
    append_base64(bytes, text);
    REQUIRE(decode_base64(text, back));
    REQUIRE(back == bytes);
  }
  std::string out = "kept";
  for (const char* wrong :
       {"Z", "Zg", "Zg=", "Zh==", "Zm9=", "====", "Zg==Zg==", "Z===", "Zm9\n", "Zg-_", "=Zg="}) {
    INFO(wrong);
    CHECK_FALSE(decode_base64(wrong, out));
    CHECK(out == "kept");
  }
}

TEST_CASE("JSON lines: every field is read, others are ignored") {
  Batch batch;
  const InputRecord record =
      json_record(R"({"x":{"key":[1]},"key":"k","tier":"t","region":"r","plan":"p","resource":"s",)"
                  R"("flags":["A","B"],"risk":1,"access":"READ","at_ns":-5,"y":null})",
                  batch);
  CHECK(record.malformed.empty());
  CHECK(record.key == "k");
  CHECK(record.tier == "t");
  CHECK(record.region == "r");
  CHECK(record.plan == "p");
  CHECK(record.resource == "s");
  REQUIRE(record.flags.size() == 2);
  CHECK(record.flags[1] == "B");
  CHECK(record.risk == 1);
  CHECK(record.access == Access::kRead);
  CHECK(record.at == -5);
  const InputRecord nulls =
      json_record(R"({"key":"k","tier":null,"flags":null,"risk":null,"at_ns":null})", batch);
  CHECK(nulls.malformed.empty());
  CHECK_FALSE(nulls.has_risk);
  CHECK_FALSE(nulls.at);
}

TEST_CASE("JSON lines: what is no request says why") {
  Batch batch;
  for (const char* line : {R"({"key":"a")",
                           R"({"key":"a"}})",
                           R"({"key":"a"} {"key":"b"})",
                           R"(["key"])",
                           "1",
                           "{}",
                           R"({"key":null})",
                           R"({"key":["a"]})",
                           R"({"key":"a","key_base64":"YQ=="})",
                           R"({"key":"a","risk":"0.5"})",
                           R"({"key":"a","risk":NaN})",
                           R"({"key":"a","risk":1e999})",
                           R"({"key":"a","flags":"PII"})",
                           R"({"key":"a","flags":[1]})",
                           R"({"key":"a","flags":[""]})",
                           R"({"key":"a","tier":7})",
                           R"({"key":"a","access":"read"})",
                           R"({"key":"a","at_ns":1.5})",
                           R"({"key":"a","at_ns":9223372036854775808})",
                           R"({"key":"a","tier":"x","tier":"x"})",
                           R"({"key":"\ud800"})",
                           "{\"key\":\"\xff\"}",
                           "{\"key\":\"a\nb\"}",
                           R"({"key":"a",})"}) {
    INFO(line);
    CHECK_FALSE(json_record(line, batch).malformed.empty());
  }
  std::string flags = R"({"key":"a","flags":["F")";
  for (int i = 1; i < 64; ++i) flags += ",\"F\"";
  CHECK(json_record(flags + "]}", batch).malformed.empty());
  CHECK(json_record(flags + ",\"F\"]}", batch).malformed == "more than 64 flags");
}

TEST_CASE("JSON lines: the same in pieces of any size") {
  const std::string text =
      "\xef\xbb\xbf{\"key\":\"a\"}\r\n\r\nx\n\n{\"key\":\"b\"}\n{\"key\":\"c\"}";
  for (const std::size_t step : {1U, 2U, 3U, 7U, 1000U}) {
    const std::vector<Read> all = read_all<JsonLinesReader>(text, step);
    REQUIRE(all.size() == 4);
    CHECK(all[0].key == "a");
    CHECK(all[1].line == 3);
    CHECK_FALSE(all[1].malformed.empty());
    CHECK(all[2].line == 5);
    CHECK(all[3].key == "c");
  }
}

TEST_CASE("CSV: the same in pieces of any size") {
  const std::string text =
      "\xef\xbb\xbfkey,note\r\n\"a\"\"\n,\",x\r\n,\nb,\"\"\"\"\n\"open,1\nc,\"d\"e\nf,"
      "\"\n\"\n\"g\",2";
  for (const std::size_t step : {1U, 2U, 3U, 7U, 1000U}) {
    const std::vector<Read> all = read_all<CsvReader>(text, step);
    REQUIRE(all.size() == 7);
    CHECK(all[0].key == "a\"\n,");
    CHECK(all[0].line == 2);
    CHECK(all[1].key.empty());
    CHECK(all[1].line == 4);
    CHECK(all[2].key == "b");
    CHECK_FALSE(all[3].malformed.empty());
    CHECK(all[3].line == 6);
    CHECK_FALSE(all[4].malformed.empty());
    CHECK(all[4].line == 7);
    CHECK(all[5].key == "f");
    CHECK(all[6].key == "g");
    CHECK(all[6].line == 10);
  }
}

TEST_CASE("CSV: flags, access and times") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const std::string text =
      "at_ns,access,flags,key_base64,key\n7,READ,A|B;C D,,k\n,,||,AA==,\n,,,,\n,,,AA==,k\nx,,,,k\n,"
      "read,,,k\n";
  REQUIRE(::write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  ::close(ends[1]);
  CsvReader reader(std::make_unique<InputBuffer>(ends[0], "test"));
  Batch batch;
  REQUIRE(reader.read(batch).ok());
  const auto records = batch.records();
  REQUIRE(records.size() == 6);
  CHECK(records[0].flags.size() == 4);
  CHECK(records[0].flags[3] == "D");
  CHECK(records[0].at == 7);
  CHECK(records[0].access == Access::kRead);
  CHECK(records[1].key == std::string(1, '\0'));
  CHECK(records[1].flags.empty());
  CHECK(records[2].malformed.empty());
  CHECK(records[2].key.empty());
  for (std::size_t i = 3; i < 6; ++i) CHECK_FALSE(records[i].malformed.empty());
}

TEST_CASE("record JSON: there and back, with every field") {
  MappingRecord record;
  record.key = std::string("\0\xff", 2);
  record.cell = "a";
  record.epoch = UINT64_MAX;
  record.revision = 3;
  record.op_id[0] = 0xab;
  record.state = MigrationState::kCopying;
  record.target = "b";
  record.created = 1;
  record.updated = 2;
  record.expires = 3;
  record.ephemeral = true;
  record.profile = MappedProfile{"t", "r", "p", {"F", "G"}};
  record.history = {{"c", 1, 2}, {"d", 3, 4}};
  record.unknown_fields = "\xff";
  const Result<RecordInput> back = record_from_json(record_to_json(record));
  REQUIRE(back.ok());
  CHECK(back->complete);
  CHECK(back->record == record);
  for (const char* wrong :
       {"", "{", "[]", "{}", R"({"key":"a"})", R"({"key":"a","key_base64":"YQ==","cell":"c"})",
        R"({"key":"a","cell":7})", R"({"key":"a","cell":"c","epoch":-1})",
        R"({"key":"a","cell":"c","epoch":1.5})", R"({"key":"a","cell":"c","op_id":"ab"})",
        R"({"key":"a","cell":"c","state":"GONE"})", R"({"key":"a","cell":"c","cel":"d"})",
        R"({"key":"a","cell":"c","profile":{"colour":"red"}})",
        R"({"key":"a","cell":"c","created":9223372036854775808})"}) {
    INFO(wrong);
    CHECK_FALSE(record_from_json(wrong).ok());
  }
}

TEST_CASE("output: JSON strings escape what must be escaped") {
  std::string text;
  append_json_string(std::string("a\"\\\n\x01\x7f\0é", 9), text);
  CHECK(text.substr(0, 24) == "\"a\\\"\\\\\\n\\u0001\\u007f\\u00");
  for (int byte = 0; byte < 256; ++byte) {
    for (std::size_t at = 0; at < 19; ++at) {
      std::string key(19, '~');
      key[at] = static_cast<char>(byte);
      const bool plain = byte >= 0x20 && byte <= 0x7e && byte != '"' && byte != '\\';
      REQUIRE(plain_json(key) == plain);
    }
  }
  CHECK(plain_json(""));
  CHECK(is_utf8("é"));
  CHECK_FALSE(is_utf8("\xc3"));
  CHECK(printable(std::string("a\\\x1b\0", 4)) == "a\\\\\\x1b\\x00");
  CHECK(printable("Zoë\xc2\x9b\xc2\xa0") == "Zoë\\xc2\\x9b\xc2\xa0");
  CHECK(printable("Zo\xeb") == "Zo\\xeb");
}
