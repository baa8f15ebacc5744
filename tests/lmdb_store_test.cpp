// What is LMDB's own: paths, sharing in a process, fork, growth, readers, waiting.
#include "stores/lmdb_store.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "child_process.hpp"
#include "sanitized.hpp"
#include "store_fixtures.hpp"
#include "store_records.hpp"
#include "stores/lmdb_error.hpp"
#include "stores/lmdb_files.hpp"
#include "stores/open_store.hpp"

namespace cellroute {
namespace {

using testing::Child;
using testing::code_of;
using testing::must;
using testing::open_lmdb;
using testing::Pipe;
using testing::plain_record;
using testing::TemporaryDirectory;

constexpr Nanos kNow = 1'700'000'100 * kSecond;

Error open_error(const std::string& path, const StoreOptions& options = {}) {
  const auto store = open_lmdb_store(path, options);
  return store.ok() ? Error() : store.error();
}

unsigned mode_of(const std::string& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 0777;
}

bool found(MappingStore& store, const std::string& key) {
  return store.get(key, kNow).answer == Answer::kFound;
}

bool put_new(MappingStore& store, const std::string& key, const std::string& cell = "cell-a") {
  return store.put_if(plain_record(key, cell), 0).ok();
}

// Records of about 4 KB, `count` of them, named after `prefix`.
bool put_large(MappingStore& store, const std::string& prefix, int count) {
  for (int i = 0; i < count; ++i) {
    MappingRecord record = plain_record(prefix + std::to_string(i));
    MappedProfile& profile = record.profile.emplace();
    profile.flags.assign(kMaxMappedFlags, std::string(kMaxMappedNameBytes, 'F'));
    for (std::uint64_t epoch = 1; epoch <= kMaxHistory; ++epoch) {
      record.history.push_back({std::string(kMaxMappedNameBytes, 'h'), epoch, epoch});
    }
    record.epoch = kMaxHistory + 1;
    if (!store.put_if(record, 0).ok()) return false;
  }
  return true;
}

TEST_CASE("lmdb: the directory and its files are made for their owner alone") {
  const TemporaryDirectory directory;
  const std::string path = directory.path("mappings");
  const auto store = open_lmdb(path);
  CHECK(mode_of(path) == 0700);
  CHECK(mode_of(path + "/data.mdb") == 0600);
  CHECK(mode_of(path + "/lock.mdb") == 0600);
  CHECK(mode_of(path + "/writer.lock") == 0600);
  CHECK(store->capabilities().durable);
  CHECK(store->capabilities().shared);
}

TEST_CASE("lmdb: records stay when the store is closed and opened again") {
  const TemporaryDirectory directory;
  const std::string path = directory.path("mappings");
  REQUIRE(put_new(*open_lmdb(path), "tenant"));
  const auto store = open_lmdb(path + "/");
  CHECK(found(*store, "tenant"));
  CHECK(code_of(store->put_if(plain_record("tenant"), 0)) == ErrorCode::kConflict);
}

TEST_CASE("lmdb: a path that cannot be a store is refused with the reason") {
  const TemporaryDirectory directory;
  const auto code = [](const std::string& path, const StoreOptions& options = {}) {
    return open_error(path, options).code();
  };
  CHECK(code("") == ErrorCode::kInvalidArgument);
  CHECK(code(std::string("a\0b", 3)) == ErrorCode::kInvalidArgument);
  CHECK(code(std::string(10'000, 'p')) == ErrorCode::kInvalidArgument);
  const std::string file = directory.path("file");
  std::ofstream(file) << "text";
  CHECK(code(file) == ErrorCode::kInvalidArgument);
  CHECK(code(file + "/below") == ErrorCode::kInvalidArgument);
  const std::string orphan = directory.path("missing/mappings");
  CHECK(code(orphan) == ErrorCode::kNotFound);
  CHECK(open_error(orphan).text().find("parent") != std::string::npos);
  CHECK(open_error(orphan).text().find("missing/mappings") != std::string::npos);

  StoreOptions look_only;
  look_only.create = false;
  CHECK(code(directory.path("absent"), look_only) == ErrorCode::kNotFound);
  CHECK_FALSE(std::filesystem::exists(directory.path("absent")));
  CHECK(code(directory.path(), look_only) == ErrorCode::kNotFound);
  CHECK_FALSE(std::filesystem::exists(directory.path("data.mdb")));
  StoreOptions tiny;
  tiny.map_bytes = 4096;
  CHECK(code(directory.path("tiny"), tiny) == ErrorCode::kInvalidArgument);
}

TEST_CASE("lmdb: a directory that this user may not use is refused") {
  const TemporaryDirectory directory;
  const std::string path = directory.path("mappings");
  REQUIRE(put_new(*open_lmdb(path), "tenant"));
  REQUIRE(::chmod(path.c_str(), 0500) == 0);
  REQUIRE(::chmod((path + "/writer.lock").c_str(), 0400) == 0);
  Child stranger([&] {
    if (::geteuid() == 0 && ::seteuid(65'534) != 0) return 1;
    return open_error(path).code() == ErrorCode::kRefused ? 0 : 2;
  });
  CHECK(stranger.wait() == 0);
  CHECK(stores::lmdb_error_code(EROFS) == ErrorCode::kRefused);
  REQUIRE(::chmod(path.c_str(), 0700) == 0);
}

TEST_CASE("lmdb: network file systems are refused by name, local ones are not") {
  CHECK(std::string(stores::network_file_system(0x6969)) == "NFS");
  CHECK(std::string(stores::network_file_system(0xff534d42)) == "CIFS");
  CHECK(std::string(stores::network_file_system(0x65735546)) == "FUSE");
  for (const std::uint32_t local : {0xef53u, 0x58465342u, 0x9123683eu, 0x01021994u, 0x794c7630u}) {
    CHECK(stores::network_file_system(local) == nullptr);  // ext4, XFS, Btrfs, tmpfs, overlayfs
  }
}

TEST_CASE("lmdb: opened twice in a process, by whatever path, it is one store") {
  const TemporaryDirectory directory;
  const std::string path = directory.path("mappings");
  auto first = open_lmdb(path);
  REQUIRE(put_new(*first, "before"));
  const std::string link = directory.path("link");
  std::filesystem::create_directory_symlink(path, link);
  auto second = open_lmdb(link + "/.");
  CHECK(found(*second, "before"));
  REQUIRE(put_new(*second, "after"));
  CHECK(found(*first, "after"));
  first.reset();
  REQUIRE(put_new(*second, "still open"));

  // Had closing the first dropped LMDB's locks, another process would take this one for dead.
  Child other([&] {
    const auto theirs = open_lmdb_store(path);
    return theirs.ok() && put_new(**theirs, "theirs") ? 0 : 1;
  });
  CHECK(other.wait() == 0);
  CHECK(found(*second, "theirs"));
  CHECK(put_new(*second, "ours"));
}

TEST_CASE("lmdb: threads that open and close the same store at once do not harm each other") {
  const TemporaryDirectory directory;
  const std::string path = directory.path("mappings");
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        const auto store = open_lmdb_store(path);
        const std::string key = std::to_string(t) + "-" + std::to_string(i);
        if (!store.ok() || !put_new(**store, key) || !found(**store, key)) ++failures;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(failures == 0);
  CHECK(must(open_lmdb(path)->scan("", 1000, kNow)).records.size() == 200);
}

TEST_CASE("lmdb: a child of fork is refused, may open the store itself, and harms no one") {
  const TemporaryDirectory directory;
  const std::string path = directory.path("mappings");
  auto store = open_lmdb(path);
  REQUIRE(put_new(*store, "tenant"));
  Child child([&] {
    const auto wrong = ErrorCode::kWrongProcess;
    if (store->get("tenant", kNow).error.code() != wrong) return 1;
    if (store->get("tenant", kNow).error.text().find("fork") == std::string::npos) return 2;
    if (code_of(store->put_if(plain_record("x"), 0)) != wrong) return 3;
    if (code_of(store->scan("", 1, kNow)) != wrong) return 4;
    if (code_of(store->scan_cell("cell-a", "", 1, kNow)) != wrong) return 5;
    if (code_of(store->changes("", 1)) != wrong) return 6;
    if (code_of(store->purge(kNow, 1)) != wrong) return 7;
    auto own = open_lmdb_store(path);
    if (!own.ok() || !found(**own, "tenant") || !put_new(**own, "child 1")) return 8;
    store.reset();  // the inherited handle
    if (!put_new(**own, "child 2")) return 9;
    Child grandchild([&] {
      return (*own)->get("tenant", kNow).error.code() == wrong && open_lmdb_store(path).ok() ? 0
                                                                                             : 1;
    });
    if (grandchild.wait() != 0) return 10;
    // Opening looked for dead readers. Had the inherited handle closed LMDB's files, the child's
    // own locks on them were gone, and it was taken for one.
    return found(**own, "tenant") ? 0 : 11;
  });
  CHECK(child.wait() == 0);
  CHECK(found(*store, "child 1"));
  CHECK(found(*store, "child 2"));
  CHECK(put_new(*store, "parent"));
}

#if !defined(CELLROUTE_SANITIZED)
// AddressSanitizer's own allocator leaves its locks to a child as they were, so that one now and
// then waits for a thread that is not there.
TEST_CASE("lmdb: a fork while other threads open, read and write leaves the child able to open") {
  const TemporaryDirectory directory;
  const std::string path = directory.path("mappings");
  const auto store = open_lmdb(path);
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    for (int i = 0; !stop; ++i) (void)put_new(*store, std::to_string(i));
  });
  threads.emplace_back([&] {
    while (!stop) (void)open_lmdb_store(path);
  });
  threads.emplace_back([&] {
    while (!stop) (void)store->get("0", kNow);
  });
  int failures = 0;
  for (int i = 0; i < 50; ++i) {
    Child child([&] {
      ::alarm(60);  // a lock inherited from a thread that is not here would wait for ever
      if (store->get("0", kNow).error.code() != ErrorCode::kWrongProcess) return 1;
      const auto own = open_lmdb_store(path);
      return own.ok() && put_new(**own, "child " + std::to_string(i)) ? 0 : 2;
    });
    if (child.wait() != 0) ++failures;
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(failures == 0);
  CHECK(found(*store, "child 49"));
}
#endif

TEST_CASE("lmdb: the memory store refuses to be two stores after a fork") {
  const auto store = make_memory_store();
  Child child([&] {
    return store->get("k", kNow).error.code() == ErrorCode::kWrongProcess &&
                   code_of(store->put_if(plain_record("k"), 0)) == ErrorCode::kWrongProcess
               ? 0
               : 1;
  });
  CHECK(child.wait() == 0);
}

StoreOptions small_map() {
  StoreOptions options;
  options.map_bytes = 64 * 1024;
  return options;
}

TEST_CASE("lmdb: the map grows under readers and writers of one process") {
  const TemporaryDirectory directory;
  const auto store = open_lmdb(directory.path("mappings"), small_map());
  REQUIRE(put_new(*store, "tenant"));
  std::atomic<bool> stop{false};
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      while (!stop) {
        if (!found(*store, "tenant")) ++failures;
        if (!store->scan("", 10, kNow).ok()) ++failures;
      }
    });
  }
  CHECK(put_large(*store, "large-", 300));
  stop = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(failures == 0);
  CHECK(found(*store, "large-299"));
}

TEST_CASE("lmdb: the map grows in two processes, and each follows the other") {
  const TemporaryDirectory directory;
  const std::string path = directory.path("mappings");
  const auto store = open_lmdb(path, small_map());
  REQUIRE(put_new(*store, "tenant"));
  const auto writer = [&](const std::string& prefix) {
    return [&path, prefix] {
      const auto own = open_lmdb_store(path, small_map());
      return own.ok() && put_large(**own, prefix, 150) ? 0 : 1;
    };
  };
  Child one(writer("one-"));
  Child two(writer("two-"));
  CHECK(put_large(*store, "three-", 150));
  CHECK(one.wait() == 0);
  CHECK(two.wait() == 0);
  for (const char* key : {"tenant", "one-149", "two-149", "three-149"}) CHECK(found(*store, key));
  Child three(writer("four-"));
  CHECK(three.wait() == 0);
  CHECK(found(*store, "four-149"));  // in pages that this process has not mapped yet
  Child four(writer("five-"));
  CHECK(four.wait() == 0);
  CHECK(put_new(*store, "written where another grew"));
}

TEST_CASE("lmdb: at the most the map may grow, puts are refused and reads go on") {
  const TemporaryDirectory directory;
  StoreOptions options = small_map();
  options.max_map_bytes = 256 * 1024;
  const auto store = open_lmdb(directory.path("mappings"), options);
  MappingRecord ephemeral = plain_record("session");
  ephemeral.ephemeral = true;
  ephemeral.expires = kNow;
  REQUIRE(store->put_if(ephemeral, 0).ok());
  Error full;
  for (int i = 0; i < 1000 && full.ok(); ++i) {
    const auto put =
        store->put_if(plain_record("k" + std::string(400, 'k') + std::to_string(i)), 0);
    if (!put.ok()) full = put.error();
  }
  CHECK(full.code() == ErrorCode::kResourceExhausted);
  CHECK(full.text().find("max_map_bytes") != std::string::npos);
  CHECK(found(*store, "k" + std::string(400, 'k') + "0"));
}

TEST_CASE("lmdb: the slots of 200 readers that died are used again") {
  const TemporaryDirectory directory;
  const std::string path = directory.path("mappings");
  StoreOptions options;
  options.readers = 200;
  const auto store = open_lmdb(path, options);
  REQUIRE(put_new(*store, "tenant"));
  Pipe ready;
  std::vector<Child> readers;
  for (int i = 0; i < 200; ++i) {
    readers.emplace_back([&]() -> int {
      const auto own = open_lmdb_store(path, options);
      ready.write(own.ok() && found(**own, "tenant"));
      for (;;) ::pause();
    });
  }
  int reading = 0;
  for (std::size_t i = 0; i < readers.size(); ++i) {
    bool ok = false;
    if (ready.read(ok) && ok) ++reading;
  }
  CHECK(reading == 200);
  const Lookup full = store->get("tenant", kNow);  // all are alive
  CHECK(full.answer == Answer::kUnknown);
  CHECK(full.error.code() == ErrorCode::kResourceExhausted);
  CHECK(put_new(*store, "a writer needs no slot"));
  for (Child& reader : readers) reader.kill();
  CHECK(found(*store, "tenant"));
}

TEST_CASE("lmdb: an idle reader keeps no pages from being used again") {
  const TemporaryDirectory directory;
  const std::string path = directory.path("mappings");
  const auto store = open_lmdb(path);
  REQUIRE(put_new(*store, "tenant"));
  Pipe ready;
  Child idle([&]() -> int {
    const auto own = open_lmdb_store(path);
    ready.write(own.ok() && found(**own, "tenant") && (*own)->scan("", 5, kNow).ok());
    for (;;) ::pause();
  });
  bool ok = false;
  REQUIRE((ready.read(ok) && ok));
  CHECK(found(*store, "tenant"));
  for (std::uint64_t revision = 1; revision <= 500; ++revision) {
    REQUIRE(store->put_if(plain_record("tenant"), revision).ok());
  }
  CHECK(std::filesystem::file_size(path + "/data.mdb") < 200'000);
}

TEST_CASE("lmdb: waiting for a writer that stands still ends, names it, and reads go on") {
  const TemporaryDirectory directory;
  const std::string path = directory.path("mappings");
  StoreOptions options;
  options.timeout = 50 * kMillisecond;
  const auto store = open_lmdb(path, options);
  REQUIRE(put_new(*store, "tenant"));
  Pipe ready;
  Child holder([&]() -> int {
    const int file = ::open((path + "/writer.lock").c_str(), O_RDWR);
    struct flock lock {};
    lock.l_type = F_WRLCK;
    ready.write(::fcntl(file, F_SETLK, &lock) == 0);
    for (;;) ::pause();
  });
  bool ok = false;
  REQUIRE((ready.read(ok) && ok));
  const auto put = store->put_if(plain_record("x"), 0);
  REQUIRE_FALSE(put.ok());
  CHECK(put.error().code() == ErrorCode::kUnavailable);
  CHECK(put.error().text().find(std::to_string(holder.process())) != std::string::npos);
  CHECK(found(*store, "tenant"));
  holder.kill();
  CHECK(put_new(*store, "x"));
}

TEST_CASE("lmdb: a sequence number is not given out again, also after a purge and a new start") {
  const TemporaryDirectory directory;
  const std::string path = directory.path("mappings");
  Cursor cursor;
  {
    const auto store = open_lmdb(path);
    MappingRecord record = plain_record("session");
    record.ephemeral = true;
    record.expires = kNow;
    REQUIRE(store->put_if(record, 0).ok());
    cursor = must(store->changes("", 10)).next;
    REQUIRE(must(store->purge(kNow, 10)) == 1);
  }
  const auto store = open_lmdb(path);
  REQUIRE(put_new(*store, "tenant"));
  const Page page = must(store->changes(cursor, 10));
  REQUIRE(page.records.size() == 1);
  CHECK(page.records[0].key == "tenant");
}

TEST_CASE("open_store: memory, lmdb and file are there, others are named as not carried") {
  const TemporaryDirectory directory;
  CHECK(open_store("memory:").ok());
  CHECK(open_store("lmdb:" + directory.path("mappings")).ok());
  CHECK(code_of(open_store("file:" + directory.path("none.crm"))) == ErrorCode::kNotFound);
  for (const char* url : {"redis://:secret@host/0", "dynamodb://T?region=r"}) {
    const auto store = open_store(url);
    REQUIRE_FALSE(store.ok());
    CHECK(store.error().code() == ErrorCode::kUnsupported);
    CHECK(store.error().text().find("this build has memory, lmdb and file") != std::string::npos);
    CHECK(store.error().text().find("secret") == std::string::npos);
  }
  for (const char* url :
       {"", "memory", "memory:x", "lmdb", "lmdb:", "file:", ":", "LMDB:x", "./path"}) {
    CHECK(code_of(open_store(url)) == ErrorCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace cellroute
