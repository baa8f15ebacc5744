// Whether a router may be sent requests.
#include <string_view>

#include "handles.hpp"
#include "readiness.hpp"
#include "structs.hpp"

namespace cellroute::capi {
namespace {

constexpr std::string_view kSentences[] = {
    "ready", "no topology has been published",
    "what serves has not been published or refreshed for too long",
    "the age of what serves is not known: publish with now_ns"};

std::uint32_t reason_of(const cellroute_readiness& readiness, Nanos max_age) noexcept {
  if (readiness.generation == 0) return CELLROUTE_READY_NO_SNAPSHOT;
  if (max_age == 0) return CELLROUTE_READY;
  if (readiness.age_ns < 0) return CELLROUTE_READY_AGE_UNKNOWN;
  return readiness.age_ns > max_age ? CELLROUTE_READY_TOO_OLD : CELLROUTE_READY;
}

}  // namespace

Nanos age_of(const cellroute_router& router, Nanos now) noexcept {
  const Nanos fresh = router.fresh.load(std::memory_order_relaxed);
  return fresh == 0 ? -1 : elapsed_since(fresh, now);
}

}  // namespace cellroute::capi

namespace capi = cellroute::capi;

int32_t cellroute_router_readiness(cellroute_router* router, int64_t max_age_ns, int64_t now_ns,
                                   cellroute_readiness* readiness) {
  if (const std::int32_t code = capi::check(router); code != CELLROUTE_OK) return code;
  if (const std::int32_t code = capi::check_out(readiness); code != CELLROUTE_OK) return code;
  if (max_age_ns < 0) return CELLROUTE_E_INVALID_ARGUMENT;
  const auto snapshot = router->router->snapshot();
  cellroute_readiness made{};
  made.generation = snapshot ? snapshot->generation() : 0;
  made.age_ns = snapshot ? capi::age_of(*router, now_ns) : -1;
  made.reason = capi::reason_of(made, max_age_ns);
  made.ready = made.reason == CELLROUTE_READY ? 1 : 0;
  made.sentence = capi::view(capi::kSentences[made.reason]);
  capi::write_struct(readiness, made);
  return CELLROUTE_OK;
}
