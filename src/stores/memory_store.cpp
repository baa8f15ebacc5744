#include "stores/memory_store.hpp"

#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <utility>

#include "stores/cursor.hpp"
#include "stores/fork_guard.hpp"
#include "stores/put_rules.hpp"
#include "stores/random.hpp"

namespace cellroute {
namespace {

using stores::CursorScope;

// Without random bytes, two stores' cursors are not told apart: not worth an error in a store for
// tests.
std::uint64_t random_number() {
  std::uint64_t number = 0;
  return stores::fill_random(&number, sizeof number).ok() ? number : 1;
}

// Immutable: a write makes a new one, so that one that fails changes nothing.
struct Entry {
  std::uint64_t id = 0;  // in the order of the keys' first writes: the order of scans
  std::uint64_t sequence = 0;
  MappingRecord record;
};

// The entries in all orders but those that a key keeps, of one entry or all. Views are of the
// entries' own strings.
class Indexes {
 public:
  using BySequence = std::map<std::uint64_t, const Entry*>;
  using ByCell = std::map<std::pair<std::string_view, std::uint64_t>, const Entry*>;
  using ByExpiry = std::map<std::pair<Nanos, std::uint64_t>, const Entry*>;

  const BySequence& by_sequence() const { return by_sequence_; }
  const ByCell& by_cell() const { return by_cell_; }
  const ByExpiry& by_expiry() const { return by_expiry_; }

  void add(const Entry& entry) {
    const MappingRecord& record = entry.record;
    by_sequence_.emplace(entry.sequence, &entry);
    by_cell_.emplace(std::pair(std::string_view(record.cell), entry.id), &entry);
    if (!record.target.empty()) {
      by_cell_.emplace(std::pair(std::string_view(record.target), entry.id), &entry);
    }
    if (record.expires != 0) by_expiry_.emplace(std::pair(record.expires, entry.id), &entry);
  }

  void remove(const Entry& entry) noexcept {
    by_sequence_.erase(entry.sequence);
    by_cell_.erase({entry.record.cell, entry.id});
    by_cell_.erase({entry.record.target, entry.id});
    by_expiry_.erase({entry.record.expires, entry.id});
  }

  void take(Indexes& others) noexcept {
    by_sequence_.merge(others.by_sequence_);
    by_cell_.merge(others.by_cell_);
    by_expiry_.merge(others.by_expiry_);
  }

 private:
  BySequence by_sequence_;
  ByCell by_cell_;
  ByExpiry by_expiry_;
};

class MemoryStore final : public MappingStore {
 public:
  StoreCapabilities capabilities() const noexcept override {
    StoreCapabilities can;
    can.changes = true;
    can.ordered_changes = true;
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
    const bool is_new = found == by_key_.end();
    const MappingRecord* stored = is_new ? nullptr : &found->second->record;
    if (Error error = stores::check_successor(stored, record, expected); !error.ok()) return error;
    auto next = std::make_unique<Entry>();
    next->id = is_new ? last_id_ + 1 : found->second->id;
    next->sequence = last_sequence_ + 1;
    next->record = record;
    next->record.revision = expected + 1;
    Indexes places;
    places.add(*next);
    if (is_new) {
      add(std::move(next));
    } else {
      replace(found->second, std::move(next));
    }
    indexes_.take(places);
    ++last_sequence_;
    return expected + 1;
  }

  Result<Page> scan(const Cursor& cursor, std::size_t limit, Nanos now) override {
    if (Error error = check_page(limit); !error.ok()) return error;
    const CursorScope scope('s', store_id_);
    const Result<std::uint64_t> after = scope.number(cursor);
    if (!after.ok()) return after.error();
    const std::shared_lock lock(mutex_);
    return found_page(by_id_.upper_bound(*after), by_id_.end(), limit, scope, *after, now);
  }

  Result<Page> scan_cell(std::string_view cell, const Cursor& cursor, std::size_t limit,
                         Nanos now) override {
    if (Error error = check_page(limit); !error.ok()) return error;
    if (Error error = stores::check_cell(cell); !error.ok()) return error;
    const CursorScope scope('c', store_id_, cell);
    const Result<std::uint64_t> after = scope.number(cursor);
    if (!after.ok()) return after.error();
    const std::shared_lock lock(mutex_);
    const Indexes::ByCell& entries = indexes_.by_cell();
    return found_page(entries.upper_bound({cell, *after}), entries.upper_bound({cell, kLastId}),
                      limit, scope, *after, now);
  }

