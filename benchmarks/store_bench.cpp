// Mapping stores at a million keys: look-ups that hit and miss, one by one and batched, and writes.
// Beside them absl::flat_hash_map, which holds no record but a string and a number, and is no
// store; beside the near cache's hits the same map of whole records behind one mutex, which never
// expires and is not bounded.
//
// Every look-up is checked. The directory is below TMPDIR, or /tmp: `put` and `put_many` there wait
// for its disk.
#include <absl/container/flat_hash_map.h>
#include <benchmark/benchmark.h>
#include <lmdb.h>
#include <stdlib.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "cellroute/hash.hpp"
#include "stores/lmdb_store.hpp"
#include "stores/memory_store.hpp"
#include "stores/near_cache.hpp"
#include "stores/record_codec.hpp"

namespace {

using namespace cellroute;

constexpr std::size_t kKeys = 1'000'000;
constexpr Nanos kNow = 1'700'000'000 * kSecond;

std::string key_of(std::uint64_t number) {
  char key[32];
  std::snprintf(key, sizeof key, "customer-%012llu", static_cast<unsigned long long>(number));
  return key;
}

OpId op_id() {
  static std::uint64_t last = 0;
  OpId id{};
  ++last;
  std::memcpy(id.data(), &last, sizeof last);
  return id;
}

MappingRecord record_of(std::uint64_t number) {
  MappingRecord record;
  record.key = key_of(number);
  record.cell = "retail-us-east-" + std::to_string(number % 10);
  record.op_id = op_id();
  record.created = record.updated = kNow;
  return record;
}

// The i-th of a random order of the keys.
std::uint64_t shuffled(std::uint64_t i) { return scale(mix(i), kKeys); }

struct Directory {
  Directory() {
    const char* parent = std::getenv("TMPDIR");
    path = std::string(parent != nullptr ? parent : "/tmp") + "/cellroute-bench-XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) std::abort();
  }
  ~Directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::string path;
};

void fill(MappingStore& store) {
  std::vector<ConditionalPut> puts(10'000);
  for (std::size_t i = 0; i < kKeys; i += puts.size()) {
    for (std::size_t j = 0; j < puts.size(); ++j) puts[j].record = record_of(i + j);
    for (const auto& result : store.put_many(puts)) {
      if (!result.ok()) std::abort();
    }
  }
}

enum Kind { kMemory, kLmdb };

MappingStore& store(Kind kind) {
  static std::unique_ptr<MappingStore> memory;
  static Directory directory;
  static std::unique_ptr<MappingStore> lmdb;
  std::unique_ptr<MappingStore>& chosen = kind == kMemory ? memory : lmdb;
  if (chosen == nullptr) {
    if (kind == kMemory) {
      chosen = make_memory_store();
    } else {
      auto opened = open_lmdb_store(directory.path + "/mappings");
      if (!opened.ok()) std::abort();
      chosen = std::move(*opened);
    }
    fill(*chosen);
  }
  return *chosen;
}

std::vector<std::string> shuffled_keys(bool hit) {
  std::vector<std::string> keys(1 << 18);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    keys[i] = key_of(shuffled(i));
    if (!hit) keys[i] += '-';  // between two that are there
  }
  return keys;
}

template <Kind kind, bool hit>
void get(benchmark::State& state) {
  MappingStore& from = store(kind);
  const std::vector<std::string> keys = shuffled_keys(hit);
  std::size_t i = 0;
  for (auto _ : state) {
    const Lookup found = from.get(keys[i++ % keys.size()], kNow);
    if (found.answer != (hit ? Answer::kFound : Answer::kAbsent)) std::abort();
  }
  state.SetItemsProcessed(state.iterations());
}

template <Kind kind>
void get_many(benchmark::State& state) {
  MappingStore& from = store(kind);
  const std::vector<std::string> strings = shuffled_keys(true);
  const std::vector<std::string_view> keys(strings.begin(), strings.end());
  constexpr std::size_t kBatch = 256;
  std::vector<Lookup> out(kBatch);
  std::size_t i = 0;
  for (auto _ : state) {
    from.get_many(std::span(keys).subspan(i, kBatch), kNow, out);
    i = (i + kBatch) % keys.size();
    for (const Lookup& found : out) {
      if (found.answer != Answer::kFound) std::abort();
    }
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kBatch));
}

struct KeyHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view key) const noexcept { return hash_bytes(1, key); }
};
using FlatMap = absl::flat_hash_map<std::string, std::uint32_t, KeyHash, std::equal_to<>>;

