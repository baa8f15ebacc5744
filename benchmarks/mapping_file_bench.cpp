// The mapping file: built, looked up and routed by, one key at a time and in batches, beside what
// the memory it lies in can do (one random line of it, alone or prefetched), absl's map and LMDB.
//
// A million keys by default; the size that it is for takes some minutes, 4 GB below TMPDIR and, for
// absl's map, 13 GB of memory:
//   CELLROUTE_BENCH_KEYS=100000000 cellroute_bench --benchmark_filter=mapping_file
//
// `isolated` is one lone call: fences keep the next from beginning before it has ended. `batch` is
// a key of 32. Both time a line, a look-up and a route in turn, in rounds with the same keys'
// refresh before each, and give the middle round: times of one quiet moment and another's noisy one
// do not compare. Every answer is checked. Keys have 16 to 24 bytes, in 1,000 cells and 64
// profiles.
#include <absl/container/flat_hash_map.h>
#include <benchmark/benchmark.h>
#include <lmdb.h>
#include <stdlib.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cellroute/hash.hpp"
#include "cellroute/mapping_file.hpp"
#include "cellroute/router.hpp"
#include "keys.hpp"
#include "mapping/file_builder.hpp"

namespace {

using namespace cellroute;

constexpr std::uint32_t kCells = 1'000;
constexpr std::uint32_t kProfiles = 64;
constexpr std::size_t kBatch = MappingFile::kBatch;
constexpr std::size_t kLoneCalls = 256;

std::uint64_t key_count() {
  const char* const text = std::getenv("CELLROUTE_BENCH_KEYS");
  const std::uint64_t count = text == nullptr ? 0 : std::strtoull(text, nullptr, 10);
  return count == 0 ? 1'000'000 : count;
}

// Key number i, 16 to 24 bytes.
struct Key {
  explicit Key(std::uint64_t i) noexcept : size(16 + i % 9) {
    std::uint64_t bits = mix(i);
    for (std::size_t at = 0; at < sizeof text; ++at, bits = at == 16 ? i : bits >> 4) {
      text[at] = "0123456789abcdef"[bits & 15];
    }
  }
  operator std::string_view() const noexcept { return {text, size}; }  // NOLINT
  std::uint32_t cell() const noexcept {
    return static_cast<std::uint32_t>(scale(hash_bytes(0, *this), kCells));
  }

