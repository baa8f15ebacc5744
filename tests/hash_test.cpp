// The key hash is frozen: every placement ever made depends on it.
#include "cellroute/hash.hpp"

#include <catch2/catch.hpp>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>

namespace cellroute {
namespace {

constexpr std::uint64_t kPrime64 = 0x9e3779b185ebca8dULL;

// The buffer that xxHash's own self-test hashes (cli/xsum_sanity_check.c).
std::string sanity_bytes(std::size_t size) {
  std::string bytes;
  std::uint64_t generator = 2654435761u;
  while (bytes.size() < size) {
    bytes.push_back(static_cast<char>(generator >> 56));
    generator *= 11400714785074694797ULL;
  }
  return bytes;
}

struct Golden {
  std::size_t length;
  std::uint64_t unseeded;
  std::uint64_t seeded;  // with kPrime64
};

// Every branch of XXH3 by length, both sides of each boundary. Lengths 0, 1, 6, 12, 24, 48, 80,
// 195, 403 and 512 are as xxHash publishes them. A red one means that this build's XXH3 is another
// function: every key of every deployment would change its cell. Never change a value here.
constexpr Golden kGolden[] = {
    {0, 0x2d06800538d394c2, 0xa8a6b918b2f0364a},   {1, 0xc44bdff4074eecdb, 0x032be332dd766ef8},
    {2, 0x7a9978044cb8a8bb, 0x764b35c90519ad88},   {3, 0x54247382a8d6b94d, 0x634b8990b4976373},
    {4, 0xe5dc74bc51848a51, 0xaa2e7eccb0c8f747},   {6, 0x27b56a84cd2d7325, 0x84589c116ab59ab9},
    {8, 0x24ccc9acaa9f65e4, 0x8f973410999b8f6b},   {9, 0x14d5001c15dd3f2b, 0xb3ae7333d9013f60},
    {12, 0xa713daf0dfbb77e7, 0xe7303e1b2336de0e},  {16, 0x981b17d36c7498c9, 0x663f29333b4db6b1},
    {17, 0x796f5acd3a60f862, 0xf3ec5067f4306db3},  {24, 0xa3fe70bf9d3510eb, 0x850e80fc35bdd690},
    {32, 0x9feaddbdbf57eed3, 0x2199fab1534893d9},  {33, 0xabfb2d081b400a10, 0xad56348da574bb6d},
    {48, 0x397da259ecba1f11, 0xadc2cbaa44acc616},  {64, 0x9cb48487720ec49d, 0x4fe8895db9b8c077},
    {65, 0xfd81aac4bebc3883, 0xad80aeec1fc9e0a7},  {80, 0xbcdefbbb2c47c90a, 0xc6dd0cb699532e73},
    {96, 0x935a769a7f94776f, 0x70cf51937e500540},  {97, 0xca4ca268fd3c3a6c, 0xee461d3add7ee6c9},
    {128, 0xfcff24126754d861, 0x73fde75280646649}, {129, 0x98f1b0a679a2ca29, 0x21fffdbca099c844},
    {195, 0xcd94217ee362ec3a, 0xba68003d370cb3d9}, {240, 0x81c3c2b67f568ccf, 0xcc0f58c27ef3d8ee},
    {241, 0xc5a639ecd2030e5e, 0xdda9b0a161d4829a}, {256, 0x55de574ad89d0ac5, 0x4d30234b7a3aa61c},
    {403, 0xcdeb804d65c6dea4, 0x6259f6ecfd6443fd}, {512, 0x617e49599013cb6b, 0x3ce457de14c27708},
    {513, 0xf7037d3b6722aeec, 0x78494a42fde49f35}, {1024, 0xdd85c9b5c1109c5c, 0xef368a8a2ebabaef},
};

TEST_CASE("hash_bytes is XXH3-64 for every branch of length") {
  const std::string bytes = sanity_bytes(1024);
  for (const Golden& golden : kGolden) {
    INFO("length " << golden.length);
    const std::string_view key(bytes.data(), golden.length);
    CHECK(hash_bytes(0, key) == golden.unseeded);
    CHECK(hash_bytes(kPrime64, key) == golden.seeded);
  }
}

TEST_CASE("hash_bytes tells apart keys that differ after a NUL, or in the last of 1,024 bytes") {
  CHECK(hash_bytes(1, std::string_view("a\0b", 3)) != hash_bytes(1, std::string_view("a\0c", 3)));
  CHECK(hash_bytes(1, std::string_view("a\0", 2)) != hash_bytes(1, std::string_view("a", 1)));
  std::string key = sanity_bytes(1024);
  const std::uint64_t before = hash_bytes(1, key);
  key.back() = static_cast<char>(key.back() ^ 1);
  CHECK(hash_bytes(1, key) != before);
}

TEST_CASE("hash_bytes reads keys at any alignment alike") {
  const std::string bytes = sanity_bytes(300);
  for (std::size_t length : {3u, 8u, 16u, 100u, 200u, 280u}) {
    const std::uint64_t expected = hash_bytes(7, std::string_view(bytes).substr(0, length));
    for (std::size_t shift = 1; shift < 16; ++shift) {
      const std::string moved = std::string(shift, 'x') + bytes.substr(0, length);
      CHECK(hash_bytes(7, std::string_view(moved).substr(shift)) == expected);
    }
  }
}

// The first outputs of SplitMix64 from 1234567, as published with several of its ports. Red:
// maglev, ring, preference orders and rendezvous-slots' slots would all change.
TEST_CASE("mix is SplitMix64's finalizer, mix(h, j) its sequence started at h") {
  CHECK(mix(1234567, 0) == 6457827717110365317ULL);
  CHECK(mix(1234567, 1) == 3203168211198807973ULL);
  CHECK(mix(1234567, 2) == 9817491932198370423ULL);
  CHECK(mix(1234567, 3) == 4593380528125082431ULL);
  CHECK(mix(1234567, 4) == 16408922859458223821ULL);
  CHECK(mix(0) == 0);
}

TEST_CASE("scale is floor(h * n / 2^64)") {
  CHECK(scale(0, 10) == 0);
  CHECK(scale(UINT64_MAX, 10) == 9);
  CHECK(scale(UINT64_MAX, 1) == 0);
  CHECK(scale(UINT64_MAX, UINT64_MAX) == UINT64_MAX - 1);
  CHECK(scale(std::uint64_t{1} << 63, 10) == 5);
  CHECK(scale((std::uint64_t{1} << 63) - 1, 10) == 4);
}

}  // namespace
}  // namespace cellroute
