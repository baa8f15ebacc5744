// Which tenant a request is for, source by source, and what is refused.
#include "cellroute/tenant.hpp"

#include <catch2/catch.hpp>

#include "tenant_fixture.hpp"

using namespace tenant_fixture;

namespace {

std::string by_host(std::string_view host) {
  return extracted(policy({subdomains()}), {.headers = {{"Host", host}}});
}

std::string by_path(std::string_view target) {
  return extracted(policy({path("/tenant/{tenant}")}), {.target = target});
}

std::string by_query(std::string_view target) {
  return extracted(policy({source(TenantSourceKind::kQuery, "tenant")}), {.target = target});
}

std::string by_header(Fields headers) {
  return extracted(policy({header()}), {.headers = headers});
}

std::string by_cookie(Fields headers) {
  return extracted(policy({source(TenantSourceKind::kCookie, "tenant")}), {.headers = headers});
}

}  // namespace

TEST_CASE("one label before a domain is the tenant, however the host is spelt") {
  CHECK(by_host("acme.example.com") == "acme");
  CHECK(by_host("ACME.Example.COM:8080") == "acme");
  CHECK(by_host("acme.example.com.") == "acme");
  CHECK(by_host(" acme.example.com.:443\t") == "acme");
  CHECK(by_host("acme.eu.example.com") == "acme");
  CHECK(by_host("acme.localhost:1") == "acme");
  CHECK(by_host("10.example.com") == "10");
  CHECK(by_host("xn--bcher-kva.example.com") == "xn--bcher-kva");
}

TEST_CASE("domains, reserved labels, deeper names, other hosts and addresses are nobody's") {
  for (const char* host :
       {"example.com", "eu.example.com", "www.example.com", "WWW.example.com", "api.example.com",
        "a.b.example.com", "acme.example.org", "notexample.com", "acmeexample.com", "localhost",
        "app", "10.0.0.1", "10.0.0.1:80", "[::1]", "[2001:db8::1]:443", "10.0.0.1.", ""}) {
    CAPTURE(host);
    CHECK(by_host(host) == "[TENANT_MISSING]");
  }
}

TEST_CASE("a host that is neither a name nor an address is refused") {
  const std::string long_label(64, 'a');
  const std::string long_name = std::string(250, 'a') + ".example.com";
  for (const std::string& host : {std::string("acme%2eexample.com"),
                                  std::string("acme.example.com\0", 17),
                                  std::string("a\tb.example.com"),
                                  std::string(".example.com"),
                                  std::string("a..example.com"),
                                  std::string("acme.example.com.."),
                                  std::string("."),
                                  std::string("acme_x.example.com"),
                                  std::string("-a.example.com"),
                                  std::string("a-.example.com"),
                                  long_label + ".example.com",
                                  long_name,
                                  std::string("user@acme.example.com"),
                                  std::string("acme.example.com:"),
                                  std::string("acme.example.com:80x"),
                                  std::string("acme.example.com:0"),
                                  std::string("acme.example.com:65536"),
                                  std::string("acme.example.com:80:80"),
                                  std::string("acme.example.com/x"),
                                  std::string("acme.example.com, b.example.com"),
                                  std::string("b.example.com acme.example.com"),
                                  std::string("*.example.com"),
                                  std::string("\xc3\xa4.example.com"),
                                  std::string("1.2.3"),
                                  std::string("10"),
                                  std::string("0x7f.1"),
                                  std::string("a.0x7f000001"),
                                  std::string("256.0.0.1"),
                                  std::string("01.2.3.4"),
                                  std::string("[::1"),
                                  std::string("[::1]x"),
                                  std::string("::1"),
                                  std::string("[fe80::1%25eth0]"),
                                  std::string("[1.2.3.4]"),
                                  std::string("[1:::2]")}) {
    CAPTURE(host);
    CHECK(by_host(host) == "[HOST_MALFORMED]");
  }
}

