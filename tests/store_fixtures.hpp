// Stores to test, and directories for them.
#pragma once

#include <stdlib.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "cellroute/mapping_store.hpp"
#include "stores/lmdb_store.hpp"
#include "stores/memory_store.hpp"

namespace cellroute::testing {

// A directory of its own, removed with its content at the end: below TMPDIR, or else in memory
// where there is such a place, since the suite syncs some ten thousand times.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    const char* parent = std::getenv("TMPDIR");
    if (parent == nullptr) parent = ::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    std::string name = std::string(parent) + "/cellroute-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::string& path() const { return path_; }
  std::string path(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

template <class T>
T must(Result<T> result) {
  if (!result.ok()) FAIL(result.error().text());
  return std::move(*result);
}

template <class T>
ErrorCode code_of(const Result<T>& result) {
  return result.ok() ? ErrorCode::kOk : result.error().code();
}

inline std::unique_ptr<MappingStore> open_lmdb(const std::string& path, StoreOptions options = {}) {
  return must(open_lmdb_store(path, options));
}

// One kind of store for the conformance suite. `directory` is of one store alone.
struct StoreKind {
  std::string name;
  std::function<std::unique_ptr<MappingStore>(const std::string& directory)> open;
};

inline std::ostream& operator<<(std::ostream& out, const StoreKind& kind) {
  return out << kind.name;
}

// Those that this test program is about.
std::vector<StoreKind> store_kinds();

}  // namespace cellroute::testing
