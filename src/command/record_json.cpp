#include "command/record_json.hpp"

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "cellroute/check/problems.hpp"
#include "command/output.hpp"
#include "stores/base64.hpp"

namespace cellroute::command {
namespace {

using Json = nlohmann::ordered_json;

constexpr MigrationState kStates[] = {MigrationState::kStable, MigrationState::kCopying,
                                      MigrationState::kFreezing, MigrationState::kFrozen};
constexpr char kHex[] = "0123456789abcdef";

std::string base64(std::string_view bytes) {
  std::string text;
  append_base64(bytes, text);
  return text;
}

Json profile_to_json(const MappedProfile& profile) {
  return {{"tier", profile.tier},
          {"region", profile.region},
          {"plan", profile.plan},
          {"flags", profile.flags}};
}

// Takes the fields of one object one by one; the first error stays.
class FieldReader {
 public:
  explicit FieldReader(const Json& object) : object_(object) {}

  template <class T>
  bool read(const char* name, T& value) {
    const auto at = object_.find(name);
    if (at == object_.end() || at->is_null()) return false;
    ++taken_;
    if (!fits(*at, value)) {
      fail(std::string("\"") + name + "\" has a value of the wrong kind");
      return false;
    }
    value = at->template get<T>();
    return true;
  }

  const Json* part(const char* name) {
    const auto at = object_.find(name);
    if (at == object_.end() || at->is_null()) return nullptr;
    ++taken_;
    return &*at;
  }

  void fail(std::string text) {
    if (error_.ok()) error_ = invalid_argument(std::move(text));
  }

  // Unknown fields are refused: a misspelt one would be lost silently.
  Error finish() {
    std::size_t given = 0;
    for (const Json& value : object_) given += value.is_null() ? 0U : 1U;
    if (given > taken_) fail("a field is unknown to mapping records");
    return error_;
  }

 private:
  static bool fits(const Json& json, const std::string&) { return json.is_string(); }
  static bool fits(const Json& json, bool) { return json.is_boolean(); }
  static bool fits(const Json& json, std::uint64_t) { return json.is_number_unsigned(); }
  static bool fits(const Json& json, Nanos) {
    if (!json.is_number_integer()) return false;
    return !json.is_number_unsigned() || json.get<std::uint64_t>() <= std::uint64_t{INT64_MAX};
  }
  static bool fits(const Json& json, const std::vector<std::string>&) {
    if (!json.is_array()) return false;
    for (const Json& value : json) {
      if (!value.is_string()) return false;
    }
    return true;
  }

