// Counts of decisions and calls, and cells as their guards see them.
#include <algorithm>
#include <memory>
#include <utility>

#include "entry.hpp"
#include "handles.hpp"
#include "outcomes.hpp"
#include "router_geometry.hpp"
#include "structs.hpp"

namespace cellroute::capi {
namespace {

Reason reason_of(const Admission& admission) noexcept {
  return admission.ok() ? Reason::kNone : cellroute::reason_of(admission.refusal, false);
}

cellroute_cell_metrics metrics_of(const cellroute_router& router, const Snapshot& snapshot,
                                  std::uint32_t cell, Nanos now) noexcept {
  const Guards& guards = router.router->guards();
  const CellRules& rules = snapshot.guards().rules(snapshot.cell_of(cell));
  const Admission admission = guards.available(cell, rules, now);
  cellroute_cell_metrics made{};
  made.healthy = guards.region().healthy(cell) ? 1 : 0;
  made.refusal = static_cast<std::uint32_t>(reason_of(admission));
  made.in_flight = guards.in_flight(cell);
  made.load = guards.region().load(cell);
  made.retry_after_ns = admission.retry_after;
  return made;
}

std::string_view problem_of(std::int32_t code) noexcept {
  switch (code) {
    case CELLROUTE_E_INVALID_ARGUMENT:
      return "the memory is not aligned to 64 bytes or below cellroute_metrics_memory_size()";
    case CELLROUTE_E_CONFLICT: return "the memory holds metrics beside other guards";
    case CELLROUTE_E_CORRUPT: return "the memory is neither zero nor metrics";
    default: return "the memory holds metrics of another layout";
  }
}

std::int32_t create(const GuardRegion& guards, std::span<std::byte> memory,
                    cellroute_metrics** metrics, cellroute_error* error) {
  auto made = std::make_unique<cellroute_metrics>();
  if (memory.empty()) {
    const std::size_t bytes = MetricCounts::bytes(guards.geometry());
    made->own.reset(static_cast<std::byte*>(std::calloc(1, bytes + guard::kLine)));
    if (!made->own) {
      return fail(error, CELLROUTE_E_EXHAUSTED,
                  "no memory for metrics of " + std::to_string(bytes) + " bytes");
    }
    void* start = made->own.get();
    std::size_t room = bytes + guard::kLine;
    memory = {static_cast<std::byte*>(std::align(guard::kLine, bytes, start, room)), bytes};
  }
  const std::int32_t code =
      MetricCounts::create(memory, guards.geometry(), guards.seed(), made->counts);
  if (code != CELLROUTE_OK) return fail(error, code, problem_of(code));
  *metrics = made.release();
  return CELLROUTE_OK;
}

void count_call(CellCounts& counts, const cellroute_outcome& outcome, Nanos latency) noexcept {
  raise(counts.results[result_of(outcome)]);
  if (outcome.end != CELLROUTE_ANSWERED && outcome.end != CELLROUTE_TIMEOUT) return;
  const std::uint64_t took =
      latency > 0 ? std::min(static_cast<std::uint64_t>(latency), kLongestLatency) : 0;
  raise(counts.buckets[bucket_of(took)]);
  raise(counts.latency_sum, took);
}

}  // namespace
}  // namespace cellroute::capi

namespace capi = cellroute::capi;

int32_t cellroute_router_count(const cellroute_router* router, uint32_t lane, uint32_t index,
                               cellroute_count* count) {
  if (const std::int32_t code = capi::check(router); code != CELLROUTE_OK) return code;
  if (const std::int32_t code = capi::check_out(count); code != CELLROUTE_OK) return code;
  const bool all = lane == CELLROUTE_ALL_LANES;
  if (index >= capi::kReasonCount || (!all && lane >= router->counts.lanes())) {
    return CELLROUTE_E_NOT_FOUND;
  }
  const cellroute::Reason reason = cellroute::kReasons[index].reason;
  cellroute_count made{};
  made.reason = static_cast<std::uint32_t>(reason);
  made.status = static_cast<std::uint32_t>(capi::status_of(reason));
  made.decisions = all ? router->counts.of_all(index) : router->counts.of_lane(lane, index);
  capi::write_struct(count, made);
  return CELLROUTE_OK;
}

