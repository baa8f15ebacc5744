// What goes into a mapping file comes out of it, for any set of records, in any order.
#include "cellroute/mapping_file.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "cellroute/hash.hpp"
#include "mapping_file_fixtures.hpp"
#include "store_records.hpp"

namespace cellroute {
namespace {

using namespace testing;

std::string key_of(std::uint64_t i) { return "tenant-" + std::to_string(mix(i)); }

// Like the records of a fleet: some cells, some profiles, a few that have moved.
std::vector<Mapping> random_mappings(std::mt19937_64& random, std::size_t count) {
  std::vector<Mapping> mappings;
  const std::uint64_t cells = 1 + random() % 40;
  const std::uint64_t profiles = 1 + random() % 9;
  for (std::size_t i = 0; i < count; ++i) {
    Mapping& one = mappings.emplace_back();
    one.key = key_of(i);
    one.cell = "cell-" + std::to_string(random() % cells);
    const std::uint64_t profile = random() % profiles;
    if (profile > 0) {
      one.profile = MappedProfile{"tier-" + std::to_string(profile), "", "", {}};
      if (profile % 2 == 0) one.profile->flags = {"PII"};
    }
    one.epoch = random() % 2;
    if (random() % 8 == 0) one.epoch = random() % 7;
    if (random() % 32 == 0) one.state = static_cast<MigrationState>(random() % 4);
    if (random() % 32 == 0) one.expires = static_cast<Nanos>(1'001 + random() % 1'000);
  }
  return mappings;
}

void check_all(const MappingFile& file, const std::vector<Mapping>& mappings) {
  std::vector<std::string_view> keys;
  for (const Mapping& one : mappings) keys.push_back(one.key);
  std::vector<FileAnswer> batch(keys.size());
  file.find(keys, batch);
  for (std::size_t i = 0; i < mappings.size(); ++i) {
    const FileAnswer want = expected(file, mappings[i]);
    if (file.find(keys[i]) != want || batch[i] != want) FAIL("key " << i);
  }
}

TEST_CASE("mapping file: every record of a random set comes out as it went in") {
  const TemporaryDirectory directory;
  const std::string path = directory.path("a.crm");
  std::mt19937_64 random(20'260);
  for (const std::size_t count :
       {1U, 2U, 9U, 10U, 17U, 18U, 19U, 33U, 100U, 1'000U, 5'000U, 40'000U}) {
    CAPTURE(count);
    const std::vector<Mapping> mappings = random_mappings(random, count);
    const FileBuildReport report = must(try_build(path, mappings));
    CHECK(report.keys == count);
    CHECK(report.superseded + report.left_out == 0);
    CHECK(report.bytes == std::filesystem::file_size(path));
    const auto file = open_file(path);
    CHECK(file->keys() == count);
    CHECK(file->generation() == 7);
    CHECK(file->identity_bits() >= 60);
    check_all(*file, mappings);
    check_all(*open_file(path, true), mappings);
    for (std::size_t i = 0; i < 1'000; ++i) {
      if (file->find(key_of(count + i)).answer != Answer::kAbsent) FAIL("an absent key was found");
    }
  }
}

TEST_CASE("mapping file: no record is a file, too") {
  const TemporaryDirectory directory;
  must(try_build(directory.path("a.crm"), {}));
  const auto file = open_file(directory.path("a.crm"));
  CHECK(file->keys() == 0);
  CHECK(file->cells().empty());
  CHECK(file->wrong_hit_odds() == 0);
  CHECK(file->find("anybody").answer == Answer::kAbsent);
  CHECK(file->find("").answer == Answer::kAbsent);
}

TEST_CASE("mapping file: names are sorted, a profile's flags are a set, feeds keep their cursors") {
  const TemporaryDirectory directory;
  std::vector<Mapping> mappings = small_mappings();
  mappings.push_back({"twice", "b", MappedProfile{"t", "", "", {"Z", "A", "Z"}}});
  mappings.push_back({"once", "a", MappedProfile{"t", "", "", {"A", "Z"}}});
  must(try_build(directory.path("a.crm"), mappings, small_feeds()));
  const auto file = open_file(directory.path("a.crm"));
  CHECK(file->cells() == std::vector<std::string>{"a", "b", "eu-1", "us-0", "us-1"});
  CHECK(file->profiles().size() == 4);
  CHECK(file->find("once").profile == file->find("twice").profile);
  CHECK(file->feeds() == std::vector<FeedCursor>{small_feeds()[1], small_feeds()[0]});
}

TEST_CASE("mapping file: what an entry has no room for is kept aside") {
  const TemporaryDirectory directory;
  const std::vector<Mapping> mappings = small_mappings();
  const FileBuildReport report = must(try_build(directory.path("a.crm"), mappings));
  CHECK(report.aside == 6);
  const auto file = open_file(directory.path("a.crm"));
  CHECK(file->keys_aside() == 6);
  check_all(*file, mappings);
}

// tests/data/small.crm is read by mapping_file_golden_test.cpp, too. Where this fails, files that
// are in use are no longer what the builder writes: format.hpp's kVersion must rise.
TEST_CASE("mapping file: the builder writes the golden file") {
  const TemporaryDirectory directory;
  must(try_build(directory.path("a.crm"), small_mappings(), small_feeds()));
  CHECK(bytes_of(directory.path("a.crm")) ==
        bytes_of(CELLROUTE_SOURCE_DIR "/tests/data/small.crm"));
}

TEST_CASE("mapping file: equal records in any order and an equal seed give equal bytes") {
  const TemporaryDirectory directory;
  std::mt19937_64 random(7);
  std::vector<Mapping> mappings = random_mappings(random, 20'000);
  must(try_build(directory.path("a.crm"), mappings, small_feeds()));
  const FileBytes first = bytes_of(directory.path("a.crm"));
  std::shuffle(mappings.begin(), mappings.end(), random);
  must(try_build(directory.path("a.crm"), mappings, {small_feeds()[1], small_feeds()[0]}));
  CHECK(bytes_of(directory.path("a.crm")) == first);
  FileBuildOptions other = kFileOptions;
  ++other.seed;
  must(try_build(directory.path("a.crm"), mappings, small_feeds(), other));
  CHECK(bytes_of(directory.path("a.crm")) != first);
  check_all(*open_file(directory.path("a.crm")), mappings);
}

TEST_CASE("mapping file: of a key's records the newest counts, whatever order they come in") {
  const TemporaryDirectory directory;
  const std::string path = directory.path("a.crm");
  const auto with = [](std::string cell, std::uint64_t epoch, std::uint64_t revision) {
    Mapping one{"k", std::move(cell)};
    one.epoch = epoch;
    one.revision = revision;
    return one;
  };
  std::vector<Mapping> records{with("a", 1, 9), with("b", 2, 1), with("c", 2, 2), with("c", 2, 2)};
  do {
    const FileBuildReport report = must(try_build(path, records));
    CHECK(report.keys == 1);
    CHECK(report.superseded == 3);
    const auto file = open_file(path);
    const FileAnswer answer = file->find("k");
    CHECK(file->cells()[answer.cell] == "c");
    CHECK(answer.epoch == 2);
  } while (std::next_permutation(records.begin(), records.end(), [](const auto& a, const auto& b) {
    return std::tie(a.epoch, a.revision) < std::tie(b.epoch, b.revision);
  }));
  records.push_back(with("", 3, 1));
  records.back().deleted = true;
  const FileBuildReport gone = must(try_build(path, records));
  CHECK(gone.keys == 0);
  CHECK(gone.left_out == 1);
  CHECK(open_file(path)->find("k").answer == Answer::kAbsent);
}

TEST_CASE("mapping file: two records of one epoch and revision that differ are an error") {
  const TemporaryDirectory directory;
  std::vector<Mapping> records = small_mappings();
  records.push_back(records[3]);
  CHECK(must(try_build(directory.path("a.crm"), records)).superseded == 1);
  records.back().cell = "elsewhere";
  const auto result = try_build(directory.path("b.crm"), records);
  REQUIRE(code_of(result) == ErrorCode::kInvalidArgument);
  CHECK_THAT(result.error().text(), Catch::Contains("records 4 and 25"));
  CHECK_FALSE(std::filesystem::exists(directory.path("b.crm")));
}

TEST_CASE("mapping file: what has expired when it is built is left out") {
  const TemporaryDirectory directory;
  std::vector<Mapping> records{{"gone", "a"}, {"stays", "a"}};
  records[0].expires = kFileOptions.now;
  records[1].expires = kFileOptions.now + 1;
  CHECK(must(try_build(directory.path("a.crm"), records)).left_out == 1);
  const auto file = open_file(directory.path("a.crm"));
  CHECK(file->find("gone").answer == Answer::kAbsent);
  CHECK(file->find("stays").expires == kFileOptions.now + 1);
}

TEST_CASE("mapping file: records that break a rule are refused with its text") {
  const TemporaryDirectory directory;
  const auto code = [&](const Mapping& record) {
    return code_of(try_build(directory.path("a.crm"), {record}));
  };
  CHECK(code({"", "a"}) == ErrorCode::kInvalidArgument);
  CHECK(code({std::string(kMaxKeyBytes + 1, 'k'), "a"}) == ErrorCode::kInvalidArgument);
  CHECK(code({"k", ""}) == ErrorCode::kInvalidArgument);
  CHECK(code({"k", "a,b"}) == ErrorCode::kInvalidArgument);
  CHECK(code({"k", "a", MappedProfile{"{", "", "", {}}}) == ErrorCode::kInvalidArgument);
  CHECK(code({"k", "a", MappedProfile{"", "", "", std::vector<std::string>(17, "f")}}) ==
        ErrorCode::kInvalidArgument);
  Mapping expires{"k", "a"};
  expires.expires = -1;
  CHECK(code(expires) == ErrorCode::kInvalidArgument);
  Mapping state{"k", "a"};
  state.state = static_cast<MigrationState>(4);
  CHECK(code(state) == ErrorCode::kInvalidArgument);
  CHECK(code({"k", "a"}) == ErrorCode::kOk);
}

TEST_CASE("mapping file: bounds on names and feeds are refused, and reached") {
  const TemporaryDirectory directory;
  const auto named = [](std::uint32_t cells) {
    std::vector<Mapping> mappings;
    for (std::uint32_t i = 0; i < cells; ++i) {
      mappings.push_back({"k" + std::to_string(i), "c" + std::to_string(i),
                          MappedProfile{"t" + std::to_string(i), "", "", {}}});
    }
    return mappings;
  };
  const std::vector<Mapping> most = named(crm::kMaxCells);
  must(try_build(directory.path("a.crm"), most));
  const auto file = open_file(directory.path("a.crm"));
  CHECK(file->header().code_bits == 17);
  CHECK(file->header().profile_bits == 16);
  for (std::size_t i = 0; i < most.size(); i += 199) {
    if (file->find(most[i].key) != expected(*file, most[i])) FAIL("key " << i);
  }
  CHECK(code_of(try_build(directory.path("a.crm"), named(crm::kMaxCells + 1))) ==
        ErrorCode::kRefused);
  std::vector<FeedCursor> feeds;
  for (char c = 'a'; c < 'a' + 16; ++c)
    feeds.push_back({std::string(512, c), std::string(4096, c)});
  must(try_build(directory.path("a.crm"), {}, feeds));
  CHECK(open_file(directory.path("a.crm"))->feeds() == feeds);
  feeds.push_back({"z", ""});
  CHECK(code_of(try_build(directory.path("a.crm"), {}, feeds)) == ErrorCode::kRefused);
  for (const FeedCursor& bad :
       {FeedCursor{"", ""}, {std::string(513, 'f'), ""}, {"f", std::string(4097, 'c')}}) {
    CHECK(code_of(try_build(directory.path("a.crm"), {}, {bad})) == ErrorCode::kInvalidArgument);
  }
  CHECK(code_of(try_build(directory.path("a.crm"), {}, {feeds[0], feeds[0]})) ==
        ErrorCode::kInvalidArgument);
}

// The narrowest fingerprints there are, so that chance makes keys collide.
crm::Layout narrow(std::uint64_t keys, std::uint32_t, std::uint32_t) {
  crm::Layout layout;
  layout.lines = keys / 8 + 1;
  layout.code_bits = 17;
  layout.profile_bits = 16;
  return layout;
}

// What a look-up can tell keys apart by.
std::tuple<std::uint64_t, std::uint64_t> identity(const crm::Layout& layout,
                                                  const std::string& key) {
  const crm::KeyHash hash = crm::hash_key(kFileOptions.seed, key);
  const std::uint64_t first = layout.first_line(hash);
  const std::uint64_t second = layout.other_line(first, layout.fingerprint(hash));
  return {layout.fingerprint(hash), std::min(first, second)};
}

TEST_CASE("mapping file: keys that a look-up would confuse are each found as themselves") {
  const crm::Layout layout = narrow(16, 1, 1);
  REQUIRE(layout.lines == 3);
  REQUIRE(layout.fingerprint_bits() == crm::kMinFingerprintBits);
  std::map<std::tuple<std::uint64_t, std::uint64_t>, std::vector<std::string>> groups;
  for (std::uint64_t i = 0; i < 1 << 16; ++i)
    groups[identity(layout, key_of(i))].push_back(key_of(i));
  std::vector<Mapping> mappings;
  std::vector<std::string> absent;  // confused with a member, and none
  for (const auto& [id, keys] : groups) {
    if (keys.size() < 2 || mappings.size() == 16) continue;
    const bool both = mappings.size() < 12;
    mappings.push_back({keys[0], "a" + std::to_string(mappings.size())});
    if (both) mappings.push_back({keys[1], "a" + std::to_string(mappings.size())});
    if (!both) absent.push_back(keys[1]);
    if (both && keys.size() > 2) absent.push_back(keys[2]);
  }
  REQUIRE(mappings.size() == 16);
  const TemporaryDirectory directory;
  const auto report = must(try_build(directory.path("a.crm"), mappings, {}, kFileOptions, narrow));
  CHECK(report.aside == 12);
  const auto file = open_file(directory.path("a.crm"));
  REQUIRE(file->header().lines == 3);
  CHECK(file->header().entries == 6 + 4);
  check_all(*file, mappings);
  // That is what the identity does not tell apart, and what info states the odds of.
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(file->find(absent[absent.size() - 1 - i]).answer == Answer::kFound);
  }
  CHECK(file->identity_bits() == Approx(22 + std::log2(3) - 1));
}

TEST_CASE("mapping file: a wrong hit is as rare as the file says") {
  const TemporaryDirectory directory;
  std::mt19937_64 random(3);
  must(try_build(directory.path("a.crm"), random_mappings(random, 20'000), {}, kFileOptions,
                 narrow));
  const auto file = open_file(directory.path("a.crm"));
  constexpr std::uint64_t kAsked = 4'000'000;
  std::uint64_t wrong = 0;
  for (std::uint64_t i = 0; i < kAsked; ++i) {
    wrong += file->find(key_of(1'000'000 + i)).answer == Answer::kAbsent ? 0U : 1U;
  }
  const double mean = file->wrong_hit_odds() * static_cast<double>(kAsked);  // 15
  CHECK(mean == Approx(15).margin(2));
  CHECK(std::abs(static_cast<double>(wrong) - mean) < 4 * std::sqrt(mean));
}

TEST_CASE("mapping file: keys that do not fit get more lines") {
  const TemporaryDirectory directory;
  std::mt19937_64 random(5);
  const std::vector<Mapping> mappings = random_mappings(random, 400);
  const auto cramped = [](std::uint64_t keys, std::uint32_t cells, std::uint32_t profiles) {
    crm::Layout layout = mapping::choose_layout(keys, cells, profiles);
    layout.lines = keys / layout.entries_a_line() - 3;
    return layout;
  };
  must(try_build(directory.path("a.crm"), mappings, {}, kFileOptions, cramped));
  check_all(*open_file(directory.path("a.crm")), mappings);
  const auto hopeless = [](std::uint64_t keys, std::uint32_t cells, std::uint32_t profiles) {
    crm::Layout layout = mapping::choose_layout(keys, cells, profiles);
    layout.lines = 1;
    return layout;
  };
  const auto result = try_build(directory.path("b.crm"), mappings, {}, kFileOptions, hopeless);
  CHECK(code_of(result) == ErrorCode::kRefused);
}

TEST_CASE("mapping file: layouts keep what the design promises") {
  const crm::Layout hundred_million = mapping::choose_layout(100'000'000, 1'000, 64);
  CHECK(hundred_million.entry_bytes == crm::kNineBytes);
  CHECK(hundred_million.identity_bits() > 61);
  CHECK(static_cast<double>(hundred_million.lines) * 64 / 100'000'000 < 7.5);
  for (std::uint64_t keys = 1; keys < 1'000'000'000; keys = keys * 3 + 1) {
    CHECK(mapping::choose_layout(keys, 1'000, 64).identity_bits() >= 60);
    CHECK(mapping::choose_layout(keys, 65'535, 65'535).lines <=
          std::max<std::uint64_t>(1 << 18, keys));
  }
  CHECK(mapping::choose_layout(1, 1, 1).lines == 1);
}

TEST_CASE("mapping file: a store's records come in with the cursor of its feed") {
  const TemporaryDirectory directory;
  for (const StoreKind& kind : store_kinds()) {
    CAPTURE(kind);
    const TemporaryDirectory place;
    const auto store = kind.open(place.path());
    for (int i = 0; i < 300; ++i) {
      MappingRecord record = plain_record("key-" + std::to_string(i), i % 2 == 0 ? "a" : "b");
      must(store->put_if(record, 0));
      if (i % 3 == 0) {
        record.epoch = 4;
        record.cell = "c";
        record.op_id = next_op_id();
        must(store->put_if(record, 1));
      }
      if (i % 10 == 0) {
        record.deleted = true;
        record.op_id = next_op_id();
        must(store->put_if(record, i % 3 == 0 ? 2 : 1));
      }
    }
    auto builder = must(FileBuilder::create(directory.path("a.crm"), kFileOptions));
    std::uint64_t seen = 0;
    const auto count = [&](const std::vector<MappingRecord>& page) {
      seen += page.size();
      return Error();
    };
    REQUIRE(add_store(*builder, *store, "feed", 0, count).ok());
    CHECK(seen >= 300);
    const FileBuildReport report = must(builder->finish([](std::uint64_t) {}));
    CHECK(report.keys == 270);
    const auto file = open_file(directory.path("a.crm"));
    for (int i = 0; i < 300; ++i) {
      const FileAnswer answer = file->find("key-" + std::to_string(i));
      if (i % 10 == 0) {
        CHECK(answer.answer == Answer::kAbsent);
        continue;
      }
      REQUIRE(answer.answer == Answer::kFound);
      CHECK(file->cells()[answer.cell] == (i % 3 == 0 ? "c" : i % 2 == 0 ? "a" : "b"));
      CHECK(answer.epoch == (i % 3 == 0 ? 4U : 1U));
    }
    // What the feed tells from there on is what came later, and nothing else.
    must(store->put_if(plain_record("later"), 0));
    REQUIRE(file->feeds().size() == 1);
    CHECK(file->feeds()[0].feed == "feed");
    const Page later = must(store->changes(file->feeds()[0].cursor, 10));
    REQUIRE(later.records.size() == 1);
    CHECK(later.records[0].key == "later");
  }
}

}  // namespace
}  // namespace cellroute
