#include "topology/struct_from_message.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "topology/enums.hpp"

namespace cellroute::loading {
namespace {

using check::Path;

std::vector<std::pair<std::string, std::string>> pairs(
    const google::protobuf::Map<std::string, std::string>& map) {
  std::vector<std::pair<std::string, std::string>> sorted(map.begin(), map.end());
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

template <class Repeated>
auto list(const Repeated& repeated) {
  return std::vector<typename Repeated::value_type>(repeated.begin(), repeated.end());
}

class Reader {
 public:
  explicit Reader(check::Problems& problems) : problems_(problems) {}

  Topology topology(const v1::Topology& m) {
    const Path root;
    Topology t;
    t.generation = m.generation();
    t.hash_seed = m.hash_seed();
    for (int i = 0; i < m.tiers_size(); ++i) {
      t.tiers.push_back(tier(m.tiers(i), Path(root, "tiers", static_cast<std::size_t>(i))));
    }
    t.regions = list(m.regions());
    t.certifications = list(m.certifications());
    t.encryption_levels = list(m.encryption_levels());
    t.cells.reserve(static_cast<std::size_t>(m.cells_size()));
    for (int i = 0; i < m.cells_size(); ++i) {
      t.cells.push_back(cell(m.cells(i), Path(root, "cells", static_cast<std::size_t>(i))));
    }
    if (m.has_policy()) t.policy = policy(m.policy(), Path(root, "policy"));
    if (m.has_tenant()) t.tenant = tenant(m.tenant(), Path(root, "tenant"));
    return t;
  }

 private:
  Tier tier(const v1::Tier& m, const Path& path) {
    Tier t;
    t.name = m.name();
    t.aliases = list(m.aliases());
    t.breaker = breaker_override(m.breaker(), Path(path, "breaker"));
    return t;
  }

  Cell cell(const v1::Cell& m, const Path& path) {
    Cell c;
    c.id = m.id();
    c.tier = m.tier();
    c.region = m.region();
    c.endpoint = m.endpoint();
    c.endpoints = pairs(m.endpoints());
    c.capacity = m.capacity();
    c.load = m.load();
    if (m.has_weight()) c.weight = scaled(m.weight(), 1000, Path(path, "weight"));
    set_enum(c.state, m.state(), Path(path, "state"));
    set_enum(c.health, m.health(), Path(path, "health"));
    c.certifications = list(m.certifications());
    c.encryption = m.encryption();
    c.replicas = list(m.replicas());
    c.labels = pairs(m.labels());
    c.breaker = breaker_override(m.breaker(), Path(path, "breaker"));
    return c;
  }

  Policy policy(const v1::Policy& m, const Path& path) {
    Policy p;
    set_enum(p.affinity, m.affinity(), Path(path, "affinity"));
    set_enum(p.unassigned, m.unassigned(), Path(path, "unassigned"));
    if (m.has_strategy()) p.strategy = strategy(m.strategy(), Path(path, "strategy"));
    if (m.has_slots()) p.slots = m.slots();
    p.order = list(m.order());
    set_enum(p.selection, m.selection(), Path(path, "selection"));
    p.shuffle_shard = m.shuffle_shard();
    if (m.has_bounded_load()) {
      p.bounded_load = scaled(m.bounded_load(), 1000, Path(path, "bounded_load"));
    }
    p.tier_fallback = fallbacks(m.tier_fallback());
    p.region_fallback = fallbacks(m.region_fallback());
    p.risk = risk(m.risk(), Path(path, "risk"));
    p.flags = flags(m.flags());
    set_time(p.timeout, m.has_timeout(), m.timeout(), Path(path, "timeout"));
    p.breaker = breaker(m.breaker(), Path(path, "breaker"));
    for (int i = 0; i < m.limits_size(); ++i) {
      p.limits.push_back(limit(m.limits(i), Path(path, "limits", static_cast<std::size_t>(i))));
    }
    p.in_flight.per_cell = m.in_flight().per_cell();
    const Path in_flight(path, "in_flight");
    set_time(p.in_flight.deadline, m.in_flight().has_deadline(), m.in_flight().deadline(),
             Path(in_flight, "deadline"));
    p.assignments.requests = m.assignments().requests();
    const Path assignments(path, "assignments");
    set_time(p.assignments.period, m.assignments().has_period(), m.assignments().period(),
             Path(assignments, "period"));
    if (m.has_max_table_bytes()) p.max_table_bytes = m.max_table_bytes();
    if (m.has_limiter_entries()) p.limiter_entries = m.limiter_entries();
    return p;
  }

  static std::vector<Fallback> fallbacks(
      const google::protobuf::RepeatedPtrField<v1::Fallback>& messages) {
    std::vector<Fallback> all;
    for (const v1::Fallback& m : messages) all.push_back({m.from(), list(m.to())});
    return all;
  }

  static std::vector<FlagRule> flags(const google::protobuf::Map<std::string, v1::Flag>& map) {
    std::vector<FlagRule> all;
    for (const auto& [name, m] : map) {
      all.push_back({name, list(m.certifications()), list(m.regions()), m.encryption()});
    }
    std::sort(all.begin(), all.end(),
              [](const FlagRule& a, const FlagRule& b) { return a.name < b.name; });
    return all;
  }

  RiskRule risk(const v1::Risk& m, const Path& path) {
    RiskRule r;
    if (m.has_threshold())
      r.threshold = scaled(m.threshold(), 1'000'000'000, Path(path, "threshold"));
    r.encryption = m.encryption();
    set_enum(r.mode, m.mode(), Path(path, "mode"));
    return r;
  }

  BreakerPolicy breaker(const v1::Breaker& m, const Path& path) {
    BreakerPolicy b;
    const BreakerOverride set = thresholds(m, path);
    set_if(b.consecutive_failures, set.consecutive_failures);
    set_if(b.failure_rate, set.failure_rate);
    set_if(b.slow_call, set.slow_call);
    set_if(b.slow_rate, set.slow_rate);
    set_if(b.minimum_calls, set.minimum_calls);
    set_if(b.window, set.window);
    set_if(b.open, set.open);
    set_if(b.open_max, set.open_max);
    set_if(b.probes, set.probes);
    set_if(b.probe_deadline, set.probe_deadline);
    if (m.has_max_ejected_percent()) b.max_ejected_percent = m.max_ejected_percent();
    if (m.failure_statuses_size() > 0) b.failure_statuses.clear();
    for (int i = 0; i < m.failure_statuses_size(); ++i) {
      const std::uint32_t most = std::numeric_limits<std::uint16_t>::max();
      b.failure_statuses.push_back(
          static_cast<std::uint16_t>(std::min(m.failure_statuses(i), most)));
    }
    return b;
  }

  BreakerOverride breaker_override(const v1::Breaker& m, const Path& path) {
    const char* const text = "is for policy.breaker alone: leave it out here";
    if (m.has_max_ejected_percent()) problems_.add(Path(path, "max_ejected_percent"), text);
    if (m.failure_statuses_size() > 0) problems_.add(Path(path, "failure_statuses"), text);
    return thresholds(m, path);
  }

  BreakerOverride thresholds(const v1::Breaker& m, const Path& path) {
    BreakerOverride b;
    if (m.has_consecutive_failures()) b.consecutive_failures = m.consecutive_failures();
    if (m.has_failure_rate()) {
      b.failure_rate = scaled(m.failure_rate(), 1000, Path(path, "failure_rate"));
    }
    if (m.has_slow_call()) b.slow_call = time(m.slow_call(), Path(path, "slow_call"));
    if (m.has_slow_rate()) b.slow_rate = scaled(m.slow_rate(), 1000, Path(path, "slow_rate"));
    if (m.has_minimum_calls()) b.minimum_calls = m.minimum_calls();
    if (m.has_window()) b.window = time(m.window(), Path(path, "window"));
    if (m.has_open()) b.open = time(m.open(), Path(path, "open"));
    if (m.has_open_max()) b.open_max = time(m.open_max(), Path(path, "open_max"));
    if (m.has_probes()) b.probes = m.probes();
    if (m.has_probe_deadline()) {
      b.probe_deadline = time(m.probe_deadline(), Path(path, "probe_deadline"));
    }
    return b;
  }

  Limit limit(const v1::Limit& m, const Path& path) {
    Limit l;
    set_enum(l.per, m.per(), Path(path, "per"));
    set_enum(l.kind, m.kind(), Path(path, "kind"));
    l.plan = m.plan();
    l.requests = m.requests();
    set_time(l.period, m.has_period(), m.period(), Path(path, "period"));
    l.burst = m.burst();
    l.unlimited = m.unlimited();
    set_enum(l.on_exceed, m.on_exceed(), Path(path, "on_exceed"));
    for (const v1::LimitOverride& o : m.overrides()) {
      l.overrides.push_back({o.key(), o.requests(), o.burst(), o.unlimited()});
    }
    return l;
  }

  TenantPolicy tenant(const v1::Tenant& m, const Path& path) {
    TenantPolicy t;
    for (int i = 0; i < m.sources_size(); ++i) {
      const Path at(path, "sources", static_cast<std::size_t>(i));
      t.sources.push_back(tenant_source(m.sources(i), at));
    }
    set_enum(t.on_disagreement, m.on_disagreement(), Path(path, "on_disagreement"));
    t.characters = m.characters();
    t.trusted_headers = list(m.trusted_headers());
    t.trusted_proxies = list(m.trusted_proxies());
    return t;
  }

  TenantSource tenant_source(const v1::TenantSource& m, const Path& path) {
    TenantSource s;
    int kinds = 0;
    const auto choose = [&](bool given, TenantSourceKind kind, const std::string& name) {
      if (!given) return;
      ++kinds;
      s.kind = kind;
      s.name = name;
    };
    choose(m.hosts_size() > 0, TenantSourceKind::kHosts, "");
    choose(m.has_subdomain(), TenantSourceKind::kSubdomain, "");
    choose(m.has_path(), TenantSourceKind::kPath, m.path());
    choose(m.has_header(), TenantSourceKind::kHeader, m.header());
    choose(m.has_query(), TenantSourceKind::kQuery, m.query());
    choose(m.has_cookie(), TenantSourceKind::kCookie, m.cookie());
    choose(m.has_claim(), TenantSourceKind::kClaim, m.claim());
    if (kinds != 1) {
      problems_.add(path, std::string(kinds == 0 ? "names no place" : "names several places") +
                              ": give one of hosts, subdomain, path, header, query, cookie, claim");
    }
    s.hosts = pairs(m.hosts());
    s.domains = list(m.subdomain().domains());
    s.reserved = list(m.subdomain().reserved());
    s.version_prefix = m.version_prefix();
    set_enum(s.letters, m.case_(), Path(path, "case"));
    s.required = m.required();
    return s;
  }

  template <class T>
  static void set_if(T& to, const std::optional<T>& from) {
    if (from) to = *from;
  }

  template <class Enum, class Number>
  void set_enum(Enum& to, Number number, const Path& path) {
    if (const auto value = enum_from_schema<Enum>(number)) {
      to = *value;
    } else {
      problems_.add(path, "unknown value " + std::to_string(static_cast<int>(number)));
    }
  }

  StrategyKind strategy(const std::string& name, const Path& path) {
    if (const Result<StrategyKind> kind = parse_strategy(name)) return *kind;
    std::vector<std::string_view> names;
    std::string known;
    for (std::size_t i = 0; i < kStrategyKinds; ++i) {
      names.push_back(Picker::name(static_cast<StrategyKind>(i)));
      known += (i == 0 ? "" : ", ") + std::string(names.back());
    }
    problems_.add(path, "unknown strategy " + check::quoted(name) + check::suggestion(name, names) +
                            "; choose one of " + known);
    return StrategyKind::kRendezvousSlots;
  }

  // `value` in parts of 1/unit, if it is a whole number of them that fits in 32 bits.
  std::uint32_t scaled(double value, std::uint32_t unit, const Path& path) {
    const int decimals = unit == 1000 ? 3 : 9;
    const double most = std::numeric_limits<std::uint32_t>::max();
    if (!(value >= 0) || value * unit > most) {
      problems_.add(path, "must be a number from 0 to " +
                              check::counted(std::numeric_limits<std::uint32_t>::max() / unit));
      return unit;
    }
    const auto parts = static_cast<std::uint32_t>(std::llround(value * unit));
    // A decimal's nearest double is the nearest to parts/unit if and only if they are equal.
    if (static_cast<double>(parts) / unit != value) {
      problems_.add(path, "has more than " + std::to_string(decimals) + " decimals");
    }
    return parts;
  }

  Nanos time(const google::protobuf::Duration& d, const Path& path) {
    constexpr std::int64_t kMost = std::numeric_limits<Nanos>::max() / kSecond;
    if (d.seconds() < 0 || d.nanos() < 0) {
      problems_.add(path, "is negative");
    } else if (d.seconds() >= kMost || d.nanos() >= kSecond) {
      problems_.add(path, "is out of range: " + std::to_string(d.seconds()) + " s and " +
                              std::to_string(d.nanos()) + " ns");
    } else {
      return d.seconds() * kSecond + d.nanos();
    }
    return kSecond;
  }

  void set_time(Nanos& to, bool present, const google::protobuf::Duration& d, const Path& path) {
    if (present) to = time(d, path);
  }

  check::Problems& problems_;
};

}  // namespace

Topology struct_from_message(const v1::Topology& message, check::Problems& problems) {
  return Reader(problems).topology(message);
}

}  // namespace cellroute::loading
