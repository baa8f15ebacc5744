#include <algorithm>
#include <atomic>
#include <cstring>
#include <deque>
#include <random>

#include "guard_memory.hpp"

namespace {

using namespace cellroute;
using namespace cellroute::guard_test;
using guard::BreakerKind;

BreakerPolicy consecutive(std::uint32_t failures) {
  BreakerPolicy policy;
  policy.consecutive_failures = failures;
  return policy;
}

BreakerPolicy rates() {
  BreakerPolicy policy;
  policy.failure_rate = 500;
  policy.slow_call = 2 * kSecond;
  policy.slow_rate = 800;
  policy.minimum_calls = 20;
  return policy;
}

// One cell's breaker in a region of its own.
struct Cell {
  explicit Cell(const BreakerPolicy& policy, std::uint32_t lanes = 2)
      : room({2, lanes, 0}), rules(*compile_breaker(policy)), number(room.claim("a")) {}

  guard::BreakerOf breaker() { return {room.guards.region(), number}; }
  guard::Breaker state() {
    return guard::unpack(room.guards.region().cell_words(number).breaker.load());
  }
  BreakerKind kind() { return state().kind; }

  BreakerAnswer pass(Nanos now, BreakerTicket& ticket) {
    ticket = {};
    return breaker().pass(rules, now, ticket, retry_after);
  }
  void record(const BreakerTicket& ticket, bool failure, Nanos now, bool slow = false,
              std::uint32_t lane = 0) {
    breaker().record(rules, room.guards.region().lane_words(lane, number), ticket, failure, slow,
                     {}, now);
  }
  // A request that goes the whole way; false where it was not let through.
  bool call(bool failure, Nanos now, bool slow = false, std::uint32_t lane = 0) {
    BreakerTicket ticket;
    if (pass(now, ticket) != BreakerAnswer::kPass) return false;
    record(ticket, failure, now, slow, lane);
    return true;
  }
  // Opens it, and says when it lets probes through again.
  Nanos open(Nanos now) {
    while (kind() != BreakerKind::kOpen) REQUIRE(call(true, now));
    BreakerTicket ticket;
    CHECK(pass(now, ticket) == BreakerAnswer::kOpen);
    return now + retry_after;
  }

