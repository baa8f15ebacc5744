// What a store's file says of itself (cellroute.v1.StoreFormat), under a key of its own.
#pragma once

#include <lmdb.h>

#include <cstdint>

#include "cellroute/status.hpp"

namespace cellroute::stores {

// Raised when a file is written that earlier versions must not touch.
inline constexpr std::uint32_t kStoreFormatVersion = 1;

struct LmdbFormat {
  std::uint64_t store_id = 0;
  std::uint64_t hash_seed = 0;
  std::uint64_t sequence_floor = 0;
  std::uint64_t forgotten_through = 0;
};

// Both return 0 or an LMDB code. MDB_VERSION_MISMATCH: a later version's; MDB_INVALID: the bytes
// are none; MDB_NOTFOUND: an LMDB file of something else.
int read_format(MDB_txn* transaction, MDB_dbi records, LmdbFormat& format);
int write_format(MDB_txn* transaction, MDB_dbi records, const LmdbFormat& format);

}  // namespace cellroute::stores
