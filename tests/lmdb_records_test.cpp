// Keys beyond LMDB's own, where all of them have one hash.
#include "stores/lmdb_records.hpp"

#include <catch2/catch.hpp>
#include <cstdint>
#include <string>

#include "raw_lmdb.hpp"
#include "store_fixtures.hpp"
#include "store_records.hpp"

namespace cellroute::stores {
namespace {

using testing::plain_record;
using testing::RawLmdb;
using testing::TemporaryDirectory;

constexpr Nanos kNow = 1'700'000'100 * kSecond;

LongKeyHash one_for_all(std::uint64_t, std::string_view) {
  LongKeyHash hash;
  hash.fill('h');
  return hash;
}

class CollidingRecords {
 public:
  CollidingRecords() {
    raw_.change([this](MDB_txn* transaction) {
      trees_.records = RawLmdb::tree(transaction, nullptr);
      trees_.cells = RawLmdb::tree(transaction, "cells", MDB_DUPSORT | MDB_CREATE);
      trees_.changes = RawLmdb::tree(transaction, "changes", MDB_INTEGERKEY | MDB_CREATE);
      trees_.expiry =
          RawLmdb::tree(transaction, "expiry", MDB_INTEGERKEY | MDB_DUPSORT | MDB_CREATE);
      REQUIRE(write_format(transaction, trees_.records, {1, 2, 0, 0}) == 0);
    });
  }

  Error put(const MappingRecord& record, std::uint64_t expected) {
    Error error;
    raw_.change([&](MDB_txn* transaction) {
      LmdbRecordsWriter writer(trees_, 2, transaction, codec_, &one_for_all);
      REQUIRE(writer.begin() == 0);
      const int code = writer.put(record, expected);
      if (code == LmdbEnv::kGiveUp) error = writer.error();
      REQUIRE((code == 0 || code == LmdbEnv::kGiveUp));
    });
    return error;
  }

  // The record of `key` and where it lies; not found: where it would.
  LmdbPlace find(const std::string& key, MappingRecord& record) {
    LmdbPlace place;
    raw_.change([&](MDB_txn* transaction) {
      LmdbRecords records(trees_, 2, transaction, codec_, &one_for_all);
      REQUIRE(records.find(key, place, record) == 0);
    });
    return place;
  }

  std::size_t purge(Nanos before) {
    std::size_t purged = 0;
    raw_.change([&](MDB_txn* transaction) {
      LmdbRecordsWriter writer(trees_, 2, transaction, codec_, &one_for_all);
      REQUIRE(writer.begin() == 0);
      REQUIRE(writer.purge(before, 100, purged) == 0);
    });
    return purged;
  }

 private:
  TemporaryDirectory directory_;
  RawLmdb raw_{directory_.path()};
  LmdbTrees trees_;
  RecordCodec codec_;
};

std::string long_key(int number) { return std::string(600, 'k') + std::to_string(number); }

TEST_CASE("lmdb records: long keys of one hash are kept apart exactly") {
  CollidingRecords records;
  MappingRecord found;
  for (int i = 0; i < 10; ++i) {
    CHECK_FALSE(records.find(long_key(i), found).found);
    MappingRecord record = plain_record(long_key(i), "cell-" + std::to_string(i));
    if (i % 3 == 1) {
      record.ephemeral = true;
      record.expires = kNow;
    }
    REQUIRE(records.put(record, 0).ok());
    CHECK(records.put(record, 0).code() == ErrorCode::kConflict);
  }
  for (int i = 0; i < 10; ++i) {
    const LmdbPlace place = records.find(long_key(i), found);
    REQUIRE(place.found);
    CHECK(found.key == long_key(i));
    CHECK(found.cell == "cell-" + std::to_string(i));
    CHECK(place.store_key.bytes() ==
          StoreKey::long_key(one_for_all(0, ""), static_cast<std::uint32_t>(i)).bytes());
  }
  CHECK_FALSE(records.find(long_key(10), found).found);

  CHECK(records.purge(kNow) == 3);  // 1, 4 and 7 leave gaps
  for (int i = 0; i < 10; ++i) {
    CHECK(records.find(long_key(i), found).found == (i % 3 != 1));
  }
  REQUIRE(records.put(plain_record(long_key(7), "cell-x"), 0).ok());  // in the first gap
  const LmdbPlace place = records.find(long_key(7), found);
  CHECK(found.cell == "cell-x");
  CHECK(place.store_key.bytes() == StoreKey::long_key(one_for_all(0, ""), 1).bytes());
  MappingRecord moved = plain_record(long_key(9), "cell-y");
  moved.epoch = 2;
  REQUIRE(records.put(moved, 1).ok());  // behind the gaps: changed in its own place
  CHECK(records.find(long_key(9), found).store_key.bytes() ==
        StoreKey::long_key(one_for_all(0, ""), 9).bytes());
  CHECK(found.revision == 2);
}

TEST_CASE("lmdb records: keys up to 510 bytes lie as they are, longer ones behind a hash") {
  CHECK(StoreKey::fits(std::string(510, 'k')));
  CHECK_FALSE(StoreKey::fits(std::string(511, 'k')));
  CHECK(StoreKey::short_key(std::string(510, 'k')).bytes().size() == kMaxStoreKeyBytes);
  CHECK(hash_long_key(1, "key") != hash_long_key(2, "key"));
  CHECK(hash_long_key(1, "key") != hash_long_key(1, "kez"));
}

}  // namespace
}  // namespace cellroute::stores
