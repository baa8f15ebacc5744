// The path of a request. Nothing here allocates, locks, throws or calls the system.
#include "columns.hpp"
#include "handles.hpp"
#include "outcomes.hpp"
#include "requests.hpp"

namespace cellroute::capi {
namespace {

template <bool kReserve>
[[gnu::always_inline]] inline Decision decide(cellroute_router* router, const Request& request,
                                              std::int64_t now) noexcept {
  if constexpr (kReserve) {
    const Decision made = router->router->route(request, now);
    router->counts.add(request.lane, made.reason);
    return made;
  } else {
    return router->router->place(request, now);
  }
}

// Structs of any version, and what the host's own look-up found.
template <bool kReserve>
[[gnu::noinline]] std::int32_t decide_any(cellroute_router* router,
                                          const cellroute_request* request, std::int64_t now,
                                          cellroute_decision* decision) noexcept {
  RequestIn in;
  std::int32_t code = check_out(decision);
  if (code == CELLROUTE_OK) code = read_request(request, in);
  if (code != CELLROUTE_OK) return code;
  write_decision(decide<kReserve>(router, in.request, now), decision);
  return CELLROUTE_OK;
}

// What most requests need, in one function with little on its stack: a struct that is read in parts
// of another width than it was written in costs more than all the rest here.
template <bool kReserve>
[[gnu::always_inline]] inline std::int32_t decide(cellroute_router* router,
                                                  const cellroute_request* request,
                                                  std::int64_t now,
                                                  cellroute_decision* decision) noexcept {
  if (const std::int32_t code = check(router); code != CELLROUTE_OK) [[unlikely]]
    return code;
  if (request == nullptr || decision == nullptr) [[unlikely]]
    return CELLROUTE_E_NULL;
  if (request->struct_size != sizeof *request || decision->struct_size != sizeof *decision ||
      request->mapping != nullptr) [[unlikely]]
    return decide_any<kReserve>(router, request, now, decision);
  if (const std::int32_t code = check_fields(*request); code != CELLROUTE_OK) [[unlikely]]
    return code;
  write_fields(decide<kReserve>(router, request_of(*request, nullptr), now), *decision);
  return CELLROUTE_OK;
}

template <bool kReserve>
[[gnu::always_inline]] inline std::int32_t decide_call(const cellroute_call* call) noexcept {
  cellroute_call room;
  if (const std::int32_t code = read_struct(call, room); code != CELLROUTE_OK) return code;
  if (call->reserved != 0) [[unlikely]]
    return CELLROUTE_E_INVALID_ARGUMENT;
  const std::int32_t code =
      decide<kReserve>(call->router, call->request, call->now_ns, call->decision);
  const bool denied = code == CELLROUTE_OK && call->decision->status != CELLROUTE_STATUS_OK;
  return denied ? CELLROUTE_DENIED : code;
}

// Whether all of a batch can be read and written, so that no error comes half-way.
std::int32_t check_batch(const cellroute_request* requests, std::uint64_t count,
                         const cellroute_decision* decisions) noexcept {
  if (count == 0) return CELLROUTE_OK;
  if (requests == nullptr || decisions == nullptr) return CELLROUTE_E_NULL;
  for (std::uint64_t i = 0; i < count; ++i) {
    const cellroute_request* const request = element(requests, i);
    const cellroute_decision* const decision = element(decisions, i);
    if (request->struct_size != requests->struct_size ||
        decision->struct_size != decisions->struct_size) {
      return CELLROUTE_E_STRUCT_SIZE;
    }
    RequestIn in;
    std::int32_t code = check_out(decision);
    if (code == CELLROUTE_OK) code = read_request(request, in);
    if (code != CELLROUTE_OK) return code;
  }
  return CELLROUTE_OK;
}

template <bool kReserve, class Next, class Take>
void decide_each(cellroute_router* router, std::uint64_t count, Next&& next, Take&& take,
                 std::int64_t now) noexcept {
  if constexpr (kReserve) {
    router->router->route_each(count, next, take, now);
  } else {
    router->router->place_each(count, next, take, now);
  }
}

template <bool kReserve>
std::int32_t decide_batch(cellroute_router* router, const cellroute_request* requests,
                          std::uint64_t count, std::int64_t now,
                          cellroute_decision* decisions) noexcept {
  std::int32_t code = check(router);
  if (code == CELLROUTE_OK) code = check_batch(requests, count, decisions);
  if (code != CELLROUTE_OK) return code;
  RequestIn in;
  const auto next = [&](std::size_t i) -> const Request& {
    static_cast<void>(read_request(element(requests, i), in));
    return in.request;
  };
  const auto take = [&](std::size_t i, const Decision& made) {
    if constexpr (kReserve) router->counts.add(in.request.lane, made.reason);
    write_decision(made, element(decisions, i));
  };
  decide_each<kReserve>(router, count, next, take, now);
  return CELLROUTE_OK;
}

template <bool kReserve>
std::int32_t decide_keys(cellroute_router* router, const cellroute_keys* keys, std::int64_t now,
                         const cellroute_answers* answers) noexcept {
  cellroute_keys keys_room;
  cellroute_answers answers_room;
  std::int32_t code = check(router);
  if (code == CELLROUTE_OK) code = read_keys(keys, keys_room);
  if (code == CELLROUTE_OK) code = read_struct(answers, answers_room);
  if (code == CELLROUTE_OK && answers->reserved != 0) code = CELLROUTE_E_INVALID_ARGUMENT;
  if (code != CELLROUTE_OK) return code;
  RequestIn in;
  in.request.profile = profile_of(keys->profile);
  in.request.risk = keys->risk;
  in.request.access = static_cast<Access>(keys->access);
  in.request.lane = keys->lane;
  in.request.resource = text(keys->resource);
  const auto next = [&](std::size_t i) -> const Request& {
    in.request.key = key_of(*keys, i);
    if (keys->profiles != nullptr) in.request.profile = profile_of(keys->profiles[i]);
    if (keys->mappings != nullptr) {
      static_cast<void>(read_mapping(element(keys->mappings, i), in.mapped));
      in.request.mapping = &in.mapped;
    }
    return in.request;
  };
  const auto take = [&](std::size_t i, const Decision& made) {
    if constexpr (kReserve) router->counts.add(keys->lane, made.reason);
    write_answer(made, *answers, i);
  };
  decide_each<kReserve>(router, keys->count, next, take, now);
  return CELLROUTE_OK;
}

}  // namespace
}  // namespace cellroute::capi

