// The hash of a key: XXH3 as cellroute uses it, the MD5 and CRC-32 that foreign routers' strategies
// need, and peers: libmemcached's MD5, std::hash, absl::Hash.
#include <absl/hash/hash.h>
#include <benchmark/benchmark.h>
#include <libmemcached/memcached.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "cellroute/hash.hpp"
#include "cellroute/strategy/detail/crc32.hpp"
#include "cellroute/strategy/detail/md5.hpp"
#include "keys.hpp"

namespace cellroute::bench {
namespace {

constexpr std::size_t kKeys = 1 << 14;

// Sums `hash` over the keys; the sum must be the same in every round.
template <class Hash>
void run(benchmark::State& state, Hash hash) {
  const std::vector<std::string> names = keys(kKeys);
  std::uint64_t expected = 0;
  std::int64_t bytes = 0;
  for (const std::string& key : names) {
    expected += hash(std::string_view(key));
    bytes += static_cast<std::int64_t>(key.size());
  }
  std::uint64_t sum = expected;
  for (auto _ : state) {
    sum = 0;
    for (const std::string& key : names) sum += hash(std::string_view(key));
    benchmark::DoNotOptimize(sum);
  }
  if (sum != expected) state.SkipWithError("the hash gives another sum than before");
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kKeys));
  state.SetBytesProcessed(state.iterations() * bytes);
}

void xxh3(benchmark::State& state) {
  run(state, [](std::string_view key) { return hash_bytes(1, key); });
}
BENCHMARK(xxh3)->Name("hash/xxh3");

void md5(benchmark::State& state) {
  run(state, [](std::string_view key) { return std::uint64_t{detail::md5(key)[0]}; });
}
BENCHMARK(md5)->Name("hash/md5");

void crc32(benchmark::State& state) {
  run(state, [](std::string_view key) { return std::uint64_t{detail::crc32(key)}; });
}
BENCHMARK(crc32)->Name("hash/crc32");

void libmemcached_md5(benchmark::State& state) {
  run(state, [](std::string_view key) {
    return std::uint64_t{memcached_generate_hash_value(key.data(), key.size(), MEMCACHED_HASH_MD5)};
  });
}
BENCHMARK(libmemcached_md5)->Name("hash/peer-libmemcached-md5");

void std_hash(benchmark::State& state) { run(state, std::hash<std::string_view>()); }
BENCHMARK(std_hash)->Name("hash/peer-std-hash");

void absl_hash(benchmark::State& state) {
  run(state, [](std::string_view key) {
    return std::uint64_t{absl::HashOf(absl::string_view(key.data(), key.size()))};
  });
}
BENCHMARK(absl_hash)->Name("hash/peer-absl-hash");

}  // namespace
}  // namespace cellroute::bench