TEST_CASE("a request has one host, whoever tells it") {
  const TenantPolicy rules = policy({subdomains()});
  const auto ask = [&](Asked asked) { return extracted(rules, asked); };
  CHECK(ask({.authority = "acme.example.com"}) == "acme");
  CHECK(ask({.headers = {{"host", "ACME.example.com."}}, .authority = "acme.example.com:443"}) ==
        "acme");
  CHECK(ask({.headers = {{"host", "b.example.com"}}, .authority = "acme.example.com"}) ==
        "[HOST_AMBIGUOUS]");
  CHECK(ask({.headers = {{"Host", "a.example.com"}, {"HOST", "a.example.com"}}}) ==
        "[HOST_AMBIGUOUS]");
  CHECK(ask({.headers = {{"Host", ""}, {"host", "a.example.com"}}}) == "[HOST_AMBIGUOUS]");
  CHECK(ask({.target = "http://acme.example.com/x",
             .headers = {{"Host", "acme.example.com:80"}}}) == "acme");
  CHECK(ask({.target = "HTTPS://acme.example.com", .headers = {{"Host", "acme.example.com"}}}) ==
        "acme");
  CHECK(ask({.target = "http://b.example.com/", .headers = {{"Host", "acme.example.com"}}}) ==
        "[HOST_AMBIGUOUS]");
  CHECK(ask({.target = "http://u@acme.example.com/", .headers = {{"Host", "acme.example.com"}}}) ==
        "[HOST_AMBIGUOUS]");
  CHECK(ask({.target = "http://acme.example.com/"}) == "[HOST_AMBIGUOUS]");
  CHECK(ask({.target = "http://acme.example.com/", .headers = {{"Host", ""}}}) ==
        "[HOST_AMBIGUOUS]");
  CHECK(ask({.target = "ftp://acme.example.com/", .headers = {{"Host", "acme.example.com"}}}) ==
        "[PATH_MALFORMED]");
  CHECK(ask({.target = "http:///x", .headers = {{"Host", "acme.example.com"}}}) ==
        "[PATH_MALFORMED]");
  CHECK(ask({.target = "acme.example.com:443", .headers = {{"Host", "acme.example.com"}}}) ==
        "[PATH_MALFORMED]");
  CHECK(ask({.target = "*", .headers = {{"Host", "acme.example.com"}}}) == "acme");
  CHECK(ask({.target = "", .headers = {{"Host", "acme.example.com"}}}) == "[PATH_MALFORMED]");
}

TEST_CASE("a custom host is whose the topology says, and no other host is") {
  const auto ask = [](std::string_view host) {
    return extracted(policy({hosts()}), {.headers = {{"Host", host}}});
  };
  CHECK(ask("shop.acme.org") == "acme");
  CHECK(ask("SHOP.ACME.ORG.:8443") == "acme");
  CHECK(ask("app.example.net") == "Globex");
  CHECK(ask("x.shop.acme.org") == "[TENANT_MISSING]");
  CHECK(ask("acme.org") == "[TENANT_MISSING]");
}

TEST_CASE("the tenant's segment of a path is decoded once") {
  CHECK(by_path("/tenant/acme") == "acme");
  CHECK(by_path("/tenant/acme/orders/1?tenant=b") == "acme");
  CHECK(by_path("/tenant/Acme/") == "Acme");
  CHECK(by_path("/%74enant/ac%6de") == "acme");
  CHECK(by_path("http://example.com/tenant/acme") == "acme");
  CHECK(by_path("/tenant/acme/100%25.pdf") == "acme");
  CHECK(by_path("/tenant/acme/a%20b/\xc3\xa9") == "acme");
  CHECK(extracted(policy({lower(path("/tenant/{tenant}"))}), {.target = "/tenant/ACME"}) == "acme");
  CHECK(extracted(policy({path("/{tenant}/api")}), {.target = "/acme/api/x"}) == "acme");
  CHECK(extracted(policy({path("/{tenant}/api")}), {.target = "/acme/apis"}) == "[TENANT_MISSING]");
}

TEST_CASE("a path of another pattern names nobody") {
  for (const char* target :
       {"/", "*", "/tenant", "/tenant/", "/tenants/acme", "/Tenant/acme", "/x/tenant/acme",
        "/tenant?x=/acme", "/v1/tenant/acme", "/tenant;x/acme", "http://example.com", "/a//b"}) {
    CAPTURE(target);
    CHECK(by_path(target) == "[TENANT_MISSING]");
  }
}

TEST_CASE("a path that others may read as another path is refused") {
  for (const char* target :
       {"/tenant/a%2Fb",    "/tenant/a%2fb",       "/tenant/a%5Cb",      "/tenant/a\\b",
        "/tenant/a%00",     "/tenant/a/%0d%0a",    "/tenant/a/../b",     "/tenant/a/./b",
        "/tenant/a/..",     "/tenant/a/.",         "/x/../tenant/a",     "/tenant/a/%2e%2e/b",
        "/tenant/a/.%2E/b", "/tenant/a/..;/b",     "/tenant/a/..%3bx/b", "/tenant/a%252Fb",
        "/tenant/a/%252e",  "/tenant/a/%25%32%65", "/tenant/a/%",        "/tenant/a/%4",
        "/tenant/a/%zz",    "/tenant/a/%u0041",    "//tenant/a",         "/tenant//a",
        "/tenant/a#b",      "/tenant/a b",         "/tenant/a\tb",       "tenant/a",
        "?tenant=a",        "/tenant/\x7f"}) {
    CAPTURE(target);
    CHECK(by_path(target) == "[PATH_MALFORMED]");
  }
  CHECK(by_path(std::string_view("/tenant/a\0b", 11)) == "[PATH_MALFORMED]");
}

