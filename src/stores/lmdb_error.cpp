#include "stores/lmdb_error.hpp"

#include <cerrno>

namespace cellroute::stores {

ErrorCode lmdb_error_code(int code) noexcept {
  switch (code) {
    case 0: return ErrorCode::kOk;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_INCOMPATIBLE:
    case MDB_CURSOR_FULL: return ErrorCode::kCorrupt;
    case MDB_VERSION_MISMATCH: return ErrorCode::kUnsupported;
    case MDB_MAP_FULL:
    case MDB_READERS_FULL:
    case MDB_TXN_FULL:
    case ENOMEM: return ErrorCode::kResourceExhausted;
    case EACCES:
    case EPERM:
    case EROFS: return ErrorCode::kRefused;
    case ENOENT: return ErrorCode::kNotFound;
    case ENOTDIR:
    case ENAMETOOLONG:
    case ELOOP: return ErrorCode::kInvalidArgument;
    default: return ErrorCode::kUnavailable;
  }
}

}  // namespace cellroute::stores
