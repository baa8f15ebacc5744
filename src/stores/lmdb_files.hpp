// The directory of an LMDB store: its files, and what is checked before LMDB maps them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "cellroute/status.hpp"

namespace cellroute::stores {

struct LmdbFiles {
  explicit LmdbFiles(std::string_view path);

  std::string directory;
  std::string data;    // LMDB's
  std::string lock;    // LMDB's table of readers
  std::string writer;  // locked by whoever writes, so that waiting can end
  std::string fresh;   // a store being made; renamed to `data` when it is whole
};

// The directory there, made if `create`, and on a disk of this host.
Error prepare_directory(const std::string& directory, bool create);

// The name of a file system whose files several hosts may share or which does not keep a mapping
// coherent, by its statfs magic; null for others.
const char* network_file_system(std::uint32_t magic) noexcept;

// The headers of a data file, so that LMDB does not divide by a damaged one's page size or follow
// its roots out of the file. `missing_pages` is how many pages at the end the file lacks: pages
// that were free when LMDB wrote it may be missing in a sound one.
Error check_data_file(const LmdbFiles& files, std::uint64_t& missing_pages);

// The directory's own entries on the disk.
Error sync_directory(const std::string& directory);

}  // namespace cellroute::stores
