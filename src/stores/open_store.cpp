#include "stores/open_store.hpp"

#include <string>
#include <utility>

#include "cellroute/check/problems.hpp"
#include "mapping/file_store.hpp"
#include "stores/lmdb_store.hpp"
#include "stores/memory_store.hpp"

namespace cellroute {

Result<std::unique_ptr<MappingStore>> open_store(std::string_view url,
                                                 const StoreOptions& options) {
  const std::size_t colon = url.find(':');
  const std::string_view scheme = url.substr(0, colon);
  const std::string_view rest = colon == url.npos ? "" : url.substr(colon + 1);
  if (colon != url.npos && scheme == "memory") {
    if (rest.empty()) return make_memory_store();
    return invalid_argument("mapping store memory: takes nothing behind the colon");
  }
  if (colon != url.npos && scheme == "lmdb") return open_lmdb_store(rest, options);
  if (colon != url.npos && scheme == "file") {
    if (rest.empty()) return invalid_argument("mapping store file: give its path, file:PATH.crm");
    auto file = MappingFileStore::open(std::string(rest));
    if (!file.ok()) return file.error();
    return std::unique_ptr<MappingStore>(std::move(*file));
  }
  // What follows the scheme may hold a password, so the texts leave it out.
  for (const std::string_view known : {"redis", "dynamodb"}) {
    if (colon == url.npos || scheme != known) continue;
    return Error(ErrorCode::kUnsupported, "mapping store " + std::string(known) +
                                              ": this build has memory, lmdb and file alone");
  }
  return invalid_argument("mapping store of scheme " + check::quoted(scheme) +
                          ": there is none; give memory:, lmdb:PATH or file:PATH.crm");
}

}  // namespace cellroute
