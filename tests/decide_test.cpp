// What most requests need is decided inline, the rest in full: both must answer alike.
#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <vector>

#include "decide_fixture.hpp"

namespace {

using namespace routing;

TEST_CASE("decide: the inlined way and the full one answer alike, whatever the guards say") {
  std::mt19937_64 random(20);
  int refused = 0;
  int denied = 0;
  for (int round = 0; round < 60; ++round) {
    const Topology made = pinned(random);
    const std::vector<MappingRecord> mappings{record("k3", "c1"), record("k4", "c0", 7),
                                              record("k5", "gone")};
    Served inlined(made, mappings);
    Served full(made, mappings);
    std::vector<Decision> open_inlined, open_full;
    Nanos now = kNow;
    for (int i = 0; i < 300; ++i) {
      now += static_cast<Nanos>(random() % 40) * kMillisecond;
      const std::string key = "k" + std::to_string(random() % 12);
      Ask ask;
      ask.access = random() % 2 != 0 ? Access::kRead : Access::kWrite;
      ask.risk = static_cast<double>(random() % 11) / 10;
      if (random() % 8 == 0) ask.flags = {"HIGH_RISK"};
      if (random() % 16 == 0) ask.region = "eu";  // where no cell is
      Ask ask_in_full = ask;
      ask_in_full.tried = {kNobody};
      const Decision looked = inlined.place(key, ask, now);
      REQUIRE(same(looked, full.place(key, ask_in_full, now)));
      const Decision a = inlined.route(key, ask, now);
      const Decision b = full.route(key, ask_in_full, now);
      REQUIRE(same(a, b));
      refused += a.status == Status::kUnavailable || a.status == Status::kRateLimited;
      denied += a.status == Status::kCompliance || a.status == Status::kNoEligibleCell;
      if (!a.ticket.empty()) {
        open_inlined.push_back(a);
        open_full.push_back(b);
      }
      if (open_inlined.empty() || random() % 3 == 0) continue;
      const std::size_t at = random() % open_inlined.size();
      const CallReport report{CallEnd::kAnswered,
                              static_cast<std::uint16_t>(random() % 3 == 0 ? 503 : 200), false};
      inlined->report(open_inlined[at].ticket, report, now);
      full->report(open_full[at].ticket, report, now);
      open_inlined.erase(open_inlined.begin() + static_cast<std::ptrdiff_t>(at));
      open_full.erase(open_full.begin() + static_cast<std::ptrdiff_t>(at));
    }
  }
  CHECK(refused > 1000);  // or the guards were not at work
  CHECK(denied > 200);
}

TEST_CASE("decide: the least risk above a threshold is what rounding to billionths says") {
  const auto above = [](double risk, std::uint32_t threshold) {
    return risk * 1e9 + 0.5 >= static_cast<double>(threshold) + 1;
  };
  std::mt19937_64 random(4);
  for (int i = 0; i < 2000; ++i) {
    const auto threshold = static_cast<std::uint32_t>(random() % 1'000'000'001);
    const double least = least_above(threshold);
    REQUIRE(above(least, threshold));
    REQUIRE(!above(std::nextafter(least, 0.0), threshold));
  }
  CHECK(0.3 < least_above(300'000'000));
  CHECK(0.1 + 0.2 < least_above(300'000'000));  // a little more than 0.3, and it means 0.3
  CHECK(0.300000001 >= least_above(300'000'000));
  CHECK(1.0 < least_above(1'000'000'000));  // the default is never exceeded
}

}  // namespace
