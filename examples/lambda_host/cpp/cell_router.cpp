#include "cell_router.hpp"

#include "function.hpp"

namespace lambda_host {
namespace {

// A struct of the C interface, all zero but for its size.
template <typename Struct>
Struct sized() {
  Struct made{};
  made.struct_size = sizeof(Struct);
  return made;
}

cellroute_view view(std::string_view text) { return {text.data(), text.size()}; }
std::string_view text(cellroute_view view) { return {view.data, view.size}; }

void check(std::int32_t code, const cellroute_error& error = sized<cellroute_error>()) {
  if (code < 0) throw Failure(cellroute_code_name(code), error.text);
}

}  // namespace

CellRouter::CellRouter(const std::string& topology_path) {
  auto error = sized<cellroute_error>();
  cellroute_topology* loaded = nullptr;
  check(cellroute_topology_load_file(view(topology_path), nullptr, &loaded, &error), error);
  const std::unique_ptr<cellroute_topology, Destroy<&cellroute_topology_destroy>> topology(loaded);

  auto options = sized<cellroute_router_options>();
  options.lanes = 1;
  options.limiter_entries = CELLROUTE_NO_LIMITER;
  cellroute_router* router = nullptr;
  check(cellroute_router_create(&options, &router, &error), error);
  router_.reset(router);
  check(cellroute_router_publish(router, loaded, nullptr, &error), error);

  // Nothing is published after this, so what is held serves for as long as the router.
  cellroute_snapshot* snapshot = nullptr;
  check(cellroute_snapshot_hold(router, &snapshot, &error), error);
  snapshot_.reset(snapshot);
  check(cellroute_router_profile(router, nullptr, &nameless_, &error), error);
  read_names();
}

void CellRouter::read_names() {
  auto status = sized<cellroute_status_info>();
  for (std::uint32_t i = 0; cellroute_status_at(i, &status) == CELLROUTE_OK; ++i) {
    statuses_.emplace(status.status, Status{text(status.name), status.http_status});
  }
  auto reason = sized<cellroute_reason_info>();
  for (std::uint32_t i = 0; cellroute_reason_at(i, &reason) == CELLROUTE_OK; ++i) {
    reasons_.emplace(reason.reason, Reason{text(reason.name), reason.status});
  }
}

Decision CellRouter::route(std::string_view key, std::uint32_t access, std::int64_t now_ns) {
  cellroute_request request = request_for(key, access);
  request.profile = nameless_;
  auto made = sized<cellroute_decision>();
  check(cellroute_route(router_.get(), &request, now_ns, &made));
  return named(made);
}

Decision CellRouter::locate(std::string_view key, const Profile& profile, std::uint32_t access,
                            std::int64_t now_ns) {
  std::vector<cellroute_view> flags;
  for (const std::string& flag : profile.flags) flags.push_back(view(flag));
  auto names = sized<cellroute_profile_names>();
  names.tier = view(profile.tier);
  names.region = view(profile.region);
  names.flags = flags.data();
  names.flag_count = static_cast<std::uint32_t>(flags.size());

  cellroute_request request = request_for(key, access);
  auto made = sized<cellroute_decision>();
  auto error = sized<cellroute_error>();
  const std::int32_t code =
      cellroute_router_profile(router_.get(), &names, &request.profile, &error);
  if (code == CELLROUTE_E_UNKNOWN_NAME) {
    made.reason = error.reason;
    made.status = reasons_.at(error.reason).status;
    made.cell = CELLROUTE_NO_CELL;
    return named(made);
  }
  check(code, error);
  check(cellroute_locate(router_.get(), &request, now_ns, &made));
  return named(made);
}

void CellRouter::report(Decision& decision, std::uint32_t end, std::uint32_t http_status,
                        std::int64_t now_ns) {
  auto outcome = sized<cellroute_outcome>();
  outcome.end = end;
  outcome.http_status = http_status;
  check(cellroute_report(router_.get(), &decision.made.ticket, &outcome, now_ns));
}

Decision CellRouter::named(const cellroute_decision& made) const {
  const Status& status = statuses_.at(made.status);
  Decision decision{made, status.name, reasons_.at(made.reason).name, {}, {}, status.http_status};
  auto cell = sized<cellroute_cell>();
  if (made.cell != CELLROUTE_NO_CELL &&
      cellroute_snapshot_cell(snapshot_.get(), made.cell, &cell) == CELLROUTE_OK) {
    decision.cell = text(cell.id);
    decision.endpoint = text(cell.endpoint);
  }
  return decision;
}

cellroute_request CellRouter::request_for(std::string_view key, std::uint32_t access) const {
  auto request = sized<cellroute_request>();
  request.key = view(key);
  request.access = access;
  return request;
}

}  // namespace lambda_host
