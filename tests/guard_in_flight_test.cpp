#include <algorithm>
#include <atomic>
#include <random>

#include "guard_memory.hpp"

namespace {

using namespace cellroute;
using namespace cellroute::guard_test;

constexpr Nanos kDeadline = 8 * kSecond;

InFlightRules rules_of(std::uint32_t cap, std::uint32_t lanes) {
  return *compile_in_flight({cap, kDeadline}, lanes);
}

// One cell's in-flight guard.
struct Flight {
  explicit Flight(std::uint32_t cap, std::uint32_t lane_count = 4)
      : room({2, lane_count, 0}), rules(rules_of(cap, lane_count)) {}

  bool enter(std::uint32_t lane, Nanos now, FlightTicket& ticket) {
    return guard::enter_flight(cell(), room.guards.region().lane_words(lane, 0), rules, now,
                               ticket);
  }
  void leave(std::uint32_t lane, FlightTicket& ticket) {
    guard::leave_flight(cell(), room.guards.region().lane_words(lane, 0), rules, ticket);
  }
  guard::CellWords& cell() { return room.guards.region().cell_words(0); }
  std::uint64_t count() { return room.guards.in_flight(0); }
  std::uint64_t estimate() { return room.guards.in_flight_estimate(0); }

  Room room;
  InFlightRules rules;
};

TEST_CASE("a cell takes its cap and no more") {
  for (const std::uint32_t cap : {1u, 2u, 31u, 32u, 1000u}) {
    Flight flight(cap);
    std::vector<FlightTicket> tickets;
    FlightTicket ticket;
    while (tickets.size() <= cap && flight.enter(0, kStart, ticket)) tickets.push_back(ticket);
    CHECK(tickets.size() == cap);
    CHECK(flight.count() == cap);
    flight.leave(0, tickets.back());
    CHECK(tickets.back().turn == FlightTicket::kNone);
    CHECK(flight.count() == cap - 1);
    CHECK(flight.enter(0, kStart, ticket));
    CHECK(!flight.enter(0, kStart, ticket));
  }
}

TEST_CASE("other lanes' unused credit refuses early by no more than lanes times credit") {
  constexpr std::uint32_t kCap = 400;
  Flight flight(kCap);
  CHECK(flight.rules.credit == 12);
  for (std::uint32_t lane = 1; lane < 4; ++lane) {  // busy, then idle: they keep what they may
    std::vector<FlightTicket> tickets(50);
    for (FlightTicket& ticket : tickets) REQUIRE(flight.enter(lane, kStart, ticket));
    for (FlightTicket& ticket : tickets) flight.leave(lane, ticket);
  }
  CHECK(flight.count() == 0);
  CHECK(flight.estimate() <= 3 * flight.rules.credit);
  std::uint32_t entered = 0;
  FlightTicket ticket;
  while (flight.enter(0, kStart, ticket)) ++entered;
  CHECK(entered >= kCap - 3 * flight.rules.credit);
  CHECK(entered <= kCap);
}

TEST_CASE("credit of an earlier slot goes back when its lane comes again, or ends with the slot") {
  Flight flight(400);
  FlightTicket ticket;
  REQUIRE(flight.enter(1, kStart, ticket));
  flight.leave(1, ticket);
  REQUIRE(flight.enter(2, kStart, ticket));
  flight.leave(2, ticket);
  const std::uint64_t idle = flight.estimate();
  CHECK(idle == flight.rules.credit);  // half a credit a lane
  REQUIRE(flight.enter(1, kStart + 2 * kSecond, ticket));
  flight.leave(1, ticket);
  CHECK(flight.estimate() == idle);
  REQUIRE(flight.enter(1, kStart + kDeadline + kSecond, ticket));
  flight.leave(1, ticket);
  CHECK(flight.estimate() == idle / 2);
}

TEST_CASE("an entry never reported leaves between seven eighths and all of the deadline") {
  Flight flight(10);
  FlightTicket ticket;
  for (int i = 0; i < 10; ++i) REQUIRE(flight.enter(0, kStart, ticket));
  Nanos freed = 0;
  for (Nanos now = kStart; now <= kStart + 2 * kDeadline && freed == 0; now += 10 * kMillisecond) {
    if (flight.enter(1, now, ticket)) freed = now - kStart;
  }
  CHECK(freed >= kDeadline / 8 * 7);
  CHECK(freed <= kDeadline + 10 * kMillisecond);
  CHECK(flight.count() == 1);
}

TEST_CASE("late, second, empty and made-up tickets take nobody else's place") {
  Flight flight(100);
  FlightTicket old;
  REQUIRE(flight.enter(1, kStart, old));
  std::vector<FlightTicket> tickets(5);
  const Nanos later = kStart + 2 * kDeadline;
  for (FlightTicket& ticket : tickets) REQUIRE(flight.enter(0, later, ticket));
  const auto unchanged_by = [&](FlightTicket ticket, std::uint32_t lane) {
    const std::vector<std::byte> before = flight.room.memory.copy();
    flight.leave(lane, ticket);
    CHECK((flight.room.memory.copy() == before));
  };
  unchanged_by(old, 1);                    // late
  unchanged_by({}, 0);                     // empty
  unchanged_by(tickets[0], 1);             // of another lane
  unchanged_by({tickets[0].turn + 1}, 0);  // of a slot to come
  unchanged_by({tickets[0].turn - 1}, 0);  // of a slot without entries
  unchanged_by({0x00ff'ffff}, 0);
  unchanged_by({0xff00'0000}, 0);
  flight.leave(0, tickets[0]);
  CHECK(flight.count() == 4);
  unchanged_by(tickets[0], 0);  // reported and so emptied
  // Copies cannot be told apart, but never bring a count below zero.
  FlightTicket copy = tickets[1];
  for (int i = 0; i < 10; ++i) {
    FlightTicket again = copy;
    flight.leave(0, again);
  }
  CHECK(flight.count() == 0);
  FlightTicket ticket;
  std::uint32_t entered = 0;
  while (entered < 200 && flight.enter(0, later, ticket)) ++entered;
  CHECK(entered == 100);
}

TEST_CASE("a report in a later slot still frees its place") {
  Flight flight(8, 1);
  std::vector<FlightTicket> tickets(8);
  for (int i = 0; i < 8; ++i) {
    REQUIRE(flight.enter(0, kStart + i * kSecond, tickets[static_cast<std::size_t>(i)]));
  }
  FlightTicket ticket;
  CHECK(!flight.enter(0, kStart + 7 * kSecond, ticket));
  for (FlightTicket& held : tickets) {
    flight.leave(0, held);
    REQUIRE(flight.enter(0, kStart + 7 * kSecond, ticket));
    CHECK(!flight.enter(0, kStart + 7 * kSecond, ticket));
  }
}

TEST_CASE("what a lane frees in a later slot is free for all lanes at once") {
  Flight flight(17, 2);
  REQUIRE(flight.rules.credit == 1);
  std::vector<FlightTicket> tickets(17);
  for (FlightTicket& ticket : tickets) REQUIRE(flight.enter(0, kStart, ticket));
  const Nanos later = kStart + kDeadline / 4;
  FlightTicket ticket;
  CHECK(!flight.enter(1, later, ticket));
  for (FlightTicket& held : tickets) flight.leave(0, held);
  int entered = 0;
  while (flight.enter(1, later, ticket)) ++entered;
  CHECK(entered == 17);
}

TEST_CASE("a thread that slept cannot borrow from a slot that is over") {
  Flight flight(16);
  FlightTicket ticket;
  REQUIRE(flight.enter(0, kStart, ticket));
  const std::uint64_t over = guard::turn_of(flight.cell().flight_wheel);
  REQUIRE(flight.enter(0, kStart + kDeadline / 4, ticket));
  std::uint64_t count = 0;
  CHECK(guard::lend(flight.cell(), over, 16, 1, count) == guard::Lending::kSlotClosed);
}

TEST_CASE("a clock that steps back frees nothing, and a corrected one sticks nowhere") {
  Flight flight(4);
  FlightTicket ticket;
  for (int i = 0; i < 4; ++i) REQUIRE(flight.enter(0, kStart, ticket));
  CHECK(!flight.enter(0, kStart - 7 * kSecond, ticket));
  CHECK(!flight.enter(0, kStart + kSecond, ticket));
  const Nanos corrected = kStart - 86'400 * kSecond;
  CHECK(!flight.enter(0, corrected, ticket));
  Nanos freed = 0;
  for (Nanos now = corrected; now < corrected + 3 * kDeadline && freed == 0; now += kSecond / 4) {
    if (flight.enter(1, now, ticket)) freed = now - corrected;
  }
  CHECK(freed > 0);
  CHECK(freed <= kDeadline + kSecond);
  for (const Nanos now : {INT64_MAX, INT64_MIN, Nanos{0}, kStart}) {
    FlightTicket any;
    if (flight.enter(2, now, any)) flight.leave(2, any);
  }
}

TEST_CASE("lost reports never fill a cell for good") {
  Flight flight(50);
  std::mt19937_64 random(1);
  std::vector<std::pair<std::uint32_t, FlightTicket>> running;
  int refused_in_a_row = 0;
  Nanos now = kStart;
  for (int i = 0; i < 100'000; ++i) {
    now += static_cast<Nanos>(random() % (60 * kMillisecond));
    FlightTicket ticket;
    const auto lane = static_cast<std::uint32_t>(random() % 4);
    if (flight.enter(lane, now, ticket)) {
      refused_in_a_row = 0;
      if (random() % 10 != 0) running.push_back({lane, ticket});
    } else {
      REQUIRE(++refused_in_a_row < 2000);
    }
    REQUIRE(flight.count() <= 50);
    while (running.size() > random() % 40) {
      std::swap(running.back(), running[random() % running.size()]);
      flight.leave(running.back().first, running.back().second);
      running.pop_back();
    }
  }
}

TEST_CASE("the cap holds with eight threads, lanes of their own and shared, while slots turn") {
  for (const std::uint32_t lanes : {8u, 3u}) {
    constexpr std::uint32_t kCap = 100;
    Flight flight(kCap, lanes);
    std::atomic<Nanos> clock{kStart};
    std::atomic<std::int64_t> inside{0};
    std::atomic<std::int64_t> most{0};
    in_threads(8, [&](std::uint32_t thread) {
      std::mt19937_64 random(thread);
      const std::uint32_t lane = thread % lanes;
      std::vector<FlightTicket> held;
      for (int i = 0; i < 8'000; ++i) {
        // Half of the deadline passes in all, so that no entry expires and each must be counted.
        const Nanos now = clock.fetch_add(kDeadline / 128'000);
        FlightTicket ticket;
        if (random() % 2 == 0 && flight.enter(lane, now, ticket)) {
          held.push_back(ticket);
          const std::int64_t count = inside.fetch_add(1) + 1;
          std::int64_t seen = most.load();
          while (seen < count && !most.compare_exchange_weak(seen, count)) {
          }
        } else if (!held.empty()) {
          inside.fetch_sub(1);
          flight.leave(lane, held.back());
          held.pop_back();
        }
      }
      for (FlightTicket& ticket : held) {
        inside.fetch_sub(1);
        flight.leave(lane, ticket);
      }
    });
    CHECK(most <= kCap);
    CHECK(most > kCap / 2);
    CHECK(flight.count() == 0);
    CHECK(flight.estimate() <= lanes * flight.rules.credit * guard::kFlightSlots);
  }
}

TEST_CASE("what killed processes held comes back within a deadline") {
  Flight flight(64);
  for (int round = 0; round < 12; ++round) {
    const Nanos now = kStart + round * 3 * kSecond;
    const pid_t child = start_child([&]() -> int {
      std::vector<FlightTicket> held(40);
      for (Nanos at = now;; at += kMillisecond) {
        const auto lane = static_cast<std::uint32_t>(at / kMillisecond % 4);
        for (FlightTicket& ticket : held) flight.enter(lane, at, ticket);
        for (FlightTicket& ticket : held) flight.leave(lane, ticket);
      }
    });
    for (volatile int spin = 0; spin < 200'000 * (round % 4 + 1);) spin = spin + 1;
    kill_at_once(child);
    CHECK(flight.count() <= 64);
  }
  // However far the children's time went, a deadline after it all is free again.
  Nanos now = kStart + 3'600 * kSecond;
  FlightTicket ticket;
  std::uint32_t entered = 0;
  flight.enter(0, now, ticket);
  now += kDeadline + kSecond;
  while (entered < 100 && flight.enter(0, now, ticket)) ++entered;
  CHECK(entered == 64);
}

TEST_CASE("a turn of the slots left half-way is finished by the next") {
  for (const bool next_is_open : {false, true}) {
    Flight flight(10);
    FlightTicket held;
    REQUIRE(flight.enter(0, kStart, held));
    const std::uint64_t turn = guard::turn_of(flight.cell().flight_wheel);
    flight.cell().lent[turn % 8].fetch_or(guard::kClosed);
    if (next_is_open) flight.cell().lent[(turn + 1) % 8] = (turn + 1) << 40;
    FlightTicket ticket;
    std::uint32_t entered = 0;
    while (entered < 20 && flight.enter(1, kStart, ticket)) ++entered;
    CHECK(entered == 9);
    CHECK(flight.count() == 10);
    flight.leave(0, held);
    CHECK(flight.enter(1, kStart, ticket));
  }
}

TEST_CASE("without a cap entries are counted all the same") {
  Flight flight(0);
  std::vector<FlightTicket> tickets(5000);
  for (FlightTicket& ticket : tickets) REQUIRE(flight.enter(1, kStart, ticket));
  CHECK(flight.count() == 5000);
  CHECK(flight.estimate() >= 5000);
  CHECK(flight.estimate() <= 5000 + flight.rules.credit);
  // Beyond what a lane's slot can count they pass uncounted.
  guard::LaneWords& lane = flight.room.guards.region().lane_words(1, 0);
  const std::uint64_t turn = guard::turn_of(flight.cell().flight_wheel);
  lane.flight[turn % 8] = guard::flight_word(turn, guard::kFlightField, 0);
  FlightTicket ticket;
  CHECK(flight.enter(1, kStart, ticket));
  CHECK(ticket.turn == FlightTicket::kNone);
}

TEST_CASE("an in-flight policy that cannot be is refused") {
  CHECK(!compile_in_flight({10, 0}, 1));
  CHECK(!compile_in_flight({10, -1}, 1));
  CHECK(!compile_in_flight({10, INT64_MAX}, 1));
  CHECK(!compile_in_flight({kMaxInFlight + 1, kDeadline}, 1));
  CHECK(compile_in_flight({kMaxInFlight, kDeadline}, 0)->credit == 64);
  CHECK(compile_in_flight({31, kDeadline}, 4)->credit == 0);
}

}  // namespace
