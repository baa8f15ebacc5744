#include "mapping/file_builder.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <future>
#include <new>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "cellroute/check/problems.hpp"
#include "cellroute/names.hpp"
#include "mapping/builder.hpp"
#include "mapping/file_writer.hpp"
#include "mapping/line_table.hpp"
#include "mapping/names.hpp"
#include "mapping/new_file.hpp"
#include "mapping/part.hpp"
#include "mapping/spill.hpp"

namespace cellroute {
namespace {

using mapping::LineTable;
using mapping::NewFile;
using mapping::Part;
using mapping::Plan;
using mapping::Spill;
using mapping::Spilled;

constexpr int kMostTries = 32;  // tables of growing length; chance alone needs more than one only
                                // where there are few lines
constexpr std::size_t kPageRecords = 10'000;
constexpr std::uint64_t kWorthThreads = std::uint64_t{8} << 20;  // bytes of spilled records

class Builder final : public FileBuilder {
 public:
  Builder(NewFile file, Spill spill, const FileBuildOptions& options, mapping::ChooseLayout choose)
      : file_(std::move(file)), spill_(std::move(spill)), options_(options), choose_(choose) {}

  Error add(const FileRecord& record) override;
  Error add_feed(FeedCursor cursor) override;
  Result<FileBuildReport> finish(const FileBuildSeen& seen) override;

 private:
  Error check(const FileRecord& record);
  void spell_profile(const MappedProfile& profile);
  Error number_names(const FileRecord& record, Spilled& spilled);
  std::string tables() const;
  crm::Header header(const Plan& plan, std::size_t table_bytes) const;
  Result<bool> fill(const Plan& plan, LineTable& table, crm::Header& header,
                    const FileBuildSeen& seen);
  Error place(const Part& part, LineTable& table, crm::Header& header);

