// LMDB without the store: to look at its file, and to damage it.
#pragma once

#include <lmdb.h>

#include <catch2/catch.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace cellroute::testing {

inline MDB_val raw(std::string_view bytes) {
  return {bytes.size(), const_cast<char*>(bytes.data())};
}

// An LMDB environment of its own; no store of the same directory may be open in this process.
class RawLmdb {
 public:
  explicit RawLmdb(const std::string& directory, unsigned flags = 0) {
    REQUIRE(mdb_env_create(&env_) == 0);
    REQUIRE(mdb_env_set_maxdbs(env_, 8) == 0);
    REQUIRE(mdb_env_set_mapsize(env_, 1 << 26) == 0);
    REQUIRE(mdb_env_open(env_, directory.c_str(), flags, 0600) == 0);
  }
  ~RawLmdb() { mdb_env_close(env_); }
  RawLmdb(const RawLmdb&) = delete;
  RawLmdb& operator=(const RawLmdb&) = delete;

  MDB_env* env() const { return env_; }

  // In one committed transaction.
  void change(const std::function<void(MDB_txn*)>& work) {
    MDB_txn* transaction = nullptr;
    REQUIRE(mdb_txn_begin(env_, nullptr, 0, &transaction) == 0);
    std::unique_ptr<MDB_txn, decltype(&mdb_txn_abort)> abort(transaction, &mdb_txn_abort);
    work(transaction);
    REQUIRE(mdb_txn_commit(abort.release()) == 0);
  }

  static MDB_dbi tree(MDB_txn* transaction, const char* name, unsigned flags = 0) {
    MDB_dbi dbi = 0;
    REQUIRE(mdb_dbi_open(transaction, name, flags, &dbi) == 0);
    return dbi;
  }

 private:
  MDB_env* env_ = nullptr;
};

}  // namespace cellroute::testing
