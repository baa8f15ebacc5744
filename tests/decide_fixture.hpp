// What the tests share that hold the quick ways of a decision and the full one together.
#pragma once

#include <cstdint>
#include <random>
#include <string>

#include "routing_fixture.hpp"

namespace routing {

// Guards that refuse now and then, and nothing that needs the full way.
inline Topology pinned(std::mt19937_64& random) {
  Topology made = topology({});
  for (int i = 0; i < 6; ++i) {
    made.cells.push_back(
        cell("c" + std::to_string(i), "retail", "us", i % 2 != 0 ? "maximum" : "standard"));
    made.cells.back().replicas = {"c" + std::to_string((i + 1) % 6)};
  }
  made.policy.breaker = {.consecutive_failures = 2 + static_cast<std::uint32_t>(random() % 3)};
  made.policy.in_flight = {static_cast<std::uint32_t>(random() % 40), kSecond};
  if (random() % 2 != 0) {
    made.policy.limits = {{LimitPer::kCell,
                           random() % 2 != 0 ? LimitKind::kBucket : LimitKind::kWindow,
                           "",
                           1 + random() % 60,
                           kSecond,
                           0,
                           false,
                           random() % 4 != 0 ? OnExceed::kRefuse : OnExceed::kCount,
                           {}}};
  }
  return made;
}

// A cell that no directory has: what was tried changes nothing, but rules out the inlined way.
inline constexpr std::uint32_t kNobody = 0xffff'fffe;

inline bool same(const Decision& a, const Decision& b) {
  return a.status == b.status && a.reason == b.reason && a.read_only == b.read_only &&
         a.cell == b.cell && a.epoch == b.epoch && a.generation == b.generation &&
         a.retry_after == b.retry_after && a.timeout == b.timeout &&
         a.ticket.cell == b.ticket.cell && a.ticket.lane == b.ticket.lane &&
         a.ticket.flight.turn == b.ticket.flight.turn &&
         a.ticket.breaker.generation == b.ticket.breaker.generation &&
         a.ticket.breaker.probe == b.ticket.breaker.probe &&
         a.ticket.breaker.probe_word == b.ticket.breaker.probe_word &&
         a.ticket.start == b.ticket.start;
}

}  // namespace routing
