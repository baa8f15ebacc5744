// rendezvous-slots, the default: the hash space is cut into equal slots, and weighted rendezvous
// hashing gives each slot to a member. A pick is one load from a table of 16-bit cells; changes
// of the pool move whole slots, and only those that must move.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "cellroute/strategy/detail/checks.hpp"
#include "cellroute/strategy/detail/weighted_rendezvous.hpp"
#include "cellroute/strategy/strategy.hpp"

namespace cellroute {

// `options.slots` slots; slot s stands for the points whose top bits are s, and is won by the
// point mix(0, s). With few slots a cell, shares are uneven: expect a standard deviation of
// sqrt(cells / slots) of a share. Building takes slots * members hashes, about 0.3 ns each.
// Immutable once built; any number of threads.
class RendezvousSlots {
 public:
  static constexpr std::string_view kName = "rendezvous-slots";
  static constexpr bool kMinimal = true;
  static constexpr bool kOrdered = false;
  static constexpr unsigned kPointBits = 64;

  static Result<RendezvousSlots> build(std::span<const Member> members,
                                       const StrategyOptions& options) {
    if (Error e = detail::check_members(kName, members, kOrdered); !e.ok()) return e;
    if (Error e = detail::check_slots(kName, members.size(), options.slots); !e.ok()) return e;
    const std::uint64_t bytes = std::uint64_t{options.slots} * sizeof(CellIndex);
    if (Error e = detail::check_table_bytes(kName, bytes, options); !e.ok()) return e;
    return RendezvousSlots(detail::WeightedRendezvous(members, options.seed), options.slots);
  }

  static constexpr Point point(std::string_view, std::uint64_t hash) noexcept { return {hash, 0}; }

  CellIndex pick(Point point) const noexcept { return cells_[point.lo >> shift_]; }

  std::size_t table_bytes() const noexcept {
    return (std::size_t{1} << (64 - shift_)) * sizeof(CellIndex);
  }

 private:
  RendezvousSlots(const detail::WeightedRendezvous& rendezvous, std::uint32_t slots)
      : cells_(new CellIndex[slots]), shift_(64 - static_cast<unsigned>(std::countr_zero(slots))) {
    for (std::uint32_t slot = 0; slot < slots; ++slot) {
      cells_[slot] = rendezvous.winner(mix(0, slot));
    }
  }

  std::unique_ptr<CellIndex[]> cells_;
  unsigned shift_;  // from a point to its slot
};

static_assert(Strategy<RendezvousSlots>);

}  // namespace cellroute
