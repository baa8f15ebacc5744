#include "command/input.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "command/csv_input.hpp"
#include "command/jsonl_input.hpp"
#include "command/line_input.hpp"

namespace cellroute::command {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

// A key a line, every byte of it but the line's end.
class KeyLinesReader final : public RecordReader {
 public:
  explicit KeyLinesReader(std::unique_ptr<InputBuffer> input) : lines_(std::move(input)) {}

  Error read(Batch& batch) override {
    return read_lines(lines_, batch, [&](std::string_view line, InputRecord& record) {
      record.key = batch.keep(line);
    });
  }
  bool may_wait() const noexcept override { return lines_.may_wait(); }

 private:
  Lines lines_;
};

class KeysReader final : public RecordReader {
 public:
  explicit KeysReader(std::span<const std::string> keys) : keys_(keys) {}

  Error read(Batch& batch) override {
    batch.clear();
    for (; next_ < keys_.size() && batch.has_room(0); ++next_) {
      batch.add(next_ + 1).key = keys_[next_];
    }
    return {};
  }
  bool may_wait() const noexcept override { return false; }

 private:
  std::span<const std::string> keys_;
  std::size_t next_ = 0;
};

std::optional<InputFormat> format_by_ending(std::string_view path) {
  const auto ends = [&](std::string_view ending) { return path.ends_with(ending); };
  if (ends(".jsonl") || ends(".ndjson") || ends(".json")) return InputFormat::kJsonLines;
  if (ends(".csv")) return InputFormat::kCsv;
  if (ends(".keys") || ends(".txt")) return InputFormat::kKeys;
  return std::nullopt;
}

Error system_error(const std::string& name, int code) {
  return Error(ErrorCode::kUnavailable, name + ": " + std::generic_category().message(code));
}

}  // namespace

InputBuffer::InputBuffer(int descriptor, std::string name)
    : descriptor_(descriptor), name_(std::move(name)), bytes_(new char[kCapacity + kPadding]) {}

InputBuffer::~InputBuffer() { ::close(descriptor_); }

Error InputBuffer::fill() {
  std::memmove(bytes_.get(), bytes_.get() + begin_, end_ - begin_);
  end_ -= std::exchange(begin_, 0);
  const std::size_t least = started_ ? end_ + 1 : kByteOrderMark.size();
  while (end_ < least && !at_end_) {
    const std::size_t room = std::min(kReadBytes, kCapacity - end_);
    const ssize_t got = ::read(descriptor_, bytes_.get() + end_, room);
    if (got < 0 && errno != EINTR) return system_error(name_, errno);
    if (got > 0) end_ += static_cast<std::size_t>(got);
    at_end_ = got == 0;
  }
  std::memset(bytes_.get() + end_, 0, kPadding);
  if (!std::exchange(started_, true) && rest().starts_with(kByteOrderMark)) {
    begin_ = kByteOrderMark.size();
  }
  return {};
}

std::optional<Line> Lines::peek() {
  if (skipping_) {
    const std::size_t end = input_->rest().find('\n');
    const bool ended = end != std::string_view::npos;
    input_->consume(ended ? end + 1 : input_->rest().size());
    if (ended) skipping_ = false;
    if (!ended) return std::nullopt;
  }
  std::string_view text = input_->rest();
  const std::size_t end = text.find('\n');
  peeked_part_ = end == std::string_view::npos;
  peeked_ = peeked_part_ ? text.size() : end + 1;
  if (!peeked_part_) text = text.substr(0, end);
  const bool too_long = text.size() > kMaxLineBytes;
  if (peeked_part_ && !too_long && (text.empty() || !at_end())) return std::nullopt;
  if (text.ends_with('\r')) text.remove_suffix(1);
  return Line{text, number_ + 1, too_long};
}

void Lines::take() noexcept {
  input_->consume(peeked_);
  skipping_ = peeked_part_ && !at_end();
  ++number_;
}

bool Lines::may_wait() const noexcept {
  return !at_end() && (skipping_ || input_->rest().find('\n') == std::string_view::npos);
}

Result<std::unique_ptr<InputBuffer>> open_buffer(const std::string& path) {
  const bool standard = path == "-";
  const std::string name = standard ? "standard input" : path;
  const int descriptor =
      standard ? ::dup(STDIN_FILENO) : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return system_error(name, errno);
  return std::make_unique<InputBuffer>(descriptor, name);
}

Result<std::unique_ptr<RecordReader>> open_input(const std::string& path,
                                                 std::optional<InputFormat> format) {
  const bool standard = path == "-";
  if (!format) format = standard ? InputFormat::kJsonLines : format_by_ending(path);
  if (!format) {
    return invalid_argument(path +
                            ": the ending does not say the format: add --format jsonl, "
                            "--format csv or --format keys");
  }
  Result<std::unique_ptr<InputBuffer>> input = open_buffer(path);
  if (!input.ok()) return input.error();
  std::unique_ptr<RecordReader> reader;
  switch (*format) {
    case InputFormat::kJsonLines:
      reader = std::make_unique<JsonLinesReader>(std::move(*input));
      break;
    case InputFormat::kCsv: reader = std::make_unique<CsvReader>(std::move(*input)); break;
    case InputFormat::kKeys: reader = std::make_unique<KeyLinesReader>(std::move(*input)); break;
  }
  return reader;
}

std::unique_ptr<RecordReader> read_keys(std::span<const std::string> keys) {
  return std::make_unique<KeysReader>(keys);
}

}  // namespace cellroute::command
