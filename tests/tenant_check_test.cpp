// Each rule about how tenants are found: what breaks it, where the problem is, and what it says.
#include "cellroute/check/tenant.hpp"

#include <catch2/catch.hpp>
#include <functional>

#include "tenant_fixture.hpp"
#include "topology/load.hpp"

using namespace tenant_fixture;

namespace {

using Change = std::function<void(TenantPolicy&)>;

TenantPolicy sound() {
  TenantPolicy made = policy({hosts(), subdomains(), path("/tenant/{tenant}", true), header(),
                              source(TenantSourceKind::kQuery, "tenant"),
                              source(TenantSourceKind::kCookie, "tenant"),
                              source(TenantSourceKind::kClaim, "https://example.com/tenant")});
  made.trusted_headers = {"X-Tenant-ID", "X-Cell-ID"};
  made.trusted_proxies = {"10.0.0.0/8", "192.0.2.1", "fd00::/8", "unix:"};
  return made;
}

std::vector<Problem> problems_of(const Change& change) {
  TenantPolicy made = sound();
  change(made);
  check::Problems problems;
  check::check_tenant(made, problems);
  return problems.take();
}

void breaks(const std::string& path, const std::string& words, const Change& change) {
  const std::vector<Problem> problems = problems_of(change);
  CAPTURE(path, words);
  for (const Problem& problem : problems) UNSCOPED_INFO(problem.path << ": " << problem.text);
  REQUIRE(problems.size() == 1);
  CHECK(problems[0].path == path);
  CHECK(problems[0].text.find(words) != std::string::npos);
}

void keeps(const Change& change) {
  for (const Problem& problem : problems_of(change)) FAIL(problem.path << ": " << problem.text);
}

constexpr std::string_view kYaml = R"(generation: 1
cells: [{id: a}]
tenant:
  sources:
    - hosts: {shop.acme.org: acme}
    - {subdomain: {domains: [example.com], reserved: [www, api]}, required: true}
    - {path: '/tenant/{tenant}', version_prefix: true, case: LOWER}
    - header: X-Tenant-ID
    - {query: tenant}
    - {cookie: tenant}
    - {claim: tenant_id}
  characters: a-z0-9-
  trusted_headers: [X-Tenant-ID]
  trusted_proxies: [10.0.0.0/8, 'unix:']
)";

std::string load_error(std::string_view tenant) {
  const std::string text =
      "generation: 1\ncells: [{id: a}]\ntenant:\n" + std::string(tenant) + "\n";
  const Result<Topology> loaded = load_topology(text, TopologyFormat::kYaml, "t");
  return loaded ? "" : loaded.error().text();
}

}  // namespace

TEST_CASE("sound rules about tenants have no problems") {
  keeps([](TenantPolicy&) {});
}

TEST_CASE("there are 1 to 16 sources") {
  breaks("tenant.sources", "is empty", [](TenantPolicy& t) { t.sources.clear(); });
  breaks("tenant.sources", "17 entries; at most 16",
         [](TenantPolicy& t) { t.sources.assign(17, header()); });
}

