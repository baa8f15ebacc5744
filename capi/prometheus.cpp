// All that is counted and all that the guards know, as Prometheus text. metrics.md beside this file
// has every metric.
#include <optional>
#include <string>
#include <vector>

#include "cellroute/version.hpp"
#include "entry.hpp"
#include "handles.hpp"
#include "metric_text.hpp"
#include "readiness.hpp"
#include "structs.hpp"

namespace cellroute::capi {
namespace {

// Cells that there are not, by a name that no cell can have.
constexpr std::string_view kOther = "{other}";

// A row of counts by the names of its cell.
struct NamedRow {
  std::string cell;  // "" of decisions without one; kOther
  std::string tier;
  CellTotals counts;
};

bool is_empty(const CellTotals& counts) noexcept {
  for (const std::uint64_t count : counts.reasons) {
    if (count != 0) return false;
  }
  return true;
}

// Cells of the snapshot by their names there, those that are gone by the names they had.
std::vector<NamedRow> rows_of(const MetricCounts& counts, const Snapshot* snapshot) {
  std::vector<NamedRow> rows;
  for (std::uint32_t number = 0; number < counts.cells(); ++number) {
    const CellIndex index = snapshot != nullptr ? snapshot->cell_of(number) : kNoCell;
    if (index != kNoCell) {
      const Cell& cell = snapshot->compiled().cell(index);
      counts.set_name(number, cell.id);
      rows.push_back({cell.id, cell.tier, counts.total(number)});
      continue;
    }
    std::array<char, 128> room;
    const std::string_view name = counts.name(number, room);
    if (!name.empty()) rows.push_back({std::string(name), "", counts.total(number)});
  }
  rows.push_back({"", "", counts.total(counts.row_of_none())});
  rows.push_back({std::string(kOther), "", counts.total(counts.row_of_unknown())});
  std::erase_if(rows, [](const NamedRow& row) { return is_empty(row.counts); });
  return rows;
}

void write_decisions(const std::vector<NamedRow>& rows, MetricText& out) {
  out.family("cellroute_decisions_total", "counter",
             "Decisions by status, reason, cell and the cell's tier.");
  for (const NamedRow& row : rows) {
    for (std::size_t i = 0; i < kReasonPlaces; ++i) {
      if (row.counts.reasons[i] == 0) continue;
      const bool listed = i < kReasonCount;
      const std::size_t status = i - kReasonCount;
      const std::string_view of_other =
          status < kStatusCount ? name(static_cast<Status>(status)) : "other";
      out.sample({{"status", listed ? name(status_of(kReasons[i].reason)) : of_other},
                  {"reason", listed ? kReasons[i].name : "other"},
                  {"cell", row.cell},
                  {"tier", row.tier}},
                 row.counts.reasons[i]);
    }
  }
}

void write_calls(const std::vector<NamedRow>& rows, MetricText& out) {
  out.family("cellroute_cell_calls_total", "counter",
             "Calls to a cell by how they ended: the class of the answer's status, or why none.");
  for (const NamedRow& row : rows) {
    for (std::size_t i = 0; i < kResultCount; ++i) {
      if (row.counts.results[i] == 0) continue;
      out.sample({{"cell", row.cell}, {"result", kResults[i]}}, row.counts.results[i]);
    }
  }
}

void write_latencies(const std::vector<NamedRow>& rows, MetricText& out) {
  out.family("cellroute_cell_latency_seconds", "histogram",
             "What calls to a cell took that were answered or timed out.");
  for (const NamedRow& row : rows) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < kBuckets; ++i) {
      sum += row.counts.buckets[i];
      const bool last = i == std::size(kLatencyBounds);
      out.sample("_bucket", {{"cell", row.cell}, {"le", last ? "+Inf" : kLatencyBounds[i].seconds}},
                 sum);
    }
    out.seconds("_sum", {{"cell", row.cell}}, row.counts.latency_sum);
    out.sample("_count", {{"cell", row.cell}}, sum);
  }
}

void write_lookups(const MetricCounts& counts, MetricText& out) {
  constexpr std::string_view kAnswers[] = {"found", "absent", "unknown", "stale"};
  out.family("cellroute_lookups_total", "counter",
             "Look-ups of keys in a mapping store by answer; stale is the last good one.");
  for (std::size_t i = 0; i < std::size(kAnswers); ++i) {
    out.sample({{"answer", kAnswers[i]}}, counts.total_lookups(i));
  }
}

