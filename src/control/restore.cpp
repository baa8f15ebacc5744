#include "control/restore.hpp"

#include <limits>
#include <utility>

#include "control/mutate.hpp"
#include "stores/text.hpp"

namespace cellroute {
namespace {

constexpr Nanos kTombstoneKept = 30 * Nanos{86'400} * kSecond;

class Restoring {
 public:
  Restoring(MappingStore& store, const MappingFiles& files, Nanos now, bool dry_run)
      : store_(store), files_(files), now_(now), dry_run_(dry_run) {}

  Result<RestoreReport> run(const FileBuildSeen& seen) {
    Cursor cursor;
    for (;;) {
      Result<Page> page = store_.scan(cursor, kMaxPageRecords, now_);
      if (!page.ok()) return page.error();
      for (const MappingRecord& record : page->records) {
        if (Error error = compare(record); !error.ok()) return error;
      }
      seen(page->records.size());
      if (!page->done && page->next == cursor) {
        return Error(ErrorCode::kUnavailable, "the mapping store's pages do not go on");
      }
      cursor = std::move(page->next);
      if (page->done) break;
    }
    for (const MappingRecord& change : files_.changes.records) {
      if (Error error = recreate(change); !error.ok()) return error;
    }
    const std::uint64_t keys = files_.base->keys();
    report_.missing = keys > in_base_ ? keys - in_base_ : 0;
    // Last, so that where it fails all of it may be done again.
    if (!dry_run_ && store_.capabilities().changes) {
      if (Error error = store_.renew_feed(); !error.ok()) return error;
    }
    return report_;
  }

 private:
  // The files' own, whatever the time is: an expired record's epoch counts, too.
  Error compare(const MappingRecord& record) {
    ++report_.records;
    if (files_.base->find(record.key).answer == Answer::kFound) ++in_base_;
    const Lookup known = files_.get(record.key, 0);
    if (known.answer == Answer::kUnknown) return known.error;
    if (known.record.epoch == 0 && known.answer == Answer::kAbsent) {
      ++report_.unknown;
      return {};
    }
    const bool other_cell = known.record.cell != record.cell && !known.record.deleted;
    const bool torn = other_cell && known.record.epoch == record.epoch;
    if (!torn && !is_newer(known.record, record)) return {};
    const bool migrating =
        record.state != MigrationState::kStable || known.record.state != MigrationState::kStable;
    if (torn || migrating) {
      ++report_.conflicts;
      return {};
    }
    ++report_.behind;
    return write(record, known.record);
  }

  // `record` as the files know it, with the epoch after theirs.
  Error write(const MappingRecord& record, const MappingRecord& known) {
    if (known.epoch == std::numeric_limits<std::uint64_t>::max()) {
      return refused(stores::key_text(record.key) + ": its epochs are used up");
    }
    const Result<OpId> op_id = new_op_id();
    if (!op_id.ok()) return op_id.error();
    Result<MappingRecord> next = record;
    if (known.deleted) {
      next = tombstone(record, *op_id, now_, kTombstoneKept);
    } else if (known.cell != record.cell) {
      next = moved_to(record, known.cell, *op_id, now_);
    }
    if (!next.ok()) return next.error();
    next->op_id = *op_id;
    next->updated = now_;
    next->epoch = known.epoch + 1;
    if (!known.deleted) next->profile = known.profile;
    return put(*next, record.revision);
  }

  Error recreate(const MappingRecord& change) {
    if (change.answer(now_) != Answer::kFound) return {};
    const Lookup stored = store_.get(change.key, now_);
    if (stored.answer == Answer::kUnknown) return stored.error;
    if (stored.answer == Answer::kFound) return {};
    // A tombstone that is newer than the change deleted the key after it.
    if (stored.record.epoch > change.epoch) return {};
    ++report_.recreated;
    const Result<OpId> op_id = new_op_id();
    if (!op_id.ok()) return op_id.error();
    if (change.epoch == std::numeric_limits<std::uint64_t>::max()) {
      return refused(stores::key_text(change.key) + ": its epochs are used up");
    }
    MappingRecord next = change;
    next.op_id = *op_id;
    next.updated = now_;
    next.epoch = change.epoch + 1;
    return put(next, stored.record.revision);
  }

  Error put(const MappingRecord& record, std::uint64_t expected) {
    if (dry_run_) return {};
    const auto written = put_confirmed(store_, record, expected, now_);
    return written.ok() ? Error() : written.error();
  }

  MappingStore& store_;
  const MappingFiles& files_;
  const Nanos now_;
  const bool dry_run_;
  RestoreReport report_;
  std::uint64_t in_base_ = 0;  // keys of the store that the base has
};

}  // namespace

Result<RestoreReport> restore_epochs(MappingStore& store, const MappingFiles& files, Nanos now,
                                     bool dry_run, const FileBuildSeen& seen) {
  return Restoring(store, files, now, dry_run).run(seen);
}

}  // namespace cellroute
