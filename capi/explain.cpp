// A decision's derivation as JSON.
#include "cellroute/explain.hpp"

#include <nlohmann/json.hpp>
#include <string>

#include "entry.hpp"
#include "handles.hpp"
#include "requests.hpp"

namespace cellroute::capi {
namespace {

using Json = nlohmann::ordered_json;

constexpr Nanos kNanosPerMs = kMillisecond;

Json named(std::string_view text) { return text.empty() ? Json() : Json(std::string(text)); }

Nanos milliseconds(Nanos time) noexcept {
  return time / kNanosPerMs + (time % kNanosPerMs != 0 ? 1 : 0);
}

// As the command `cellroute explain` has it, without the key, which the caller knows.
std::string json_of(const Snapshot* snapshot, const Request& request,
                    const Explanation& explanation) {
  const Decision& decision = explanation.decision;
  const CellIndex cell = snapshot != nullptr ? snapshot->cell_of(decision.cell) : kNoCell;
  const bool served = cell != kNoCell && decision.status == Status::kOk;
  Json json;
  json["status"] = std::string(name(decision.status));
  json["cell"] = cell == kNoCell ? Json() : named(snapshot->compiled().cell(cell).id);
  json["endpoint"] = served ? named(snapshot->endpoint(cell, request.resource)) : Json();
  json["reason"] = std::string(name(decision.reason));
  json["epoch"] = decision.epoch;
  json["retry_after_ms"] = milliseconds(decision.retry_after);
  json["generation"] = decision.generation;
  json["steps"] = Json::array();
  for (const Step& step : explanation.steps) {
    json["steps"].push_back(Json{{"step", step.name}, {"text", step.text}});
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
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
