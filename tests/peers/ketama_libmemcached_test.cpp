// ketama against the library it reproduces: the same servers, weights and keys through both.
// Red means that the keys of a libmemcached client would move when its router becomes cellroute.
#include <libmemcached/memcached.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cellroute/strategy/ketama.hpp"
#include "strategy_pool.hpp"

namespace cellroute {
namespace {

using test::Pool;
using test::Random;

struct Server {
  std::string host;
  std::uint16_t port;
  std::uint32_t weight;
};

struct Freed {
  void operator()(memcached_st* client) const { memcached_free(client); }
};
using Client = std::unique_ptr<memcached_st, Freed>;

Client libmemcached(const std::vector<Server>& servers) {
  Client client(memcached_create(nullptr));
  REQUIRE(memcached_behavior_set(client.get(), MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED, 1) ==
          MEMCACHED_SUCCESS);
  for (const Server& server : servers) {
    const auto added = server.host[0] == '/' && server.port == 0
                           ? memcached_server_add_unix_socket_with_weight(
                                 client.get(), server.host.c_str(), server.weight)
                           : memcached_server_add_with_weight(client.get(), server.host.c_str(),
                                                              server.port, server.weight);
    REQUIRE(added == MEMCACHED_SUCCESS);
  }
  return client;
}

// Cells 0, 1, … for the servers in turn.
Ketama cellroute_ketama(const std::vector<Server>& servers) {
  Pool pool = Pool::of(servers.size());
  std::vector<std::string> names;
  for (const Server& server : servers) {
    const bool ipv6 = server.host.find(':') != std::string::npos;
    names.push_back((ipv6 ? '[' + server.host + ']' : server.host) + ':' +
                    std::to_string(server.port));
  }
  for (std::size_t i = 0; i < servers.size(); ++i) {
    pool.members()[i].ketama_name = names[i];
    pool.members()[i].weight = servers[i].weight * kUnitWeight;
  }
  auto table = Ketama::build(pool.members(), {});
  REQUIRE(table.ok());
  return std::move(*table);
}

// How many of `keys` made-up keys the two place differently.
int differences(const std::vector<Server>& servers, int keys) {
  const Client client = libmemcached(servers);
  const Ketama table = cellroute_ketama(servers);
  int different = 0;
  for (int i = 0; i < keys; ++i) {
    const std::string key = "customer:" + std::to_string(mix(static_cast<std::uint64_t>(i)) >> 20);
    const std::uint32_t theirs = memcached_generate_hash(client.get(), key.data(), key.size());
    if (theirs != table.pick(Ketama::point(key, 0))) ++different;
  }
  return different;
}

TEST_CASE("ketama places 100,000 keys as libmemcached does") {
  SECTION("three hosts on the default port") {
    CHECK(differences({{"cache-a.example.com", 11211, 1},
                       {"cache-b.example.com", 11211, 1},
                       {"cache-c.example.com", 11211, 1}},
                      100'000) == 0);
  }
  SECTION("weights, other ports, addresses and a socket") {
    CHECK(differences({{"10.0.0.1", 11211, 1},
                       {"10.0.0.1", 11212, 2},
                       {"10.0.0.2", 65535, 3},
                       {"::1", 11211, 5},
                       {"fe80::1", 22122, 7},
                       {"localhost", 1, 4},
                       {"/var/run/memcached.sock", 0, 6}},
                      100'000) == 0);
  }
  SECTION("a hundred hosts, the most that libmemcached takes") {
    std::vector<Server> servers;
    for (int i = 0; i < 100; ++i) servers.push_back({"node-" + std::to_string(i), 11211, 1});
    CHECK(differences(servers, 100'000) == 0);
  }
  SECTION("one host") { CHECK(differences({{"only", 11211, 3}}, 1'000) == 0); }
  SECTION("a host too light for a point of its own") {
    CHECK(differences({{"heavy", 11211, 1'000'000}, {"light", 11211, 1}}, 10'000) == 0);
  }
}

// The number of a server's points comes out of single-precision arithmetic, whose roundings show
// where the true number is whole: with equal weights, and when few weights share out a round total.
TEST_CASE("ketama counts points as libmemcached does, over random lists of weighted servers") {
  Random random(1);
  for (int list = 0; list < 60; ++list) {
    const std::uint64_t heaviest = std::uint64_t{1} << random.below(22);
    const std::uint64_t common = 1 + random.below(heaviest);
    std::vector<Server> servers;
    for (std::uint64_t i = 1 + random.below(64); i > 0; --i) {
      const std::uint64_t weight = list % 3 == 0   ? common
                                   : list % 3 == 1 ? common * (1 + random.below(3))
                                                   : 1 + random.below(heaviest);
      servers.push_back({"10.1." + std::to_string(list) + '.' + std::to_string(i),
                         static_cast<std::uint16_t>(11211 + random.below(3)),
                         static_cast<std::uint32_t>(std::min<std::uint64_t>(weight, 4'000'000))});
    }
    INFO("list " << list << " of " << servers.size() << " servers");
    CHECK(differences(servers, 1'000) == 0);
  }
}

}  // namespace
}  // namespace cellroute
