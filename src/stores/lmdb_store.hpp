// A mapping store in an LMDB file: the embedded default, for the processes of one host.
//
// Durable: a put that is acknowledged has been synced (fdatasync), and so was the directory.
// Processes: any number of one host, of one PID namespace (LMDB tells dead readers by their PID),
//   may have it open; each opens it for itself, after fork().
// Threads: any; reads run side by side, writes one after another.
// Opened twice in a process, by whatever path, the file is shared and the first one's options for
//   the map and the readers hold; LMDB itself would lose its locks.
// Waiting: for another writer at most options.timeout, for reading not at all. A program that is no
//   cellroute and writes to the file (mdb_load) is waited for as long as it takes.
// A full disk: the put is not done and answers kUnavailable; reads go on, and so do puts once there
//   is room. A disk that fails while LMDB replaces its header makes it answer MDB_PANIC from then
//   on: close every store of that path in the process, and open it again.
// Damage: what LMDB and the checksums find is kCorrupt. Whoever cuts the file short while it is
//   open ends the process by SIGBUS, as with every mapped file.
#pragma once

#include <memory>
#include <string_view>

#include "cellroute/mapping_store.hpp"
#include "stores/open_store.hpp"

namespace cellroute {

// `path` is a directory, made with mode 0700 if it is missing (options.create) and its parent is
// there; the files in it get mode 0600.
//   kInvalidArgument  the path is empty, too long, holds a NUL or is no directory
//   kNotFound         the directory, or when creating its parent, is not there
//   kRefused          no permission, a read-only file system, or one that hosts may share (FUSE,
//                     too, since it does not say what stands behind it)
//   kCorrupt          the files are no store, cut short or damaged
//   kUnsupported      a later version of cellroute wrote it
//   kUnavailable      the system refused; the text says what
Result<std::unique_ptr<MappingStore>> open_lmdb_store(std::string_view path,
                                                      const StoreOptions& options = {});

}  // namespace cellroute
