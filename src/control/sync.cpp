#include "control/sync.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "cellroute/check/problems.hpp"
#include "cellroute/publish.hpp"
#include "control/mutate.hpp"
#include "stores/random.hpp"

namespace cellroute {
namespace {

constexpr std::size_t kMostPages = 1'000;  // that one step reads; the next goes on

Result<mapping::Descriptor> lock_path(const std::string& path) {
  const std::string name = path + ".sync";
  mapping::Descriptor file(::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.ok()) return mapping::system_error(name, errno);
  if (::flock(file.get(), LOCK_EX | LOCK_NB) == 0) return file;
  if (errno != EWOULDBLOCK) return mapping::system_error(name, errno);
  return Error(ErrorCode::kConflict, path + ": another process syncs it");
}

Error remove(const std::string& path) {
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  return mapping::system_error(path, errno);
}

}  // namespace

Result<std::unique_ptr<MappingSync>> MappingSync::open(SyncOptions options) {
  if (options.max_changes > kMaxChanges) {
    return invalid_argument("sync: at most " + check::counted(kMaxChanges) +
                            " changes are kept beside a base");
  }
  Result<mapping::Descriptor> lock = lock_path(options.path);
  if (!lock.ok()) return lock.error();
  std::unique_ptr<MappingSync> sync(new MappingSync(std::move(options), std::move(*lock)));
  if (Error error = sync->take_up(); !error.ok()) return error;
  return sync;
}

Error MappingSync::take_up() {
  auto files = open_mapping_files(options_.path, {}, files_.get());
  if (files.ok()) {
    files_ = std::move(*files);
    return {};
  }
  return files.error().code() == ErrorCode::kNotFound ? Error() : files.error();
}

// Where this feed stood when the base was built; null: it is not of this feed.
const FeedCursor* MappingSync::feed_of_base() const noexcept {
  if (!files_) return nullptr;
  for (const FeedCursor& feed : files_->base->feeds()) {
    if (feed.feed == options_.feed) return &feed;
  }
  return nullptr;
}

// Epochs of a key never fall, nor its revisions at one epoch: a record that is older than what the
// files say comes from a store that lost writes.
Error MappingSync::check_ahead(const std::vector<MappingRecord>& page) const {
  if (!files_) return {};
  for (const MappingRecord& record : page) {
    const std::uint32_t place = files_->by_key.find(record.key);
    bool behind = false;
    if (place != NameIndex::kNone) {
      behind = is_newer(files_->changes.records[place], record);
    } else {
      const FileAnswer known = files_->base->find(record.key);
      behind = known.answer == Answer::kFound && known.epoch > record.epoch;
    }
    if (!behind) continue;
    return refused("the store is behind " + options_.path + ": its record of " +
                   check::quoted(record.key) + " is older (epoch " + std::to_string(record.epoch) +
                   "). Was it put back from a backup? See `cellroute mapping restore`");
  }
  return {};
}

SyncReport MappingSync::report(bool folded, std::uint64_t read) const noexcept {
  return {folded, read, files_->base->generation(), files_->base->keys(),
          files_->changes.records.size()};
}

// The base is complete as of its own cursor, so that a process that dies between the two renames
// leaves files that are whole: the changes of the old base are left out (open_mapping_files).
Error MappingSync::replace_base(const std::string& next) {
  const std::string& path = options_.path;
  const std::string last = path + ".last";
  if (files_) {
    if (Error error = remove(last); !error.ok()) return error;
    if (::link(path.c_str(), last.c_str()) != 0) return mapping::system_error(last, errno);
  }
  if (std::rename(next.c_str(), path.c_str()) != 0) return mapping::system_error(path, errno);
  return mapping::sync_directory_of(path);
}

Result<SyncReport> MappingSync::fold(MappingStore& store, Nanos now, const FileBuildSeen& seen) {
  FileBuildOptions build;
  build.generation = files_ ? files_->base->generation() + 1 : 1;
  build.now = now;
  if (Error error = stores::fill_random(&build.seed, sizeof build.seed); !error.ok()) return error;
  const std::string next = options_.path + ".next";
  auto builder = FileBuilder::create(next, build);
  if (!builder.ok()) return builder.error();
  std::uint64_t read = 0;
  Error error =
      add_store(**builder, store, options_.feed, now, [&](const std::vector<MappingRecord>& page) {
        read += page.size();
        seen(page.size());
        return check_ahead(page);
      });
  if (!error.ok()) return error;
  const Result<FileBuildReport> built = (*builder)->finish([](std::uint64_t) {});
  if (!built.ok()) return built.error();
  const auto file = MappingFile::open(next);
  if (!file.ok()) return file.error();
  if (files_) {
    PublishOptions allowed;
    allowed.max_keys_lost_percent = options_.max_keys_lost_percent;
    error = check_base(*files_->base, **file, allowed);
  }
  if (error.ok()) error = replace_base(next);
  if (!error.ok()) {
    static_cast<void>(remove(next));
    return error;
  }
  Changes none;
  none.base = build.generation;
  for (const FeedCursor& feed : (*file)->feeds()) none.feed = feed;
  error = write_changes(changes_path(options_.path), none);
  if (error.ok()) error = take_up();
  if (!error.ok()) return error;
  return report(true, read);
}

// False where there is no room for one key more.
bool MappingSync::add(MappingRecord record, Changes& changes, NameIndex& by_key) const {
  const std::uint32_t place = by_key.find(record.key);
  if (place != NameIndex::kNone) {
    MappingRecord& known = changes.records[place];
    if (is_newer(record, known)) known = std::move(record);
    return true;
  }
  if (changes.records.size() >= options_.max_changes) return false;
  by_key.add(record.key, static_cast<std::uint32_t>(changes.records.size()));
  changes.records.push_back(std::move(record));
  return true;
}

Result<SyncReport> MappingSync::step(MappingStore& store, Nanos now, const FileBuildSeen& seen) {
  const FeedCursor* const begin = feed_of_base();
  const bool has_feed = store.capabilities().changes;
  if (!files_ || (has_feed && begin == nullptr)) return fold(store, now, seen);
  if (!has_feed) return report(false, 0);
  Changes changes = files_->changes;
  NameIndex by_key = files_->by_key;
  changes.base = files_->base->generation();
  if (changes.feed.feed != options_.feed) changes.feed = *begin;
  std::uint64_t read = 0;
  for (std::size_t pages = 0; pages < kMostPages; ++pages) {
    Result<Page> page = store.changes(changes.feed.cursor, kMaxPageRecords);
    if (!page.ok()) {
      if (page.error().code() == ErrorCode::kRefused) return fold(store, now, seen);
      return page.error();
    }
    read += page->records.size();
    seen(page->records.size());
    if (Error error = check_ahead(page->records); !error.ok()) return error;
    for (MappingRecord& record : page->records) {
      if (!add(std::move(record), changes, by_key)) return fold(store, now, seen);
    }
    changes.feed.cursor = std::move(page->next);
    if (page->done) break;
  }
  const Error error = write(changes);
  if (error.code() == ErrorCode::kResourceExhausted) return fold(store, now, seen);
  return error.ok() ? report(false, read) : Result<SyncReport>(error);
}

Error MappingSync::write(const Changes& changes) {
  if (changes == files_->changes) return {};
  Error error = write_changes(changes_path(options_.path), changes);
  return error.ok() ? take_up() : error;
}

// What a look-up adds to what the files say; nothing where they know as much.
std::optional<MappingRecord> MappingSync::changed(const std::string& key, Lookup& found,
                                                  const OpId& op_id, Nanos now) const {
  const Lookup known = files_->get(key, 0);
  const bool kept = known.record.epoch != 0 || known.answer == Answer::kFound;
  if (found.record.revision != 0) {
    // A store that reads eventually may be behind.
    if (kept && is_newer(known.record, found.record)) return std::nullopt;
    return std::move(found.record);
  }
  if (!kept || known.record.deleted) return std::nullopt;
  MappingRecord gone = known.record;
  ++gone.revision;
  gone.epoch = std::max<std::uint64_t>(gone.epoch, 1);
  gone.op_id = op_id;
  gone.deleted = true;
  gone.state = MigrationState::kStable;
  gone.target.clear();
  gone.updated = now;
  return gone;
}

Result<SyncReport> MappingSync::look(MappingStore& store, std::span<const std::string> keys,
                                     Nanos now, const FileBuildSeen& seen) {
  if (!files_) return fold(store, now, seen);
  const Result<OpId> op_id = new_op_id();
  if (!op_id.ok()) return op_id.error();
  const std::vector<std::string_view> wanted(keys.begin(), keys.end());
  std::vector<Lookup> found(keys.size());
  store.get_many(wanted, now, found);
  seen(keys.size());
  Changes changes = files_->changes;
  NameIndex by_key = files_->by_key;
  changes.base = files_->base->generation();
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (found[i].answer == Answer::kUnknown || found[i].stale()) return found[i].error;
    std::optional<MappingRecord> record = changed(keys[i], found[i], *op_id, now);
    if (record && !add(std::move(*record), changes, by_key)) return fold(store, now, seen);
  }
  const Error error = write(changes);
  if (error.code() == ErrorCode::kResourceExhausted) return fold(store, now, seen);
  return error.ok() ? report(false, keys.size()) : Result<SyncReport>(error);
}

}  // namespace cellroute
