// Routing by a mapping file as the base, with changes laid over it.
#include <algorithm>
#include <atomic>
#include <random>
#include <thread>

#include "cellroute/explain.hpp"
#include "decide_fixture.hpp"
#include "mapping_file_fixtures.hpp"

namespace {

using namespace routing;
using testing::Mapping;

// A mapping file of these records, opened.
std::shared_ptr<const MappingFile> base_of(const std::vector<Mapping>& mappings,
                                           std::uint64_t generation = 1) {
  const testing::TemporaryDirectory directory;
  const std::string path = directory.path("base.crm");
  testing::must(
      testing::try_build(path, mappings, {}, {.seed = 99, .generation = generation, .now = 0}));
  return testing::open_file(path);
}

void serve(Served& served, const std::shared_ptr<const MappingFile>& base,
           const std::vector<MappingRecord>& changes = {}) {
  const auto compiled = served->snapshot()->shared_compiled();
  const Error error = served->publish(compiled, base, changes);
  INFO(error.text());
  REQUIRE(error.ok());
}

// A change to "k", the next after those of a base.
MappingRecord change(std::string cell, std::uint64_t epoch, std::uint64_t revision = 2) {
  MappingRecord made = record("k", std::move(cell), epoch);
  made.revision = revision;
  return made;
}

TEST_CASE("a key of the base goes to its cell, with its epoch") {
  Served served(topology(four_cells()));
  serve(served,
        base_of({{"k", "r-eu-1"}, {"placed", "r-us-2", {}, 0}, {"moved", "r-us-1", {}, 7}}));
  const Decision decision = served.route("k");
  CHECK(said(decision) == "OK MAPPED");
  CHECK(served.cell_of(decision) == "r-eu-1");
  CHECK(decision.epoch == 1);
  CHECK(served.route("placed").epoch == 0);
  CHECK(served.cell_of(served.route("moved")) == "r-us-1");
  CHECK(served.route("moved").epoch == 7);
  CHECK(said(served.route("nobody")) == "OK PLACED");
}

TEST_CASE("a change since the base wins, a tombstone hides it") {
  Served served(topology(four_cells()));
  const auto base = base_of({{"k", "r-eu-1"}, {"other", "r-eu-1"}});
  serve(served, base, {change("r-us-2", 2)});
  CHECK(served.cell_of(served.route("k")) == "r-us-2");
  CHECK(served.route("k").epoch == 2);
  CHECK(served.cell_of(served.route("other")) == "r-eu-1");

  MappingRecord gone = change("r-us-2", 2, 3);
  gone.deleted = true;
  serve(served, base, {change("r-us-2", 2), gone});
  CHECK(said(served.route("k")) == "OK PLACED");
  serve(served, base);
  CHECK(served.cell_of(served.route("k")) == "r-eu-1");
}

TEST_CASE("of the changes of a key the newest counts, in whatever order they come") {
  Served served(topology(four_cells()));
  const auto base = base_of({{"k", "r-eu-1"}});
  std::vector<MappingRecord> changes = {change("r-us-1", 2, 4), change("r-us-2", 3, 5),
                                        change("p-us-1", 3, 6)};
  std::sort(changes.begin(), changes.end(),
            [](const MappingRecord& a, const MappingRecord& b) { return a.revision < b.revision; });
  do {
    serve(served, base, changes);
    CHECK(served.cell_of(served.route("k")) == "p-us-1");
  } while (std::next_permutation(
      changes.begin(), changes.end(),
      [](const MappingRecord& a, const MappingRecord& b) { return a.revision < b.revision; }));
}

TEST_CASE("what expires is ABSENT from its time on, in the base and in a change") {
  Served served(topology(four_cells()));
  Mapping brief{"k", "r-eu-1"};
  brief.expires = kNow + kSecond;
  serve(served, base_of({brief}));
  CHECK(said(served.route("k", {}, kNow + kSecond - 1)) == "OK MAPPED");
  CHECK(said(served.route("k", {}, kNow + kSecond)) == "OK PLACED");

  MappingRecord longer = change("r-us-1", 2);
  longer.ephemeral = true;
  longer.expires = kNow + 2 * kSecond;
  serve(served, base_of({brief}), {longer});
  CHECK(said(served.route("k", {}, kNow + 2 * kSecond - 1)) == "OK MAPPED");
  // The change hides the base for good: its record is the older one.
  CHECK(said(served.route("k", {}, kNow + 2 * kSecond)) == "OK PLACED");
}

TEST_CASE("profiles, states and cells of the base are judged by the topology") {
  Served served(topology(four_cells()));
  std::vector<Mapping> mappings = {
      {"gone", "r-gone-1"},
      {"resident", "r-us-1", MappedProfile{"", "", "", {"EU_RESIDENT"}}},
      {"unknown", "r-us-1", MappedProfile{"gold", "", "", {}}},
      {"frozen", "r-us-1"}};
  mappings[3].state = MigrationState::kFrozen;
  serve(served, base_of(mappings));
  CHECK(said(served.route("gone")) == "UNAVAILABLE MAPPED_CELL_UNKNOWN");
  CHECK(said(served.route("resident")) == "COMPLIANCE MAPPED_CELL_BREAKS_FLAGS");
  CHECK(said(served.route("unknown")) == "COMPLIANCE MAPPED_PROFILE_UNKNOWN");
  CHECK(said(served.route("frozen")) == "MIGRATING FROZEN");
  // A topology that has the cell serves the same base.
  std::vector<Cell> cells = four_cells();
  cells.push_back(cell("r-gone-1", "retail", "us"));
  Topology next = topology(cells);
  next.generation = 2;
  const auto compiled = testing::must(compile(next));
  REQUIRE(served->publish(compiled, served->snapshot()->base(), {}, {100, 100, true}).ok());
  CHECK(served.cell_of(served.route("gone")) == "r-gone-1");
}

TEST_CASE("a base that is older or lost too many keys is refused, and what served serves on") {
  Served served(topology(four_cells()));
  std::vector<Mapping> ten;
  for (int i = 0; i < 10; ++i) ten.push_back({"k" + std::to_string(i), "r-eu-1"});
  serve(served, base_of(ten, 5));
  const auto compiled = served->snapshot()->shared_compiled();
  const auto refused = [&](const std::shared_ptr<const MappingFile>& base,
                           const PublishOptions& options = {}) {
    const Error error = served->publish(compiled, base, {}, options);
    if (!error.ok()) CHECK(error.code() == ErrorCode::kRefused);
    return error.text();
  };
  CHECK(refused(base_of(ten, 4)) ==
        "the mapping file of generation 4 is older than that of 5, which serves");
  const std::vector<Mapping> nine(ten.begin(), ten.begin() + 9);
  const std::vector<Mapping> eight(ten.begin(), ten.begin() + 8);
  CHECK(refused(base_of(eight, 6)) ==
        "the mapping file of generation 6 has 8 keys, the serving one has 10; the publisher allows "
        "max_keys_lost_percent = 10");
  CHECK_FALSE(refused(base_of({}, 6)).empty());
  CHECK(served->snapshot()->base()->generation() == 5);
  CHECK(refused(base_of(nine, 6)).empty());
  PublishOptions any;
  any.max_keys_lost_percent = 100;
  CHECK(refused(base_of({}, 7), any).empty());
}

TEST_CASE("a batch answers as one call each does, whatever says where a key lives") {
  Served served(topology(four_cells()));
  std::vector<Mapping> mappings;
  std::vector<MappingRecord> changes;
  const auto cells = four_cells();
  for (std::size_t i = 0; i < 300; ++i) {
    const std::string key = "key-" + std::to_string(i);
    if (i % 3 != 0) mappings.push_back({key, cells[i % 4].id, {}, i % 5});
    if (i % 7 == 0) {
      changes.push_back(record(key, cells[i % 3].id, 9));
      changes.back().deleted = i % 2 == 0;
    }
  }
  serve(served, base_of(mappings), changes);
  const auto snapshot = served->snapshot();
  const Mapped own = snapshot->mapped(record("own", "r-us-2", 4));
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < 301; ++i) keys.push_back("key-" + std::to_string(i));
  std::vector<Request> requests(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    requests[i].key = i == 40 ? std::string_view() : keys[i];
    requests[i].profile = snapshot->profile({"retail", "us", {}, {}}).profile;
    requests[i].lane = i == 50 ? 9 : i % 2;
    if (i % 11 == 0) requests[i].mapping = &own;
  }
  for (const std::size_t count : {std::size_t{1}, std::size_t{32}, std::size_t{33}, keys.size()}) {
    std::vector<Decision> decisions(count);
    served->place_batch(std::span(requests).first(count), decisions, kNow);
    for (std::size_t i = 0; i < count; ++i) {
      INFO(i);
      const Decision alone = served->place(requests[i], kNow);
      CHECK(said(decisions[i]) == said(alone));
      CHECK(decisions[i].cell == alone.cell);
      CHECK(decisions[i].epoch == alone.epoch);
    }
  }
}

