#include "net/probe_answer.hpp"

#include <nlohmann/json.hpp>
#include <string>

namespace cellroute::net {
namespace {

using nlohmann::json;

constexpr std::uint64_t kMaxLoad = std::uint64_t{1} << 62;

// False where there is a load that is none.
bool take_load(const json& checks, std::optional<std::uint64_t>& load) {
  const auto found = checks.find("load");
  if (found == checks.end()) return true;
  if (found->is_number_unsigned()) {
    load = found->get<std::uint64_t>();
  } else if (found->is_number_float() && found->get<double>() >= 0 &&
             found->get<double>() <= static_cast<double>(kMaxLoad)) {
    load = static_cast<std::uint64_t>(found->get<double>());
  }
  if (load && *load > kMaxLoad) load.reset();
  return load.has_value();
}

// Whose answer it is, and its load. kNone: sound.
ProbeResult read(std::string_view body, std::string_view cell_id,
                 std::optional<std::uint64_t>& load) {
  const json answer = json::parse(body, nullptr, false);
  if (!answer.is_object()) return ProbeResult::kBadBody;
  const auto id = answer.find("cell_id");
  if (id == answer.end() || !id->is_string()) return ProbeResult::kBadBody;
  if (id->get_ref<const std::string&>() != cell_id) return ProbeResult::kWrongCell;
  const auto status = answer.find("status");
  if (status != answer.end() && !status->is_string()) return ProbeResult::kBadBody;
  const auto checks = answer.find("checks");
  if (checks == answer.end()) return ProbeResult::kNone;
  const bool sound = checks->is_object() && take_load(*checks, load);
  return sound ? ProbeResult::kNone : ProbeResult::kBadBody;
}

}  // namespace

ProbeAnswer judge(long http_status, std::string_view body, std::string_view cell_id) {
  if (http_status >= 300 && http_status < 400) return {ProbeResult::kRedirect, {}};
  if (http_status != 200 && http_status != 503) return {ProbeResult::kBadStatus, {}};
  ProbeAnswer answer;
  const ProbeResult problem = read(body, cell_id, answer.load);
  if (problem == ProbeResult::kWrongCell) {
    answer.result = problem;
  } else if (http_status == 503) {
    answer.result = ProbeResult::kUnhealthy;
  } else {
    answer.result = problem == ProbeResult::kNone ? ProbeResult::kHealthy : problem;
  }
  return answer;
}

void ProbeVerdict::add(ProbeResult result, std::uint32_t rise, std::uint32_t fall) noexcept {
  if (result == ProbeResult::kHealthy) {
    failures_ = 0;
    if (successes_ < UINT32_MAX) ++successes_;
    if (successes_ >= rise) state_ = State::kHealthy;
    return;
  }
  successes_ = 0;
  if (failures_ < UINT32_MAX) ++failures_;
  if (failures_ >= fall || result == ProbeResult::kWrongCell) state_ = State::kUnhealthy;
}

}  // namespace cellroute::net
