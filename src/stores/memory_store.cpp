#include "stores/memory_store.hpp"

#include <absl/container/flat_hash_map.h>

#include <algorithm>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <string>
#include <utility>

#include "stores/cursor.hpp"
#include "stores/fork_guard.hpp"
#include "stores/put_rules.hpp"
#include "stores/random.hpp"

namespace cellroute {
namespace {

using stores::CursorScope;

// Seeded, so that nobody can aim keys at one bucket.
struct KeyHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view key) const noexcept { return hash_bytes(seed, key); }
  std::uint64_t seed;
};

// Without random bytes, two stores' cursors are not told apart and a table is open to flooding:
// not worth an error in a store for tests.
std::uint64_t random_number() {
  std::uint64_t number = 0;
  return stores::fill_random(&number, sizeof number).ok() ? number : 1;
}

class MemoryStore final : public MappingStore {
 public:
  StoreCapabilities capabilities() const noexcept override {
    StoreCapabilities can;
    can.changes = true;
    can.consistent_scan_cell = true;
    return can;
  }

  Lookup get(std::string_view key, Nanos now) override {
    Lookup found;
    found.error = check_get(key);
    if (!found.error.ok()) return found;
    const std::shared_lock lock(mutex_);
    const auto entry = by_key_.find(key);
    if (entry == by_key_.end()) {
      found.answer = Answer::kAbsent;
      found.record.epoch = 0;
      return found;
    }
    found.record = entry->second->record;
    found.answer = found.record.answer(now);
    return found;
  }

  Result<std::uint64_t> put_if(const MappingRecord& record, std::uint64_t expected) override {
    if (Error error = fork_.check(); !error.ok()) return error;
    if (Error error = stores::check_record(record); !error.ok()) return error;
    const std::unique_lock lock(mutex_);
    const auto found = by_key_.find(record.key);
    const MappingRecord* stored = found == by_key_.end() ? nullptr : &found->second->record;
    if (Error error = stores::check_successor(stored, record, expected); !error.ok()) return error;
    Entry& entry = stored == nullptr ? add(record.key) : *found->second;
    unlink(entry);
    entry.record = record;
    entry.record.revision = expected + 1;
    entry.sequence = ++last_sequence_;
    link(entry);
    return expected + 1;
  }

  Result<Page> scan(const Cursor& cursor, std::size_t limit, Nanos now) override {
    if (Error error = check_page(limit); !error.ok()) return error;
    const CursorScope scope('s', store_id_);
    const Result<std::uint64_t> after = scope.number(cursor);
    if (!after.ok()) return after.error();
    const std::shared_lock lock(mutex_);
    return found_page(by_id_, limit, scope, *after, now);
  }

  Result<Page> scan_cell(std::string_view cell, const Cursor& cursor, std::size_t limit,
                         Nanos now) override {
    if (Error error = check_page(limit); !error.ok()) return error;
    if (Error error = stores::check_cell(cell); !error.ok()) return error;
    const CursorScope scope('c', store_id_, cell);
    const Result<std::uint64_t> after = scope.number(cursor);
    if (!after.ok()) return after.error();
    const std::shared_lock lock(mutex_);
    const auto entries = by_cell_.find(cell);
    if (entries == by_cell_.end()) return Page{{}, scope.make(*after), true};
    return found_page(entries->second, limit, scope, *after, now);
  }

  Result<Page> changes(const Cursor& cursor, std::size_t limit) override {
    if (Error error = check_page(limit); !error.ok()) return error;
    const std::shared_lock lock(mutex_);
    Result<stores::FeedPlace> place =
        stores::feed_place(cursor, store_id_, last_sequence_, forgotten_through_);
    if (!place.ok()) return place.error();
    Page changed;
    place->sequence = fill(changed, by_sequence_.upper_bound(place->sequence), by_sequence_.end(),
                           limit, place->sequence, [](const Entry&) { return true; });
    changed.next = place->make(store_id_);
    return changed;
  }