int32_t cellroute_router_cell_metrics(cellroute_router* router, uint32_t cell, int64_t now_ns,
                                      cellroute_cell_metrics* metrics) {
  if (const std::int32_t code = capi::check(router); code != CELLROUTE_OK) return code;
  if (const std::int32_t code = capi::check_out(metrics); code != CELLROUTE_OK) return code;
  const auto snapshot = router->router->snapshot();
  if (!snapshot) return CELLROUTE_E_NO_SNAPSHOT;
  if (snapshot->cell_of(cell) == cellroute::kNoCell) return CELLROUTE_E_NOT_FOUND;
  capi::write_struct(metrics, capi::metrics_of(*router, *snapshot, cell, now_ns));
  return CELLROUTE_OK;
}

int32_t cellroute_metrics_memory_size(const cellroute_router_options* options, uint64_t* size) {
  cellroute_router_options room;
  if (size == nullptr) return CELLROUTE_E_NULL;
  if (const std::int32_t code = capi::read_optional(options, room); code != CELLROUTE_OK) {
    return code;
  }
  const cellroute::GuardGeometry geometry = capi::geometry_of(*options);
  if (!cellroute::guard::in_bounds(geometry)) return CELLROUTE_E_INVALID_ARGUMENT;
  *size = capi::MetricCounts::bytes(geometry);
  return CELLROUTE_OK;
}

int32_t cellroute_metrics_create(cellroute_router* router, void* memory, uint64_t memory_size,
                                 cellroute_metrics** metrics, cellroute_error* error) {
  return capi::enter(error, [&]() -> std::int32_t {
    std::int32_t code = capi::check(router);
    const bool missing = metrics == nullptr || (memory == nullptr && memory_size != 0);
    if (code == CELLROUTE_OK && missing) code = CELLROUTE_E_NULL;
    if (code == CELLROUTE_OK && memory != nullptr && memory_size == 0) {
      code = CELLROUTE_E_INVALID_ARGUMENT;
    }
    if (code != CELLROUTE_OK) return capi::fail(error, code);
    return capi::create(router->router->region(),
                        {static_cast<std::byte*>(memory), static_cast<std::size_t>(memory_size)},
                        metrics, error);
  });
}

void cellroute_metrics_destroy(cellroute_metrics* metrics) {
  if (capi::check(metrics) == CELLROUTE_OK) delete metrics;
}

int32_t cellroute_metrics_observe(cellroute_metrics* metrics, uint32_t lane,
                                  const cellroute_decision* decision,
                                  const cellroute_outcome* outcome, int64_t latency_ns) {
  cellroute_decision decision_room;
  cellroute_outcome outcome_room;
  if (const std::int32_t code = capi::check(metrics); code != CELLROUTE_OK) return code;
  if (const std::int32_t code = capi::read_struct(decision, decision_room); code != CELLROUTE_OK) {
    return code;
  }
  if (outcome != nullptr) {
    if (const std::int32_t code = capi::read_struct(outcome, outcome_room); code != CELLROUTE_OK) {
      return code;
    }
    if (const std::int32_t code = capi::check_outcome(*outcome); code != CELLROUTE_OK) return code;
  }
  if (lane >= metrics->counts.lanes()) return CELLROUTE_E_INVALID_ARGUMENT;
  capi::CellCounts& counts = metrics->counts.row_of(lane, decision->cell);
  capi::raise(counts.reasons[capi::reason_place(decision->reason, decision->status)]);
  if (outcome != nullptr) capi::count_call(counts, *outcome, latency_ns);
  return CELLROUTE_OK;
}

int32_t cellroute_metrics_lookup(cellroute_metrics* metrics, uint32_t lane,
                                 const cellroute_mapping* mapping) {
  cellroute_mapping room;
  if (const std::int32_t code = capi::check(metrics); code != CELLROUTE_OK) return code;
  if (const std::int32_t code = capi::read_struct(mapping, room); code != CELLROUTE_OK) return code;
  if (lane >= metrics->counts.lanes() || mapping->answer > CELLROUTE_LOOKUP_UNKNOWN) {
    return CELLROUTE_E_INVALID_ARGUMENT;
  }
  capi::LookupCounts& counts = metrics->counts.lookups(lane);
  capi::raise(counts.of[mapping->stale != 0 ? capi::kStaleLookups : mapping->answer]);
  return CELLROUTE_OK;
}