  NewFile file_;
  Spill spill_;
  FileBuildOptions options_;
  mapping::ChooseLayout choose_;
  mapping::Names cells_;
  mapping::Names profiles_;  // as the file's table has them
  std::vector<FeedCursor> feeds_;
  std::uint64_t live_ = 0;  // records that are no tombstones: the keys, or a few more
  FileBuildReport report_;
  std::string scratch_;
};

Error Builder::check(const FileRecord& record) {
  if (!key_length_ok(record.key)) return invalid_argument("the key is not 1 to 1,024 bytes long");
  if (!record.deleted && !mapped_name_ok(record.cell)) {
    return invalid_argument("the cell is not 1 to 128 plain ASCII bytes");
  }
  if (record.state > MigrationState::kFrozen) {
    return invalid_argument("the migration state is none that is known");
  }
  if (record.expires < 0) return invalid_argument("the expiry lies before 1970");
  if (record.profile == nullptr) return {};
  const char* const rule = detail::broken_profile_rule(*record.profile);
  return rule == nullptr ? Error() : invalid_argument(rule);
}

// A profile counts as its set of flags, whatever their order.
void Builder::spell_profile(const MappedProfile& profile) {
  const auto& flags = profile.flags;
  if (std::adjacent_find(flags.begin(), flags.end(), std::greater_equal<>()) == flags.end()) {
    return crm::append_profile(&profile, scratch_);
  }
  MappedProfile sorted = profile;
  std::sort(sorted.flags.begin(), sorted.flags.end());
  sorted.flags.erase(std::unique(sorted.flags.begin(), sorted.flags.end()), sorted.flags.end());
  crm::append_profile(&sorted, scratch_);
}

Error Builder::number_names(const FileRecord& record, Spilled& spilled) {
  scratch_.clear();
  if (record.profile == nullptr) {
    crm::append_profile(nullptr, scratch_);
  } else {
    spell_profile(*record.profile);
  }
  spilled.cell = cells_.number(record.cell, crm::kMaxCells);
  spilled.profile = profiles_.number(scratch_, crm::kMaxProfiles);
  if (spilled.cell == NameIndex::kNone || spilled.profile == NameIndex::kNone) {
    return refused("the records name more than 65,535 cells, or as many profiles");
  }
  return {};
}

Error Builder::add(const FileRecord& record) {
  if (Error error = check(record); !error.ok()) return error;
  Spilled spilled;
  spilled.key = record.key;
  spilled.epoch = record.epoch;
  spilled.revision = record.revision;
  spilled.number = record.number;
  spilled.expires = record.expires;
  spilled.state = static_cast<std::uint8_t>(record.state);
  spilled.deleted = record.deleted;
  if (!record.deleted) {
    ++live_;
    if (Error error = number_names(record, spilled); !error.ok()) return error;
  }
  scratch_.clear();
  mapping::append_spilled(spilled, scratch_);
  return spill_.add(Spill::part_of(crm::hash_key(options_.seed, record.key).mark), scratch_);
}

Error Builder::add_feed(FeedCursor cursor) {
  if (cursor.feed.empty() || cursor.feed.size() > crm::kMaxFeedBytes ||
      cursor.cursor.size() > crm::kMaxCursorBytes) {
    return invalid_argument("a feed's name has 1 to 512 bytes, its cursor at most 4,096");
  }
  const auto after =
      std::lower_bound(feeds_.begin(), feeds_.end(), cursor,
                       [](const FeedCursor& a, const FeedCursor& b) { return a.feed < b.feed; });
  if (after != feeds_.end() && after->feed == cursor.feed) {
    return invalid_argument("feed " + check::quoted(cursor.feed) + " is given twice");
  }
  if (feeds_.size() == crm::kMaxFeeds) return refused("a mapping file has at most 16 feeds");
  feeds_.insert(after, std::move(cursor));
  return {};
}

std::string Builder::tables() const {
  std::string bytes;
  cells_.in_order([&](const std::string& cell) { crm::append_short(cell, bytes); });
  profiles_.in_order([&](const std::string& profile) { bytes += profile; });
  for (const FeedCursor& feed : feeds_) {
    crm::append_long(feed.feed, bytes);
    crm::append_long(feed.cursor, bytes);
  }
  return bytes;
}

crm::Header Builder::header(const Plan& plan, std::size_t table_bytes) const {
  crm::Header header{};
  std::memcpy(header.magic, crm::kMagic, sizeof header.magic);
  header.version = crm::kVersion;
  header.header_bytes = sizeof header;
  crm::set_name(header.hash_name, crm::kHashName);
  const bool nine = plan.layout.entry_bytes == crm::kNineBytes;
  crm::set_name(header.lines_name, nine ? crm::kNineName : crm::kEightName);
  crm::set_name(header.sum_name, crm::kSumName);
  header.seed = options_.seed;
  header.generation = options_.generation;
  header.lines = plan.layout.lines;
  header.cells = cells_.size();
  header.profiles = profiles_.size();
  header.feeds = static_cast<std::uint32_t>(feeds_.size());
  header.entry_bytes = static_cast<std::uint8_t>(plan.layout.entry_bytes);
  header.code_bits = static_cast<std::uint8_t>(plan.layout.code_bits);
  header.profile_bits = static_cast<std::uint8_t>(plan.layout.profile_bits);
  header.table_bytes = table_bytes;
  return header;
}

// Puts a part's entries into the lines, and its keys kept aside into the file.
Error Builder::place(const Part& part, LineTable& table, crm::Header& header) {
  table.add(part.entries);
  const std::uint64_t end = crm::Sections(header).aside + header.aside_bytes;
  const auto aside = std::as_bytes(std::span(part.aside));
  if (Error error = mapping::write_at(file_.descriptor(), file_.name(), end, aside); !error.ok()) {
    return error;
  }
  header.aside_bytes += aside.size();
  header.aside += part.aside_keys;
  header.keys += part.keys;
  report_.superseded += part.superseded;
  report_.left_out += part.left_out;
  return {};
}

// False where the keys do not fit. Parts are made ready beside each other, and placed in order.
Result<bool> Builder::fill(const Plan& plan, LineTable& table, crm::Header& header,
                           const FileBuildSeen& seen) {
  report_ = {};
  const std::size_t at_once = std::max(1U, std::thread::hardware_concurrency());
  const std::launch how = spill_.bytes() < kWorthThreads
                              ? std::launch::deferred
                              : std::launch::async | std::launch::deferred;
  std::deque<std::future<Result<Part>>> underway;
  for (std::size_t next = 0; next < Spill::kParts || !underway.empty();) {
    if (next < Spill::kParts && underway.size() < at_once) {
      underway.push_back(
          std::async(how, mapping::prepare_part, std::cref(spill_), next++, std::cref(plan)));
      continue;
    }
    Result<Part> part = underway.front().get();
    underway.pop_front();
    if (!part.ok()) return part.error();
    if (Error error = place(*part, table, header); !error.ok()) return error;
    seen(part->records);
  }
  header.entries = table.entries();
  return table.settle();
}

Result<FileBuildReport> Builder::finish(const FileBuildSeen& seen) try {
  if (Error error = spill_.flush(); !error.ok()) return error;
  const std::string names = tables();
  Plan plan{choose_(live_, cells_.size(), profiles_.size()), options_.seed, options_.now,
            cells_.ranks(), profiles_.ranks()};
  for (int i = 0; i < kMostTries; ++i, mapping::lengthen(plan.layout)) {
    crm::Header head = header(plan, names.size());
    LineTable table(plan.layout);
    const Result<bool> filled = fill(plan, table, head, seen);
    if (!filled.ok()) return filled.error();
    if (!*filled) continue;
    if (Error error = mapping::write_sections(file_, head, names, table.bytes()); !error.ok()) {
      return error;
    }
    report_.keys = head.keys;
    report_.aside = head.aside;
    report_.bytes = crm::Sections(head).end;
    if (Error error = file_.commit(report_.bytes); !error.ok()) return error;
    return report_;
  }
  return refused("the keys crowd in a few lines of the file: build with another seed");
} catch (const std::bad_alloc&) {
  return Error(ErrorCode::kResourceExhausted, file_.target() + ": memory is too short to build it");
}

}  // namespace

FileRecord file_record(const MappingRecord& record, std::uint64_t number) {
  return {.key = record.key,
          .cell = record.cell,
          .profile = record.profile ? &*record.profile : nullptr,
          .epoch = record.epoch,
          .revision = record.revision,
          .state = record.state,
          .expires = record.expires,
          .deleted = record.deleted,
          .number = number};
}

Result<std::unique_ptr<FileBuilder>> mapping::create_builder(const std::string& path,
                                                             const FileBuildOptions& options,
                                                             ChooseLayout choose) {
  Result<NewFile> file = NewFile::create(path);
  if (!file.ok()) return file.error();
  Result<Spill> spill = Spill::create(path);
  if (!spill.ok()) return spill.error();
  return std::unique_ptr<FileBuilder>(
      std::make_unique<Builder>(std::move(*file), std::move(*spill), options, choose));
}

Result<std::unique_ptr<FileBuilder>> FileBuilder::create(const std::string& path,
                                                         const FileBuildOptions& options) {
  return mapping::create_builder(path, options, mapping::choose_layout);
}

Error add_store(FileBuilder& builder, MappingStore& store, const std::string& feed, Nanos now,
                const RecordsRead& read) {
  const bool has_feed = store.capabilities().changes;
  Cursor cursor;
  std::uint64_t number = 0;
  for (;;) {
    Result<Page> page =
        has_feed ? store.changes(cursor, kPageRecords) : store.scan(cursor, kPageRecords, now);
    if (!page.ok()) return page.error();
    if (Error error = read(page->records); !error.ok()) return error;
    for (const MappingRecord& record : page->records) {
      if (Error error = builder.add(file_record(record, ++number)); !error.ok()) return error;
    }
    if (!page->done && page->next == cursor) {
      return Error(ErrorCode::kUnavailable, "the mapping store's pages do not go on");
    }
    cursor = std::move(page->next);
    if (page->done) break;
  }
  return has_feed ? builder.add_feed({feed, std::move(cursor)}) : Error();
}

}  // namespace cellroute
