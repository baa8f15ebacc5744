#include "control/mutate.hpp"

#include <limits>
#include <string>
#include <utility>

#include "stores/put_rules.hpp"
#include "stores/random.hpp"

namespace cellroute {
namespace {

constexpr std::uint64_t kLastEpoch = std::numeric_limits<std::uint64_t>::max();

Error in_migration(const MappingRecord& record) {
  return refused(stores::key_text(record.key) + ": a migration to " + check::quoted(record.target) +
                 " is under way; abort it or let it end");
}

void push_history(std::vector<HistoryEntry>& history, const std::string& cell,
                  std::uint64_t last_epoch) {
  const std::uint64_t first = history.empty() ? 1 : history.back().last_epoch + 1;
  if (history.size() == kMaxHistory) history.erase(history.begin());
  history.push_back({cell, first, last_epoch});
}

}  // namespace

Result<OpId> new_op_id() {
  OpId id{};
  while (id == OpId{}) {
    if (Error error = stores::fill_random(id.data(), id.size()); !error.ok()) return error;
  }
  return id;
}

Result<MappingRecord> first_record(std::string_view key, std::string_view cell,
                                   std::optional<MappedProfile> profile,
                                   const MappingRecord& before, const OpId& op_id, Nanos now) {
  MappingRecord record;
  record.key = key;
  record.cell = cell;
  record.profile = std::move(profile);
  record.op_id = op_id;
  record.created = now;
  record.updated = now;
  if (before.revision != 0) {
    if (before.epoch == kLastEpoch) {
      return refused(stores::key_text(key) + ": its epochs are used up");
    }
    record.revision = before.revision;
    record.epoch = before.epoch + 1;
    record.history = before.history;
    push_history(record.history, before.cell, before.epoch);
    record.unknown_fields = before.unknown_fields;
  }
  if (Error error = stores::check_record(record); !error.ok()) return error;
  return record;
}

Result<MappingRecord> moved_to(const MappingRecord& record, std::string_view cell,
                               const OpId& op_id, Nanos now) {
  if (record.state != MigrationState::kStable) return in_migration(record);
  if (record.deleted) {
    return invalid_argument(stores::key_text(record.key) + " is deleted; assign it anew");
  }
  if (record.cell == cell) {
    return invalid_argument(stores::key_text(record.key) + " is in cell " + check::quoted(cell) +
                            " already");
  }
  if (record.epoch == kLastEpoch) {
    return refused(stores::key_text(record.key) + ": its epochs are used up");
  }
  MappingRecord moved = record;
  push_history(moved.history, record.cell, record.epoch);
  moved.cell = cell;
  moved.epoch = record.epoch + 1;
  moved.op_id = op_id;
  moved.updated = now;
  if (Error error = stores::check_record(moved); !error.ok()) return error;
  return moved;
}

Result<MappingRecord> tombstone(const MappingRecord& record, const OpId& op_id, Nanos now,
                                Nanos keep_for) {
  if (record.state != MigrationState::kStable) return in_migration(record);
  if (keep_for <= 0) {
    return invalid_argument(
        "a tombstone is kept for more than 0 ns; give the longest time for "
        "which an answer may be cached or a token hold");
  }
  MappingRecord deleted = record;
  deleted.deleted = true;
  deleted.expires = add_time(now, keep_for);
  deleted.op_id = op_id;
  deleted.updated = now;
  if (Error error = stores::check_record(deleted); !error.ok()) return error;
  return deleted;
}

}  // namespace cellroute
