// Every strategy's pick and build at several sizes of pool, with its evenness, what moves when a
// cell leaves and its table's bytes; peers in the same run. Every benchmark checks its answers.
#include <benchmark/benchmark.h>
#include <libmemcached/memcached.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "cellroute/strategy/picker.hpp"
#include "cellroute/strategy/preference.hpp"
#include "keys.hpp"

namespace cellroute::bench {
namespace {

constexpr std::uint64_t kSeed = 6840743513105534701;
constexpr std::size_t kKeys = 1 << 14;
constexpr std::size_t kSizes[] = {3, 10, 100, 1'000, 10'000};
constexpr std::size_t kLibmemcachedMost = 100;  // it aborts beyond

struct Pool {
  explicit Pool(std::size_t cells) {
    for (std::size_t i = 0; i < cells; ++i) {
      const std::string digits = std::to_string(100'000 + i).substr(1);
      ids.push_back("cell-" + digits + ".example.com");
    }
    for (std::size_t i = 0; i < cells; ++i) {
      members.push_back({static_cast<CellIndex>(i), ids[i], kUnitWeight, {}});
    }
  }

  std::vector<CellIndex> cells() const {
    std::vector<CellIndex> cells;
    for (const Member& member : members) cells.push_back(member.cell);
    return cells;
  }

  std::vector<std::string> ids;
  std::vector<Member> members;
};

Picker build(StrategyKind kind, const std::vector<Member>& members) {
  StrategyOptions options;
  options.seed = kSeed;
  auto picker = Picker::build(kind, members, options);
  if (!picker) throw std::runtime_error(picker.error().text());
  return std::move(*picker);
}

std::vector<Point> points(StrategyKind kind) {
  std::vector<Point> points;
  for (const std::string& key : keys(kKeys)) {
    points.push_back(Picker::point(kind, key, hash_bytes(kSeed, key)));
  }
  return points;
}

struct Quality {
  double peak_to_mean;  // keys of the fullest cell, the mean being 1
  double moved;         // share of keys that change cell when one cell leaves
  double ideal;         // share of keys that must: those of that cell
};

// Over random points. A cell from the middle leaves; from jump's pool, the last one.
Quality measure_quality(StrategyKind kind, const Pool& pool) {
  const std::size_t cells = pool.members.size();
  std::vector<Member> left = pool.members;
  const std::size_t gone = kind == StrategyKind::kJump ? cells - 1 : cells / 2;
  left.erase(left.begin() + static_cast<std::ptrdiff_t>(gone));
  const Picker before = build(kind, pool.members);
  const Picker after = build(kind, left);
  const bool slow = kind == StrategyKind::kRendezvous && cells > 100;
  const std::uint64_t samples = (std::uint64_t{1} << 22) / (slow ? cells / 25 : 1);
  std::vector<std::uint64_t> counts(cells);
  std::uint64_t moved = 0;
  for (std::uint64_t i = 0; i < samples; ++i) {
    const Point point = Picker::derived(kind, {mix(i), mix(~i)}, 0);
    const CellIndex cell = before.pick(point);
    ++counts[cell];
    moved += cell != after.pick(point);
  }
  const auto total = static_cast<double>(samples);
  const auto peak = static_cast<double>(*std::max_element(counts.begin(), counts.end()));
  return {peak * static_cast<double>(cells) / total, static_cast<double>(moved) / total,
          static_cast<double>(counts[gone]) / total};
}

// Measured once for each, since a benchmark's function runs several times.
const Quality& quality(StrategyKind kind, const Pool& pool) {
  static std::map<std::pair<StrategyKind, std::size_t>, Quality> known;
  const auto key = std::make_pair(kind, pool.members.size());
  const auto found = known.find(key);
  if (found != known.end()) return found->second;
  return known.emplace(key, measure_quality(kind, pool)).first->second;
}

// Sums pick(item) over all items, again and again, and holds the sum against the one expected.
template <class Items, class Pick>
void measure(benchmark::State& state, const Items& items, std::uint64_t expected, Pick pick) {
  std::uint64_t sum = 0;
  for (auto _ : state) {
    sum = 0;
    for (const auto& item : items) sum += pick(item);
    benchmark::DoNotOptimize(sum);
  }
  if (sum != expected)
    state.SkipWithError("wrong answers: the sum of the picks is not as expected");
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(items.size()));
}

std::uint64_t sum_of_picks(const Picker& picker) {
  std::uint64_t sum = 0;
  for (const Point& point : points(picker.kind())) sum += picker.pick(point);
  return sum;
}

// The same by another way: the first of each preference order.
std::uint64_t sum_of_firsts(const Picker& picker, const std::vector<CellIndex>& cells) {
  std::uint64_t sum = 0;
  for (const Point& point : points(picker.kind())) sum += Preference(picker, cells, point).next();
  return sum;
}

void pick(benchmark::State& state, StrategyKind kind, std::size_t cells) {
  const Pool pool(cells);
  const Picker picker = build(kind, pool.members);
  measure(state, points(kind), sum_of_firsts(picker, pool.cells()),
          [&](const Point& point) { return picker.pick(point); });
  const Quality& q = quality(kind, pool);
  state.counters["peak_to_mean"] = q.peak_to_mean;
  state.counters["moved_share"] = q.moved;
  state.counters["moved_ideal"] = q.ideal;
  state.counters["table_bytes"] = static_cast<double>(picker.table_bytes());
}

// From the key's bytes: the strategies that bring a foreign router's hash with them, and the
// default beside them.
void pick_key(benchmark::State& state, StrategyKind kind, std::size_t cells) {
  const Picker picker = build(kind, Pool(cells).members);
  measure(state, keys(kKeys), sum_of_picks(picker), [&](const std::string& key) {
    return picker.pick(Picker::point(kind, key, hash_bytes(kSeed, key)));
  });
}

// All that a request needs of a preference order while its first cell is well.
void preference_first(benchmark::State& state, std::size_t cells) {
  const Pool pool(cells);
  const Picker picker = build(StrategyKind::kRendezvousSlots, pool.members);
  const std::vector<CellIndex> numbers = pool.cells();
  measure(state, points(StrategyKind::kRendezvousSlots), sum_of_picks(picker),
          [&](const Point& point) { return Preference(picker, numbers, point).next(); });
}

void build_table(benchmark::State& state, StrategyKind kind, std::size_t cells, bool weighted) {
  Pool pool(cells);
  for (std::size_t i = 0; weighted && i < cells; ++i) {
    pool.members[i].weight += static_cast<std::uint32_t>(i);  // every weight another
  }
  const std::uint64_t expected = sum_of_picks(build(kind, pool.members));
  std::optional<Picker> last;
  for (auto _ : state) {
    last.emplace(build(kind, pool.members));
    benchmark::DoNotOptimize(last);
  }
  if (last && sum_of_picks(*last) != expected) state.SkipWithError("two builds differ");
}

// Peer: the ring as most programs write it, a std::map from point to cell; the same points as
// strategy ring, so the same answers.
void peer_map_ring(benchmark::State& state, std::size_t cells) {
  const Pool pool(cells);
  std::map<std::uint64_t, CellIndex> ring;
  for (const Member& member : pool.members) {
    const std::uint64_t hash = hash_bytes(kSeed, member.id);
    for (std::uint32_t k = 0; k < Ring::kPointsPerUnit; ++k)
      ring.emplace(mix(hash, k), member.cell);
  }
  measure(state, points(StrategyKind::kRing),
          sum_of_picks(build(StrategyKind::kRing, pool.members)), [&](const Point& point) {
            const auto next = ring.lower_bound(point.lo);
            return (next == ring.end() ? ring.begin() : next)->second;
          });
}

// Peer: jump as the paper writes it, in doubles; the same answers as strategy jump.
void peer_jump_doubles(benchmark::State& state, std::size_t cells) {
  measure(state, points(StrategyKind::kJump),
          sum_of_picks(build(StrategyKind::kJump, Pool(cells).members)), [&](const Point& point) {
            std::uint64_t key = point.lo;
            std::uint64_t bucket = 0;
            for (std::uint64_t next = 0; next < cells;) {
              bucket = next;
              key = key * 2862933555777941757ULL + 1;
              const double stride = 2147483648.0 / static_cast<double>((key >> 33) + 1);
              next = static_cast<std::uint64_t>(static_cast<double>(bucket + 1) * stride);
            }
            return bucket;
          });
}

// Peer: libmemcached's weighted ketama from the key's bytes; the same answers as strategy ketama.
void peer_libmemcached(benchmark::State& state, std::size_t cells) {
  const Pool pool(cells);
  const std::unique_ptr<memcached_st, decltype(&memcached_free)> client(memcached_create(nullptr),
                                                                        &memcached_free);
  memcached_behavior_set(client.get(), MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED, 1);
  for (const std::string& id : pool.ids) memcached_server_add(client.get(), id.c_str(), 11211);
  measure(state, keys(kKeys), sum_of_picks(build(StrategyKind::kKetama, pool.members)),
          [&](const std::string& key) {
            return memcached_generate_hash(client.get(), key.data(), key.size());
          });
}

// Peer: what hand-written routers do, with libmemcached's MD5 (of which it gives 32 bits).
void peer_md5_modulo(benchmark::State& state, std::size_t cells) {
  const std::vector<std::string> names = keys(kKeys);
  std::uint64_t expected = 0;
  for (const std::string& key : names) expected += Ketama::point(key, 0).lo % cells;
  measure(state, names, expected, [&](const std::string& key) {
    return memcached_generate_hash_value(key.data(), key.size(), MEMCACHED_HASH_MD5) % cells;
  });
}

template <class F, class... Args>
void add(const std::string& name, std::size_t cells, F function, Args... args) {
  benchmark::RegisterBenchmark((name + '/' + std::to_string(cells)).c_str(), function, args...);
}

const bool kRegistered = [] {
  for (std::size_t k = 0; k < kStrategyKinds; ++k) {
    const auto kind = static_cast<StrategyKind>(k);
    const std::string name(Picker::name(kind));
    for (const std::size_t n : kSizes) add("pick/" + name, n, pick, kind, n);
  }
  for (const std::size_t n : kSizes) {
    add("pick/preference-first", n, preference_first, n);
    add("pick/peer-jump-doubles", n, peer_jump_doubles, n);
    add("pick/peer-map-ring", n, peer_map_ring, n);
  }
  for (const auto kind : {StrategyKind::kRendezvousSlots, StrategyKind::kMd5Modulo,
                          StrategyKind::kKetama, StrategyKind::kKetamaNginx}) {
    const std::string name(Picker::name(kind));
    for (const std::size_t n : kSizes) add("pick_key/" + name, n, pick_key, kind, n);
  }
  for (const std::size_t n : kSizes) {
    if (n <= kLibmemcachedMost) add("pick_key/peer-libmemcached", n, peer_libmemcached, n);
    add("pick_key/peer-md5-modulo", n, peer_md5_modulo, n);
  }
  for (std::size_t k = 0; k < kStrategyKinds; ++k) {
    const auto kind = static_cast<StrategyKind>(k);
    const std::string name(Picker::name(kind));
    for (const std::size_t n : kSizes) add("build/" + name, n, build_table, kind, n, false);
  }
  for (const std::size_t n : kSizes) {
    add("build_weighted/rendezvous-slots", n, build_table, StrategyKind::kRendezvousSlots, n, true);
    add("build_weighted/maglev", n, build_table, StrategyKind::kMaglev, n, true);
  }
  return true;
}();

}  // namespace
}  // namespace cellroute::bench
