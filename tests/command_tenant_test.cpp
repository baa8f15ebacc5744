// cellroute tenant: which source of a request gives the key, from the shell.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "command_runner.hpp"

using cellroute::test::jsons_of;
using cellroute::test::Run;
using cellroute::test::Workplace;

namespace {

struct Tenants : Workplace {
  Tenants() {
    write("t.yaml",
          "generation: 1\ncells: [{id: a}]\ntenant:\n  sources:\n"
          "    - {subdomain: {domains: [example.com]}}\n    - {header: X-Tenant-ID}\n"
          "    - {claim: tenant_id}\n  trusted_proxies: [10.0.0.0/8]\n");
  }
  Run ask(std::vector<std::string> request) const {
    std::vector<std::string> arguments{"tenant", "--topology", "t.yaml"};
    arguments.insert(arguments.end(), request.begin(), request.end());
    return run(arguments);
  }
};

}  // namespace

TEST_CASE("command: tenant tells the key and the source that gave it") {
  const Tenants tenants;
  const Run run = tenants.ask({"--host", "ACME.example.com:80", "--header", "X-Tenant-ID: acme",
                               "--claim", "tenant_id:acme"});
  CHECK(run.exit == 0);
  CHECK(run.out ==
        "{\"key\":\"acme\",\"status\":\"OK\",\"reason\":\"NONE\",\"source\":0,"
        "\"kind\":\"subdomain\"}\n");
}

TEST_CASE("command: tenant tells why a request is refused, and by which source") {
  const Tenants tenants;
  const Run run = tenants.ask({"--host", "acme.example.com", "--header", "x-tenant-id: other"});
  CHECK(run.exit == 1);
  const auto told = jsons_of(run.out).at(0);
  CHECK(told["key"].is_null());
  CHECK(told["status"] == "INVALID_ARGUMENT");
  CHECK(told["reason"] == "TENANT_SOURCES_DISAGREE");
  CHECK(told["source"] == 1);
  CHECK(jsons_of(tenants.ask({"--host", "a.example.com", "--host", "a.example.com"}).out)
            .at(0)["reason"] == "HOST_AMBIGUOUS");
  CHECK(jsons_of(tenants.ask({}).out).at(0)["reason"] == "TENANT_MISSING");
}

TEST_CASE("command: tenant tells who asked through trusted proxies") {
  const Tenants tenants;
  const auto told = jsons_of(tenants
                                 .ask({"--authority", "a.example.com", "--peer", "10.0.0.1",
                                       "--header", "X-Forwarded-For: 192.0.2.1"})
                                 .out)
                        .at(0);
  CHECK(told["key"] == "a");
  CHECK(told["client"] == "192.0.2.1");
}

TEST_CASE("command: tenant refuses what is no field, and topologies without the section") {
  const Tenants tenants;
  CHECK(tenants.ask({"--header", "nothing"}).exit == 2);
  CHECK(tenants.ask({"--claim", ":x"}).exit == 2);
  tenants.write("t.yaml", "generation: 1\ncells: [{id: a}]\n");
  const Run run = tenants.ask({});
  CHECK(run.exit == 2);
  CHECK(run.err.find("no section tenant") != std::string::npos);
}