TEST_CASE("a version before the path is passed over where the topology says so") {
  const TenantPolicy rules = policy({path("/tenant/{tenant}", true)});
  const auto ask = [&](std::string_view target) { return extracted(rules, {.target = target}); };
  CHECK(ask("/v1/tenant/acme") == "acme");
  CHECK(ask("/v2024/tenant/acme") == "acme");
  CHECK(ask("/v%31/tenant/acme") == "acme");
  CHECK(ask("/tenant/acme") == "acme");
  CHECK(ask("/tenant/v1") == "v1");
  CHECK(ask("/v/tenant/acme") == "[TENANT_MISSING]");
  CHECK(ask("/v12345/tenant/acme") == "[TENANT_MISSING]");
  CHECK(ask("/v1beta/tenant/acme") == "[TENANT_MISSING]");
  CHECK(ask("/v1/v1/tenant/acme") == "[TENANT_MISSING]");
  CHECK(ask("/v1") == "[TENANT_MISSING]");
  CHECK(ask("/v1//tenant/acme") == "[PATH_MALFORMED]");
}

TEST_CASE("a header names the tenant once, or several times alike") {
  CHECK(by_header({{"X-Tenant-ID", "acme"}}) == "acme");
  CHECK(by_header({{"x-tenant-id", " Acme\t"}}) == "Acme");
  CHECK(by_header({{"X-TENANT-ID", "acme"}, {"x-tenant-id", "acme"}}) == "acme");
  CHECK(by_header({{"X-Tenant-ID", "acme"}, {"x-tenant-id", "acme2"}}) ==
        "[TENANT_SOURCES_DISAGREE]");
  CHECK(by_header({{"X-Tenant-ID", "acme"}, {"x-tenant-id", "acm"}}) ==
        "[TENANT_SOURCES_DISAGREE]");
  CHECK(by_header({{"X-Tenant-IDs", "acme"}}) == "[TENANT_MISSING]");
  CHECK(by_header({}) == "[TENANT_MISSING]");
  CHECK(extracted(policy({lower(header())}), {.headers = {{"X-Tenant-ID", "ACME"}}}) == "acme");
}

TEST_CASE("a header that CGI would take for the tenant's is refused") {
  CHECK(by_header({{"X_Tenant_ID", "acme"}}) == "[HEADER_AMBIGUOUS]");
  CHECK(by_header({{"X-Tenant-ID", "acme"}, {"X-Tenant_ID", "acme"}}) == "[HEADER_AMBIGUOUS]");
  CHECK(by_header({{"x.tenant.id", "acme"}}) == "[HEADER_AMBIGUOUS]");
}

TEST_CASE("a tenant is 1 to 1,024 bytes of the topology's characters") {
  CHECK(by_header({{"X-Tenant-ID", ""}}) == "[KEY_EMPTY]");
  CHECK(by_header({{"X-Tenant-ID", "  "}}) == "[KEY_EMPTY]");
  const std::string longest(1024, 'a');
  CHECK(by_header({{"X-Tenant-ID", longest}}) == longest);
  CHECK(by_header({{"X-Tenant-ID", longest + "a"}}) == "[KEY_TOO_LONG]");
  for (const char* value : {"a b", "a,b", "a;b", "a/b", "a\\b", "a%41", "\"a\"", "a\r\nb",
                            "\xc3\xa9", "a+b", "a?b", "a#b", "a&b", "{a}"}) {
    CAPTURE(value);
    CHECK(by_header({{"X-Tenant-ID", value}}) == "[TENANT_MALFORMED]");
  }
  CHECK(by_header({{"X-Tenant-ID", std::string_view("a\0b", 3)}}) == "[TENANT_MALFORMED]");
  TenantPolicy narrow = policy({header(), lower(path("/tenant/{tenant}"))});
  narrow.characters = "a-z0-9-";
  CHECK(extracted(narrow, {.headers = {{"X-Tenant-ID", "acme-1"}}}) == "acme-1");
  CHECK(extracted(narrow, {.headers = {{"X-Tenant-ID", "Acme"}}}) == "[TENANT_MALFORMED]");
  CHECK(extracted(narrow, {.target = "/tenant/ACME"}) == "acme");
}

