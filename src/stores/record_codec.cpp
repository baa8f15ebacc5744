#include "stores/record_codec.hpp"

#include <google/protobuf/message.h>
#include <google/protobuf/unknown_field_set.h>

#include <algorithm>
#include <cstdint>

#include "stores/mapping.pb.h"
#include "stores/text.hpp"

namespace cellroute::stores {
namespace {

constexpr int kLastKnownField = v1::MappingRecord::kFlagsFieldNumber;

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
bool only_unknown_fields(const std::string& bytes) {
  google::protobuf::UnknownFieldSet fields;
  if (!fields.ParseFromString(bytes)) return false;
  for (int i = 0; i < fields.field_count(); ++i) {
    if (fields.field(i).number() <= kLastKnownField) return false;
  }
  return true;
}

const google::protobuf::UnknownFieldSet& unknown_fields(const google::protobuf::Message& message) {
  return message.GetReflection()->GetUnknownFields(message);
}

void write_profile(const MappedProfile& profile, v1::MappingRecord& message) {
  message.set_pins_profile(true);
  message.set_tier(profile.tier);
  message.set_region(profile.region);
  message.set_plan(profile.plan);
  for (const std::string& flag : profile.flags) message.add_flags(flag);
}

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
  if (bytes.size() > kMaxRecordBytes ||
      !message_->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return with_key(corrupt("no message of a mapping record"), label);
  }
  Error error = read_fields(record);
  if (error.ok()) error = read_profile(record);
  if (error.ok()) error = read_history(record);
  if (error.ok()) error = read_unknown(record);
  if (!error.ok()) return with_key(error, label);
  const char* rule = broken_rule(record);
  return rule == nullptr ? Error() : with_key(corrupt(rule), label);
}

Error RecordCodec::read_fields(MappingRecord& record) const {
  const v1::MappingRecord& message = *message_;
  if (message.revision() == 0) return corrupt("the revision is 0");
  if (message.op_id().size() != record.op_id.size()) {
    return corrupt("the op-id is not 16 bytes long");
  }
  if (!v1::MappingRecord::State_IsValid(message.state())) {
    return from_later_version("its migration state");
  }
  record.key = message.key();
  record.cell = message.cell();
  record.epoch = message.epoch();
  record.revision = message.revision();
  std::copy(message.op_id().begin(), message.op_id().end(), record.op_id.begin());
  record.state = static_cast<MigrationState>(message.state());
  record.target = message.target();
  record.created = message.created();
  record.updated = message.updated();
  record.expires = message.expires();
  record.ephemeral = message.ephemeral();
  record.deleted = message.deleted();
  return {};
}

Error RecordCodec::read_profile(MappingRecord& record) const {
  const v1::MappingRecord& message = *message_;
  if (!message.pins_profile()) {
    record.profile.reset();
    const bool empty = message.tier().empty() && message.region().empty() &&
                       message.plan().empty() && message.flags().empty();
    return empty ? Error() : corrupt("attributes without a profile");
  }
  if (static_cast<std::size_t>(message.flags_size()) > kMaxMappedFlags) {
    return corrupt("the profile has more than 16 flags");
  }
  if (!record.profile) record.profile.emplace();
  record.profile->tier = message.tier();
  record.profile->region = message.region();
  record.profile->plan = message.plan();
  record.profile->flags.assign(message.flags().begin(), message.flags().end());
  return {};
}

Error RecordCodec::read_history(MappingRecord& record) const {
  const auto& history = message_->history();
  if (static_cast<std::size_t>(history.size()) > kMaxHistory) {
    return corrupt("the history has more than 16 entries");
  }
  record.history.resize(static_cast<std::size_t>(history.size()));
  auto entry = record.history.begin();
  for (const v1::MappingRecord::HistoryEntry& message : history) {
    if (!unknown_fields(message).empty()) return from_later_version("its history");
    entry->cell = message.cell();
    entry->first_epoch = message.first_epoch();
    entry->last_epoch = message.last_epoch();
    ++entry;
  }
  return {};
}

Error RecordCodec::read_unknown(MappingRecord& record) const {
  record.unknown_fields.clear();
  if (unknown_fields(*message_).empty()) return {};
  if (!unknown_fields(*message_).SerializeToString(&record.unknown_fields)) {
    return corrupt("its unknown fields cannot be kept");
  }
  // A known field in another wire type arrives here: that is damage, not a later version.
  if (!only_unknown_fields(record.unknown_fields)) return corrupt("a field has another type");
  return {};
}

}  // namespace cellroute::stores