void write_snapshot(const cellroute_router& router, const Snapshot* snapshot, Nanos now,
                    MetricText& out) {
  out.family("cellroute_snapshot_generation", "gauge",
             "Generation of the topology that serves; 0: none does.");
  out.sample({}, snapshot != nullptr ? snapshot->generation() : 0);
  const Nanos age = snapshot != nullptr ? age_of(router, now) : -1;
  if (age >= 0) {
    out.family("cellroute_snapshot_age_seconds", "gauge",
               "Since what serves was published, or a refresh found nothing newer.");
    out.seconds("", {}, static_cast<std::uint64_t>(age));
  }
  out.family("cellroute_overlay_mappings", "gauge",
             "Mappings that serve from memory, tombstones included.");
  out.sample({}, snapshot != nullptr ? snapshot->overlay().size() : 0);
  if (snapshot == nullptr || !snapshot->base()) return;
  out.family("cellroute_base_generation", "gauge", "Generation of the mapping file that serves.");
  out.sample({}, snapshot->base()->generation());
  out.family("cellroute_base_mappings", "gauge", "Keys of the mapping file that serves.");
  out.sample({}, snapshot->base()->keys());
}

// 0 closed, 1 half-open, 2 open. Open for long enough it is half-open, though no request came yet.
std::uint64_t breaker_state(const Guards& guards, std::uint32_t cell, const BreakerRules& rules,
                            Nanos now) noexcept {
  const std::uint64_t word =
      guards.region().cell_words(cell).breaker.load(std::memory_order_relaxed);
  if (guard::is_closed(word) || !rules.on()) return 0;
  Nanos retry_after = 0;
  const BreakerAnswer answer =
      guard::BreakerOf(guards.region(), cell).look(rules, now, retry_after);
  return answer == BreakerAnswer::kOpen ? 2 : 1;
}

// One family of a value of each cell, where there is one.
template <class Value>
void write_cells(const Snapshot& snapshot, std::string_view name, std::string_view type,
                 std::string_view help, MetricText& out, Value&& value) {
  out.family(name, type, help);
  for (std::size_t i = 0; i < snapshot.compiled().cell_count(); ++i) {
    const auto index = static_cast<CellIndex>(i);
    const std::optional<std::uint64_t> found = value(index, snapshot.number_of(index));
    if (found) out.sample({{"cell", snapshot.compiled().cell(index).id}}, *found);
  }
}

void write_guards(const Guards& guards, const Snapshot& snapshot, Nanos now, MetricText& out) {
  using Found = std::optional<std::uint64_t>;
  const auto unless_zero = [](std::uint64_t value) { return value != 0 ? Found(value) : Found(); };
  write_cells(snapshot, "cellroute_cell_healthy", "gauge", "The cell's health mark: 1 or 0.", out,
              [&](CellIndex, std::uint32_t cell) -> Found {
                return guards.region().healthy(cell) ? 1 : 0;
              });
  write_cells(snapshot, "cellroute_breaker_state", "gauge",
              "The cell's breaker: 0 closed, 1 half-open, 2 open.", out,
              [&](CellIndex i, std::uint32_t cell) -> Found {
                return breaker_state(guards, cell, snapshot.guards().rules(i).breaker, now);
              });
  write_cells(snapshot, "cellroute_cell_in_flight", "gauge", "Requests in flight to the cell.", out,
              [&](CellIndex, std::uint32_t cell) -> Found { return guards.in_flight(cell); });
  write_cells(snapshot, "cellroute_cell_in_flight_limit", "gauge",
              "The most requests in flight to the cell; not where there is no limit.", out,
              [&](CellIndex i, std::uint32_t) {
                return unless_zero(snapshot.guards().rules(i).in_flight.cap);
              });
  write_cells(snapshot, "cellroute_cell_load", "gauge",
              "The cell's load: the last mark and the placements since.", out,
              [&](CellIndex, std::uint32_t cell) -> Found { return guards.region().load(cell); });
  write_cells(snapshot, "cellroute_cell_capacity", "gauge",
              "The cell's capacity, in the unit of its load; not where it is unknown.", out,
              [&](CellIndex i, std::uint32_t) {
                return unless_zero(snapshot.compiled().cell(i).capacity);
              });
  write_cells(snapshot, "cellroute_cell_limit_exceeded_total", "counter",
              "Requests admitted to the cell beyond a limit that only counts.", out,
              [&](CellIndex, std::uint32_t cell) -> Found { return guards.exceeded(cell); });
}