// The file's look-up and the overlay's are told apart by nothing but their cost.
TEST_CASE("a base decides as the same records laid over nothing do") {
  std::mt19937_64 random(4);
  const auto cells = four_cells();
  std::vector<Mapping> mappings;
  std::vector<MappingRecord> records;
  for (int i = 0; i < 3'000; ++i) {
    Mapping one{"customer-" + std::to_string(random()), cells[random() % 4].id};
    one.epoch = 1 + (random() % 4 == 0 ? random() % 9 : 0);
    if (random() % 3 == 0) {
      one.profile = MappedProfile{"", "", "", {}};
      if (random() % 2 == 0) one.profile->flags = {"EU_RESIDENT"};
    }
    if (random() % 50 == 0) one.state = MigrationState::kFreezing;
    if (random() % 9 == 0) one.expires = kNow + static_cast<Nanos>(random() % 3) - 1;
    mappings.push_back(one);
    records.push_back(record(one.key, one.cell, one.epoch));
    records.back().state = one.state;
    records.back().profile = one.profile;
    records.back().expires = one.expires;
  }
  Served by_base(topology(four_cells()));
  Served by_overlay(topology(four_cells()), records);
  serve(by_base, base_of(mappings));
  for (const Mapping& one : mappings) {
    const Decision a = by_base.place(one.key);
    const Decision b = by_overlay.place(one.key);
    INFO(one.key);
    CHECK(said(a) == said(b));
    CHECK(a.cell == b.cell);
    CHECK(a.epoch == b.epoch);
  }
}