template <bool hit>
void get_flat_hash_map(benchmark::State& state) {
  static const FlatMap map = [] {
    FlatMap made;
    for (std::uint32_t i = 0; i < kKeys; ++i) made.emplace(key_of(i), i);
    return made;
  }();
  const std::vector<std::string> keys = shuffled_keys(hit);
  std::size_t i = 0;
  for (auto _ : state) {
    const auto found = map.find(std::string_view(keys[i++ % keys.size()]));
    if ((found != map.end()) != hit) std::abort();
    benchmark::DoNotOptimize(found);
  }
  state.SetItemsProcessed(state.iterations());
}

// Keys that are asked for often enough to be held.
constexpr std::size_t kHeld = 50'000;

NearCache& near_cache() {
  static const std::unique_ptr<NearCache> cache = [] {
    std::shared_ptr<MappingStore> store = make_memory_store();
    for (std::size_t i = 0; i < kHeld; ++i) {
      if (!store->put_if(record_of(i), 0).ok()) std::abort();
    }
    auto made = make_near_cache(std::move(store));
    if (!made.ok()) std::abort();
    for (std::size_t i = 0; i < kHeld; ++i) (void)(*made)->get(key_of(i), kNow);
    return std::move(*made);
  }();
  return *cache;
}

std::vector<std::string> held_keys() {
  std::vector<std::string> keys(1 << 18);
  for (std::size_t i = 0; i < keys.size(); ++i) keys[i] = key_of(scale(mix(i), kHeld));
  return keys;
}

void get_held(benchmark::State& state) {
  NearCache& cache = near_cache();
  const std::vector<std::string> keys = held_keys();
  const std::uint64_t misses = (*cache.counts()).misses;
  std::size_t i = static_cast<std::size_t>(state.thread_index()) * 1'000;
  for (auto _ : state) {
    const Lookup found = cache.get(keys[i++ % keys.size()], kNow);
    if (found.answer != Answer::kFound) std::abort();
  }
  if ((*cache.counts()).misses != misses) std::abort();
  state.SetItemsProcessed(state.iterations());
}

void get_many_held(benchmark::State& state) {
  NearCache& cache = near_cache();
  const std::vector<std::string> strings = held_keys();
  const std::vector<std::string_view> keys(strings.begin(), strings.end());
  constexpr std::size_t kBatch = 256;
  std::vector<Lookup> out(kBatch);
  std::size_t i = 0;
  for (auto _ : state) {
    cache.get_many(std::span(keys).subspan(i, kBatch), kNow, out);
    i = (i + kBatch) % keys.size();
    for (const Lookup& found : out) {
      if (found.answer != Answer::kFound) std::abort();
    }
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kBatch));
}

// A miss, with all that the cache does besides: the store behind is empty.
void get_not_held(benchmark::State& state) {
  NearCacheOptions options;
  options.negative_ttl = 0;
  auto cache = make_near_cache(make_memory_store(), options);
  if (!cache.ok()) std::abort();
  const std::vector<std::string> keys = held_keys();
  std::size_t i = 0;
  for (auto _ : state) {
    if ((*cache)->get(keys[i++ % keys.size()], kNow).answer != Answer::kAbsent) std::abort();
  }
  state.SetItemsProcessed(state.iterations());
}

void get_mutex_map(benchmark::State& state) {
  static std::mutex mutex;
  static const auto map = [] {
    absl::flat_hash_map<std::string, MappingRecord, KeyHash, std::equal_to<>> made;
    for (std::size_t i = 0; i < kHeld; ++i) made.emplace(key_of(i), record_of(i));
    return made;
  }();
  const std::vector<std::string> keys = held_keys();
  std::size_t i = static_cast<std::size_t>(state.thread_index()) * 1'000;
  for (auto _ : state) {
    Lookup found;
    const std::lock_guard lock(mutex);
    const auto at = map.find(std::string_view(keys[i++ % keys.size()]));
    if (at == map.end()) std::abort();
    found.record = at->second;
    benchmark::DoNotOptimize(found);
  }
  state.SetItemsProcessed(state.iterations());
}

