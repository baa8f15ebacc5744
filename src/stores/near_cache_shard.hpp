// A part of the near cache, with a lock of its own: the keys of some hashes, what is known of them,
// and the questions to the store that are under way.
//
// The lock is never held while the store is asked. Instead the key's entry is pinned, so that what
// others learn of the key meanwhile stays and the answer can be held against it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>

#include "cellroute/hash.hpp"
#include "cellroute/mapping_store.hpp"
#include "stores/near_cache.hpp"
#include "stores/sieve.hpp"

namespace cellroute::stores {

using SharedRecord = std::shared_ptr<const MappingRecord>;

struct HashedKey {
  std::string_view bytes;
  std::uint64_t hash = 0;
};

// What a get is to answer: a record (revision 0: there is none), with an error where it is stale;
// an error alone where nothing is known.
struct Held {
  SharedRecord record;
  Error error;
};

// A question to the store that others wait for. The shard's lock guards it.
struct Flight {
  const std::thread::id asker = std::this_thread::get_id();
  std::uint64_t era = 0;
  std::uint64_t waiters = 0;
  bool ended = false;
  Held held;  // when it has ended
  std::condition_variable end;
};

class NearCacheShard {
  // Of what was never confirmed, or never failed.
  static constexpr Nanos kNever = std::numeric_limits<Nanos>::min();

  // Without a record only while it is pinned.
  struct Entry : SieveLinks {
    std::string_view key;  // the table's
    std::uint64_t hash = 0;
    SharedRecord record;       // the newest known, served or not
    Nanos confirmed = kNever;  // when the store said that, or what it replaced
    Nanos failed = kNever;     // when it last failed
    bool doubted = true;       // the record is not served, and only holds older ones off
    std::uint32_t pins = 0;
    std::uint64_t era = 0;           // rises with each doubt: no question of before lifts it
    std::shared_ptr<Flight> flight;  // the question to wait for
    std::size_t bytes = 0;
  };

 public:
  NearCacheShard(const NearCacheOptions& options, std::size_t max_entries, std::size_t max_bytes,
                 std::uint64_t seed);
  NearCacheShard(const NearCacheShard&) = delete;
  NearCacheShard& operator=(const NearCacheShard&) = delete;

  // A question to the store, or a write, that the caller is to make and then to settle() or fail();
  // left alone, it counts as failed. Thread safety: one thread at a time.
  class Asking {
   public:
    Asking() = default;
    Asking(Asking&& other) noexcept;
    Asking& operator=(Asking&& other) = delete;
    ~Asking();

    explicit operator bool() const noexcept { return shard_ != nullptr; }

    // The store answered, or took, `record`. What is to be answered: the newest known.
    Held settle(SharedRecord record);
    // The store failed to answer. What is to be answered.
    Held fail(Error error);
    // It is not known what became of the write.
    void doubt();

   private:
    friend class NearCacheShard;

    NearCacheShard* shard_ = nullptr;
    Entry* entry_ = nullptr;
    Nanos since_ = 0;
    std::uint64_t era_ = 0;
    std::uint64_t purges_ = 0;
    std::shared_ptr<Flight> flight_;  // null: nobody waits for this
  };

  // What a get begins with: a question to ask; another's to wait for, and what to answer if that
  // takes too long; or else the answer.
  struct Begun {
    Held held;
    Asking asking;
    std::shared_ptr<Flight> flight;
  };

  Begun begin_get(const HashedKey& key, Nanos now);
  Held wait(Begun& begun, std::chrono::steady_clock::time_point until);
  Asking begin_put(const HashedKey& key);

  // `record`, as `revision`, if its key is held and it is newer.
  void learn(const HashedKey& key, const MappingRecord& record, std::uint64_t revision);
  void invalidate(const HashedKey& key) noexcept;
  // Forgets what expired at or before `before`.
  void purge(Nanos before) noexcept;
  void add_to(NearCacheCounts& counts) const;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(const HashedKey& key) const noexcept { return key.hash; }
    std::size_t operator()(const std::string& key) const noexcept { return hash_bytes(seed, key); }
    std::uint64_t seed;
  };
  struct Equal {
    using is_transparent = void;
    bool operator()(const HashedKey& a, const std::string& b) const noexcept {
      return a.bytes == b;
    }
    bool operator()(const std::string& a, const HashedKey& b) const noexcept {
      return a == b.bytes;
    }
    bool operator()(const std::string& a, const std::string& b) const noexcept { return a == b; }
  };

  Entry& add(const HashedKey& key);
  Entry* find(const HashedKey& key) noexcept;
  void remove(Entry& entry) noexcept;
  void shrink() noexcept;

  Nanos age(Entry& entry, Nanos now) noexcept;
  Nanos lifetime(const Entry& entry, Nanos ttl) const noexcept;
  bool lapsed(Entry& entry, Nanos now) noexcept;
  bool fresh(Entry& entry, Nanos now) noexcept;
  bool good_when_stale(Entry& entry, Nanos now) noexcept;
  bool serve(Entry& entry, Nanos now, Held& held);

  bool purged(const MappingRecord& record) const noexcept {
    return record.expires != 0 && record.expires <= purged_;
  }
  void set(Entry& entry, SharedRecord record) noexcept;
  void forget(Entry& entry) noexcept;
  void doubt(Entry& entry) noexcept;
  Asking pin(Entry& entry, Nanos since, std::shared_ptr<Flight> flight) noexcept;
  void unpin(Asking& asking, Held& held) noexcept;

  Held settle(Asking& asking, SharedRecord record);
  Held fail(Asking& asking, Error error);
  void abandon(Asking& asking) noexcept;

  const NearCacheOptions& options_;
  const std::size_t max_entries_;
  const std::size_t max_bytes_;

  mutable std::mutex mutex_;  // guards all below
  std::unordered_map<std::string, Entry, Hash, Equal> entries_;
  Sieve<Entry> sieve_;
  std::size_t bytes_ = 0;
  Nanos now_ = kNever;     // the last that a get was given
  Nanos purged_ = kNever;  // what expired by then is forgotten for good
  std::uint64_t purges_ = 0;
  NearCacheCounts counts_;
};

}  // namespace cellroute::stores
