// Limits by key in fixed memory.
#pragma once

#include <cstdint>
#include <string_view>

#include "cellroute/guard/limit.hpp"
#include "cellroute/guard/region.hpp"

namespace cellroute {

// Thread and process safety: as GuardRegion's.
class KeyLimiter {
 public:
  explicit KeyLimiter(const GuardRegion& region) noexcept
      : sets_(region.limiter_sets()), seed_(region.seed()) {}

  // What to charge: the key, and for KEY_AND_RESOURCE the resource.
  std::uint64_t hash(std::string_view key) const noexcept { return hash_bytes(seed_, key); }
  std::uint64_t hash(std::string_view key, std::string_view resource) const noexcept {
    return hash_bytes(mix(hash(key)), resource);
  }

 private:
  std::span<guard::LimiterSet> sets_;
  std::uint64_t seed_;
};

}  // namespace cellroute
