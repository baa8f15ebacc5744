#include "stores/lmdb_env.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "stores/lmdb_error.hpp"
#include "stores/lmdb_format.hpp"
#include "stores/random.hpp"

namespace cellroute::stores {
namespace {

constexpr mdb_mode_t kFileMode = 0600;
constexpr std::size_t kMinMapBytes = 64 * 1024;
constexpr std::uint64_t kMaxMissingPages = 1 << 17;  // as many as LMDB can change at once

// 64-bit numbers in this machine's order, which LMDB's file has anyway, compared as numbers.
constexpr unsigned kCellsFlags = MDB_DUPSORT;
constexpr unsigned kChangesFlags = MDB_INTEGERKEY;
constexpr unsigned kExpiryFlags = MDB_INTEGERKEY | MDB_DUPSORT;

int open_trees_in(MDB_txn* transaction, unsigned create, LmdbTrees& trees) {
  int code = mdb_dbi_open(transaction, nullptr, 0, &trees.records);
  if (code == 0) code = mdb_dbi_open(transaction, "cells", kCellsFlags | create, &trees.cells);
  if (code == 0) {
    code = mdb_dbi_open(transaction, "changes", kChangesFlags | create, &trees.changes);
  }
  if (code == 0) code = mdb_dbi_open(transaction, "expiry", kExpiryFlags | create, &trees.expiry);
  return code;
}

// A whole empty store in the file `path`, which nobody else has open.
int write_new_file(MDB_env* env, const std::string& path, const LmdbFormat& format) {
  int code = mdb_env_set_maxdbs(env, 3);
  if (code == 0) {
    code = mdb_env_open(env, path.c_str(), MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOTLS, kFileMode);
  }
  MDB_txn* transaction = nullptr;
  if (code == 0) code = mdb_txn_begin(env, nullptr, 0, &transaction);
  if (code != 0) return code;
  LmdbTrees trees;
  code = open_trees_in(transaction, MDB_CREATE, trees);
  if (code == 0) code = write_format(transaction, trees.records, format);
  if (code != 0) {
    mdb_txn_abort(transaction);
    return code;
  }
  return mdb_txn_commit(transaction);
}

bool exists(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0;
}

// The i-th of the machine's words in `bytes`.
constexpr std::size_t kWord = sizeof(std::size_t);
std::size_t word(std::string_view bytes, std::size_t i) {
  std::size_t value = 0;
  std::memcpy(&value, bytes.data() + i * kWord, kWord);
  return value;
}

std::size_t whole_pages(std::size_t bytes) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return (bytes + page - 1) / page * page;
}

}  // namespace

LmdbEnv::~LmdbEnv() {
  // A child of fork() closes nothing: closing the inherited descriptors would drop the locks on the
  // same files of a store that the child has opened since.
  if (!fork_.same_process()) {
    writer_.abandon();
    return;
  }
  if (env_ == nullptr) return;
  for (Slot& slot : slots_) {
    if (slot.transaction != nullptr) mdb_txn_abort(slot.transaction);
  }
  mdb_env_close(env_);
}

Error LmdbEnv::fail(std::string_view doing, int code) const {
  return lmdb_error(files_.directory, doing, code);
}

Error LmdbEnv::open(const StoreOptions& options) {
  if (options.map_bytes < kMinMapBytes || options.max_map_bytes < options.map_bytes ||
      options.readers == 0) {
    return invalid_argument(
        "mapping store: map_bytes is at least 65,536, max_map_bytes at least that, readers at "
        "least 1");
  }
  max_map_bytes_ = options.max_map_bytes;
  timeout_ = options.timeout;
  Error error = writer_.open(files_.writer, files_.directory);
  if (error.ok() && !exists(files_.data)) error = create(options);
  std::uint64_t missing_pages = 0;
  if (error.ok()) error = check_data_file(files_, missing_pages);
  if (error.ok()) error = open_environment(options);
  if (error.ok() && missing_pages > 0) error = check_missing_pages();
  if (error.ok()) error = open_trees();
  return error;
}

// Whole or not at all: whoever dies here leaves a file of another name, which the next one removes.
Error LmdbEnv::create(const StoreOptions& options) {
  if (!options.create) {
    return store_error(ErrorCode::kNotFound, files_.directory,
                       "there is no store in this directory");
  }
  LmdbFormat format;
  WriterLock::Hold hold;
  Error error = fill_random(&format.store_id, sizeof format.store_id);
  if (error.ok()) error = fill_random(&format.hash_seed, sizeof format.hash_seed);
  if (error.ok()) error = writer_.acquire(hold, options.timeout);
  if (!error.ok() || exists(files_.data)) return error;
  if (exists(files_.lock)) {
    return store_error(ErrorCode::kCorrupt, files_.directory,
                       "its data.mdb is gone and its lock.mdb is not: restore the data, or remove "
                       "the directory to begin with no mappings");
  }
  ::unlink(files_.fresh.c_str());
  MDB_env* env = nullptr;
  int code = mdb_env_create(&env);
  if (code == 0) code = write_new_file(env, files_.fresh, format);
  if (env != nullptr) mdb_env_close(env);
  if (code == 0 && std::rename(files_.fresh.c_str(), files_.data.c_str()) != 0) code = errno;
  return code == 0 ? sync_directory(files_.directory) : fail("making the store", code);
}

