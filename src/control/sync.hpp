// Keeps a mapping file and the changes beside it up to date with a store.
//
// Routers read the two files alone, so they start, reload and route on while the store is away.
// What a store says is believed only if it is not behind what the files say already: a store that
// was put back from a backup must not take routers back with it (`cellroute mapping restore`).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cellroute/mapping_store.hpp"
#include "mapping/file_builder.hpp"
#include "mapping/file_store.hpp"
#include "mapping/new_file.hpp"

namespace cellroute {

struct SyncOptions {
  std::string path;  // of the mapping file; PATH.changes, .last, .next and .sync are beside it
  std::string feed;  // what the store is called in the files: a URL, without its password
  std::size_t max_changes = kMaxChanges;  // more are folded into a new base at once
  std::uint32_t max_keys_lost_percent = 10;
};

struct SyncReport {
  bool folded = false;           // into a new base
  std::uint64_t read = 0;        // records, by this call
  std::uint64_t generation = 0;  // of the base
  std::uint64_t keys = 0;        // of the base
  std::uint64_t changes = 0;     // since
};

// Thread safety: one thread at a time.
class MappingSync {
 public:
  // Takes up what lies at the path. kConflict where another process syncs it; kNotFound where its
  // directory is not there; errors of open_mapping_files() for what is damaged.
  static Result<std::unique_ptr<MappingSync>> open(SyncOptions options);

  // Reads what changed since and writes it beside the base. Folds where there is no base of this
  // feed yet, the changes become too many, or the feed cannot go on from there (kRefused). Of a
  // store without a feed nothing is read. Errors: fold()'s; the files are then as they were.
  Result<SyncReport> step(MappingStore& store, Nanos now, const FileBuildSeen& seen);

  // For a store without a feed whose changes are told otherwise, such as by a stream: reads these
  // keys and writes what it answers beside the base. What is told twice, late or in another order
  // is of no matter, since the store's answer counts. Folds and fails as step() does.
  Result<SyncReport> look(MappingStore& store, std::span<const std::string> keys, Nanos now,
                          const FileBuildSeen& seen);

  // Reads all of the store into a new base, whatever changed. The old one is kept as PATH.last.
  //   kRefused  the store is behind the files, or lost more keys than it may at once
  // and those of the store, the builder and the file system.
  Result<SyncReport> fold(MappingStore& store, Nanos now, const FileBuildSeen& seen);

 private:
  MappingSync(SyncOptions options, mapping::Descriptor lock)
      : options_(std::move(options)), lock_(std::move(lock)) {}

  Error take_up();
  const FeedCursor* feed_of_base() const noexcept;
  Error check_ahead(const std::vector<MappingRecord>& page) const;
  Error replace_base(const std::string& next);
  std::optional<MappingRecord> changed(const std::string& key, Lookup& found, const OpId& op_id,
                                       Nanos now) const;
  Error write(const Changes& changes);
  bool add(MappingRecord record, Changes& changes, NameIndex& by_key) const;
  SyncReport report(bool folded, std::uint64_t read) const noexcept;

  const SyncOptions options_;
  const mapping::Descriptor lock_;
  std::shared_ptr<const MappingFiles> files_;  // what lies on disk; null: nothing yet
};

}  // namespace cellroute
