// ring: consistent hashing (Karger et al. 1997) with 160 points a unit of weight, as ketama has
// them, but of 64 bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cellroute/hash.hpp"
#include "cellroute/strategy/detail/checks.hpp"
#include "cellroute/strategy/detail/ring_index.hpp"
#include "cellroute/strategy/strategy.hpp"

namespace cellroute {

// A member of weight w has ceil(160 * w) points: mix(hash of its id, k) for k = 0, 1, …; a key
// goes to the owner of the first point at or after its own. Of equal points the lower id's counts.
// Shares vary by about 8 % (1 / sqrt(160)). Immutable once built; any number of threads.
class Ring {
 public:
  static constexpr std::string_view kName = "ring";
  static constexpr bool kMinimal = true;
  static constexpr bool kOrdered = false;
  static constexpr unsigned kPointBits = 64;
  static constexpr std::uint64_t kPointsPerUnit = 160;

  static Result<Ring> build(std::span<const Member> members, const StrategyOptions& options) {
    if (Error e = detail::check_members(kName, members, kOrdered); !e.ok()) return e;
    std::uint64_t points = 0;
    for (const Member& member : members) points += points_of(member);
    if (Error e = detail::check_ring_size(kName, points, Index::kMaxPoints); !e.ok()) return e;
    if (Error e = detail::check_table_bytes(kName, Index::bytes_for(points), options); !e.ok()) {
      return e;
    }
    std::vector<Index::Owned> owned;
    owned.reserve(points);
    for (std::size_t i = 0; i < members.size(); ++i) {
      const std::uint64_t hash = hash_bytes(options.seed, members[i].id);
      const auto count = static_cast<std::uint32_t>(points_of(members[i]));
      for (std::uint32_t k = 0; k < count; ++k) {
        owned.push_back({mix(hash, k), static_cast<std::uint16_t>(i), members[i].cell});
      }
    }
    return Ring(Index(std::move(owned)));
  }

  static constexpr Point point(std::string_view, std::uint64_t hash) noexcept { return {hash, 0}; }

  CellIndex pick(Point point) const noexcept { return index_.owner(point.lo); }

  std::size_t table_bytes() const noexcept { return index_.bytes(); }

 private:
  using Index = detail::RingIndex<std::uint64_t>;

  explicit Ring(Index index) : index_(std::move(index)) {}

  static constexpr std::uint64_t points_of(const Member& member) noexcept {
    return (kPointsPerUnit * member.weight + kUnitWeight - 1) / kUnitWeight;
  }

  Index index_;
};

static_assert(Strategy<Ring>);

}  // namespace cellroute
