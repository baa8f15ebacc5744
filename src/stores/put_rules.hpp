// What every store checks before it writes, in one wording.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "cellroute/mapping.hpp"
#include "cellroute/status.hpp"
#include "stores/text.hpp"

namespace cellroute::stores {

inline Error check_key(std::string_view key) {
  if (key_length_ok(key)) return {};
  return invalid_argument(key.empty() ? "the key is empty; a key has 1 to 1,024 bytes"
                                      : key_text(key) + " is too long; a key has 1 to 1,024 bytes");
}

// `record` by itself.
inline Error check_record(const MappingRecord& record) {
  const char* rule = broken_rule(record);
  if (rule == nullptr) return {};
  return invalid_argument(key_text(record.key) + ": " + rule);
}

// May `record` follow `stored` (null: none)? Compare-and-set first; then the epoch, which no
// caller's mistake may turn back, since a cell lets the higher one write.
inline Error check_successor(const MappingRecord* stored, const MappingRecord& record,
                             std::uint64_t expected) {
  if ((stored == nullptr ? 0 : stored->revision) != expected) {
    return Error(ErrorCode::kConflict, key_text(record.key) + ": its revision is not " +
                                           std::to_string(expected) +
                                           "; read the record again and decide anew");
  }
  if (stored == nullptr) return {};
  if (expected == std::numeric_limits<std::uint64_t>::max()) {
    return refused(key_text(record.key) + ": its revisions are used up");
  }
  if (record.epoch < stored->epoch) {
    return refused(key_text(record.key) + ": epoch " + std::to_string(record.epoch) +
                   " is below the stored one");
  }
  const bool moves = record.cell != stored->cell || (stored->deleted && !record.deleted);
  if (moves && record.epoch == stored->epoch) {
    return refused(key_text(record.key) +
                   ": another cell, or a new life, needs a higher epoch than " +
                   std::to_string(record.epoch));
  }
  return {};
}

}  // namespace cellroute::stores