Error LmdbEnv::open_environment(const StoreOptions& options) {
  int code = mdb_env_create(&env_);
  if (code == 0) code = mdb_env_set_maxdbs(env_, 3);
  if (code == 0) code = mdb_env_set_maxreaders(env_, options.readers);
  if (code == 0) code = mdb_env_set_mapsize(env_, whole_pages(options.map_bytes));
  if (code == 0) code = mdb_env_open(env_, files_.directory.c_str(), MDB_NOTLS, kFileMode);
  if (code != 0) {
    mdb_env_close(std::exchange(env_, nullptr));
    return fail("opening data.mdb and lock.mdb", code);
  }
  int dead = 0;
  code = mdb_reader_check(env_, &dead);
  return code == 0 ? Error() : fail("looking for dead readers", code);
}

// Before anybody shares this environment. Another process may have made the map larger since it was
// opened.
int LmdbEnv::begin_first_read(MDB_txn** transaction) {
  for (;;) {
    int code = mdb_txn_begin(env_, nullptr, MDB_RDONLY, transaction);
    if (code != MDB_MAP_RESIZED) return code;
    code = mdb_env_set_mapsize(env_, 0);
    if (code != 0) return code;
  }
}

Error LmdbEnv::open_trees() {
  MDB_txn* transaction = nullptr;
  int code = begin_first_read(&transaction);
  if (code != 0) return fail("reading", code);
  LmdbFormat format;
  code = open_trees_in(transaction, 0, trees_);
  if (code == 0) code = read_format(transaction, trees_.records, format);
  if (code != 0) {
    mdb_txn_abort(transaction);
    if (code == MDB_NOTFOUND || code == MDB_INCOMPATIBLE) {
      return store_error(ErrorCode::kCorrupt, files_.directory,
                         "data.mdb is an LMDB file, but not a store of mappings");
    }
    if (code == MDB_VERSION_MISMATCH) {
      return store_error(ErrorCode::kUnsupported, files_.directory,
                         "a later version of cellroute wrote it; use that version");
    }
    return fail("reading the store's format", code);
  }
  identity_ = {format.store_id, format.hash_seed};
  code = mdb_txn_commit(transaction);  // which keeps the trees open
  return code == 0 ? Error() : fail("reading", code);
}

// LMDB leaves pages at the end unwritten if they are free, so a file may be shorter than its header
// says. It is sound if the list of free pages, which is LMDB's tree 0, has all that are missing.
Error LmdbEnv::check_missing_pages() {
  WriterLock::Hold hold;  // nobody else changes the file's length
  if (Error error = writer_.acquire(hold, timeout_); !error.ok()) return error;
  MDB_envinfo info{};
  MDB_stat stat{};
  mdb_filehandle_t descriptor = -1;
  struct stat status {};
  mdb_env_info(env_, &info);
  mdb_env_stat(env_, &stat);
  mdb_env_get_fd(env_, &descriptor);
  if (::fstat(descriptor, &status) != 0) return fail("looking at data.mdb", errno);
  const std::uint64_t pages = info.me_last_pgno + 1;
  const std::uint64_t present = static_cast<std::uint64_t>(status.st_size) / stat.ms_psize;
  if (present >= pages) return {};
  Error cut_short = store_error(ErrorCode::kCorrupt, files_.directory,
                                "data.mdb is cut short; restore it from a copy");
  if (pages - present > kMaxMissingPages) return cut_short;
  // What is missing shall read as zero, which is no page of a tree, instead of ending the process.
  if (::ftruncate(descriptor, static_cast<off_t>(pages * stat.ms_psize)) != 0) {
    return fail("checking data.mdb", errno);
  }
  bool sound = false;
  int code = missing_are_free(present, info.me_last_pgno, sound);
  if (!sound && ::ftruncate(descriptor, status.st_size) != 0 && code == 0) code = errno;
  if (code != 0 && lmdb_error_code(code) != ErrorCode::kCorrupt) {
    return fail("checking data.mdb", code);
  }
  return sound ? Error() : cut_short;
}

int LmdbEnv::missing_are_free(std::uint64_t first, std::uint64_t last, bool& sound) {
  MDB_txn* transaction = nullptr;
  MDB_cursor* cursor = nullptr;
  int code = begin_first_read(&transaction);
  if (code != 0) return code;
  code = mdb_cursor_open(transaction, 0, &cursor);
  std::uint64_t free = 0;
  bool readable = true;
  MDB_val key{};
  MDB_val value{};
  if (code == 0) code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
  for (; code == 0 && readable; code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
    const std::string_view numbers = view(value);  // a count and as many page numbers
    readable = key.mv_size == kWord && numbers.size() >= kWord &&
               word(numbers, 0) < numbers.size() / kWord;
    for (std::size_t i = 1; readable && i <= word(numbers, 0); ++i) {
      if (word(numbers, i) >= first && word(numbers, i) <= last) ++free;
    }
  }
  sound = code == MDB_NOTFOUND && readable && (first > last || free == last + 1 - first);
  if (cursor != nullptr) mdb_cursor_close(cursor);
  mdb_txn_abort(transaction);
  return code == MDB_NOTFOUND ? 0 : code;
}

Error LmdbEnv::file_id(std::uint64_t& device, std::uint64_t& inode) const {
  mdb_filehandle_t descriptor = -1;
  struct stat status {};
  mdb_env_get_fd(env_, &descriptor);
  if (::fstat(descriptor, &status) != 0) return fail("looking at data.mdb", errno);
  device = status.st_dev;
  inode = status.st_ino;
  return {};
}

}  // namespace cellroute::stores
