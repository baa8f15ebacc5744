#include <catch2/catch.hpp>
#include <cstdint>
#include <deque>
#include <random>
#include <string>

#include "cellroute/guard/limit.hpp"

namespace {

using namespace cellroute;
__extension__ using Wide = __int128;

constexpr Nanos kAt = 1'700'000'000 * kSecond;

Limit limit_of(LimitKind kind, std::uint64_t requests, Nanos period, std::uint64_t burst = 0) {
  Limit limit;
  limit.kind = kind;
  limit.requests = requests;
  limit.period = period;
  limit.burst = burst;
  return limit;
}

LimitRule rule_of(const Limit& limit) {
  Result<LimitRule> rule = compile_limit(limit, 1);
  REQUIRE(rule);
  return *rule;
}

// One key's word.
struct Key {
  bool take(Nanos now, Nanos* retry_after = nullptr) {
    const guard::Taken taken = guard::take(rule, state, 1, now);
    state = taken.next;
    if (retry_after != nullptr) *retry_after = taken.retry_after;
    return taken.admitted;
  }
  LimitRule rule;
  std::uint64_t state = 0;
};

// A time that mostly goes on, at times stands, leaps, or steps back, a little or a lot.
class Clock {
 public:
  explicit Clock(std::uint64_t seed, Nanos typical) : random_(seed), typical_(typical) {}
  Nanos next() {
    const std::uint64_t kind = random_() % 64;
    const Nanos step = static_cast<Nanos>(random_() % static_cast<std::uint64_t>(2 * typical_));
    if (kind == 0) {
      now_ -= step * 20;
    } else if (kind == 1) {
      now_ -= 2 * 3600 * kSecond + step;
    } else if (kind == 2) {
      now_ += step * 200;
    } else if (kind == 3) {
      now_ += 3 * 3600 * kSecond;
    } else if (kind > 24) {
      now_ += step;
    }
    return now_;
  }

