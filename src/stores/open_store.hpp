// Opens a mapping store by its URL.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "cellroute/mapping_store.hpp"
#include "cellroute/time.hpp"

namespace cellroute {

// The defaults serve; nothing needs tuning to start.
struct StoreOptions {
  // The longest that a call waits for another writer, in nanoseconds. Then it answers kUnavailable.
  Nanos timeout = 5 * kSecond;

  // Make the store if there is none. Switch it off where an empty store would hide a wrong path.
  bool create = true;

  // lmdb: address space for the file to begin with and at most, in bytes. It grows by doubling as
  // records come, also under other processes; this is no file size and no memory. At the most, puts
  // answer kResourceExhausted. Raise the first only to spare the growing; a process with a limit on
  // its address space (ulimit -v) may want less.
  std::size_t map_bytes = std::size_t{1} << 30;
  std::size_t max_map_bytes = std::size_t{1} << 40;

  // lmdb: reader slots of the file, for all processes together; a process takes one for each thread
  // that reads at the same time, at most 32. The first process that opens the file decides.
  unsigned readers = 2048;
};

// `url` is
//   memory:    a store of its own, gone with the handle
//   lmdb:PATH  a directory on a local disk, made (0700) if it is missing and its parent is there
//   file:PATH  a mapping file with its changes (mapping/file_store.hpp), which is read alone
// kUnsupported for redis:// and dynamodb://, which this library does not carry, and
// kInvalidArgument for anything else.
Result<std::unique_ptr<MappingStore>> open_store(std::string_view url,
                                                 const StoreOptions& options = {});

}  // namespace cellroute
