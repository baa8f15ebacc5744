#include "stores/near_cache_shard.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

namespace cellroute::stores {
namespace {

// So long a store that failed is not asked again for a key that has a good answer.
constexpr Nanos kRetry = kSecond;

std::size_t heap_bytes(const std::string& text) noexcept {
  static const std::size_t inside = std::string().capacity();
  return text.capacity() > inside ? text.capacity() + 1 : 0;
}

std::size_t heap_bytes(const MappingRecord& record) noexcept {
  std::size_t bytes = sizeof record + 2 * sizeof(void*);
  for (const std::string* text :
       {&record.key, &record.cell, &record.target, &record.unknown_fields}) {
    bytes += heap_bytes(*text);
  }
  if (record.profile) {
    const MappedProfile& profile = *record.profile;
    bytes += heap_bytes(profile.tier) + heap_bytes(profile.region) + heap_bytes(profile.plan) +
             profile.flags.capacity() * sizeof(std::string);
    for (const std::string& flag : profile.flags) bytes += heap_bytes(flag);
  }
  bytes += record.history.capacity() * sizeof(HistoryEntry);
  for (const HistoryEntry& entry : record.history) bytes += heap_bytes(entry.cell);
  return bytes;
}

bool older(const MappingRecord& a, const MappingRecord& b) noexcept {
  return std::tie(a.epoch, a.revision) < std::tie(b.epoch, b.revision);
}

bool is_found(const MappingRecord& record, Nanos now) noexcept {
  return record.revision != 0 && record.answer(now) == Answer::kFound;
}

Error unavailable(const char* text) { return Error(ErrorCode::kUnavailable, text); }

}  // namespace

NearCacheShard::NearCacheShard(const NearCacheOptions& options, std::size_t max_entries,
                               std::size_t max_bytes, std::uint64_t seed)
    : options_(options),
      max_entries_(max_entries),
      max_bytes_(max_bytes),
      entries_(0, Hash{seed}) {}

// ---- Entries

NearCacheShard::Entry* NearCacheShard::find(const HashedKey& key) noexcept {
  const auto found = entries_.find(key);
  return found == entries_.end() ? nullptr : &found->second;
}

NearCacheShard::Entry& NearCacheShard::add(const HashedKey& key) {
  const auto made = entries_.try_emplace(std::string(key.bytes)).first;
  Entry& entry = made->second;
  entry.key = made->first;
  entry.hash = key.hash;
  entry.bytes = sizeof(*made) + 2 * sizeof(void*) + heap_bytes(made->first);
  bytes_ += entry.bytes;
  sieve_.add(entry);
  return entry;
}

void NearCacheShard::remove(Entry& entry) noexcept {
  bytes_ -= entry.bytes;
  sieve_.remove(entry);
  entries_.erase(entries_.find(HashedKey{entry.key, entry.hash}));
}

void NearCacheShard::shrink() noexcept {
  while (entries_.size() > max_entries_ || bytes_ > max_bytes_) {
    Entry* const victim = sieve_.victim([](const Entry& entry) { return entry.pins == 0; });
    if (victim == nullptr) return;
    remove(*victim);
    ++counts_.evictions;
  }
}

void NearCacheShard::set(Entry& entry, SharedRecord record) noexcept {
  const std::size_t before = entry.record ? heap_bytes(*entry.record) : 0;
  const std::size_t after = record ? heap_bytes(*record) : 0;
  entry.record = std::move(record);
  entry.bytes = entry.bytes - before + after;
  bytes_ = bytes_ - before + after;
}

void NearCacheShard::forget(Entry& entry) noexcept {
  set(entry, nullptr);
  entry.confirmed = entry.failed = kNever;
  doubt(entry);
}

void NearCacheShard::doubt(Entry& entry) noexcept {
  entry.doubted = true;
  ++entry.era;
}

// ---- Time

// A clock that stepped back counts from where it is now, or the entry would stay for all that time.
Nanos NearCacheShard::age(Entry& entry, Nanos now) noexcept {
  if (now < entry.confirmed) entry.confirmed = now;
  return elapsed_since(entry.confirmed, now);
}

Nanos NearCacheShard::lifetime(const Entry& entry, Nanos ttl) const noexcept {
  return ttl - static_cast<Nanos>(scale(mix(entry.hash), static_cast<std::uint64_t>(ttl) / 8));
}

bool NearCacheShard::lapsed(Entry& entry, Nanos now) noexcept {
  return age(entry, now) >= add_time(lifetime(entry, options_.ttl), options_.max_stale);
}

bool NearCacheShard::fresh(Entry& entry, Nanos now) noexcept {
  if (!entry.record || entry.doubted) return false;
  const Nanos passed = age(entry, now);
  const MappingRecord& record = *entry.record;
  if (record.expired(now) && !record.expired(entry.confirmed)) return false;
  const Nanos ttl = is_found(record, now) ? options_.ttl : options_.negative_ttl;
  return passed < lifetime(entry, ttl);
}

bool NearCacheShard::good_when_stale(Entry& entry, Nanos now) noexcept {
  return entry.record && !entry.doubted && is_found(*entry.record, now) && !lapsed(entry, now);
}

// ---- Gets

// Whether `entry` answers by itself.
bool NearCacheShard::serve(Entry& entry, Nanos now, Held& held) {
  if (fresh(entry, now)) {
    ++counts_.hits;
  } else {
    const bool failed_just_now = now >= entry.failed && elapsed_since(entry.failed, now) < kRetry;
    if (!failed_just_now || !good_when_stale(entry, now)) return false;
    held.error = unavailable("the store failed less than a second ago");
    ++counts_.stale;
  }
  held.record = entry.record;
  entry.visited = true;
  return true;
}

NearCacheShard::Begun NearCacheShard::begin_get(const HashedKey& key, Nanos now) {
  const std::lock_guard lock(mutex_);
  now_ = now;
  Begun begun;
  Entry* entry = find(key);
  if (entry != nullptr && serve(*entry, now, begun.held)) return begun;
  bool own = false;  // this thread's own question, inside of which it asks again: no waiting
  if (entry != nullptr && entry->flight && entry->flight->era == entry->era) {
    own = entry->flight->asker == std::this_thread::get_id();
    if (!own) {
      begun.flight = entry->flight;
      if (good_when_stale(*entry, now)) begun.held.record = entry->record;
      ++counts_.misses;
      ++counts_.shared;
      return begun;
    }
  }
  std::shared_ptr<Flight> flight = own ? nullptr : std::make_shared<Flight>();
  if (entry == nullptr) {
    entry = &add(key);
  } else if (entry->pins == 0 && lapsed(*entry, now)) {
    forget(*entry);
  }
  ++counts_.misses;
  if (flight) {
    flight->era = entry->era;
    entry->flight = flight;
  }
  return {{}, pin(*entry, now, std::move(flight)), {}};
}

Held NearCacheShard::wait(Begun& begun, std::chrono::steady_clock::time_point until) {
  std::unique_lock lock(mutex_);
  Flight& flight = *begun.flight;
  if (!flight.ended) {
    ++flight.waiters;
    ++counts_.waiting;
  }
  if (flight.end.wait_until(lock, until, [&] { return flight.ended; })) {
    begun.held = flight.held;
  } else {
    --flight.waiters;
    --counts_.waiting;
    begun.held.error = unavailable("the store takes long to answer another thread");
  }
  if (begun.held.record && !begun.held.error.ok()) ++counts_.stale;
  return std::move(begun.held);
}

// ---- Questions and writes under way

NearCacheShard::Asking::Asking(Asking&& other) noexcept
    : shard_(std::exchange(other.shard_, nullptr)),
      entry_(other.entry_),
      since_(other.since_),
      era_(other.era_),
      purges_(other.purges_),
      flight_(std::move(other.flight_)) {}

NearCacheShard::Asking::~Asking() {
  if (shard_ != nullptr) shard_->abandon(*this);
}

Held NearCacheShard::Asking::settle(SharedRecord record) {
  return std::exchange(shard_, nullptr)->settle(*this, std::move(record));
}

Held NearCacheShard::Asking::fail(Error error) {
  return std::exchange(shard_, nullptr)->fail(*this, std::move(error));
}

void NearCacheShard::Asking::doubt() { std::exchange(shard_, nullptr)->abandon(*this); }

NearCacheShard::Asking NearCacheShard::pin(Entry& entry, Nanos since,
                                           std::shared_ptr<Flight> flight) noexcept {
  ++entry.pins;
  Asking asking;
  asking.shard_ = this;
  asking.entry_ = &entry;
  asking.since_ = since;
  asking.era_ = entry.era;
  asking.purges_ = purges_;
  asking.flight_ = std::move(flight);
  return asking;
}

// Where others wait, `held` goes to the flight. Room is made before the entry may go, so that it is
// not the first to.
void NearCacheShard::unpin(Asking& asking, Held& held) noexcept {
  Entry& entry = *asking.entry_;
  if (asking.flight_) {
    Flight& flight = *asking.flight_;
    flight.held = std::move(held);
    flight.ended = true;
    counts_.waiting -= std::exchange(flight.waiters, 0);
    flight.end.notify_all();
    if (entry.flight == asking.flight_) entry.flight.reset();
  }
  shrink();
  --entry.pins;
  if (entry.pins == 0 && !entry.record) {
    remove(entry);
  } else {
    shrink();
  }
}

Held NearCacheShard::settle(Asking& asking, SharedRecord record) {
  const std::lock_guard lock(mutex_);
  Entry& entry = *asking.entry_;
  Held held{std::move(record), {}};
  if (asking.purges_ != purges_) {
    doubt(entry);  // the answer may be of a life that the key had before, and compares with nothing
  } else {
    const bool newest = !entry.record || !older(*held.record, *entry.record);
    if (newest) set(entry, held.record);
    if (newest || entry.confirmed == kNever) entry.confirmed = asking.since_;
    if (entry.era == asking.era_) entry.doubted = false;
    held.record = entry.record;
  }
  unpin(asking, held);
  return asking.flight_ ? asking.flight_->held : std::move(held);
}

Held NearCacheShard::fail(Asking& asking, Error error) {
  const std::lock_guard lock(mutex_);
  Entry& entry = *asking.entry_;
  const Nanos now = asking.since_;
  Held held;
  if (fresh(entry, now)) {
    held.record = entry.record;  // another one was told meanwhile
  } else {
    held.error = std::move(error);
    if (good_when_stale(entry, now)) {
      held.record = entry.record;
      entry.failed = now;
      ++counts_.stale;
    }
  }
  ++counts_.errors;
  unpin(asking, held);
  return asking.flight_ ? asking.flight_->held : std::move(held);
}

void NearCacheShard::abandon(Asking& asking) noexcept {
  const std::lock_guard lock(mutex_);
  if (!asking.flight_) doubt(*asking.entry_);
  Held nothing{nullptr, Error(ErrorCode::kUnavailable, "no answer")};  // short: no allocation
  unpin(asking, nothing);
}

NearCacheShard::Asking NearCacheShard::begin_put(const HashedKey& key) {
  const std::lock_guard lock(mutex_);
  Entry* const held = find(key);
  return pin(held != nullptr ? *held : add(key), now_, nullptr);
}

// ---- What others tell

void NearCacheShard::learn(const HashedKey& key, const MappingRecord& record,
                           std::uint64_t revision) {
  const std::lock_guard lock(mutex_);
  Entry* const entry = find(key);
  if (entry == nullptr || purged(record)) return;
  if (entry->record &&
      std::tie(record.epoch, revision) <= std::tie(entry->record->epoch, entry->record->revision)) {
    return;
  }
  const auto learnt = std::make_shared<MappingRecord>(record);
  learnt->revision = revision;
  set(*entry, learnt);
  shrink();
}

void NearCacheShard::invalidate(const HashedKey& key) noexcept {
  const std::lock_guard lock(mutex_);
  if (Entry* const entry = find(key); entry != nullptr) doubt(*entry);
}

void NearCacheShard::purge(Nanos before) noexcept {
  const std::lock_guard lock(mutex_);
  purged_ = std::max(purged_, before);
  ++purges_;
  for (auto at = entries_.begin(); at != entries_.end();) {
    Entry& entry = (at++)->second;
    if (!entry.record || !purged(*entry.record)) continue;
    if (entry.pins == 0) {
      remove(entry);
    } else {
      forget(entry);
    }
  }
}

void NearCacheShard::add_to(NearCacheCounts& counts) const {
  const std::lock_guard lock(mutex_);
  counts.hits += counts_.hits;
  counts.misses += counts_.misses;
  counts.shared += counts_.shared;
  counts.stale += counts_.stale;
  counts.errors += counts_.errors;
  counts.evictions += counts_.evictions;
  counts.entries += entries_.size();
  counts.bytes += bytes_;
  counts.waiting += counts_.waiting;
}

}  // namespace cellroute::stores
