// Mapping files for tests.
#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cellroute/mapping_file.hpp"
#include "mapping/builder.hpp"
#include "mapping/line_table.hpp"
#include "mapping_file_bytes.hpp"
#include "store_fixtures.hpp"

namespace cellroute::testing {

// A record as the builder takes it, with its own memory.
struct Mapping {
  std::string key;
  std::string cell;
  std::optional<MappedProfile> profile = {};
  std::uint64_t epoch = 1;
  std::uint64_t revision = 0;
  MigrationState state = MigrationState::kStable;
  Nanos expires = 0;
  bool deleted = false;

  FileRecord record(std::uint64_t number) const {
    return {key,     cell,  profile ? &*profile : nullptr, epoch, revision, state, expires,
            deleted, number};
  }
};

inline constexpr FileBuildOptions kFileOptions{.seed = 0x5eed, .generation = 7, .now = 1'000};

inline Result<FileBuildReport> try_build(const std::string& path,
                                         const std::vector<Mapping>& mappings,
                                         const std::vector<FeedCursor>& feeds = {},
                                         const FileBuildOptions& options = kFileOptions,
                                         mapping::ChooseLayout choose = mapping::choose_layout) {
  auto builder = mapping::create_builder(path, options, choose);
  if (!builder.ok()) return builder.error();
  std::uint64_t number = 0;
  for (const Mapping& one : mappings) {
    if (Error error = (*builder)->add(one.record(++number)); !error.ok()) return error;
  }
  for (const FeedCursor& feed : feeds) {
    if (Error error = (*builder)->add_feed(feed); !error.ok()) return error;
  }
  return (*builder)->finish([](std::uint64_t) {});
}

inline FileBytes bytes_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  const auto* const begin = reinterpret_cast<const std::byte*>(text.data());
  return {begin, begin + text.size()};
}

inline void write_bytes(const std::string& path, const FileBytes& bytes) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

// A small file with something of everything: plain keys, keys kept aside for each of the reasons
// that a record may give, keys with NUL and of every length modulo 8, three profiles, two feeds.
inline std::vector<Mapping> small_mappings() {
  std::vector<Mapping> mappings;
  for (int i = 0; i < 24; ++i) {
    mappings.push_back(
        {"customer-" + std::string(static_cast<std::size_t>(i % 8), 'x') + std::to_string(i),
         i % 3 == 0 ? "eu-1" : "us-" + std::to_string(i % 2)});
    mappings.back().epoch = i % 5 == 0 ? 0 : 1;
  }
  mappings[1].profile = MappedProfile{"retail", "eu-west-1", "starter", {"PII", "EU"}};
  mappings[2].profile = MappedProfile{"", "", "", {}};
  mappings[3].epoch = 2;
  mappings[4].epoch = ~std::uint64_t{0};
  mappings[5].state = MigrationState::kCopying;
  mappings[6].state = MigrationState::kFrozen;
  mappings[7].expires = 2'000;
  mappings[8].key = std::string("a\0b", 3);
  mappings[9].key = std::string(kMaxKeyBytes, 'k');
  mappings[9].epoch = 3;
  mappings[10].key = std::string(1, '\0');
  return mappings;
}

inline std::vector<FeedCursor> small_feeds() {
  return {{"lmdb:mappings", std::string("\0\1cursor", 8)}, {"another", ""}};
}

// What a file must say of a record that it holds.
inline FileAnswer expected(const MappingFile& file, Mapping mapping) {
  FileAnswer answer{Answer::kFound, mapping.state, 0, 0, mapping.epoch, mapping.expires};
  const auto cell = std::find(file.cells().begin(), file.cells().end(), mapping.cell);
  answer.cell = static_cast<std::uint32_t>(cell - file.cells().begin());
  if (mapping.profile) {
    std::sort(mapping.profile->flags.begin(), mapping.profile->flags.end());
  }
  const auto& profiles = file.profiles();
  const auto profile = std::find(profiles.begin(), profiles.end(), mapping.profile);
  answer.profile = static_cast<std::uint32_t>(profile - profiles.begin());
  return answer;
}

inline std::shared_ptr<const MappingFile> open_file(const std::string& path, bool copy = false) {
  return must(MappingFile::open(path, {.copy = copy}));
}

}  // namespace cellroute::testing
