#include "stores/lmdb_records.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "stores/put_rules.hpp"
#include "stores/text.hpp"

#ifndef XXH_INLINE_ALL
#define XXH_INLINE_ALL
#endif
#include <xxhash.h>

namespace cellroute::stores {
namespace {

// A value: the sequence number of its last change, the XXH3 of that and the message, the message.
// The numbers are in this machine's byte order, as all of LMDB's file.
constexpr std::size_t kFrameBytes = 16;

std::uint64_t frame_checksum(std::uint64_t sequence, std::string_view message) noexcept {
  return XXH3_64bits_withSeed(message.data(), message.size(), sequence);
}

MDB_val mdb_value(const std::string& bytes) {
  return {bytes.size(), const_cast<char*>(bytes.data())};
}

// The cells under which a record is found: where it is and where it goes, unless it is deleted.
struct Cells {
  explicit Cells(const MappingRecord* record) {
    if (record == nullptr || record->deleted) return;
    names[0] = &record->cell;
    if (!record->target.empty()) names[1] = &record->target;
  }
  bool has(const std::string& cell) const {
    return (names[0] != nullptr && *names[0] == cell) || (names[1] != nullptr && *names[1] == cell);
  }
  const std::string* names[2] = {nullptr, nullptr};
};

}  // namespace

LongKeyHash hash_long_key(std::uint64_t seed, std::string_view key) noexcept {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_withSeed(key.data(), key.size(), seed));
  LongKeyHash hash;
  static_assert(sizeof canonical == sizeof hash);
  std::memcpy(hash.data(), &canonical, sizeof hash);
  return hash;
}

int LmdbRecords::give_up(Error error) {
  error_ = std::move(error);
  return LmdbEnv::kGiveUp;
}

int LmdbRecords::find(std::string_view key, LmdbPlace& place, MappingRecord& record) {
  place.found = false;
  if (!StoreKey::fits(key)) return find_long(key, place, record);
  place.store_key = StoreKey::short_key(key);
  MDB_val store_key = place.store_key.value();
  MDB_val value{};
  int code = mdb_get(transaction_, trees_.records, &store_key, &value);
  if (code == MDB_NOTFOUND) return 0;
  if (code == 0) code = read_value(place.store_key.bytes(), view(value), record, place.sequence);
  place.found = code == 0;
  return code;
}

int LmdbRecords::find_long(std::string_view key, LmdbPlace& place, MappingRecord& record) {
  const LongKeyHash hash = hasher_(hash_seed_, key);
  std::uint32_t free_number = 0;
  place.store_key = StoreKey::long_key(hash, free_number);
  const std::string prefix(place.store_key.bytes().substr(0, 1 + kLongKeyHashBytes));

  MDB_cursor* cursor = nullptr;
  int code = mdb_cursor_open(transaction_, trees_.records, &cursor);
  if (code != 0) return code;
  MDB_val at = place.store_key.value();
  MDB_val value{};
  code = mdb_cursor_get(cursor, &at, &value, MDB_SET_RANGE);
  while (code == 0 && view(at).starts_with(prefix) && store_key_ok(view(at))) {
    const StoreKey store_key(view(at));
    code = read_value(store_key.bytes(), view(value), record, place.sequence);
    if (code != 0) break;
    if (record.key == key) {
      place.store_key = store_key;
      place.found = true;
      break;
    }
    if (store_key.bytes() == place.store_key.bytes()) {
      place.store_key = StoreKey::long_key(hash, ++free_number);
    }
    code = mdb_cursor_get(cursor, &at, &value, MDB_NEXT);
  }
  mdb_cursor_close(cursor);
  return code == MDB_NOTFOUND ? 0 : code;
}

int LmdbRecords::read_at(std::string_view store_key, MappingRecord& record,
                         std::uint64_t& sequence) {
  if (!store_key_ok(store_key)) {
    return give_up(Error(ErrorCode::kCorrupt, "an index names what is no key"));
  }
  StoreKey copy(store_key);
  MDB_val key = copy.value();
  MDB_val value{};
  const int code = mdb_get(transaction_, trees_.records, &key, &value);
  if (code == MDB_NOTFOUND) {
    return give_up(Error(ErrorCode::kCorrupt,
                         key_text(store_key) + ": an index names it, but it has no record"));
  }
  return code != 0 ? code : read_value(copy.bytes(), view(value), record, sequence);
}

