#include "net/dynamodb_item.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "cellroute/hash.hpp"
#include "net/iso_time.hpp"
#include "stores/base64.hpp"
#include "stores/cursor.hpp"
#include "stores/text.hpp"
#include "topology/document.hpp"

namespace cellroute::net {
namespace {

constexpr std::string_view kStates[] = {"STABLE", "COPYING", "FREEZING", "FROZEN"};
constexpr Nanos kMaxSeconds = std::numeric_limits<Nanos>::max() / kSecond;

std::string_view view(const OpId& id) {
  return {reinterpret_cast<const char*>(id.data()), id.size()};
}

std::uint64_t ceil_seconds(Nanos time) {
  return static_cast<std::uint64_t>(time / kSecond + (time % kSecond != 0 ? 1 : 0));
}

Json history_value(const std::vector<HistoryEntry>& history) {
  Json list = Json::array();
  for (const HistoryEntry& entry : history) {
    list.push_back({{"M",
                     {{"cell", text_value(entry.cell)},
                      {"first_epoch", number_value(entry.first_epoch)},
                      {"last_epoch", number_value(entry.last_epoch)}}}});
  }
  return {{"L", list}};
}

bool read_history(const Json& value, std::vector<HistoryEntry>& history) {
  const Json* const list = of_type(value, "L");
  if (list == nullptr || !list->is_array() || list->size() > kMaxHistory) return false;
  for (const Json& element : *list) {
    const Json* const map = of_type(element, "M");
    if (map == nullptr || !map->is_object() || map->size() != 3) return false;
    HistoryEntry& entry = history.emplace_back();
    if (!map->contains("cell") || !map->contains("first_epoch") || !map->contains("last_epoch") ||
        !read_text((*map)["cell"], entry.cell) ||
        !read_number((*map)["first_epoch"], entry.first_epoch) ||
        !read_number((*map)["last_epoch"], entry.last_epoch)) {
      return false;
    }
  }
  return true;
}

bool read_state(const Json& value, MigrationState& state) {
  std::string text;
  if (!read_text(value, text)) return false;
  const auto* const at = std::find(std::begin(kStates), std::end(kStates), text);
  if (at == std::end(kStates)) return false;
  state = static_cast<MigrationState>(at - std::begin(kStates));
  return true;
}

bool read_op_id(const Json& value, OpId& id) {
  std::string bytes;
  if (!read_bytes(value, bytes) || bytes.size() != id.size()) return false;
  std::copy(bytes.begin(), bytes.end(), id.begin());
  return true;
}

// Takes the attributes of one item; the first that is not as it must be stays.
class ItemReader {
 public:
  ItemReader(const DynamodbTarget& target, const Json& item) : target_(target), item_(item) {}

  // Whether there is one, then in `to`.
  template <class Read, class To>
  bool read(Attribute attribute, Read how, To& to) {
    const std::string& name = target_.name(attribute);
    const auto at = item_.find(name);
    if (at == item_.end()) return false;
    if (!how(*at, to) && error_.ok()) {
      error_ = Error(ErrorCode::kCorrupt,
                     "attribute " + check::quoted(name) + " is not what it must be");
    }
    return true;
  }

  void fail(std::string text) {
    if (error_.ok()) error_ = Error(ErrorCode::kCorrupt, std::move(text));
  }
  const Error& error() const noexcept { return error_; }

