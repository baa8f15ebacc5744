// A decision's derivation as JSON.
#include "cellroute/explain.hpp"

#include <string>
#include <string_view>

#include "entry.hpp"
#include "handles.hpp"
#include "json_text.hpp"
#include "requests.hpp"

namespace cellroute::capi {
namespace {

void append_field(std::string_view name, std::string_view text, std::string& json) {
  append_string(name, json);
  json += ':';
  if (text.empty()) {
    json += "null";
  } else {
    append_string(text, json);
  }
}

void append_field(std::string_view name, std::uint64_t number, std::string& json) {
  append_string(name, json);
  json += ':' + std::to_string(number);
}

std::uint64_t milliseconds(Nanos time) noexcept {
  return static_cast<std::uint64_t>(time / kMillisecond + (time % kMillisecond != 0 ? 1 : 0));
}

// As the command `cellroute explain` has it, without the key, which the caller knows.
std::string json_of(const Snapshot* snapshot, const Request& request,
                    const Explanation& explanation) {
  const Decision& decision = explanation.decision;
  const CellIndex cell = snapshot != nullptr ? snapshot->cell_of(decision.cell) : kNoCell;
  const bool served = cell != kNoCell && decision.status == Status::kOk;
  std::string json = "{";
  append_field("status", name(decision.status), json);
  json += ',';
  append_field("cell", cell == kNoCell ? "" : snapshot->compiled().cell(cell).id, json);
  json += ',';
  append_field("endpoint", served ? snapshot->endpoint(cell, request.resource) : "", json);
  json += ',';
  append_field("reason", name(decision.reason), json);
  json += ',';
  append_field("epoch", decision.epoch, json);
  json += ',';
  append_field("retry_after_ms", milliseconds(decision.retry_after), json);
  json += ',';
  append_field("generation", decision.generation, json);
  json += ",\"steps\":[";
  for (const Step& step : explanation.steps) {
    json += json.ends_with('[') ? "{" : ",{";
    append_field("step", step.name, json);
    json += ',';
    append_field("text", step.text, json);
    json += '}';
  }
  return json + "]}";
}

}  // namespace
}  // namespace cellroute::capi

namespace capi = cellroute::capi;

int32_t cellroute_explain(cellroute_router* router, const cellroute_request* request,
                          int64_t now_ns, char* buffer, size_t capacity, size_t* size,
                          cellroute_error* error) {
  return capi::enter(error, [&]() -> std::int32_t {
    capi::RequestIn in;
    std::int32_t code = capi::check(router);
    if (code == CELLROUTE_OK) code = capi::read_request(request, in);
    if (code == CELLROUTE_OK && size == nullptr) code = CELLROUTE_E_NULL;
    if (code != CELLROUTE_OK) return capi::fail(error, code);
    const auto explanation = cellroute::explain(*router->router, in.request, now_ns);
    const auto snapshot = router->router->snapshot();
    return capi::put_text(capi::json_of(snapshot.get(), in.request, explanation), buffer, capacity,
                          size, error);
  });
}