// Mappings of each kind that the base and the changes know, and nothing of every fourth key.
struct AnyMappings {
  explicit AnyMappings(std::mt19937_64& random) {
    const auto name = [&](std::uint64_t i) { return i == 6 ? "gone" : "c" + std::to_string(i); };
    for (int i = 0; i < 48; ++i) {
      const std::string key = "k" + std::to_string(i);
      if (i % 4 != 0) {
        Mapping& one = base.emplace_back(Mapping{key, name(random() % 7)});
        one.epoch = random() % 4 == 0 ? random() % 9 : 1;
        if (random() % 3 == 0) one.profile = MappedProfile{"", "", "", {}};
        if (one.profile && random() % 2 == 0) one.profile->flags = {"HIGH_RISK"};
        if (one.profile && random() % 6 == 0) one.profile->tier = "gold";
        if (random() % 8 == 0) one.state = static_cast<MigrationState>(random() % 4);
        if (random() % 8 == 0) one.expires = kNow + static_cast<Nanos>(random() % 3) * kSecond;
      }
      if (random() % 6 != 0) continue;
      changes.push_back(record(key, name(random() % 7), 20));
      changes.back().deleted = random() % 2 == 0;
    }
  }
  std::vector<Mapping> base;
  std::vector<MappingRecord> changes;
};