  const Json& object_;
  std::size_t taken_ = 0;
  Error error_;
};

bool parse_op_id(std::string_view text, OpId& op_id) {
  if (text.size() != 2 * op_id.size()) return false;
  for (std::size_t i = 0; i < op_id.size(); ++i) {
    const char* begin = text.data() + 2 * i;
    const auto [end, error] = std::from_chars(begin, begin + 2, op_id[i], 16);
    if (error != std::errc() || end != begin + 2) return false;
  }
  return true;
}

void read_key(FieldReader& fields, MappingRecord& record) {
  std::string spelled;
  const bool plain = fields.read("key", record.key);
  const bool coded = fields.read("key_base64", spelled);
  if (plain == coded) {
    fields.fail("one of \"key\" and \"key_base64\" must be given");
  } else if (coded && !decode_base64(spelled, record.key)) {
    fields.fail("\"key_base64\" must be base 64 with padding");
  }
}

void read_state(FieldReader& fields, MappingRecord& record) {
  std::string text;
  if (!fields.read("state", text)) return;
  for (const MigrationState state : kStates) {
    if (name(state) != text) continue;
    record.state = state;
    return;
  }
  fields.fail("\"state\" must be STABLE, COPYING, FREEZING or FROZEN");
}

void read_profile(FieldReader& fields, MappingRecord& record) {
  const Json* part = fields.part("profile");
  if (part == nullptr) return;
  if (!part->is_object()) return fields.fail("\"profile\" must be an object");
  FieldReader inner(*part);
  MappedProfile& profile = record.profile.emplace();
  inner.read("tier", profile.tier);
  inner.read("region", profile.region);
  inner.read("plan", profile.plan);
  inner.read("flags", profile.flags);
  if (const Error error = inner.finish(); !error.ok()) fields.fail("\"profile\": " + error.text());
}

void read_history(FieldReader& fields, MappingRecord& record) {
  const Json* part = fields.part("history");
  if (part == nullptr) return;
  if (!part->is_array()) return fields.fail("\"history\" must be an array");
  for (const Json& entry : *part) {
    if (!entry.is_object()) return fields.fail("\"history\" must hold objects");
    FieldReader inner(entry);
    HistoryEntry& added = record.history.emplace_back();
    inner.read("cell", added.cell);
    inner.read("first_epoch", added.first_epoch);
    inner.read("last_epoch", added.last_epoch);
    if (const Error error = inner.finish(); !error.ok()) {
      return fields.fail("\"history\": " + error.text());
    }
  }
}

RecordInput read_fields(FieldReader& fields) {
  RecordInput input;
  MappingRecord& record = input.record;
  read_key(fields, record);
  if (!fields.read("cell", record.cell)) fields.fail("\"cell\" is missing");
  const bool has_epoch = fields.read("epoch", record.epoch);
  fields.read("revision", record.revision);
  std::string text;
  const bool has_op_id = fields.read("op_id", text);
  if (has_op_id && !parse_op_id(text, record.op_id)) {
    fields.fail("\"op_id\" must be 32 hexadecimal digits");
  }
  input.complete = has_epoch && has_op_id;
  read_state(fields, record);
  fields.read("target", record.target);
  fields.read("created", record.created);
  fields.read("updated", record.updated);
  fields.read("expires", record.expires);
  fields.read("ephemeral", record.ephemeral);
  fields.read("deleted", record.deleted);
  read_profile(fields, record);
  read_history(fields, record);
  text.clear();
  if (fields.read("unknown_fields_base64", text) && !decode_base64(text, record.unknown_fields)) {
    fields.fail("\"unknown_fields_base64\" must be base 64 with padding");
  }
  return input;
}

}  // namespace

std::string_view name(MigrationState state) noexcept {
  switch (state) {
    case MigrationState::kStable: return "STABLE";
    case MigrationState::kCopying: return "COPYING";
    case MigrationState::kFreezing: return "FREEZING";
    case MigrationState::kFrozen: return "FROZEN";
  }
  return "UNKNOWN";
}

std::string record_to_json(const MappingRecord& record) {
  Json json;
  if (is_utf8(record.key)) {
    json["key"] = record.key;
  } else {
    json["key_base64"] = base64(record.key);
  }
  std::string op_id;
  for (const std::uint8_t byte : record.op_id) {
    op_id += kHex[byte >> 4];
    op_id += kHex[byte & 15];
  }
  json["cell"] = record.cell;
  json["epoch"] = record.epoch;
  json["revision"] = record.revision;
  json["op_id"] = op_id;
  json["state"] = name(record.state);
  json["target"] = record.target.empty() ? Json() : Json(record.target);
  json["created"] = record.created;
  json["updated"] = record.updated;
  json["expires"] = record.expires;
  json["ephemeral"] = record.ephemeral;
  json["deleted"] = record.deleted;
  json["profile"] = record.profile ? profile_to_json(*record.profile) : Json();
  json["history"] = Json::array();
  for (const HistoryEntry& entry : record.history) {
    json["history"].push_back({{"cell", entry.cell},
                               {"first_epoch", entry.first_epoch},
                               {"last_epoch", entry.last_epoch}});
  }
  if (!record.unknown_fields.empty()) {
    json["unknown_fields_base64"] = base64(record.unknown_fields);
  }
  return json.dump();
}

Result<RecordInput> record_from_json(std::string_view line) {
  constexpr bool kNoExceptions = false;
  const Json json = Json::parse(line, nullptr, kNoExceptions);
  if (json.is_discarded()) return invalid_argument("the line is not JSON");
  if (!json.is_object()) return invalid_argument("the line is JSON, but no object");
  FieldReader fields(json);
  RecordInput input = read_fields(fields);
  if (const Error error = fields.finish(); !error.ok()) return error;
  return input;
}

}  // namespace cellroute::command
