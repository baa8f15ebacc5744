#include "stores/near_cache.hpp"

#include <algorithm>
#include <bit>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "cellroute/hash.hpp"
#include "stores/fork_guard.hpp"
#include "stores/near_cache_shard.hpp"
#include "stores/put_rules.hpp"
#include "stores/random.hpp"

namespace cellroute {
namespace {

using stores::HashedKey;
using stores::Held;
using Shard = stores::NearCacheShard;

constexpr std::size_t kMostEntries = std::size_t{1} << 26;
constexpr Nanos kLongestWait = 3'600 * kSecond;

// A shard has room enough that none is full long before the others.
constexpr std::size_t kMostShards = 64;
constexpr std::size_t kEntriesOfShard = 64;
constexpr std::size_t kBytesOfShard = std::size_t{64} << 10;

// Of get_many: keys that are pinned at once.
constexpr std::size_t kBatch = 256;

Lookup lookup_of(const Held& held, Nanos now) {
  Lookup lookup;
  lookup.error = held.error;
  if (!held.record) return lookup;
  const bool nothing_left = held.record->revision == 0;
  const Answer answer = nothing_left ? Answer::kAbsent : held.record->answer(now);
  if (!held.error.ok() && answer != Answer::kFound) return lookup;
  lookup.answer = answer;
  lookup.record = *held.record;
  return lookup;
}

Held finish(Shard::Asking& asking, Lookup& fetched) {
  if (fetched.answer == Answer::kUnknown) return asking.fail(std::move(fetched.error));
  return asking.settle(std::make_shared<MappingRecord>(std::move(fetched.record)));
}

class SharedNearCache final : public NearCache {
 public:
  SharedNearCache(std::shared_ptr<MappingStore> store, const NearCacheOptions& options,
                  std::uint64_t seed)
      : store_(std::move(store)), options_(options), seed_(seed) {
    const std::size_t shards = std::bit_floor(std::clamp(
        std::min(options.max_entries / kEntriesOfShard, options.max_bytes / kBytesOfShard),
        std::size_t{1}, kMostShards));
    for (std::size_t i = 0; i < shards; ++i) {
      shards_.push_back(std::make_unique<Shard>(options_, options.max_entries / shards,
                                                options.max_bytes / shards, seed));
    }
  }

  // In a child of fork() the locks may be held, and waited for, by threads that are not there.
  ~SharedNearCache() override {
    if (fork_.same_process()) return;
    for (auto& shard : shards_) (void)shard.release();
  }

  StoreCapabilities capabilities() const noexcept override { return store_->capabilities(); }

  Lookup get(std::string_view key, Nanos now) override {
    Lookup refused;
    refused.error = check(key);
    if (!refused.error.ok()) return refused;
    const HashedKey hashed = hash(key);
    Shard::Begun begun = shard(hashed).begin_get(hashed, now);
    if (begun.flight) return lookup_of(shard(hashed).wait(begun, patience()), now);
    if (!begun.asking) return lookup_of(begun.held, now);
    Lookup fetched = store_->get(key, now);
    return lookup_of(finish(begun.asking, fetched), now);
  }

  void get_many(std::span<const std::string_view> keys, Nanos now, std::span<Lookup> out) override {
    const std::size_t count = std::min(keys.size(), out.size());
    const TimePoint until = patience();
    for (std::size_t i = 0; i < count; i += kBatch) {
      const std::size_t size = std::min(kBatch, count - i);
      get_batch(keys.subspan(i, size), now, out.subspan(i, size), until);
    }
  }

  Result<std::uint64_t> put_if(const MappingRecord& record, std::uint64_t expected) override {
    if (Error error = fork_.check(); !error.ok()) return error;
    if (Error error = stores::check_record(record); !error.ok()) return error;
    const auto next = std::make_shared<MappingRecord>(record);
    const HashedKey hashed = hash(record.key);
    Shard::Asking asking = shard(hashed).begin_put(hashed);
    Result<std::uint64_t> written = store_->put_if(record, expected);
    if (written.ok()) {
      next->revision = *written;
      (void)asking.settle(next);
    } else {
      asking.doubt();
    }
    return written;
  }

  // Made for bulk, which says nothing of what will be read: what is not held stays so.
  std::vector<Result<std::uint64_t>> put_many(std::span<const ConditionalPut> puts) override {
    std::vector<Result<std::uint64_t>> results;
    try {
      results = store_->put_many(puts);
      for (std::size_t i = 0; i < puts.size(); ++i) {
        if (results[i].ok()) {
          const HashedKey hashed = hash(puts[i].record.key);
          shard(hashed).learn(hashed, puts[i].record, *results[i]);
        } else {
          doubt(puts[i]);
        }
      }
    } catch (...) {
      for (const ConditionalPut& put : puts) doubt(put);
      throw;
    }
    return results;
  }

  Result<Page> scan(const Cursor& cursor, std::size_t limit, Nanos now) override {
    return store_->scan(cursor, limit, now);
  }

  Result<Page> scan_cell(std::string_view cell, const Cursor& cursor, std::size_t limit,
                         Nanos now) override {
    return store_->scan_cell(cell, cursor, limit, now);
  }

