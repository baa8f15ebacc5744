// A request as a line of CloudWatch's embedded metric format ("Specification: Embedded metric
// format" in the Amazon CloudWatch User Guide). Its bounds, 100 metrics a directive, 30 dimensions
// a set and 1 MB a line, are far away: there are three metrics and two dimensions.
#include <algorithm>
#include <array>
#include <string>

#include "entry.hpp"
#include "handles.hpp"
#include "json_text.hpp"
#include "outcomes.hpp"
#include "structs.hpp"

namespace cellroute::capi {
namespace {

constexpr std::size_t kMaxEmfName = 255;

struct EmfNames {
  std::string_view name_space, cell_id, status_code, request_count, response_code, latency;
};

std::string_view or_default(cellroute_view given, std::string_view otherwise) noexcept {
  return given.size == 0 ? otherwise : text(given);
}

EmfNames names_of(const cellroute_emf_options& options) noexcept {
  return {or_default(options.name_space, "CellRouter"),
          or_default(options.cell_id, "CellId"),
          or_default(options.status_code, "StatusCode"),
          or_default(options.request_count, "RequestCount"),
          or_default(options.response_code, "ResponseCode"),
          or_default(options.latency, "Latency")};
}

bool is_name(std::string_view name) noexcept {
  const auto printable = [](char c) { return c >= ' ' && c <= '~'; };
  return name.size() <= kMaxEmfName && name.front() != ':' &&
         std::all_of(name.begin(), name.end(), printable) &&
         name.find_first_not_of(' ') != std::string_view::npos;
}

// What breaks the names' rule; "" if nothing does.
std::string_view problem_of(const EmfNames& names) noexcept {
  if (!is_name(names.name_space)) return names.name_space;
  std::array members = {std::string_view("_aws"),   std::string_view("Status"),
                        std::string_view("Reason"), names.cell_id,
                        names.status_code,          names.request_count,
                        names.response_code,        names.latency};
  for (const std::string_view name : members) {
    if (!is_name(name)) return name;
  }
  std::sort(members.begin(), members.end());
  const auto twice = std::adjacent_find(members.begin(), members.end());
  return twice != members.end() ? *twice : std::string_view();
}

std::string_view cell_name(const Snapshot& snapshot, std::uint32_t number) noexcept {
  if (number == CELLROUTE_NO_CELL) return "{none}";
  const CellIndex cell = snapshot.cell_of(number);
  return cell == kNoCell ? "{other}" : std::string_view(snapshot.compiled().cell(cell).id);
}

std::string_view reason_name(std::uint32_t reason) noexcept {
  const std::size_t place = reason < kPlaceOfReason.size() ? kPlaceOfReason[reason] : 0;
  return place != 0 || reason == 0 ? kReasons[place].name : "other";
}

std::uint32_t status_code_of(const cellroute_decision& decision,
                             const cellroute_outcome* outcome) noexcept {
  if (outcome == nullptr) {
    return static_cast<std::uint32_t>(http_status(static_cast<Status>(decision.status)));
  }
  switch (outcome->end) {
    case CELLROUTE_CONNECT_ERROR: return 502;
    case CELLROUTE_TIMEOUT: return 504;
    case CELLROUTE_CLIENT_ABORT: return 499;
    default: return outcome->http_status != 0 ? outcome->http_status : 200;
  }
}

void append_metric(std::string_view name, std::string_view unit, std::string& json) {
  json += json.back() == '[' ? "{\"Name\":" : ",{\"Name\":";
  append_string(name, json);
  json += ",\"Unit\":\"";
  json += unit;
  json += "\"}";
}

void append_member(std::string_view name, std::string_view value, std::string& json) {
  json += ',';
  append_string(name, json);
  json += ':';
  json += value;
}

void append_text_member(std::string_view name, std::string_view value, std::string& json) {
  append_member(name, "", json);
  append_string(value, json);
}

// Milliseconds with six digits behind the point.
std::string milliseconds(Nanos time) {
  const std::string fraction = std::to_string(kMillisecond + time % kMillisecond);
  return std::to_string(time / kMillisecond) + "." + fraction.substr(1);
}

void append_directives(const EmfNames& names, bool called, std::string& json) {
  json += "\"CloudWatchMetrics\":[{\"Namespace\":";
  append_string(names.name_space, json);
  json += ",\"Dimensions\":[[";
  append_string(names.cell_id, json);
  json += "]],\"Metrics\":[";
  append_metric(names.request_count, "Count", json);
  if (called) append_metric(names.latency, "Milliseconds", json);
  json += "]},{\"Namespace\":";
  append_string(names.name_space, json);
  json += ",\"Dimensions\":[[";
  append_string(names.cell_id, json);
  json += ',';
  append_string(names.status_code, json);
  json += "]],\"Metrics\":[";
  append_metric(names.response_code, "Count", json);
  json += "]}]";
}

std::string line_of(const Snapshot& snapshot, const EmfNames& names,
                    const cellroute_decision& decision, const cellroute_outcome* outcome,
                    Nanos latency, Nanos now) {
  std::string json = "{\"_aws\":{\"Timestamp\":" + std::to_string(now / kMillisecond) + ",";
  append_directives(names, outcome != nullptr, json);
  json += '}';
  append_text_member(names.cell_id, cell_name(snapshot, decision.cell), json);
  append_text_member(names.status_code, std::to_string(status_code_of(decision, outcome)), json);
  append_text_member("Status", name(static_cast<Status>(decision.status)), json);
  append_text_member("Reason", reason_name(decision.reason), json);
  append_member(names.request_count, "1", json);
  append_member(names.response_code, "1", json);
  if (outcome != nullptr) {
    append_member(names.latency, milliseconds(std::max(latency, Nanos{0})), json);
  }
  return json + "}";
}

std::int32_t check_emf(const cellroute_emf_options& options, const cellroute_decision& decision,
                       const cellroute_outcome* outcome, Nanos now,
                       cellroute_error* error) noexcept {
  if (options.reserved != 0) return fail(error, CELLROUTE_E_INVALID_ARGUMENT);
  if (decision.status >= kStatusCount) {
    return fail(error, CELLROUTE_E_INVALID_ARGUMENT, "the decision's status is none");
  }
  for (const cellroute_view& given :
       {options.name_space, options.cell_id, options.status_code, options.request_count,
        options.response_code, options.latency}) {
    if (!sound(given)) return fail(error, CELLROUTE_E_NULL);
  }
  if (outcome != nullptr) {
    if (const std::int32_t code = check_outcome(*outcome); code != CELLROUTE_OK) {
      return fail(error, code);
    }
  }
  if (now < 0) return fail(error, CELLROUTE_E_INVALID_ARGUMENT, "now_ns is negative");
  return CELLROUTE_OK;
}

}  // namespace
}  // namespace cellroute::capi

