#include "stores/lmdb_store.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "stores/cursor.hpp"
#include "stores/lmdb_env.hpp"
#include "stores/lmdb_error.hpp"
#include "stores/lmdb_format.hpp"
#include "stores/lmdb_records.hpp"
#include "stores/put_rules.hpp"
#include "stores/random.hpp"

namespace cellroute {
namespace {

using stores::CursorScope;
using stores::LmdbEnv;
using stores::LmdbPlace;
using stores::LmdbRecords;
using stores::LmdbRecordsWriter;
using stores::view;

// Records that get_many reads in one transaction, and that put_many writes in one: enough to share
// the cost, few enough not to keep pages, or other writers, waiting.
constexpr std::size_t kReadBatch = 1024;
constexpr std::size_t kWriteBatch = 4096;

// A cursor that closes itself. Thread safety: one thread, that of the transaction.
class TreeCursor {
 public:
  TreeCursor(MDB_txn* transaction, MDB_dbi tree) {
    if (mdb_cursor_open(transaction, tree, &cursor_) != 0) cursor_ = nullptr;
  }
  ~TreeCursor() {
    if (cursor_ != nullptr) mdb_cursor_close(cursor_);
  }
  TreeCursor(const TreeCursor&) = delete;
  TreeCursor& operator=(const TreeCursor&) = delete;

  int move(MDB_cursor_op operation) {
    return cursor_ == nullptr ? ENOMEM : mdb_cursor_get(cursor_, &key, &value, operation);
  }

  MDB_val key{};
  MDB_val value{};

 private:
  MDB_cursor* cursor_ = nullptr;
};

MDB_val input(std::string_view bytes) { return {bytes.size(), const_cast<char*>(bytes.data())}; }

class LmdbStore final : public MappingStore {
 public:
  LmdbStore(std::shared_ptr<LmdbEnv> env, Nanos timeout)
      : env_(std::move(env)), timeout_(timeout) {}

  StoreCapabilities capabilities() const noexcept override {
    StoreCapabilities can;
    can.durable = true;
    can.shared = true;
    can.changes = true;
    can.ordered_changes = true;
    can.consistent_scan_cell = true;
    return can;
  }

  Lookup get(std::string_view key, Nanos now) override {
    Lookup found;
    get_batch({&key, 1}, now, {&found, 1});
    return found;
  }

  void get_many(std::span<const std::string_view> keys, Nanos now, std::span<Lookup> out) override {
    const std::size_t count = std::min(keys.size(), out.size());
    for (std::size_t i = 0; i < count; i += kReadBatch) {
      const std::size_t size = std::min(kReadBatch, count - i);
      get_batch(keys.subspan(i, size), now, out.subspan(i, size));
    }
  }

  Result<std::uint64_t> put_if(const MappingRecord& record, std::uint64_t expected) override {
    const Put put{&record, expected};
    Result<std::uint64_t> result = std::uint64_t{0};
    put_batch({&put, 1}, {&result, 1});
    return result;
  }

  std::vector<Result<std::uint64_t>> put_many(std::span<const ConditionalPut> puts) override {
    std::vector<Put> views;
    views.reserve(puts.size());
    for (const ConditionalPut& put : puts) views.push_back({&put.record, put.expected});
    std::vector<Result<std::uint64_t>> results(puts.size(), std::uint64_t{0});
    for (std::size_t i = 0; i < puts.size(); i += kWriteBatch) {
      const std::size_t size = std::min(kWriteBatch, puts.size() - i);
      put_batch(std::span(views).subspan(i, size), std::span(results).subspan(i, size));
    }
    return results;
  }

  Result<Page> scan(const Cursor& cursor, std::size_t limit, Nanos now) override;
  Result<Page> scan_cell(std::string_view cell, const Cursor& cursor, std::size_t limit,
                         Nanos now) override;
  Result<Page> changes(const Cursor& cursor, std::size_t limit) override;
  Error renew_feed() override;
  Result<std::size_t> purge(Nanos before, std::size_t limit) override;

 private:
  struct Put {
    const MappingRecord* record;
    std::uint64_t expected;
  };

  LmdbRecords records(const LmdbEnv::Reader& reader) const {
    return {env_->trees(), env_->identity().hash_seed, reader.transaction(), reader.codec()};
  }

  // What stopped `records`, where `code` is not 0.
  Error failure(const LmdbRecords& records, std::string_view doing, int code) const {
    if (code == LmdbEnv::kGiveUp) return records.error();
    return stores::lmdb_error(env_->directory(), doing, code);
  }

  void get_batch(std::span<const std::string_view> keys, Nanos now, std::span<Lookup> out);
  void get_one(LmdbRecords& records, std::string_view key, Nanos now, Lookup& out);
  void put_batch(std::span<const Put> puts, std::span<Result<std::uint64_t>> results);

