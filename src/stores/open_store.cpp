#include "stores/open_store.hpp"

#include <string>

#include "cellroute/check/problems.hpp"
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
  // What follows the scheme may hold a password, so the texts leave it out.
  for (const std::string_view known : {"redis", "dynamodb", "file"}) {
    if (colon == url.npos || scheme != known) continue;
    return Error(ErrorCode::kUnsupported,
                 "mapping store " + std::string(known) + ": this build has memory and lmdb alone");
  }
  return invalid_argument("mapping store of scheme " + check::quoted(scheme) +
                          ": there is none; give memory: or lmdb:PATH");
}

}  // namespace cellroute
