#include "records.hpp"

#include <algorithm>
#include <string>

#include "cellroute/key.hpp"

namespace cellroute::capi {
namespace {

constexpr std::uint32_t kAllMarks =
    CELLROUTE_RECORD_EPHEMERAL | CELLROUTE_RECORD_DELETED | CELLROUTE_RECORD_HAS_PROFILE;

bool fits(cellroute_view view, std::size_t most) noexcept {
  return sound(view) && view.size <= most;
}

bool name_fits(cellroute_view view) noexcept { return fits(view, kMaxMappedNameBytes); }

bool in_bounds(const cellroute_record& from) noexcept {
  if (from.flag_count > kMaxMappedFlags || from.history_count > kMaxHistory) return false;
  if ((from.flag_count != 0 && from.flags == nullptr) ||
      (from.history_count != 0 && from.history == nullptr)) {
    return false;
  }
  return from.marks <= kAllMarks && from.state <= CELLROUTE_FROZEN && from.reserved == 0 &&
         fits(from.key, kMaxKeyBytes) && name_fits(from.cell) && name_fits(from.target) &&
         name_fits(from.tier) && name_fits(from.region) && name_fits(from.plan) &&
         fits(from.unknown_fields, kMaxUnknownFieldBytes) &&
         std::all_of(from.flags, from.flags + from.flag_count, name_fits) &&
         std::all_of(from.history, from.history + from.history_count,
                     [](const cellroute_past& past) { return name_fits(past.cell); });
}

std::string copy(cellroute_view view) { return std::string(text(view)); }

MappedProfile profile_of(const cellroute_record& from) {
  MappedProfile profile{copy(from.tier), copy(from.region), copy(from.plan), {}};
  for (std::uint32_t i = 0; i < from.flag_count; ++i) profile.flags.push_back(copy(from.flags[i]));
  return profile;
}

}  // namespace

std::int32_t read_record(const cellroute_record* from, MappingRecord& to) {
  cellroute_record room;
  if (const std::int32_t code = read_struct(from, room); code != CELLROUTE_OK) return code;
  if (!in_bounds(*from)) return CELLROUTE_E_INVALID_ARGUMENT;
  to = MappingRecord();
  to.key = copy(from->key);
  to.cell = copy(from->cell);
  to.epoch = from->epoch;
  to.revision = from->revision;
  std::copy(std::begin(from->op_id), std::end(from->op_id), to.op_id.begin());
  to.state = static_cast<MigrationState>(from->state);
  to.target = copy(from->target);
  to.created = from->created_ns;
  to.updated = from->updated_ns;
  to.expires = from->expires_ns;
  to.ephemeral = (from->marks & CELLROUTE_RECORD_EPHEMERAL) != 0;
  to.deleted = (from->marks & CELLROUTE_RECORD_DELETED) != 0;
  if ((from->marks & CELLROUTE_RECORD_HAS_PROFILE) != 0) to.profile = profile_of(*from);
  for (std::uint32_t i = 0; i < from->history_count; ++i) {
    const cellroute_past& past = from->history[i];
    to.history.push_back({copy(past.cell), past.first_epoch, past.last_epoch});
  }
  to.unknown_fields = copy(from->unknown_fields);
  return CELLROUTE_OK;
}

RecordView::RecordView(const MappingRecord& record) noexcept {
  view_.struct_size = sizeof view_;
  view_.state = static_cast<std::uint32_t>(record.state);
  view_.marks = (record.ephemeral ? CELLROUTE_RECORD_EPHEMERAL : 0) |
                (record.deleted ? CELLROUTE_RECORD_DELETED : 0);
  view_.key = view(record.key);
  view_.cell = view(record.cell);
  view_.target = view(record.target);
  if (record.profile) set_profile(*record.profile);
  view_.history = history_.data();
  for (const HistoryEntry& entry : record.history) {
    if (view_.history_count == history_.size()) break;
    history_[view_.history_count++] = {view(entry.cell), entry.first_epoch, entry.last_epoch};
  }
  view_.unknown_fields = view(record.unknown_fields);
  view_.epoch = record.epoch;
  view_.revision = record.revision;
  view_.created_ns = record.created;
  view_.updated_ns = record.updated;
  view_.expires_ns = record.expires;
  std::copy(record.op_id.begin(), record.op_id.end(), std::begin(view_.op_id));
}

void RecordView::set_profile(const MappedProfile& profile) noexcept {
  view_.marks |= CELLROUTE_RECORD_HAS_PROFILE;
  view_.tier = view(profile.tier);
  view_.region = view(profile.region);
  view_.plan = view(profile.plan);
  view_.flags = flags_.data();
  for (const std::string& flag : profile.flags) {
    if (view_.flag_count == flags_.size()) break;
    flags_[view_.flag_count++] = view(flag);
  }
}

}  // namespace cellroute::capi
