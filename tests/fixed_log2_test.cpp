#include "cellroute/strategy/detail/fixed_log2.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>

#include "strategy_pool.hpp"

namespace cellroute::detail {
namespace {

constexpr long double kOne = static_cast<long double>(std::uint64_t{1} << kLog2FractionBits);

long double true_log(std::uint64_t r) {
  return 64.0L - std::log2(static_cast<long double>(r) + 1.0L);
}

TEST_CASE("negative_log2 is exact where r + 1 is a power of two") {
  for (unsigned bit = 0; bit < 64; ++bit) {
    INFO("r + 1 = 2^" << bit);
    CHECK(negative_log2((std::uint64_t{1} << bit) - 1) == std::uint64_t{64 - bit}
                                                              << kLog2FractionBits);
  }
  CHECK(negative_log2(UINT64_MAX) == 0);
}

TEST_CASE("negative_log2 never rises with its argument") {
  test::Random random(3);
  for (int i = 0; i < 100'000; ++i) {
    const std::uint64_t r = random.next() >> random.below(64);
    const std::uint64_t step = 1 + (random.next() >> (1 + random.below(63)));
    const std::uint64_t above = r + step < r ? UINT64_MAX : r + step;
    REQUIRE(negative_log2(above) <= negative_log2(r));
  }
  for (unsigned bit = 9; bit < 64; ++bit) {  // around the ends of all 256 segments
    for (std::uint64_t segment = 0; segment <= 256; ++segment) {
      const std::uint64_t r = (256 + segment) << (bit - 8);
      for (std::uint64_t at = r - 3; at != r + 3 && at != UINT64_MAX; ++at) {
        REQUIRE(negative_log2(at + 1) <= negative_log2(at));
      }
    }
  }
}

TEST_CASE("negative_log2 is at least the true value and less than 2.8e-6 above it") {
  test::Random random(4);
  long double worst = 0;
  for (int i = 0; i < 200'000; ++i) {
    const std::uint64_t r = random.next() >> random.below(64);
    const long double error = static_cast<long double>(negative_log2(r)) / kOne - true_log(r);
    REQUIRE(error > -1e-16L);  // the long double's own error
    REQUIRE(error < 2.8e-6L);
    worst = std::max(worst, error);
  }
  CHECK(worst > 2.7e-6L);  // the bound is no looser than it must be
}

TEST_CASE("the table holds log2(1 + i/256) to the last of 57 bits") {
  for (std::size_t i = 0; i < kLog2Table.size(); ++i) {
    const long double truth = std::log2(1.0L + static_cast<long double>(i) / 256.0L) * kOne;
    const auto error = static_cast<long double>(kLog2Table[i]) - truth;
    CHECK(error <= 0.1L);
    CHECK(error > -1.1L);
  }
}

// Every weighted placement depends on these. Never change a value here.
TEST_CASE("negative_log2 is pinned") {
  CHECK(negative_log2(0x0000000000000000) == 0x8000000000000000);
  CHECK(negative_log2(0x0000000000000002) == 0x7cd47fcb8c0852f1);
  CHECK(negative_log2(0x0000000000000009) == 0x795b2c3da19723a9);
  CHECK(negative_log2(0x000000000000fffa) == 0x60000e70e9269cfc);
  CHECK(negative_log2(0x0123456789abcdef) == 0x0fa0a825f6634555);
  CHECK(negative_log2(0x7ffffffffffffffe) == 0x0200000000000001);
  CHECK(negative_log2(0x8000000000000000) == 0x0200000000000000);
  CHECK(negative_log2(0xb504f333f9de6484) == 0x01000006da820524);
  CHECK(negative_log2(0xfedcba9876543210) == 0x00034a606b53203c);
  CHECK(negative_log2(0xfffffffffffffff0) == 0x0000000000000001);
}

}  // namespace
}  // namespace cellroute::detail