// Sound ones, and some that are refused for each of the reasons.
Request any_request(std::mt19937_64& random, const Snapshot& snapshot, const std::string& key,
                    const Mapped& own) {
  static constexpr std::string_view kFlags[] = {"HIGH_RISK"};
  static const std::string too_long(kMaxKeyBytes + 1, 'k');
  const bool flagged = random() % 8 == 0;
  Request request;
  request.key = random() % 64 == 0 ? std::string_view() : std::string_view(key);
  if (random() % 64 == 0) request.key = too_long;
  request.profile =
      snapshot.profile({"retail", "us", {}, std::span(kFlags).first(flagged ? 1 : 0)}).profile;
  if (random() % 64 == 0) request.profile.generation = 0;
  request.risk = static_cast<double>(random() % 12) / 10;
  request.access = random() % 2 == 0 ? Access::kRead : Access::kWrite;
  request.lane = random() % 64 == 0 ? 9 : static_cast<std::uint32_t>(random() % 2);
  if (random() % 16 == 0) request.mapping = &own;
  return request;
}

TEST_CASE("over a base, single calls, batches and the full way decide alike") {
  std::mt19937_64 random(31);
  std::vector<int> seen(1000);
  for (int round = 0; round < 60; ++round) {
    Topology made = pinned(random);
    made.cells[4].state = CellState::kOffline;
    if (round % 2 != 0) made.policy.risk.mode = RiskMode::kRequire;
    if (round % 5 == 1) made.policy.affinity = Affinity::kStateless;
    if (round % 5 == 2) made.policy.unassigned = Unassigned::kReject;
    const AnyMappings mappings(random);
    const auto base = base_of(mappings.base);
    Served single(made), batch(made), full(made);
    for (Served* each : {&single, &batch, &full}) {
      serve(*each, base, round % 3 == 0 ? std::vector<MappingRecord>() : mappings.changes);
    }
    const auto snapshot = single->snapshot();
    const Mapped own = snapshot->mapped(record("own", "c2", 4));
    Nanos now = kNow;
    for (int i = 0; i < 12; ++i) {
      now += static_cast<Nanos>(random() % 400) * kMillisecond;
      std::vector<std::string> keys(1 + random() % 70);
      std::vector<Request> requests;
      for (std::string& key : keys) {
        key = "k" + std::to_string(random() % 48);
        requests.push_back(any_request(random, *snapshot, key, own));
      }
      std::vector<Decision> looked(keys.size()), routed(keys.size());
      batch->place_batch(requests, looked, now);
      for (std::size_t j = 0; j < keys.size(); ++j) {
        REQUIRE(same(looked[j], single->place(requests[j], now)));
      }
      batch->route_batch(requests, routed, now);
      // All are routed before the first is reported, as in the batch.
      std::vector<Decision> alones, in_fulls;
      for (std::size_t j = 0; j < keys.size(); ++j) {
        const Decision alone = single->route(requests[j], now);
        Request tried = requests[j];
        const std::uint32_t nobody = kNobody;
        tried.tried = {&nobody, 1};
        const Decision in_full = full->route(tried, now);
        INFO(said(alone) << " / " << said(in_full) << " / " << said(routed[j]));
        REQUIRE(same(alone, in_full));
        REQUIRE(same(alone, routed[j]));
        ++seen[static_cast<std::size_t>(alone.reason)];
        alones.push_back(alone);
        in_fulls.push_back(in_full);
      }
      for (std::size_t j = 0; j < keys.size(); ++j) {
        if (j % 3 == 0) continue;
        const CallReport report{CallEnd::kAnswered,
                                static_cast<std::uint16_t>(j % 4 == 0 ? 503 : 200), false};
        single->report(alones[j].ticket, report, now);
        full->report(in_fulls[j].ticket, report, now);
        batch->report(routed[j].ticket, report, now);
      }
    }
  }
  for (const Reason reason : {Reason::kPlaced,
                              Reason::kMapped,
                              Reason::kReplica,
                              Reason::kSpilled,
                              Reason::kKeyEmpty,
                              Reason::kKeyTooLong,
                              Reason::kRiskOutOfRange,
                              Reason::kProfileStale,
                              Reason::kLaneOutOfRange,
                              Reason::kMappedCellBreaksFlags,
                              Reason::kMappedCellBreaksRisk,
                              Reason::kMappedProfileUnknown,
                              Reason::kUnassignedRejected,
                              Reason::kCellLimit,
                              Reason::kMappedCellOffline,
                              Reason::kMappedCellUnknown,
                              Reason::kBreakerOpen,
                              Reason::kCellFull,
                              Reason::kFreezing,
                              Reason::kFrozen}) {
    INFO(name(reason));
    CHECK(seen[static_cast<std::size_t>(reason)] > 0);
  }
}