TEST_CASE("custom hosts are names, once each, of sound tenants") {
  const auto with = [](std::string host, std::string tenant) {
    return [=](TenantPolicy& t) { t.sources[0].hosts = {{host, tenant}}; };
  };
  breaks("tenant.sources[0].hosts", "is empty", [](TenantPolicy& t) { t.sources[0].hosts = {}; });
  for (const char* host : {"10.0.0.1", "[::1]", "a..b", "", "a_b", "a b", "*.example.org"}) {
    breaks("tenant.sources[0].hosts[\"" + std::string(host) + "\"]", "no DNS name",
           with(host, "acme"));
  }
  breaks("tenant.sources[0].hosts[\"A.org.\"]", "given twice", [](TenantPolicy& t) {
    t.sources[0].hosts = {{"a.org", "acme"}, {"A.org.", "acme"}};
  });
  breaks("tenant.sources[0].hosts[\"a.org\"]", "1 to 1,024 bytes", with("a.org", ""));
  breaks("tenant.sources[0].hosts[\"a.org\"]", "does not allow", with("a.org", "a b"));
  breaks("tenant.sources[0].hosts", "at most 65,536",
         [](TenantPolicy& t) { t.sources[0].hosts.resize(65'537); });
}

TEST_CASE("a custom host is no sub-domain of another tenant, unless the first source wins") {
  const auto shop = [](TenantPolicy& t) { t.sources[0].hosts = {{"shop.example.com", "acme"}}; };
  breaks("tenant.sources[0].hosts[\"shop.example.com\"]", "of the tenant \"shop\"", shop);
  keeps([&](TenantPolicy& t) {
    shop(t);
    t.on_disagreement = OnDisagreement::kFirst;
  });
  keeps([&](TenantPolicy& t) {
    shop(t);
    t.sources[1].reserved.push_back("shop");
  });
  keeps([](TenantPolicy& t) { t.sources[0].hosts = {{"acme.example.com", "acme"}}; });
}

TEST_CASE("domains are names and reserved labels are labels") {
  breaks("tenant.sources[1].subdomain.domains", "is empty",
         [](TenantPolicy& t) { t.sources[1].domains = {}; });
  breaks("tenant.sources[1].subdomain.domains[0]", "no DNS name",
         [](TenantPolicy& t) { t.sources[1].domains = {"10.0.0.1"}; });
  breaks("tenant.sources[1].subdomain.domains[1]", "given twice", [](TenantPolicy& t) {
    t.sources[1].domains = {"a.com", "A.com"};
  });
  for (const char* label : {"a.b", "", "a_b", "-a", "*"}) {
    breaks("tenant.sources[1].subdomain.reserved[0]", "no label",
           [&](TenantPolicy& t) { t.sources[1].reserved = {label}; });
  }
  breaks("tenant.sources[1].subdomain.domains", "at most 1,024",
         [](TenantPolicy& t) { t.sources[1].domains.resize(1'025); });
  breaks("tenant.sources[1].subdomain.reserved", "at most 1,024",
         [](TenantPolicy& t) { t.sources[1].reserved.resize(1'025); });
}

TEST_CASE("a pattern has one tenant among plain segments") {
  const auto with = [](std::string pattern) {
    return [=](TenantPolicy& t) { t.sources[2].name = pattern; };
  };
  for (const char* pattern : {"/{tenant}", "/t/{tenant}/x", "/a.b_c~d-e/{tenant}"}) {
    keeps(with(pattern));
  }
  for (const char* pattern : {"", "tenant/{tenant}", "{tenant}"}) {
    breaks("tenant.sources[2].path", "is no pattern", with(pattern));
  }
  for (const char* pattern : {"/tenant", "/{tenant}/{tenant}"}) {
    breaks("tenant.sources[2].path", "not one segment {tenant}", with(pattern));
  }
  for (const char* pattern : {"/tenant/{tenant}/", "//{tenant}", "/a b/{tenant}", "/%61/{tenant}",
                              "/../{tenant}", "/x{tenant}", "/{cell}/{tenant}", "/a;b/{tenant}"}) {
    breaks("tenant.sources[2].path", "has the segment", with(pattern));
  }
  breaks("tenant.sources[2].path", "begins with a version", with("/v1/{tenant}"));
  breaks("tenant.sources[2].path", "at most 256", with("/{tenant}/" + std::string(256, 'a')));
  std::string many = "/{tenant}";
  for (int i = 0; i < 16; ++i) many += "/a";
  breaks("tenant.sources[2].path", "more than 16", with(many));
}

TEST_CASE("fields have names, and those with a source of their own are none") {
  for (const std::size_t i : {3u, 4u, 5u}) {
    const char* const kFields[] = {"header", "query", "cookie"};
    const std::string at = "tenant.sources[" + std::to_string(i) + "]." + kFields[i - 3];
    for (const char* bad : {"", "a b", "a=b", "a;b", "a:b", "\xc3\xa9", "a%62"}) {
      breaks(at, "is no name", [&](TenantPolicy& t) { t.sources[i].name = bad; });
    }
    breaks(at, "is no name", [&](TenantPolicy& t) { t.sources[i].name = std::string(129, 'a'); });
  }
  for (const char* own : {"Host", "COOKIE"}) {
    breaks("tenant.sources[3].header", "source of its own",
           [&](TenantPolicy& t) { t.sources[3].name = own; });
  }
  breaks("tenant.sources[6].claim", "is missing", [](TenantPolicy& t) { t.sources[6].name = ""; });
  breaks("tenant.sources[3].version_prefix", "for path alone",
         [](TenantPolicy& t) { t.sources[3].version_prefix = true; });
}

TEST_CASE("a required source has no meaning where the first wins") {
  breaks("tenant.sources[3].required", "no meaning", [](TenantPolicy& t) {
    t.sources[3].required = true;
    t.on_disagreement = OnDisagreement::kFirst;
  });
  keeps([](TenantPolicy& t) { t.sources[3].required = true; });
}

TEST_CASE("characters are single ones and ranges of visible ASCII") {
  for (const char* good : {"a-z", "a-zA-Z0-9._-", "-a", "a-", "acmeg", "a-zG!*"}) {
    keeps([&](TenantPolicy& t) {
      t.characters = good;
      t.sources.erase(t.sources.begin());
    });
  }
  for (const char* bad : {" ", "a-z ", "z-a", "a,b", "%", "!-~", "a/", "\\", "\"", "a\x7f",
                          "\xc3\xa9", "+", ";", "?", "#", "&"}) {
    CAPTURE(bad);
    breaks("tenant.characters", "visible ASCII", [&](TenantPolicy& t) { t.characters = bad; });
  }
}

TEST_CASE("trusted headers are names that no request needs as they came") {
  breaks("tenant.trusted_headers[0]", "is no name",
         [](TenantPolicy& t) { t.trusted_headers = {"a:b"}; });
  for (const char* name : {"Host", "content-length", "Transfer_Encoding", "Connection"}) {
    breaks("tenant.trusted_headers[0]", "as it came",
           [&](TenantPolicy& t) { t.trusted_headers = {name}; });
  }
  breaks("tenant.trusted_headers", "at most 64",
         [](TenantPolicy& t) { t.trusted_headers.assign(65, "a"); });
}

TEST_CASE("trusted proxies are addresses and blocks, but not everybody") {
  const auto with = [](std::string proxy) {
    return [=](TenantPolicy& t) { t.trusted_proxies = {proxy}; };
  };
  for (const char* bad :
       {"", "proxy.example.com", "10.0.0.0/33", "10.0.0/8", "unix:/run/x", "all"}) {
    breaks("tenant.trusted_proxies[0]", "is no address", with(bad));
  }
  breaks("tenant.trusted_proxies[0]", "has bits behind", with("10.0.0.1/8"));
  breaks("tenant.trusted_proxies[0]", "trusts everybody", with("0.0.0.0/0"));
  breaks("tenant.trusted_proxies[0]", "trusts everybody", with("::/0"));
  breaks("tenant.trusted_proxies", "at most 1,024",
         [](TenantPolicy& t) { t.trusted_proxies.assign(1'025, "10.0.0.1"); });
}

TEST_CASE("rules about tenants are read and written in every format") {
  const Result<Topology> loaded = load_topology(kYaml, TopologyFormat::kYaml, "t");
  REQUIRE(loaded.ok());
  REQUIRE(loaded->tenant);
  const TenantPolicy& tenant = *loaded->tenant;
  REQUIRE(tenant.sources.size() == 7);
  CHECK(tenant.sources[0].hosts ==
        std::vector<std::pair<std::string, std::string>>{{"shop.acme.org", "acme"}});
  CHECK(tenant.sources[1].reserved == std::vector<std::string>{"www", "api"});
  CHECK(tenant.sources[1].required);
  CHECK(tenant.sources[2].kind == TenantSourceKind::kPath);
  CHECK(tenant.sources[2].version_prefix);
  CHECK(tenant.sources[2].letters == TenantCase::kLower);
  CHECK(tenant.sources[6].name == "tenant_id");
  CHECK(tenant.characters == "a-z0-9-");
  CHECK(tenant.trusted_proxies == std::vector<std::string>{"10.0.0.0/8", "unix:"});
  for (const TopologyFormat format : {TopologyFormat::kYaml, TopologyFormat::kJson,
                                      TopologyFormat::kTextproto, TopologyFormat::kBinary}) {
    const Result<std::string> written = write_topology(*loaded, format);
    REQUIRE(written.ok());
    const Result<Topology> again = load_topology(*written, format, "t");
    REQUIRE(again.ok());
    CHECK(*again == *loaded);
  }
}

TEST_CASE("a topology that says nothing of tenants has no rules about them") {
  const Result<Topology> loaded =
      load_topology("generation: 1\ncells: [{id: a}]\n", TopologyFormat::kYaml, "t");
  REQUIRE(loaded.ok());
  CHECK_FALSE(loaded->tenant);
  CHECK((*compile(*loaded))->tenant_rules() == nullptr);
}

TEST_CASE("problems with tenants name the line") {
  CHECK(
      load_error("  sources:\n    - header: X\n    - {header: X, query: y}") ==
      "t:6:7: tenant.sources[1]: names several places: give one of hosts, subdomain, path, header, "
      "query, cookie, claim");
  CHECK(load_error("  sources:\n    - {required: true}")
            .starts_with("t:5:7: tenant.sources[0]: names no place"));
  CHECK(load_error("  sources:\n    - header: X\n    - path: /x")
            .starts_with("t:6:7: tenant.sources[1].path: \"/x\" has not one segment {tenant}"));
  CHECK(load_error("  sources:\n    - hosts:\n        a.org: acme\n        10.0.0.1: b")
            .starts_with("t:7:9: tenant.sources[0].hosts[\"10.0.0.1\"]: the host is no DNS name"));
  CHECK(load_error("  sources:\n    - {header: X, case: UPPER}").find("KEEP or LOWER") !=
        std::string::npos);
  CHECK(load_error("  sorces: []").find("did you mean \"sources\"") != std::string::npos);
}
