// A topology's section `tenant`, turned into what extraction reads.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cellroute/address.hpp"
#include "cellroute/ascii.hpp"
#include "cellroute/names.hpp"
#include "cellroute/tenant/characters.hpp"
#include "cellroute/tenant/host.hpp"
#include "cellroute/tenant/path_pattern.hpp"
#include "cellroute/tenant/request.hpp"
#include "cellroute/topology.hpp"

namespace cellroute::tenant {

inline constexpr std::string_view kUnixPeer = "unix:";

// Thread safety: immutable; any number of threads may read.
struct Source {
  TenantSourceKind kind = TenantSourceKind::kHosts;
  bool lower = false;
  bool required = false;
  std::string name;
  PathPattern pattern;
  NameIndex hosts;                   // to places in `tenants`
  std::vector<std::string> tenants;  // of the hosts
  NameIndex domains;
  NameIndex reserved;

  // The one label that `host`, in its one form, has before a domain; nothing where it is reserved,
  // or the host is itself one of the domains.
  std::string_view label_of(std::string_view host) const noexcept {
    const std::size_t dot = host.find('.');
    if (dot == std::string_view::npos) return {};
    const std::string_view label = host.substr(0, dot);
    const bool named = domains.find(host.substr(dot + 1)) != NameIndex::kNone &&
                       domains.find(host) == NameIndex::kNone &&
                       reserved.find(label) == NameIndex::kNone;
    return named ? label : std::string_view();
  }
};

// Thread safety: immutable; any number of threads may read.
class Rules {
 public:
  // Precondition: the policy keeps its rules (check/tenant.hpp).
  explicit Rules(const TenantPolicy& policy)
      : first_wins_(policy.on_disagreement == OnDisagreement::kFirst),
        trusted_headers_(policy.trusted_headers) {
    const bool usual = policy.characters.empty();
    characters_ =
        *Characters::parse(usual ? kUsualCharacters : std::string_view(policy.characters));
    for (const TenantSource& source : policy.sources) sources_.push_back(compiled(source));
    for (const std::string& proxy : policy.trusted_proxies) {
      if (proxy == kUnixPeer) {
        trusts_unix_ = true;
      } else {
        trusted_proxies_.push_back(*parse_block(proxy));
      }
    }
  }

  std::span<const Source> sources() const noexcept { return sources_; }
  bool first_wins() const noexcept { return first_wins_; }
  const Characters& characters() const noexcept { return characters_; }

  // Whether cells believe the header, so that it may come from hosts alone.
  bool is_trusted_header(std::string_view name) const noexcept {
    for (const std::string& trusted : trusted_headers_) {
      if (alike(name, trusted)) return true;
    }
    return false;
  }

  // Whether what `peer` says of those before it counts.
  bool is_trusted_proxy(std::string_view peer) const noexcept {
    if (peer.starts_with(kUnixPeer)) return trusts_unix_;
    const std::optional<Address> address = parse_address(peer);
    if (!address) return false;
    for (const AddressBlock& block : trusted_proxies_) {
      if (block.holds(*address)) return true;
    }
    return false;
  }

 private:
  static std::string lower(std::string text) {
    for (char& c : text) c = ascii::lower(c);
    return text;
  }

  static Source compiled(const TenantSource& from) {
    Source made;
    made.kind = from.kind;
    made.lower = from.letters == TenantCase::kLower;
    made.required = from.required;
    made.name = from.name;
    if (from.kind == TenantSourceKind::kPath) {
      made.pattern = PathPattern(from.name, from.version_prefix);
    }
    for (const auto& [host, tenant] : from.hosts) {
      made.hosts.add(Host::canonical(host).text(), static_cast<std::uint32_t>(made.tenants.size()));
      made.tenants.push_back(tenant);
    }
    for (const std::string& domain : from.domains) {
      made.domains.add(Host::canonical(domain).text(), 0);
    }
    for (const std::string& label : from.reserved) made.reserved.add(lower(label), 0);
    return made;
  }

  bool first_wins_;
  bool trusts_unix_ = false;
  Characters characters_;
  std::vector<Source> sources_;
  std::vector<std::string> trusted_headers_;
  std::vector<AddressBlock> trusted_proxies_;
};

}  // namespace cellroute::tenant
