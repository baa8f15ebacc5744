// A mapping record to bytes (cellroute.v1.MappingRecord) and back. Bytes may be hostile.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "cellroute/mapping.hpp"
#include "cellroute/status.hpp"

namespace cellroute::v1 {
class MappingRecord;
}

namespace cellroute::stores {

// Longer than any record that keeps its bounds.
inline constexpr std::size_t kMaxRecordBytes = 16 * 1024;

// Holds the message that it encodes from, so that one used again does not allocate.
// Thread safety: one thread at a time.
class RecordCodec {
 public:
  RecordCodec();
  ~RecordCodec();
  RecordCodec(const RecordCodec&) = delete;
  RecordCodec& operator=(const RecordCodec&) = delete;

  // Replaces `bytes`. kInvalidArgument with the broken rule (broken_rule), or where the
  // revision is 0, or unknown_fields is no message or holds a field that this version knows.
  Error encode(const MappingRecord& record, std::string& bytes);

  // Replaces every field of `record`, reusing its memory; on an error its content is unspecified.
  // `key` is what the bytes were kept under; another key in them is damage as well.
  //   kCorrupt      the bytes are no record that keeps the rules
  //   kUnsupported  a later version wrote what this one cannot judge
  Error decode(std::string_view bytes, std::string_view key, MappingRecord& record);

  // The same where the key is not known beforehand; `label` stands for it in error texts.
  Error decode_any(std::string_view bytes, std::string_view label, MappingRecord& record);

 private:
  std::unique_ptr<v1::MappingRecord> message_;
};

}  // namespace cellroute::stores