  Room room;
  BreakerRules rules;
  std::uint32_t number;
  Nanos retry_after = 0;
};

TEST_CASE("a breaker opens on failures in a row, over all lanes") {
  Cell cell(consecutive(5));
  for (int i = 0; i < 4; ++i) CHECK(cell.call(true, kStart));
  CHECK(cell.call(false, kStart, false, 1));
  for (std::uint32_t i = 0; i < 5; ++i) {
    CHECK(cell.kind() == BreakerKind::kClosed);
    CHECK(cell.call(true, kStart, false, i % 2));
  }
  CHECK(cell.kind() == BreakerKind::kOpen);
  CHECK(!cell.call(false, kStart));
  CHECK(cell.retry_after > 20 * kSecond);
  CHECK(cell.retry_after <= 30 * kSecond);
}

TEST_CASE("a breaker opens on its failure rate over the window, once there are enough calls") {
  Cell cell(rates());
  for (int i = 0; i < 9; ++i) CHECK(cell.call(true, kStart));
  for (std::uint32_t i = 0; i < 10; ++i) CHECK(cell.call(false, kStart, false, i % 2));
  CHECK(cell.kind() == BreakerKind::kClosed);  // 19 calls
  CHECK(cell.call(true, kStart));
  CHECK(cell.kind() == BreakerKind::kOpen);
}

TEST_CASE("calls leave a breaker's window with their tenth") {
  Cell cell(rates());
  for (int i = 0; i < 15; ++i) CHECK(cell.call(true, kStart));
  const Nanos past = kStart + 10 * kSecond + kSecond / 10;
  for (int i = 0; i < 15; ++i) CHECK(cell.call(false, past));
  for (int i = 0; i < 14; ++i) CHECK(cell.call(true, past + kSecond));
  CHECK(cell.kind() == BreakerKind::kClosed);  // 14 of 29
  CHECK(cell.call(true, past + 2 * kSecond));
  CHECK(cell.kind() == BreakerKind::kOpen);
}

TEST_CASE("a breaker's window equals a model of tenths") {
  std::mt19937_64 random(1);
  for (int trace = 0; trace < 60; ++trace) {
    BreakerPolicy policy = rates();
    policy.minimum_calls = 1 + static_cast<std::uint32_t>(random() % 40);
    policy.failure_rate = 100 + static_cast<std::uint32_t>(random() % 900);
    policy.slow_rate = 100 + static_cast<std::uint32_t>(random() % 900);
    Cell cell(policy, 3);
    struct Call {
      std::uint64_t turn;
      bool failure, slow;
    };
    std::deque<Call> calls;
    Nanos now = kStart;
    for (int i = 0; i < 400 && cell.kind() == BreakerKind::kClosed; ++i) {
      now += static_cast<Nanos>(random() % (trace % 2 == 0 ? 200 : 2000) * kMillisecond);
      const bool failure = random() % 1000 < policy.failure_rate * 9 / 10;
      const bool slow = random() % 1000 < policy.slow_rate * 9 / 10;
      REQUIRE(cell.call(failure, now, slow, static_cast<std::uint32_t>(random() % 3)));
      const std::uint64_t turn =
          guard::turn_of(cell.room.guards.region().cell_words(cell.number).window_wheel);
      calls.push_back({turn, failure, slow});
      while (calls.front().turn + 10 <= turn) calls.pop_front();
      const auto failures =
          std::count_if(calls.begin(), calls.end(), [](auto& c) { return c.failure; });
      const auto slows = std::count_if(calls.begin(), calls.end(), [](auto& c) { return c.slow; });
      const auto all = static_cast<std::int64_t>(calls.size());
      const bool opens =
          (failure || slow) && all >= policy.minimum_calls &&
          (failures * 1000 >= all * policy.failure_rate || slows * 1000 >= all * policy.slow_rate);
      REQUIRE((cell.kind() == BreakerKind::kOpen) == opens);
    }
  }
}

TEST_CASE("a breaker opens on slow calls, which are no failures in a row") {
  BreakerPolicy policy = rates();
  policy.consecutive_failures = 3;
  Cell cell(policy);
  for (int i = 0; i < 4; ++i) CHECK(cell.call(false, kStart));
  for (int i = 0; i < 15; ++i) CHECK(cell.call(false, kStart, true));
  CHECK(cell.kind() == BreakerKind::kClosed);
  CHECK(cell.call(false, kStart, true));  // 16 of 20
  CHECK(cell.kind() == BreakerKind::kOpen);
}

TEST_CASE("with all triggers off a breaker never opens, nor keeps anybody out") {
  Cell off(BreakerPolicy{});
  for (int i = 0; i < 1000; ++i) REQUIRE(off.call(true, kStart));
  Cell cell(consecutive(1));
  cell.open(kStart);
  cell.rules = off.rules;  // a newer generation turns it off
  CHECK(cell.call(true, kStart));
  CHECK(cell.call(false, kStart));
}

TEST_CASE("a success on a closed breaker writes only its lane's line") {
  Cell cell(rates());
  CHECK(cell.call(false, kStart));
  const std::vector<std::byte> before = cell.room.memory.copy();
  for (int i = 0; i < 100; ++i) CHECK(cell.call(false, kStart + i * kMillisecond));
  const std::vector<std::byte> after = cell.room.memory.copy();
  const auto* lane =
      reinterpret_cast<std::byte*>(&cell.room.guards.region().lane_words(0, cell.number).calls);
  const auto line = static_cast<std::size_t>(lane - cell.room.memory.span().data());
  CHECK(line % 64 == 0);
  CHECK(std::memcmp(&before[line], &after[line], 64) != 0);
  CHECK(std::memcmp(before.data(), after.data(), line) == 0);
  CHECK(std::memcmp(&before[line + 64], &after[line + 64], before.size() - line - 64) == 0);
}

TEST_CASE("half-open lets the probes through and closes when as many succeeded") {
  Cell cell(consecutive(5));
  const Nanos ready = cell.open(kStart);
  BreakerTicket tickets[4];
  CHECK(cell.pass(ready - guard::in_nanos(20), tickets[0]) == BreakerAnswer::kOpen);
  for (int i = 0; i < 3; ++i) CHECK(cell.pass(ready, tickets[i]) == BreakerAnswer::kPass);
  CHECK(cell.pass(ready, tickets[3]) == BreakerAnswer::kProbesTaken);
  CHECK(cell.retry_after > 4 * kSecond);
  CHECK(cell.retry_after <= 5 * kSecond + kMillisecond);
  Nanos wait = 0;
  CHECK(cell.breaker().look(cell.rules, ready, wait) == BreakerAnswer::kProbesTaken);
  cell.record(tickets[0], false, ready);
  CHECK(cell.breaker().look(cell.rules, ready, wait) == BreakerAnswer::kPass);
  cell.record(tickets[1], false, ready);
  CHECK(cell.kind() == BreakerKind::kHalfOpen);
  cell.record(tickets[2], false, ready);
  CHECK(cell.kind() == BreakerKind::kClosed);
  for (int i = 0; i < 4; ++i) CHECK(cell.call(true, ready));  // what went before is forgotten
  CHECK(cell.kind() == BreakerKind::kClosed);
}

TEST_CASE("a failed or slow probe opens the breaker again") {
  for (const bool slow : {false, true}) {
    Cell cell(rates());
    const Nanos ready = cell.open(kStart);
    BreakerTicket first;
    BreakerTicket second;
    CHECK(cell.pass(ready, first) == BreakerAnswer::kPass);
    CHECK(cell.pass(ready, second) == BreakerAnswer::kPass);
    cell.record(first, !slow, ready, slow);
    CHECK(cell.kind() == BreakerKind::kOpen);
    const std::uint64_t word = guard::pack(cell.state());
    cell.record(second, false, ready);  // of a generation that is over
    cell.record(second, false, ready);
    CHECK(guard::pack(cell.state()) == word);
  }
}

TEST_CASE("old failures do not open a breaker that has just closed") {
  BreakerPolicy policy = rates();
  policy.open = policy.open_max = kSecond;
  policy.probes = 1;
  Cell cell(policy);
  const Nanos ready = cell.open(kStart);
  CHECK(cell.call(false, ready));
  CHECK(cell.kind() == BreakerKind::kClosed);
  for (int i = 0; i < 10; ++i) CHECK(cell.call(false, ready));
  CHECK(cell.call(true, ready));
  CHECK(cell.kind() == BreakerKind::kClosed);
}

TEST_CASE("open time doubles to its cap, less up to a fifth by cell and opening") {
  Cell cell(consecutive(1));
  Nanos now = kStart;
  Nanos base = 30 * kSecond;
  std::vector<Nanos> lengths;
  for (int opening = 1; opening <= 70; ++opening) {
    const Nanos ready = cell.open(now);
    const Nanos length = ready - now;
    lengths.push_back(length);
    CHECK(length <= base);
    CHECK(length >= base / 5 * 4 - 3 * kMillisecond);
    BreakerTicket ticket;
    REQUIRE(cell.pass(ready, ticket) == BreakerAnswer::kPass);
    cell.record(ticket, true, ready);
    now = ready;
    base = std::min(base * 2, 300 * kSecond);
  }
  CHECK(cell.state().openings == 63);  // held, not wrapped
  // The same everywhere; another at another cell.
  Cell again(consecutive(1));
  CHECK(again.open(kStart) - kStart == lengths[0]);
  const std::uint64_t other_cell = cell_id_hash("b");
  CHECK(guard::open_moments(cell.rules, 1, other_cell) !=
        guard::open_moments(cell.rules, 1, cell_id_hash("a")));
}

TEST_CASE("openings count in a row until the breaker was closed as long as it was open") {
  BreakerPolicy policy = consecutive(1);
  policy.probes = 1;
  Cell cell(policy);
  const auto open_and_close = [&](Nanos now) {
    const Nanos ready = cell.open(now);
    CHECK(cell.call(false, ready));
    return ready;
  };
  const Nanos closed = open_and_close(kStart);
  CHECK(cell.state().openings == 1);
  const Nanos again = open_and_close(closed + 10 * kSecond);
  CHECK(cell.state().openings == 2);
  cell.open(again + 61 * kSecond);
  CHECK(cell.state().openings == 1);
}

TEST_CASE("a probe that is never reported gives its place up as lost at its deadline") {
  Cell cell(consecutive(1));
  const Nanos ready = cell.open(kStart);
  BreakerTicket lost;
  for (int i = 0; i < 3; ++i) CHECK(cell.pass(ready, lost) == BreakerAnswer::kPass);
  BreakerTicket ticket;
  CHECK(cell.pass(ready + 5 * kSecond - kMillisecond, ticket) == BreakerAnswer::kProbesTaken);
  const Nanos over = ready + 5 * kSecond + kMillisecond;
  CHECK(cell.pass(over, ticket) == BreakerAnswer::kPass);
  cell.record(lost, true, over);  // too late: counts as lost too, once
  cell.record(lost, true, over);
  CHECK(cell.state().losses == 2);
  CHECK(cell.kind() == BreakerKind::kHalfOpen);
  // The next takes the last lost one's place, and three are as many as were needed to close.
  CHECK(cell.pass(over, ticket) == BreakerAnswer::kOpen);
  CHECK(cell.state().openings == 2);
}

TEST_CASE("when every probe's report is lost, the breaker opens again and probes on") {
  Cell cell(consecutive(1));
  Nanos now = cell.open(kStart);
  int probes = 0;
  BreakerTicket ticket;
  for (int i = 0; i < 4000; ++i, now += kSecond) {
    if (cell.pass(now, ticket) == BreakerAnswer::kPass) ++probes;
  }
  CHECK(probes >= 3 * 10);  // 4,000 s at an opening of at most 300 s
  CHECK(probes <= 6 * 4000 / 30);
}

TEST_CASE("a breaker never sticks and never herds when one report in ten is lost") {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    std::mt19937_64 random(seed);
    BreakerPolicy policy = rates();
    policy.consecutive_failures = 5;
    Cell cell(policy, 4);
    struct Running {
      Nanos end;
      BreakerTicket ticket;
      bool failure;
    };
    std::vector<Running> running;
    Nanos now = kStart;
    int sick_calls = 0;
    // Sick for five minutes, then well. A request each 50 ms takes up to a second.
    const Nanos well = now + 300 * kSecond;
    const Nanos end = well + 900 * kSecond;
    Nanos closed_since = 0;
    for (; now < end; now += 50 * kMillisecond) {
      for (std::size_t i = 0; i < running.size();) {
        if (running[i].end > now) {
          ++i;
          continue;
        }
        if (random() % 10 != 0) {
          cell.record(running[i].ticket, running[i].failure, now, false,
                      static_cast<std::uint32_t>(random() % 4));
        }
        running[i] = running.back();
        running.pop_back();
      }
      BreakerTicket ticket;
      if (cell.pass(now, ticket) != BreakerAnswer::kPass) continue;
      sick_calls += now < well ? 1 : 0;
      running.push_back({now + static_cast<Nanos>(random() % kSecond), ticket, now < well});
      if (cell.kind() != BreakerKind::kClosed || now < well) {
        closed_since = 0;
      } else if (closed_since == 0) {
        closed_since = now;
      }
    }
    CHECK(sick_calls < 80);  // of 6,000
    CHECK(cell.kind() == BreakerKind::kClosed);
    CHECK(closed_since > 0);
    CHECK(closed_since < well + 650 * kSecond);  // two openings of 300 s and their probes at worst
  }
}

