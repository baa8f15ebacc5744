// cellroute mapping import: writes records that an export printed, or that people wrote.
//
// A record whose key has none is created; one that is there already, in all but its revision, is
// unchanged, so that an import that was interrupted can be run again; one that differs is in
// conflict, and the stored one stays.
#include <utility>

#include "cellroute/check/problems.hpp"
#include "command/line_input.hpp"
#include "command/mapping_commands.hpp"
#include "command/progress.hpp"
#include "command/record_json.hpp"
#include "control/mutate.hpp"

namespace cellroute::command {
namespace {

constexpr std::size_t kBatch = 1000;  // records that are written together
constexpr int kMostTold = 10;         // conflicts and bad lines that are told one by one

struct ImportOptions {
  std::string mappings;
  std::string input;
  TimeOption time;
};

struct Counts {
  std::uint64_t created = 0;
  std::uint64_t unchanged = 0;
  std::uint64_t conflicts = 0;
  std::uint64_t malformed = 0;
};

struct Pending {
  std::uint64_t line = 0;
  RecordInput input;
};

class Importer {
 public:
  Importer(MappingStore& store, Lines& lines, Nanos now)
      : store_(store), lines_(lines), now_(now), progress_("records") {}

  Error run();
  const Counts& counts() const noexcept { return counts_; }

 private:
  void read(const Line& line);
  Error write();
  Error settle(const Pending& pending, const Lookup& before);
  Error settle_result(const Pending& pending, const Result<std::uint64_t>& result);
  static bool same(const Pending& pending, const MappingRecord& stored);
  void tell(std::uint64_t line, const std::string& text);

  MappingStore& store_;
  Lines& lines_;
  Nanos now_;
  Progress progress_;
  Counts counts_;
  int told_ = 0;
  std::vector<Pending> batch_;
  std::vector<ConditionalPut> puts_;
  std::vector<std::size_t> put_places_;  // in batch_
};

Error Importer::run() {
  for (;;) {
    const std::optional<Line> line = lines_.peek();
    if (line) {
      read(*line);
      lines_.take();
    }
    const bool ended = !line && lines_.at_end();
    if (batch_.size() >= kBatch || ended) {
      if (Error error = write(); !error.ok()) return error;
    }
    if (ended) return {};
    if (!line) {
      if (Error error = lines_.fill(); !error.ok()) return error;
    }
  }
}

void Importer::read(const Line& line) {
  if (!line.too_long && line.text.find_first_not_of(" \t\r") == std::string_view::npos) return;
  Result<RecordInput> input = line.too_long ? Error(invalid_argument(std::string(kLineTooLong)))
                                            : record_from_json(line.text);
  if (input.ok()) {
    batch_.push_back({line.number, std::move(*input)});
  } else {
    ++counts_.malformed;
    tell(line.number, input.error().text());
  }
}

Error Importer::write() {
  std::vector<std::string_view> keys;
  for (const Pending& pending : batch_) keys.push_back(pending.input.record.key);
  std::vector<Lookup> before(keys.size());
  store_.get_many(keys, now_, before);
  puts_.clear();
  put_places_.clear();
  for (std::size_t i = 0; i < batch_.size(); ++i) {
    if (Error error = settle(batch_[i], before[i]); !error.ok()) return error;
    if (puts_.size() > put_places_.size()) put_places_.push_back(i);
  }
  const auto results = store_.put_many(puts_);
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (Error error = settle_result(batch_[put_places_[i]], results[i]); !error.ok()) return error;
  }
  progress_.add(batch_.size());
  batch_.clear();
  return {};
}

// Counts the record, or adds a put for it.
Error Importer::settle(const Pending& pending, const Lookup& before) {
  if (before.answer == Answer::kUnknown) return before.error;
  const bool there = before.record.revision != 0;
  if (there && same(pending, before.record)) {
    ++counts_.unchanged;
    return {};
  }
  if (before.answer == Answer::kFound) {
    ++counts_.conflicts;
    tell(pending.line, "the key is mapped to " + before.record.cell + ", epoch " +
                           std::to_string(before.record.epoch) + ": left as it is");
    return {};
  }
  const MappingRecord& given = pending.input.record;
  Result<MappingRecord> record = given;
  if (!pending.input.complete) {
    const Result<OpId> op_id = new_op_id();
    if (!op_id.ok()) return op_id.error();
    record = first_record(given.key, given.cell, given.profile, before.record, *op_id, now_);
  }
  if (record.ok()) {
    puts_.push_back({std::move(*record), before.record.revision});
  } else {
    ++counts_.malformed;
    tell(pending.line, record.error().text());
  }
  return {};
}

Error Importer::settle_result(const Pending& pending, const Result<std::uint64_t>& result) {
  if (result.ok()) {
    ++counts_.created;
    return {};
  }
  const ErrorCode code = result.error().code();
  if (code == ErrorCode::kInvalidArgument) {
    ++counts_.malformed;
    tell(pending.line, result.error().text());
    return {};
  }
  if (code != ErrorCode::kConflict && code != ErrorCode::kRefused &&
      code != ErrorCode::kUnavailable) {
    return result.error();
  }
  // Another writer was first, perhaps an earlier line; or the reply was lost.
  const Lookup stored = store_.get(pending.input.record.key, now_);
  if (stored.answer == Answer::kUnknown) return stored.error;
  if (stored.record.revision != 0 && same(pending, stored.record)) {
    ++counts_.unchanged;
  } else if (code == ErrorCode::kUnavailable) {
    return result.error();
  } else {
    ++counts_.conflicts;
    tell(pending.line, result.error().text());
  }
  return {};
}

bool Importer::same(const Pending& pending, const MappingRecord& stored) {
  MappingRecord given = pending.input.record;
  if (!pending.input.complete) {
    const bool same_profile = !given.profile || given.profile == stored.profile;
    return given.cell == stored.cell && same_profile && !stored.deleted;
  }
  given.revision = stored.revision;
  return given == stored;
}

void Importer::tell(std::uint64_t line, const std::string& text) {
  if (++told_ <= kMostTold) say(lines_.name() + ":" + std::to_string(line) + ": " + text);
  if (told_ == kMostTold) say("further lines that were not imported are only counted");
}

int import(const ImportOptions& options) {
  auto input = open_buffer(options.input);
  if (!input.ok()) return fail(input.error());
  Lines lines(std::move(*input));
  const auto store = open_mappings(options.mappings, true);
  if (!store.ok()) return fail(store.error());
  Importer importer(**store, lines, options.time.now());
  const Error error = importer.run();
  const Counts& counts = importer.counts();
  say(check::counted(counts.created) + " created, " + check::counted(counts.unchanged) +
      " unchanged, " + check::counted(counts.conflicts) + " in conflict, " +
      check::counted(counts.malformed) + " malformed");
  if (!error.ok()) return fail(error);
  return counts.conflicts + counts.malformed == 0 ? kAllWell : kSomeDenied;
}

}  // namespace

void add_import(CLI::App& mapping, Context& context) {
  CLI::App& command = *mapping.add_subcommand(
      "import", "Write the records of a file that export printed; run it again to go on");
  auto options = std::make_shared<ImportOptions>();
  add_mappings_option(command, options->mappings, true);
  command.add_option("--input", options->input, "File of records, a JSON object a line, or -")
      ->required();
  options->time.add_to(command);
  command.callback([options, &context] { context.exit_code = import(*options); });
}

}  // namespace cellroute::command