  Result<Page> changes(const Cursor& cursor, std::size_t limit) override {
    if (Error error = check_page(limit); !error.ok()) return error;
    const std::shared_lock lock(mutex_);
    Result<stores::FeedPlace> place =
        stores::feed_place(cursor, feed_id_, last_sequence_, forgotten_through_);
    if (!place.ok()) return place.error();
    Page changed;
    const Indexes::BySequence& entries = indexes_.by_sequence();
    place->sequence = fill(changed, entries.upper_bound(place->sequence), entries.end(), limit,
                           place->sequence, [](const Entry&) { return true; });
    changed.next = place->make(feed_id_);
    return changed;
  }

  Error renew_feed() override {
    if (Error error = fork_.check(); !error.ok()) return error;
    const std::unique_lock lock(mutex_);
    feed_id_ = random_number();
    return {};
  }

  Result<std::size_t> purge(Nanos before, std::size_t limit) override {
    if (Error error = check_page(limit); !error.ok()) return error;
    const std::unique_lock lock(mutex_);
    const std::size_t most = std::min(limit, kMaxPageRecords);
    std::size_t purged = 0;
    const Indexes::ByExpiry& entries = indexes_.by_expiry();
    while (purged < most && !entries.empty() && entries.begin()->first.first <= before) {
      const Entry& entry = *entries.begin()->second;
      if (entry.record.deleted) forgotten_through_ = std::max(forgotten_through_, entry.sequence);
      indexes_.remove(entry);
      by_id_.erase(entry.id);
      by_key_.erase(by_key_.find(entry.record.key));
      ++purged;
    }
    return purged;
  }

 private:
  using ByKey = std::map<std::string, std::unique_ptr<const Entry>, std::less<>>;
  using ById = std::map<std::uint64_t, const Entry*>;

  static constexpr std::uint64_t kLastId = std::numeric_limits<std::uint64_t>::max();

  Error check_get(std::string_view key) const {
    if (Error error = fork_.check(); !error.ok()) return error;
    return stores::check_key(key);
  }

  Error check_page(std::size_t limit) const {
    if (Error error = fork_.check(); !error.ok()) return error;
    return stores::check_limit(limit);
  }

  void add(std::unique_ptr<const Entry> entry) {
    ById id{{entry->id, entry.get()}};
    ByKey key;
    key.emplace(entry->record.key, std::move(entry));
    by_id_.merge(id);  // from here on nothing fails
    by_key_.merge(key);
    ++last_id_;
  }

  void replace(std::unique_ptr<const Entry>& place, std::unique_ptr<const Entry> entry) noexcept {
    indexes_.remove(*place);
    by_id_.find(entry->id)->second = entry.get();
    place = std::move(entry);
  }

  template <class At>
  static Page found_page(At at, At end, std::size_t limit, const CursorScope& scope,
                         std::uint64_t after, Nanos now) {
    Page page;
    after = fill(page, at, end, limit, after,
                 [now](const Entry& entry) { return entry.record.answer(now) == Answer::kFound; });
    page.next = scope.make(after);
    return page;
  }

  static std::uint64_t number_of(std::uint64_t number) { return number; }
  static std::uint64_t number_of(const Indexes::ByCell::key_type& place) { return place.second; }

  // Returns the number of the last entry that was looked at, `after` where there was none.
  template <class At, class Wanted>
  static std::uint64_t fill(Page& page, At at, At end, std::size_t limit, std::uint64_t after,
                            Wanted wanted) {
    const std::size_t most = std::min(limit, kMaxPageRecords);
    std::size_t walked = 0;
    for (; at != end && page.records.size() < most && walked < stores::kMaxPageWalk; ++at) {
      after = number_of(at->first);
      ++walked;
      if (wanted(*at->second)) page.records.push_back(at->second->record);
    }
    page.done = at == end;
    return after;
  }

  const stores::ForkGuard fork_;
  const std::uint64_t store_id_ = random_number();
  std::shared_mutex mutex_;  // guards all below
  std::uint64_t feed_id_ = store_id_;
  ByKey by_key_;
  ById by_id_;
  Indexes indexes_;
  std::uint64_t last_id_ = 0;
  std::uint64_t last_sequence_ = 0;
  std::uint64_t forgotten_through_ = 0;
};

}  // namespace

std::unique_ptr<MappingStore> make_memory_store() { return std::make_unique<MemoryStore>(); }

}  // namespace cellroute