TEST_CASE("probes are never over-admitted with eight threads") {
  BreakerPolicy policy = consecutive(1);
  policy.open = policy.open_max = kMillisecond;
  Cell cell(policy, 8);
  cell.open(kStart);
  std::atomic<Nanos> clock{kStart + kSecond};
  std::atomic<int> probes{0};
  std::atomic<int> most{0};
  std::atomic<int> total{0};
  in_threads(8, [&](std::uint32_t thread) {
    std::mt19937_64 random(thread);
    guard::BreakerOf breaker = cell.breaker();
    for (int i = 0; i < 20'000; ++i) {
      const Nanos now = clock.fetch_add(10 * kMicrosecond);
      BreakerTicket ticket;
      Nanos wait = 0;
      if (breaker.pass(cell.rules, now, ticket, wait) != BreakerAnswer::kPass) continue;
      const bool probe = ticket.probe < guard::kMaxProbes;
      if (probe) {
        const int out = probes.fetch_add(1) + 1;
        int seen = most.load();
        while (seen < out && !most.compare_exchange_weak(seen, out)) {
        }
        total.fetch_add(1);
        if (random() % 4 == 0) std::this_thread::yield();
        probes.fetch_sub(1);
      }
      const std::uint64_t end = random() % 8;
      if (end == 0) {
        breaker.withdraw(ticket);
      } else if (end == 1) {
        breaker.ignore(ticket);
      } else {
        breaker.record(cell.rules, cell.room.guards.region().lane_words(thread, cell.number),
                       ticket, end < 4, false, {}, now);
      }
    }
  });
  CHECK(most <= 3);
  CHECK(total > 100);  // how many there are is the scheduler's to say
}