int LmdbRecords::read_value(std::string_view store_key, std::string_view value,
                            MappingRecord& record, std::uint64_t& sequence) {
  const std::string_view label = store_key.front() == kShortKey ? store_key.substr(1) : store_key;
  std::uint64_t checksum = 0;
  if (value.size() >= kFrameBytes) {
    std::memcpy(&sequence, value.data(), sizeof sequence);
    std::memcpy(&checksum, value.data() + sizeof sequence, sizeof checksum);
  }
  if (value.size() < kFrameBytes ||
      checksum != frame_checksum(sequence, value.substr(kFrameBytes))) {
    return give_up(Error(ErrorCode::kCorrupt, key_text(label) + ": stored record: its checksum is "
                                                                "wrong; restore it from a copy"));
  }
  const std::string_view message = value.substr(kFrameBytes);
  Error error = store_key.front() == kShortKey ? codec_.decode(message, label, record)
                                               : codec_.decode_any(message, label, record);
  return error.ok() ? 0 : give_up(std::move(error));
}

int LmdbRecords::feed_state(LmdbFormat& format, std::uint64_t& last_sequence) {
  int code = read_format(transaction_, trees_.records, format);
  if (code != 0) return code;
  last_sequence = format.sequence_floor;
  MDB_cursor* cursor = nullptr;
  code = mdb_cursor_open(transaction_, trees_.changes, &cursor);
  if (code != 0) return code;
  MDB_val key{};
  MDB_val value{};
  code = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
  std::uint64_t last = 0;
  if (code == 0 && key.mv_size == sizeof last) {
    std::memcpy(&last, key.mv_data, sizeof last);
    last_sequence = std::max(last_sequence, last);
  }
  mdb_cursor_close(cursor);
  return code == MDB_NOTFOUND ? 0 : code;
}

int LmdbRecordsWriter::begin() {
  LmdbFormat format;
  int code = feed_state(format, last_sequence_);
  if (code != 0) return code;
  MDB_cursor* cursor = nullptr;
  code = mdb_cursor_open(transaction_, trees_.records, &cursor);
  if (code != 0) return code;
  MDB_val key{};
  MDB_val value{};
  code = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
  if (code == 0) last_key_ = view(key);
  mdb_cursor_close(cursor);
  return code;
}

int LmdbRecordsWriter::put(const MappingRecord& record, std::uint64_t expected) {
  LmdbPlace place;
  int code = find(record.key, place, stored_);
  if (code != 0) return code;
  const MappingRecord* stored = place.found ? &stored_ : nullptr;
  if (Error error = check_successor(stored, record, expected); !error.ok()) {
    return give_up(std::move(error));
  }
  fresh_ = record;
  fresh_.revision = expected + 1;
  if (Error error = codec_.encode(fresh_, message_); !error.ok()) return give_up(std::move(error));
  if (place.found) code = remove_change(place.sequence);
  if (code == 0) code = append_change(place.store_key);
  if (code == 0) code = write_record(place.store_key);
  if (code == 0) code = update_cells(place.store_key, stored, &fresh_);
  if (code == 0) {
    code = update_expiry(place.store_key, place.found ? stored_.expires : 0, fresh_.expires);
  }
  return code;
}

// message_, with the last sequence number.
int LmdbRecordsWriter::write_record(StoreKey& store_key) {
  const std::uint64_t checksum = frame_checksum(last_sequence_, message_);
  value_.resize(kFrameBytes);
  std::memcpy(value_.data(), &last_sequence_, sizeof last_sequence_);
  std::memcpy(value_.data() + sizeof last_sequence_, &checksum, sizeof checksum);
  value_ += message_;
  MDB_val key = store_key.value();
  MDB_val value = mdb_value(value_);
  if (store_key.bytes() <= last_key_) {
    return mdb_put(transaction_, trees_.records, &key, &value, 0);
  }
  last_key_ = store_key.bytes();
  return mdb_put(transaction_, trees_.records, &key, &value, MDB_APPEND);
}

