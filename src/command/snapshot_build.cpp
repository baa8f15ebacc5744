// cellroute snapshot build: a mapping file from a store, or from CSV or JSON lines.
//
// A line that is no mapping ends the build, and what stood at the output stays: a base that lacks a
// key without anybody knowing would send it to another cell.
#include <charconv>
#include <utility>

#include "cellroute/check/problems.hpp"
#include "cellroute/mapping_file.hpp"
#include "command/line_input.hpp"
#include "command/progress.hpp"
#include "command/record_json.hpp"
#include "command/snapshot_commands.hpp"
#include "mapping/file_builder.hpp"
#include "stores/random.hpp"

namespace cellroute::command {
namespace {

struct BuildOptions {
  std::string output;
  std::string mappings;
  std::string input;
  std::string format;
  std::optional<std::uint64_t> generation;
  std::optional<std::uint64_t> seed;
  TimeOption time;
};

Error at_line(const std::string& name, std::uint64_t line, std::string_view text) {
  return invalid_argument(name + ":" + std::to_string(line) + ": " + std::string(text));
}

// One more than the file that is replaced, so that the new one is newer.
Result<std::uint64_t> generation_of(const BuildOptions& options) {
  if (options.generation) return *options.generation;
  const auto before = MappingFile::open(options.output);
  if (before.ok()) return (*before)->generation() + 1;
  if (before.error().code() == ErrorCode::kNotFound) return std::uint64_t{1};
  return Error(before.error().code(),
               before.error().text() + "; to replace it, say which --generation the new one has");
}

Result<FileBuildOptions> file_options(const BuildOptions& options) {
  FileBuildOptions made;
  made.now = options.time.now();
  const Result<std::uint64_t> generation = generation_of(options);
  if (!generation.ok()) return generation.error();
  made.generation = *generation;
  if (options.seed) {
    made.seed = *options.seed;
  } else if (Error error = stores::fill_random(&made.seed, sizeof made.seed); !error.ok()) {
    return error;
  }
  return made;
}

Error add_row(FileBuilder& builder, const InputRecord& row, MappedProfile& profile) {
  FileRecord record;
  record.key = row.key;
  record.cell = row.cell;
  record.number = row.line;
  if (!row.epoch.empty()) {
    const char* const end = row.epoch.data() + row.epoch.size();
    const auto read = std::from_chars(row.epoch.data(), end, record.epoch);
    if (read.ec != std::errc() || read.ptr != end) {
      return invalid_argument("epoch must be an integer, 0 or above");
    }
  }
  if (!row.tier.empty() || !row.region.empty() || !row.plan.empty() || !row.flags.empty()) {
    profile.tier = row.tier;
    profile.region = row.region;
    profile.plan = row.plan;
    profile.flags.assign(row.flags.begin(), row.flags.end());
    record.profile = &profile;
  }
  return builder.add(record);
}

Error add_csv(FileBuilder& builder, const BuildOptions& options, Progress& progress) {
  auto reader = open_input(options.input, InputFormat::kCsv);
  if (!reader.ok()) return reader.error();
  Batch batch;
  MappedProfile profile;
  for (;;) {
    if (Error error = (*reader)->read(batch); !error.ok()) return error;
    if (batch.empty()) return {};
    for (const InputRecord& row : batch.records()) {
      if (!row.malformed.empty()) return at_line(options.input, row.line, row.malformed);
      if (Error error = add_row(builder, row, profile); !error.ok()) {
        return at_line(options.input, row.line, error.text());
      }
    }
    progress.add(batch.records().size());
  }
}

Error add_json_lines(FileBuilder& builder, const BuildOptions& options, Progress& progress) {
  auto input = open_buffer(options.input);
  if (!input.ok()) return input.error();
  Lines lines(std::move(*input));
  for (;;) {
    const std::optional<Line> line = lines.peek();
    if (!line) {
      if (lines.at_end()) return {};
      if (Error error = lines.fill(); !error.ok()) return error;
      continue;
    }
    if (line->too_long) return at_line(options.input, line->number, kLineTooLong);
    if (line->text.find_first_not_of(" \t\r") != std::string_view::npos) {
      const Result<RecordInput> read = record_from_json(line->text);
      Error error = read.ok() ? builder.add(file_record(read->record, line->number)) : read.error();
      if (!error.ok()) return at_line(options.input, line->number, error.text());
      progress.add(1);
    }
    lines.take();
  }
}

Error add_all(FileBuilder& builder, const BuildOptions& options) {
  Progress progress("records read");
  if (!options.mappings.empty()) {
    const auto store = open_mappings(options.mappings, false);
    if (!store.ok()) return store.error();
    return add_store(builder, **store, without_login(options.mappings), options.time.now(),
                     [&](const std::vector<MappingRecord>& records) {
                       progress.add(records.size());
                       return Error();
                     });
  }
  const bool csv =
      options.format == "csv" || (options.format.empty() && options.input.ends_with(".csv"));
  return csv ? add_csv(builder, options, progress) : add_json_lines(builder, options, progress);
}

std::string summary(const FileBuildReport& report, std::uint64_t generation) {
  return check::counted(report.keys) + " keys, " + check::counted(report.aside) +
         " of them kept aside, in " + check::counted(report.bytes) + " bytes; generation " +
         std::to_string(generation) + "; " + check::counted(report.superseded) +
         " older or equal records of a key, " + check::counted(report.left_out) +
         " keys deleted or expired";
}

int build(const BuildOptions& options) {
  if (options.mappings.empty() == options.input.empty()) {
    return fail(invalid_argument("give --mappings or --input, one of them"));
  }
  const Result<FileBuildOptions> made = file_options(options);
  if (!made.ok()) return fail(made.error());
  auto builder = FileBuilder::create(options.output, *made);
  if (!builder.ok()) return fail(builder.error());
  if (const Error error = add_all(**builder, options); !error.ok()) return fail(error);
  Result<FileBuildReport> report = [&] {
    Progress progress("records placed");
    return (*builder)->finish([&](std::uint64_t records) { progress.add(records); });
  }();
  if (!report.ok()) {
    const std::string from = options.input.empty() ? options.mappings : options.input;
    const bool named = report.error().code() != ErrorCode::kInvalidArgument;
    return fail(named ? report.error() : invalid_argument(from + ": " + report.error().text()));
  }
  say(summary(*report, made->generation));
  return kAllWell;
}

}  // namespace

void add_build(CLI::App& snapshot, Context& context) {
  CLI::App& command = *snapshot.add_subcommand(
      "build", "Write a mapping file from the records of a store or of a file");
  auto options = std::make_shared<BuildOptions>();
  command
      .add_option("--output", options->output, "The file to write, .crm; an old one is replaced")
      ->required();
  add_mappings_option(command, options->mappings, false);
  command.add_option(
      "--input", options->input,
      "File of mappings, or -: JSON lines as mapping export prints them, or CSV "
      "with the columns key, cell and, if you like, epoch, tier, region, plan, flags");
  command.add_option("--format", options->format, "Of --input: jsonl (default) or csv, by ending")
      ->check(CLI::IsMember({"jsonl", "csv"}));
  command.add_option("--generation", options->generation,
                     "Of the new file; default: one more than that of the file it replaces");
  command.add_option("--seed", options->seed,
                     "Of the file's key hash, for equal files from equal records; default: random");
  options->time.add_to(command);
  command.callback([options, &context] { context.exit_code = build(*options); });
}

}  // namespace cellroute::command
