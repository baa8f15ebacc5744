#include "mapping/change_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <new>
#include <span>
#include <utility>

#include "cellroute/mapping_file/format.hpp"
#include "mapping/new_file.hpp"
#include "stores/record_codec.hpp"

namespace cellroute {
namespace {

constexpr std::string_view kMagic = "cellchg\n";
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kSumBytes = sizeof(std::uint64_t);

template <class Integer>
void append(std::string& bytes, Integer value) {
  char raw[sizeof value];
  std::memcpy(raw, &value, sizeof value);
  bytes.append(raw, sizeof value);
}

// Reads from the front; once the bytes end too early, all that is read is 0 or empty.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  bool ok() const noexcept { return ok_; }
  std::string_view rest() const noexcept { return rest_; }

  template <class Integer>
  Integer number() noexcept {
    const std::string_view raw = take(sizeof(Integer));
    Integer value = 0;
    if (!raw.empty()) std::memcpy(&value, raw.data(), sizeof value);
    return value;
  }

  std::string_view take(std::size_t count) noexcept {
    ok_ = ok_ && count <= rest_.size();
    if (!ok_) return {};
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

Error corrupt(const char* what) {
  return Error(ErrorCode::kCorrupt, std::string("the file of changes is damaged: ") + what);
}

std::uint64_t sum_of(std::string_view bytes) { return crm::sum_of(bytes.data(), bytes.size(), 0); }

Error read_records(Reader& reader, std::uint64_t count, std::vector<MappingRecord>& records) {
  stores::RecordCodec codec;
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto bytes = reader.take(reader.number<std::uint32_t>());
    if (!reader.ok()) return corrupt("a record is cut off");
    Error error = codec.decode_any(bytes, "record " + std::to_string(i), records.emplace_back());
    if (!error.ok()) return error;
  }
  return {};
}

}  // namespace

Result<std::string> mapping::encode_changes(const Changes& changes) {
  const Error too_many(ErrorCode::kResourceExhausted, "there are too many changes");
  if (changes.records.size() > kMaxChanges) return too_many;
  if (changes.feed.feed.size() > crm::kMaxFeedBytes ||
      changes.feed.cursor.size() > crm::kMaxCursorBytes) {
    return invalid_argument("a feed's name has at most 512 bytes, its cursor 4,096");
  }
  std::string bytes(kMagic);
  append(bytes, kVersion);
  append(bytes, std::uint32_t{0});
  append(bytes, changes.base);
  append(bytes, std::uint64_t{changes.records.size()});
  for (const std::string* text : {&changes.feed.feed, &changes.feed.cursor}) {
    append(bytes, static_cast<std::uint16_t>(text->size()));
    bytes += *text;
  }
  stores::RecordCodec codec;
  std::string encoded;
  for (const MappingRecord& record : changes.records) {
    if (Error error = codec.encode(record, encoded); !error.ok()) return error;
    append(bytes, static_cast<std::uint32_t>(encoded.size()));
    bytes += encoded;
    if (bytes.size() > kMaxChangeBytes - kSumBytes) return too_many;
  }
  append(bytes, sum_of(bytes));
  return bytes;
}

Result<Changes> mapping::decode_changes(std::string_view bytes) {
  Reader reader(bytes);
  if (reader.take(kMagic.size()) != kMagic) return corrupt("it does not begin as one");
  const auto version = reader.number<std::uint32_t>();
  if (version != kVersion && reader.ok()) {
    return Error(ErrorCode::kUnsupported, "format version " + std::to_string(version) +
                                              " of changes, this reader knows version 1");
  }
  if (bytes.size() < kSumBytes) return corrupt("it is too short");
  const std::size_t end = bytes.size() - kSumBytes;
  if (Reader(bytes.substr(end)).number<std::uint64_t>() != sum_of(bytes.substr(0, end))) {
    return corrupt("it does not match its checksum");
  }
  Changes changes;
  const auto zero = reader.number<std::uint32_t>();
  changes.base = reader.number<std::uint64_t>();
  const auto count = reader.number<std::uint64_t>();
  for (std::string* text : {&changes.feed.feed, &changes.feed.cursor}) {
    *text = reader.take(reader.number<std::uint16_t>());
  }
  if (!reader.ok() || zero != 0 || changes.feed.feed.size() > crm::kMaxFeedBytes ||
      changes.feed.cursor.size() > crm::kMaxCursorBytes || count > kMaxChanges) {
    return corrupt("what it begins with");
  }
  if (Error error = read_records(reader, count, changes.records); !error.ok()) return error;
  if (reader.rest().size() != kSumBytes) return corrupt("its length");
  return changes;
}

Error write_changes(const std::string& path, const Changes& changes) {
  const Result<std::string> bytes = mapping::encode_changes(changes);
  if (!bytes.ok()) return Error(bytes.error().code(), path + ": " + bytes.error().text());
  auto file = mapping::NewFile::create(path);
  if (!file.ok()) return file.error();
  Error error =
      mapping::write_at(file->descriptor(), file->name(), 0, std::as_bytes(std::span(*bytes)));
  return error.ok() ? file->commit(bytes->size()) : error;
}

Result<Changes> read_changes(const std::string& path) try {
  const mapping::Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status {};
  if (!file.ok() || ::fstat(file.get(), &status) != 0) return mapping::system_error(path, errno);
  if (!S_ISREG(status.st_mode) || static_cast<std::uint64_t>(status.st_size) > kMaxChangeBytes) {
    return Error(ErrorCode::kCorrupt, path + ": this is no file of changes");
  }
  std::string bytes(static_cast<std::size_t>(status.st_size), '\0');
  Error error = mapping::read_at(file, path, 0, std::as_writable_bytes(std::span(bytes)));
  if (!error.ok()) return error;
  Result<Changes> changes = mapping::decode_changes(bytes);
  if (changes.ok()) return changes;
  return Error(changes.error().code(), path + ": " + changes.error().text());
} catch (const std::bad_alloc&) {
  return Error(ErrorCode::kResourceExhausted, path + ": memory is too short to read it");
}

}  // namespace cellroute
