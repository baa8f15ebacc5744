// Counts of decisions, and cells as their guards see them.
#include "handles.hpp"
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
