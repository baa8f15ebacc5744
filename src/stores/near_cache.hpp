// A mapping store's answers, kept near: what stands behind resolve where asking the store itself
// takes long.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "cellroute/mapping_store.hpp"
#include "cellroute/time.hpp"

namespace cellroute {

// The defaults serve. Durations are in nanoseconds of the `now` that get() is given.
struct NearCacheOptions {
  // The most that is held, 1 to 2^26 keys and at least 1 byte, records and all that goes with them;
  // beside it the keys that calls under way are about, at most 256 a thread. A full cache gives up
  // what was not asked for again (SIEVE).
  std::size_t max_entries = 100'000;
  std::size_t max_bytes = std::size_t{64} << 20;

  // How long a record is served without asking the store, at least 1: up to an eighth less, by a
  // hash of the key, so that keys that came together do not all expire together; never beyond the
  // record's own expiry. Shorter, and another router's write is seen earlier.
  Nanos ttl = 300 * kSecond;

  // The same for ABSENT. For so long a router goes on placing a key by its function although
  // another one has written its mapping. 0: every such get asks the store.
  Nanos negative_ttl = 5 * kSecond;

  // How long beyond `ttl` a record is served where the store fails. 0: not at all.
  Nanos max_stale = 3'600 * kSecond;

  // The longest that a get waits for another thread's question to the store, at least 1: the
  // store's own timeout or a little more.
  Nanos wait = 5 * kSecond;
};

// Since the cache was made. A get is a hit, a miss, or a stale answer that needed no question.
struct NearCacheCounts {
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;     // the store was asked, or another thread's question waited for
  std::uint64_t shared = 0;     // misses that waited for another thread's question
  std::uint64_t stale = 0;      // answers that were the last good one
  std::uint64_t errors = 0;     // questions that the store failed to answer
  std::uint64_t evictions = 0;  // keys given up for room
  std::uint64_t entries = 0;    // keys held now
  std::uint64_t bytes = 0;      // held now
  std::uint64_t waiting = 0;    // threads that wait for another's question now
};

// A store in front of another one. get() and get_many() are answered from what is held, and of all
// threads that miss a key one asks the store; puts go through, and put_if() leaves what it wrote;
// all else goes through. What the store promises, this one promises, but for the age of answers.
//
// get() answers
//   kFound, kAbsent   what the store said less than `ttl` or `negative_ttl` ago, or says now
//   kFound, stale     the store fails, or another thread's question takes longer than `wait`, and
//                     the store said so less than `ttl` + `max_stale` ago; a store that failed is
//                     not asked again for this key within a second
//   kUnknown          likewise, and nothing else may be told: ABSENT is never told stale, since
//                     another router may have written the key's mapping meanwhile
//
// Promise. By (epoch, revision), tombstones included: a get that begins when another call of this
// cache has returned is not answered by an older record than that call gave, wrote, or was given by
// observe or changes; nor, when that was a put that failed or an invalidate, by an older one than
// the store held then. This holds over expiry, eviction and invalidation where a get of the store
// sees every write that was acknowledged before it began. Where it may not, as with replicas, it
// holds while the key is held, and for `ttl` + `max_stale` since its record was last confirmed.
// A purge's `before`, here and elsewhere, must lie further back than that, as for any cached
// answer: a purged key begins anew.
//
// Who reads in order to write may read here: the store checks the put, and after one that fails the
// next get asks the store.
//
// A `now` that steps back keeps nothing for longer than `ttl` + `max_stale` from there on.
// Thread safety and fork: as any store. The store behind may be used directly besides; what is
// written so is seen here as another router's writes are. A store that gets a key through the cache
// while it is asked for that key is asked again, so that no thread waits for itself.
class NearCache : public MappingStore {
 public:
  // What a feed of changes brings, or a writer beside the cache wrote: newer than what is held of
  // its key, it takes that place, and expires when that would have. A key that is not held stays
  // so. changes() does the same by itself.
  //   kInvalidArgument  the record breaks a rule, or has no revision
  virtual Error observe(const MappingRecord& record) = 0;

  // What is held of `key` is not served again, not even stale: the next get asks the store.
  //   kInvalidArgument  the key is not 1 to 1,024 bytes
  virtual Error invalidate(std::string_view key) = 0;

  // Exact where no call is under way. kWrongProcess is the only error.
  virtual Result<NearCacheCounts> counts() const = 0;
};

// kInvalidArgument: there is no store, or an option is out of its range.
Result<std::unique_ptr<NearCache>> make_near_cache(std::shared_ptr<MappingStore> store,
                                                   const NearCacheOptions& options = {});

}  // namespace cellroute
