// The file of changes beside a mapping file.
#include "mapping/change_file.hpp"
#include "store_fixtures.hpp"
#include "store_records.hpp"

namespace {

using namespace cellroute;
using testing::code_of;
using testing::must;

Changes some_changes() {
  Changes changes;
  changes.base = 7;
  changes.feed = {"lmdb:./mappings", std::string("f\0cursor", 8)};
  changes.records = {testing::plain_record("a"), testing::full_record("b"),
                     testing::plain_record(std::string("c\0d", 3))};
  changes.records[2].deleted = true;
  return changes;
}

TEST_CASE("change file: what is written is read") {
  const testing::TemporaryDirectory directory;
  const std::string path = directory.path("base.crm.changes");
  REQUIRE(write_changes(path, some_changes()).ok());
  const Changes read = must(read_changes(path));
  CHECK(read.base == 7);
  CHECK(read.feed == some_changes().feed);
  REQUIRE(read.records.size() == 3);
  CHECK(read.records[1].history.size() == 2);
  CHECK(read.records[2].deleted);
  REQUIRE(write_changes(path, Changes()).ok());
  CHECK(must(read_changes(path)) == Changes());
}

TEST_CASE("change file: every cut and every changed bit is found") {
  const std::string bytes = must(mapping::encode_changes(some_changes()));
  REQUIRE(mapping::decode_changes(bytes).ok());
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    CHECK_FALSE(mapping::decode_changes(std::string_view(bytes).substr(0, cut)).ok());
  }
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string changed = bytes;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ 1 << bit % 8);
    CHECK_FALSE(mapping::decode_changes(changed).ok());
  }
  CHECK_FALSE(mapping::decode_changes(bytes + "x").ok());
}

TEST_CASE("change file: what is wrong is told with the file's name") {
  const testing::TemporaryDirectory directory;
  const std::string path = directory.path("base.crm.changes");
  CHECK(code_of(read_changes(path)) == ErrorCode::kNotFound);
  CHECK(code_of(read_changes(directory.path())) == ErrorCode::kCorrupt);
  std::string later = must(mapping::encode_changes(some_changes()));
  later[8] = 2;
  const auto read = mapping::decode_changes(later);
  CHECK(code_of(read) == ErrorCode::kUnsupported);
  Changes bad = some_changes();
  bad.records[0].cell = "";
  const Error error = write_changes(path, bad);
  CHECK(error.code() == ErrorCode::kInvalidArgument);
  CHECK(error.text().starts_with(path));
  CHECK(code_of(read_changes(path)) == ErrorCode::kNotFound);
}

}  // namespace