TEST_CASE("a clock that steps back neither closes nor holds a breaker for ever") {
  Cell cell(consecutive(1));
  const Nanos ready = cell.open(kStart);
  BreakerTicket ticket;
  CHECK(cell.pass(kStart - 10 * kSecond, ticket) == BreakerAnswer::kOpen);
  CHECK(cell.retry_after == ready - kStart);
  CHECK(cell.pass(ready - guard::in_nanos(20), ticket) == BreakerAnswer::kOpen);
  // Corrected by a day: open for its time from now on.
  const Nanos corrected = kStart - 86'400 * kSecond;
  CHECK(cell.pass(corrected, ticket) == BreakerAnswer::kOpen);
  CHECK(cell.pass(corrected + 20 * kSecond, ticket) == BreakerAnswer::kOpen);
  CHECK(cell.pass(corrected + 31 * kSecond, ticket) == BreakerAnswer::kPass);
  CHECK(cell.kind() == BreakerKind::kHalfOpen);
}

TEST_CASE("probes taken before the clock was corrected do not hold their places for ever") {
  Cell cell(consecutive(1));
  const Nanos ready = cell.open(kStart);
  BreakerTicket ticket;
  for (int i = 0; i < 3; ++i) CHECK(cell.pass(ready, ticket) == BreakerAnswer::kPass);
  CHECK(cell.pass(ready - kSecond, ticket) == BreakerAnswer::kProbesTaken);
  CHECK(cell.pass(ready - 3600 * kSecond, ticket) == BreakerAnswer::kPass);
}

