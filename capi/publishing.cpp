#include "publishing.hpp"

#include <cstddef>
#include <string>
#include <utility>

#include "entry.hpp"
#include "handles.hpp"
#include "mapping/file_store.hpp"
#include "records.hpp"

namespace cellroute::capi {
namespace {

// A snapshot holds its mappings in memory; more of them want a mapping file.
constexpr std::size_t kMostRecords = std::size_t{1} << 26;

Error too_many() {
  return refused("more than " + std::to_string(kMostRecords) +
                 " mappings; a snapshot does not hold so many");
}

Error add_store(MappingStore& store, Nanos now, std::vector<MappingRecord>& records) {
  Cursor cursor;
  for (;;) {
    Result<Page> page = store.scan(cursor, kMaxPageRecords, now);
    if (!page.ok()) return page.error();
    if (records.size() + page->records.size() > kMostRecords) return too_many();
    for (MappingRecord& record : page->records) records.push_back(std::move(record));
    if (page->done) return {};
    if (page->next == cursor) {
      return Error(broken_store(),
                   "the mapping store's scan does not go on: a page that is not the "
                   "last has the cursor of the page before");
    }
    cursor = std::move(page->next);
  }
}

std::int32_t add_records(const cellroute_publish_options& options,
                         std::vector<MappingRecord>& records, cellroute_error* error) {
  if (options.record_count > kMostRecords) return fail(error, too_many());
  for (std::uint64_t i = 0; i < options.record_count; ++i) {
    const cellroute_record* const from = element(options.records, i);
    if (from->struct_size != options.records->struct_size) {
      return fail(error, CELLROUTE_E_STRUCT_SIZE);
    }
    MappingRecord record;
    if (const std::int32_t code = read_record(from, record); code != CELLROUTE_OK) {
      return fail(error, code);
    }
    if (const char* const rule = broken_rule(record); rule != nullptr) {
      return fail(error, invalid_argument("records[" + std::to_string(i) + "]: " + rule));
    }
    if (!record.expired(options.now_ns)) records.push_back(std::move(record));
  }
  return CELLROUTE_OK;
}

}  // namespace

std::int32_t read_publish_options(const cellroute_publish_options*& options,
                                  cellroute_publish_options& room) noexcept {
  if (options == nullptr) {
    room.struct_size = sizeof room;
    options = &room;
    return cellroute_publish_options_default(&room, sizeof room);
  }
  const std::uint32_t size = options->struct_size;
  if (const std::int32_t code = read_struct(options, room); code != CELLROUTE_OK) return code;
  if (size <= offsetof(cellroute_publish_options, max_keys_lost_percent)) {
    room.max_keys_lost_percent = PublishOptions().max_keys_lost_percent;
  }
  if (options->max_moved_percent > 100 || options->allow_seed_change > 1 ||
      options->max_keys_lost_percent > 100 || options->reserved != 0) {
    return CELLROUTE_E_INVALID_ARGUMENT;
  }
  if (options->record_count != 0 && options->records == nullptr) return CELLROUTE_E_NULL;
  return options->mappings == nullptr ? CELLROUTE_OK : check(options->mappings);
}

std::int32_t take_mappings(const cellroute_publish_options& options, TakenMappings& taken,
                           cellroute_error* error) {
  if (const std::int32_t code = add_records(options, taken.records, error); code != CELLROUTE_OK) {
    return code;
  }
  if (options.mappings == nullptr) return CELLROUTE_OK;
  MappingStore& store = *options.mappings->store;
  if (const auto* const file = dynamic_cast<const MappingFileStore*>(&store)) {
    const auto files = file->files();
    taken.base = files->base;
    const auto& changes = files->changes.records;
    taken.records.insert(taken.records.end(), changes.begin(), changes.end());
    return CELLROUTE_OK;
  }
  const Error failed = add_store(store, options.now_ns, taken.records);
  return failed.ok() ? CELLROUTE_OK : fail(error, failed);
}

}  // namespace cellroute::capi
