// IEEE 754 single precision in integers, as much of it as libmemcached's weights need: positive
// numbers, rounded to nearest, ties to even. Hardware floats would do the same only as long as no
// compiler flag fuses, reorders or widens them.
#pragma once

#include <bit>
#include <cstdint>

namespace cellroute::detail {

// mantissa * 2^exponent, the mantissa having at most 24 bits. Values here stay far from overflow
// and from the subnormal.
struct Single {
  std::uint64_t mantissa = 0;
  int exponent = 0;
};

// `more`: the true value exceeds mantissa * 2^exponent by less than one unit; then the mantissa
// must have at least 26 bits.
constexpr Single round_to_single(std::uint64_t mantissa, int exponent, bool more) noexcept {
  const int dropped = static_cast<int>(std::bit_width(mantissa)) - 24;
  if (dropped <= 0) return {mantissa, exponent};
  const std::uint64_t half = std::uint64_t{1} << (dropped - 1);
  const std::uint64_t rest = mantissa & (2 * half - 1);
  std::uint64_t kept = mantissa >> dropped;
  if (rest > half || (rest == half && (more || (kept & 1) != 0))) ++kept;
  return {kept, exponent + dropped};  // 2^24 after a carry: a bit more, the same number
}

constexpr Single to_single(std::uint64_t n) noexcept { return round_to_single(n, 0, false); }

constexpr Single operator*(Single a, Single b) noexcept {
  return round_to_single(a.mantissa * b.mantissa, a.exponent + b.exponent, false);
}

// Precondition: both are above zero.
constexpr Single operator/(Single a, Single b) noexcept {
  const int widen = 63 - static_cast<int>(std::bit_width(a.mantissa));
  const std::uint64_t numerator = a.mantissa << widen;
  return round_to_single(numerator / b.mantissa, a.exponent - widen - b.exponent,
                         numerator % b.mantissa != 0);
}

// Rounded down. Precondition: the value is below 2^63.
constexpr std::uint64_t whole_part(Single a) noexcept {
  if (a.exponent >= 0) return a.mantissa << a.exponent;
  return a.exponent <= -64 ? 0 : a.mantissa >> -a.exponent;
}

}  // namespace cellroute::detail
