// Records and their indexes inside one LMDB transaction.
//
// Functions return 0, an LMDB code, or LmdbEnv::kGiveUp with the reason in error().
#pragma once

#include <lmdb.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "cellroute/mapping.hpp"
#include "cellroute/status.hpp"
#include "stores/lmdb_env.hpp"
#include "stores/lmdb_format.hpp"
#include "stores/lmdb_keys.hpp"
#include "stores/record_codec.hpp"

namespace cellroute::stores {

using LongKeyHasher = LongKeyHash (*)(std::uint64_t seed, std::string_view key);

// Where a key's record lies, or would.
struct LmdbPlace {
  StoreKey store_key;
  bool found = false;
  std::uint64_t sequence = 0;  // of the record's last change
};

// Reads. Thread safety: one thread, that of the transaction.
class LmdbRecords {
 public:
  LmdbRecords(const LmdbTrees& trees, std::uint64_t hash_seed, MDB_txn* transaction,
              RecordCodec& codec, LongKeyHasher hasher = &hash_long_key)
      : trees_(trees),
        hash_seed_(hash_seed),
        transaction_(transaction),
        codec_(codec),
        hasher_(hasher) {}

  // The record of `key` into `record`, and its place; place.found is false where there is none.
  int find(std::string_view key, LmdbPlace& place, MappingRecord& record);

  // The record under a store key that the file itself named: kCorrupt where there is none.
  int read_at(std::string_view store_key, MappingRecord& record, std::uint64_t& sequence);

  // The record of a value that a cursor stands at.
  int read_value(std::string_view store_key, std::string_view value, MappingRecord& record,
                 std::uint64_t& sequence);

  // What the file says of itself, and the highest sequence number it ever gave out.
  int feed_state(LmdbFormat& format, std::uint64_t& last_sequence);

  const Error& error() const noexcept { return error_; }

 protected:
  int give_up(Error error);
  int find_long(std::string_view key, LmdbPlace& place, MappingRecord& record);

  const LmdbTrees& trees_;
  const std::uint64_t hash_seed_;
  MDB_txn* const transaction_;
  RecordCodec& codec_;
  const LongKeyHasher hasher_;
  Error error_;
};

// Reads and writes. Thread safety: one thread, that of the transaction.
class LmdbRecordsWriter : public LmdbRecords {
 public:
  using LmdbRecords::LmdbRecords;

  // Once, before all else.
  int begin();

  // put_if within the transaction. A give-up leaves the transaction as it was; after any other
  // return but 0 it must not be committed.
  int put(const MappingRecord& record, std::uint64_t expected);

  // Removes what expired at or before `before`, at most `limit`. After any return but 0 the
  // transaction must not be committed.
  int purge(Nanos before, std::size_t limit, std::size_t& purged);

 private:
  int write_record(StoreKey& store_key);
  int update_cells(StoreKey& store_key, const MappingRecord* old, const MappingRecord* fresh);
  int update_expiry(StoreKey& store_key, Nanos old, Nanos fresh);
  int append_change(StoreKey& store_key);
  int remove_change(std::uint64_t sequence);
  int first_expiry(Nanos& expires, StoreKey& store_key);
  int remove_expired(StoreKey& store_key, LmdbFormat& format);
  static int damaged_if_missing(int code);

  std::uint64_t last_sequence_ = 0;
  std::string last_key_;  // no store key of the file is above it
  MappingRecord stored_;
  MappingRecord fresh_;
  std::string message_;
  std::string value_;
};

}  // namespace cellroute::stores
