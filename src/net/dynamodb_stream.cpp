#include "net/dynamodb_stream.hpp"

#include <cstdint>
#include <set>
#include <utility>

#include "net/dynamodb_item.hpp"

namespace cellroute::net {
namespace {

Error no_event(const char* why) { return invalid_argument(std::string("DynamoDB stream: ") + why); }

const Json* member(const Json& of, const char* name) {
  if (!of.is_object()) return nullptr;
  const auto at = of.find(name);
  return at == of.end() || at->is_null() ? nullptr : &*at;
}

const std::string* text(const Json& of, const char* name) {
  const Json* const found = member(of, name);
  return found == nullptr ? nullptr : found->get_ptr<const std::string*>();
}

bool is_sequence_number(const std::string* number) {
  return number != nullptr && !number->empty() && number->size() <= kMaxSequenceNumberBytes &&
         number->find_first_not_of("0123456789") == number->npos;
}

bool by_expiry(const Json& record) {
  const Json* const identity = member(record, "userIdentity");
  const std::string* const who = identity == nullptr ? nullptr : text(*identity, "principalId");
  return who != nullptr && *who == "dynamodb.amazonaws.com";
}

// What is left of a record that was removed, so that it is newer than the last that a copy has.
MappingRecord removed(MappingRecord record) {
  if (record.revision != UINT64_MAX) ++record.revision;
  record.deleted = true;
  record.state = MigrationState::kStable;
  record.target.clear();
  return record;
}

// The record in an image, if there is an image with a mapping.
Result<std::optional<MappingRecord>> read_image(const DynamodbTarget& target, const Json* image,
                                                std::string_view key) {
  std::optional<MappingRecord> none;
  if (image == nullptr) return none;
  MappingRecord record;
  const auto kind = read_item(target, *image, key, record);
  if (!kind.ok()) return kind.error();
  if (*kind == ItemKind::kNone) return none;
  return std::optional<MappingRecord>(std::move(record));
}

// Nothing where the change is of no mapping.
Result<std::optional<StreamChange>> read_change(const DynamodbTarget& target, const Json& record) {
  const Json* const stream = member(record, "dynamodb");
  const Json* const keys = stream == nullptr ? nullptr : member(*stream, "Keys");
  const std::string* const name = text(record, "eventName");
  const std::string* const stored =
      keys == nullptr ? nullptr : find_text(*keys, target.name(Attribute::kKey));
  const bool known =
      name != nullptr && (*name == "INSERT" || *name == "MODIFY" || *name == "REMOVE");
  if (stored == nullptr || !known)
    return Error(no_event("a record has no key, or no event's name"));
  const std::optional<std::string> key = key_of_stored(target, *stored);
  if (!key) return std::optional<StreamChange>();
  StreamChange change{*key, std::nullopt, by_expiry(record)};
  const Json* const new_image = *name == "REMOVE" ? nullptr : member(*stream, "NewImage");
  const Json* const old_image = member(*stream, "OldImage");
  auto now = read_image(target, new_image, *key);
  if (!now.ok()) return now.error();
  change.record = std::move(*now);
  if (change.record) {
    // What stands in for a record's profile is in no stream of this table.
    if (!target.profiles.empty() && !change.record->profile) change.record.reset();
    return std::optional(std::move(change));
  }
  auto before = read_image(target, old_image, *key);
  if (!before.ok()) return before.error();
  if (*before && (new_image != nullptr || *name == "REMOVE")) {
    change.record = removed(std::move(**before));
    return std::optional(std::move(change));
  }
  // Images without a mapping say that there is and was none; no image says nothing.
  const bool told = new_image != nullptr || (*name == "REMOVE" && old_image != nullptr);
  if (told) return std::optional<StreamChange>();
  return std::optional(std::move(change));
}

Error take_record(const DynamodbTarget& target, const Json& record, const TakeChange& take,
                  StreamResult& result) {
  const auto change = read_change(target, record);
  if (!change.ok()) return change.error();
  if (!*change) {
    ++result.passed_over;
    return {};
  }
  if (Error error = take(**change); !error.ok()) return error;
  ++result.taken;
  return {};
}

}  // namespace

std::string StreamResult::response() const {
  Json failures = Json::array();
  if (!failed.empty()) failures.push_back({{"itemIdentifier", failed}});
  return Json{{"batchItemFailures", failures}}.dump(-1, ' ', true, Json::error_handler_t::replace);
}

Result<StreamResult> read_stream_event(const DynamodbTarget& target, std::string_view event,
                                       const TakeChange& take) {
  if (event.size() > kMaxStreamEventBytes) return no_event("the event is longer than 16 MiB");
  const Json json = Json::parse(event, nullptr, false);
  const Json* const records = member(json, "Records");
  if (records == nullptr || !records->is_array()) return no_event("the event has no Records");
  StreamResult result;
  std::set<std::string> seen;
  for (const Json& record : *records) {
    const Json* const stream = member(record, "dynamodb");
    const std::string* const number = stream == nullptr ? nullptr : text(*stream, "SequenceNumber");
    if (!is_sequence_number(number)) return no_event("a record has no sequence number");
    if (!seen.insert(*number).second) {
      ++result.passed_over;
      continue;
    }
    result.error = take_record(target, record, take, result);
    if (result.error.ok()) continue;
    result.failed = *number;
    break;
  }
  return result;
}

}  // namespace cellroute::net
