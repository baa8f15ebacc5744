// How a mapping file is built: whole or not at all, by one builder at a time, in bounded memory.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "child_process.hpp"
#include "mapping_file_fixtures.hpp"
#include "sanitized.hpp"

namespace cellroute {
namespace {

using namespace testing;

std::vector<Mapping> many(int count, const std::string& cell) {
  std::vector<Mapping> mappings;
  for (int i = 0; i < count; ++i) mappings.push_back({"key-" + std::to_string(i), cell});
  for (int i = 0; i < count; i += 10) mappings[static_cast<std::size_t>(i)].epoch = 5;
  return mappings;
}

std::size_t files_in(const TemporaryDirectory& directory) {
  const auto all = std::filesystem::directory_iterator(directory.path());
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

TEST_CASE("mapping file build: a build that fails leaves the old file and nothing else") {
  const TemporaryDirectory directory;
  const std::string path = directory.path("a.crm");
  must(try_build(path, small_mappings()));
  const FileBytes before = bytes_of(path);
  CHECK(code_of(try_build(path, {{"k", "a"}, {"k", "b"}})) == ErrorCode::kInvalidArgument);
  { const auto abandoned = must(FileBuilder::create(path, kFileOptions)); }
  CHECK(bytes_of(path) == before);
  CHECK(files_in(directory) == 1);
}

TEST_CASE("mapping file build: one at a time, for one path") {
  const TemporaryDirectory directory;
  const std::string path = directory.path("a.crm");
  auto first = must(FileBuilder::create(path, kFileOptions));
  CHECK(code_of(FileBuilder::create(path, kFileOptions)) == ErrorCode::kConflict);
  must(first->finish([](std::uint64_t) {}));
  // The file it wrote is in place while it lives on: the next build must not touch that one.
  auto second = must(FileBuilder::create(path, kFileOptions));
  CHECK(open_file(path)->keys() == 0);
  first.reset();
  CHECK(code_of(FileBuilder::create(path, kFileOptions)) == ErrorCode::kConflict);
}

TEST_CASE("mapping file build: builders that race for a path never touch the file that is there") {
  const TemporaryDirectory directory;
  const std::string path = directory.path("a.crm");
  must(try_build(path, {{"k", "a"}}));
  std::vector<Child> children;
  for (int i = 0; i < 3; ++i) {
    children.emplace_back([&] {
      int built = 0;
      while (built < 100) {
        const auto result = try_build(path, {{"k", "a"}});
        if (!result.ok() && result.error().code() != ErrorCode::kConflict) return 1;
        built += result.ok() ? 1 : 0;
      }
      return 0;
    });
  }
  Child reader([&] {
    for (;;) {
      if (!MappingFile::open(path).ok()) return 1;
    }
  });
  for (Child& child : children) CHECK(child.wait() == 0);
  CHECK(::waitpid(reader.process(), nullptr, WNOHANG) == 0);  // it still finds a whole file
}

TEST_CASE("mapping file build: what cannot be written is an error with the system's text") {
  const TemporaryDirectory directory;
  const auto missing = FileBuilder::create(directory.path("none/a.crm"), kFileOptions);
  REQUIRE(code_of(missing) == ErrorCode::kNotFound);
  CHECK_THAT(missing.error().text(), Catch::Contains("No such file or directory"));
  std::filesystem::create_directory(directory.path("a.crm"));
  CHECK(code_of(try_build(directory.path("a.crm"), {{"k", "a"}})) == ErrorCode::kUnavailable);
}

// In a child, since the limit is its process's. 0: refused as it should be.
int build_within(const std::string& path, rlim_t limit) {
  std::signal(SIGXFSZ, SIG_IGN);
  const rlimit bound{limit, limit};
  if (::setrlimit(RLIMIT_FSIZE, &bound) != 0) return 2;
  const auto result = try_build(path, many(20'000, "new"));
  if (result.ok()) return 1;
  if (result.error().code() != ErrorCode::kUnavailable) return 3;
  return result.error().text().find("File too large") == std::string::npos ? 4 : 0;
}

TEST_CASE("mapping file build: where a write fails, the old file stays and no other does") {
  const TemporaryDirectory directory;
  const std::string path = directory.path("a.crm");
  must(try_build(path, many(100, "old")));
  const FileBytes before = bytes_of(path);
  const std::size_t whole = [&] {
    must(try_build(directory.path("b.crm"), many(20'000, "new")));
    return bytes_of(directory.path("b.crm")).size();
  }();
  // The spilled records, the tables, the lines, the heap, the last byte.
  for (const std::size_t limit : {std::size_t{0}, std::size_t{255}, std::size_t{100'000},
                                  std::size_t{300'000}, whole / 2, whole - 1}) {
    CAPTURE(limit);
    Child child([&] { return build_within(path, limit); });
    CHECK(child.wait() == 0);
    CHECK(bytes_of(path) == before);
    CHECK(files_in(directory) == 2);
  }
  Child child([&] { return build_within(path, whole + (1 << 20)); });
  CHECK(child.wait() == 1);
  CHECK(bytes_of(path) == bytes_of(directory.path("b.crm")));
}

TEST_CASE("mapping file build: killed at any moment, it leaves a whole file") {
  const TemporaryDirectory directory;
  const std::string path = directory.path("a.crm");
  const std::vector<Mapping> old_mappings = many(5'000, "old");
  const std::vector<Mapping> new_mappings = many(5'000, "new");
  must(try_build(path, new_mappings));
  const FileBytes fresh = bytes_of(path);
  const auto began = std::chrono::steady_clock::now();
  must(try_build(path, old_mappings));
  const std::chrono::microseconds one = std::chrono::duration_cast<std::chrono::microseconds>(
      std::chrono::steady_clock::now() - began);
  const FileBytes before = bytes_of(path);
  std::minstd_rand random(17);
  int kept = 0;
  constexpr int kKills = 40;
  for (int i = 0; i < kKills; ++i) {
    Child child([&] {
      while (try_build(path, new_mappings).ok()) {
      }
      return 0;
    });
    // Within the time of some two builds, so that it meets every part of one.
    ::usleep(static_cast<unsigned>(random() % static_cast<std::uint64_t>(2 * one.count() + 1'000)));
    child.kill();
    const FileBytes found = bytes_of(path);
    if (found != before && found != fresh) FAIL("neither the old nor the new file");
    kept += found == before ? 1 : 0;
    must(try_build(path, old_mappings));  // over what the killed one left
    CHECK(bytes_of(path) == before);
  }
  CHECK(kept > 0);
  CHECK(kept < kKills);
  CHECK(files_in(directory) == 1);
}

// The child's peak, in bytes, above what it had before it built.
long peak_of_build(const std::string& path, int keys) {
  Pipe pipe;
  Child child([&] {
    const auto peak = [] {
      rusage usage{};
      ::getrusage(RUSAGE_SELF, &usage);
      return usage.ru_maxrss * 1024L;
    };
    const long before = peak();
    auto builder = FileBuilder::create(path, kFileOptions);
    if (!builder.ok()) return 1;
    for (int i = 0; i < keys; ++i) {
      const std::string key = "customer-" + std::to_string(1'000'000'000 + i);
      if (!(*builder)->add({.key = key, .cell = "a"}).ok()) return 2;
    }
    if (!(*builder)->finish([](std::uint64_t) {}).ok()) return 3;
    return pipe.write(peak() - before) ? 0 : 4;
  });
  long peak = 0;
  if (!pipe.read(peak)) return -1;
  CHECK(child.wait() == 0);
  return peak;
}

TEST_CASE("mapping file build: memory holds the lines and a bounded rest, not the records") {
  const TemporaryDirectory directory;
  constexpr int kKeys = 2'000'000;
  const long peak = peak_of_build(directory.path("a.crm"), kKeys);
  INFO("peak " << peak);
  CHECK(peak > kKeys * 7L);
#if !defined(CELLROUTE_SANITIZED)
  // Records would take 100 bytes a key and more; 256 parts' buffers take 16 MiB.
  CHECK(peak < kKeys * 9L + (40L << 20));
#endif
}

}  // namespace
}  // namespace cellroute
