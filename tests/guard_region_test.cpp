#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <set>

#include "cellroute/guard/own_memory.hpp"
#include "guard_memory.hpp"

namespace {

using namespace cellroute;
using namespace cellroute::guard_test;

// Golden. A region outlives the processes that share it, and during an upgrade old and new ones
// share it: whoever turns this red must raise kLayoutVersion.
TEST_CASE("the guard region's layout, version 1") {
  using namespace guard;
  CHECK(kLayoutVersion == 1);
  CHECK(offsetof(RegionHeader, magic) == 0);
  CHECK(offsetof(RegionHeader, version) == 8);
  CHECK(offsetof(RegionHeader, geometry) == 16);
  CHECK(offsetof(RegionHeader, limiter) == 24);
  CHECK(offsetof(RegionHeader, bytes) == 32);
  CHECK(offsetof(RegionHeader, seed) == 40);
  CHECK(offsetof(RegionHeader, ejection) == 48);
  CHECK(offsetof(CellWords, breaker) == 0);
  CHECK(offsetof(CellWords, streak) == 8);
  CHECK(offsetof(CellWords, window_wheel) == 16);
  CHECK(offsetof(CellWords, flight_wheel) == 24);
  CHECK(offsetof(CellWords, health) == 32);
  CHECK(offsetof(CellWords, refused) == 40);
  CHECK(offsetof(CellWords, lent) == 64);
  CHECK(offsetof(CellWords, probes) == 128);
  CHECK(offsetof(CellWords, limits) == 192);
  CHECK(offsetof(CellWords, calls) == 256);
  CHECK(offsetof(CellWords, troubles) == 336);
  CHECK(offsetof(CellWords, known_calls) == 416);
  CHECK(offsetof(CellWords, load) == 448);
  CHECK(sizeof(CellWords) == 512);
  CHECK(offsetof(LaneWords, flight) == 0);
  CHECK(offsetof(LaneWords, calls) == 64);
  CHECK(offsetof(LaneWords, credits) == 72);
  CHECK(offsetof(LaneWords, exceeded) == 104);
  CHECK(sizeof(LaneWords) == 128);
  CHECK(sizeof(LimiterSet) == 256);

  // 100 cells: directory 800 bytes, rounded to 832; 3 lanes; 33 entries make 3 sets.
  const GuardGeometry geometry{100, 3, 33};
  const Offsets offsets(rounded(geometry));
  CHECK(offsets.directory == 64);
  CHECK(offsets.cells == 64 + 832);
  CHECK(offsets.lanes == 64 + 832 + 51'200);
  CHECK(offsets.sets == 64 + 832 + 51'200 + 38'400);
  CHECK(offsets.end == 64 + 832 + 51'200 + 38'400 + 768);
  CHECK(GuardRegion::bytes(geometry) == offsets.end);
}

TEST_CASE("a formatted guard region is its header and zeros, in bytes that stay") {
  Room room({4, 1, 16}, 0x1122334455667788);
  const std::vector<std::byte> bytes = room.memory.copy();
  // clang-format off
  const unsigned char header[48] = {
      'C', 'l', 'G', 'u', 'a', 'r', 'D', '1',
      1, 0, 0, 0, 0, 0, 0, 0,        // version
      1, 0, 0, 0, 4, 0, 0, 0,        // lanes, cells
      2, 0, 0, 0, 0, 0, 0, 0,        // sets, plus 1
      0x80, 11, 0, 0, 0, 0, 0, 0,    // bytes: 2,944
      0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11};
  // clang-format on
  CHECK(std::memcmp(bytes.data(), header, sizeof header) == 0);
  CHECK(std::all_of(bytes.begin() + 48, bytes.end(), [](std::byte b) { return b == std::byte{}; }));
}

TEST_CASE("a guard region's geometry has bounds") {
  CHECK(GuardRegion::bytes({0, 1, 0}) == 0);
  CHECK(GuardRegion::bytes({65'536, 1, 0}) == 0);
  CHECK(GuardRegion::bytes({1, 0, 0}) == 0);
  CHECK(GuardRegion::bytes({1, 4'097, 0}) == 0);
  CHECK(GuardRegion::bytes({1, 1, (1u << 30) + 1}) == 0);
  CHECK(GuardRegion::bytes({65'535, 4'096, 1u << 30}) > std::size_t{1} << 34);
  Memory memory(4096);
  CHECK(GuardRegion::create(memory.span(), {0, 1, 0}, 1).error().code() ==
        ErrorCode::kInvalidArgument);
}

TEST_CASE("a guard region wants memory that is large enough and aligned") {
  const GuardGeometry geometry{4, 1, 16};
  Memory memory(8192);
  const std::size_t size = GuardRegion::bytes(geometry);
  CHECK(GuardRegion::create(memory.span().first(size - 1), geometry, 1).error().code() ==
        ErrorCode::kInvalidArgument);
  CHECK(GuardRegion::create(memory.span().subspan(8, size), geometry, 1).error().code() ==
        ErrorCode::kInvalidArgument);
  CHECK(GuardRegion::create(memory.span().first(size), geometry, 1).ok());
  CHECK(GuardRegion::attach(memory.span().first(size)).ok());
  CHECK(GuardRegion::attach(memory.span().first(size - 1)).error().code() == ErrorCode::kCorrupt);
  CHECK(GuardRegion::attach(memory.span().first(63)).error().code() == ErrorCode::kInvalidArgument);
  CHECK(GuardRegion::attach(memory.span().subspan(8)).error().code() ==
        ErrorCode::kInvalidArgument);
}

TEST_CASE("a router's own memory is as long as asked for, zero and aligned, or none") {
  constexpr std::size_t kHugePage = std::size_t{2} << 20;
  for (const std::size_t bytes : {std::size_t{1}, kHugePage / 4 - 1, kHugePage / 4, kHugePage,
                                  kHugePage + 1, 3 * kHugePage}) {
    CAPTURE(bytes);
    const guard::OwnMemory memory(bytes);
    REQUIRE(memory.bytes().size() == bytes);
    const auto at = reinterpret_cast<std::uintptr_t>(memory.bytes().data());
    CHECK(at % (bytes < kHugePage / 4 ? 4096 : kHugePage) == 0);
    CHECK(std::all_of(memory.bytes().begin(), memory.bytes().end(),
                      [](std::byte byte) { return byte == std::byte{0}; }));
    memory.bytes().back() = std::byte{1};
  }
  for (const std::size_t bytes : {std::size_t{0}, SIZE_MAX, SIZE_MAX - kHugePage, SIZE_MAX / 2}) {
    CAPTURE(bytes);
    CHECK(guard::OwnMemory(bytes).bytes().empty());
  }
}

TEST_CASE("a second creator opens the region that is there, or learns that it differs") {
  const GuardGeometry geometry{4, 2, 16};
  Memory memory(GuardRegion::bytes({8, 4, 64}));
  CHECK(GuardRegion::attach(memory.span()).error().code() == ErrorCode::kUnavailable);
  Result<GuardRegion> first = GuardRegion::create(memory.span(), geometry, 11);
  REQUIRE(first);
  const std::uint32_t number = *first->claim("a");
  Result<GuardRegion> second = GuardRegion::create(memory.span(), geometry, 22);
  REQUIRE(second);
  CHECK(second->seed() == 11);
  CHECK(*second->claim("a") == number);
  Result<GuardRegion> attached = GuardRegion::attach(memory.span());
  REQUIRE(attached);
  CHECK(attached->geometry() == geometry);
  CHECK(GuardRegion::create(memory.span(), {5, 2, 16}, 1).error().code() == ErrorCode::kConflict);
  CHECK(GuardRegion::create(memory.span(), {4, 3, 16}, 1).error().code() == ErrorCode::kConflict);
  CHECK(GuardRegion::create(memory.span(), {4, 2, 32}, 1).error().code() == ErrorCode::kConflict);
}

TEST_CASE("a region that cannot be is refused") {
  Room room;
  auto* header = reinterpret_cast<guard::RegionHeader*>(room.memory.span().data());
  const auto refuses_with = [&](guard::Word& word, std::uint64_t value) {
    const std::uint64_t was = word.exchange(value);
    const Result<GuardRegion> region = GuardRegion::attach(room.memory.span());
    word = was;
    return region ? ErrorCode::kOk : region.error().code();
  };
  CHECK(refuses_with(header->magic, guard::kMagic + 1) == ErrorCode::kCorrupt);
  CHECK(refuses_with(header->version, 2) == ErrorCode::kUnsupported);
  CHECK(refuses_with(header->geometry, 0) == ErrorCode::kCorrupt);
  CHECK(refuses_with(header->geometry, ~0ull) == ErrorCode::kCorrupt);
  CHECK(refuses_with(header->geometry, 9ull << 32 | 4) == ErrorCode::kCorrupt);
  CHECK(refuses_with(header->limiter, 0) == ErrorCode::kCorrupt);
  CHECK(refuses_with(header->limiter, ~0ull) == ErrorCode::kCorrupt);
  CHECK(refuses_with(header->limiter, 18) == ErrorCode::kCorrupt);
  CHECK(refuses_with(header->bytes, 0) == ErrorCode::kCorrupt);
  CHECK(refuses_with(header->seed, 0) == ErrorCode::kCorrupt);
  header->magic = 1;
  CHECK(GuardRegion::create(room.memory.span(), {8, 4, 256}, 1).error().code() ==
        ErrorCode::kCorrupt);
}

TEST_CASE("whoever dies while formatting leaves the rest to the next") {
  const GuardGeometry geometry{4, 2, 16};
  for (int written = 1; written <= 5; ++written) {
    Memory memory(GuardRegion::bytes(geometry));
    {
      Memory model(GuardRegion::bytes(geometry));
      REQUIRE(GuardRegion::create(model.span(), geometry, 5));
      std::memcpy(memory.span().data() + 8, model.span().data() + 8,
                  static_cast<std::size_t>(written) * 8);
    }
    CHECK(GuardRegion::attach(memory.span()).error().code() == ErrorCode::kUnavailable);
    REQUIRE(GuardRegion::create(memory.span(), geometry, 6));
    CHECK(GuardRegion::attach(memory.span()).ok());
  }
}

TEST_CASE("processes that create one region at once share it") {
  const GuardGeometry geometry{64, 2, 16};
  Memory memory(GuardRegion::bytes(geometry));
  std::vector<pid_t> children;
  for (int i = 0; i < 8; ++i) {
    children.push_back(start_child([&] {
      Result<GuardRegion> region =
          GuardRegion::create(memory.span(), geometry, static_cast<std::uint64_t>(100 + i));
      return region && region->claim("cell-" + std::to_string(i % 4)) ? 0 : 1;
    }));
  }
  for (const pid_t child : children) CHECK(wait_for(child) == 0);
  Result<GuardRegion> region = GuardRegion::attach(memory.span());
  REQUIRE(region);
  std::size_t claimed = 0;
  for (std::uint32_t i = 0; i < 64; ++i) claimed += region->id_hash(i) != 0;
  CHECK(claimed == 4);
}

TEST_CASE("each cell id has one number for ever, until the directory is full") {
  Room room({50, 1, 0});
  std::set<std::uint32_t> numbers;
  for (int i = 0; i < 50; ++i) numbers.insert(room.claim("cell-" + std::to_string(i)));
  CHECK(numbers.size() == 50);
  CHECK(*numbers.rbegin() < 50);
  const std::uint32_t number = room.claim("cell-17");
  const Result<std::uint32_t> full = room.guards.region().claim("one-more");
  REQUIRE(!full);
  CHECK(full.error().code() == ErrorCode::kResourceExhausted);
  CHECK(full.error().text().find("50") != std::string::npos);
  CHECK(room.claim("cell-17") == number);
  CHECK(*GuardRegion::attach(room.memory.span())->claim("cell-17") == number);
}

TEST_CASE("threads that claim the same cells agree") {
  Room room({64, 1, 0});
  std::vector<std::vector<std::uint32_t>> found(4);
  in_threads(4, [&](std::uint32_t thread) {
    for (std::uint32_t i = 0; i < 64; ++i) {
      found[thread].push_back(*GuardRegion(room.guards.region())
                                   .claim("cell-" + std::to_string((i + thread * 16) % 64)));
    }
    std::rotate(found[thread].begin(), found[thread].end() - thread * 16, found[thread].end());
  });
  for (const auto& numbers : found) CHECK(numbers == found[0]);
  CHECK(std::set<std::uint32_t>(found[0].begin(), found[0].end()).size() == 64);
}

TEST_CASE("a topology's health applies once, and only where it differs from the last one's") {
  Room room;
  GuardRegion& region = room.guards.region();
  const std::uint32_t cell = room.claim("a");
  CHECK(region.healthy(cell));
  region.set_health(cell, Health::kUnhealthy);
  CHECK(!region.healthy(cell));
  region.apply_health(cell, 1, Health::kHealthy);  // as before: the host's mark stays
  CHECK(!region.healthy(cell));
  region.apply_health(cell, 2, Health::kUnhealthy);
  region.set_health(cell, Health::kHealthy);
  region.apply_health(cell, 2, Health::kUnhealthy);  // another worker, the same topology
  CHECK(region.healthy(cell));
  region.apply_health(cell, 3, Health::kUnhealthy);
  CHECK(region.healthy(cell));
  region.apply_health(cell, 5, Health::kHealthy);
  region.apply_health(cell, 4, Health::kUnhealthy);  // a worker that lags
  CHECK(region.healthy(cell));
  region.apply_health(cell, 6, Health::kUnhealthy);
  CHECK(!region.healthy(cell));
  CHECK(region.healthy(room.claim("b")));
}

TEST_CASE("load is the last mark plus the placements since") {
  Room room;
  GuardRegion& region = room.guards.region();
  const std::uint32_t cell = room.claim("a");
  CHECK(region.load(cell) == 0);
  region.add_placement(cell);
  region.start_load(cell, 100);
  CHECK(region.load(cell) == 101);
  region.start_load(cell, 500);  // counts only where nothing did before
  CHECK(region.load(cell) == 101);
  region.set_load(cell, 40);
  CHECK(region.load(cell) == 40);
  region.add_placement(cell);
  region.add_placement(cell);
  CHECK(region.load(cell) == 42);
  region.set_load(cell, UINT64_MAX);
  CHECK(region.load(cell) == std::uint64_t{1} << 62);
}

}  // namespace