  Result<Page> changes(const Cursor& cursor, std::size_t limit) override {
    Result<Page> page = store_->changes(cursor, limit);
    if (!page.ok() || !fork_.same_process()) return page;
    for (const MappingRecord& record : page->records) learn(record);
    return page;
  }

  Result<std::size_t> purge(Nanos before, std::size_t limit) override {
    Result<std::size_t> purged = store_->purge(before, limit);
    if (!purged.ok() || *purged == 0 || !fork_.same_process()) return purged;
    for (const auto& shard : shards_) shard->purge(before);
    return purged;
  }

  // Records stay as they are, so what is held stays too.
  Error renew_feed() override { return store_->renew_feed(); }

  Error observe(const MappingRecord& record) override {
    if (Error error = fork_.check(); !error.ok()) return error;
    if (Error error = stores::check_record(record); !error.ok()) return error;
    if (record.revision == 0) {
      return invalid_argument(stores::key_text(record.key) + ": the record has no revision");
    }
    learn(record);
    return {};
  }

  Error invalidate(std::string_view key) override {
    if (Error error = check(key); !error.ok()) return error;
    const HashedKey hashed = hash(key);
    shard(hashed).invalidate(hashed);
    return {};
  }

  Result<NearCacheCounts> counts() const override {
    if (Error error = fork_.check(); !error.ok()) return error;
    NearCacheCounts sum;
    for (const auto& shard : shards_) shard->add_to(sum);
    return sum;
  }

 private:
  using TimePoint = std::chrono::steady_clock::time_point;

  TimePoint patience() const {
    return std::chrono::steady_clock::now() + std::chrono::nanoseconds(options_.wait);
  }

  HashedKey hash(std::string_view key) const noexcept { return {key, hash_bytes(seed_, key)}; }
  Shard& shard(const HashedKey& key) const noexcept {
    return *shards_[key.hash & (shards_.size() - 1)];
  }

  Error check(std::string_view key) const {
    if (Error error = fork_.check(); !error.ok()) return error;
    return stores::check_key(key);
  }

  void learn(const MappingRecord& record) {
    const HashedKey hashed = hash(record.key);
    shard(hashed).learn(hashed, record, record.revision);
  }

  void doubt(const ConditionalPut& put) const noexcept {
    const HashedKey hashed = hash(put.record.key);
    shard(hashed).invalidate(hashed);
  }

  void get_batch(std::span<const std::string_view> keys, Nanos now, std::span<Lookup> out,
                 TimePoint until) {
    struct Part {
      Shard::Begun begun;
      std::size_t place;
    };
    std::vector<Part> asked;
    std::vector<Part> awaited;
    std::vector<std::string_view> wanted;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      out[i] = Lookup{};
      out[i].error = check(keys[i]);
      if (!out[i].error.ok()) continue;
      const HashedKey hashed = hash(keys[i]);
      Shard::Begun begun = shard(hashed).begin_get(hashed, now);
      if (begun.flight) {
        awaited.push_back({std::move(begun), i});
      } else if (begun.asking) {
        asked.push_back({std::move(begun), i});
        wanted.push_back(keys[i]);
      } else {
        out[i] = lookup_of(begun.held, now);
      }
    }
    std::vector<Lookup> fetched(wanted.size());
    if (!wanted.empty()) store_->get_many(wanted, now, fetched);
    for (std::size_t n = 0; n < asked.size(); ++n) {
      out[asked[n].place] = lookup_of(finish(asked[n].begun.asking, fetched[n]), now);
    }
    for (Part& part : awaited) {
      out[part.place] = lookup_of(shard(hash(keys[part.place])).wait(part.begun, until), now);
    }
  }

  const stores::ForkGuard fork_;
  const std::shared_ptr<MappingStore> store_;
  const NearCacheOptions options_;
  const std::uint64_t seed_;
  std::vector<std::unique_ptr<Shard>> shards_;
};

const char* broken_rule(const NearCacheOptions& options) noexcept {
  if (options.max_entries == 0 || options.max_entries > kMostEntries) {
    return "max_entries is not 1 to 2^26";
  }
  if (options.max_bytes == 0) return "max_bytes is 0";
  if (options.ttl <= 0) return "ttl is not positive";
  if (options.negative_ttl < 0) return "negative_ttl is negative";
  if (options.max_stale < 0) return "max_stale is negative";
  if (options.wait <= 0 || options.wait > kLongestWait) return "wait is not 1 ns to an hour";
  return nullptr;
}

}  // namespace

Result<std::unique_ptr<NearCache>> make_near_cache(std::shared_ptr<MappingStore> store,
                                                   const NearCacheOptions& options) {
  if (store == nullptr) return invalid_argument("near cache: there is no store behind it");
  if (const char* const rule = broken_rule(options); rule != nullptr) {
    return invalid_argument(std::string("near cache: ") + rule);
  }
  std::uint64_t seed = 0;
  if (Error error = stores::fill_random(&seed, sizeof seed); !error.ok()) return error;
  return std::unique_ptr<NearCache>(
      std::make_unique<SharedNearCache>(std::move(store), options, seed));
}

}  // namespace cellroute
