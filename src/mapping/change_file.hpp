// The changes since a mapping file, beside it as PATH.changes: what a router lays over its base.
//
//   "cellchg\n" │ version u32, 0 u32 │ generation of the base u64 │ records u64
//   │ feed: u16 length, bytes │ cursor: u16 length, bytes
//   │ each record: u32 length, cellroute.v1.MappingRecord │ XXH3-64 of all before it
//
// Integers are little endian. The file is replaced at once and whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cellroute/mapping.hpp"
#include "cellroute/mapping_file/tables.hpp"
#include "cellroute/status.hpp"

namespace cellroute {

// More are folded into the next base: an overlay costs each router memory, and each change of it
// the time to lay them all over the base anew.
inline constexpr std::size_t kMaxChanges = std::size_t{1} << 20;
inline constexpr std::size_t kMaxChangeBytes = std::size_t{1} << 30;

struct Changes {
  std::uint64_t base = 0;              // generation of the mapping file that they follow
  FeedCursor feed;                     // how far they had been read
  std::vector<MappingRecord> records;  // one a key, tombstones included; at most kMaxChanges

  bool operator==(const Changes&) const = default;
};

inline std::string changes_path(const std::string& base_path) { return base_path + ".changes"; }

namespace mapping {

// kInvalidArgument where a record breaks a rule or has no revision; kResourceExhausted where there
// are too many.
Result<std::string> encode_changes(const Changes& changes);

// `bytes` may be hostile. kCorrupt; kUnsupported for what a later version wrote.
Result<Changes> decode_changes(std::string_view bytes);

}  // namespace mapping

// Errors name the file: those of the system, kConflict while another writes it.
Error write_changes(const std::string& path, const Changes& changes);

// kNotFound, kUnavailable, kCorrupt, kUnsupported; kResourceExhausted without memory for it.
Result<Changes> read_changes(const std::string& path);

}  // namespace cellroute
