// A mapping file and the changes beside it, as a store that is read alone: `file:PATH.crm`.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "cellroute/mapping_file.hpp"
#include "cellroute/mapping_store.hpp"
#include "cellroute/names.hpp"
#include "mapping/change_file.hpp"

namespace cellroute {

// A base with the changes that follow it: what Router::publish() takes. Of one moment, immutable.
struct MappingFiles {
  std::shared_ptr<const MappingFile> base;
  Changes changes;

  // The key's record as of `now`. A key of the base has what the file keeps of it: no times, op-id
  // or history, and revision 1. kFound or kAbsent; kUnknown where the file was damaged meanwhile.
  Lookup get(std::string_view key, Nanos now) const;

  NameIndex by_key;  // key → place in changes.records
};

// What lies at `path` now: the base, checked whole, and its changes. Those of another base, older
// than this one, are left out; they are in it. The base of `known`, which may be null, is taken
// where it is the file that lies there still. Errors: those of MappingFile::open() and
// read_changes(); kRefused where the changes are of a later base.
Result<std::shared_ptr<const MappingFiles>> open_mapping_files(
    const std::string& path, const MappingFileOptions& options = {},
    const MappingFiles* known = nullptr);

// Thread safety: any thread. Fork: a child may read on.
class MappingFileStore final : public MappingStore {
 public:
  static Result<std::unique_ptr<MappingFileStore>> open(const std::string& path,
                                                        const MappingFileOptions& options = {});

  // Takes what lies there now, if it is newer. False: it is what was there before. kRefused where
  // it is older; on any error what was there before is kept. Whether a new base lost too many keys
  // to serve, Router::publish() says.
  Result<bool> refresh();

  // For a router to serve by, as long as the caller holds it.
  std::shared_ptr<const MappingFiles> files() const;

  StoreCapabilities capabilities() const noexcept override;
  Lookup get(std::string_view key, Nanos now) override;

  // kUnsupported: the file is written by `snapshot build` and `sync` alone, and knows its keys by
  // their hash.
  Result<std::uint64_t> put_if(const MappingRecord& record, std::uint64_t expected) override;
  Result<Page> scan(const Cursor& cursor, std::size_t limit, Nanos now) override;
  Result<Page> scan_cell(std::string_view cell, const Cursor& cursor, std::size_t limit,
                         Nanos now) override;
  Result<Page> changes(const Cursor& cursor, std::size_t limit) override;
  Result<std::size_t> purge(Nanos before, std::size_t limit) override;

 private:
  MappingFileStore(std::string path, const MappingFileOptions& options,
                   std::shared_ptr<const MappingFiles> files)
      : path_(std::move(path)), options_(options), files_(std::move(files)) {}

  Error read_only(const char* call) const;

  const std::string path_;
  const MappingFileOptions options_;
  std::mutex refreshing_;     // one at a time, so that the last to end has the newest
  mutable std::mutex mutex_;  // guards files_
  std::shared_ptr<const MappingFiles> files_;
};

}  // namespace cellroute
