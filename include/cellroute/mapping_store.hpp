// The interface that mapping stores implement: an authority over key → record that changes only
// by compare-and-set. Every call is bounded in time by the store's own timeout option and may
// block; route() never calls one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cellroute/mapping.hpp"
#include "cellroute/status.hpp"

namespace cellroute {

// What a store can promise. Whoever needs a promise asks before it starts.
struct StoreCapabilities {
  bool durable = false;               // an acknowledged write survives the store's processes
  bool loses_acknowledged = false;    // a failover may forget one: no authority for migrations
  bool shared = false;                // other processes see the same records
  bool changes = false;               // changes() is a feed
  bool ordered_changes = false;       // its order is that of all writes, not of each key's alone
  bool consistent_scan_cell = false;  // an empty scan_cell proves that the cell is empty
};

// Where a scan goes on: opaque bytes, empty at the start. One that this store did not give, or not
// for this call, is kInvalidArgument.
using Cursor = std::string;

// A page holds at most so many records, whatever limit is asked for.
inline constexpr std::size_t kMaxPageRecords = 10'000;

struct Page {
  std::vector<MappingRecord> records;
  Cursor next;        // for the following page; for changes(), where to ask again later
  bool done = false;  // no record stands behind `next` now; an empty page alone does not say so
};

// A get: kFound with the record. kAbsent, with the tombstone or expired record where one is left:
// its revision is what put_if expects, its epoch what a new one must exceed, its op_id who wrote
// it; both numbers are 0 where nothing is left. kUnknown with the error. From a cache besides
// kFound with the error of the store behind it: the last good record.
struct Lookup {
  Answer answer = Answer::kUnknown;
  MappingRecord record;
  Error error;

  bool stale() const noexcept { return answer == Answer::kFound && !error.ok(); }
};

// One write of put_many.
struct ConditionalPut {
  MappingRecord record;
  std::uint64_t expected = 0;
};

// Thread safety: every call may be made from any thread at the same time.
// Fork: a store opened before fork() answers kWrongProcess in the child; open it again there. The
// child may destroy its copy of the handle, which does not disturb the parent.
class MappingStore {
 public:
  virtual ~MappingStore() = default;
  MappingStore(const MappingStore&) = delete;
  MappingStore& operator=(const MappingStore&) = delete;

  virtual StoreCapabilities capabilities() const noexcept = 0;

  // The record of `key` as of `now`; an expired record is kAbsent.
  virtual Lookup get(std::string_view key, Nanos now) = 0;

  // get for each of `keys`, into the `out` of the same place, whose memory is reused; the two must
  // be of one length. Faster than a get each where the store can make it so.
  virtual void get_many(std::span<const std::string_view> keys, Nanos now, std::span<Lookup> out) {
    for (std::size_t i = 0; i < keys.size() && i < out.size(); ++i) out[i] = get(keys[i], now);
  }

  // Writes `record` if the key's stored revision is `expected` (0: the key has no record at all),
  // and gives it revision expected + 1, which is returned; record.revision is not looked at.
  //   kInvalidArgument  the record breaks a rule (broken_rule)
  //   kConflict         the stored revision is another; nothing is told of the stored record
  //   kRefused          the epoch falls, or the cell changes and the epoch does not rise
  //   kUnavailable      it is not known whether the write took place: put_confirmed reads back
  // An expired record's revision still counts until purge() forgets it. A store never tries a put
  // twice by itself, so that a conflict is never with one's own write.
  virtual Result<std::uint64_t> put_if(const MappingRecord& record, std::uint64_t expected) = 0;

  // put_if for each of `puts`, in order, with a result each, as many as `puts`. They are no
  // transaction: one that fails does not hold back the others. Made for bulk: where the store can,
  // many share one sync.
  virtual std::vector<Result<std::uint64_t>> put_many(std::span<const ConditionalPut> puts) {
    std::vector<Result<std::uint64_t>> results;
    results.reserve(puts.size());
    for (const ConditionalPut& put : puts) results.push_back(put_if(put.record, put.expected));
    return results;
  }

  // Records in the store's own fixed order, at most `limit` (at least 1) a page; tombstones and
  // expired ones are left out. A record that is there throughout the scan is returned exactly
  // once, whatever is written meanwhile.
  virtual Result<Page> scan(const Cursor& cursor, std::size_t limit, Nanos now) = 0;

  // The same for the records whose cell or migration target is `cell`. One that comes to the cell
  // during the scan may be missed.
  virtual Result<Page> scan_cell(std::string_view cell, const Cursor& cursor, std::size_t limit,
                                 Nanos now) = 0;

  // Changes in the order they were acknowledged, where capabilities().ordered_changes is false in
  // that order for each key; tombstones included; each key's newest change after the cursor at
  // least once. From an empty cursor that is every key there is. kUnsupported
  // where capabilities().changes is false. kRefused where the cursor cannot be honoured, because a
  // tombstone behind it has been purged or the store was replaced by another or an older one:
  // read anew from an empty cursor, and drop what that does not bring.
  virtual Result<Page> changes(const Cursor& cursor, std::size_t limit) = 0;

  // Forgets, for good, at most `limit` (at least 1; kMaxPageRecords whatever is asked) records that
  // expired at or before `before`; returns how many. Their keys' revisions and epochs begin anew,
  // so `before` must lie further back than any cached answer, token or feed reader can. 0 from
  // stores that do it by themselves.
  virtual Result<std::size_t> purge(Nanos before, std::size_t limit) = 0;

  // Gives the feed of changes a new identity, for a store that was put back from a backup: it may
  // have passed the place where a reader stood before the loss, and told other changes on the way.
  // From here on changes() is kRefused with every cursor that was given before; records stay. Other
  // handles, and this one, may refuse to go on until they are opened again. Nobody else may write
  // meanwhile; where it fails it may be done again. kUnsupported where capabilities().changes is
  // false.
  virtual Error renew_feed() {
    return Error(ErrorCode::kUnsupported, "this mapping store has no feed of changes to renew");
  }

 protected:
  MappingStore() = default;
};

// put_if, and when the reply is lost, a read back by op-id: one's own success is not reported as a
// conflict, nor as unknown while it still stands. `record.op_id` must be unique to this write; it
// stays the same when the caller tries this write again.
inline Result<std::uint64_t> put_confirmed(MappingStore& store, const MappingRecord& record,
                                           std::uint64_t expected, Nanos now) {
  Result<std::uint64_t> written = store.put_if(record, expected);
  if (written.ok()) return written;
  const ErrorCode code = written.error().code();
  if (code != ErrorCode::kUnavailable && code != ErrorCode::kConflict) return written;
  const Lookup stored = store.get(record.key, now);
  if (stored.answer == Answer::kUnknown || stored.stale()) {
    return Error(ErrorCode::kUnavailable,
                 written.error().text() + "; read back: " + stored.error.text());
  }
  if (stored.record.op_id == record.op_id && stored.record.revision == expected + 1) {
    return expected + 1;
  }
  return written;
}

}  // namespace cellroute