  std::size_t size;
  char text[24];
};

std::string cell_name(std::uint32_t i) { return "cell-" + std::to_string(10'000 + i); }

void must(bool ok) {
  if (!ok) std::abort();
}

struct Directory {
  Directory() {
    const char* parent = std::getenv("TMPDIR");
    path = std::string(parent != nullptr ? parent : "/tmp") + "/cellroute-bench-XXXXXX";
    must(::mkdtemp(path.data()) != nullptr);
  }
  ~Directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::string path;
};

const std::string& file_path() {
  static const Directory directory;
  static const std::string path = directory.path + "/base.crm";
  return path;
}

// The most memory that this process has had, in MiB, since `reset`.
double peak_mib(bool reset) {
  if (reset) std::ofstream("/proc/self/clear_refs") << 5;
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::strtod(line.c_str() + 6, nullptr) / 1024;
  }
  return 0;
}

FileBuildReport build_file() {
  auto builder = FileBuilder::create(file_path(), {.seed = 42});
  must(builder.ok());
  std::vector<std::string> cells;
  std::vector<MappedProfile> profiles;
  for (std::uint32_t i = 0; i < kCells; ++i) cells.push_back(cell_name(i));
  for (std::uint32_t i = 0; i < kProfiles; ++i) {
    profiles.push_back({"tier-" + std::to_string(i % 4), "region-" + std::to_string(i), "", {}});
  }
  for (std::uint64_t i = 0; i < key_count(); ++i) {
    const Key key(i);
    FileRecord record;
    record.key = key;
    record.cell = cells[key.cell()];
    record.profile = &profiles[i % kProfiles];
    must((*builder)->add(record).ok());
  }
  const auto report = (*builder)->finish([](std::uint64_t) {});
  must(report.ok());
  return *report;
}

// Keys in a random order: so many that the lines they touch exceed any cache.
const std::vector<Key>& shuffled_keys() {
  static const std::vector<Key> keys = [] {
    std::vector<Key> made;
    const std::uint64_t count = std::min<std::uint64_t>(key_count(), 1 << 22) / kBatch * kBatch;
    for (std::uint64_t i = 0; i < count; ++i) made.emplace_back(scale(mix(~i), key_count()));
    return made;
  }();
  return keys;
}

const std::shared_ptr<const MappingFile>& shared_file(bool copy) {
  static std::shared_ptr<const MappingFile> files[2];
  std::shared_ptr<const MappingFile>& one = files[copy ? 1 : 0];
  if (one == nullptr) {
    if (!std::filesystem::exists(file_path())) build_file();
    auto opened = MappingFile::open(file_path(), {.copy = copy});
    must(opened.ok());
    one = *opened;
    for (const Key& key : shuffled_keys()) {
      must(one->cells()[one->find(key).cell] == cell_name(key.cell()));
    }
  }
  return one;
}

const MappingFile& file(bool copy) { return *shared_file(copy); }

void fence() noexcept {
#if defined(__x86_64__)
  __asm__ volatile("lfence" ::: "memory");
#endif
}

void build(benchmark::State& state) {
  FileBuildReport report;
  peak_mib(true);
  for (auto _ : state) report = build_file();
  state.SetItemsProcessed(static_cast<std::int64_t>(report.keys));
  state.counters["peak_MiB"] = peak_mib(false);
  state.counters["bytes_a_key"] =
      static_cast<double>(report.bytes) / static_cast<double>(report.keys);
}

void open_whole(benchmark::State& state) {
  const MappingFile& held = file(false);
  for (auto _ : state) must(MappingFile::open(file_path(), {.copy = state.range(0) == 1}).ok());
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(held.bytes()));
  state.counters["identity_bits"] = held.identity_bits();
}

// The lines' own memory, read a line at a time.
struct RawLines {
  explicit RawLines(const MappingFile& file)
      : begin(file.lines().data()), count(file.lines().size() / crm::kLineBytes) {}
  const std::byte* at(std::uint64_t i) const noexcept {
    return begin + scale(mix(i), count) * crm::kLineBytes;
  }
  const std::byte* begin;
  std::uint64_t count;
};

void find_absent(benchmark::State& state) {
  const MappingFile& from = file(state.range(0) == 1);
  std::uint64_t i = key_count();
  std::uint64_t wrong = 0;
  for (auto _ : state) wrong += from.find(Key(++i)).answer == Answer::kAbsent ? 0U : 1U;
  must(wrong == 0);  // by wrong_hit_odds() none in a life
}

// All guards on, as in the benchmark of the router.
Topology fleet() {
  Topology made;
  made.generation = 1;
  made.tiers = {{"tier-0", {}, {}}, {"tier-1", {}, {}}, {"tier-2", {}, {}}, {"tier-3", {}, {}}};
  for (std::uint32_t i = 0; i < kProfiles; ++i) {
    made.regions.push_back("region-" + std::to_string(i));
  }
  for (std::uint32_t i = 0; i < kCells; ++i) {
    Cell& cell = made.cells.emplace_back();
    cell.id = cell_name(i);
    cell.tier = "tier-0";
    cell.region = "region-0";
  }
  made.policy.breaker.consecutive_failures = 5;
  made.policy.breaker.failure_rate = 500;
  made.policy.in_flight = {1'000'000, 60 * kSecond};
  Limit& limit = made.policy.limits.emplace_back();
  limit.per = LimitPer::kCell;
  limit.requests = 1'000'000'000;
  limit.period = kSecond;
  return made;
}

// A router whose base is the file.
struct Routed {
  explicit Routed(bool copy) : base(shared_file(copy)) {
    RouterOptions options;
    options.geometry.cells = 2048;
    options.geometry.limiter_entries = 16;
    auto made = Router::create(options);
    must(made.ok());
    router = std::move(*made);
    const auto compiled = compile(fleet());
    must(compiled.ok() && router->publish(*compiled, base, {}).ok());
    profile = router->snapshot()->profile({"tier-0", "region-0", {}, {}}).profile;
  }
  // Checks a round's answers, and ends its requests.
  void settle(const std::vector<FileAnswer>& answers, std::vector<Decision>& decisions) const {
    for (const FileAnswer& answer : answers) must(answer.answer == Answer::kFound);
    for (Decision& decision : decisions) {
      must(decision.reason == Reason::kMapped);
      router->report(decision.ticket, {}, kSecond);
    }
  }

