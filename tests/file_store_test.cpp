// A mapping file and its changes as a store: `file:PATH.crm`.
#include "mapping/file_store.hpp"

#include "mapping_file_fixtures.hpp"
#include "store_records.hpp"
#include "stores/open_store.hpp"

namespace {

using namespace cellroute;
using testing::code_of;
using testing::Mapping;
using testing::must;
using testing::TemporaryDirectory;

constexpr Nanos kNow = 1'700'000'000 * kSecond;

struct Files {
  void base(const std::vector<Mapping>& mappings, std::uint64_t generation) const {
    must(testing::try_build(path, mappings, {},
                            {.seed = generation, .generation = generation, .now = 0}));
  }
  void changes(const std::vector<MappingRecord>& records, std::uint64_t generation) const {
    Changes made;
    made.base = generation;
    made.records = records;
    REQUIRE(write_changes(changes_path(path), made).ok());
  }
  std::unique_ptr<MappingFileStore> open() const { return must(MappingFileStore::open(path)); }

  TemporaryDirectory directory;
  std::string path = directory.path("base.crm");
};

MappingRecord moved(const std::string& key, const std::string& cell, std::uint64_t epoch) {
  MappingRecord record = testing::plain_record(key, cell);
  record.epoch = epoch;
  return record;
}

TEST_CASE("file store: answers by the changes, then by the base") {
  const Files here;
  Mapping brief{"brief", "eu-1"};
  brief.expires = kNow;
  here.base({{"k", "eu-1"}, {"other", "us-1", MappedProfile{"retail", "", "", {}}, 3}, brief}, 7);
  MappingRecord gone = moved("other", "us-1", 3);
  gone.deleted = true;
  const auto before = here.open();
  CHECK(before->get("other", kNow).answer == Answer::kFound);
  CHECK(before->get("other", kNow).record.profile->tier == "retail");
  CHECK(before->get("other", kNow).record.epoch == 3);
  here.changes({moved("k", "us-2", 2), gone, moved("new", "eu-1", 1)}, 7);
  const auto store = must(open_store("file:" + here.path));
  CHECK(store->get("k", kNow).record.cell == "us-2");
  CHECK(store->get("other", kNow).answer == Answer::kAbsent);
  CHECK(store->get("other", kNow).record.epoch == 3);
  CHECK(store->get("new", kNow).answer == Answer::kFound);
  CHECK(store->get("brief", kNow - 1).answer == Answer::kFound);
  CHECK(store->get("brief", kNow).answer == Answer::kAbsent);
  CHECK(store->get("nobody", kNow).answer == Answer::kAbsent);
  CHECK(store->get("", kNow).answer == Answer::kUnknown);
  CHECK(store->capabilities().durable);
  CHECK_FALSE(store->capabilities().changes);
}

TEST_CASE("file store: nothing is written by it or listed from it") {
  const Files here;
  here.base({{"k", "eu-1"}}, 1);
  const auto store = here.open();
  CHECK(code_of(store->put_if(moved("k", "us-1", 2), 1)) == ErrorCode::kUnsupported);
  CHECK(code_of(store->scan("", 10, kNow)) == ErrorCode::kUnsupported);
  CHECK(code_of(store->scan_cell("eu-1", "", 10, kNow)) == ErrorCode::kUnsupported);
  CHECK(code_of(store->changes("", 10)) == ErrorCode::kUnsupported);
  CHECK(code_of(store->purge(kNow, 10)) == ErrorCode::kUnsupported);
}

TEST_CASE("file store: refresh takes what is newer, and keeps what it has otherwise") {
  const Files here;
  here.base({{"k", "eu-1"}}, 5);
  const auto store = here.open();
  CHECK_FALSE(must(store->refresh()));
  here.changes({moved("k", "us-1", 2)}, 5);
  const auto base = store->files()->base;
  CHECK(must(store->refresh()));
  CHECK(store->files()->base == base);  // not opened again
  CHECK(store->get("k", kNow).record.cell == "us-1");
  CHECK_FALSE(must(store->refresh()));

  here.changes({}, 5);
  CHECK(code_of(store->refresh()) == ErrorCode::kRefused);
  here.changes({moved("k", "us-3", 1)}, 5);
  CHECK(code_of(store->refresh()) == ErrorCode::kRefused);
  here.base({{"k", "eu-9"}}, 4);
  CHECK(code_of(store->refresh()) == ErrorCode::kRefused);  // its changes are of a later base
  here.changes({}, 4);
  CHECK(code_of(store->refresh()) == ErrorCode::kRefused);
  testing::write_bytes(here.path, testing::FileBytes(1000));
  CHECK(code_of(store->refresh()) == ErrorCode::kCorrupt);
  CHECK(store->get("k", kNow).record.cell == "us-1");

  here.base({{"k", "us-4"}}, 6);
  CHECK(must(store->refresh()));  // the changes of the base before are in it
  CHECK(store->get("k", kNow).record.cell == "us-4");
}

}  // namespace
