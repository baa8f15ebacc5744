// CSV as in RFC 4180, with a header that names the columns in any order: key, key_base64, tier,
// region, flags, risk, resource, plan, access, at_ns, cell, epoch; others are ignored. Flags are
// separated by
// '|', ';' or ' '. An empty field is left out. Rows end in LF or CR LF; a quoted field may hold
// both, and commas, and doubled quotes. A row with another number of fields than the header, or
// with quotes that do not fit, is malformed, and reading goes on with the next line.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "command/input.hpp"

namespace cellroute::command {

// One row's fields, found in place.
class CsvRow {
 public:
  enum class Found : std::uint8_t {
    kRow,
    kUnfinished,  // `text` ends before the row does
    kBadQuotes,
  };

  // Looks for the row at the start of `text`; `whole`: nothing follows `text`.
  Found scan(std::string_view text, bool whole);

  std::size_t bytes() const noexcept { return bytes_; }  // with the row's end
  std::uint64_t lines() const noexcept { return lines_; }
  std::size_t size() const noexcept { return fields_.size(); }
  bool blank() const noexcept;

  // Field i's text, kept in the batch where quotes are doubled in it.
  std::string_view text(std::size_t i, Batch& batch) const;

 private:
  struct Field {
    std::string_view raw;  // without the quotes around it
    bool doubled = false;  // holds doubled quotes
  };

  static std::optional<Field> unquoted(std::string_view text, std::size_t& at);
  Found quoted(std::string_view text, bool whole, std::size_t& at);

  std::vector<Field> fields_;
  std::size_t bytes_ = 0;
  std::uint64_t lines_ = 0;
};

class CsvReader final : public RecordReader {
 public:
  explicit CsvReader(std::unique_ptr<InputBuffer> input) : input_(std::move(input)) {}

  Error read(Batch& batch) override;
  bool may_wait() const noexcept override;

  enum Column : std::uint8_t {
    kKey,
    kKeyBase64,
    kTier,
    kRegion,
    kFlags,
    kRisk,
    kResource,
    kPlan,
    kAccess,
    kAt,
    kCell,
    kEpoch,
    kColumns,
  };

 private:
  Error read_header(Batch& batch);
  CsvRow::Found next_row();
  void skip_line();
  void read_row(Batch& batch, InputRecord& record);
  std::string_view read_key(Batch& batch, InputRecord& record);
  std::string_view field(Column column, Batch& batch) const;

  std::unique_ptr<InputBuffer> input_;
  CsvRow row_;
  std::array<std::optional<std::size_t>, kColumns> places_;
  std::size_t header_size_ = 0;  // 0: not read yet
  std::uint64_t line_ = 0;       // lines before rest()
  std::string decoded_;
  bool skipping_ = false;  // inside a line that is too long
};

}  // namespace cellroute::command