TEST_CASE("a mapped key of the 65th requirement and later ones is judged as those before") {
  Topology made = topology(four_cells());
  made.policy.flags.clear();
  made.certifications.clear();
  for (int i = 0; i < 7; ++i) {
    made.certifications.push_back("C" + std::to_string(i));
    made.policy.flags.push_back({"F" + std::to_string(i), {"C" + std::to_string(i)}, {}, ""});
  }
  made.cells[0].certifications = made.certifications;
  made.cells[1].certifications = {"C0"};
  made.cells[3].certifications.clear();
  Served served(made);
  REQUIRE(served->snapshot()->compiled().requirements().size() > 64);
  serve(served, base_of({{"k", "r-us-1"}, {"lacks", "r-us-2"}}));
  Ask all;
  all.flags = {"F0", "F1", "F2", "F3", "F4", "F5", "F6"};
  CHECK(said(served.route("k", all)) == "OK MAPPED");
  CHECK(said(served.route("lacks", all)) == "COMPLIANCE MAPPED_CELL_BREAKS_FLAGS");
}

TEST_CASE("explain tells a mapping of the base") {
  Served served(topology(four_cells()));
  serve(served, base_of({{"k", "r-eu-1", {}, 3}}));
  Request request;
  request.key = "k";
  request.profile = served->snapshot()->profile({"retail", "us", {}, {}}).profile;
  const Explanation explanation = explain(*served, request, kNow);
  CHECK(explanation.steps[1].text == "FOUND: r-eu-1 since epoch 3");
}

TEST_CASE("bases are swapped under load, and no request sees half of one") {
  Served served(topology(four_cells()));
  const std::vector<std::shared_ptr<const MappingFile>> bases = {base_of({{"k", "r-us-1", {}, 1}}),
                                                                 base_of({{"k", "r-us-2", {}, 2}}),
                                                                 base_of({{"k", "r-eu-1", {}, 3}})};
  serve(served, bases[0]);
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  const auto compiled = served->snapshot()->shared_compiled();
  std::thread reader([&] {
    const std::vector<std::string> expected = {"r-us-1", "r-us-2", "r-eu-1"};
    while (!stop.load()) {
      Request request;
      request.key = "k";
      request.lane = 1;
      request.profile.generation = 1;
      const Decision decision = served->place(request, kNow);
      const bool right = decision.status == Status::kOk && decision.epoch >= 1 &&
                         served.number_of(expected[decision.epoch - 1]) == decision.cell;
      if (!right) ++wrong;
    }
  });
  int swaps = 0;
  for (int i = 0; i < 500; ++i) {
    const Error error = served->publish(compiled, bases[static_cast<std::size_t>(i) % 3], {});
    // On a busy machine the reader may be stopped inside a call for longer than that.
    if (error.code() != ErrorCode::kUnavailable) CHECK(error.ok());
    swaps += error.ok() ? 1 : 0;
  }
  CHECK(swaps > 0);
  stop.store(true);
  reader.join();
  CHECK(wrong.load() == 0);
}

}  // namespace
