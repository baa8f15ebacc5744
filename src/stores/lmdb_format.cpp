#include "stores/lmdb_format.hpp"

#include <limits>
#include <string>

#include "stores/mapping.pb.h"

namespace cellroute::stores {
namespace {

// Before every other key of the tree.
MDB_val format_key() {
  static char key[] = {'\0'};
  return {sizeof key, key};
}

}  // namespace

int read_format(MDB_txn* transaction, MDB_dbi records, LmdbFormat& format) {
  MDB_val key = format_key();
  MDB_val value{};
  const int code = mdb_get(transaction, records, &key, &value);
  if (code != 0) return code;
  v1::StoreFormat message;
  if (value.mv_size > std::numeric_limits<int>::max() ||
      !message.ParseFromArray(value.mv_data, static_cast<int>(value.mv_size)) ||
      message.version() == 0) {
    return MDB_INVALID;
  }
  if (message.version() > kStoreFormatVersion) return MDB_VERSION_MISMATCH;
  format.store_id = message.store_id();
  format.hash_seed = message.hash_seed();
  format.sequence_floor = message.sequence_floor();
  format.forgotten_through = message.forgotten_through();
  return 0;
}

int write_format(MDB_txn* transaction, MDB_dbi records, const LmdbFormat& format) {
  v1::StoreFormat message;
  message.set_version(kStoreFormatVersion);
  message.set_store_id(format.store_id);
  message.set_hash_seed(format.hash_seed);
  message.set_sequence_floor(format.sequence_floor);
  message.set_forgotten_through(format.forgotten_through);
  std::string bytes = message.SerializeAsString();
  MDB_val key = format_key();
  MDB_val value{bytes.size(), bytes.data()};
  return mdb_put(transaction, records, &key, &value, 0);
}

}  // namespace cellroute::stores
