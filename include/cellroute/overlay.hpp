// Explicit mappings held in memory by a snapshot: key → record, for route()'s second step.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cellroute/hash.hpp"
#include "cellroute/hot_path.hpp"
#include "cellroute/request.hpp"

namespace cellroute {

// An open-addressed table over the key's placement hash; the whole key is compared, so that two
// keys of one hash stay two. Thread safety: immutable once filled; any number of threads may read.
class Overlay {
 public:
  Overlay() : slots_(2) {}

  // Keeps the newest (epoch, revision) of a key, in whatever order changes come. A tombstone is an
  // entry whose answer is kAbsent.
  void add(std::string_view key, std::uint64_t hash, std::uint64_t revision, const Mapped& mapped) {
    if ((entries_.size() + 1) * 2 > slots_.size()) grow();
    Slot& slot = slot_of(key, hash);
    if (slot.entry == 0) {
      slot = {hash, static_cast<std::uint32_t>(entries_.size() + 1)};
      entries_.push_back({std::string(key), revision, mapped});
      return;
    }
    Entry& entry = entries_[slot.entry - 1];
    const bool newer = mapped.epoch != entry.mapped.epoch ? mapped.epoch > entry.mapped.epoch
                                                          : revision > entry.revision;
    if (newer) {
      entry.revision = revision;
      entry.mapped = mapped;
    }
  }

  // The key's entry, or null. `hash` is hash_bytes(placement seed, key). No allocation.
  const Mapped* find(std::string_view key, std::uint64_t hash) const noexcept {
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t at = hash & mask; slots_[at].entry != 0; at = (at + 1) & mask) {
      const Slot& slot = slots_[at];
      if (slot.hash == hash && entries_[slot.entry - 1].key == key) {
        return &entries_[slot.entry - 1].mapped;
      }
    }
    return nullptr;
  }

  std::size_t size() const noexcept { return entries_.size(); }

 private:
  struct Slot {
    std::uint64_t hash = 0;
    std::uint32_t entry = 0;  // place in entries_, plus one; 0: free
  };
  struct Entry {
    std::string key;
    std::uint64_t revision = 0;
    Mapped mapped;
  };

  Slot& slot_of(std::string_view key, std::uint64_t hash) {
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = hash & mask;
    while (slots_[at].entry != 0 &&
           !(slots_[at].hash == hash && entries_[slots_[at].entry - 1].key == key)) {
      at = (at + 1) & mask;
    }
    return slots_[at];
  }

  void grow() {
    std::vector<Slot> old(std::bit_ceil(slots_.size() * 2));
    old.swap(slots_);
    const std::size_t mask = slots_.size() - 1;
    for (const Slot& slot : old) {
      if (slot.entry == 0) continue;
      std::size_t at = slot.hash & mask;
      while (slots_[at].entry != 0) at = (at + 1) & mask;
      slots_[at] = slot;
    }
  }

  std::vector<Slot> slots_;  // a power of two, at most half full
  std::vector<Entry> entries_;
};

}  // namespace cellroute
