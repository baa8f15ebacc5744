// A mapping file in memory: one copy for all processes that map it, or one's own that nothing
// harms.
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "child_process.hpp"
#include "mapping_file_fixtures.hpp"
#include "sanitized.hpp"

namespace cellroute {
namespace {

using namespace testing;

std::vector<Mapping> many(int count) {
  std::vector<Mapping> mappings;
  for (int i = 0; i < count; ++i) mappings.push_back({"key-" + std::to_string(i), "a"});
  return mappings;
}

// Of this process's mappings of the file, in KiB.
struct Footprint {
  long resident = 0;
  long proportional = 0;
};

Footprint footprint_of(const std::string& path) {
  std::ifstream in("/proc/self/smaps");
  Footprint sum;
  bool inside = false;
  for (std::string line; std::getline(in, line);) {
    if (line.find('-') < line.find(' ')) {  // an address range; fields of it follow
      inside = line.find(path) != std::string::npos;
      continue;
    }
    long kib = 0;
    if (!inside) continue;
    if (std::sscanf(line.c_str(), "Rss: %ld kB", &kib) == 1) sum.resident += kib;
    if (std::sscanf(line.c_str(), "Pss: %ld kB", &kib) == 1) sum.proportional += kib;
  }
  return sum;
}

TEST_CASE("mapping file share: two processes that map a file have one copy of it") {
  const TemporaryDirectory directory;
  const std::string path = directory.path("a.crm");
  must(try_build(path, many(300'000)));
  const long kib = static_cast<long>(std::filesystem::file_size(path) / 1024);
  Pipe ready;
  Pipe go;
  Pipe told;
  Pipe leave;  // another one: whoever is quick must not take what the other one waits for
  const auto worker = [&] {
    const auto file = MappingFile::open(path);
    if (!file.ok() || (*file)->find("key-7").answer != Answer::kFound) return 1;
    char signal = 0;
    if (!ready.write('!') || !go.read(signal)) return 2;
    const Footprint footprint = footprint_of(path);
    return told.write(footprint) && leave.read(signal) ? 0 : 3;
  };
  Child first(worker);
  Child second(worker);
  char signal = 0;
  REQUIRE((ready.read(signal) && ready.read(signal)));
  REQUIRE((go.write('!') && go.write('!')));
  for (int i = 0; i < 2; ++i) {
    Footprint footprint;
    REQUIRE(told.read(footprint));
    CHECK(footprint.resident >= kib);  // opening touched all of it
    CHECK(footprint.proportional >= kib / 2 - 8);
    CHECK(footprint.proportional <= kib / 2 + 8);
  }
  REQUIRE((leave.write('!') && leave.write('!')));
  CHECK(first.wait() == 0);
  CHECK(second.wait() == 0);
}

TEST_CASE("mapping file share: a copy serves on when the file is cut short, a mapping does not") {
  const TemporaryDirectory directory;
  const std::string path = directory.path("a.crm");
  const std::vector<Mapping> mappings = many(30'000);
  const auto served_after_cut = [&](bool copy) {
    must(try_build(path, mappings));
    Child child([&] {
      const auto file = MappingFile::open(path, {.copy = copy});
      if (!file.ok() || ::truncate(path.c_str(), 0) != 0) return 1;
      for (const Mapping& one : mappings) {
        if ((*file)->find(one.key).answer != Answer::kFound) return 2;
      }
      return 0;
    });
    return child.wait();
  };
  CHECK(served_after_cut(true) == 0);
#if !defined(CELLROUTE_SANITIZED)
  CHECK(served_after_cut(false) == 1000 + SIGBUS);
#endif
}

TEST_CASE("mapping file share: an open file serves on when a new one takes its place") {
  const TemporaryDirectory directory;
  const std::string path = directory.path("a.crm");
  must(try_build(path, {{"k", "old"}}));
  const auto file = open_file(path);
  must(try_build(path, {{"k", "new"}}));
  CHECK(file->cells()[file->find("k").cell] == "old");
  CHECK(open_file(path)->cells().front() == "new");
}

TEST_CASE("mapping file share: a child reads on what its parent opened") {
  const TemporaryDirectory directory;
  must(try_build(directory.path("a.crm"), small_mappings()));
  const auto file = open_file(directory.path("a.crm"));
  Child child([&] { return file->find(small_mappings()[0].key).answer == Answer::kFound ? 0 : 1; });
  CHECK(child.wait() == 0);
}

}  // namespace
}  // namespace cellroute
