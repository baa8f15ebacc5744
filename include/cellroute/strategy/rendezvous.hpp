// rendezvous: weighted rendezvous hashing of the key itself against every member. The most even
// and the only strategy whose shares follow weights to the last thousandth, in O(cells) a pick.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include "cellroute/strategy/detail/checks.hpp"
#include "cellroute/strategy/detail/weighted_rendezvous.hpp"
#include "cellroute/strategy/strategy.hpp"

namespace cellroute {

// A pick takes about 0.7 ns a member of equal weight, and a comparison more for each distinct
// weight. Immutable once built; any number of threads.
class Rendezvous {
 public:
  static constexpr std::string_view kName = "rendezvous";
  static constexpr bool kMinimal = true;
  static constexpr bool kOrdered = false;
  static constexpr unsigned kPointBits = 64;

  static Result<Rendezvous> build(std::span<const Member> members, const StrategyOptions& options) {
    if (Error e = detail::check_members(kName, members, kOrdered); !e.ok()) return e;
    const std::uint64_t bytes = detail::WeightedRendezvous::bytes_for(members.size());
    if (Error e = detail::check_table_bytes(kName, bytes, options); !e.ok()) return e;
    return Rendezvous(detail::WeightedRendezvous(members, options.seed));
  }

  static constexpr Point point(std::string_view, std::uint64_t hash) noexcept { return {hash, 0}; }

  CellIndex pick(Point point) const noexcept { return members_.winner(point.lo); }

  std::size_t table_bytes() const noexcept { return members_.bytes(); }

 private:
  explicit Rendezvous(detail::WeightedRendezvous members) : members_(std::move(members)) {}

  detail::WeightedRendezvous members_;
};

static_assert(Strategy<Rendezvous>);

}  // namespace cellroute
