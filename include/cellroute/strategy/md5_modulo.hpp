// md5-modulo: what a hand-written router in Python computes as
// int(hashlib.md5(key).hexdigest(), 16) % n: to take such a router over without moving a key.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "cellroute/strategy/detail/checks.hpp"
#include "cellroute/strategy/detail/md5.hpp"
#include "cellroute/strategy/strategy.hpp"

namespace cellroute {

// The point is the MD5 digest as a 128-bit number, most significant byte first; the seed plays no
// part. Refuses unequal weights. Immutable once built; any number of threads.
class Md5Modulo {
 public:
  static constexpr std::string_view kName = "md5-modulo";
  static constexpr bool kMinimal = false;
  static constexpr bool kOrdered = true;
  static constexpr unsigned kPointBits = 128;

  static Result<Md5Modulo> build(std::span<const Member> members, const StrategyOptions& options) {
    auto cells = detail::cells_in_order(kName, members, options);
    if (!cells) return cells.error();
    return Md5Modulo(std::move(*cells));
  }

  static constexpr Point point(std::string_view key, std::uint64_t) noexcept {
    const detail::Md5Words words = detail::md5(key);
    return {big_endian(words[2], words[3]), big_endian(words[0], words[1])};
  }

  // (hi * 2^64 + lo) % n, term by term: n < 2^16, so nothing overflows.
  CellIndex pick(Point point) const noexcept {
    const std::uint64_t n = cells_.size();
    const std::uint64_t two_to_64 = UINT64_MAX % n + 1;  // modulo n; n itself stands for 0
    return cells_[(point.hi % n * two_to_64 + point.lo % n) % n];
  }

  std::size_t table_bytes() const noexcept { return cells_.size() * sizeof(CellIndex); }

 private:
  explicit Md5Modulo(std::vector<CellIndex> cells) : cells_(std::move(cells)) {}

  // Eight digest bytes, held in two words least significant byte first, read the other way round.
  static constexpr std::uint64_t big_endian(std::uint32_t first, std::uint32_t second) noexcept {
    return std::uint64_t{__builtin_bswap32(first)} << 32 | __builtin_bswap32(second);
  }

  std::vector<CellIndex> cells_;  // in policy.order
};

static_assert(Strategy<Md5Modulo>);

}  // namespace cellroute
