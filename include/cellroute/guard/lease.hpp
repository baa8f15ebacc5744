// Leases: tokens of a fleet's limit that a router holds ahead, one word a key.
//
// The word: until when (40 bits, in ticks of 2^26 ns, rounded down), tokens left (24). It is given
// out by the keeper (control/lease_keeper.hpp) and spent by compare-and-set: never more than was
// granted, and nothing once its time is over. Who finds it over closes it: the tokens stay for the
// keeper to give back, and no clock that steps back opens it again.
//
// A table of them lies in fixed memory and without pointers: a key is one of the eight entries from
// its hash on, and known by all 64 bits of a hash keyed with the guard region's seed. The path only
// claims entries, the keeper alone frees them, when they have been idle for long. A thread that
// slept on the path all that while charges at worst one request to the entry's next key.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "cellroute/guard/layout.hpp"
#include "cellroute/guard/limit.hpp"
#include "cellroute/key.hpp"
#include "cellroute/time.hpp"

namespace cellroute::guard {

inline constexpr std::uint32_t kLeaseProbes = 8;
inline constexpr std::uint32_t kMaxLeaseEntries = 1u << 20;
inline constexpr std::uint64_t kMaxLease = (1u << 24) - 1;

constexpr std::uint64_t lease_of(Nanos until, std::uint64_t tokens) noexcept {
  return nanos_of(until) >> 26 << 24 | tokens;
}
constexpr std::uint64_t lease_left(std::uint64_t lease) noexcept { return lease & kMaxLease; }
constexpr bool lease_over(std::uint64_t lease, Nanos now) noexcept {
  return nanos_of(now) >> 26 >= lease >> 24;
}

struct alignas(kLine) LeaseEntry {
  Word tag;      // the key's hash; 0: free
  Word lease;    // see above; without a time: closed
  Word spent;    // without a lease, since the keeper last looked
  Word refused;  // since then
  Word closed;   // until when, in nanoseconds, the store has no more for the key
  Word about;    // 1, the plan's number << 1, the key's length << 17: the key's bytes are there
  Word padding[2];
};

struct alignas(kLine) LeaseHeader {
  Word away;       // 1: the store does not answer
  Word strangers;  // admitted for keys that found no entry: in no store's count
  Word padding[6];
};

static_assert(sizeof(LeaseEntry) == 64 && sizeof(LeaseHeader) == 64);

constexpr std::uint16_t plan_of(std::uint64_t about) noexcept {
  return static_cast<std::uint16_t>(about >> 1);
}

// Thread safety: any number of threads of one process; free() the keeper's alone.
class LeaseTable {
 public:
  static constexpr std::size_t bytes(std::uint32_t entries) noexcept {
    return sizeof(LeaseHeader) + std::size_t{entries} * (sizeof(LeaseEntry) + kMaxKeyBytes);
  }

  // `memory` is zero, aligned to 64 and of bytes(entries); `entries` a power of two.
  LeaseTable(std::byte* memory, std::uint32_t entries) noexcept
      : header_(reinterpret_cast<LeaseHeader*>(memory)),
        entries_(reinterpret_cast<LeaseEntry*>(memory + sizeof(LeaseHeader))),
        keys_(reinterpret_cast<char*>(entries_ + entries)),
        count_(entries) {}

  LeaseHeader& header() const noexcept { return *header_; }
  std::span<LeaseEntry> entries() const noexcept { return {entries_, count_}; }
  // Precondition: entries()[i].about says that it is there, and how long.
  std::string_view key(std::size_t i, std::uint64_t about) const noexcept {
    return {keys_ + i * kMaxKeyBytes, static_cast<std::size_t>(about >> 17)};
  }

  // The entry of `hash` (not 0), or null.
  LeaseEntry* find(std::uint64_t hash) const noexcept {
    for (std::uint32_t i = 0; i < kLeaseProbes; ++i) {
      LeaseEntry& entry = entries_[(hash + i) & (count_ - 1)];
      if (entry.tag.load(std::memory_order_acquire) == hash) return &entry;
    }
    return nullptr;
  }

  // A free entry for a key without one; null where all eight are others'.
  LeaseEntry* claim(std::uint64_t hash, std::string_view key, std::uint16_t plan) const noexcept {
    for (std::uint32_t i = 0; i < kLeaseProbes; ++i) {
      const std::size_t at = (hash + i) & (count_ - 1);
      std::uint64_t found = 0;
      if (entries_[at].tag.compare_exchange_strong(found, hash, std::memory_order_acq_rel)) {
        std::memcpy(keys_ + at * kMaxKeyBytes, key.data(), key.size());
        const std::uint64_t about = 1 | std::uint64_t{plan} << 1 | key.size() << 17;
        entries_[at].about.store(about, std::memory_order_release);
        return &entries_[at];
      }
      if (found == hash) return &entries_[at];
    }
    return nullptr;
  }

  // Precondition: its lease is 0 and its counts have been read.
  void free(LeaseEntry& entry) const noexcept {
    entry.closed.store(0, std::memory_order_relaxed);
    entry.about.store(0, std::memory_order_relaxed);
    entry.tag.store(0, std::memory_order_release);
  }

 private:
  LeaseHeader* header_;
  LeaseEntry* entries_;
  char* keys_;
  std::size_t count_;
};

// Spends one token of `hash`'s lease; `lease` is the word then. The tag is looked at after the word
// was read, so that the compare-and-set holds only while that word is the key's.
inline bool spend_lease(LeaseEntry& entry, std::uint64_t hash, Nanos now,
                        std::uint64_t& lease) noexcept {
  lease = entry.lease.load(std::memory_order_acquire);
  for (;;) {
    const std::uint64_t left = lease_left(lease);
    if (left == 0 || entry.tag.load(std::memory_order_acquire) != hash) return false;
    const bool over = lease_over(lease, now);
    if (over && lease == left) return false;
    const std::uint64_t next = over ? left : lease - 1;
    if (entry.lease.compare_exchange_weak(lease, next, std::memory_order_acq_rel)) {
      lease = next;
      return !over;
    }
  }
}

// Gives one back that was spent when the word became `lease`; where that lease is not there any
// more it stays spent.
inline void unspend_lease(LeaseEntry& entry, std::uint64_t lease) noexcept {
  std::uint64_t state = entry.lease.load(std::memory_order_relaxed);
  while (state >> 24 == lease >> 24 && lease_left(state) < kMaxLease) {
    if (entry.lease.compare_exchange_weak(state, state + 1, std::memory_order_acq_rel)) return;
  }
}

}  // namespace cellroute::guard
