// Files that are damaged, cut short, of another kind or of a later version.
#include <lmdb.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include "raw_lmdb.hpp"
#include "store_fixtures.hpp"
#include "store_records.hpp"
#include "stores/mapping.pb.h"

namespace cellroute {
namespace {

using testing::code_of;
using testing::must;
using testing::open_lmdb;
using testing::plain_record;
using testing::raw;
using testing::RawLmdb;
using testing::TemporaryDirectory;

constexpr Nanos kNow = 1'700'000'100 * kSecond;

std::string bytes_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

Error open_error(const std::string& path) {
  const auto store = open_lmdb_store(path);
  return store.ok() ? Error() : store.error();
}

// A closed store with records "k0" to "k<count - 1>", all in cell-a.
void make_store(const std::string& path, int count) {
  std::vector<ConditionalPut> puts;
  for (int i = 0; i < count; ++i) puts.push_back({plain_record("k" + std::to_string(i)), 0});
  for (const auto& result : open_lmdb(path)->put_many(puts)) REQUIRE(result.ok());
}

template <class T>
void overwrite(std::string& bytes, std::size_t at, T value) {
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

TEST_CASE("lmdb: a file that is no sound store is corrupt, stays as it is, and ends nothing") {
  const TemporaryDirectory directory;
  const std::string path = directory.path("mappings");
  make_store(path, 2000);
  const std::string data = path + "/data.mdb";
  const std::string whole = bytes_of(data);
  REQUIRE(whole.size() > 100'000);
  struct Damage {
    const char* what;
    std::function<void(std::string&)> apply;
  };
  const std::vector<Damage> damages = {
      {"empty", [](std::string& b) { b.clear(); }},
      {"one byte", [](std::string& b) { b.resize(1); }},
      {"half a header", [](std::string& b) { b.resize(100); }},
      {"one header", [](std::string& b) { b.resize(4096); }},
      {"headers alone", [](std::string& b) { b.resize(8192); }},
      {"half a file", [](std::string& b) { b.resize(b.size() / 2); }},
      {"a page short", [](std::string& b) { b.resize(b.size() - 4096); }},
      {"some bytes short", [](std::string& b) { b.resize(b.size() - 5); }},
      {"text", [](std::string& b) { b.assign(100'000, 't'); }},
      {"zeros", [](std::string& b) { b.assign(100'000, '\0'); }},
      {"first magic", [](std::string& b) { b[16] ^= 1; }},
      {"second magic", [](std::string& b) { b[4096 + 16] ^= 1; }},
      {"page flags", [](std::string& b) { b[10] = 0; }},
      {"page size 0", [](std::string& b) { overwrite(b, 40, 0u); }},
      {"page size 3", [](std::string& b) { overwrite(b, 40, 3u); }},
      {"page size 2^30", [](std::string& b) { overwrite(b, 40, 1u << 30); }},
      {"page sizes differ", [](std::string& b) { overwrite(b, 4096 + 40, 8192u); }},
      {"root outside",
       [](std::string& b) {
         for (const std::size_t page : {0u, 4096u}) {
           overwrite(b, page + 128, std::uint64_t{1'000'000});
         }
       }},
      {"no pages",
       [](std::string& b) {
         for (const std::size_t page : {0u, 4096u}) overwrite(b, page + 136, std::uint64_t{0});
       }},
      {"pages without end",
       [](std::string& b) {
         for (const std::size_t page : {0u, 4096u}) overwrite(b, page + 136, ~std::uint64_t{0});
       }},
      {"a million pages more",
       [](std::string& b) {
         for (const std::size_t page : {0u, 4096u}) {
           overwrite(b, page + 136, std::uint64_t{1'000'000});
         }
       }},
  };
  for (const Damage& damage : damages) {
    INFO(damage.what);
    std::string bytes = whole;
    damage.apply(bytes);
    write_bytes(data, bytes);
    const Error error = open_error(path);
    CHECK(error.code() == ErrorCode::kCorrupt);
    CHECK(error.text().find(path.substr(0, 40)) != std::string::npos);
    CHECK(bytes_of(data) == bytes);
  }
  write_bytes(data, whole);
  CHECK(must(open_lmdb(path)->scan("", 5000, kNow)).records.size() == 2000);

  std::string format_2 = whole;
  overwrite(format_2, 20, 2u);
  overwrite(format_2, 4096 + 20, 2u);
  write_bytes(data, format_2);
  CHECK(open_error(path).code() == ErrorCode::kUnsupported);
}

TEST_CASE("lmdb: data that is gone, or no file, is corrupt and not a store without mappings") {
  const TemporaryDirectory directory;
  const std::string path = directory.path("mappings");
  make_store(path, 1);
  std::filesystem::remove(path + "/data.mdb");
  CHECK(open_error(path).code() == ErrorCode::kCorrupt);
  CHECK_FALSE(std::filesystem::exists(path + "/data.mdb"));
  std::filesystem::create_directory(path + "/data.mdb");
  CHECK_FALSE(open_error(path).ok());
  std::filesystem::remove(path + "/data.mdb");
  REQUIRE(::mkfifo((path + "/data.mdb").c_str(), 0600) == 0);
  CHECK(open_error(path).code() == ErrorCode::kCorrupt);
}

TEST_CASE("lmdb: what a maker left that died does not stand in the way") {
  const TemporaryDirectory directory;
  const std::string path = directory.path("mappings");
  std::filesystem::create_directory(path);
  write_bytes(path + "/data.mdb.new", "half");
  write_bytes(path + "/writer.lock", "");
  make_store(path, 1);
  CHECK_FALSE(std::filesystem::exists(path + "/data.mdb.new"));
}

TEST_CASE("lmdb: another program's LMDB file is refused and not written to") {
  const TemporaryDirectory directory;
  const std::string path = directory.path("other");
  std::filesystem::create_directory(path);
  {
    RawLmdb other(path);
    other.change([](MDB_txn* transaction) {
      MDB_val key = raw("theirs");
      MDB_val value = raw("data");
      REQUIRE(mdb_put(transaction, RawLmdb::tree(transaction, nullptr), &key, &value, 0) == 0);
    });
  }
  const std::string before = bytes_of(path + "/data.mdb");
  CHECK(open_error(path).code() == ErrorCode::kCorrupt);
  CHECK(bytes_of(path + "/data.mdb") == before);
}

void set_format(const std::string& path, const std::string& bytes) {
  RawLmdb store(path);
  store.change([&](MDB_txn* transaction) {
    MDB_val key = raw(std::string_view("\0", 1));
    MDB_val value = raw(bytes);
    REQUIRE(mdb_put(transaction, RawLmdb::tree(transaction, nullptr), &key, &value, 0) == 0);
  });
}

TEST_CASE("lmdb: a store of a later format is refused with the reason") {
  const TemporaryDirectory directory;
  const std::string path = directory.path("mappings");
  make_store(path, 1);
  v1::StoreFormat format;
  format.set_version(2);
  set_format(path, format.SerializeAsString());
  const Error error = open_error(path);
  CHECK(error.code() == ErrorCode::kUnsupported);
  CHECK(error.text().find("later version") != std::string::npos);
  set_format(path, "no message");
  CHECK(open_error(path).code() == ErrorCode::kCorrupt);
  set_format(path, "");
  CHECK(open_error(path).code() == ErrorCode::kCorrupt);
}

// Changes the stored value of "k<number>" as `damage` says.
void damage_value(const std::string& path, int number,
                  const std::function<void(std::string&)>& damage) {
  RawLmdb store(path);
  store.change([&](MDB_txn* transaction) {
    const std::string name = "\xf1k" + std::to_string(number);
    const MDB_dbi records = RawLmdb::tree(transaction, nullptr);
    MDB_val key = raw(name);
    MDB_val value{};
    REQUIRE(mdb_get(transaction, records, &key, &value) == 0);
    std::string bytes(static_cast<const char*>(value.mv_data), value.mv_size);
    damage(bytes);
    value = raw(bytes);
    REQUIRE(mdb_put(transaction, records, &key, &value, 0) == 0);
  });
}

TEST_CASE("lmdb: every flipped bit of a stored record is found, and the text names the key") {
  const TemporaryDirectory directory;
  const std::string path = directory.path("mappings");
  make_store(path, 3);
  std::size_t size = 1;
  for (std::size_t at = 0; at < size; ++at) {
    INFO("byte " << at);
    damage_value(path, 1, [&](std::string& bytes) {
      size = bytes.size();
      bytes[at] ^= 0x10;
    });
    {
      const auto store = open_lmdb(path);
      const Lookup found = store->get("k1", kNow);
      CHECK(found.answer == Answer::kUnknown);
      CHECK(found.error.code() == ErrorCode::kCorrupt);
      CHECK(found.error.text().find("key \"k1\"") != std::string::npos);
      CHECK(code_of(store->put_if(plain_record("k1"), 1)) == ErrorCode::kCorrupt);
      CHECK(code_of(store->scan("", 10, kNow)) == ErrorCode::kCorrupt);
      CHECK(code_of(store->scan_cell("cell-a", "", 10, kNow)) == ErrorCode::kCorrupt);
      CHECK(code_of(store->changes("", 10)) == ErrorCode::kCorrupt);
      CHECK(store->get("k0", kNow).answer == Answer::kFound);
      const std::uint64_t revision = store->get("k2", kNow).record.revision;
      CHECK(store->put_if(plain_record("k2"), revision).ok());
    }
    damage_value(path, 1, [&](std::string& bytes) { bytes[at] ^= 0x10; });
  }
  REQUIRE(size > 50);
  for (const std::size_t cut : {std::size_t{0}, std::size_t{15}, std::size_t{16}, size - 1}) {
    damage_value(path, 1, [&](std::string& bytes) { bytes.resize(cut); });
    CHECK(open_lmdb(path)->get("k1", kNow).error.code() == ErrorCode::kCorrupt);
    damage_value(path, 1, [&](std::string& bytes) { bytes.assign(size, 'x'); });
  }
}

TEST_CASE("lmdb: a record under another key is damage, sound as it looks") {
  const TemporaryDirectory directory;
  const std::string path = directory.path("mappings");
  make_store(path, 2);
  std::string of_k0;
  damage_value(path, 0, [&](std::string& bytes) { of_k0 = bytes; });
  damage_value(path, 1, [&](std::string& bytes) { bytes = of_k0; });
  CHECK(open_lmdb(path)->get("k1", kNow).error.code() == ErrorCode::kCorrupt);
}

TEST_CASE("lmdb: an index that lost an entry, or names nothing, is found when it is used") {
  const TemporaryDirectory directory;
  const std::string path = directory.path("mappings");
  make_store(path, 3);
  {
    RawLmdb store(path);
    store.change([](MDB_txn* transaction) {
      std::uint64_t sequence = 1;
      MDB_val key{sizeof sequence, &sequence};
      REQUIRE(mdb_del(transaction, RawLmdb::tree(transaction, "changes", MDB_INTEGERKEY), &key,
                      nullptr) == 0);
      key = raw("cell-a");
      MDB_val value = raw("\xf1nobody");
      REQUIRE(mdb_put(transaction, RawLmdb::tree(transaction, "cells", MDB_DUPSORT), &key, &value,
                      0) == 0);
    });
  }
  const auto store = open_lmdb(path);
  CHECK(code_of(store->put_if(plain_record("k0"), 1)) == ErrorCode::kCorrupt);
  CHECK(store->get("k0", kNow).record.revision == 1);
  CHECK(store->put_if(plain_record("k1"), 1).ok());
  CHECK(code_of(store->scan_cell("cell-a", "", 10, kNow)) == ErrorCode::kCorrupt);
  std::vector<ConditionalPut> puts = {{plain_record("k2"), 1}, {plain_record("k0"), 1}};
  for (const auto& result : store->put_many(puts)) CHECK(code_of(result) == ErrorCode::kCorrupt);
  CHECK(store->get("k2", kNow).record.revision == 1);  // given up whole
}

// How many pages at the end of the file are free, by LMDB's own list.
std::size_t free_pages_at_the_end(const std::string& path) {
  const RawLmdb store(path);
  std::set<std::size_t> free;
  MDB_txn* transaction = nullptr;
  MDB_cursor* cursor = nullptr;
  REQUIRE(mdb_txn_begin(store.env(), nullptr, MDB_RDONLY, &transaction) == 0);
  REQUIRE(mdb_cursor_open(transaction, 0, &cursor) == 0);
  MDB_val key{};
  MDB_val value{};
  while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
    const auto* pages = static_cast<const std::size_t*>(value.mv_data);
    free.insert(pages + 1, pages + 1 + pages[0]);
  }
  mdb_cursor_close(cursor);
  mdb_txn_abort(transaction);
  MDB_envinfo info{};
  mdb_env_info(store.env(), &info);
  const std::size_t last = info.me_last_pgno;
  std::size_t count = 0;
  while (free.count(last - count) != 0) ++count;
  return count;
}

TEST_CASE("lmdb: a file may lack free pages at its end, and no others") {
  const TemporaryDirectory directory;
  const std::string path = directory.path("mappings");
  {
    const auto store = open_lmdb(path);
    std::vector<ConditionalPut> puts;
    for (int i = 0; i < 4000; ++i) {
      MappingRecord record = plain_record("session-" + std::to_string(i));
      record.ephemeral = true;
      record.expires = kNow;
      puts.push_back({record, 0});
    }
    REQUIRE(store->put_if(plain_record("stays"), 0).ok());
    for (const auto& result : store->put_many(puts)) REQUIRE(result.ok());
    REQUIRE(must(store->purge(kNow, 10'000)) == 4000);
    for (std::uint64_t i = 1; i < 10; ++i) REQUIRE(store->put_if(plain_record("stays"), i).ok());
  }
  const std::string data = path + "/data.mdb";
  const std::size_t free = free_pages_at_the_end(path);
  REQUIRE(free > 3);
  const std::string whole = bytes_of(data);
  std::filesystem::resize_file(data, whole.size() - free * 4096);
  {
    const auto store = open_lmdb(path);
    CHECK(store->get("stays", kNow).record.revision == 10);
    CHECK(store->put_if(plain_record("stays"), 10).ok());
  }
  write_bytes(data, whole);
  std::filesystem::resize_file(data, whole.size() - (free + 1) * 4096);
  CHECK(open_error(path).code() == ErrorCode::kCorrupt);
  CHECK(std::filesystem::file_size(data) == whole.size() - (free + 1) * 4096);
}

}  // namespace
}  // namespace cellroute
