// JSON lines: an object a line, such as
//   {"key":"cust-1","tier":"retail","region":"us-east-1","flags":["PII_RESTRICTED"],"risk":0.2}
// with "resource", "plan", "access" ("READ" or "WRITE"), "at_ns" and, for keys that are not UTF-8,
// "key_base64" in place of "key". Other fields are ignored; null means left out. A line that is not
// JSON as a whole (RFC 8259), has a field of another type, or has one twice, is malformed.
#pragma once

#include <memory>
#include <string_view>
#include <utility>

#include "command/input.hpp"
#include "command/line_input.hpp"

namespace cellroute::command {

// Turns one line at a time into a record.
class JsonLine {
 public:
  JsonLine();
  ~JsonLine();
  JsonLine(const JsonLine&) = delete;
  JsonLine& operator=(const JsonLine&) = delete;

  // `line` has at most kMaxLineBytes, and 64 readable bytes behind it. Sets record.malformed where
  // it is no request. Precondition: batch.has_room(line.size()), and the record is its newest.
  void read(std::string_view line, Batch& batch, InputRecord& record);

 private:
  struct Parser;  // simdjson's, whose layout hangs on macros
  std::unique_ptr<Parser> parser_;
};

class JsonLinesReader final : public RecordReader {
 public:
  explicit JsonLinesReader(std::unique_ptr<InputBuffer> input) : lines_(std::move(input)) {}

  Error read(Batch& batch) override {
    return read_lines(lines_, batch, [&](std::string_view line, InputRecord& record) {
      json_.read(line, batch, record);
    });
  }
  bool may_wait() const noexcept override { return lines_.may_wait(); }

 private:
  Lines lines_;
  JsonLine json_;
};

}  // namespace cellroute::command
