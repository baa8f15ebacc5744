// An LMDB environment as this process has it: one a file, shared by whoever opens it again.
#pragma once

#include <lmdb.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "cellroute/status.hpp"
#include "cellroute/time.hpp"
#include "stores/fork_guard.hpp"
#include "stores/lmdb_files.hpp"
#include "stores/open_store.hpp"
#include "stores/record_codec.hpp"
#include "stores/writer_lock.hpp"

namespace cellroute::stores {

// The trees of the file. Records lie in the unnamed one, which a transaction finds without a
// look-up of its root; the names of the others lie there too, before every record.
struct LmdbTrees {
  MDB_dbi records = 0;  // store key → sequence number, checksum and record
  MDB_dbi cells = 0;    // cell → store keys of the records that are or go there (sorted)
  MDB_dbi changes = 0;  // sequence number → store key; each key once
  MDB_dbi expiry = 0;   // time of expiry → store keys (sorted)
};

// What the file said of itself when it was opened.
struct LmdbIdentity {
  std::uint64_t store_id = 0;
  std::uint64_t hash_seed = 0;
};

// Thread safety: every call, from any thread.
class LmdbEnv {
 public:
  // A transaction that sees one state of the store. Kept short: while it lives, the pages of that
  // state cannot be used again. It holds one of the environment's reader slots.
  class Reader {
   public:
    Reader() = default;
    ~Reader() { end(); }
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;

    MDB_txn* transaction() const noexcept { return transaction_; }
    RecordCodec& codec() const noexcept { return *codec_; }
    void end() noexcept;

   private:
    friend class LmdbEnv;
    std::unique_lock<std::mutex> slot_;
    MDB_txn* transaction_ = nullptr;
    RecordCodec* codec_ = nullptr;
  };

  explicit LmdbEnv(LmdbFiles files) : files_(std::move(files)) {}
  ~LmdbEnv();
  LmdbEnv(const LmdbEnv&) = delete;
  LmdbEnv& operator=(const LmdbEnv&) = delete;

  // Once, before all else. Makes the data file if there is none and `options.create`.
  Error open(const StoreOptions& options);

  const LmdbTrees& trees() const noexcept { return trees_; }
  const LmdbIdentity& identity() const noexcept { return identity_; }
  const std::string& directory() const noexcept { return files_.directory; }
  Error check_process() const { return fork_.check(); }

  // The device and inode of the data file.
  Error file_id(std::uint64_t& device, std::uint64_t& inode) const;

  Error read(Reader& reader);

  // Runs `work` in a write transaction, alone among threads and processes, and commits it when
  // `work` returns 0: then it is on the disk. Any other return gives it up: kGiveUp quietly (the
  // caller knows why), an LMDB code as the error. `work` runs again from the start when the map had
  // to grow, so it must begin by forgetting what it did.
  static constexpr int kGiveUp = -1;
  using Work = std::function<int(MDB_txn* transaction, RecordCodec& codec)>;
  Error write(Nanos timeout, const Work& work);

 private:
  struct alignas(64) Slot {
    std::mutex mutex;
    MDB_txn* transaction = nullptr;
    RecordCodec codec;
  };
  static constexpr std::size_t kSlots = 32;

  Error create(const StoreOptions& options);
  Error open_environment(const StoreOptions& options);
  int begin_first_read(MDB_txn** transaction);
  Error open_trees();
  Error check_missing_pages();
  int missing_are_free(std::uint64_t first, std::uint64_t last, bool& sound);
  Slot& take_slot(std::unique_lock<std::mutex>& lock);
  int begin_read(Slot& slot);
  Error adopt_map();
  Error grow_map();
  Error set_map(std::size_t bytes);
  int try_write(const Work& work);
  Error fail(std::string_view doing, int code) const;

  const LmdbFiles files_;
  const ForkGuard fork_;
  MDB_env* env_ = nullptr;
  LmdbTrees trees_;
  LmdbIdentity identity_;
  std::size_t max_map_bytes_ = 0;
  Nanos timeout_ = 0;
  std::atomic<bool> unmapped_{false};  // the system gave no address space: nothing works
  WriterLock writer_;
  RecordCodec writer_codec_;  // under writer_
  std::array<Slot, kSlots> slots_;
};

// The environment of the file below `path`: this process's own if it has it open, else opened now.
// It is closed when the last holder lets it go.
Result<std::shared_ptr<LmdbEnv>> share_lmdb_env(std::string_view path, const StoreOptions& options);

}  // namespace cellroute::stores