TEST_CASE("a jump forward lets no more than the probes through") {
  for (const Nanos later : {kStart + 86'400 * 365 * kSecond, INT64_MAX}) {
    Cell cell(consecutive(1));
    cell.open(kStart);
    int passed = 0;
    BreakerTicket ticket;
    for (int i = 0; i < 10; ++i) passed += cell.pass(later, ticket) == BreakerAnswer::kPass;
    CHECK(passed <= 3);
  }
}

TEST_CASE("late, second and foreign reports change nothing") {
  Cell cell(consecutive(2));
  BreakerTicket early;
  CHECK(cell.pass(kStart, early) == BreakerAnswer::kPass);
  const Nanos ready = cell.open(kStart);
  const auto unchanged_by = [&](const BreakerTicket& ticket, bool failure) {
    const std::vector<std::byte> before = cell.room.memory.copy();
    cell.record(ticket, failure, ready);
    cell.breaker().ignore(ticket);
    CHECK((cell.room.memory.copy() == before));
  };
  unchanged_by(early, true);  // admitted before it opened
  unchanged_by(early, false);
  BreakerTicket probes[3];
  for (BreakerTicket& probe : probes) CHECK(cell.pass(ready, probe) == BreakerAnswer::kPass);
  unchanged_by(early, true);
  BreakerTicket foreign = probes[0];
  foreign.probe_word += 1;
  unchanged_by(foreign, true);
  foreign.probe_word = 0;
  unchanged_by(foreign, true);
  cell.record(probes[0], false, ready);
  unchanged_by(probes[0], true);  // a second report
  BreakerTicket next;
  CHECK(cell.pass(ready, next) == BreakerAnswer::kPass);  // in the same place, at the same time
  CHECK(next.probe == probes[0].probe);
  unchanged_by(probes[0], true);
  cell.record(probes[1], false, ready);
  cell.record(probes[2], false, ready);
  CHECK(cell.kind() == BreakerKind::kClosed);
  unchanged_by(probes[2], true);
  unchanged_by(early, true);  // closed, but of another generation
}

TEST_CASE("a withdrawn probe leaves everything as it was") {
  Cell cell(consecutive(1));
  const Nanos ready = cell.open(kStart);
  BreakerTicket ticket;
  CHECK(cell.pass(ready, ticket) == BreakerAnswer::kPass);
  cell.breaker().withdraw(ticket);
  const std::vector<std::byte> before = cell.room.memory.copy();
  for (int i = 0; i < 300; ++i) {
    CHECK(cell.pass(ready, ticket) == BreakerAnswer::kPass);
    cell.breaker().withdraw(ticket);
  }
  CHECK((cell.room.memory.copy() == before));
}

TEST_CASE("workers on different generations share one breaker") {
  Cell cell(consecutive(3));
  BreakerPolicy newer = consecutive(5);
  newer.probes = 1;
  newer.open = 10 * kSecond;
  const BreakerRules newer_rules = *compile_breaker(newer);
  const BreakerRules older_rules = cell.rules;
  for (int i = 0; i < 3; ++i) CHECK(cell.call(true, kStart));
  cell.rules = newer_rules;
  CHECK(!cell.call(false, kStart));
  const Nanos now = kStart + 11 * kSecond;
  CHECK(cell.call(false, now));  // by the newer rules its time is over, and one success is enough
  cell.rules = older_rules;
  CHECK(cell.call(false, now));
  CHECK(cell.kind() == BreakerKind::kClosed);
}

// Cells of one group, each failing until its breaker opens or may not.
struct Group {
  Group(std::uint32_t size, std::uint32_t percent) : room({size + 4, 8, 0}) {
    BreakerPolicy policy = consecutive(1);
    policy.probes = 1;
    policy.max_ejected_percent = percent;
    rules = *compile_breaker(policy);
    for (std::uint32_t i = 0; i < size; ++i) cells.push_back(room.claim(std::to_string(i)));
  }
  guard::Breaker state(std::uint32_t cell) {
    return guard::unpack(room.guards.region().cell_words(cell).breaker.load());
  }
  void call(std::uint32_t cell, bool failure, Nanos now, std::uint32_t lane = 0) {
    guard::BreakerOf breaker(room.guards.region(), cell);
    BreakerTicket ticket;
    Nanos wait = 0;
    if (breaker.pass(rules, now, ticket, wait) != BreakerAnswer::kPass) return;
    breaker.record(rules, room.guards.region().lane_words(lane, cell), ticket, failure, false,
                   {cells, true}, now);
  }
  std::uint32_t ejected() {
    return static_cast<std::uint32_t>(guard::ejected_cells(room.guards.region(), cells));
  }

  Room room;
  BreakerRules rules;
  std::vector<std::uint32_t> cells;
};

TEST_CASE("no more than their share of a group is ejected: up to 8 cells, 0 to 100 percent") {
  for (std::uint32_t size = 1; size <= 8; ++size) {
    for (std::uint32_t percent = 0; percent <= 100; ++percent) {
      Group group(size, percent);
      const std::uint32_t most = std::max(1u, size * percent / 100);
      for (std::uint32_t round = 0; round < 2; ++round) {
        for (const std::uint32_t cell : group.cells) {
          group.call(cell, true, kStart + round * kSecond);
          REQUIRE(group.ejected() <= most);
        }
      }
      REQUIRE(group.ejected() == most);
      // One that comes back makes room for one that still fails.
      const auto is_open = [&](std::uint32_t cell) {
        return group.state(cell).kind == BreakerKind::kOpen;
      };
      const auto open = std::find_if(group.cells.begin(), group.cells.end(), is_open);
      const auto failing = std::find_if_not(group.cells.begin(), group.cells.end(), is_open);
      group.call(*open, false, kStart + 31 * kSecond);
      REQUIRE(group.ejected() == most - 1);
      if (failing != group.cells.end()) {
        group.call(*failing, true, kStart + 32 * kSecond);
        REQUIRE(group.ejected() == most);
      }
    }
  }
}

TEST_CASE("a group's share holds when all its cells fail at once on eight threads") {
  for (std::uint32_t percent = 0; percent <= 100; percent += 10) {
    Group group(8, percent);
    std::atomic<std::uint32_t> ready{0};
    in_threads(8, [&](std::uint32_t thread) {
      ready.fetch_add(1);
      while (ready.load() < 8) std::this_thread::yield();
      for (std::uint32_t i = 0; i < 40; ++i) {
        group.call(group.cells[(thread + i / 5) % 8], true, kStart + i * kSecond / 2, thread);
      }
    });
    CHECK(group.ejected() == std::max(1u, 8 * percent / 100));
  }
}

TEST_CASE("an opening left half-way by a killed process is finished by the next") {
  Group group(4, 50);
  guard::Word& ejection = group.room.guards.region().header().ejection;
  ejection = guard::kUnderWay | group.cells[3];
  group.call(group.cells[0], true, kStart);
  CHECK(group.state(group.cells[3]).kind == BreakerKind::kOpen);
  CHECK(group.state(group.cells[0]).kind == BreakerKind::kOpen);
  CHECK((ejection & guard::kUnderWay) == 0);
  ejection = guard::kUnderWay | 0xffff;  // no cell at all
  group.call(group.cells[1], true, kStart);
  CHECK(group.ejected() == 2);
  CHECK((ejection & guard::kUnderWay) == 0);
}

TEST_CASE("a cell that left the group while ejected does not count against it") {
  Group group(4, 25);
  group.call(group.cells[0], true, kStart);
  group.call(group.cells[1], true, kStart);
  CHECK(group.ejected() == 1);
  group.cells.erase(group.cells.begin());
  CHECK(group.ejected() == 0);
  group.call(group.cells[0], true, kStart + 2 * kSecond);
  CHECK(group.ejected() == 1);
}

TEST_CASE("a share limits stateless pools only") {
  Group group(4, 0);
  for (const std::uint32_t cell : group.cells) {
    guard::BreakerOf breaker(group.room.guards.region(), cell);
    breaker.record(group.rules, group.room.guards.region().lane_words(0, cell), {}, true, false,
                   {group.cells, false}, kStart);
  }
  CHECK(group.ejected() == 4);
}

TEST_CASE("a breaker policy that cannot be is refused") {
  const auto refused_with = [](auto change) {
    BreakerPolicy policy = rates();
    change(policy);
    return !compile_breaker(policy).ok();
  };
  CHECK(!refused_with([](BreakerPolicy&) {}));
  CHECK(refused_with([](BreakerPolicy& p) { p.failure_rate = 1001; }));
  CHECK(refused_with([](BreakerPolicy& p) { p.slow_rate = 1001; }));
  CHECK(refused_with([](BreakerPolicy& p) { p.slow_call = -1; }));
  CHECK(refused_with([](BreakerPolicy& p) { p.window = 0; }));
  CHECK(refused_with([](BreakerPolicy& p) { p.window = INT64_MAX; }));
  CHECK(refused_with([](BreakerPolicy& p) { p.open = 0; }));
  CHECK(refused_with([](BreakerPolicy& p) { p.open_max = p.open - 1; }));
  CHECK(refused_with([](BreakerPolicy& p) { p.open_max = INT64_MAX; }));
  CHECK(refused_with([](BreakerPolicy& p) { p.probes = 0; }));
  CHECK(refused_with([](BreakerPolicy& p) { p.probes = 9; }));
  CHECK(refused_with([](BreakerPolicy& p) { p.probe_deadline = 0; }));
  CHECK(refused_with([](BreakerPolicy& p) { p.probe_deadline = INT64_MAX; }));
  CHECK(refused_with([](BreakerPolicy& p) { p.max_ejected_percent = 101; }));
  BreakerPolicy without_length = rates();
  without_length.slow_call = 0;  // no call is slow
  CHECK(compile_breaker(without_length)->slow_rate == 0);
}

}  // namespace