// What LMDB takes by itself: a key and a number, in one transaction held for all.
void get_raw_lmdb(benchmark::State& state) {
  const Directory directory;
  MDB_env* env = nullptr;
  MDB_txn* transaction = nullptr;
  MDB_dbi tree = 0;
  const auto must = [](int code) {
    if (code != 0) std::abort();
  };
  must(mdb_env_create(&env));
  must(mdb_env_set_mapsize(env, std::size_t{1} << 30));
  must(mdb_env_open(env, directory.path.c_str(), 0, 0600));
  must(mdb_txn_begin(env, nullptr, 0, &transaction));
  must(mdb_dbi_open(transaction, nullptr, 0, &tree));
  for (std::uint32_t i = 0; i < kKeys; ++i) {
    std::string bytes = key_of(i);
    MDB_val key{bytes.size(), bytes.data()};
    MDB_val value{sizeof i, &i};
    must(mdb_put(transaction, tree, &key, &value, 0));
  }
  must(mdb_txn_commit(transaction));
  must(mdb_txn_begin(env, nullptr, MDB_RDONLY, &transaction));
  std::vector<std::string> keys = shuffled_keys(true);
  std::size_t i = 0;
  for (auto _ : state) {
    std::string& bytes = keys[i++ % keys.size()];
    MDB_val key{bytes.size(), bytes.data()};
    MDB_val value{};
    must(mdb_get(transaction, tree, &key, &value));
    benchmark::DoNotOptimize(value);
  }
  mdb_txn_abort(transaction);
  mdb_env_close(env);
}

std::unique_ptr<MappingStore> empty_store(Kind kind, const Directory& directory) {
  if (kind == kMemory) return make_memory_store();
  auto opened = open_lmdb_store(directory.path + "/mappings");
  if (!opened.ok()) std::abort();
  return std::move(*opened);
}

template <Kind kind>
void put(benchmark::State& state) {
  const Directory directory;
  const auto to = empty_store(kind, directory);
  std::uint64_t i = 0;
  for (auto _ : state) {
    if (!to->put_if(record_of(i++), 0).ok()) std::abort();
  }
  state.SetItemsProcessed(state.iterations());
}

template <Kind kind>
void put_many(benchmark::State& state) {
  const Directory directory;
  const auto to = empty_store(kind, directory);
  std::vector<ConditionalPut> puts(static_cast<std::size_t>(state.range(0)));
  std::uint64_t i = 0;
  for (auto _ : state) {
    state.PauseTiming();
    for (ConditionalPut& one : puts) one.record = record_of(mix(i++) >> 24);
    state.ResumeTiming();
    for (const auto& result : to->put_many(puts)) {
      if (!result.ok()) std::abort();
    }
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

void decode(benchmark::State& state) {
  MappingRecord record = record_of(7);
  record.revision = 1;
  if (state.range(0) == 1) {
    record.profile = MappedProfile{"retail", "us-east-1", "starter", {"PII_RESTRICTED"}};
  }
  stores::RecordCodec codec;
  std::string bytes;
  if (!codec.encode(record, bytes).ok()) std::abort();
  MappingRecord decoded;
  for (auto _ : state) {
    if (!codec.decode(bytes, record.key, decoded).ok()) std::abort();
    benchmark::DoNotOptimize(decoded);
  }
  state.counters["bytes"] = static_cast<double>(bytes.size());
}

BENCHMARK(get_flat_hash_map<true>)->Name("store/get_hit/flat_hash_map");
BENCHMARK(get_flat_hash_map<false>)->Name("store/get_miss/flat_hash_map");
BENCHMARK(get_raw_lmdb)->Name("store/get_hit/raw_lmdb");
BENCHMARK(get<kMemory, true>)->Name("store/get_hit/memory");
BENCHMARK(get<kMemory, false>)->Name("store/get_miss/memory");
BENCHMARK(get<kLmdb, true>)->Name("store/get_hit/lmdb");
BENCHMARK(get<kLmdb, false>)->Name("store/get_miss/lmdb");
BENCHMARK(get<kLmdb, true>)->Name("store/get_hit/lmdb")->Threads(2);
BENCHMARK(get_mutex_map)->Name("store/get_held/mutex_map");
BENCHMARK(get_held)->Name("store/get_held/near_cache");
BENCHMARK(get_mutex_map)->Name("store/get_held/mutex_map")->Threads(2)->UseRealTime();
BENCHMARK(get_held)->Name("store/get_held/near_cache")->Threads(2)->UseRealTime();
BENCHMARK(get_many_held)->Name("store/get_many_held/near_cache");
BENCHMARK(get_not_held)->Name("store/get_not_held/near_cache");
BENCHMARK(get_many<kMemory>)->Name("store/get_many/memory");
BENCHMARK(get_many<kLmdb>)->Name("store/get_many/lmdb");
BENCHMARK(put<kMemory>)->Name("store/put/memory");
BENCHMARK(put<kLmdb>)->Name("store/put/lmdb")->UseRealTime();
BENCHMARK(put_many<kLmdb>)->Name("store/put_many/lmdb")->Arg(100)->Arg(4096)->UseRealTime();
BENCHMARK(decode)->Name("store/decode")->Arg(0)->Arg(1);

}  // namespace
