// LMDB's and the system's return codes as errors.
#pragma once

#include <lmdb.h>

#include <string>
#include <string_view>

#include "cellroute/check/problems.hpp"
#include "cellroute/status.hpp"

namespace cellroute::stores {

inline std::string_view view(const MDB_val& value) noexcept {
  return {static_cast<const char*>(value.mv_data), value.mv_size};
}

ErrorCode lmdb_error_code(int code) noexcept;

// "mapping store "DIR": DOING: what LMDB says".
inline Error lmdb_error(std::string_view directory, std::string_view doing, int code) {
  return Error(lmdb_error_code(code), "mapping store " + check::quoted(directory) + ": " +
                                          std::string(doing) + ": " + mdb_strerror(code));
}

inline Error store_error(ErrorCode code, std::string_view directory, std::string_view text) {
  return Error(code, "mapping store " + check::quoted(directory) + ": " + std::string(text));
}

}  // namespace cellroute::stores
