// ketama-nginx against a real nginx's `hash … consistent`: the same servers, weights and keys.
// Red means that an nginx's keys would move when cellroute takes over from it.
#include <catch2/catch.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "cellroute/strategy/ketama_nginx.hpp"
#include "nginx.hpp"
#include "strategy_pool.hpp"

namespace cellroute {
namespace {

using test::Nginx;
using test::Pool;

struct Server {
  std::string name;     // as in nginx's `server` line
  std::string address;  // as nginx prints it in $upstream_addr
  std::uint32_t weight;
};

// Nothing listens there: nginx picks a server, is refused at once, and says whom it picked.
std::string upstream(const std::string& name, const std::vector<Server>& servers) {
  std::string text = "upstream " + name + " { hash $arg_k consistent;\n";
  for (const Server& server : servers) {
    text +=
        "server " + server.name + " weight=" + std::to_string(server.weight) + " max_fails=0;\n";
  }
  return text + "}\n";
}

std::string location(const std::string& name) {
  return "location /" + name + " { proxy_pass http://" + name + "; }\n";
}

KetamaNginx cellroute_ketama(const std::vector<Server>& servers) {
  Pool pool = Pool::of(servers.size());
  for (std::size_t i = 0; i < servers.size(); ++i) {
    pool.members()[i].ketama_name = servers[i].name;
    pool.members()[i].weight = servers[i].weight * kUnitWeight;
  }
  auto table = KetamaNginx::build(pool.members(), {});
  REQUIRE(table.ok());
  return std::move(*table);
}

void check_same(const Nginx& nginx, const std::string& name, const std::vector<Server>& servers,
                std::uint64_t keys) {
  std::vector<std::string> names;
  std::vector<std::string> paths;
  for (std::uint64_t i = 0; i < keys; ++i) {
    names.push_back("customer:" + std::to_string(mix(i) >> 20));
    paths.push_back('/' + name + "?k=" + names.back());
  }
  const std::vector<std::string> theirs = test::x_peer_of(nginx, paths);
  const KetamaNginx table = cellroute_ketama(servers);
  int different = 0;
  for (std::size_t i = 0; i < keys; ++i) {
    const CellIndex cell = table.pick(KetamaNginx::point(names[i], 0));
    if (theirs[i] != servers[cell].address) ++different;
  }
  INFO(name);
  CHECK(different == 0);
}

TEST_CASE("ketama-nginx places 100,000 keys as nginx does") {
  const std::vector<Server> equal = {{"127.77.0.1:1", "127.77.0.1:1", 1},
                                     {"127.77.0.2:1", "127.77.0.2:1", 1},
                                     {"127.77.0.3:1", "127.77.0.3:1", 1}};
  const std::vector<Server> mixed = {
      {"127.77.0.1:1", "127.77.0.1:1", 1},        {"127.77.0.1:2", "127.77.0.1:2", 5},
      {"127.77.0.2", "127.77.0.2:80", 2},         {"UNIX:/nowhere/a:1", "UNIX:/nowhere/a:1", 3},
      {"unix:/nowhere/b", "unix:/nowhere/b", 10}, {"127.77.0.3:65535", "127.77.0.3:65535", 7}};
  std::vector<Server> many;
  for (std::uint32_t i = 0; i < 120; ++i) {
    const std::string name = "127.78.0." + std::to_string(i) + ":9";
    many.push_back({name, name, 1 + i % 4});
  }
  const Nginx nginx(upstream("equal", equal) + upstream("mixed", mixed) + upstream("many", many) +
                    "server { listen unix:SOCKET; keepalive_requests 1000000;\n"
                    "proxy_next_upstream off; add_header X-Peer $upstream_addr always;\n" +
                    location("equal") + location("mixed") + location("many") + "}\n");
  check_same(nginx, "equal", equal, 30'000);
  check_same(nginx, "mixed", mixed, 40'000);
  check_same(nginx, "many", many, 30'000);
}

}  // namespace
}  // namespace cellroute
