// cellroute mapping create-table: makes a table of DynamoDB for a mapping store.
#include <string>
#include <utility>
#include <vector>

#include "command/mapping_commands.hpp"
#include "net/dynamodb_table.hpp"

namespace cellroute::command {
namespace {

constexpr Nanos kTimeout = 300 * kSecond;  // DynamoDB takes tens of seconds

struct TableCommandOptions {
  std::string mappings;
  std::string billing = "PAY_PER_REQUEST";
  std::vector<std::string> tags;
  net::TableOptions table;
};

Error read_tags(TableCommandOptions& options) {
  for (const std::string& tag : options.tags) {
    const std::size_t equals = tag.find('=');
    if (equals == tag.npos) return invalid_argument("--tag " + tag + ": write NAME=VALUE");
    options.table.tags.emplace_back(tag.substr(0, equals), tag.substr(equals + 1));
  }
  return {};
}

int create_table(TableCommandOptions& options) {
  const bool units = options.table.read_units != 0 || options.table.write_units != 0;
  if (units != (options.billing == "PROVISIONED")) {
    return fail(invalid_argument("--read-units and --write-units go with --billing PROVISIONED"));
  }
  if (Error error = read_tags(options); !error.ok()) return fail(error);
  const Error error = net::create_dynamodb_table(options.mappings, options.table, kTimeout);
  if (!error.ok()) return fail(error);
  say("the table serves");
  return kAllWell;
}

}  // namespace

void add_create_table(CLI::App& mapping, Context& context) {
  CLI::App& command = *mapping.add_subcommand(
      "create-table", "Make a table of DynamoDB with its indexes; run it again to go on");
  auto options = std::make_shared<TableCommandOptions>();
  command.add_option("--mappings", options->mappings, "dynamodb://TABLE?region=NAME")->required();
  command.add_option("--billing", options->billing, "PAY_PER_REQUEST (default) or PROVISIONED")
      ->check(CLI::IsMember({"PAY_PER_REQUEST", "PROVISIONED"}));
  command.add_option("--read-units", options->table.read_units,
                     "Provisioned reads a second, of the table and of each index");
  command.add_option("--write-units", options->table.write_units, "Provisioned writes a second");
  command.add_flag("--recovery,!--no-recovery", options->table.recovery,
                   "Point-in-time recovery; on by default");
  command.add_option("--encryption", options->table.encryption,
                     "KMS key: its id, alias or ARN, or aws; default is DynamoDB's own");
  command.add_flag("--stream", options->table.stream, "A stream of new and old images");
  command.add_option("--tag", options->tags, "NAME=VALUE; repeat it")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->allow_extra_args(false);
  command.callback([options, &context] { context.exit_code = create_table(*options); });
}

}  // namespace cellroute::command
