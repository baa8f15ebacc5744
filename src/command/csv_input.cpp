#include "command/csv_input.hpp"

#include <algorithm>
#include <charconv>
#include <system_error>

#include "command/line_input.hpp"
#include "stores/base64.hpp"

namespace cellroute::command {
namespace {

constexpr std::array<std::string_view, CsvReader::kColumns> kNames = {
    "key",      "key_base64", "tier",   "region", "flags", "risk",
    "resource", "plan",       "access", "at_ns",  "cell",  "epoch"};

// "nan" and "inf" are numbers here; the router refuses them with their own reason.
template <class Number>
bool parse_number(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

std::string_view add_flags(std::string_view flags, Batch& batch, InputRecord& record) {
  while (!flags.empty()) {
    const std::size_t end = std::min(flags.find_first_of("|; "), flags.size());
    if (end > 0 && !batch.add_flag(record, flags.substr(0, end))) return "more than 64 flags";
    flags.remove_prefix(std::min(end + 1, flags.size()));
  }
  return {};
}

}  // namespace

CsvRow::Found CsvRow::scan(std::string_view text, bool whole) {
  fields_.clear();
  lines_ = 1;
  std::size_t at = 0;
  for (;;) {
    if (at < text.size() && text[at] == '"') {
      if (const Found found = quoted(text, whole, at); found != Found::kRow) return found;
    } else if (const std::optional<Field> field = unquoted(text, at)) {
      fields_.push_back(*field);
    } else {
      return Found::kBadQuotes;
    }
    if (at == text.size() && !whole) return Found::kUnfinished;
    if (at == text.size() || text[at] == '\n') break;
    ++at;  // the comma
  }
  bytes_ = std::min(at + 1, text.size());
  return Found::kRow;
}

// Moves `at` from the field's first byte to the comma or line feed behind it, or to the end.
std::optional<CsvRow::Field> CsvRow::unquoted(std::string_view text, std::size_t& at) {
  const std::size_t begin = at;
  while (at < text.size() && text[at] != ',' && text[at] != '\n') {
    if (text[at] == '"') return std::nullopt;
    ++at;
  }
  std::string_view raw = text.substr(begin, at - begin);
  const bool last = at == text.size() || text[at] == '\n';
  if (last && raw.ends_with('\r')) raw.remove_suffix(1);
  return Field{raw, false};
}

CsvRow::Found CsvRow::quoted(std::string_view text, bool whole, std::size_t& at) {
  const std::size_t begin = ++at;
  bool doubled = false;
  for (;;) {
    at = text.find('"', at);
    if (at == std::string_view::npos) return whole ? Found::kBadQuotes : Found::kUnfinished;
    if (at + 1 < text.size() && text[at + 1] == '"') {
      doubled = true;
      at += 2;
      continue;
    }
    break;
  }
  const std::string_view raw = text.substr(begin, at - begin);
  fields_.push_back({raw, doubled});
  lines_ += static_cast<std::uint64_t>(std::count(raw.begin(), raw.end(), '\n'));
  ++at;
  if (at < text.size() && text[at] == '\r' && (at + 1 == text.size() || text[at + 1] == '\n')) ++at;
  if (at == text.size()) return whole ? Found::kRow : Found::kUnfinished;
  return text[at] == ',' || text[at] == '\n' ? Found::kRow : Found::kBadQuotes;
}

bool CsvRow::blank() const noexcept {
  return fields_.size() == 1 && fields_[0].raw.find_first_not_of(" \t\r") == std::string_view::npos;
}

std::string_view CsvRow::text(std::size_t i, Batch& batch) const {
  const Field& field = fields_[i];
  if (!field.doubled) return field.raw;
  std::string single;
  single.reserve(field.raw.size());
  for (std::size_t at = 0; at < field.raw.size(); ++at) {
    single += field.raw[at];
    if (field.raw[at] == '"') ++at;
  }
  return batch.keep(single);
}

// kUnfinished: more must be read first, or at the input's end, nothing is left.
CsvRow::Found CsvReader::next_row() {
  if (skipping_) skip_line();
  const std::string_view rest = input_->rest();
  if (rest.empty() || skipping_) return CsvRow::Found::kUnfinished;
  CsvRow::Found found = row_.scan(rest, input_->at_end());
  const std::size_t bytes = found == CsvRow::Found::kRow ? row_.bytes() : rest.size();
  // Without its end within the bound: a line too long, or a quote that is never closed.
  if (found != CsvRow::Found::kBadQuotes && bytes > kMaxLineBytes) {
    found = CsvRow::Found::kBadQuotes;
  }
  return found;
}

// Goes on behind the end of the line, as far as that has been read.
void CsvReader::skip_line() {
  const std::size_t end = input_->rest().find('\n');
  const bool ended = end != std::string_view::npos;
  input_->consume(ended ? end + 1 : input_->rest().size());
  skipping_ = !ended && !input_->at_end();
  if (!skipping_) ++line_;
}

// Uses the batch for its texts.
Error CsvReader::read_header(Batch& batch) {
  while (!input_->at_end() && next_row() == CsvRow::Found::kUnfinished) {
    if (Error error = input_->fill(); !error.ok()) return error;
  }
  const std::string where = input_->name() + ":1: ";
  if (next_row() != CsvRow::Found::kRow || row_.blank()) {
    return invalid_argument(where +
                            "the first line must name the columns, such as key,tier,region");
  }
  for (std::size_t i = 0; i < row_.size(); ++i) {
    const std::string_view name = row_.text(i, batch);
    const auto known = std::find(kNames.begin(), kNames.end(), name);
    if (known == kNames.end()) continue;
    auto& place = places_[static_cast<std::size_t>(known - kNames.begin())];
    if (place) return invalid_argument(where + "column " + std::string(name) + " is there twice");
    place = i;
  }
  if (!places_[kKey] && !places_[kKeyBase64]) {
    return invalid_argument(where + "no column is called key or key_base64");
  }
  header_size_ = row_.size();
  line_ += row_.lines();
  input_->consume(row_.bytes());
  return {};
}

Error CsvReader::read(Batch& batch) {
  batch.clear();
  if (header_size_ == 0) {
    if (Error error = read_header(batch); !error.ok()) return error;
    batch.clear();
  }
  for (;;) {
    const CsvRow::Found found = next_row();
    if (found == CsvRow::Found::kUnfinished) {
      if (!batch.empty() || input_->at_end()) return {};
      if (Error error = input_->fill(); !error.ok()) return error;
      continue;
    }
    const bool bad = found == CsvRow::Found::kBadQuotes;
    if (!batch.has_room(bad ? 0 : row_.bytes())) return {};
    if (bad) {
      batch.add(line_ + 1).malformed = "quotes that do not fit, or a row longer than 1 MiB";
      skip_line();
      continue;
    }
    if (!row_.blank()) read_row(batch, batch.add(line_ + 1));
    line_ += row_.lines();
    input_->consume(row_.bytes());
  }
}

bool CsvReader::may_wait() const noexcept {
  return !input_->at_end() && (skipping_ || input_->rest().find('\n') == std::string_view::npos);
}

std::string_view CsvReader::field(Column column, Batch& batch) const {
  return places_[column] ? row_.text(*places_[column], batch) : std::string_view();
}

std::string_view CsvReader::read_key(Batch& batch, InputRecord& record) {
  record.key = field(kKey, batch);
  const std::string_view spelled = field(kKeyBase64, batch);
  if (spelled.empty()) return {};
  if (!record.key.empty()) return "key and key_base64 are both given";
  decoded_.clear();
  if (!decode_base64(spelled, decoded_)) return "key_base64 must be base 64 with padding";
  record.key = batch.keep(decoded_);
  return {};
}

void CsvReader::read_row(Batch& batch, InputRecord& record) {
  if (row_.size() != header_size_) {
    record.malformed = "the row has more or fewer fields than the header";
    return;
  }
  record.malformed = read_key(batch, record);
  record.tier = field(kTier, batch);
  record.region = field(kRegion, batch);
  record.plan = field(kPlan, batch);
  record.resource = field(kResource, batch);
  record.cell = field(kCell, batch);
  record.epoch = field(kEpoch, batch);
  if (record.malformed.empty()) {
    record.malformed = add_flags(field(kFlags, batch), batch, record);
  }
  const std::string_view risk = field(kRisk, batch);
  record.has_risk = !risk.empty();
  if (record.has_risk && !parse_number(risk, record.risk)) {
    record.malformed = "risk must be a number";
  }
  const std::string_view access = field(kAccess, batch);
  if (access == "READ") record.access = Access::kRead;
  if (!access.empty() && access != "READ" && access != "WRITE") {
    record.malformed = "access must be READ or WRITE";
  }
  const std::string_view at = field(kAt, batch);
  if (!at.empty() && !parse_number(at, record.at.emplace())) {
    record.malformed = "at_ns must be an integer: Unix time in nanoseconds";
  }
}

}  // namespace cellroute::command
