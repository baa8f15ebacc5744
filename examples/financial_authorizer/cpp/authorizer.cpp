#include "authorizer.hpp"

#include <algorithm>

#include "policy.hpp"
#include "text.hpp"

namespace authorizer {
namespace {

using lambda_host::Decision;
using lambda_host::Failure;
using lambda_host::Json;
using lambda_host::Line;

// Denials that are about the customer, which go into the policy. All others are failures.
bool is_refusal(const Decision& decision) {
  switch (decision.made.status) {
    case CELLROUTE_STATUS_INVALID_ARGUMENT:
    case CELLROUTE_STATUS_COMPLIANCE:
    case CELLROUTE_STATUS_FORBIDDEN:
    case CELLROUTE_STATUS_NO_ELIGIBLE_CELL:
    case CELLROUTE_STATUS_UNASSIGNED: return true;
    default: return false;
  }
}

Line facts_of(const Claims& claims, const Decision& decision) {
  Line facts{{"customer", claims.customer},
             {"tier", claims.profile.tier},
             {"region", claims.profile.region},
             {"kid", claims.kid},
             {"status", decision.status},
             {"reason", decision.reason},
             {"cell", nullptr},
             {"epoch", decision.made.epoch},
             {"generation", decision.made.generation}};
  if (!decision.cell.empty()) facts["cell"] = decision.cell;
  return facts;
}

// Why the path that was asked for is not opened, or nothing.
std::string_view closed_because(const AuthEvent& about, const std::string& customer) {
  const auto is_other = [&](const std::string& name) { return name != customer; };
  if (std::any_of(about.named.begin(), about.named.end(), is_other)) return "other_customer";
  if (about.tricky) return "path_tricky";
  return opened(about, customer) ? "" : "path_closed";
}

// Strings, numbers and booleans are all that API Gateway takes here.
Json context_of(const Claims& claims, const Decision& decision) {
  return {{"customer", claims.customer},
          {"tier", claims.profile.tier},
          {"cell", decision.cell},
          {"epoch", decision.made.epoch},
          {"generation", decision.made.generation}};
}

}  // namespace

Json Authorizer::operator()(const Json& event, const lambda_host::Invocation& invocation) {
  const std::optional<AuthEvent> about = parse_event(event);
  const Recorder record(about ? &*about : nullptr, invocation.id);
  if (!about) {
    record.security("event_malformed");
    record.audit("FAILURE", {{"reason", "event_malformed"}});
    throw Failure("Failure", "the event is no authorizer event of API Gateway");
  }
  try {
    return decide(*about, verified(*about), record);
  } catch (const TokenRefused& refused) {
    Line facts{{"kid", nullptr}};
    if (refused.kid) facts["kid"] = *refused.kid;
    record.security(refused.word, facts);
    facts["reason"] = refused.word;
    record.audit("UNAUTHORIZED", facts);
    throw Failure("Unauthorized", "Unauthorized");
  }
}

Claims Authorizer::verified(const AuthEvent& about) const {
  if (!about.token) throw TokenRefused{"token_missing", {}};
  return verify(*about.token, keyring_, rules_, lambda_host::now_ns());
}

// Located, not routed: an answer that is cached for minutes must not be charged to limits.
Json Authorizer::decide(const AuthEvent& about, const Claims& claims, const Recorder& record) {
  const std::uint32_t access =
      lambda_host::is_read(about.method) ? CELLROUTE_READ : CELLROUTE_WRITE;
  const Decision decision =
      router_.locate(claims.customer, claims.profile, access, lambda_host::now_ns());
  Line facts = facts_of(claims, decision);
  if (!decision.ok() && !is_refusal(decision)) {
    record.security("cell_unavailable", facts);
    record.audit("FAILURE", facts);
    throw Failure("Failure", "no decision can be made now");
  }
  if (!decision.ok()) {
    record.security("customer_refused", facts);
    record.audit("DENY", facts);
    return deny_all(about, claims.customer);
  }
  const std::string_view word = closed_because(about, claims.customer);
  if (word.empty()) {
    record.audit("ALLOW", facts);
    return allow_own(about, claims.customer, context_of(claims, decision));
  }
  record.security(word, facts);
  facts["reason"] = word;
  record.audit("DENY", facts);
  return deny_path(about, claims.customer, context_of(claims, decision));
}

}  // namespace authorizer
