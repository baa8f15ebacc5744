// Records of a table's stream, as Lambda hands them to a function: what changed, for a copy that
// keeps each key's newest (epoch, revision).
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "cellroute/mapping.hpp"
#include "cellroute/status.hpp"
#include "net/dynamodb_url.hpp"

namespace cellroute::net {

// Longer than any batch that Lambda hands over (6 MB).
inline constexpr std::size_t kMaxStreamEventBytes = std::size_t{16} << 20;

// A sequence number is 21 to 40 digits (Amazon DynamoDB Streams API Reference, StreamRecord).
inline constexpr std::size_t kMaxSequenceNumberBytes = 40;

// Thread safety: a plain value.
struct StreamChange {
  std::string key;
  // The record as it is now. What was removed is a tombstone, one revision above the last. Nothing:
  // the stream has no image of it, or another table has its profile, so the key must be read from
  // the store.
  std::optional<MappingRecord> record;
  bool expired = false;  // DynamoDB removed it because its time to live was over
};

// Takes one change. A stream brings some twice, and a failed batch all again, so it must be of no
// matter; what is older than the copy must not replace it.
using TakeChange = std::function<Error(const StreamChange& change)>;

// Thread safety: a plain value.
struct StreamResult {
  std::size_t taken = 0;
  std::size_t passed_over = 0;  // of other keys' items, without a mapping, or seen before here
  std::string failed;           // the sequence number of the first that failed; empty: none did
  Error error;                  // and why

  // What the function returns, so that Lambda brings what failed and all behind it again
  // (ReportBatchItemFailures).
  std::string response() const;
};

// Hands the changes of `event`, {"Records": [...]}, to `take` one after another, and stops at the
// first that fails: those behind it may be of the same key. `target` has the names of attributes.
// kInvalidArgument: it is no such event, or one of its records has no sequence number, of at most
// 40 digits.
Result<StreamResult> read_stream_event(const DynamodbTarget& target, std::string_view event,
                                       const TakeChange& take);

}  // namespace cellroute::net
