#include "metric_counts.hpp"

#include <algorithm>
#include <cstring>

namespace cellroute::capi {
namespace {

constexpr std::size_t kNameBytes = sizeof(CellName::bytes);

struct MetricsOffsets {
  explicit MetricsOffsets(const GuardGeometry& g) noexcept
      : lookups(rounded(names + std::size_t{g.cells} * sizeof(CellName))),
        rows(lookups + std::size_t{g.lanes} * sizeof(LookupCounts)),
        end(rows + std::size_t{g.lanes} * (std::size_t{g.cells} + 2) * sizeof(CellCounts)) {}

  static std::size_t rounded(std::size_t bytes) noexcept {
    return (bytes + guard::kLine - 1) / guard::kLine * guard::kLine;
  }

  std::size_t names = sizeof(MetricsHeader);
  std::size_t lookups;
  std::size_t rows;
  std::size_t end;
};

void add(const CellCounts& from, CellTotals& to) noexcept {
  const auto value = [](const Word& word) { return word.load(std::memory_order_relaxed); };
  to.latency_sum += value(from.latency_sum);
  for (std::size_t i = 0; i < kBuckets; ++i) to.buckets[i] += value(from.buckets[i]);
  for (std::size_t i = 0; i < kResultCount; ++i) to.results[i] += value(from.results[i]);
  for (std::size_t i = 0; i < kReasonPlaces; ++i) to.reasons[i] += value(from.reasons[i]);
}

}  // namespace

std::size_t MetricCounts::bytes(const GuardGeometry& geometry) noexcept {
  return MetricsOffsets(geometry).end;
}

// As GuardRegion::create(): word by word, the magic last.
std::int32_t MetricCounts::create(std::span<std::byte> memory, const GuardGeometry& geometry,
                                  std::uint64_t guards, MetricCounts& made) noexcept {
  const MetricsOffsets offsets(geometry);
  if (reinterpret_cast<std::uintptr_t>(memory.data()) % guard::kLine != 0 ||
      memory.size() < offsets.end) {
    return CELLROUTE_E_INVALID_ARGUMENT;
  }
  auto& header = *reinterpret_cast<MetricsHeader*>(memory.data());
  const std::uint64_t magic = header.magic.load();
  if (magic != 0 && magic != kMetricsMagic) return CELLROUTE_E_CORRUPT;
  if (!guard::settle(header.version, kMetricsLayout << 32 | kReasonCount)) {
    return CELLROUTE_E_UNSUPPORTED;
  }
  if (!guard::settle(header.geometry, std::uint64_t{geometry.cells} << 32 | geometry.lanes) ||
      !guard::settle(header.guards, guards) || !guard::settle(header.bytes, offsets.end)) {
    return CELLROUTE_E_CONFLICT;
  }
  header.magic.store(kMetricsMagic, std::memory_order_release);
  made.header_ = &header;
  made.names_ = reinterpret_cast<CellName*>(memory.data() + offsets.names);
  made.lookups_ = reinterpret_cast<LookupCounts*>(memory.data() + offsets.lookups);
  made.rows_ = reinterpret_cast<CellCounts*>(memory.data() + offsets.rows);
  made.cells_ = geometry.cells;
  made.lanes_ = geometry.lanes;
  return CELLROUTE_OK;
}

CellTotals MetricCounts::total(std::uint32_t cell) const noexcept {
  CellTotals total;
  for (std::uint32_t lane = 0; lane < lanes_; ++lane) add(row(lane, cell), total);
  return total;
}

std::uint64_t MetricCounts::total_lookups(std::size_t which) const noexcept {
  std::uint64_t sum = 0;
  for (std::uint32_t lane = 0; lane < lanes_; ++lane) {
    sum += lookups(lane).of[which].load(std::memory_order_relaxed);
  }
  return sum;
}

void MetricCounts::set_name(std::uint32_t cell, std::string_view id) const noexcept {
  CellName& name = names_[cell];
  if (name.size.load(std::memory_order_relaxed) != 0) return;
  std::uint64_t words[std::size(CellName().bytes)] = {};
  std::memcpy(words, id.data(), std::min(id.size(), kNameBytes));
  for (std::size_t i = 0; i < std::size(words); ++i) {
    name.bytes[i].store(words[i], std::memory_order_relaxed);
  }
  name.size.store(std::min(id.size(), kNameBytes), std::memory_order_release);
}

std::string_view MetricCounts::name(std::uint32_t cell, std::span<char, 128> room) const noexcept {
  const CellName& name = names_[cell];
  const std::size_t size = name.size.load(std::memory_order_acquire);
  std::uint64_t words[std::size(CellName().bytes)];
  for (std::size_t i = 0; i < std::size(words); ++i) {
    words[i] = name.bytes[i].load(std::memory_order_relaxed);
  }
  static_assert(sizeof words == 128);
  std::memcpy(room.data(), words, sizeof words);
  return {room.data(), std::min(size, sizeof words)};
}

}  // namespace cellroute::capi
