#include "front.hpp"

#include <algorithm>
#include <chrono>

#include "answer.hpp"
#include "headers.hpp"
#include "text.hpp"
#include "wire.hpp"

namespace shop_front {
namespace {

using lambda_host::Decision;
using lambda_host::Invocation;
using lambda_host::Json;
using lambda_host::Line;
using lambda_host::now_ns;

// What is left of the invocation's time for answering.
constexpr std::int64_t kMarginNs = 250'000'000;

std::chrono::milliseconds timeout_of(const Decision& decision, const Invocation& invocation) {
  const std::int64_t left = invocation.deadline_ns - now_ns() - kMarginNs;
  const std::int64_t timeout = std::min(decision.made.timeout_ns, left);
  return std::chrono::milliseconds(std::max<std::int64_t>(1, timeout / 1'000'000));
}

void log(const Invocation& invocation, std::string_view status, std::string_view reason,
         std::string_view cell, Line more = Line::object()) {
  Line line{
      {"request_id", invocation.id}, {"status", status}, {"reason", reason}, {"cell", nullptr}};
  if (!cell.empty()) line["cell"] = cell;
  line.update(more);
  lambda_host::write_line(line);
}

}  // namespace

Json Front::operator()(const Json& event, const Invocation& invocation) {
  if (!event.is_object()) throw lambda_host::Failure("EventError", "the event is no object");
  const bool version_2 = is_version_2(event);
  try {
    const ApiRequest request = parse_event(event, parameter_);
    if (request.customer.empty()) throw BadEvent("the path names no " + parameter_);
    return serve(request, invocation, version_2);
  } catch (const BadEvent& error) {
    log(invocation, "INVALID_ARGUMENT", "MALFORMED_INPUT", {}, {{"detail", error.what()}});
    return refusal(400, "INVALID_ARGUMENT", "MALFORMED_INPUT", invocation.id, version_2);
  }
}

Json Front::serve(const ApiRequest& request, const Invocation& invocation, bool version_2) {
  const std::uint32_t access =
      lambda_host::is_read(request.method) ? CELLROUTE_READ : CELLROUTE_WRITE;
  Decision decision = router_.route(request.customer, access, now_ns());
  if (!decision.ok()) {
    log(invocation, decision.status, decision.reason, decision.cell);
    return refusal(decision.http_status, decision.status, decision.reason, invocation.id, version_2,
                   decision.made.retry_after_ns);
  }
  try {
    return forward(request, decision, invocation, version_2);
  } catch (...) {  // nothing that ends this may keep what the decision holds
    router_.report(decision, CELLROUTE_CLIENT_ABORT, 0, now_ns());
    throw;
  }
}

Json Front::forward(const ApiRequest& request, Decision& decision, const Invocation& invocation,
                    bool version_2) {
  const Headers headers =
      onward(request.headers, {{"X-Cell-ID", std::string(decision.cell)},
                               {"X-Cell-Epoch", std::to_string(decision.made.epoch)},
                               {"X-Tenant-ID", percent_encoded(request.customer)}});
  const CellAnswer cell =
      client_.call(decision.endpoint, request, headers, timeout_of(decision, invocation));
  if (!cell.failed) {
    router_.report(decision, CELLROUTE_ANSWERED, cell.status, now_ns());
    log(invocation, "OK", decision.reason, decision.cell, {{"http", cell.status}});
    return answer_of_cell(cell, version_2);
  }
  const bool answered = cell.failed->end == CELLROUTE_ANSWERED;
  router_.report(decision, cell.failed->end, answered ? 200 : 0, now_ns());
  const bool late = cell.failed->end == CELLROUTE_TIMEOUT;
  const std::string_view reason = late ? "CELL_TIMEOUT" : "CELL_FAILED";
  log(invocation, "UNAVAILABLE", reason, decision.cell, {{"detail", cell.failed->text}});
  return refusal(late ? 504 : 502, "UNAVAILABLE", reason, invocation.id, version_2);
}

}  // namespace shop_front
