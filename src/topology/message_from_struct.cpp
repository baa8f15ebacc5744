#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "topology/enums.hpp"
#include "topology/struct_from_message.hpp"

namespace cellroute::loading {
namespace {

using google::protobuf::Duration;

double real(std::uint32_t parts, std::uint32_t unit) { return static_cast<double>(parts) / unit; }

void set_time(Nanos time, Duration& to) {
  to.set_seconds(time / kSecond);
  to.set_nanos(static_cast<std::int32_t>(time % kSecond));
}

template <class Repeated>
void set_list(const std::vector<std::string>& from, Repeated& to) {
  to.Assign(from.begin(), from.end());
}

template <class Map>
void set_map(const std::vector<std::pair<std::string, std::string>>& from, Map& to) {
  for (const auto& [key, value] : from) to[key] = value;
}

void set_breaker(const BreakerOverride& from, v1::Breaker& to) {
  if (from.consecutive_failures) to.set_consecutive_failures(*from.consecutive_failures);
  if (from.failure_rate) to.set_failure_rate(real(*from.failure_rate, 1000));
  if (from.slow_call) set_time(*from.slow_call, *to.mutable_slow_call());
  if (from.slow_rate) to.set_slow_rate(real(*from.slow_rate, 1000));
  if (from.minimum_calls) to.set_minimum_calls(*from.minimum_calls);
  if (from.window) set_time(*from.window, *to.mutable_window());
  if (from.open) set_time(*from.open, *to.mutable_open());
  if (from.open_max) set_time(*from.open_max, *to.mutable_open_max());
  if (from.probes) to.set_probes(*from.probes);
  if (from.probe_deadline) set_time(*from.probe_deadline, *to.mutable_probe_deadline());
}

void set_tier(const Tier& from, v1::Tier& to) {
  to.set_name(from.name);
  set_list(from.aliases, *to.mutable_aliases());
  if (from.breaker != BreakerOverride()) set_breaker(from.breaker, *to.mutable_breaker());
}

void set_cell(const Cell& from, v1::Cell& to) {
  const Cell plain;
  to.set_id(from.id);
  if (!from.tier.empty()) to.set_tier(from.tier);
  if (!from.region.empty()) to.set_region(from.region);
  if (!from.endpoint.empty()) to.set_endpoint(from.endpoint);
  set_map(from.endpoints, *to.mutable_endpoints());
  if (from.capacity != plain.capacity) to.set_capacity(from.capacity);
  if (from.load != plain.load) to.set_load(from.load);
  if (from.weight != plain.weight) to.set_weight(real(from.weight, kUnitWeight));
  if (from.state != plain.state) to.set_state(enum_to_schema(from.state));
  if (from.health != plain.health) to.set_health(enum_to_schema(from.health));
  set_list(from.certifications, *to.mutable_certifications());
  if (!from.encryption.empty()) to.set_encryption(from.encryption);
  set_list(from.replicas, *to.mutable_replicas());
  set_map(from.labels, *to.mutable_labels());
  if (from.breaker != BreakerOverride()) set_breaker(from.breaker, *to.mutable_breaker());
}

void set_policy_breaker(const BreakerPolicy& from, v1::Breaker& to) {
  const BreakerPolicy plain;
  const auto changed = [](auto value, auto usual) {
    return value == usual ? std::nullopt : std::optional(value);
  };
  set_breaker(
      {.consecutive_failures = changed(from.consecutive_failures, plain.consecutive_failures),
       .failure_rate = changed(from.failure_rate, plain.failure_rate),
       .slow_call = changed(from.slow_call, plain.slow_call),
       .slow_rate = changed(from.slow_rate, plain.slow_rate),
       .minimum_calls = changed(from.minimum_calls, plain.minimum_calls),
       .window = changed(from.window, plain.window),
       .open = changed(from.open, plain.open),
       .open_max = changed(from.open_max, plain.open_max),
       .probes = changed(from.probes, plain.probes),
       .probe_deadline = changed(from.probe_deadline, plain.probe_deadline)},
      to);
  if (from.max_ejected_percent != plain.max_ejected_percent) {
    to.set_max_ejected_percent(from.max_ejected_percent);
  }
  if (from.failure_statuses != plain.failure_statuses) {
    to.mutable_failure_statuses()->Assign(from.failure_statuses.begin(),
                                          from.failure_statuses.end());
  }
}

void set_limit(const Limit& from, v1::Limit& to) {
  const Limit plain;
  if (from.per != plain.per) to.set_per(enum_to_schema(from.per));
  if (from.kind != plain.kind) to.set_kind(enum_to_schema(from.kind));
  if (!from.plan.empty()) to.set_plan(from.plan);
  if (from.requests != plain.requests) to.set_requests(from.requests);
  if (from.period != plain.period) set_time(from.period, *to.mutable_period());
  if (from.burst != plain.burst) to.set_burst(from.burst);
  if (from.unlimited) to.set_unlimited(true);
  if (from.on_exceed != plain.on_exceed) to.set_on_exceed(enum_to_schema(from.on_exceed));
  for (const LimitOverride& each : from.overrides) {
    v1::LimitOverride& entry = *to.add_overrides();
    entry.set_key(each.key);
    if (each.requests > 0) entry.set_requests(each.requests);
    if (each.burst > 0) entry.set_burst(each.burst);
    if (each.unlimited) entry.set_unlimited(true);
  }
}

void set_rules(const Policy& from, v1::Policy& to) {
  const auto set_fallbacks = [](const std::vector<Fallback>& list, auto& messages) {
    for (const Fallback& each : list) {
      v1::Fallback& message = *messages.Add();
      message.set_from(each.from);
      set_list(each.to, *message.mutable_to());
    }
  };
  set_fallbacks(from.tier_fallback, *to.mutable_tier_fallback());
  set_fallbacks(from.region_fallback, *to.mutable_region_fallback());
  if (const RiskRule plain; from.risk != plain) {
    v1::Risk& risk = *to.mutable_risk();
    if (from.risk.threshold != plain.threshold) {
      risk.set_threshold(real(from.risk.threshold, 1'000'000'000));
    }
    if (!from.risk.encryption.empty()) risk.set_encryption(from.risk.encryption);
    if (from.risk.mode != plain.mode) risk.set_mode(enum_to_schema(from.risk.mode));
  }
  for (const FlagRule& rule : from.flags) {
    v1::Flag& flag = (*to.mutable_flags())[rule.name];
    set_list(rule.certifications, *flag.mutable_certifications());
    set_list(rule.regions, *flag.mutable_regions());
    if (!rule.encryption.empty()) flag.set_encryption(rule.encryption);
  }
}

void set_policy(const Policy& from, v1::Policy& to) {
  const Policy plain;
  if (from.affinity != plain.affinity) to.set_affinity(enum_to_schema(from.affinity));
  if (from.unassigned != plain.unassigned) to.set_unassigned(enum_to_schema(from.unassigned));
  if (from.strategy != plain.strategy) to.set_strategy(std::string(Picker::name(from.strategy)));
  if (from.slots != plain.slots) to.set_slots(from.slots);
  set_list(from.order, *to.mutable_order());
  if (from.selection != plain.selection) to.set_selection(enum_to_schema(from.selection));
  if (from.shuffle_shard > 0) to.set_shuffle_shard(from.shuffle_shard);
  if (from.bounded_load > 0) to.set_bounded_load(real(from.bounded_load, 1000));
  set_rules(from, to);
  if (from.timeout != plain.timeout) set_time(from.timeout, *to.mutable_timeout());
  if (from.breaker != plain.breaker) set_policy_breaker(from.breaker, *to.mutable_breaker());
  for (const Limit& limit : from.limits) set_limit(limit, *to.add_limits());
  if (from.in_flight.per_cell > 0) to.mutable_in_flight()->set_per_cell(from.in_flight.per_cell);
  if (from.in_flight.deadline != plain.in_flight.deadline) {
    set_time(from.in_flight.deadline, *to.mutable_in_flight()->mutable_deadline());
  }
  if (from.assignments.requests > 0) {
    to.mutable_assignments()->set_requests(from.assignments.requests);
  }
  if (from.assignments.period != plain.assignments.period) {
    set_time(from.assignments.period, *to.mutable_assignments()->mutable_period());
  }
  if (from.max_table_bytes != plain.max_table_bytes) to.set_max_table_bytes(from.max_table_bytes);
  if (from.limiter_entries != plain.limiter_entries) to.set_limiter_entries(from.limiter_entries);
}

void set_tenant_source(const TenantSource& from, v1::TenantSource& to) {
  switch (from.kind) {
    case TenantSourceKind::kHosts: set_map(from.hosts, *to.mutable_hosts()); break;
    case TenantSourceKind::kSubdomain:
      set_list(from.domains, *to.mutable_subdomain()->mutable_domains());
      set_list(from.reserved, *to.mutable_subdomain()->mutable_reserved());
      break;
    case TenantSourceKind::kPath: to.set_path(from.name); break;
    case TenantSourceKind::kHeader: to.set_header(from.name); break;
    case TenantSourceKind::kQuery: to.set_query(from.name); break;
    case TenantSourceKind::kCookie: to.set_cookie(from.name); break;
    case TenantSourceKind::kClaim: to.set_claim(from.name); break;
  }
  const TenantSource plain;
  if (from.version_prefix) to.set_version_prefix(true);
  if (from.letters != plain.letters) to.set_case_(enum_to_schema(from.letters));
  if (from.required) to.set_required(true);
}

void set_tenant(const TenantPolicy& from, v1::Tenant& to) {
  const TenantPolicy plain;
  for (const TenantSource& source : from.sources) set_tenant_source(source, *to.add_sources());
  if (from.on_disagreement != plain.on_disagreement) {
    to.set_on_disagreement(enum_to_schema(from.on_disagreement));
  }
  if (!from.characters.empty()) to.set_characters(from.characters);
  set_list(from.trusted_headers, *to.mutable_trusted_headers());
  set_list(from.trusted_proxies, *to.mutable_trusted_proxies());
}

}  // namespace

v1::Topology message_from_struct(const Topology& topology) {
  v1::Topology message;
  message.set_generation(topology.generation);
  if (topology.hash_seed != 0) message.set_hash_seed(topology.hash_seed);
  for (const Tier& tier : topology.tiers) set_tier(tier, *message.add_tiers());
  set_list(topology.regions, *message.mutable_regions());
  set_list(topology.certifications, *message.mutable_certifications());
  set_list(topology.encryption_levels, *message.mutable_encryption_levels());
  for (const Cell& cell : topology.cells) set_cell(cell, *message.add_cells());
  if (topology.policy != Policy()) set_policy(topology.policy, *message.mutable_policy());
  if (topology.tenant) set_tenant(*topology.tenant, *message.mutable_tenant());
  return message;
}

}  // namespace cellroute::loading
