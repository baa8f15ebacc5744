#include "stores/record_codec.hpp"

#include <google/protobuf/unknown_field_set.h>

#include <catch2/catch.hpp>
#include <cstdint>
#include <random>
#include <string>

#include "store_records.hpp"
#include "stores/mapping.pb.h"

namespace cellroute::stores {
namespace {

using testing::full_record;
using testing::plain_record;

std::string encoded(const MappingRecord& record) {
  RecordCodec codec;
  std::string bytes;
  REQUIRE(codec.encode(record, bytes).ok());
  return bytes;
}

Error decode_error(const std::string& bytes, std::string_view key) {
  RecordCodec codec;
  MappingRecord record;
  return codec.decode(bytes, key, record);
}

// Fields as a later version would add them.
using Later = google::protobuf::UnknownFieldSet;

template <class Message>
void add(Message& message, const Later& fields) {
  std::string bytes;
  REQUIRE(fields.SerializeToString(&bytes));
  REQUIRE(message.MergeFromString(bytes));
}

std::string changed(void (*change)(v1::MappingRecord&)) {
  v1::MappingRecord message;
  REQUIRE(message.ParseFromString(encoded(full_record("k"))));
  change(message);
  return message.SerializeAsString();
}

TEST_CASE("a record comes back as it was stored") {
  RecordCodec codec;
  std::string bytes;
  MappingRecord decoded;
  for (const MappingRecord& record :
       {full_record("tenant"), plain_record("t"), full_record(std::string(1024, '\0')),
        plain_record(std::string("a\0b", 3)), full_record("again")}) {
    REQUIRE(codec.encode(record, bytes).ok());
    CHECK(bytes.size() <= kMaxRecordBytes);
    REQUIRE(codec.decode(bytes, record.key, decoded).ok());  // into a record already used
    CHECK(decoded == record);
  }
}

TEST_CASE("the largest record that keeps its bounds is stored") {
  MappingRecord record = full_record(std::string(1024, 'k'));
  const std::string name(kMaxMappedNameBytes, 'n');
  record.cell = name;
  record.target = std::string(kMaxMappedNameBytes, 't');
  record.epoch = UINT64_MAX;
  record.revision = UINT64_MAX;
  record.profile = MappedProfile{name, name, name, std::vector<std::string>(kMaxMappedFlags, name)};
  record.history.clear();
  for (std::uint64_t i = 0; i < kMaxHistory; ++i) {
    record.history.push_back({name, UINT64_MAX - 100 + 2 * i, UINT64_MAX - 99 + 2 * i});
  }
  Later later;
  later.AddLengthDelimited(100, std::string(kMaxUnknownFieldBytes - 10, 'u'));
  REQUIRE(later.SerializeToString(&record.unknown_fields));
  const std::string bytes = encoded(record);
  CHECK(bytes.size() <= kMaxRecordBytes);
  RecordCodec codec;
  MappingRecord decoded;
  REQUIRE(codec.decode(bytes, record.key, decoded).ok());
  CHECK(decoded == record);
}

TEST_CASE("fields of a later version survive a read, a change and a write") {
  v1::MappingRecord message;
  REQUIRE(message.ParseFromString(encoded(plain_record("k"))));
  Later later;
  later.AddVarint(77, 7);
  later.AddLengthDelimited(90, "kept");
  add(message, later);
  RecordCodec codec;
  MappingRecord record;
  REQUIRE(codec.decode(message.SerializeAsString(), "k", record).ok());
  CHECK_FALSE(record.unknown_fields.empty());
  MappingRecord reused = record;
  const MappingRecord plain = plain_record("p");
  REQUIRE(codec.decode(encoded(plain), "p", reused).ok());
  CHECK(reused == plain);  // nothing of the record before is left
  record.cell = "elsewhere";
  MappingRecord written;
  REQUIRE(codec.decode(encoded(record), "k", written).ok());
  CHECK(written.cell == "elsewhere");
  Later kept;
  REQUIRE(kept.ParseFromString(written.unknown_fields));
  REQUIRE(kept.field_count() == 2);
  CHECK(kept.field(0).varint() == 7);
  CHECK(kept.field(1).length_delimited() == "kept");
}

TEST_CASE("what a later version wrote and this one cannot judge is unsupported, not guessed") {
  const std::string state =
      changed([](v1::MappingRecord& m) { m.set_state(static_cast<v1::MappingRecord::State>(9)); });
  CHECK(decode_error(state, "k").code() == ErrorCode::kUnsupported);
  const std::string history = changed([](v1::MappingRecord& m) {
    Later later;
    later.AddVarint(9, 1);
    add(*m.mutable_history(0), later);
  });
  CHECK(decode_error(history, "k").code() == ErrorCode::kUnsupported);
}

TEST_CASE("a damaged record is corrupt, and the text names the key") {
  using Message = v1::MappingRecord;
  const std::string cases[] = {
      "",
      "\xff\xff\xff",
      std::string(kMaxRecordBytes + 1, '\0'),
      changed([](Message& m) { m.set_key("other"); }),
      changed([](Message& m) { m.clear_cell(); }),
      changed([](Message& m) { m.set_cell("a b"); }),
      changed([](Message& m) { m.set_cell(std::string(129, 'c')); }),
      changed([](Message& m) { m.set_epoch(0); }),
      changed([](Message& m) { m.set_revision(0); }),
      changed([](Message& m) { m.clear_op_id(); }),
      changed([](Message& m) { m.set_op_id(std::string(16, '\0')); }),
      changed([](Message& m) { m.set_op_id(std::string(17, 'o')); }),
      changed([](Message& m) { m.clear_target(); }),
      changed([](Message& m) { m.set_target(m.cell()); }),
      changed([](Message& m) { m.set_state(Message::STABLE); }),
      changed([](Message& m) { m.set_deleted(true); }),
      changed([](Message& m) { m.set_ephemeral(false); }),
      changed([](Message& m) { m.set_expires(-1); }),
      changed([](Message& m) { m.set_tier(std::string("t\0", 2)); }),
      changed([](Message& m) { m.set_region("r,"); }),
      changed([](Message& m) { m.set_plan("{p}"); }),
      changed([](Message& m) { m.set_pins_profile(false); }),
      changed([](Message& m) { m.add_flags(""); }),
      changed([](Message& m) {
        for (int i = 0; i < 17; ++i) m.add_flags("F");
      }),
      changed([](Message& m) { m.mutable_history(0)->set_cell("\xc3\xa9"); }),
      changed([](Message& m) { m.mutable_history(0)->set_first_epoch(0); }),
      changed([](Message& m) { m.mutable_history(0)->set_last_epoch(0); }),
      changed([](Message& m) { m.mutable_history(1)->set_last_epoch(m.epoch()); }),
      changed([](Message& m) {
        for (int i = 0; i < 17; ++i) *m.add_history() = m.history(0);
      }),
      changed([](Message& m) {
        Later known_by_another_type;
        known_by_another_type.AddFixed32(1, 1);
        add(m, known_by_another_type);
      }),
      changed([](Message& m) {
        Later too_long;
        too_long.AddLengthDelimited(99, std::string(4097, 'u'));
        add(m, too_long);
      }),
  };
  int number = 0;
  for (const std::string& bytes : cases) {
    INFO("case " << number++);
    const Error error = decode_error(bytes, "k");
    CHECK(error.code() == ErrorCode::kCorrupt);
    CHECK(error.text().find("key \"k\"") != std::string::npos);
  }
}

TEST_CASE("an error shows a long or unprintable key bounded and escaped") {
  const std::string key = "a\n" + std::string(1022, 'k');
  const std::string text = decode_error("", key).text();
  CHECK(text.find("\"a\\x0akkk") != std::string::npos);
  CHECK(text.find("(1,024 bytes)") != std::string::npos);
  CHECK(text.size() < 200);
}

TEST_CASE("a record that breaks a rule is not encoded") {
  RecordCodec codec;
  std::string bytes;
  MappingRecord record = plain_record("k");
  record.expires = 5;
  const Error error = codec.encode(record, bytes);
  CHECK(error.code() == ErrorCode::kInvalidArgument);
  CHECK(error.text().find("key \"k\"") != std::string::npos);
  record = plain_record("k");
  record.revision = 0;
  CHECK(codec.encode(record, bytes).code() == ErrorCode::kInvalidArgument);
  record = plain_record("k");
  record.unknown_fields = "no message";
  CHECK(codec.encode(record, bytes).code() == ErrorCode::kInvalidArgument);
  v1::MappingRecord known;
  known.set_cell("smuggled");
  record.unknown_fields = known.SerializeAsString();
  CHECK(codec.encode(record, bytes).code() == ErrorCode::kInvalidArgument);
}

TEST_CASE("any damage of a record's bytes is refused or is a record that keeps the rules") {
  std::mt19937_64 random(1);
  const std::string whole = encoded(full_record("tenant"));
  RecordCodec codec;
  MappingRecord record;
  int refused = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes = whole;
    bytes[random() % bytes.size()] = static_cast<char>(random());
    if (i % 3 == 0) bytes.resize(random() % bytes.size());
    if (!codec.decode(bytes, "tenant", record).ok()) {
      ++refused;
    } else {
      CHECK(broken_rule(record) == nullptr);
    }
  }
  CHECK(refused > 10'000);
}

}  // namespace
}  // namespace cellroute::stores