namespace capi = cellroute::capi;

[[gnu::flatten]] int32_t cellroute_route(cellroute_router* router, const cellroute_request* request,
                                         int64_t now_ns, cellroute_decision* decision) {
  return capi::decide<true>(router, request, now_ns, decision);
}

[[gnu::flatten]] int32_t cellroute_locate(cellroute_router* router,
                                          const cellroute_request* request, int64_t now_ns,
                                          cellroute_decision* decision) {
  return capi::decide<false>(router, request, now_ns, decision);
}

[[gnu::flatten]] int32_t cellroute_route_call(const cellroute_call* call) {
  return capi::decide_call<true>(call);
}

[[gnu::flatten]] int32_t cellroute_locate_call(const cellroute_call* call) {
  return capi::decide_call<false>(call);
}

int32_t cellroute_route_batch(cellroute_router* router, const cellroute_request* requests,
                              uint64_t count, int64_t now_ns, cellroute_decision* decisions) {
  return capi::decide_batch<true>(router, requests, count, now_ns, decisions);
}

int32_t cellroute_locate_batch(cellroute_router* router, const cellroute_request* requests,
                               uint64_t count, int64_t now_ns, cellroute_decision* decisions) {
  return capi::decide_batch<false>(router, requests, count, now_ns, decisions);
}

int32_t cellroute_route_keys(cellroute_router* router, const cellroute_keys* keys, int64_t now_ns,
                             const cellroute_answers* answers) {
  return capi::decide_keys<true>(router, keys, now_ns, answers);
}

int32_t cellroute_locate_keys(cellroute_router* router, const cellroute_keys* keys, int64_t now_ns,
                              const cellroute_answers* answers) {
  return capi::decide_keys<false>(router, keys, now_ns, answers);
}

[[gnu::flatten]] int32_t cellroute_report(cellroute_router* router, cellroute_ticket* ticket,
                                          const cellroute_outcome* outcome, int64_t now_ns) {
  if (const std::int32_t code = capi::check(router); code != CELLROUTE_OK) return code;
  cellroute_outcome room;
  if (ticket == nullptr) return CELLROUTE_E_NULL;
  if (const std::int32_t code = capi::read_struct(outcome, room); code != CELLROUTE_OK) return code;
  if (const std::int32_t code = capi::check_outcome(*outcome); code != CELLROUTE_OK) return code;
  cellroute::CallReport call;
  call.end = static_cast<cellroute::CallEnd>(outcome->end);
  call.http_status = static_cast<std::uint16_t>(outcome->http_status);
  call.slow = outcome->slow != 0;
  cellroute::Ticket held = capi::ticket_of(*ticket);
  *ticket = {};
  router->router->report(held, call, now_ns);
  return CELLROUTE_OK;
}
