// Requests from anybody, byte for byte: each is refused, or has a sound key that other spellings of
// the same request have too.
#include <array>
#include <cctype>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "cellroute/tenant.hpp"

namespace {

using namespace cellroute;

using Fields = std::vector<HttpField>;

struct Parsed {
  std::string_view target;
  Fields headers;
};

// Cut as loosely as can be, so that what parsers let through by mistake comes here too.
Parsed parse(std::string_view bytes) {
  Parsed parsed;
  const std::size_t end = std::min(bytes.find("\r\n"), bytes.size());
  const std::string_view line = bytes.substr(0, end);
  const std::size_t first = std::min(line.find(' '), line.size());
  const std::size_t last = std::max(line.rfind(' '), first + 1);
  if (first < line.size()) parsed.target = line.substr(first + 1, last - first - 1);
  for (std::string_view rest = bytes.substr(std::min(end + 2, bytes.size())); !rest.empty();) {
    const std::size_t stop = std::min(rest.find("\r\n"), rest.size());
    const std::string_view header = rest.substr(0, stop);
    rest.remove_prefix(std::min(stop + 2, rest.size()));
    const std::size_t colon = std::min(header.find(':'), header.size());
    parsed.headers.push_back(
        {header.substr(0, colon), header.substr(std::min(colon + 1, header.size()))});
  }
  return parsed;
}

void require(bool holds, const char* text) {
  if (holds) return;
  std::fprintf(stderr, "%s\n", text);
  std::abort();
}

TenantSource source(TenantSourceKind kind, std::string name = {}) {
  TenantSource made;
  made.kind = kind;
  made.name = std::move(name);
  return made;
}

std::vector<tenant::Rules> all_rules() {
  TenantSource hosts = source(TenantSourceKind::kHosts);
  hosts.hosts = {{"shop.acme.org", "acme"}};
  TenantSource subdomains = source(TenantSourceKind::kSubdomain);
  subdomains.domains = {"example.com", "eu.example.com"};
  subdomains.reserved = {"www"};
  TenantSource path = source(TenantSourceKind::kPath, "/tenant/{tenant}");
  path.version_prefix = true;
  TenantPolicy policy;
  policy.sources = {hosts,
                    subdomains,
                    path,
                    source(TenantSourceKind::kHeader, "X-Tenant-ID"),
                    source(TenantSourceKind::kQuery, "tenant"),
                    source(TenantSourceKind::kCookie, "tenant")};
  policy.trusted_proxies = {"10.0.0.0/8"};
  std::vector<tenant::Rules> rules;
  rules.emplace_back(policy);
  policy.on_disagreement = OnDisagreement::kFirst;
  rules.emplace_back(policy);
  for (const TenantSource& each : std::vector(policy.sources)) {
    policy.sources = {each};
    rules.emplace_back(policy);
  }
  return rules;
}

HttpRequest<Fields> request_of(const Parsed& parsed) {
  return {{}, parsed.target, "10.0.0.1", parsed.headers, {}};
}

// Names of headers in other letters, and blanks around their values.
void check_spellings(const tenant::Rules& rules, const Parsed& parsed, const Extracted& found) {
  std::vector<std::string> texts;
  Parsed other = parsed;
  texts.reserve(2 * other.headers.size());
  for (HttpField& header : other.headers) {
    std::string name(header.name);
    for (char& c : name) {
      if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    }
    header.name = texts.emplace_back(std::move(name));
    header.value = texts.emplace_back(" \t" + std::string(header.value) + "\t ");
  }
  std::array<char, kMaxKeyBytes> room;
  const Extracted again = extract(rules, request_of(other), room);
  require(again.reason == found.reason && again.source == found.source && again.key == found.key,
          "another spelling is another tenant");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::vector<tenant::Rules> kRules = all_rules();
  const Parsed parsed = parse({reinterpret_cast<const char*>(data), size});
  for (const tenant::Rules& rules : kRules) {
    std::array<char, kMaxKeyBytes> room;
    const Extracted found = extract(rules, request_of(parsed), room);
    if (found.reason == Reason::kNone) {
      require(key_length_ok(found.key), "no key");
      for (const char c : found.key) require(rules.characters().has(c), "a forbidden character");
      require(found.source < rules.sources().size(), "no source");
    } else {
      require(found.key.empty(), "a key beside a reason");
    }
    check_spellings(rules, parsed, found);
  }
  const ClientAddress client = client_address(kRules[0], request_of(parsed));
  require(parse_address(client.address).has_value(), "no address");
  for (const HttpField& header : parsed.headers) {
    const tenant::Host host = tenant::Host::canonical(header.value);
    if (host.kind() == tenant::HostKind::kMalformed) continue;
    require(tenant::Host::canonical(host.text()).text() == host.text(), "not the one form");
  }
  return 0;
}
