#include "cellroute/strategy/detail/single.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>

#include "strategy_pool.hpp"

namespace cellroute::detail {
namespace {

float as_float(Single a) { return std::ldexp(static_cast<float>(a.mantissa), a.exponent); }

// x86-64 and AArch64 floats are IEEE 754 single precision; `volatile` keeps the compiler from
// computing more exactly.
TEST_CASE("Single computes what hardware floats do") {
  test::Random random(5);
  for (int i = 0; i < 200'000; ++i) {
    const std::uint64_t a = 1 + (random.next() >> (20 + random.below(44)));
    const std::uint64_t b = 1 + (random.next() >> (20 + random.below(44)));
    volatile float fa = static_cast<float>(a);
    volatile float fb = static_cast<float>(b);
    volatile float product = fa * fb;
    volatile float quotient = fa / fb;
    REQUIRE(as_float(to_single(a)) == fa);
    REQUIRE(as_float(to_single(a) * to_single(b)) == product);
    REQUIRE(as_float(to_single(a) / to_single(b)) == quotient);
    REQUIRE(static_cast<float>(whole_part(to_single(a) / to_single(b))) ==
            static_cast<float>(static_cast<std::uint64_t>(quotient)));
  }
}

TEST_CASE("Single rounds ties to even and carries into a new binade") {
  CHECK(as_float(to_single((1 << 24) + 1)) == static_cast<float>(1 << 24));
  CHECK(as_float(to_single((1 << 24) + 3)) == static_cast<float>((1 << 24) + 4));
  CHECK(as_float(to_single((1 << 25) - 1)) == static_cast<float>(1 << 25));
  CHECK(as_float(round_to_single((std::uint64_t{1} << 30) + 64, 0, false)) == 0x1p30f);
  CHECK(as_float(round_to_single((std::uint64_t{1} << 30) + 64, 0, true)) == 0x1p30f + 128);
}

TEST_CASE("whole_part rounds down, to nothing for the smallest") {
  CHECK(whole_part({7, -1}) == 3);
  CHECK(whole_part({1, 40}) == std::uint64_t{1} << 40);
  CHECK(whole_part({(1 << 24) - 1, -64}) == 0);
  CHECK(whole_part({(1 << 24) - 1, -200}) == 0);
}

}  // namespace
}  // namespace cellroute::detail
