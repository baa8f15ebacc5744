#include "mapping/file_store.hpp"

#include <fcntl.h>

#include <cstring>
#include <span>
#include <utility>

#include "cellroute/check/problems.hpp"
#include "cellroute/publish.hpp"
#include "mapping/new_file.hpp"

namespace cellroute {
namespace {

MappingRecord record_of(std::string_view key, const MappingFile& base, const FileAnswer& answer) {
  MappingRecord record;
  record.key = key;
  record.cell = base.cells()[answer.cell];
  record.epoch = answer.epoch;
  record.revision = 1;
  record.state = answer.state;
  record.expires = answer.expires;
  record.ephemeral = answer.expires != 0;
  record.profile = base.profiles()[answer.profile];
  return record;
}

// Changes that are not there are none: a base alone is whole.
Result<Changes> changes_beside(const std::string& path) {
  Result<Changes> changes = read_changes(changes_path(path));
  if (!changes.ok() && changes.error().code() == ErrorCode::kNotFound) return Changes();
  return changes;
}

// Whether the file that is open is the one at `path`: its header has the checksum of all checksums.
bool still_there(const MappingFile& base, const std::string& path) {
  const mapping::Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  crm::Header header{};
  const auto bytes = std::as_writable_bytes(std::span(&header, 1));
  return file.ok() && mapping::read_at(file, path, 0, bytes).ok() &&
         std::memcmp(&header, &base.header(), sizeof header) == 0;
}

Result<std::shared_ptr<const MappingFile>> base_at(const std::string& path,
                                                   const MappingFileOptions& options,
                                                   const MappingFiles* known) {
  if (known != nullptr && still_there(*known->base, path)) return known->base;
  return MappingFile::open(path, options);
}

// Changes of one base only grow: a key that is missing, or older than it was, is lost.
Error check_changes(const MappingFiles& before, const MappingFiles& now) {
  for (const MappingRecord& was : before.changes.records) {
    const std::uint32_t place = now.by_key.find(was.key);
    const MappingRecord* const is =
        place == NameIndex::kNone ? nullptr : &now.changes.records[place];
    if (is != nullptr && !is_newer(was, *is)) continue;
    return refused("the file of changes is older than the one that was read before: " +
                   check::quoted(was.key) + " has gone back");
  }
  return {};
}

}  // namespace

Lookup MappingFiles::get(std::string_view key, Nanos now) const {
  Lookup found;
  if (!key_length_ok(key)) {
    found.error = invalid_argument("the key is not 1 to 1,024 bytes long");
    return found;
  }
  const std::uint32_t changed = by_key.find(key);
  if (changed != NameIndex::kNone) {
    found.record = changes.records[changed];
    found.answer = found.record.answer(now);
    return found;
  }
  const FileAnswer answer = base->find(key);
  found.answer = answer.answer;
  if (answer.answer == Answer::kFound) {
    found.record = record_of(key, *base, answer);
    found.answer = found.record.answer(now);
  } else if (answer.answer == Answer::kUnknown) {
    found.error = Error(ErrorCode::kCorrupt, "the mapping file was damaged while it was open");
  } else {
    found.record.epoch = 0;
  }
  return found;
}

// The writer replaces the base first, then the changes. Read the other way round, changes are never
// of a later base than the one read.
Result<std::shared_ptr<const MappingFiles>> open_mapping_files(const std::string& path,
                                                               const MappingFileOptions& options,
                                                               const MappingFiles* known) {
  Result<Changes> changes = changes_beside(path);
  if (!changes.ok()) return changes.error();
  auto base = base_at(path, options, known);
  if (!base.ok()) return base.error();
  if (changes->base > (*base)->generation()) {
    return refused(path +
                   ": the changes beside it are those of a later base; was it put back alone?");
  }
  auto files = std::make_shared<MappingFiles>();
  files->base = std::move(*base);
  if (changes->base == files->base->generation()) files->changes = std::move(*changes);
  const auto& records = files->changes.records;
  for (std::uint32_t place = 0; place < records.size(); ++place) {
    if (files->by_key.add(records[place].key, place)) continue;
    return Error(ErrorCode::kCorrupt, changes_path(path) + ": a key has two records");
  }
  return std::shared_ptr<const MappingFiles>(std::move(files));
  // The analyzer loses sight of shared_ptr's count of the base.
}  // NOLINT(clang-analyzer-cplusplus.NewDeleteLeaks)

Result<std::unique_ptr<MappingFileStore>> MappingFileStore::open(
    const std::string& path, const MappingFileOptions& options) {
  auto files = open_mapping_files(path, options);
  if (!files.ok()) return files.error();
  return std::unique_ptr<MappingFileStore>(new MappingFileStore(path, options, std::move(*files)));
}

std::shared_ptr<const MappingFiles> MappingFileStore::files() const {
  const std::lock_guard lock(mutex_);
  return files_;
}

Result<bool> MappingFileStore::refresh() {
  const std::lock_guard refreshing(refreshing_);
  const std::shared_ptr<const MappingFiles> before = files();
  auto now = open_mapping_files(path_, options_, before.get());
  if (!now.ok()) return now.error();
  const bool same_base = (*now)->base == before->base;
  if (same_base && (*now)->changes == before->changes) return false;
  PublishOptions any;
  any.max_keys_lost_percent = 100;
  Error error =
      same_base ? check_changes(*before, **now) : check_base(*before->base, *(*now)->base, any);
  if (!error.ok()) return Error(error.code(), path_ + ": " + error.text());
  const std::lock_guard lock(mutex_);
  files_ = std::move(*now);
  return true;
}

StoreCapabilities MappingFileStore::capabilities() const noexcept {
  StoreCapabilities can;
  can.durable = true;
  can.shared = true;
  return can;
}

Lookup MappingFileStore::get(std::string_view key, Nanos now) { return files()->get(key, now); }

Error MappingFileStore::read_only(const char* call) const {
  return Error(ErrorCode::kUnsupported, path_ + ": a mapping file answers look-ups alone, no " +
                                            call + "; give the store that it was built from");
}

Result<std::uint64_t> MappingFileStore::put_if(const MappingRecord&, std::uint64_t) {
  return read_only("writes");
}
Result<Page> MappingFileStore::scan(const Cursor&, std::size_t, Nanos) {
  return read_only("scans, since it knows its keys by their hash");
}
Result<Page> MappingFileStore::scan_cell(std::string_view, const Cursor&, std::size_t, Nanos) {
  return read_only("scans, since it knows its keys by their hash");
}
Result<Page> MappingFileStore::changes(const Cursor&, std::size_t) { return read_only("changes"); }
Result<std::size_t> MappingFileStore::purge(Nanos, std::size_t) { return read_only("purges"); }

}  // namespace cellroute