TEST_CASE("a parameter of the query names the tenant once, or several times alike") {
  CHECK(by_query("/?tenant=acme") == "acme");
  CHECK(by_query("/x?a=1&tenant=ac%6De&b=100%") == "acme");
  CHECK(by_query("/?%74enant=acme&tenant=acme") == "acme");
  CHECK(by_query("/?tenant=a&tenant=b") == "[TENANT_SOURCES_DISAGREE]");
  CHECK(by_query("/?tenant=a&%74enant=b") == "[TENANT_SOURCES_DISAGREE]");
  CHECK(by_query("/?Tenant=a") == "[TENANT_MISSING]");
  CHECK(by_query("/?tenants=a&xtenant=b&%zz=c") == "[TENANT_MISSING]");
  CHECK(by_query("/tenant=a") == "[TENANT_MISSING]");
  CHECK(by_query("/?tenant") == "[KEY_EMPTY]");
  CHECK(by_query("/?tenant=") == "[KEY_EMPTY]");
  for (const char* target : {"/?a=1;tenant=b", "/?tenant=a;b=1", "/?tenant=a+b", "/?tenant=a%2Bb",
                             "/?tenant=a%", "/?tenant=a%00", "/?tenant=a%2561"}) {
    CAPTURE(target);
    CHECK(by_query(target) == "[TENANT_MALFORMED]");
  }
  CHECK(by_query("/?tenant=a#b") == "[PATH_MALFORMED]");
  CHECK(by_query("/?a?tenant=x") == "[TENANT_MISSING]");
}

TEST_CASE("a cookie names the tenant once, or several times alike") {
  CHECK(by_cookie({{"Cookie", "tenant=acme"}}) == "acme");
  CHECK(by_cookie({{"cookie", "a=1; tenant=acme ;b=2"}}) == "acme");
  CHECK(by_cookie({{"Cookie", "a=1"}, {"Cookie", "tenant=acme"}}) == "acme");
  CHECK(by_cookie({{"Cookie", "tenant=a; tenant=a"}}) == "a");
  CHECK(by_cookie({{"Cookie", "tenant=a"}, {"Cookie", "tenant=b"}}) == "[TENANT_SOURCES_DISAGREE]");
  CHECK(by_cookie({{"Cookie", "Tenant=a; xtenant=b"}}) == "[TENANT_MISSING]");
  CHECK(by_cookie({{"Cookie", "tenant=\"a\""}}) == "[TENANT_MALFORMED]");
  CHECK(by_cookie({{"Cookie", "tenant=a%41"}}) == "[TENANT_MALFORMED]");
  CHECK(by_cookie({{"Cookie", "tenant"}}) == "[KEY_EMPTY]");
}

TEST_CASE("a verified claim names the tenant, and a missing one is not authenticated") {
  const TenantPolicy rules = policy({source(TenantSourceKind::kClaim, "tenant_id")});
  const auto ask = [&](Fields claims) { return extracted(rules, {.claims = claims}); };
  CHECK(ask({{"tenant_id", "acme"}}) == "acme");
  CHECK(ask({{"tenant_id", "a"}, {"tenant_id", "b"}}) == "[TENANT_SOURCES_DISAGREE]");
  CHECK(ask({{"Tenant_ID", "a"}}) == "[CLAIM_MISSING]");
  CHECK(ask({}) == "[CLAIM_MISSING]");
  const tenant::Rules compiled(rules);
  std::array<char, kMaxKeyBytes> room;
  CHECK(extract(compiled, request_of({}), room).status() == Status::kUnauthenticated);
}

TEST_CASE("a source that is required must name the tenant") {
  const TenantPolicy rules = policy(
      {subdomains(), required(source(TenantSourceKind::kClaim, "tenant_id")), required(header())});
  const auto ask = [&](Fields headers, Fields claims) {
    return extracted(rules, {.headers = headers, .claims = claims});
  };
  CHECK(ask({{"Host", "a.example.com"}, {"X-Tenant-ID", "a"}}, {{"tenant_id", "a"}}) == "a");
  CHECK(ask({{"Host", "a.example.com"}, {"X-Tenant-ID", "a"}}, {}) == "[CLAIM_MISSING]");
  CHECK(ask({{"Host", "a.example.com"}}, {{"tenant_id", "a"}}) == "[TENANT_MISSING]");
  CHECK(ask({{"X-Tenant-ID", "b"}}, {{"tenant_id", "a"}}) == "[TENANT_SOURCES_DISAGREE]");
}

