#include <algorithm>
#include <atomic>
#include <cstring>
#include <random>

#include "guard_memory.hpp"

namespace {

using namespace cellroute;
using namespace cellroute::guard_test;

Limit limit_per(LimitPer per, LimitKind kind, std::uint64_t requests) {
  Limit limit;
  limit.per = per;
  limit.kind = kind;
  limit.requests = requests;
  limit.period = 60 * kSecond;
  return limit;
}

CellRules rules_of(std::uint32_t cap, const std::vector<Limit>& limits, std::uint32_t lanes = 4) {
  BreakerPolicy breaker;
  breaker.consecutive_failures = 2;
  Result<CellRules> rules = compile_rules(breaker, {cap, 60 * kSecond}, limits, lanes);
  REQUIRE(rules);
  return *rules;
}

TEST_CASE("an admitted request holds its reservation until it is reported") {
  Room room;
  const std::uint32_t cell = room.claim("a");
  const CellRules rules = rules_of(1, {});
  Ticket ticket;
  CHECK(ticket.empty());
  CHECK(room.guards.admit(cell, 3, rules, {}, kStart, ticket).ok());
  CHECK(ticket.cell == cell);
  CHECK(ticket.lane == 3);
  CHECK(ticket.start == kStart);
  CHECK(room.guards.in_flight(cell) == 1);
  Ticket second;
  const Admission refused = room.guards.admit(cell, 0, rules, {}, kStart, second);
  CHECK(refused.refusal == Refusal::kInFlightFull);
  CHECK(second.empty());
  room.guards.report(ticket, {}, rules, {}, kStart);
  CHECK(ticket.empty());
  CHECK(room.guards.in_flight(cell) == 0);
  CHECK(room.guards.admit(cell, 0, rules, {}, kStart, second).ok());
}

TEST_CASE("each guard refuses with its own name and a time to come again") {
  Room room;
  const std::uint32_t cell = room.claim("a");
  const LimitRule key = *compile_limit(limit_per(LimitPer::kKey, LimitKind::kBucket, 1), 4);
  const LimitRule wide = *compile_limit(limit_per(LimitPer::kKey, LimitKind::kBucket, 100), 4);
  Ticket ticket;
  CellRules rules = rules_of(10, {limit_per(LimitPer::kCell, LimitKind::kWindow, 1000),
                                  limit_per(LimitPer::kCell, LimitKind::kBucket, 3)});

  const KeyCharge charges[] = {{{1}, &wide}, {{2}, &key}};
  CHECK(room.guards.admit(cell, 0, rules, charges, kStart, ticket).ok());
  Admission answer = room.guards.admit(cell, 0, rules, charges, kStart, ticket);
  CHECK(answer.refusal == Refusal::kKeyLimit);
  CHECK(answer.limit == 1);
  CHECK(answer.retry_after == 60 * kSecond);

  CHECK(room.guards.admit(cell, 0, rules, {}, kStart, ticket).ok());
  CHECK(room.guards.admit(cell, 0, rules, {}, kStart, ticket).ok());
  answer = room.guards.admit(cell, 0, rules, {}, kStart, ticket);
  CHECK(answer.refusal == Refusal::kCellLimit);
  CHECK(answer.limit == 1);
  CHECK(answer.retry_after == 20 * kSecond);

  room.guards.region().set_health(cell, Health::kUnhealthy);
  CHECK(room.guards.admit(cell, 0, rules, {}, kStart, ticket).refusal == Refusal::kUnhealthy);
  CHECK(room.guards.available(cell, rules, kStart).refusal == Refusal::kUnhealthy);
  room.guards.region().set_health(cell, Health::kHealthy);
  CHECK(room.guards.available(cell, rules, kStart).ok());

  rules.limit_count = 0;
  for (int i = 0; i < 2; ++i) {
    CHECK(room.guards.admit(cell, 0, rules, {}, kStart, ticket).ok());
    room.guards.report(ticket, {OutcomeKind::kFailure}, rules, {}, kStart);
  }
  answer = room.guards.admit(cell, 0, rules, {}, kStart, ticket);
  CHECK(answer.refusal == Refusal::kBreakerOpen);
  CHECK(answer.retry_after > 0);
  CHECK(room.guards.available(cell, rules, kStart).refusal == Refusal::kBreakerOpen);
  const Nanos ready = kStart + answer.retry_after;
  CHECK(room.guards.available(cell, rules, ready).ok());
  for (int i = 0; i < 3; ++i) CHECK(room.guards.admit(cell, 0, rules, {}, ready, ticket).ok());
  answer = room.guards.admit(cell, 0, rules, {}, ready, ticket);
  CHECK(answer.refusal == Refusal::kProbesTaken);
  CHECK(answer.retry_after > 0);
  CHECK(room.guards.available(cell, rules, ready).refusal == Refusal::kProbesTaken);
}

// Every guard is made the one that refuses, with the breaker half-open, so that a probe is at stake
// too; the region must be, byte for byte, what it was.
TEST_CASE("a refusal at any guard leaves every other as it was") {
  for (const LimitKind kind : {LimitKind::kBucket, LimitKind::kWindow}) {
    const LimitRule one = *compile_limit(limit_per(LimitPer::kKey, kind, 1), 4);
    const LimitRule many = *compile_limit(limit_per(LimitPer::kKeyAndResource, kind, 5000), 4);
    for (int refusing = 0; refusing < 6; ++refusing) {
      Room room;
      const std::uint32_t cell = room.claim("a");
      const CellRules rules = rules_of(refusing == 1 ? 1 : 8,
                                       {limit_per(LimitPer::kCell, kind, 30),
                                        limit_per(LimitPer::kCell, kind, refusing == 5 ? 2 : 20)});
      const CellRules uncapped = rules_of(0, {});
      Ticket ticket;
      for (int i = 0; i < 2; ++i) {
        room.guards.admit(cell, 0, uncapped, {}, kStart, ticket);
        room.guards.report(ticket, {OutcomeKind::kFailure}, uncapped, {}, kStart);
      }
      const Nanos now = kStart + 30 * kSecond;
      // Every word is in use before, as it would be on any but a cell's first day.
      const KeyCharge charges[] = {{{1}, &many},
                                   {{2}, refusing == 2 ? &one : &many},
                                   {{3}, refusing == 3 ? &one : &many},
                                   {{4}, refusing == 4 ? &one : &many}};
      REQUIRE(room.guards.admit(cell, 0, rules, charges, now, ticket).ok());
      if (refusing == 5) {
        Ticket other;
        REQUIRE(room.guards.admit(cell, 1, rules, charges, now, other).ok());
        room.guards.report(other, {OutcomeKind::kIgnored}, rules, {}, now);
      }
      if (refusing != 0 && refusing != 1) {
        room.guards.report(ticket, {OutcomeKind::kIgnored}, rules, {}, now);
      }
      std::vector<Ticket> probes(2);
      if (refusing == 0) {
        for (Ticket& probe : probes) {
          REQUIRE(room.guards.admit(cell, 0, rules, {}, now, probe).ok());
        }
      }
      Admission answer = room.guards.admit(cell, 2, rules, charges, now, ticket);
      const std::vector<std::byte> before = room.memory.copy();
      for (int i = 0; i < 5; ++i) {
        Ticket refused;
        answer = room.guards.admit(cell, 2, rules, charges, now, refused);
        CHECK(refused.empty());
        CHECK((room.memory.copy() == before));
      }
      const Refusal expected[] = {Refusal::kProbesTaken, Refusal::kInFlightFull,
                                  Refusal::kKeyLimit,    Refusal::kKeyLimit,
                                  Refusal::kKeyLimit,    Refusal::kCellLimit};
      CHECK(answer.refusal == expected[refusing]);
      if (answer.refusal == Refusal::kKeyLimit) {
        CHECK(answer.limit == static_cast<std::uint32_t>(refusing - 1));
      }
    }
  }
}

TEST_CASE("beyond a limit that only counts requests are admitted and counted") {
  Room room;
  const std::uint32_t cell = room.claim("a");
  Limit counting = limit_per(LimitPer::kKey, LimitKind::kBucket, 2);
  counting.on_exceed = OnExceed::kCount;
  const LimitRule key = *compile_limit(counting, 4);
  counting.per = LimitPer::kCell;
  const CellRules rules = rules_of(0, {counting});
  const KeyCharge charge{{1}, &key};
  Ticket ticket;
  for (int i = 0; i < 10; ++i) {
    const Admission answer = room.guards.admit(cell, 1, rules, {&charge, 1}, kStart, ticket);
    CHECK(answer.ok());
    CHECK(answer.exceeded == (i >= 2));
  }
  CHECK(room.guards.region().lane_words(1, cell).exceeded == 8);
}

TEST_CASE("an unlimited plan is never refused, and too many charges always are") {
  Room room;
  const std::uint32_t cell = room.claim("a");
  const CellRules rules = rules_of(0, {});
  Limit limit;
  limit.unlimited = true;
  const LimitRule unlimited = *compile_limit(limit, 4);
  const std::vector<KeyCharge> charges(9, KeyCharge{{1}, &unlimited});
  Ticket ticket;
  for (int i = 0; i < 1000; ++i) {
    REQUIRE(room.guards.admit(cell, 0, rules, std::span(charges).first(8), kStart, ticket).ok());
  }
  const Admission answer = room.guards.admit(cell, 0, rules, charges, kStart, ticket);
  CHECK(answer.refusal == Refusal::kKeyLimit);
  CHECK(answer.limit == 8);
}

TEST_CASE("a call longer than slow_call is slow, and an ignored one says nothing") {
  Room room;
  const std::uint32_t cell = room.claim("a");
  BreakerPolicy policy;
  policy.consecutive_failures = 1;
  policy.slow_call = 2 * kSecond;
  policy.slow_rate = 500;
  policy.minimum_calls = 4;
  const CellRules rules = *compile_rules(policy, {0, 60 * kSecond}, {}, 4);
  const auto call = [&](OutcomeKind kind, Nanos length) {
    Ticket ticket;
    CHECK(room.guards.admit(cell, 0, rules, {}, kStart, ticket).ok());
    room.guards.report(ticket, {kind}, rules, {}, kStart + length);
  };
  for (int i = 0; i < 20; ++i) call(OutcomeKind::kIgnored, 5 * kSecond);
  call(OutcomeKind::kSuccess, 0);
  call(OutcomeKind::kSuccess, 2 * kSecond - 1);
  call(OutcomeKind::kSuccess, 2 * kSecond);
  CHECK(room.guards.available(cell, rules, kStart + 2 * kSecond).ok());
  call(OutcomeKind::kSuccess, 2 * kSecond);
  CHECK(room.guards.available(cell, rules, kStart + 2 * kSecond).refusal == Refusal::kBreakerOpen);
}

TEST_CASE("a ticket of another region or made up is ignored") {
  Room room;
  const CellRules rules = rules_of(10, {});
  const std::vector<std::byte> before = room.memory.copy();
  Ticket ticket;
  room.guards.report(ticket, {OutcomeKind::kFailure}, rules, {}, kStart);
  for (const std::uint32_t cell : {8u, 1000u, 0xffff'fffeu}) {
    ticket.cell = cell;
    room.guards.report(ticket, {OutcomeKind::kFailure}, rules, {}, kStart);
  }
  ticket.cell = 1;
  ticket.lane = 4;
  ticket.flight.turn = 3;
  room.guards.report(ticket, {OutcomeKind::kFailure}, rules, {}, kStart);
  CHECK((room.memory.copy() == before));
}

TEST_CASE(
    "a cell's limit is never exceeded by lanes that borrow, and early by their credit at most") {
  for (const LimitKind kind : {LimitKind::kBucket, LimitKind::kWindow}) {
    for (const std::uint64_t requests : {3ull, 100ull, 20'000ull}) {
      Room room({2, 8, 0});
      const std::uint32_t cell = room.claim("a");
      const CellRules rules = rules_of(0, {limit_per(LimitPer::kCell, kind, requests)}, 8);
      std::atomic<std::uint64_t> admitted{0};
      in_threads(8, [&](std::uint32_t lane) {
        Ticket ticket;
        for (std::uint64_t i = 0; i < requests; ++i) {
          if (room.guards.admit(cell, lane, rules, {}, kStart, ticket).ok()) admitted.fetch_add(1);
        }
      });
      CHECK(admitted <= requests);
      CHECK(admitted + 8 * rules.limits[0].credit >= requests);
      // Alone, a lane gets all that others do not hold.
      const Nanos later = kStart + 600 * kSecond;
      std::uint64_t alone = 0;
      Ticket ticket;
      while (alone <= requests && room.guards.admit(cell, 5, rules, {}, later, ticket).ok())
        ++alone;
      CHECK(alone <= requests);
      CHECK(alone + 8 * rules.limits[0].credit >= requests);
    }
  }
}

TEST_CASE("credit kept for long comes never on top of a cell's limit") {
  for (const LimitKind kind : {LimitKind::kBucket, LimitKind::kWindow}) {
    constexpr std::uint64_t kRequests = 1280;
    Room room({2, 4, 0});
    const std::uint32_t cell = room.claim("a");
    const CellRules rules = rules_of(0, {limit_per(LimitPer::kCell, kind, kRequests)});
    REQUIRE(rules.limits[0].credit >= 8);
    std::mt19937_64 random(1);
    std::vector<Nanos> calls;
    Nanos now = kStart;
    for (int i = 0; i < 40'000; ++i) {
      now += static_cast<Nanos>(random() % 2 * random() % (60 * kMillisecond));
      if (random() % 5000 == 0) now += 100 * kSecond;
      Ticket ticket;
      const auto lane = static_cast<std::uint32_t>(random() % 4);
      if (room.guards.admit(cell, lane, rules, {}, now, ticket).ok()) calls.push_back(now);
    }
    // Of any calls i to j at most the burst and what came back meanwhile; or at most the requests
    // in any period.
    std::size_t first = 0;
    std::int64_t room_left = INT64_MAX;
    std::int64_t level = 0;
    Nanos last = 0;
    constexpr std::int64_t kScale = 60 * kSecond;
    for (std::size_t i = 0; i < calls.size(); ++i) {
      if (kind == LimitKind::kWindow) {
        while (calls[first] <= calls[i] - 60 * kSecond) ++first;
        REQUIRE(i - first + 1 <= kRequests);
      } else {  // a leaky bucket with what a request takes as unit: nanoseconds × requests
        const std::int64_t passed = std::min<std::int64_t>(calls[i] - last, 60 * kSecond);
        level = std::max<std::int64_t>(0, level - passed * static_cast<std::int64_t>(kRequests));
        level += kScale;
        last = calls[i];
        room_left = std::min<std::int64_t>(room_left,
                                           kScale * static_cast<std::int64_t>(kRequests) - level);
        REQUIRE(room_left >= 0);
      }
    }
    CHECK(calls.size() > 10'000);
  }
}

TEST_CASE("a cell remembers four limits, and a fifth works in another's place") {
  Room room({2, 1, 0});
  const std::uint32_t cell = room.claim("a");
  for (std::uint64_t requests = 1; requests <= 12; ++requests) {
    const LimitKind kind = requests % 2 == 0 ? LimitKind::kBucket : LimitKind::kWindow;
    const CellRules rules = rules_of(0, {limit_per(LimitPer::kCell, kind, requests)}, 1);
    std::uint64_t admitted = 0;
    Ticket ticket;
    // A place taken over may look used up for a period.
    const Nanos now = kStart + static_cast<Nanos>(requests) * 600 * kSecond;
    for (int i = 0; i < 30; ++i)
      admitted += room.guards.admit(cell, 0, rules, {}, now, ticket).ok();
    CHECK(admitted <= requests);
    CHECK((admitted == requests || requests > 4));
    CHECK(room.guards.admit(cell, 0, rules, {}, now + 90 * kSecond, ticket).ok());
  }
  CHECK(!compile_rules({}, {0, kSecond},
                       std::vector<Limit>(5, limit_per(LimitPer::kCell, LimitKind::kBucket, 1)),
                       1));
}

TEST_CASE("rules that cannot be are refused with the part's reason") {
  BreakerPolicy breaker;
  InFlightPolicy in_flight;
  Limit limit;
  CHECK_THAT(compile_rules(breaker, in_flight, {&limit, 1}, 1).error().text(),
             Catch::Contains("requests"));
  in_flight.deadline = 0;
  CHECK_THAT(compile_rules(breaker, in_flight, {}, 1).error().text(), Catch::Contains("in_flight"));
  breaker.probes = 0;
  CHECK_THAT(compile_rules(breaker, in_flight, {}, 1).error().text(), Catch::Contains("probes"));
}

// A worker of one generation and a worker of the next, each in its own process, over one region.
TEST_CASE("two processes on different generations share a region and agree") {
  const GuardGeometry geometry{16, 2, 256};
  Memory memory(GuardRegion::bytes(geometry));
  const auto worker = [&](std::uint32_t lane, std::uint32_t cap, auto&& cells) {
    Guards guards(*GuardRegion::create(memory.span(), geometry, lane));
    std::vector<std::uint32_t> numbers;
    for (const char* id : cells) numbers.push_back(*guards.region().claim(id));
    return std::pair(guards, std::pair(numbers, rules_of(cap, {}, 2)));
  };
  const std::vector<const char*> older = {"b", "a", "c"};
  const std::vector<const char*> newer = {"d", "c", "b", "e"};
  const LimitRule key = *compile_limit(limit_per(LimitPer::kKey, LimitKind::kBucket, 6), 2);

  // The older takes 10 places at b, opens c's breaker, and 4 of a key's 6 requests.
  CHECK(in_child([&] {
          auto [guards, made] = worker(0, 20, older);
          auto& [numbers, rules] = made;
          Ticket ticket;
          for (int i = 0; i < 10; ++i) {
            if (!guards.admit(numbers[0], 0, rules, {}, kStart, ticket).ok()) return 1;
          }
          for (int i = 0; i < 2; ++i) {
            if (!guards.admit(numbers[2], 0, rules, {}, kStart, ticket).ok()) return 2;
            guards.report(ticket, {OutcomeKind::kFailure}, rules, {}, kStart);
          }
          const KeyCharge charge{{guards.limiter().hash("k")}, &key};
          for (int i = 0; i < 4; ++i) {
            if (!guards.admit(numbers[1], 0, rules, {&charge, 1}, kStart, ticket).ok()) return 3;
          }
          guards.region().set_health(numbers[1], Health::kUnhealthy);
          return 0;
        }) == 0);
  // The newer, with a smaller cap and other cells in another order, goes on from there.
  CHECK(in_child([&] {
          auto [guards, made] = worker(1, 15, newer);
          auto& [numbers, rules] = made;
          Ticket ticket;
          if (guards.admit(numbers[1], 1, rules, {}, kStart, ticket).refusal !=
              Refusal::kBreakerOpen) {
            return 1;
          }
          int entered = 0;
          while (guards.admit(numbers[2], 1, rules, {}, kStart, ticket).ok()) ++entered;
          if (entered != 5) return 2;
          const KeyCharge charge{{guards.limiter().hash("k")}, &key};
          int admitted = 0;
          for (int i = 0; i < 6; ++i) {
            admitted += guards.admit(numbers[3], 1, rules, {&charge, 1}, kStart, ticket).ok();
          }
          if (admitted != 2) return 3;
          return guards.region().healthy(*guards.region().claim("a")) ? 4 : 0;
        }) == 0);
}

TEST_CASE("workers killed at any moment leave guards that hold and recover") {
  const GuardGeometry geometry{4, 4, 64};
  Memory memory(GuardRegion::bytes(geometry));
  REQUIRE(GuardRegion::create(memory.span(), geometry, 1));
  const CellRules rules = rules_of(40, {limit_per(LimitPer::kCell, LimitKind::kBucket, 100'000)});
  const LimitRule key = *compile_limit(limit_per(LimitPer::kKey, LimitKind::kWindow, 1000), 4);
  const auto work = [&](std::uint32_t lane, std::uint32_t rounds) {
    Guards guards(*GuardRegion::attach(memory.span()));
    const std::uint32_t cell = *guards.region().claim("cell-" + std::to_string(lane % 2));
    const EjectionGroup group{std::span<const std::uint32_t>(&cell, 1), lane % 2 == 0};
    std::mt19937_64 random(lane);
    std::vector<Ticket> held(30);
    for (std::uint32_t i = 0; i < rounds; ++i) {
      const Nanos now = kStart + i * 10 * kMicrosecond;
      const KeyCharge charge{{guards.limiter().hash(std::to_string(random() % 100))}, &key};
      Ticket& ticket = held[random() % held.size()];
      if (!ticket.empty()) {
        guards.report(ticket, {random() % 20 == 0 ? OutcomeKind::kFailure : OutcomeKind::kSuccess},
                      rules, group, now);
      }
      guards.admit(cell, lane, rules, {&charge, 1}, now, ticket);
      if (guards.in_flight(cell) > 40) _exit(1);
    }
    return 0;
  };
  std::mt19937_64 random(9);
  for (std::uint32_t round = 0; round < 30; ++round) {
    const pid_t child = start_child([&] { return work(round % 4, UINT32_MAX); });
    for (volatile std::uint64_t spin = random() % 2'000'000; spin > 0;) spin = spin - 1;
    kill_at_once(child);
  }
  // Two hours on, whatever was left behind is over: the full cap, probes, keys.
  Guards guards(*GuardRegion::attach(memory.span()));
  Nanos now = kStart + 7200 * kSecond;
  for (const char* id : {"cell-0", "cell-1"}) {
    const std::uint32_t cell = *guards.region().claim(id);
    for (int i = 0; i < 10; ++i) {
      Ticket ticket;
      if (guards.admit(cell, 0, rules, {}, now, ticket).ok()) {
        guards.report(ticket, {}, rules, {}, now);
      }
      now += 10 * kSecond;
    }
    now += 120 * kSecond;
    int entered = 0;
    Ticket ticket;
    const KeyCharge charge{{guards.limiter().hash("7")}, &key};
    while (guards.admit(cell, 1, rules, {&charge, 1}, now, ticket).ok()) ++entered;
    CHECK(entered == 40);
  }
}

}  // namespace