namespace capi = cellroute::capi;

int32_t cellroute_emf_write(const cellroute_snapshot* snapshot,
                            const cellroute_emf_options* options,
                            const cellroute_decision* decision, const cellroute_outcome* outcome,
                            int64_t latency_ns, int64_t now_ns, char* buffer, size_t capacity,
                            size_t* size, cellroute_error* error) {
  cellroute_emf_options options_room;
  cellroute_decision decision_room;
  cellroute_outcome outcome_room;
  return capi::enter(error, [&]() -> std::int32_t {
    std::int32_t code = capi::check(snapshot);
    if (code == CELLROUTE_OK) code = capi::read_optional(options, options_room);
    if (code == CELLROUTE_OK) code = capi::read_struct(decision, decision_room);
    if (code == CELLROUTE_OK && outcome != nullptr) code = capi::read_struct(outcome, outcome_room);
    if (code == CELLROUTE_OK && size == nullptr) code = CELLROUTE_E_NULL;
    if (code != CELLROUTE_OK) return capi::fail(error, code);
    code = capi::check_emf(*options, *decision, outcome, now_ns, error);
    if (code != CELLROUTE_OK) return code;
    const capi::EmfNames names = capi::names_of(*options);
    if (const std::string_view wrong = capi::problem_of(names); !wrong.empty()) {
      return capi::fail(error, CELLROUTE_E_INVALID_ARGUMENT,
                        "\"" + std::string(wrong) +
                            "\" cannot name a metric here: 1 to 255 printable ASCII characters, "
                            "no colon first, each name once, none of them _aws, Status, Reason");
    }
    return capi::put_text(
        capi::line_of(*snapshot->held, names, *decision, outcome, latency_ns, now_ns), buffer,
        capacity, size, error);
  });
}