  std::shared_ptr<const MappingFile> base;
  std::unique_ptr<Router> router;
  Profile profile;
};

// Keys that are in the cache, as those of requests are that have just been read, and whose lines
// are not.
class NearKeys {
 public:
  explicit NearKeys(std::size_t count) : near_(count, shuffled_keys()[0]) {}
  const std::vector<Key>& next() {
    const std::vector<Key>& all = shuffled_keys();
    for (Key& key : near_) {
      key = all[at_];
      at_ = at_ + 1 == all.size() ? 0 : at_ + 1;
    }
    return near_;
  }

 private:
  std::vector<Key> near_;
  std::size_t at_ = 0;
};

// Rounds of `calls` each, in nanoseconds a call.
class Rounds {
 public:
  explicit Rounds(std::size_t calls) : calls_(calls) {}
  template <class Round>
  double time(Round&& round) {
    using Clock = std::chrono::steady_clock;
    const Clock::time_point began = Clock::now();
    round();
    const std::chrono::duration<double, std::nano> took = Clock::now() - began;
    return rounds_.emplace_back(took.count() / static_cast<double>(calls_));
  }
  double median() {
    const auto middle = rounds_.begin() + static_cast<std::ptrdiff_t>(rounds_.size() / 2);
    std::nth_element(rounds_.begin(), middle, rounds_.end());
    return *middle;
  }

 private:
  std::size_t calls_;
  std::vector<double> rounds_;
};

void show(benchmark::State& state, Rounds& line, Rounds& find, Rounds& route) {
  state.counters["line_ns"] = line.median();
  state.counters["find_ns"] = find.median();
  state.counters["route_ns"] = route.median();
}

template <class Call>
void lone_calls(Call&& call) {
  for (std::size_t i = 0; i < kLoneCalls; ++i) {
    fence();
    call(i);
    fence();
  }
}

void isolated(benchmark::State& state) {
  const Routed routed(state.range(0) == 1);
  const RawLines lines(*routed.base);
  NearKeys keys(kLoneCalls);
  std::vector<FileAnswer> answers(kLoneCalls);
  std::vector<Decision> decisions(kLoneCalls);
  Request request;
  request.profile = routed.profile;
  Rounds line(kLoneCalls), find(kLoneCalls), route(kLoneCalls);
  std::uint64_t at = 0;
  std::uint64_t sum = 0;  // an operand in memory alone would not be read
  for (auto _ : state) {
    keys.next();
    line.time([&] {
      lone_calls(
          [&](std::size_t) { benchmark::DoNotOptimize(sum += crm::load64(lines.at(++at))); });
    });
    const std::vector<Key>& sought = keys.next();
    find.time([&] {
      lone_calls(
          [&](std::size_t i) { std::construct_at(&answers[i], routed.base->find(sought[i])); });
    });
    const std::vector<Key>& near = keys.next();
    const double took = route.time([&] {
      lone_calls([&](std::size_t i) {
        request.key = near[i];
        std::construct_at(&decisions[i], routed.router->route(request, kSecond));
      });
    });
    state.SetIterationTime(took / 1e9);
    routed.settle(answers, decisions);
  }
  show(state, line, find, route);
  state.counters["route_per_line"] = route.median() / line.median();
}

// Each line's memory is asked for before the first is read.
std::uint64_t read_prefetched(const RawLines& lines, std::uint64_t& at) {
  std::array<const std::byte*, kBatch> batch;
  for (const std::byte*& line : batch) {
    line = lines.at(++at);
    __builtin_prefetch(line);
  }
  std::uint64_t sum = 0;
  for (const std::byte* line : batch) sum += crm::load64(line);
  return sum;
}

void batch(benchmark::State& state) {
  constexpr std::size_t kKeys = 64 * kBatch;
  const Routed routed(state.range(0) == 1);
  const RawLines lines(*routed.base);
  NearKeys keys(kKeys);
  std::vector<FileAnswer> answers(kKeys);
  std::vector<Request> requests(kKeys);
  std::vector<Decision> decisions(kKeys);
  Rounds line(kKeys), find(kKeys), route(kKeys);
  std::uint64_t at = 0;
  for (auto _ : state) {
    keys.next();
    line.time([&] {
      for (std::size_t i = 0; i < kKeys; i += kBatch) {
        benchmark::DoNotOptimize(read_prefetched(lines, at));
      }
    });
    const std::vector<Key>& sought = keys.next();
    const std::vector<std::string_view> texts(sought.begin(), sought.end());
    find.time([&] {
      for (std::size_t i = 0; i < kKeys; i += kBatch) {
        routed.base->find(std::span(texts).subspan(i, kBatch),
                          std::span(answers).subspan(i, kBatch));
      }
    });
    const std::vector<Key>& near = keys.next();
    for (std::size_t i = 0; i < kKeys; ++i) {
      requests[i].key = near[i];
      requests[i].profile = routed.profile;
    }
    const double took = route.time([&] {
      for (std::size_t i = 0; i < kKeys; i += kBatch) {
        routed.router->route_batch(std::span(requests).subspan(i, kBatch),
                                   std::span(decisions).subspan(i, kBatch), kSecond);
      }
    });
    state.SetIterationTime(took / 1e9);
    routed.settle(answers, decisions);
  }
  show(state, line, find, route);
  state.counters["allowed_find_ns"] = 2 * line.median() + 10;
}

struct KeyHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view key) const noexcept { return hash_bytes(1, key); }
};