  // Fills a page from where `at` stands, which `code` says: 0, or MDB_NOTFOUND at the end. `read`
  // gives the record there and whether it is wanted; `step` goes to the next one.
  template <class Read, class Step>
  Result<Page> fill(LmdbRecords& records, int code, std::size_t limit, Read read, Step step) const;

  const std::shared_ptr<LmdbEnv> env_;
  const Nanos timeout_;
};

void LmdbStore::get_batch(std::span<const std::string_view> keys, Nanos now,
                          std::span<Lookup> out) {
  LmdbEnv::Reader reader;
  if (Error error = env_->read(reader); !error.ok()) {
    for (Lookup& lookup : out) lookup = Lookup{Answer::kUnknown, {}, error};
    return;
  }
  LmdbRecords reading = records(reader);
  for (std::size_t i = 0; i < keys.size(); ++i) get_one(reading, keys[i], now, out[i]);
}

void LmdbStore::get_one(LmdbRecords& records, std::string_view key, Nanos now, Lookup& out) {
  out.error = stores::check_key(key);
  LmdbPlace place;
  int code = 0;
  if (out.error.ok()) code = records.find(key, place, out.record);
  if (code != 0) out.error = failure(records, "reading", code);
  if (!out.error.ok()) {
    out.answer = Answer::kUnknown;
  } else if (place.found) {
    out.answer = out.record.answer(now);
  } else {
    out.answer = Answer::kAbsent;
    out.record = MappingRecord{};
    out.record.epoch = 0;
  }
}

void LmdbStore::put_batch(std::span<const Put> puts, std::span<Result<std::uint64_t>> results) {
  Error error = env_->write(timeout_, [&](MDB_txn* transaction, stores::RecordCodec& codec) {
    LmdbRecordsWriter writer(env_->trees(), env_->identity().hash_seed, transaction, codec);
    int code = writer.begin();
    if (code != 0) return code;
    bool changed = false;
    for (std::size_t i = 0; i < puts.size(); ++i) {
      const Put& put = puts[i];
      results[i] = put.expected + 1;
      if (Error broken = stores::check_record(*put.record); !broken.ok()) {
        results[i] = std::move(broken);
        continue;
      }
      code = writer.put(*put.record, put.expected);
      if (code == LmdbEnv::kGiveUp) {
        results[i] = writer.error();
      } else if (code != 0) {
        return code;
      } else {
        changed = true;
      }
    }
    return changed ? 0 : LmdbEnv::kGiveUp;
  });
  if (error.ok()) return;
  for (Result<std::uint64_t>& result : results) result = error;
}

template <class Read, class Step>
Result<Page> LmdbStore::fill(LmdbRecords& records, int code, std::size_t limit, Read read,
                             Step step) const {
  Page page;
  const std::size_t most = std::min(limit, kMaxPageRecords);
  MappingRecord record;
  for (std::size_t walked = 0;
       code == 0 && page.records.size() < most && walked < stores::kMaxPageWalk; ++walked) {
    bool wanted = false;
    code = read(record, wanted);
    if (code != 0) break;
    if (wanted) page.records.push_back(record);
    code = step();
  }
  page.done = code == MDB_NOTFOUND;
  if (code != 0 && !page.done) return failure(records, "reading", code);
  return page;
}

Result<Page> LmdbStore::scan(const Cursor& cursor, std::size_t limit, Nanos now) {
  if (Error error = stores::check_limit(limit); !error.ok()) return error;
  const CursorScope scope('s', env_->identity().store_id);
  const Result<std::string_view> after = scope.place(cursor);
  if (!after.ok()) return after.error();
  if (!cursor.empty() && !stores::store_key_ok(*after)) return stores::damaged_cursor();
  LmdbEnv::Reader reader;
  if (Error error = env_->read(reader); !error.ok()) return error;
  LmdbRecords reading = records(reader);
  TreeCursor at(reader.transaction(), env_->trees().records);
  std::string place(*after);
  at.key = input(cursor.empty() ? std::string_view(&stores::kLongKey, 1) : *after);
  int code = at.move(MDB_SET_RANGE);
  if (code == 0 && view(at.key) == *after) code = at.move(MDB_NEXT);
  Result<Page> page = fill(
      reading, code, limit,
      [&](MappingRecord& record, bool& wanted) {
        std::uint64_t sequence = 0;
        if (!stores::store_key_ok(view(at.key))) return MDB_CORRUPTED;
        place = view(at.key);
        const int read = reading.read_value(place, view(at.value), record, sequence);
        wanted = record.answer(now) == Answer::kFound;
        return read;
      },
      [&] { return at.move(MDB_NEXT); });
  if (page.ok()) page->next = place.empty() ? cursor : scope.make(place);
  return page;
}

Result<Page> LmdbStore::scan_cell(std::string_view cell, const Cursor& cursor, std::size_t limit,
                                  Nanos now) {
  if (Error error = stores::check_limit(limit); !error.ok()) return error;
  if (Error error = stores::check_cell(cell); !error.ok()) return error;
  const CursorScope scope('c', env_->identity().store_id, cell);
  const Result<std::string_view> after = scope.place(cursor);
  if (!after.ok()) return after.error();
  if (!cursor.empty() && !stores::store_key_ok(*after)) return stores::damaged_cursor();
  LmdbEnv::Reader reader;
  if (Error error = env_->read(reader); !error.ok()) return error;
  LmdbRecords reading = records(reader);
  TreeCursor at(reader.transaction(), env_->trees().cells);
  std::string place(*after);
  at.key = input(cell);
  at.value = input(*after);
  int code = at.move(cursor.empty() ? MDB_SET_KEY : MDB_GET_BOTH_RANGE);
  if (code == 0 && view(at.value) == *after) code = at.move(MDB_NEXT_DUP);
  Result<Page> page = fill(
      reading, code, limit,
      [&](MappingRecord& record, bool& wanted) {
        std::uint64_t sequence = 0;
        place = view(at.value);
        const int read = reading.read_at(place, record, sequence);
        wanted = record.answer(now) == Answer::kFound;
        return read;
      },
      [&] { return at.move(MDB_NEXT_DUP); });
  if (page.ok()) page->next = place.empty() ? cursor : scope.make(place);
  return page;
}

Result<Page> LmdbStore::changes(const Cursor& cursor, std::size_t limit) {
  if (Error error = stores::check_limit(limit); !error.ok()) return error;
  LmdbEnv::Reader reader;
  if (Error error = env_->read(reader); !error.ok()) return error;
  LmdbRecords reading = records(reader);
  stores::LmdbFormat format;
  std::uint64_t last = 0;
  int code = reading.feed_state(format, last);
  if (code != 0) return failure(reading, "reading", code);
  Result<stores::FeedPlace> place =
      stores::feed_place(cursor, format.store_id, last, format.forgotten_through);
  if (!place.ok()) return place.error();
  std::uint64_t& sequence = place->sequence;
  std::uint64_t first = sequence + 1;
  TreeCursor at(reader.transaction(), env_->trees().changes);
  at.key = {sizeof first, &first};
  Result<Page> page = fill(
      reading, at.move(MDB_SET_RANGE), limit,
      [&](MappingRecord& record, bool& wanted) {
        std::uint64_t of_record = 0;
        if (at.key.mv_size != sizeof sequence) return MDB_CORRUPTED;
        std::memcpy(&sequence, at.key.mv_data, sizeof sequence);
        const int read = reading.read_at(view(at.value), record, of_record);
        wanted = true;
        return read == 0 && of_record != sequence ? MDB_CORRUPTED : read;
      },
      [&] { return at.move(MDB_NEXT); });
  if (page.ok()) page->next = place->make(format.store_id);
  return page;
}

// Whoever has the store open reads the identity of the feed with the feed itself.
Error LmdbStore::renew_feed() {
  std::uint64_t fresh = 0;
  if (Error error = stores::fill_random(&fresh, sizeof fresh); !error.ok()) return error;
  return env_->write(timeout_, [&](MDB_txn* transaction, stores::RecordCodec&) {
    stores::LmdbFormat format;
    const int code = stores::read_format(transaction, env_->trees().records, format);
    if (code != 0) return code;
    format.store_id = fresh;
    return stores::write_format(transaction, env_->trees().records, format);
  });
}

Result<std::size_t> LmdbStore::purge(Nanos before, std::size_t limit) {
  if (Error error = stores::check_limit(limit); !error.ok()) return error;
  std::size_t purged = 0;
  Error damage;
  Error error = env_->write(timeout_, [&](MDB_txn* transaction, stores::RecordCodec& codec) {
    LmdbRecordsWriter writer(env_->trees(), env_->identity().hash_seed, transaction, codec);
    purged = 0;
    int code = writer.begin();
    if (code == 0) code = writer.purge(before, std::min(limit, kMaxPageRecords), purged);
    if (code == LmdbEnv::kGiveUp) damage = writer.error();
    return code == 0 && purged == 0 ? LmdbEnv::kGiveUp : code;
  });
  if (!error.ok()) return error;
  if (!damage.ok()) return damage;
  return purged;
}

}  // namespace

Result<std::unique_ptr<MappingStore>> open_lmdb_store(std::string_view path,
                                                      const StoreOptions& options) {
  Result<std::shared_ptr<LmdbEnv>> env = stores::share_lmdb_env(path, options);
  if (!env.ok()) return env.error();
  std::unique_ptr<MappingStore> store =
      std::make_unique<LmdbStore>(std::move(*env), options.timeout);
  return store;
}

}  // namespace cellroute