  Result<std::size_t> purge(Nanos before, std::size_t limit) override {
    if (Error error = check_page(limit); !error.ok()) return error;
    const std::unique_lock lock(mutex_);
    const std::size_t most = std::min(limit, kMaxPageRecords);
    std::size_t purged = 0;
    while (purged < most && !by_expiry_.empty() && by_expiry_.begin()->first.first <= before) {
      Entry& entry = *by_expiry_.begin()->second;
      if (entry.record.deleted) forgotten_through_ = std::max(forgotten_through_, entry.sequence);
      unlink(entry);
      by_id_.erase(entry.id);
      by_key_.erase(by_key_.find(entry.record.key));
      ++purged;
    }
    return purged;
  }

 private:
  struct Entry {
    std::uint64_t id = 0;  // in the order of the keys' first writes: the order of scans
    std::uint64_t sequence = 0;
    MappingRecord record;
  };
  using ById = std::map<std::uint64_t, Entry*>;

  Error check_get(std::string_view key) const {
    if (Error error = fork_.check(); !error.ok()) return error;
    return stores::check_key(key);
  }

  Error check_page(std::size_t limit) const {
    if (Error error = fork_.check(); !error.ok()) return error;
    return stores::check_limit(limit);
  }

  // An entry that is in no index but that of the ids.
  Entry& add(const std::string& key) {
    auto entry = std::make_unique<Entry>();
    entry->id = ++last_id_;
    Entry& added = *entry;
    by_id_.emplace(added.id, &added);
    by_key_.emplace(key, std::move(entry));
    return added;
  }

  void link(Entry& entry) {
    const MappingRecord& record = entry.record;
    by_sequence_.emplace(entry.sequence, &entry);
    by_cell_[record.cell].emplace(entry.id, &entry);
    if (!record.target.empty()) by_cell_[record.target].emplace(entry.id, &entry);
    if (record.expires != 0) by_expiry_.emplace(std::pair(record.expires, entry.id), &entry);
  }

  void unlink(const Entry& entry) {
    by_sequence_.erase(entry.sequence);
    by_expiry_.erase(std::pair(entry.record.expires, entry.id));
    leave(entry.record.cell, entry.id);
    leave(entry.record.target, entry.id);
  }

  void leave(const std::string& cell, std::uint64_t id) {
    const auto entries = by_cell_.find(cell);
    if (entries == by_cell_.end()) return;
    entries->second.erase(id);
    if (entries->second.empty()) by_cell_.erase(entries);
  }

  static Page found_page(const ById& entries, std::size_t limit, const CursorScope& scope,
                         std::uint64_t after, Nanos now) {
    Page page;
    after = fill(page, entries.upper_bound(after), entries.end(), limit, after,
                 [now](const Entry& entry) { return entry.record.answer(now) == Answer::kFound; });
    page.next = scope.make(after);
    return page;
  }

  // Returns the number of the last entry that was looked at, `after` where there was none.
  template <class Wanted>
  static std::uint64_t fill(Page& page, ById::const_iterator at, ById::const_iterator end,
                            std::size_t limit, std::uint64_t after, Wanted wanted) {
    const std::size_t most = std::min(limit, kMaxPageRecords);
    std::size_t walked = 0;
    for (; at != end && page.records.size() < most && walked < stores::kMaxPageWalk; ++at) {
      after = at->first;
      ++walked;
      if (wanted(*at->second)) page.records.push_back(at->second->record);
    }
    page.done = at == end;
    return after;
  }

  const stores::ForkGuard fork_;
  const std::uint64_t store_id_ = random_number();
  std::shared_mutex mutex_;  // guards all below
  absl::flat_hash_map<std::string, std::unique_ptr<Entry>, KeyHash, std::equal_to<>> by_key_{
      0, KeyHash{random_number()}};
  ById by_id_;
  ById by_sequence_;
  std::map<std::string, ById, std::less<>> by_cell_;
  std::map<std::pair<Nanos, std::uint64_t>, Entry*> by_expiry_;
  std::uint64_t last_id_ = 0;
  std::uint64_t last_sequence_ = 0;
  std::uint64_t forgotten_through_ = 0;
};

}  // namespace

std::unique_ptr<MappingStore> make_memory_store() { return std::make_unique<MemoryStore>(); }

}  // namespace cellroute