 private:
  std::mt19937_64 random_;
  Nanos typical_;
  Nanos now_ = kAt;
};

// GCRA in 128 bits, without any bound: the conforming arrival times of ITU-T I.371, a clock that
// steps back refills nothing, and a state that the limit cannot have reached counts as used up now.
struct BucketModel {
  bool take(Nanos now_nanos, Wide& wait) {
    const Wide now = now_nanos < 0 ? 0 : now_nanos;
    Wide base = arrival > now ? arrival : now;
    if (base - now > burst * interval + Wide{3600} * kSecond) {
      base = arrival = now + burst * interval;
    }
    wait = base + interval - burst * interval - now;
    if (wait > 0 || base + interval > INT64_MAX) return false;
    arrival = base + interval;
    return true;
  }
  Wide interval;
  Wide burst;
  Wide arrival = 0;
};

TEST_CASE("a bucket admits its burst at once, then its rate") {
  Key key{rule_of(limit_of(LimitKind::kBucket, 100, 60 * kSecond, 5))};
  Nanos wait = 0;
  for (int i = 0; i < 5; ++i) CHECK(key.take(kAt));
  CHECK(!key.take(kAt, &wait));
  CHECK(wait == 600 * kMillisecond);
  CHECK(!key.take(kAt + wait - 1));
  CHECK(key.take(kAt + wait));
  CHECK(!key.take(kAt + wait));
  int admitted = 0;
  for (int i = 1; i <= 60'000; ++i) admitted += key.take(kAt + wait + i * kMillisecond);
  CHECK(admitted == 100);
}

TEST_CASE("a bucket's burst is its requests where none is given") {
  Key key{rule_of(limit_of(LimitKind::kBucket, 7, kSecond))};
  int admitted = 0;
  for (int i = 0; i < 20; ++i) admitted += key.take(kAt);
  CHECK(admitted == 7);
}

TEST_CASE("a bucket equals a 128-bit model over traces with clock steps") {
  std::mt19937_64 random(1);
  for (std::uint64_t trace = 0; trace < 300; ++trace) {
    const std::uint64_t requests = 1 + random() % (trace % 3 == 0 ? 10 : 100'000);
    const Nanos period = 1 + static_cast<Nanos>(random() % (1ull << (10 + trace % 44)));
    const std::uint64_t burst = 1 + random() % (trace % 2 == 0 ? 4 : 1000);
    Result<LimitRule> rule =
        compile_limit(limit_of(LimitKind::kBucket, requests, period, burst), 1);
    const Wide interval = (Wide{period} + requests - 1) / requests;
    if (!rule) {
      CHECK(interval * burst > guard::kMaxPeriod);
      continue;
    }
    Key key{*rule};
    BucketModel model{interval, burst};
    Clock clock(trace, static_cast<Nanos>(interval) + 1);
    for (int i = 0; i < 500; ++i) {
      const Nanos now = clock.next();
      Nanos wait = 0;
      Wide model_wait = 0;
      const bool admits = model.take(now, model_wait);
      REQUIRE(key.take(now, &wait) == admits);
      if (!admits) REQUIRE(wait == model_wait);
      REQUIRE(Wide{key.state} == model.arrival);
    }
  }
}

TEST_CASE("a bucket holds at the ends of time") {
  for (const Nanos first : {INT64_MIN, Nanos{-1}, Nanos{0}, INT64_MAX - 1, INT64_MAX}) {
    for (const Nanos second : {INT64_MIN, Nanos{0}, kAt, INT64_MAX}) {
      Key key{rule_of(limit_of(LimitKind::kBucket, 2, kSecond))};
      BucketModel model{kSecond / 2, 2};
      for (const Nanos now : {first, first, first, second, second, second}) {
        Wide wait = 0;
        const bool admits = model.take(now, wait);
        CHECK(key.take(now) == admits);
      }
    }
  }
  // Any bytes: no admission beyond the burst follows from them.
  std::mt19937_64 random(2);
  for (int i = 0; i < 10'000; ++i) {
    Key key{rule_of(limit_of(LimitKind::kBucket, 3, kSecond)), random() >> random() % 64};
    int admitted = 0;
    for (int j = 0; j < 10; ++j) admitted += key.take(kAt);
    CHECK(admitted <= 3);
  }
}

TEST_CASE("time that steps back refills no bucket, and none waits for a corrected clock") {
  Key key{rule_of(limit_of(LimitKind::kBucket, 10, 10 * kSecond))};
  for (int i = 0; i < 10; ++i) CHECK(key.take(kAt));
  CHECK(!key.take(kAt - 5 * kSecond));
  CHECK(!key.take(kAt));
  CHECK(key.take(kAt + kSecond));
  // A day ahead by mistake, then corrected.
  for (int i = 0; i < 10; ++i) CHECK(key.take(kAt + 86'400 * kSecond));
  Nanos wait = 0;
  CHECK(!key.take(kAt + 3 * kSecond, &wait));
  CHECK(wait == kSecond);
  CHECK(key.take(kAt + 4 * kSecond));
  CHECK(!key.take(kAt + 4 * kSecond));
}

// Sub-slots of 128-bit numbers, each with its own count: what window.hpp packs into a word.
struct WindowModel {
  bool take(Nanos now) {
    const Wide at = Wide{now} / slot;
    if (!counts.empty() && at < counts.back().first - 64) {  // corrected: all count from now on
      const std::uint64_t all = counted();
      counts = {{at, all}};
    }
    const Wide newest = counts.empty() || at > counts.back().first ? at : counts.back().first;
    while (!counts.empty() && counts.front().first <= newest - 5) counts.pop_front();
    if (counted() >= requests) return false;
    if (counts.empty() || counts.back().first != newest) counts.push_back({newest, 0});
    ++counts.back().second;
    return true;
  }
  std::uint64_t counted() const {
    std::uint64_t sum = 0;
    for (const auto& entry : counts) sum += entry.second;
    return sum;
  }
  std::uint64_t requests;
  Wide slot;
  std::deque<std::pair<Wide, std::uint64_t>> counts;
};

TEST_CASE("a window of up to 127 requests equals a model over traces with clock steps") {
  std::mt19937_64 random(3);
  for (std::uint64_t trace = 0; trace < 300; ++trace) {
    const std::uint64_t requests = 1 + random() % 127;
    const Nanos period = 64 + static_cast<Nanos>(random() % (1ull << (20 + trace % 24)));
    Key key{rule_of(limit_of(LimitKind::kWindow, requests, period))};
    REQUIRE(key.rule.window.unit == 1);
    WindowModel model{requests, key.rule.window.slot, {}};
    std::mt19937_64 steps(trace);
    Nanos now = kAt;
    for (int i = 0; i < 800; ++i) {
      const auto slot = static_cast<std::uint64_t>(key.rule.window.slot);
      const std::uint64_t kind = steps() % 100;
      if (kind == 0) now -= static_cast<Nanos>(steps() % (60 * slot));
      if (kind == 1) now -= static_cast<Nanos>(70 * slot + steps() % (1000 * slot));
      if (kind == 2) now += static_cast<Nanos>(steps() % (100 * slot));
      if (kind > 20) now += static_cast<Nanos>(steps() % (8 * slot) / (requests + 1));
      if (now < 0) now = kAt;
      REQUIRE(key.take(now) == model.take(now));
    }
  }
}

TEST_CASE("a window never admits more than its requests in any period") {
  std::mt19937_64 random(4);
  for (const std::uint64_t requests :
       {1ull, 2ull, 99ull, 127ull, 128ull, 129ull, 1'000ull, 16'128ull, 16'129ull, 30'000ull}) {
    const Nanos period = 10 * kSecond;
    Key key{rule_of(limit_of(LimitKind::kWindow, requests, period))};
    std::deque<Nanos> admitted;  // within the last period
    std::deque<Nanos> counted;   // within a period and a sub-slot
    const auto slot = static_cast<Nanos>(key.rule.window.slot);
    CHECK(slot * 16 <= (period / 4 + 1) * 17);
    CHECK(key.rule.window.unit == (requests <= 127      ? 1
                                   : requests <= 16'128 ? (requests + 62) / 63
                                                        : (requests + 30) / 31));
    Nanos now = kAt;
    for (std::uint64_t i = 0; i < 6 * requests + 2000; ++i) {
      if (random() % 1000 == 0) now += static_cast<Nanos>(random() % 20'000) * kMillisecond;
      now += static_cast<Nanos>(random() % (10ull * kSecond / requests));
      while (!admitted.empty() && admitted.front() <= now - period) admitted.pop_front();
      while (!counted.empty() && counted.front() <= now - 5 * slot) counted.pop_front();
      if (key.take(now)) {
        admitted.push_back(now);
        counted.push_back(now);
        REQUIRE(admitted.size() <= requests);
      } else {  // early by no more than a sub-slot and a unit
        REQUIRE(counted.size() + key.rule.window.unit > requests);
      }
    }
  }
}

TEST_CASE("a window says when to come again") {
  Key key{rule_of(limit_of(LimitKind::kWindow, 10, 60 * kSecond))};
  const auto slot = static_cast<Nanos>(key.rule.window.slot);
  const Nanos begin = kAt / slot * slot;
  for (int i = 0; i < 4; ++i) CHECK(key.take(begin + 5));
  for (int i = 0; i < 6; ++i) CHECK(key.take(begin + slot + 5));
  Nanos wait = 0;
  CHECK(!key.take(begin + slot + 10, &wait));
  CHECK(begin + slot + 10 + wait == begin + 5 * slot);
  CHECK(!key.take(begin + 5 * slot - 1));
  for (int i = 0; i < 4; ++i) CHECK(key.take(begin + 5 * slot));
  CHECK(!key.take(begin + 5 * slot, &wait));
  CHECK(wait == slot);
}

TEST_CASE("a window holds at the ends of time and on any bytes") {
  std::mt19937_64 random(5);
  for (const std::uint64_t requests : {1ull, 100ull, 5'000ull, 250'000ull, 58'720'256ull}) {
    const LimitRule rule = rule_of(limit_of(LimitKind::kWindow, requests, 60 * kSecond));
    for (int i = 0; i < 4'000; ++i) {
      Key key{rule, (random() >> random() % 64) & (UINT64_MAX >> 1)};
      const Nanos now = i % 3 == 0 ? INT64_MAX : i % 3 == 1 ? 0 : kAt;
      std::uint64_t admitted = 0;
      while (admitted <= 200 && key.take(now)) ++admitted;
      CHECK(admitted <= requests);
      CHECK(key.state >> 63 == 0);
    }
  }
}

TEST_CASE("what a take took goes back exactly") {
  std::mt19937_64 random(6);
  for (const LimitKind kind : {LimitKind::kBucket, LimitKind::kWindow}) {
    for (const std::uint64_t requests : {1ull, 50ull, 1'000ull}) {
      const LimitRule rule = rule_of(limit_of(kind, requests, 10 * kSecond));
      guard::Word word{0};
      Nanos now = kAt;
      for (int i = 0; i < 2'000; ++i) {
        now += static_cast<Nanos>(random() % (20 * kSecond / requests));
        const std::uint64_t before = word;
        const guard::Taken mine = guard::take(rule, before, 1, now);
        if (!mine.admitted) continue;
        word = mine.next;
        // Somebody else takes in between, and mine goes back: as if only the other had been.
        const guard::Taken other = guard::take(rule, mine.next, 1, now);
        if (random() % 2 == 0 && other.admitted) {
          word = other.next;
          guard::give_back(rule, word, before, mine.next, rule.interval);
          REQUIRE(word == guard::take(rule, before, 1, now).next);
        } else if (random() % 2 == 0) {
          guard::give_back(rule, word, before, mine.next, rule.interval);
          REQUIRE(word == before);
        }
      }
    }
  }
}

TEST_CASE("a limit that cannot be is refused with the reason") {
  const auto text = [](const Limit& limit) {
    Result<LimitRule> rule = compile_limit(limit, 1);
    return rule ? std::string() : rule.error().text();
  };
  const auto contains = [](const std::string& part) { return Catch::Contains(part); };
  CHECK_THAT(text(limit_of(LimitKind::kBucket, 0, kSecond)), contains("requests"));
  CHECK_THAT(text(limit_of(LimitKind::kBucket, 1, 0)), contains("period"));
  CHECK_THAT(text(limit_of(LimitKind::kBucket, 1, -1)), contains("period"));
  CHECK_THAT(text(limit_of(LimitKind::kBucket, 1, INT64_MAX)), contains("period"));
  CHECK_THAT(text(limit_of(LimitKind::kBucket, 1, kSecond, UINT64_MAX)), contains("burst"));
  CHECK_THAT(text(limit_of(LimitKind::kBucket, UINT64_MAX, kSecond)), contains("burst"));
  CHECK_THAT(text(limit_of(LimitKind::kWindow, 58'720'257, kSecond)), contains("WINDOW"));
  CHECK(text(limit_of(LimitKind::kWindow, 58'720'256, kSecond)).empty());
  Limit unlimited;
  unlimited.unlimited = true;
  CHECK(compile_limit(unlimited, 1)->unlimited);
  LimitOverride own;
  own.requests = 3;
  CHECK(compile_limit(limit_of(LimitKind::kBucket, 0, kSecond), own, 1)->ahead == 999'999'999 + 3);
  own.unlimited = true;
  CHECK(compile_limit(limit_of(LimitKind::kBucket, 1, kSecond), own, 1)->unlimited);
}

TEST_CASE("limits that differ in anything share no state") {
  const Limit base = limit_of(LimitKind::kBucket, 10, kSecond, 5);
  const std::uint64_t signature = rule_of(base).signature;
  CHECK(rule_of(base).signature == signature);
  for (int i = 0; i < 6; ++i) {
    Limit other = base;
    if (i == 0) other.requests = 11;
    if (i == 1) other.period = 2 * kSecond;
    if (i == 2) other.burst = 6;
    if (i == 3) other.per = LimitPer::kKeyAndResource;
    if (i == 4) other.plan = "starter";
    if (i == 5) other.kind = LimitKind::kWindow;
    CHECK(rule_of(other).signature != signature);
  }
}

}  // namespace
