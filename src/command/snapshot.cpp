// cellroute snapshot: mapping files, looked at and checked.
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "cellroute/check/problems.hpp"
#include "cellroute/mapping_file.hpp"
#include "command/snapshot_commands.hpp"
#include "stores/base64.hpp"

namespace cellroute::command {
namespace {

using Json = nlohmann::ordered_json;

struct FileOptions {
  std::string path;
  FormatOptions format;
};

double bytes_a_key(const MappingFile& file) {
  const auto keys = static_cast<double>(file.keys());
  return file.keys() == 0 ? 0 : static_cast<double>(file.bytes()) / keys;
}

double filled(const MappingFile& file) {
  const crm::Header& header = file.header();
  const double room =
      static_cast<double>(header.lines) * static_cast<double>(header.layout().entries_a_line());
  return static_cast<double>(header.entries) / room;
}

std::string fixed(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

// Names of feeds and cursors are bytes of any kind.
Json feeds_json(const MappingFile& file) {
  Json json = Json::array();
  for (const FeedCursor& feed : file.feeds()) {
    std::string cursor;
    append_base64(feed.cursor, cursor);
    json.push_back({{"feed", printable(feed.feed)}, {"cursor_base64", cursor}});
  }
  return json;
}

std::string as_json(const std::string& path, const MappingFile& file) {
  const crm::Header& header = file.header();
  const Json json{{"file", printable(path)},
                  {"version", header.version},
                  {"generation", file.generation()},
                  {"keys", file.keys()},
                  {"keys_aside", file.keys_aside()},
                  {"cells", file.cells().size()},
                  {"profiles", file.profiles().size()},
                  {"bytes", file.bytes()},
                  {"bytes_a_key", bytes_a_key(file)},
                  {"lines", header.lines},
                  {"entries_a_line", header.layout().entries_a_line()},
                  {"filled", filled(file)},
                  {"identity_bits", file.identity_bits()},
                  {"wrong_hit_odds", file.wrong_hit_odds()},
                  {"feeds", feeds_json(file)}};
  return json.dump() + "\n";
}

std::string odds_text(double odds) {
  if (odds <= 0) return "never: the file is empty";
  const double once_in = 1 / odds;
  if (once_in >= 1e18) return "once in more than 10^18 look-ups";
  return "once in " + check::counted(static_cast<std::uint64_t>(once_in)) + " look-ups";
}

std::string as_text(const std::string& path, const MappingFile& file) {
  const crm::Header& header = file.header();
  std::string text = printable(path) + ": generation " + std::to_string(file.generation()) + "\n" +
                     check::counted(file.keys()) + " keys, " + check::counted(file.keys_aside()) +
                     " of them kept aside; " + check::counted(file.cells().size()) + " cells, " +
                     check::counted(file.profiles().size()) + " profiles\n" +
                     check::counted(file.bytes()) + " bytes, " + fixed(bytes_a_key(file), 2) +
                     " a key; " + check::counted(header.lines) + " lines of " +
                     std::to_string(header.layout().entries_a_line()) + " entries, " +
                     fixed(filled(file) * 100, 1) + " % filled\n" + "two keys are told apart by " +
                     fixed(file.identity_bits(), 1) +
                     " bits; a key that the file does not have is found by mistake " +
                     odds_text(file.wrong_hit_odds()) + "\n";
  for (const FeedCursor& feed : file.feeds()) {
    text += "goes on with feed " + printable(feed.feed) + " behind a cursor of " +
            std::to_string(feed.cursor.size()) + " bytes\n";
  }
  return text;
}

int info(FileOptions& options) {
  if (const Error error = options.format.resolve(); !error.ok()) return fail(error);
  const auto file = MappingFile::open(options.path);
  if (!file.ok()) return fail(file.error());
  Output output(STDOUT_FILENO);
  output.append(options.format.output == OutputFormat::kText ? as_text(options.path, **file)
                                                             : as_json(options.path, **file));
  return finish(output, kAllWell);
}

int verify(const FileOptions& options) {
  const auto file = MappingFile::open(options.path);
  if (file.ok()) {
    say(printable(options.path) + ": sound; " + check::counted((*file)->keys()) + " keys, " +
        check::counted((*file)->bytes()) + " bytes");
    return kAllWell;
  }
  if (file.error().code() != ErrorCode::kCorrupt) return fail(file.error());
  say("cellroute: " + file.error().text());
  return kSomeDenied;
}

std::shared_ptr<FileOptions> add_file(CLI::App& command) {
  auto options = std::make_shared<FileOptions>();
  command.add_option("file", options->path, "Mapping file, .crm")->required();
  return options;
}

}  // namespace

void add_snapshot(CLI::App& app, Context& context) {
  CLI::App& snapshot = *app.add_subcommand(
      "snapshot", "Build, look at and check mapping files, the bases of large snapshots");
  snapshot.require_subcommand(1);
  snapshot.footer("Exit codes: 0 done and sound, 1 damaged, 2 usage or bad configuration.");
  add_build(snapshot, context);
  CLI::App& told = *snapshot.add_subcommand(
      "info", "Print what a mapping file has, and how rarely it mistakes a key");
  const auto info_options = add_file(told);
  info_options->format.add_to(told, false);
  told.callback([info_options, &context] { context.exit_code = info(*info_options); });
  CLI::App& checked =
      *snapshot.add_subcommand("verify", "Check every byte of a mapping file, and what it says");
  const auto verify_options = add_file(checked);
  checked.callback([verify_options, &context] { context.exit_code = verify(*verify_options); });
}

}  // namespace cellroute::command