// An index that lacks what a record says it has.
int LmdbRecordsWriter::damaged_if_missing(int code) {
  return code == MDB_NOTFOUND ? MDB_CORRUPTED : code;
}

int LmdbRecordsWriter::append_change(StoreKey& store_key) {
  ++last_sequence_;
  MDB_val key{sizeof last_sequence_, &last_sequence_};
  MDB_val value = store_key.value();
  return mdb_put(transaction_, trees_.changes, &key, &value, MDB_APPEND);
}

int LmdbRecordsWriter::remove_change(std::uint64_t sequence) {
  MDB_val key{sizeof sequence, &sequence};
  return damaged_if_missing(mdb_del(transaction_, trees_.changes, &key, nullptr));
}

int LmdbRecordsWriter::update_cells(StoreKey& store_key, const MappingRecord* old,
                                    const MappingRecord* fresh) {
  const Cells before(old);
  const Cells after(fresh);
  for (const std::string* cell : before.names) {
    if (cell == nullptr || after.has(*cell)) continue;
    MDB_val key = mdb_value(*cell);
    MDB_val value = store_key.value();
    const int code = damaged_if_missing(mdb_del(transaction_, trees_.cells, &key, &value));
    if (code != 0) return code;
  }
  for (const std::string* cell : after.names) {
    if (cell == nullptr || before.has(*cell)) continue;
    MDB_val key = mdb_value(*cell);
    MDB_val value = store_key.value();
    const int code = mdb_put(transaction_, trees_.cells, &key, &value, 0);
    if (code != 0) return code;
  }
  return 0;
}

int LmdbRecordsWriter::update_expiry(StoreKey& store_key, Nanos old, Nanos fresh) {
  if (old == fresh) return 0;
  MDB_val value = store_key.value();
  if (old != 0) {
    MDB_val key{sizeof old, &old};
    const int code = damaged_if_missing(mdb_del(transaction_, trees_.expiry, &key, &value));
    if (code != 0) return code;
  }
  if (fresh == 0) return 0;
  MDB_val key{sizeof fresh, &fresh};
  value = store_key.value();
  return mdb_put(transaction_, trees_.expiry, &key, &value, 0);
}

int LmdbRecordsWriter::purge(Nanos before, std::size_t limit, std::size_t& purged) {
  purged = 0;
  LmdbFormat format;
  int code = read_format(transaction_, trees_.records, format);
  while (code == 0 && purged < limit) {
    Nanos expires = 0;
    StoreKey store_key;
    code = first_expiry(expires, store_key);
    if (code != 0 || expires > before) break;
    code = remove_expired(store_key, format);
    if (code == 0) ++purged;
  }
  if (code != 0 && code != MDB_NOTFOUND) return code;
  format.sequence_floor = last_sequence_;
  return purged == 0 ? 0 : write_format(transaction_, trees_.records, format);
}

// MDB_NOTFOUND where nothing expires.
int LmdbRecordsWriter::first_expiry(Nanos& expires, StoreKey& store_key) {
  MDB_cursor* cursor = nullptr;
  int code = mdb_cursor_open(transaction_, trees_.expiry, &cursor);
  if (code != 0) return code;
  MDB_val key{};
  MDB_val value{};
  code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
  if (code == 0 && (key.mv_size != sizeof expires || !store_key_ok(view(value)))) {
    code = MDB_CORRUPTED;
  }
  if (code == 0) {
    std::memcpy(&expires, key.mv_data, sizeof expires);
    store_key = StoreKey(view(value));
  }
  mdb_cursor_close(cursor);
  return code;
}

int LmdbRecordsWriter::remove_expired(StoreKey& store_key, LmdbFormat& format) {
  std::uint64_t sequence = 0;
  int code = read_at(store_key.bytes(), stored_, sequence);
  if (code != 0) return code;
  if (stored_.deleted) format.forgotten_through = std::max(format.forgotten_through, sequence);
  code = remove_change(sequence);
  if (code == 0) code = update_cells(store_key, &stored_, nullptr);
  if (code == 0) code = update_expiry(store_key, stored_.expires, 0);
  MDB_val key = store_key.value();
  return code == 0 ? mdb_del(transaction_, trees_.records, &key, nullptr) : code;
}

}  // namespace cellroute::stores
