// Whose an HTTP request is. Nothing here allocates, locks, throws or calls the system.
#include "cellroute/tenant.hpp"

#include <span>

#include "handles.hpp"
#include "structs.hpp"

namespace cellroute::capi {
namespace {

static_assert(CELLROUTE_MAX_KEY == kMaxKeyBytes);
static_assert(CELLROUTE_NO_SOURCE == kNoTenantSource);
static_assert(CELLROUTE_SOURCE_CLAIM == static_cast<unsigned>(TenantSourceKind::kClaim));

// The caller's fields, as extraction reads them.
struct FieldsIn {
  const cellroute_field* first = nullptr;
  std::size_t count = 0;

  std::size_t size() const noexcept { return count; }
  HttpField operator[](std::size_t i) const noexcept {
    return {text(first[i].name), text(first[i].value)};
  }
  bool all_sound() const noexcept {
    if (count != 0 && first == nullptr) return false;
    for (std::size_t i = 0; i < count; ++i) {
      if (!sound(first[i].name) || !sound(first[i].value)) return false;
    }
    return true;
  }
};

using RequestIn = HttpRequest<FieldsIn>;

// The rules of the snapshot; null where it has none.
std::int32_t find_rules(const cellroute_snapshot* snapshot, const tenant::Rules*& rules) noexcept {
  if (const std::int32_t code = check(snapshot); code != CELLROUTE_OK) return code;
  rules = snapshot->held->compiled().tenant_rules();
  return CELLROUTE_OK;
}

std::int32_t read_http(const cellroute_http_request* from, RequestIn& to) noexcept {
  cellroute_http_request room;
  if (const std::int32_t code = read_struct(from, room); code != CELLROUTE_OK) return code;
  if (from->reserved != 0) return CELLROUTE_E_INVALID_ARGUMENT;
  to.headers = {from->headers, from->header_count};
  to.claims = {from->claims, from->claim_count};
  if (!sound(from->authority) || !sound(from->target) || !sound(from->peer) ||
      !to.headers.all_sound() || !to.claims.all_sound()) {
    return CELLROUTE_E_NULL;
  }
  to.authority = text(from->authority);
  to.target = text(from->target);
  to.peer = text(from->peer);
  return CELLROUTE_OK;
}

}  // namespace
}  // namespace cellroute::capi

namespace capi = cellroute::capi;

int32_t cellroute_extract(const cellroute_snapshot* snapshot, const cellroute_http_request* request,
                          char* buffer, size_t capacity, cellroute_tenant* tenant) {
  const cellroute::tenant::Rules* rules = nullptr;
  capi::RequestIn in;
  std::int32_t code = capi::check_out(tenant);
  if (code == CELLROUTE_OK) code = capi::find_rules(snapshot, rules);
  if (code == CELLROUTE_OK) code = capi::read_http(request, in);
  if (code != CELLROUTE_OK) return code;
  if (buffer == nullptr) return CELLROUTE_E_NULL;
  if (capacity < CELLROUTE_MAX_KEY) return CELLROUTE_E_BUFFER;
  if (rules == nullptr) return CELLROUTE_E_NOT_FOUND;
  const cellroute::Extracted found = cellroute::extract(
      *rules, in, std::span<char, cellroute::kMaxKeyBytes>(buffer, CELLROUTE_MAX_KEY));
  cellroute_tenant made{};
  made.status = static_cast<std::uint32_t>(found.status());
  made.reason = static_cast<std::uint32_t>(found.reason);
  made.source = found.source;
  if (found.source != cellroute::kNoTenantSource) {
    made.kind = static_cast<std::uint32_t>(rules->sources()[found.source].kind);
  }
  made.key = capi::view(found.key);
  capi::write_struct(tenant, made);
  return CELLROUTE_OK;
}

int32_t cellroute_is_trusted_header(const cellroute_snapshot* snapshot, cellroute_view name,
                                    uint32_t* trusted) {
  const cellroute::tenant::Rules* rules = nullptr;
  const std::int32_t code = capi::find_rules(snapshot, rules);
  if (code != CELLROUTE_OK) return code;
  if (trusted == nullptr || !capi::sound(name)) return CELLROUTE_E_NULL;
  *trusted = rules != nullptr && rules->is_trusted_header(capi::text(name)) ? 1 : 0;
  return CELLROUTE_OK;
}

int32_t cellroute_client_address(const cellroute_snapshot* snapshot,
                                 const cellroute_http_request* request, cellroute_client* client) {
  const cellroute::tenant::Rules* rules = nullptr;
  capi::RequestIn in;
  std::int32_t code = capi::check_out(client);
  if (code == CELLROUTE_OK) code = capi::find_rules(snapshot, rules);
  if (code == CELLROUTE_OK) code = capi::read_http(request, in);
  if (code != CELLROUTE_OK) return code;
  cellroute::ClientAddress found{.address = in.peer};
  if (rules != nullptr) found = cellroute::client_address(*rules, in);
  const bool sound = found.reason == cellroute::Reason::kNone;
  cellroute_client made{};
  made.status = sound ? CELLROUTE_STATUS_OK : CELLROUTE_STATUS_INVALID_ARGUMENT;
  made.reason = static_cast<std::uint32_t>(found.reason);
  made.hops = found.hops;
  made.address = capi::view(found.address);
  capi::write_struct(client, made);
  return CELLROUTE_OK;
}
