// A mapping file that was written once and must be read the same for ever, on every platform and by
// every compiler.
#include <catch2/catch.hpp>
#include <string>
#include <string_view>

#include "cellroute/mapping_file.hpp"

namespace cellroute {
namespace {

struct Golden {
  std::string key;
  std::string_view cell;
  std::uint32_t profile;
  std::uint64_t epoch;
  MigrationState state = MigrationState::kStable;
  Nanos expires = 0;
};

TEST_CASE("golden: the mapping file") {
  const auto opened = MappingFile::open(CELLROUTE_SOURCE_DIR "/tests/data/small.crm");
  REQUIRE(opened.ok());
  const MappingFile& file = **opened;
  CHECK(file.bytes() == 2'280);
  CHECK(file.generation() == 7);
  CHECK(file.keys() == 24);
  CHECK(file.keys_aside() == 6);
  CHECK(file.cells() == std::vector<std::string>{"eu-1", "us-0", "us-1"});
  REQUIRE(file.profiles().size() == 3);
  CHECK_FALSE(file.profiles()[0].has_value());
  CHECK(file.profiles()[1] == MappedProfile{});
  CHECK(file.profiles()[2] == MappedProfile{"retail", "eu-west-1", "starter", {"EU", "PII"}});
  CHECK(file.feeds() ==
        std::vector<FeedCursor>{{"another", ""}, {"lmdb:mappings", std::string("\0\1cursor", 8)}});
  const Golden goldens[] = {
      {"customer-0", "eu-1", 0, 0},
      {"customer-x1", "us-1", 2, 1},
      {"customer-xx2", "us-0", 1, 1},
      {"customer-xxx3", "eu-1", 0, 2},
      {"customer-xxxx4", "us-0", 0, ~std::uint64_t{0}},
      {"customer-xxxxx5", "us-1", 0, 0, MigrationState::kCopying},
      {"customer-xxxxxx6", "eu-1", 0, 1, MigrationState::kFrozen},
      {"customer-xxxxxxx7", "us-1", 0, 1, MigrationState::kStable, 2'000},
      {std::string("a\0b", 3), "us-0", 0, 1},
      {std::string(1024, 'k'), "eu-1", 0, 3},
      {std::string(1, '\0'), "us-0", 0, 0},
      {"customer-xxx11", "us-1", 0, 1},
      {"customer-xxxxxxx23", "us-1", 0, 1},
  };
  for (const Golden& golden : goldens) {
    CAPTURE(golden.key);
    const FileAnswer answer = file.find(golden.key);
    REQUIRE(answer.answer == Answer::kFound);
    CHECK(file.cells()[answer.cell] == golden.cell);
    CHECK(answer.profile == golden.profile);
    CHECK(answer.epoch == golden.epoch);
    CHECK(answer.state == golden.state);
    CHECK(answer.expires == golden.expires);
  }
  CHECK(file.find("customer-24").answer == Answer::kAbsent);
  CHECK(file.find("a").answer == Answer::kAbsent);
}

// The first line of a key, and what the second one and the entry are made of.
TEST_CASE("golden: where a key lies in a mapping file") {
  crm::Layout layout;
  layout.lines = 11'695'907;
  layout.code_bits = 10;
  layout.profile_bits = 6;
  const crm::KeyHash hash = crm::hash_key(42, "customer-000000042");
  const std::uint64_t fingerprint = layout.fingerprint(hash);
  const std::uint64_t first = layout.first_line(hash);
  const std::uint64_t second = layout.other_line(first, fingerprint);
  CHECK(hash.place == 0x30078b4e8a9f72ee);
  CHECK(hash.mark == 0xfe56e2102dc427bc);
  CHECK(fingerprint == 0x7f2b710816);
  CHECK(first == 2'194'328);
  CHECK(second == 53'113);
  CHECK(layout.other_line(second, fingerprint) == first);
  CHECK(crm::make_entry(layout, fingerprint, {7, 5, 1}) == 0xfe56e2102c038b);
  CHECK(layout.identity_bits() > 61.47);
}

}  // namespace
}  // namespace cellroute