 private:
  const DynamodbTarget& target_;
  const Json& item_;
  Error error_;
};

// DynamoDB's own reading: what is no number is no time to live.
Nanos time_to_live(const DynamodbTarget& target, const Json& item) {
  const auto at = item.find(target.name(Attribute::kTtl));
  std::uint64_t seconds = 0;
  if (at == item.end() || !read_number(*at, seconds)) return 0;
  if (seconds > static_cast<std::uint64_t>(kMaxSeconds)) return std::numeric_limits<Nanos>::max();
  return static_cast<Nanos>(seconds) * kSecond;
}

// The time to live is what DynamoDB goes by; Expires is the same to the nanosecond, unless somebody
// else changed the other.
void settle_expiry(Nanos to_live, std::uint64_t exact, MappingRecord& record) {
  record.expires = to_live;
  if (exact != 0 && exact <= static_cast<std::uint64_t>(std::numeric_limits<Nanos>::max())) {
    const Nanos expires = static_cast<Nanos>(exact);
    const bool same = to_live == 0 || ceil_seconds(expires) == ceil_seconds(to_live);
    if (same) record.expires = expires;
  }
  if (record.expires != 0 && !record.deleted) record.ephemeral = true;
}

// Stands for the write of a record that was not cellroute's.
OpId foreign_op_id(std::string_view key) {
  std::string bytes;
  stores::append_number(bytes, hash_bytes(1, key) | 1);
  stores::append_number(bytes, hash_bytes(2, key));
  OpId id{};
  std::copy(bytes.begin(), bytes.end(), id.begin());
  return id;
}

void read_own(ItemReader& reader, MappingRecord& record) {
  if (!reader.read(Attribute::kEpoch, read_number, record.epoch)) reader.fail("it has no epoch");
  if (!reader.read(Attribute::kOpId, read_op_id, record.op_id)) reader.fail("it has no op-id");
  reader.read(Attribute::kState, read_state, record.state);
  reader.read(Attribute::kTarget, read_text, record.target);
  reader.read(Attribute::kEphemeral, read_bool, record.ephemeral);
  reader.read(Attribute::kDeleted, read_bool, record.deleted);
  reader.read(Attribute::kHistory, read_history, record.history);
  reader.read(Attribute::kUnknownFields, read_bytes, record.unknown_fields);
  if (record.revision == 0) reader.fail("the revision is 0");
}

Error with_key(const Error& error, std::string_view key) {
  return Error(error.code(), stores::key_text(key) + ": stored record: " + error.text());
}

}  // namespace

std::string stored_key(const DynamodbTarget& target, std::string_view key) {
  std::string stored = target.prefix;
  if (loading::is_utf8(key) && key.substr(0, kBytesMark.size()) != kBytesMark) {
    return stored += key;
  }
  stored += kBytesMark;
  append_base64(key, stored);
  return stored;
}

std::optional<std::string> key_of_stored(const DynamodbTarget& target, std::string_view stored) {
  const std::string_view prefix = target.prefix;
  if (stored.substr(0, prefix.size()) != prefix) return std::nullopt;
  std::string key(stored.substr(prefix.size()));
  if (key.compare(0, kBytesMark.size(), kBytesMark) == 0) {
    std::string bytes;
    if (!decode_base64(std::string_view(key).substr(kBytesMark.size()), bytes)) return std::nullopt;
    key = std::move(bytes);
  }
  if (!key_length_ok(key) || stored_key(target, key) != stored) return std::nullopt;
  return key;
}

Json attributes_of(const DynamodbTarget& target, const MappingRecord& record) {
  Json item = Json::object();
  const auto set = [&](Attribute attribute, Json value) {
    item[target.name(attribute)] = std::move(value);
  };
  set(Attribute::kCell, text_value(record.cell));
  set(Attribute::kCreated, text_value(iso_time(record.created)));
  set(Attribute::kUpdated, text_value(iso_time(record.updated)));
  set(Attribute::kRevision, number_value(record.revision));
  set(Attribute::kEpoch, number_value(record.epoch));
  set(Attribute::kOpId, bytes_value(view(record.op_id)));
  if (record.state != MigrationState::kStable) {
    set(Attribute::kState, text_value(kStates[static_cast<std::size_t>(record.state)]));
    set(Attribute::kTarget, text_value(record.target));
  }
  if (record.expires != 0) {
    set(Attribute::kTtl, number_value(ceil_seconds(record.expires)));
    set(Attribute::kExpires, number_value(static_cast<std::uint64_t>(record.expires)));
  }
  if (record.ephemeral) set(Attribute::kEphemeral, {{"BOOL", true}});
  if (record.deleted) set(Attribute::kDeleted, {{"BOOL", true}});
  if (!record.history.empty()) set(Attribute::kHistory, history_value(record.history));
  if (!record.unknown_fields.empty()) {
    set(Attribute::kUnknownFields, bytes_value(record.unknown_fields));
  }
  if (record.profile) {
    const MappedProfile& profile = *record.profile;
    if (!profile.tier.empty()) set(Attribute::kTier, text_value(profile.tier));
    if (!profile.region.empty()) set(Attribute::kRegion, text_value(profile.region));
    if (!profile.plan.empty()) set(Attribute::kPlan, text_value(profile.plan));
    set(Attribute::kFlags, texts_value(profile.flags));
  }
  return item;
}

Result<ItemKind> read_item(const DynamodbTarget& target, const Json& item, std::string_view key,
                           MappingRecord& record) {
  record = MappingRecord{};
  record.epoch = 0;
  if (!item.is_object()) return with_key(Error(ErrorCode::kCorrupt, "it is no item"), key);
  ItemReader reader(target, item);
  const bool own = reader.read(Attribute::kRevision, read_number, record.revision);
  if (!reader.read(Attribute::kCell, read_text, record.cell)) {
    if (!own) return ItemKind::kNone;
    reader.fail("it has no cell");
  }
  record.key = key;
  if (own) {
    read_own(reader, record);
  } else {
    record.revision = record.epoch = 1;
    record.op_id = foreign_op_id(key);
  }
  std::uint64_t exact = 0;
  if (own) reader.read(Attribute::kExpires, read_number, exact);
  settle_expiry(time_to_live(target, item), exact, record);
  reader.read(Attribute::kCreated, read_time, record.created);
  reader.read(Attribute::kUpdated, read_time, record.updated);
  if (!reader.error().ok()) return with_key(reader.error(), key);
  auto profile = read_profile(target, item);
  if (!profile.ok()) return with_key(profile.error(), key);
  record.profile = std::move(*profile);
  const char* const rule = broken_rule(record);
  if (rule != nullptr) return with_key(Error(ErrorCode::kCorrupt, rule), key);
  return own ? ItemKind::kOwn : ItemKind::kForeign;
}

Result<std::optional<MappedProfile>> read_profile(const DynamodbTarget& target, const Json& item) {
  if (!item.is_object()) return Error(ErrorCode::kCorrupt, "it is no item");
  ItemReader reader(target, item);
  MappedProfile profile;
  const bool tier = reader.read(Attribute::kTier, read_text, profile.tier);
  const bool region = reader.read(Attribute::kRegion, read_text, profile.region);
  const bool plan = reader.read(Attribute::kPlan, read_text, profile.plan);
  const bool flags = reader.read(Attribute::kFlags, read_texts, profile.flags);
  if (!reader.error().ok()) return reader.error();
  if (!tier && !region && !plan && !flags) return std::optional<MappedProfile>();
  return std::optional<MappedProfile>(std::move(profile));
}

}  // namespace cellroute::net
