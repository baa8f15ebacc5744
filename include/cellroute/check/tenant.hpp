// The rules about how tenants are found.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cellroute/address.hpp"
#include "cellroute/ascii.hpp"
#include "cellroute/check/names.hpp"
#include "cellroute/check/problems.hpp"
#include "cellroute/key.hpp"
#include "cellroute/tenant/characters.hpp"
#include "cellroute/tenant/host.hpp"
#include "cellroute/tenant/path_pattern.hpp"
#include "cellroute/tenant/request.hpp"
#include "cellroute/tenant/rules.hpp"
#include "cellroute/topology.hpp"

namespace cellroute::check {

inline constexpr std::size_t kMaxFieldBytes = 128;
inline constexpr std::size_t kMaxPatternBytes = 256;
inline constexpr std::size_t kMaxPatternSegments = 16;

// Letters, digits and - . _ ~ (RFC 3986, unreserved).
constexpr bool is_unreserved(std::string_view text) noexcept {
  for (const char c : text) {
    const bool mark = c == '-' || c == '.' || c == '_' || c == '~';
    if (!ascii::is_letter(c) && !ascii::is_digit(c) && !mark) return false;
  }
  return true;
}

// Why `name` is none of a header, parameter or cookie; or nothing.
inline std::string field_name_problem(std::string_view name) {
  if (!name.empty() && name.size() <= kMaxFieldBytes && is_unreserved(name)) return "";
  return check::quoted(name) + " is no name: 1 to 128 letters, digits and - . _ ~";
}

// Why `pattern` is none, or nothing.
inline std::string pattern_problem(std::string_view pattern, bool version_prefix) {
  const std::string text = check::quoted(pattern);
  if (!pattern.starts_with('/') || pattern.size() > kMaxPatternBytes) {
    return text + " is no pattern such as /tenant/{tenant}, of at most 256 bytes";
  }
  std::size_t tenants = 0;
  std::size_t count = 0;
  tenant::Segments segments(pattern);
  for (std::string_view segment; segments.next(segment); ++count) {
    if (segment == tenant::kTenantSegment) {
      ++tenants;
    } else if (segment.empty() || !is_unreserved(segment) || !tenant::is_plain_segment(segment)) {
      return text + " has the segment " + check::quoted(segment) +
             ": write {tenant}, or letters, digits and - . _ ~";
    } else if (version_prefix && count == 0 && tenant::is_version(segment)) {
      return text + " begins with a version, which version_prefix takes away";
    }
  }
  if (tenants != 1) return text + " has not one segment {tenant}";
  return count > kMaxPatternSegments ? text + " has more than 16 segments" : "";
}

// Why `tenant` names none, or nothing.
inline std::string tenant_problem(std::string_view name, const tenant::Characters& characters) {
  if (!key_length_ok(name)) return "must be 1 to 1,024 bytes";
  for (const char c : name) {
    if (characters.has(c)) continue;
    return check::quoted(name) + " has the character " + check::quoted({&c, 1}) +
           ", which tenant.characters does not allow";
  }
  return "";
}

inline void check_hosts(const TenantSource& source, const tenant::Characters& characters,
                        const Path& path, Problems& problems) {
  if (source.hosts.empty()) problems.add(Path(path, "hosts"), "is empty: list at least one host");
  if (!check_count(source.hosts.size(), kMaxTenantHosts, Path(path, "hosts"), problems)) return;
  NameIndex seen;
  for (const auto& [name, tenant] : source.hosts) {
    const Path at(path, "hosts", std::string_view(name));
    const tenant::Host host = tenant::Host::canonical(name);
    if (host.kind() != tenant::HostKind::kName) {
      problems.add(at, "the host is no DNS name of letters, digits and hyphens");
    } else if (!seen.add(host.text(), 0)) {
      problems.add(at, "is given twice: hosts have no case, port or last dot");
    }
    if (std::string text = tenant_problem(tenant, characters); !text.empty()) {
      problems.add(at, "the tenant " + text);
    }
  }
}

inline void check_subdomain(const TenantSource& source, const Path& source_path,
                            Problems& problems) {
  const Path path(source_path, "subdomain");
  const Path domains(path, "domains");
  if (source.domains.empty()) problems.add(domains, "is empty: list at least one domain");
  if (!check_count(source.domains.size(), kMaxTenantDomains, domains, problems)) return;
  if (!check_count(source.reserved.size(), kMaxTenantDomains, Path(path, "reserved"), problems)) {
    return;
  }
  NameIndex seen;
  for (std::size_t i = 0; i < source.domains.size(); ++i) {
    const Path at(path, "domains", i);
    const tenant::Host host = tenant::Host::canonical(source.domains[i]);
    if (host.kind() != tenant::HostKind::kName) {
      problems.add(at, check::quoted(source.domains[i]) + " is no DNS name");
    } else if (!seen.add(host.text(), 0)) {
      problems.add(at, check::quoted(source.domains[i]) + " is given twice");
    }
  }
  for (std::size_t i = 0; i < source.reserved.size(); ++i) {
    if (tenant::is_label(source.reserved[i])) continue;
    problems.add(Path(path, "reserved", i), check::quoted(source.reserved[i]) +
                                                " is no label: letters, digits and inner hyphens");
  }
}

inline void check_field(const TenantSource& source, const Path& path, Problems& problems) {
  const auto add = [&](std::string_view field, std::string text) {
    if (!text.empty()) problems.add(Path(path, field), std::move(text));
  };
  switch (source.kind) {
    case TenantSourceKind::kHosts:
    case TenantSourceKind::kSubdomain: break;
    case TenantSourceKind::kPath:
      add("path", pattern_problem(source.name, source.version_prefix));
      break;
    case TenantSourceKind::kHeader: {
      const bool own =
          tenant::same_name(source.name, "host") || tenant::same_name(source.name, "cookie");
      add("header", own ? "has a source of its own: hosts, subdomain or cookie"
                        : field_name_problem(source.name));
      break;
    }
    case TenantSourceKind::kQuery: add("query", field_name_problem(source.name)); break;
    case TenantSourceKind::kCookie: add("cookie", field_name_problem(source.name)); break;
    case TenantSourceKind::kClaim: add("claim", name_problem(source.name)); break;
  }
  if (source.version_prefix && source.kind != TenantSourceKind::kPath) {
    problems.add(Path(path, "version_prefix"), "is for path alone: leave it out");
  }
}

// A custom host whose sub-domain is another tenant's name would always be refused.
inline void check_host_overlap(const TenantPolicy& policy, const Path& tenant_path,
                               Problems& problems) {
  const tenant::Rules rules(policy);
  for (std::size_t i = 0; i < policy.sources.size(); ++i) {
    const Path path(tenant_path, "sources", i);
    for (const auto& [name, owner] : policy.sources[i].hosts) {
      const tenant::Host host = tenant::Host::canonical(name);
      for (const tenant::Source& source : rules.sources()) {
        const std::string_view label = source.label_of(host.text());
        if (label.empty() || label == owner) continue;
        problems.add(Path(path, "hosts", std::string_view(name)),
                     "is a sub-domain besides, of the tenant " + check::quoted(label) +
                         ": reserve that label, or set on_disagreement: FIRST");
      }
    }
  }
}

inline void check_trusted(const TenantPolicy& policy, const Path& path, Problems& problems) {
  constexpr std::string_view kFraming[] = {"host", "connection", "content-length",
                                           "transfer-encoding"};
  if (check_count(policy.trusted_headers.size(), kMaxTrustedHeaders, Path(path, "trusted_headers"),
                  problems)) {
    for (std::size_t i = 0; i < policy.trusted_headers.size(); ++i) {
      const std::string& name = policy.trusted_headers[i];
      const Path at(path, "trusted_headers", i);
      std::string text = field_name_problem(name);
      for (const std::string_view framing : kFraming) {
        if (tenant::alike(name, framing)) text = "is what every request needs as it came";
      }
      if (!text.empty()) problems.add(at, std::move(text));
    }
  }
  if (!check_count(policy.trusted_proxies.size(), kMaxTrustedProxies, Path(path, "trusted_proxies"),
                   problems)) {
    return;
  }
  for (std::size_t i = 0; i < policy.trusted_proxies.size(); ++i) {
    const std::string& proxy = policy.trusted_proxies[i];
    const Path at(path, "trusted_proxies", i);
    if (proxy == tenant::kUnixPeer) continue;
    const auto block = parse_block(proxy);
    if (!block) {
      problems.add(at, check::quoted(proxy) +
                           " is no address, no block such as 10.0.0.0/8, and "
                           "not unix:");
    } else if (block->reaches_beyond()) {
      problems.add(at, check::quoted(proxy) +
                           " has bits behind the block's: write its first "
                           "address");
    } else if (proxy.ends_with("/0")) {
      problems.add(at, "trusts everybody, who can then be whoever they say");
    }
  }
}

inline void check_tenant(const TenantPolicy& policy, Problems& problems) {
  const Path root;
  const Path path(root, "tenant");
  const Path sources(path, "sources");
  if (policy.sources.empty()) problems.add(sources, "is empty: list at least one source");
  if (!check_count(policy.sources.size(), kMaxTenantSources, sources, problems)) return;
  const bool usual = policy.characters.empty();
  const auto characters = tenant::Characters::parse(usual ? tenant::kUsualCharacters
                                                          : std::string_view(policy.characters));
  if (!characters) {
    problems.add(Path(path, "characters"),
                 "is no list of visible ASCII characters and ranges such as a-z0-9, without " +
                     std::string("\" # % & + , / ; ? \\"));
    return;
  }
  for (std::size_t i = 0; i < policy.sources.size(); ++i) {
    const TenantSource& source = policy.sources[i];
    const Path at(path, "sources", i);
    if (source.kind == TenantSourceKind::kHosts) check_hosts(source, *characters, at, problems);
    if (source.kind == TenantSourceKind::kSubdomain) check_subdomain(source, at, problems);
    check_field(source, at, problems);
    if (source.required && policy.on_disagreement == OnDisagreement::kFirst) {
      problems.add(
          Path(at, "required"),
          "has no meaning with on_disagreement: FIRST, which does not look at all sources");
    }
  }
  check_trusted(policy, path, problems);
  const bool refuses = policy.on_disagreement == OnDisagreement::kRefuse;
  if (problems.empty() && refuses) check_host_overlap(policy, path, problems);
}

}  // namespace cellroute::check
