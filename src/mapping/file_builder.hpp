// Builds a mapping file (.crm; include/cellroute/mapping_file/FORMAT.md) from records in any order.
//
// Equal records, in whatever order, and an equal seed give equal bytes. Records go to a temporary
// file beside the target first, so that memory holds the file's lines (about 7.5 bytes a key), the
// names, and what two processors sort at a time (some 100 MiB for 100 million keys). The target
// appears at once and whole, by rename; a build that dies leaves what stood there before. Beside it
// PATH.new and PATH.spill are the builder's own.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cellroute/mapping.hpp"
#include "cellroute/mapping_file/tables.hpp"
#include "cellroute/mapping_store.hpp"
#include "cellroute/status.hpp"
#include "cellroute/time.hpp"

namespace cellroute {

struct FileBuildOptions {
  // Of the file's key hash. Draw it at random and keep it to yourself: who knows it can make keys
  // that the file mistakes for others.
  std::uint64_t seed = 0;
  std::uint64_t generation = 1;  // a newer base has a higher one
  Nanos now = 0;                 // records that have expired by then are left out
};

// What the file needs of a mapping record. The texts need live no longer than the call.
struct FileRecord {
  std::string_view key;
  std::string_view cell;
  const MappedProfile* profile = nullptr;  // null: none
  std::uint64_t epoch = 1;                 // 0: placed by the strategy, never recorded
  std::uint64_t revision = 0;
  MigrationState state = MigrationState::kStable;
  Nanos expires = 0;         // 0: never
  bool deleted = false;      // a tombstone, which outdoes older records and is left out
  std::uint64_t number = 0;  // which one it is in the input, such as its line, for error texts
};

FileRecord file_record(const MappingRecord& record, std::uint64_t number);

struct FileBuildReport {
  std::uint64_t keys = 0;
  std::uint64_t aside = 0;       // of them, kept aside
  std::uint64_t superseded = 0;  // records with a newer one of their key, or an equal one
  std::uint64_t left_out = 0;    // keys whose newest record is deleted or expired
  std::uint64_t bytes = 0;
};

// Called now and then with how many more records are done.
using FileBuildSeen = std::function<void(std::uint64_t)>;

// Called with the records of a page; an error ends the reading.
using RecordsRead = std::function<Error(const std::vector<MappingRecord>&)>;

// Thread safety: one thread at a time. After an error nothing is left but to destroy it.
class FileBuilder {
 public:
  virtual ~FileBuilder() = default;
  FileBuilder(const FileBuilder&) = delete;
  FileBuilder& operator=(const FileBuilder&) = delete;

  // Begins PATH.new, which takes the place of `path` at the end. kConflict while another
  // build of the same path is under way; kUnavailable with the system's own error.
  static Result<std::unique_ptr<FileBuilder>> create(const std::string& path,
                                                     const FileBuildOptions& options);

  // Of several records of a key the newest (epoch, revision) counts. kInvalidArgument where the
  // record breaks a rule of mapping.hpp; kRefused beyond 65,535 cells or profiles.
  virtual Error add(const FileRecord& record) = 0;

  // That `cursor` is where `feed` goes on behind what was added. kInvalidArgument for a name that
  // is empty, too long or given twice, or a cursor too long; kRefused beyond 16 feeds.
  virtual Error add_feed(FeedCursor cursor) = 0;

  // Writes the file, syncs it and puts it in its place. kInvalidArgument where two records of a key
  // are of one epoch and revision and differ: the text names both. kRefused where the keys crowd,
  // as only keys do that were made with knowledge of the seed. kUnavailable when the disk is full.
  virtual Result<FileBuildReport> finish(const FileBuildSeen& seen) = 0;

 protected:
  FileBuilder() = default;
};

// Adds all records of the store, from its feed of changes where it has one; that feed's cursor then
// goes into the file under `feed`. kUnavailable from a store whose pages do not go on.
Error add_store(FileBuilder& builder, MappingStore& store, const std::string& feed, Nanos now,
                const RecordsRead& read);

}  // namespace cellroute
