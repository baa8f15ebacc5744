// cellroute mapping restore: a store that was put back from a backup, brought up to a mapping file.
#include "cellroute/check/problems.hpp"
#include "command/mapping_commands.hpp"
#include "command/progress.hpp"
#include "control/restore.hpp"

namespace cellroute::command {
namespace {

struct RestoreOptions {
  std::string mappings;
  std::string base;
  bool dry_run = false;
  TimeOption time;
};

int restore(const RestoreOptions& options) {
  const auto store = open_mappings(options.mappings, false);
  if (!store.ok()) return fail(store.error());
  const auto files = open_mapping_files(options.base);
  if (!files.ok()) return fail(files.error());
  const Result<RestoreReport> report = [&] {
    Progress progress("records compared");
    return restore_epochs(**store, **files, options.time.now(), options.dry_run,
                          [&](std::uint64_t records) { progress.add(records); });
  }();
  if (!report.ok()) return fail(report.error());
  using check::counted;
  say(counted(report->records) + " records; " + counted(report->behind) +
      (options.dry_run ? " are behind" : " were behind and are raised") + ", " +
      counted(report->recreated) + (options.dry_run ? " to be made again" : " made again") + ", " +
      counted(report->conflicts) + " conflicts, " + counted(report->missing) + " missing, " +
      counted(report->unknown) + " not in the file");
  return report->conflicts == 0 && report->missing == 0 ? kAllWell : kSomeDenied;
}

}  // namespace

void add_restore(CLI::App& mapping, Context& context) {
  CLI::App& command = *mapping.add_subcommand(
      "restore",
      "Raise the epochs of a store that was put back from a backup above those given out");
  auto options = std::make_shared<RestoreOptions>();
  add_mappings_option(command, options->mappings, true);
  command
      .add_option("--base", options->base,
                  "Mapping file, .crm, that was up to date when the store was lost")
      ->required();
  command.add_flag("--dry-run", options->dry_run, "Only tell what would be done");
  options->time.add_to(command);
  command.callback([options, &context] { context.exit_code = restore(*options); });
}

}  // namespace cellroute::command
