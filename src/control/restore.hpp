// Brings a store that was put back from a backup up to what routers know already (restore.md).
#pragma once

#include <cstdint>

#include "cellroute/mapping_store.hpp"
#include "mapping/file_builder.hpp"
#include "mapping/file_store.hpp"

namespace cellroute {

struct RestoreReport {
  std::uint64_t records = 0;    // of the store
  std::uint64_t behind = 0;     // older than the files: they got the files' cell and a higher epoch
  std::uint64_t recreated = 0;  // not in the store, among the changes beside the base
  std::uint64_t conflicts = 0;  // of the files' epoch in another cell, or in migration: left alone
  std::uint64_t unknown = 0;  // not in the files: written since, or deleted in between; left alone
  std::uint64_t missing = 0;  // keys of the base that the store lacks: only an export has them
};

// Raises the epoch of every record that is older than the files say above any that was given out
// for its key. A record that is as the files say, or newer, is left alone, so that it may be done
// again. Then the store's feed of changes, if it has one, gets a new identity (renew_feed()), so
// that no reader goes on from a place that it had before: the store is to be opened again. With
// `dry_run` nothing is written. Nobody else may write meanwhile: what somebody does is kConflict.
// Other errors: the store's.
Result<RestoreReport> restore_epochs(MappingStore& store, const MappingFiles& files, Nanos now,
                                     bool dry_run, const FileBuildSeen& seen);

}  // namespace cellroute