void write_cache(const NearCacheCounts& counts, MetricText& out) {
  const auto write = [&](std::string_view name, std::string_view type, std::string_view help,
                         std::uint64_t value) {
    out.family(name, type, help);
    out.sample({}, value);
  };
  write("cellroute_cache_hits_total", "counter", "Look-ups answered from the cache.", counts.hits);
  write("cellroute_cache_misses_total", "counter",
        "Look-ups that asked the store, or waited for another one that did.", counts.misses);
  write("cellroute_cache_shared_total", "counter", "Misses that waited for another one.",
        counts.shared);
  write("cellroute_cache_stale_total", "counter", "Answers that were the last good one.",
        counts.stale);
  write("cellroute_cache_errors_total", "counter", "Questions that the store failed to answer.",
        counts.errors);
  write("cellroute_cache_evictions_total", "counter", "Keys given up for room.", counts.evictions);
  write("cellroute_cache_entries", "gauge", "Keys held.", counts.entries);
  write("cellroute_cache_bytes", "gauge", "Bytes held.", counts.bytes);
}

std::int32_t write(const cellroute_metrics& metrics, const cellroute_router& router,
                   const cellroute_store* cached, Nanos now, std::string& text) {
  MetricText out;
  const auto snapshot = router.router->snapshot();
  out.family("cellroute_build_info", "gauge", "The library's version; 1.");
  out.sample({{"version", kVersion}}, 1);
  write_snapshot(router, snapshot.get(), now, out);
  {
    const std::vector<NamedRow> rows = rows_of(metrics.counts, snapshot.get());
    write_decisions(rows, out);
    write_calls(rows, out);
    write_latencies(rows, out);
  }
  write_lookups(metrics.counts, out);
  if (snapshot) write_guards(router.router->guards(), *snapshot, now, out);
  if (cached != nullptr) {
    const auto counted = cached->cache->counts();
    if (!counted.ok()) return static_cast<std::int32_t>(counted.error().code());
    write_cache(*counted, out);
  }
  text = out.text();
  return CELLROUTE_OK;
}

std::int32_t check_sources(const cellroute_metrics* metrics, const cellroute_router* router,
                           const cellroute_store* cached) noexcept {
  std::int32_t code = check(metrics);
  if (code == CELLROUTE_OK) code = check(router);
  if (code == CELLROUTE_OK && cached != nullptr) code = check(cached);
  if (code != CELLROUTE_OK) return code;
  if (cached != nullptr && cached->cache == nullptr) return CELLROUTE_E_UNSUPPORTED;
  return CELLROUTE_OK;
}

}  // namespace
}  // namespace cellroute::capi

namespace capi = cellroute::capi;

int32_t cellroute_metrics_write(cellroute_metrics* metrics, cellroute_router* router,
                                const cellroute_store* cached, int64_t now_ns, char* buffer,
                                size_t capacity, size_t* size, cellroute_error* error) {
  return capi::enter(error, [&]() -> std::int32_t {
    std::int32_t code = capi::check_sources(metrics, router, cached);
    if (code == CELLROUTE_OK && size == nullptr) code = CELLROUTE_E_NULL;
    if (code != CELLROUTE_OK) return capi::fail(error, code);
    const cellroute::GuardRegion& guards = router->router->region();
    if (guards.seed() != metrics->counts.guards() ||
        guards.geometry().cells != metrics->counts.cells()) {
      return capi::fail(error, CELLROUTE_E_CONFLICT,
                        "the metrics were made for a router with other guards");
    }
    std::string text;
    code = capi::write(*metrics, *router, cached, now_ns, text);
    if (code != CELLROUTE_OK) return capi::fail(error, code);
    return capi::put_text(text, buffer, capacity, size, error);
  });
}
