#include "stores/record_codec.hpp"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <algorithm>
#include <cstdint>

#include "stores/mapping.pb.h"
#include "stores/text.hpp"

namespace cellroute::stores {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;
using Known = v1::MappingRecord;

constexpr int kLastKnownField = Known::kFlagsFieldNumber;

constexpr std::uint32_t varint(int field) {
  return WireFormatLite::MakeTag(field, WireFormatLite::WIRETYPE_VARINT);
}
constexpr std::uint32_t fixed64(int field) {
  return WireFormatLite::MakeTag(field, WireFormatLite::WIRETYPE_FIXED64);
}
constexpr std::uint32_t bytes(int field) {
  return WireFormatLite::MakeTag(field, WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
}

CodedInputStream stream_of(std::string_view message) {
  return CodedInputStream(reinterpret_cast<const std::uint8_t*>(message.data()),
                          static_cast<int>(message.size()));
}

// Errors without the key, which decode() adds.
Error corrupt(std::string_view why) { return Error(ErrorCode::kCorrupt, std::string(why)); }
Error from_later_version(std::string_view what) {
  return Error(ErrorCode::kUnsupported,
               "a later version of cellroute wrote " + std::string(what) + "; use that version");
}

Error with_key(const Error& error, std::string_view key) {
  return Error(error.code(), key_text(key) + ": stored record: " + error.text());
}

// What this version would not leave alone must not come in by this door.
bool only_unknown_fields(std::string_view message) {
  CodedInputStream in = stream_of(message);
  while (const std::uint32_t tag = in.ReadTag()) {
    if (WireFormatLite::GetTagFieldNumber(tag) <= kLastKnownField) return false;
    if (!WireFormatLite::SkipField(&in, tag)) return false;
  }
  return in.ConsumedEntireMessage();
}

void write_profile(const MappedProfile& profile, v1::MappingRecord& message) {
  message.set_pins_profile(true);
  message.set_tier(profile.tier);
  message.set_region(profile.region);
  message.set_plan(profile.plan);
  for (const std::string& flag : profile.flags) message.add_flags(flag);
}

// Reads a message straight into a record whose memory is used again.
class Reader {
 public:
  Reader(std::string_view message, MappingRecord& record)
      : message_(message), in_(stream_of(message)), record_(record) {}

  Error read() {
    clear();
    for (;;) {
      const int start = in_.CurrentPosition();
      const std::uint32_t tag = in_.ReadTag();
      if (tag == 0) break;
      if (Error error = read_field(tag, start); !error.ok()) return error;
    }
    if (!in_.ConsumedEntireMessage()) return no_message();
    record_.history.resize(history_);
    profile_.flags.resize(flags_);
    return settle_profile();
  }

 private:
  static Error no_message() { return corrupt("no message of a mapping record"); }
  static Error unless_read(bool read) { return read ? Error() : no_message(); }

  void clear() {
    if (record_.profile) profile_ = std::move(*record_.profile);
    profile_.tier.clear();
    profile_.region.clear();
    profile_.plan.clear();
    record_.key.clear();
    record_.cell.clear();
    record_.target.clear();
    record_.unknown_fields.clear();
    record_.epoch = record_.revision = 0;
    record_.op_id = {};
    record_.state = MigrationState::kStable;
    record_.created = record_.updated = record_.expires = 0;
    record_.ephemeral = record_.deleted = false;
  }

  Error read_field(std::uint32_t tag, int start) {
    switch (tag) {
      case bytes(Known::kKeyFieldNumber): return read(record_.key);
      case bytes(Known::kCellFieldNumber): return read(record_.cell);
      case varint(Known::kEpochFieldNumber): return read(record_.epoch);
      case varint(Known::kRevisionFieldNumber): return read(record_.revision);
      case bytes(Known::kOpIdFieldNumber): return read_op_id();
      case varint(Known::kStateFieldNumber): return read_state();
      case bytes(Known::kTargetFieldNumber): return read(record_.target);
      case fixed64(Known::kCreatedFieldNumber): return read(record_.created);
      case fixed64(Known::kUpdatedFieldNumber): return read(record_.updated);
      case fixed64(Known::kExpiresFieldNumber): return read(record_.expires);
      case varint(Known::kEphemeralFieldNumber): return read(record_.ephemeral);
      case varint(Known::kDeletedFieldNumber): return read(record_.deleted);
      case bytes(Known::kHistoryFieldNumber): return read_history();
      case varint(Known::kPinsProfileFieldNumber): return read(pins_profile_);
      case bytes(Known::kTierFieldNumber): return read(profile_.tier);
      case bytes(Known::kRegionFieldNumber): return read(profile_.region);
      case bytes(Known::kPlanFieldNumber): return read(profile_.plan);
      case bytes(Known::kFlagsFieldNumber): return read_flag();
      default: return keep_unknown(tag, start);
    }
  }

  Error read(std::string& text) {
    int size = 0;
    return unless_read(in_.ReadVarintSizeAsInt(&size) && in_.ReadString(&text, size));
  }
  Error read(std::uint64_t& number) { return unless_read(in_.ReadVarint64(&number)); }
  Error read(Nanos& time) {
    std::uint64_t number = 0;
    const bool read = in_.ReadLittleEndian64(&number);
    time = static_cast<Nanos>(number);
    return unless_read(read);
  }
  Error read(bool& flag) {
    std::uint64_t number = 0;
    const bool read = in_.ReadVarint64(&number);
    flag = number != 0;
    return unless_read(read);
  }

  Error read_op_id() {
    std::string& id = scratch_;
    if (Error error = read(id); !error.ok()) return error;
    if (id.size() != record_.op_id.size()) return corrupt("the op-id is not 16 bytes long");
    std::copy(id.begin(), id.end(), record_.op_id.begin());
    return {};
  }

  Error read_state() {
    std::uint64_t number = 0;
    if (Error error = read(number); !error.ok()) return error;
    if (number > static_cast<std::uint64_t>(MigrationState::kFrozen)) {
      return from_later_version("its migration state");
    }
    record_.state = static_cast<MigrationState>(number);
    return {};
  }

  Error read_history() {
    if (history_ == kMaxHistory) return corrupt("the history has more than 16 entries");
    if (history_ == record_.history.size()) record_.history.emplace_back();
    HistoryEntry& entry = record_.history[history_++];
    entry.cell.clear();
    entry.first_epoch = entry.last_epoch = 0;
    int size = 0;
    if (!in_.ReadVarintSizeAsInt(&size) || size > in_.BytesUntilLimit()) return no_message();
    const CodedInputStream::Limit outer = in_.PushLimit(size);
    using KnownEntry = Known::HistoryEntry;
    Error error;
    while (const std::uint32_t tag = in_.ReadTag()) {
      if (tag == bytes(KnownEntry::kCellFieldNumber)) {
        error = read(entry.cell);
      } else if (tag == varint(KnownEntry::kFirstEpochFieldNumber)) {
        error = read(entry.first_epoch);
      } else if (tag == varint(KnownEntry::kLastEpochFieldNumber)) {
        error = read(entry.last_epoch);
      } else {
        error =
            WireFormatLite::SkipField(&in_, tag) ? from_later_version("its history") : no_message();
      }
      if (!error.ok()) return error;
    }
    if (!in_.ConsumedEntireMessage()) return no_message();
    in_.PopLimit(outer);
    return {};
  }

  Error read_flag() {
    if (flags_ == kMaxMappedFlags) return corrupt("the profile has more than 16 flags");
    if (flags_ == profile_.flags.size()) profile_.flags.emplace_back();
    return read(profile_.flags[flags_++]);
  }

  // A known field in another wire type comes here too: that is damage, not a later version.
  Error keep_unknown(std::uint32_t tag, int start) {
    if (WireFormatLite::GetTagFieldNumber(tag) <= kLastKnownField) {
      return corrupt("a field has another type");
    }
    if (!WireFormatLite::SkipField(&in_, tag)) return no_message();
    const auto size = static_cast<std::size_t>(in_.CurrentPosition() - start);
    record_.unknown_fields += message_.substr(static_cast<std::size_t>(start), size);
    return {};
  }

  Error settle_profile() {
    if (pins_profile_) {
      record_.profile = std::move(profile_);
      return {};
    }
    record_.profile.reset();
    const bool empty = profile_.tier.empty() && profile_.region.empty() && profile_.plan.empty() &&
                       profile_.flags.empty();
    return empty ? Error() : corrupt("attributes without a profile");
  }

  std::string_view message_;
  CodedInputStream in_;
  MappingRecord& record_;
  MappedProfile profile_;
  std::string scratch_;
  std::size_t history_ = 0;
  std::size_t flags_ = 0;
  bool pins_profile_ = false;
};

}  // namespace

RecordCodec::RecordCodec() : message_(std::make_unique<v1::MappingRecord>()) {}
RecordCodec::~RecordCodec() = default;

Error RecordCodec::encode(const MappingRecord& record, std::string& bytes) {
  if (const char* rule = broken_rule(record)) {
    return invalid_argument(key_text(record.key) + ": " + rule);
  }
  if (record.revision == 0) {
    return invalid_argument(key_text(record.key) + ": the revision is 0, which no record has");
  }
  if (!record.unknown_fields.empty() && !only_unknown_fields(record.unknown_fields)) {
    return invalid_argument(key_text(record.key) +
                            ": unknown_fields holds what is no field of a later version");
  }
  v1::MappingRecord& message = *message_;
  message.Clear();
  message.set_key(record.key);
  message.set_cell(record.cell);
  message.set_epoch(record.epoch);
  message.set_revision(record.revision);
  message.set_op_id(record.op_id.data(), record.op_id.size());
  message.set_state(static_cast<v1::MappingRecord::State>(record.state));
  message.set_target(record.target);
  message.set_created(record.created);
  message.set_updated(record.updated);
  message.set_expires(record.expires);
  message.set_ephemeral(record.ephemeral);
  message.set_deleted(record.deleted);
  if (record.profile) write_profile(*record.profile, message);
  for (const HistoryEntry& entry : record.history) {
    v1::MappingRecord::HistoryEntry& added = *message.add_history();
    added.set_cell(entry.cell);
    added.set_first_epoch(entry.first_epoch);
    added.set_last_epoch(entry.last_epoch);
  }
  message.SerializeToString(&bytes);
  bytes += record.unknown_fields;  // messages one behind the other are read as one
  return {};
}

Error RecordCodec::decode(std::string_view bytes, std::string_view key, MappingRecord& record) {
  Error error = decode_any(bytes, key, record);
  if (error.ok() && record.key != key) return with_key(corrupt("it is of another key"), key);
  return error;
}

Error RecordCodec::decode_any(std::string_view bytes, std::string_view label,
                              MappingRecord& record) {
  if (bytes.size() > kMaxRecordBytes) {
    return with_key(corrupt("no message of a mapping record"), label);
  }
  Error error = Reader(bytes, record).read();
  if (error.ok() && record.revision == 0) error = corrupt("the revision is 0");
  if (!error.ok()) return with_key(error, label);
  const char* rule = broken_rule(record);
  return rule == nullptr ? Error() : with_key(corrupt(rule), label);
}

}  // namespace cellroute::stores
