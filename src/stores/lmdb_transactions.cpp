// The part of LmdbEnv that runs transactions: reader slots, the one writer, and the growing map.
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <string>

#include "stores/lmdb_env.hpp"
#include "stores/lmdb_error.hpp"

namespace cellroute::stores {
namespace {

// A small number a thread, so that threads begin their search for a slot at different ones.
unsigned thread_number() noexcept {
  static std::atomic<unsigned> last{0};
  thread_local const unsigned number = last.fetch_add(1, std::memory_order_relaxed);
  return number;
}

// Would the system map so much? LMDB gives its old map up before it asks.
bool can_map(std::size_t bytes) {
  void* place =
      ::mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return place != MAP_FAILED && ::munmap(place, bytes) == 0;
}

}  // namespace

void LmdbEnv::Reader::end() noexcept {
  if (transaction_ == nullptr) return;
  mdb_txn_reset(transaction_);
  transaction_ = nullptr;
  slot_.unlock();
}

Error LmdbEnv::read(Reader& reader) {
  if (Error error = fork_.check(); !error.ok()) return error;
  for (bool reader_check = false;;) {
    std::unique_lock<std::mutex> lock;
    Slot& slot = take_slot(lock);
    if (unmapped_) return fail("reading", ENOMEM);
    const int code = begin_read(slot);
    if (code == 0) {
      reader.slot_ = std::move(lock);
      reader.transaction_ = slot.transaction;
      reader.codec_ = &slot.codec;
      return {};
    }
    lock.unlock();
    if (code == MDB_MAP_RESIZED) {
      if (Error error = adopt_map(); !error.ok()) return error;
    } else if (code == MDB_READERS_FULL && !reader_check) {
      reader_check = true;
      int dead = 0;
      mdb_reader_check(env_, &dead);
    } else {
      return fail("reading", code);
    }
  }
}

LmdbEnv::Slot& LmdbEnv::take_slot(std::unique_lock<std::mutex>& lock) {
  const std::size_t first = thread_number();
  for (std::size_t i = 0; i < kSlots; ++i) {
    Slot& slot = slots_[(first + i) % kSlots];
    lock = std::unique_lock(slot.mutex, std::try_to_lock);
    if (lock.owns_lock()) return slot;
  }
  Slot& slot = slots_[first % kSlots];
  lock = std::unique_lock(slot.mutex);
  return slot;
}

int LmdbEnv::begin_read(Slot& slot) {
  if (slot.transaction != nullptr) return mdb_txn_renew(slot.transaction);
  return mdb_txn_begin(env_, nullptr, MDB_RDONLY, &slot.transaction);
}

// Another process made the map larger.
Error LmdbEnv::adopt_map() {
  WriterLock::Hold hold;
  Error error = writer_.acquire(hold, timeout_, WriterLock::Against::kThreads);
  return error.ok() ? set_map(0) : error;
}

// Precondition: the writer's lock, and no write transaction.
Error LmdbEnv::grow_map() {
  MDB_envinfo info{};
  mdb_env_info(env_, &info);
  if (info.me_mapsize >= max_map_bytes_) {
    return store_error(ErrorCode::kResourceExhausted, files_.directory,
                       "the map is full at max_map_bytes, " + std::to_string(max_map_bytes_) +
                           "; raise that, or purge what has expired");
  }
  return set_map(info.me_mapsize < max_map_bytes_ / 2 ? info.me_mapsize * 2 : max_map_bytes_);
}

// Precondition: the writer's lock among threads. LMDB may replace its map only while this process
// has no transaction, so every slot is taken first. 0: as large as the file's header says.
Error LmdbEnv::set_map(std::size_t bytes) {
  std::array<std::unique_lock<std::mutex>, kSlots> locks;
  for (std::size_t i = 0; i < kSlots; ++i) locks[i] = std::unique_lock(slots_[i].mutex);
  if (unmapped_) return fail("mapping data.mdb", ENOMEM);
  if (bytes != 0 && !can_map(bytes)) {
    return fail("mapping " + std::to_string(bytes) + " bytes", ENOMEM);
  }
  const int code = mdb_env_set_mapsize(env_, bytes);
  if (code == 0) return {};
  unmapped_ = true;  // LMDB has no map now, and would follow a null pointer
  return fail("mapping data.mdb", code);
}

Error LmdbEnv::write(Nanos timeout, const Work& work) {
  if (Error error = fork_.check(); !error.ok()) return error;
  WriterLock::Hold hold;
  if (Error error = writer_.acquire(hold, timeout); !error.ok()) return error;
  for (;;) {
    if (unmapped_) return fail("writing", ENOMEM);
    const int code = try_write(work);
    if (code == 0 || code == kGiveUp) return {};
    Error error;
    if (code == MDB_MAP_RESIZED) {
      error = set_map(0);
    } else if (code == MDB_MAP_FULL) {
      error = grow_map();
    } else {
      error = fail("writing", code);
    }
    if (!error.ok()) return error;
  }
}

int LmdbEnv::try_write(const Work& work) {
  MDB_txn* transaction = nullptr;
  if (const int code = mdb_txn_begin(env_, nullptr, 0, &transaction); code != 0) return code;
  std::unique_ptr<MDB_txn, decltype(&mdb_txn_abort)> abort(transaction, &mdb_txn_abort);
  if (const int code = work(transaction, writer_codec_); code != 0) return code;
  return mdb_txn_commit(abort.release());
}

}  // namespace cellroute::stores
