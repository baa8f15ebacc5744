// Where scans and readers of changes stand in a store of several partitions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cellroute/mapping_store.hpp"
#include "stores/cursor.hpp"

namespace cellroute::net {

// A scan has gone through the partitions before `partition`, and in that one up to the key `after`,
// empty at its start. Thread safety: a plain value.
struct RedisScanPlace {
  unsigned partition = 0;
  std::string after;
};

inline Cursor make_scan_cursor(const stores::CursorScope& scope, const RedisScanPlace& place) {
  return scope.make(std::string(1, static_cast<char>(place.partition)) + place.after);
}

inline Result<RedisScanPlace> read_scan_cursor(const stores::CursorScope& scope,
                                               const Cursor& cursor, unsigned partitions) {
  const Result<std::string_view> place = scope.place(cursor);
  if (!place.ok()) return place.error();
  if (place->empty()) return RedisScanPlace{};
  const unsigned partition = static_cast<unsigned char>(place->front());
  if (partition >= partitions || place->size() > 1 + kMaxKeyBytes) return stores::damaged_cursor();
  return RedisScanPlace{partition, std::string(place->substr(1))};
}

// In one partition: the last change read; the last purged tombstone known of then, and the server's
// line of history, by its hash. Thread safety: a plain value.
struct RedisFeedPosition {
  std::uint64_t sequence = 0;
  std::uint64_t forgotten = 0;
  std::uint64_t line = 0;
};

// Pages go round: the next one begins with `partition`, so that a busy one does not keep readers
// from the others. Thread safety: a plain value.
struct RedisFeedPlace {
  std::vector<RedisFeedPosition> positions;  // one a partition
  unsigned partition = 0;
};

inline Cursor make_feed_cursor(std::uint64_t store_id, const RedisFeedPlace& place) {
  std::string bytes;
  for (const RedisFeedPosition& position : place.positions) {
    stores::append_number(bytes, position.sequence);
    stores::append_number(bytes, position.forgotten);
    stores::append_number(bytes, position.line);
  }
  stores::append_number(bytes, place.partition);
  return stores::CursorScope('f', store_id).make(std::string_view(bytes));
}

// `place` is as it was made.
inline Error read_feed_cursor(std::uint64_t store_id, const Cursor& cursor, unsigned partitions,
                              RedisFeedPlace& place) {
  constexpr std::size_t kPositionBytes = 24;
  const Result<std::string_view> bytes = stores::CursorScope('f', store_id).place(cursor);
  if (!bytes.ok()) return bytes.error();
  place.positions.resize(partitions);
  if (cursor.empty()) return {};
  if (bytes->size() != partitions * kPositionBytes + 8) return stores::damaged_cursor();
  std::string_view rest = *bytes;
  for (RedisFeedPosition& position : place.positions) {
    position.sequence = stores::read_number(rest);
    position.forgotten = stores::read_number(rest.substr(8));
    position.line = stores::read_number(rest.substr(16));
    rest.remove_prefix(kPositionBytes);
  }
  const std::uint64_t partition = stores::read_number(rest);
  if (partition >= partitions) return stores::damaged_cursor();
  place.partition = static_cast<unsigned>(partition);
  return {};
}

}  // namespace cellroute::net
