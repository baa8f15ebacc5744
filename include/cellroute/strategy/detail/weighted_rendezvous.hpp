// Weighted rendezvous hashing (Thaler and Ravishankar 1998; weights by Schindler and Schomaker
// 2005): of all members, the one with the least -log2(u) / weight wins a key, u being a hash of
// the key and the member in (0, 1]. Shared by rendezvous (per key) and rendezvous-slots (per slot).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include "cellroute/hash.hpp"
#include "cellroute/strategy/detail/fixed_log2.hpp"
#include "cellroute/strategy/strategy.hpp"

namespace cellroute::detail {

// The hash of a key's point with a member's hash: both halves of one wide product, folded, as in
// wyrand (Wang Yi 2019), at half the price of mix(). Both inputs are hashes already. Points that
// differ by exactly the constant collide, which costs one bit of 64.
constexpr std::uint64_t pair_hash(std::uint64_t point, std::uint64_t member_hash) noexcept {
  const std::uint64_t x = point ^ member_hash;
  const Uint128 product = Uint128{x} * (x ^ 0xe7037ed1a0b428dbULL);
  return static_cast<std::uint64_t>(product >> 64) ^ static_cast<std::uint64_t>(product);
}

// A member with its hash for one key.
struct Contender {
  std::uint64_t hash;
  std::uint32_t weight;
  std::uint16_t rank;  // in byte order of id
};

// At most negative_log2(hash), and cheap: -log2(u) >= (1 - u) * log2(e), and log2(e) > 5/4.
constexpr std::uint64_t log_floor(std::uint64_t hash) noexcept {
  constexpr unsigned kShift = 64 - kLog2FractionBits;
  return (~hash >> kShift) + (~hash >> (kShift + 2));
}

// Whether a wins over b, whose negative_log2(hash) is log_b: -log2(u_a) / w_a < -log2(u_b) / w_b,
// compared exactly, both sides times both weights. Ties: the larger hash, then the lower id.
constexpr bool wins(const Contender& a, const Contender& b, std::uint64_t log_b) noexcept {
  const Uint128 to_beat = Uint128{log_b} * a.weight;
  if (Uint128{log_floor(a.hash)} * b.weight > to_beat) return false;  // most end here
  const Uint128 score = Uint128{negative_log2(a.hash)} * b.weight;
  if (score != to_beat) return score < to_beat;
  if (a.hash != b.hash) return a.hash > b.hash;
  return a.rank < b.rank;
}

// Immutable; any number of threads.
class WeightedRendezvous {
 public:
  // Precondition: check_members() passed.
  WeightedRendezvous(std::span<const Member> members, std::uint64_t seed) {
    std::vector<std::uint16_t> ranks(members.size());
    std::iota(ranks.begin(), ranks.end(), std::uint16_t{0});
    // Heaviest first: a good early answer lets winner() skip most of the rest.
    std::stable_sort(ranks.begin(), ranks.end(), [&](std::uint16_t a, std::uint16_t b) {
      return members[a].weight > members[b].weight;
    });
    hashes_.reserve(members.size());
    entries_.reserve(members.size());
    for (const std::uint16_t rank : ranks) {
      const Member& member = members[rank];
      if (groups_.empty() || groups_.back().weight != member.weight) {
        groups_.push_back({member.weight, 0});
      }
      hashes_.push_back(hash_bytes(seed, member.id));
      entries_.push_back({rank, member.cell});
      groups_.back().end = static_cast<std::uint32_t>(hashes_.size());
    }
  }

  // The cell that wins `point`: of each weight's best, the one that wins over the others.
  CellIndex winner(std::uint64_t point) const noexcept {
    Best best = best_of(point, 0, groups_[0].end);
    if (groups_.size() == 1) return entries_[best.index].cell;
    Contender champion = contender(best, groups_[0].weight);
    std::uint64_t champion_log = negative_log2(best.hash);
    for (std::size_t g = 1; g < groups_.size(); ++g) {
      const Best other = best_of(point, groups_[g - 1].end, groups_[g].end);
      const Contender challenger = contender(other, groups_[g].weight);
      if (!wins(challenger, champion, champion_log)) continue;
      best = other;
      champion = challenger;
      champion_log = negative_log2(other.hash);
    }
    return entries_[best.index].cell;
  }

  std::size_t bytes() const noexcept {
    return hashes_.size() * (sizeof(std::uint64_t) + sizeof(Entry)) +
           groups_.size() * sizeof(Group);
  }

  // The most that bytes() comes to, every member having a weight of its own.
  static constexpr std::uint64_t bytes_for(std::uint64_t members) noexcept {
    return members * (sizeof(std::uint64_t) + sizeof(Entry) + sizeof(Group));
  }

 private:
  struct Group {  // members of one weight; they end here, and begin where the last group ends
    std::uint32_t weight;
    std::uint32_t end;
  };
  struct Entry {
    std::uint16_t rank;  // in byte order of id
    CellIndex cell;
  };
  struct Best {
    std::uint64_t hash;
    std::size_t index;
  };

  // Among members of one weight the logarithm never rises with the hash and ties go to the larger
  // hash, so the largest hash wins: no logarithm is needed. Kept as it is for conditional moves:
  // a branch on which hash is larger would be mispredicted, and wider steps gain nothing (the
  // multiplier is the limit).
  Best best_of(std::uint64_t point, std::size_t begin, std::size_t end) const noexcept {
    std::uint64_t most = 0;
    std::size_t winner = begin;
    for (std::size_t i = begin; i < end; ++i) {
      const std::uint64_t hash = pair_hash(point, hashes_[i]);
      const bool more = hash > most;
      most = more ? hash : most;
      winner = more ? i : winner;
    }
    return {most, winner};
  }

  Contender contender(const Best& best, std::uint32_t weight) const noexcept {
    return {best.hash, weight, entries_[best.index].rank};
  }

  std::vector<std::uint64_t> hashes_;  // by weight, heaviest first, then by id
  std::vector<Entry> entries_;         // likewise
  std::vector<Group> groups_;
};

}  // namespace cellroute::detail
