// Requests as they are read from files, standard input and arguments.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cellroute/request.hpp"
#include "cellroute/status.hpp"

namespace cellroute::command {

inline constexpr std::size_t kBatchRecords = 256;
inline constexpr std::size_t kMaxLineBytes = std::size_t{1} << 20;
inline constexpr std::size_t kMaxFlagsOfRecord = 64;  // a topology has at most 16

// One request as read. Its texts live in the batch or the reader, until the next read.
struct InputRecord {
  std::uint64_t line = 0;      // where it starts, from 1
  std::string_view malformed;  // why the line is no request; empty: it is one
  std::string_view key;
  std::string_view tier;
  std::string_view region;
  std::string_view plan;
  std::string_view resource;
  std::span<const std::string_view> flags;
  double risk = 0;
  bool has_risk = false;
  std::optional<Access> access;
  std::optional<Nanos> at;
  // Of mappings, not of requests; from CSV alone, as they are spelt there.
  std::string_view cell;
  std::string_view epoch;
};

// Records that are read, routed and written together, with the memory behind their texts. A line
// yields at most as many bytes of text as it has, so that one whose length fits will not overflow.
class Batch {
 public:
  Batch() : text_(new char[kTextBytes]), flags_(new std::string_view[kFlags]) {
    records_.reserve(kBatchRecords);
  }

  void clear() noexcept {
    records_.clear();
    text_used_ = 0;
    flags_used_ = 0;
  }

  bool has_room(std::size_t line_bytes) const noexcept {
    return records_.size() < kBatchRecords && kTextBytes - text_used_ >= line_bytes;
  }

  std::span<InputRecord> records() noexcept { return records_; }
  bool empty() const noexcept { return records_.empty(); }

  InputRecord& add(std::uint64_t line) {
    records_.emplace_back().line = line;
    return records_.back();
  }

  // Precondition of the following: has_room() for the line that `text` is a part of.
  std::string_view keep(std::string_view text) noexcept {
    char* begin = text_.get() + text_used_;
    std::memcpy(begin, text.data(), text.size());
    text_used_ += text.size();
    return {begin, text.size()};
  }

  // False when the record, which must be the newest, has its most flags.
  bool add_flag(InputRecord& record, std::string_view flag) noexcept {
    if (record.flags.size() >= kMaxFlagsOfRecord) return false;
    flags_[flags_used_++] = flag;
    const std::size_t count = record.flags.size() + 1;
    record.flags = {flags_.get() + flags_used_ - count, count};
    return true;
  }

 private:
  static constexpr std::size_t kTextBytes = 2 * kMaxLineBytes;
  static constexpr std::size_t kFlags = kBatchRecords * kMaxFlagsOfRecord;

  std::vector<InputRecord> records_;
  std::unique_ptr<char[]> text_;
  std::unique_ptr<std::string_view[]> flags_;
  std::size_t text_used_ = 0;
  std::size_t flags_used_ = 0;
};

// Thread safety: one thread at a time.
class RecordReader {
 public:
  virtual ~RecordReader() = default;
  RecordReader(const RecordReader&) = delete;
  RecordReader& operator=(const RecordReader&) = delete;

  // Replaces the batch's records with the next ones; none are left when it is empty. An error is
  // the input's own (a disk, a header), never a record's: that is said in the record.
  virtual Error read(Batch& batch) = 0;

  // Whether the next read() may have to wait for the input.
  virtual bool may_wait() const noexcept = 0;

 protected:
  RecordReader() = default;
};

// A file in large pieces, for readers that look for their records in it.
class InputBuffer {
 public:
  // Takes over `descriptor`. `name` is for error texts.
  InputBuffer(int descriptor, std::string name);
  ~InputBuffer();
  InputBuffer(const InputBuffer&) = delete;
  InputBuffer& operator=(const InputBuffer&) = delete;

  // What has been read and not consumed. At least kPadding readable bytes stand behind it.
  std::string_view rest() const noexcept { return {bytes_.get() + begin_, end_ - begin_}; }
  bool at_end() const noexcept { return at_end_; }
  void consume(std::size_t bytes) noexcept { begin_ += bytes; }

  // Reads more; moves rest(). Precondition: rest() is not longer than kMaxLineBytes.
  Error fill();

  const std::string& name() const noexcept { return name_; }

 private:
  static constexpr std::size_t kReadBytes = 256 * 1024;
  static constexpr std::size_t kCapacity = kMaxLineBytes + kReadBytes;
  static constexpr std::size_t kPadding = 64;

  int descriptor_;
  std::string name_;
  std::unique_ptr<char[]> bytes_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  bool at_end_ = false;
  bool started_ = false;
};

// Opens `path` ("-": standard input).
Result<std::unique_ptr<InputBuffer>> open_buffer(const std::string& path);

enum class InputFormat : std::uint8_t { kJsonLines, kCsv, kKeys };

// Opens `path` ("-": standard input). Without a format the path's ending says it: .jsonl, .ndjson
// and .json, .csv, .keys and .txt; standard input is JSON lines.
Result<std::unique_ptr<RecordReader>> open_input(const std::string& path,
                                                 std::optional<InputFormat> format);

// The records of keys that are given as they are; the keys outlive the reader.
std::unique_ptr<RecordReader> read_keys(std::span<const std::string> keys);

}  // namespace cellroute::command
