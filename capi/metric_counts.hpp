// What metrics count, by lane and cell: fixed memory that processes may share, as they share
// guards.
//
//   header │ names: one a cell │ look-ups: [lane] │ rows: [lane][cells, of no cell, unknown]
//
// A lane's words lie on lines of their own, and one is raised by one atomic addition: exact also
// where threads share a lane, and uncontended where they do not. Zero bytes are a valid beginning.
// Any change here raises kMetricsLayout.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "cellroute.h"
#include "cellroute/guard/layout.hpp"
#include "cellroute/time.hpp"
#include "counts.hpp"

namespace cellroute::capi {

inline constexpr std::uint64_t kMetricsMagic = 0x31746e43'74654d43;  // "CMetCnt1", little endian
inline constexpr std::uint64_t kMetricsLayout = 1;

// A latency's buckets by their greatest latency, as people read them; behind them that of all
// others. No two bounds lie within one power of two, which bucket_of() lives on.
struct LatencyBound {
  Nanos most;
  std::string_view seconds;
};
inline constexpr LatencyBound kLatencyBounds[] = {
    {500'000, "0.0005"},   {1'000'000, "0.001"},  {2'500'000, "0.0025"}, {5'000'000, "0.005"},
    {10'000'000, "0.01"},  {25'000'000, "0.025"}, {50'000'000, "0.05"},  {100'000'000, "0.1"},
    {250'000'000, "0.25"}, {500'000'000, "0.5"},  {1'000'000'000, "1"},  {2'500'000'000, "2.5"},
    {5'000'000'000, "5"},  {10'000'000'000, "10"}};
inline constexpr std::size_t kBuckets = std::size(kLatencyBounds) + 1;

// What takes longer counts as a day, so that no sum of latencies comes round.
inline constexpr std::uint64_t kLongestLatency = 86'400 * std::uint64_t{kSecond};

// By a latency's bit width, the first bucket that it can be in; the next is the only other one.
inline constexpr auto kFirstBucket = [] {
  std::array<std::uint8_t, 64> first{};
  for (std::size_t width = 1; width < first.size(); ++width) {
    const auto least = Nanos{1} << (width - 1);
    while (first[width] < std::size(kLatencyBounds) && kLatencyBounds[first[width]].most < least) {
      ++first[width];
    }
  }
  return first;
}();

inline std::size_t bucket_of(std::uint64_t latency) noexcept {
  const std::size_t first = kFirstBucket[static_cast<std::size_t>(std::bit_width(latency))];
  const bool fits = first == std::size(kLatencyBounds) ||
                    latency <= static_cast<std::uint64_t>(kLatencyBounds[first].most);
  return fits ? first : first + 1;
}

// How calls to a cell ended. Those that were answered by the class of their status, from 100 on.
inline constexpr std::string_view kResults[] = {
    "1xx", "2xx", "3xx", "4xx", "5xx", "answered", "connect_error", "timeout", "client_abort"};
inline constexpr std::size_t kResultCount = std::size(kResults);

inline std::size_t result_of(const cellroute_outcome& outcome) noexcept {
  constexpr std::size_t kWithoutStatus = 5;
  if (outcome.end != CELLROUTE_ANSWERED) return kWithoutStatus + outcome.end;
  const std::uint32_t hundreds = outcome.http_status / 100;
  return hundreds >= 1 && hundreds <= 5 ? hundreds - 1 : kWithoutStatus;
}

// Reasons in the order of kReasons, then those that are none of them by status, then with a status
// that is none either.
inline constexpr std::size_t kStatusCount = 10;
inline constexpr std::size_t kReasonPlaces = kReasonCount + kStatusCount + 1;

inline std::size_t reason_place(std::uint32_t reason, std::uint32_t status) noexcept {
  const std::size_t place = reason < kPlaceOfReason.size() ? kPlaceOfReason[reason] : 0;
  if (place != 0) return place;
  return kReasonCount + (status < kStatusCount ? status : kStatusCount);
}

using guard::Word;

inline void raise(Word& word, std::uint64_t by = 1) noexcept {
  word.fetch_add(by, std::memory_order_relaxed);
}

struct alignas(guard::kLine) MetricsHeader {
  Word magic;     // written last
  Word version;   // kMetricsLayout and how many reasons there are
  Word geometry;  // cells, lanes: 32 bits each
  Word guards;    // the seed of the guards whose numbers count
  Word bytes;     // in all
  Word padding[3];
};

// A cell's id, for when no topology names it any more. Whoever writes it writes the same bytes, so
// that nobody waits; `size` comes last.
struct CellName {
  Word size;
  Word bytes[16];
};

struct alignas(guard::kLine) LookupCounts {
  Word of[8];  // by CELLROUTE_FOUND ..., then those that were stale
};
inline constexpr std::size_t kStaleLookups = 3;

// A lane's counts of one cell.
struct alignas(guard::kLine) CellCounts {
  Word latency_sum;  // nanoseconds
  Word buckets[kBuckets];
  Word results[kResultCount];
  Word reasons[kReasonPlaces];
};

// A row's sum over all lanes.
struct CellTotals {
  std::uint64_t latency_sum = 0;
  std::array<std::uint64_t, kBuckets> buckets{};
  std::array<std::uint64_t, kResultCount> results{};
  std::array<std::uint64_t, kReasonPlaces> reasons{};
};

// Thread and process safety: any number of either may use one at once; all but create() is
// lock-free, allocates nothing and makes no system call. A view: copies refer to the same memory.
class MetricCounts {
 public:
  // Precondition: geometry in the guards' bounds. `guards` is their seed.
  static std::size_t bytes(const GuardGeometry& geometry) noexcept;
  // `memory` as GuardRegion::create() has it. CELLROUTE_OK, _E_INVALID_ARGUMENT, _E_CONFLICT,
  // _E_CORRUPT, _E_UNSUPPORTED.
  static std::int32_t create(std::span<std::byte> memory, const GuardGeometry& geometry,
                             std::uint64_t guards, MetricCounts& made) noexcept;

  std::uint32_t cells() const noexcept { return cells_; }
  std::uint32_t lanes() const noexcept { return lanes_; }
  std::uint64_t guards() const noexcept { return header_->guards.load(std::memory_order_relaxed); }

  // Rows behind those of the cells.
  std::uint32_t row_of_none() const noexcept { return cells_; }
  std::uint32_t row_of_unknown() const noexcept { return cells_ + 1; }

  // Precondition: lane < lanes().
  CellCounts& row(std::uint32_t lane, std::uint32_t cell) const noexcept {
    return rows_[std::size_t{lane} * (cells_ + 2) + cell];
  }
  CellCounts& row_of(std::uint32_t lane, std::uint32_t cell) const noexcept {
    if (cell < cells_) [[likely]]
      return row(lane, cell);
    return row(lane, cell == CELLROUTE_NO_CELL ? row_of_none() : row_of_unknown());
  }
  LookupCounts& lookups(std::uint32_t lane) const noexcept { return lookups_[lane]; }

  CellTotals total(std::uint32_t cell) const noexcept;
  std::uint64_t total_lookups(std::size_t which) const noexcept;

  // Precondition: id.size() <= 128, cell < cells().
  void set_name(std::uint32_t cell, std::string_view id) const noexcept;
  // Into `room`; empty where nobody named it.
  std::string_view name(std::uint32_t cell, std::span<char, 128> room) const noexcept;

 private:
  MetricsHeader* header_ = nullptr;
  CellName* names_ = nullptr;
  LookupCounts* lookups_ = nullptr;
  CellCounts* rows_ = nullptr;
  std::uint32_t cells_ = 0;
  std::uint32_t lanes_ = 0;
};

}  // namespace cellroute::capi
