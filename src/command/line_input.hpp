// What the readers of lines share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "command/input.hpp"

namespace cellroute::command {

inline constexpr std::string_view kLineTooLong = "the line is longer than 1 MiB";

struct Line {
  std::string_view text;  // without its end, LF or CR LF
  std::uint64_t number = 0;
  bool too_long = false;  // `text` is its beginning
};

// The lines of an input, numbered from 1; the last one may lack its end.
class Lines {
 public:
  explicit Lines(std::unique_ptr<InputBuffer> input) : input_(std::move(input)) {}

  // The next line, if all of it has been read (or more of it than a line may have).
  std::optional<Line> peek();

  // Goes on behind the line that peek() returned last.
  void take() noexcept;

  bool at_end() const noexcept { return input_->at_end(); }
  Error fill() { return input_->fill(); }
  bool may_wait() const noexcept;
  const std::string& name() const noexcept { return input_->name(); }

 private:
  std::unique_ptr<InputBuffer> input_;
  std::uint64_t number_ = 0;  // of the last line taken
  std::size_t peeked_ = 0;    // bytes of the peeked line with its end
  bool peeked_part_ = false;  // its end has not been seen
  bool skipping_ = false;     // behind the beginning of a line that is too long
};

// Fills the batch with a record for each of the lines that are there and not blank, and waits for
// the input only while there is none. `parse(text, record)` reads a line that is not too long.
template <class Parse>
Error read_lines(Lines& lines, Batch& batch, Parse parse) {
  batch.clear();
  for (;;) {
    const std::optional<Line> line = lines.peek();
    if (!line) {
      if (!batch.empty() || lines.at_end()) return {};
      if (Error error = lines.fill(); !error.ok()) return error;
      continue;
    }
    const bool blank = line->text.find_first_not_of(" \t\r") == std::string_view::npos;
    if (line->too_long || !blank) {
      if (!batch.has_room(line->too_long ? 0 : line->text.size())) return {};
      InputRecord& record = batch.add(line->number);
      if (line->too_long) {
        record.malformed = kLineTooLong;
      } else {
        parse(line->text, record);
      }
    }
    lines.take();
  }
}

}  // namespace cellroute::command