TEST_CASE("sources that name two tenants are refused, unless the first wins: each pair of kinds") {
  const std::vector<TenantSource> kinds = {subdomains(),
                                           hosts(),
                                           path("/tenant/{tenant}"),
                                           header(),
                                           source(TenantSourceKind::kQuery, "tenant"),
                                           source(TenantSourceKind::kCookie, "tenant"),
                                           source(TenantSourceKind::kClaim, "tenant")};
  const auto asked = [](std::string_view value, std::size_t kind, Asked& to,
                        std::vector<std::string>& texts) {
    const std::string text(value);
    const auto keep = [&](std::string made) -> std::string_view {
      texts.push_back(std::move(made));
      return texts.back();
    };
    switch (kind) {
      case 0: to.headers.push_back({"Host", keep(text + ".example.com")}); break;
      case 1: to.headers.push_back({"Host", "shop.acme.org"}); break;
      case 2: to.target = keep("/tenant/" + text + std::string(to.target.substr(1))); break;
      case 3: to.headers.push_back({"X-Tenant-ID", keep(text)}); break;
      case 4: to.target = keep(std::string(to.target) + "?tenant=" + text); break;
      case 5: to.headers.push_back({"Cookie", keep("tenant=" + text)}); break;
      default: to.claims.push_back({"tenant", keep(text)});
    }
  };
  for (std::size_t first = 0; first < kinds.size(); ++first) {
    for (std::size_t second = 0; second < kinds.size(); ++second) {
      if (first == second || first + second == 1) continue;  // one host cannot be two
      for (const bool agree : {true, false}) {
        CAPTURE(first, second, agree);
        Asked request;
        std::vector<std::string> texts;
        texts.reserve(8);
        // A host of the table is acme's alone.
        asked(agree || first == 1 ? "acme" : "other", first, request, texts);
        asked(agree || first != 1 ? "acme" : "other", second, request, texts);
        const std::string winner = agree || first == 1 ? "acme" : "other";
        CHECK(extracted(policy({kinds[first], kinds[second]}), request) ==
              (agree ? "acme" : "[TENANT_SOURCES_DISAGREE]"));
        CHECK(extracted(policy({kinds[first], kinds[second]}, OnDisagreement::kFirst), request) ==
              winner);
      }
    }
  }
}

TEST_CASE("the first source that names a tenant is told, or the one at fault") {
  const tenant::Rules rules(policy({subdomains(), header(), path("/tenant/{tenant}")}));
  std::array<char, kMaxKeyBytes> room;
  const auto source_of = [&](const Asked& asked) {
    return extract(rules, request_of(asked), room).source;
  };
  CHECK(source_of({.headers = {{"X-Tenant-ID", "a"}}}) == 1);
  CHECK(source_of({.target = "/tenant/a", .headers = {{"X-Tenant-ID", "a"}}}) == 1);
  CHECK(source_of({.target = "/tenant/a"}) == 2);
  CHECK(source_of({.headers = {{"X-Tenant-ID", "%"}}}) == 1);
  CHECK(source_of({.target = "/tenant/b", .headers = {{"X-Tenant-ID", "a"}}}) == 2);
  CHECK(source_of({}) == kNoTenantSource);
}

TEST_CASE("sources behind the first that names a tenant are not looked at where it wins") {
  const TenantPolicy rules =
      policy({header(), subdomains(), path("/tenant/{tenant}")}, OnDisagreement::kFirst);
  CHECK(extracted(rules, {.target = "/a/../b",
                          .headers = {{"X-Tenant-ID", "acme"}, {"Host", "a..b"}}}) == "acme");
  CHECK(extracted(rules, {.headers = {{"X-Tenant-ID", "a"}, {"X-Tenant-ID", "b"}}}) ==
        "[TENANT_SOURCES_DISAGREE]");
  CHECK(extracted(rules, {.target = "/a/../b"}) == "[PATH_MALFORMED]");
}

TEST_CASE("a trusted header is known in every spelling that a cell may take for it") {
  TenantPolicy made = policy({header()});
  made.trusted_headers = {"X-Tenant-ID", "X-Cell-ID"};
  const tenant::Rules rules(made);
  for (const char* name :
       {"X-Tenant-ID", "x-tenant-id", "X_TENANT_ID", "x-tenant_id", "X.Tenant.ID", "x-cell-id"}) {
    CAPTURE(name);
    CHECK(rules.is_trusted_header(name));
  }
  for (const char* name : {"", "X-Tenant", "X-Tenant-ID2", "XTenantID", "Host", "X-Tenant-IDs"}) {
    CAPTURE(name);
    CHECK_FALSE(rules.is_trusted_header(name));
  }
}
