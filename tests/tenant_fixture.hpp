// A request and a policy for tests of extraction.
#pragma once

#include <array>
#include <span>
#include <string>
#include <vector>

#include "cellroute/check/tenant.hpp"
#include "cellroute/tenant.hpp"

namespace tenant_fixture {

using namespace cellroute;

using Fields = std::vector<HttpField>;

struct Asked {
  std::string_view target = "/";
  Fields headers = {};
  Fields claims = {};
  std::string_view authority = {};
  std::string_view peer = {};
};

inline HttpRequest<std::span<const HttpField>> request_of(const Asked& asked) {
  return {asked.authority, asked.target, asked.peer, asked.headers, asked.claims};
}

inline TenantSource source(TenantSourceKind kind, std::string name = {}) {
  TenantSource made;
  made.kind = kind;
  made.name = std::move(name);
  return made;
}
inline TenantSource subdomains() {
  TenantSource made = source(TenantSourceKind::kSubdomain);
  made.domains = {"example.com", "eu.example.com", "localhost"};
  made.reserved = {"www", "API"};
  return made;
}
inline TenantSource hosts() {
  TenantSource made = source(TenantSourceKind::kHosts);
  made.hosts = {{"Shop.Acme.org", "acme"}, {"app.example.net", "Globex"}};
  return made;
}
inline TenantSource path(std::string pattern, bool version_prefix = false) {
  TenantSource made = source(TenantSourceKind::kPath, std::move(pattern));
  made.version_prefix = version_prefix;
  return made;
}
inline TenantSource header(std::string name = "X-Tenant-ID") {
  return source(TenantSourceKind::kHeader, std::move(name));
}
inline TenantSource lower(TenantSource made) {
  made.letters = TenantCase::kLower;
  return made;
}
inline TenantSource required(TenantSource made) {
  made.required = true;
  return made;
}

inline TenantPolicy policy(std::vector<TenantSource> sources,
                           OnDisagreement on = OnDisagreement::kRefuse) {
  TenantPolicy made;
  made.sources = std::move(sources);
  made.on_disagreement = on;
  return made;
}

// The key, or the reason's name in brackets.
inline std::string extracted(const TenantPolicy& policy, const Asked& asked) {
  const tenant::Rules rules(policy);
  std::array<char, kMaxKeyBytes> room;
  const Extracted found = extract(rules, request_of(asked), room);
  return found.reason == Reason::kNone ? std::string(found.key)
                                       : '[' + std::string(name(found.reason)) + ']';
}

}  // namespace tenant_fixture