void flat_hash_map_isolated(benchmark::State& state) {
  absl::flat_hash_map<std::string, std::uint32_t, KeyHash, std::equal_to<>> map;
  map.reserve(key_count());
  for (std::uint64_t i = 0; i < key_count(); ++i) {
    const Key key(i);
    map.emplace(std::string_view(key), key.cell());
  }
  const std::vector<Key>& keys = shuffled_keys();
  std::size_t i = 0;
  for (auto _ : state) {
    const Key& key = keys[i];
    i = i + 1 == keys.size() ? 0 : i + 1;
    fence();
    const auto found = map.find(std::string_view(key));
    benchmark::DoNotOptimize(found->second);
    fence();
    if (found == map.end()) std::abort();
  }
}

// In one transaction held for all; filled in the order of its keys, as is quickest for it.
void lmdb_isolated(benchmark::State& state) {
  const Directory directory;
  MDB_env* env = nullptr;
  MDB_txn* transaction = nullptr;
  MDB_dbi tree = 0;
  const auto done = [](int code) { must(code == 0); };
  done(mdb_env_create(&env));
  done(mdb_env_set_mapsize(env, (std::size_t{1} << 30) + key_count() * 128));
  done(mdb_env_open(env, directory.path.c_str(), MDB_NOSYNC, 0600));
  done(mdb_txn_begin(env, nullptr, 0, &transaction));
  done(mdb_dbi_open(transaction, nullptr, 0, &tree));
  {
    std::vector<Key> sorted;
    sorted.reserve(key_count());
    for (std::uint64_t i = 0; i < key_count(); ++i) sorted.emplace_back(i);
    std::sort(sorted.begin(), sorted.end(),
              [](const Key& a, const Key& b) { return std::string_view(a) < std::string_view(b); });
    for (Key& each : sorted) {
      std::uint32_t cell = each.cell();
      MDB_val key{each.size, each.text};
      MDB_val value{sizeof cell, &cell};
      done(mdb_put(transaction, tree, &key, &value, MDB_APPEND));
    }
  }
  done(mdb_txn_commit(transaction));
  done(mdb_txn_begin(env, nullptr, MDB_RDONLY, &transaction));
  std::vector<Key> keys = shuffled_keys();
  std::size_t i = 0;
  for (auto _ : state) {
    Key& each = keys[i];
    i = i + 1 == keys.size() ? 0 : i + 1;
    MDB_val key{each.size, each.text};
    MDB_val value{};
    fence();
    const int code = mdb_get(transaction, tree, &key, &value);
    benchmark::DoNotOptimize(value);
    fence();
    done(code);
  }
  mdb_txn_abort(transaction);
  mdb_env_close(env);
}

// 0: mapped; 1: copied into huge pages.
BENCHMARK(build)->Name("mapping_file/build")->Iterations(1)->UseRealTime();
BENCHMARK(open_whole)->Name("mapping_file/open")->Arg(0)->Arg(1)->UseRealTime();
// The time is a route's; so many rounds.
BENCHMARK(isolated)
    ->Name("mapping_file/isolated")
    ->Arg(0)
    ->Arg(1)
    ->Iterations(2'000)
    ->UseManualTime();
BENCHMARK(batch)->Name("mapping_file/batch")->Arg(0)->Arg(1)->Iterations(500)->UseManualTime();
BENCHMARK(find_absent)->Name("mapping_file/absent/find")->Arg(0)->Arg(1);
// Once each, so that they need not keep their memory.
BENCHMARK(flat_hash_map_isolated)->Name("mapping_file/flat_hash_map")->Iterations(1 << 20);
BENCHMARK(lmdb_isolated)->Name("mapping_file/lmdb")->Iterations(1 << 20);

}  // namespace
