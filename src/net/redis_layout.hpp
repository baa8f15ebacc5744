// Names of a store's keys in Redis (redis_format.md).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "cellroute/status.hpp"
#include "net/redis_slots.hpp"

namespace cellroute::net {

// What a store is made with; then it has as many as its format record says. With one, changes come
// in the order of all writes; a cluster spreads them.
inline constexpr unsigned kAlonePartitions = 1;
inline constexpr unsigned kClusterPartitions = 64;
inline constexpr unsigned kMaxPartitions = 128;

inline constexpr unsigned kRedisFormatVersion = 1;

// Thread safety: a plain value.
struct RedisFormat {
  std::uint64_t store_id = 0;
  unsigned partitions = 0;

  std::string text() const {
    return std::to_string(kRedisFormatVersion) + ' ' + std::to_string(store_id) + ' ' +
           std::to_string(partitions);
  }
};

// kCorrupt where `text` is no format record, kUnsupported where it is a later version's.
Result<RedisFormat> read_redis_format(std::string_view text);

inline std::string redis_format_key(std::string_view prefix) {
  return std::string(prefix) + ":format";
}

// The keys of one partition, in the order of the script's KEYS. Thread safety: a plain value.
class RedisPartition {
 public:
  RedisPartition(std::string_view prefix, unsigned number) {
    const std::string start = std::string(prefix) + ":{" + std::to_string(number) + "}:";
    constexpr std::string_view kNames[] = {"head",  "records", "order",
                                           "cells", "expiry",  "changes"};
    for (std::size_t i = 0; i < keys_.size(); ++i) keys_[i] = start + std::string(kNames[i]);
    slot_ = redis_slot(keys_[0]);
  }

  const std::array<std::string, 6>& keys() const noexcept { return keys_; }
  const std::string& records() const noexcept { return keys_[1]; }
  unsigned slot() const noexcept { return slot_; }

 private:
  std::array<std::string, 6> keys_;
  unsigned slot_ = 0;
};

}  // namespace cellroute::net
