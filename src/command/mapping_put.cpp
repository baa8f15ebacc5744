// cellroute mapping put: gives a key a cell by compare-and-set.
#include <utility>

#include "command/mapping_commands.hpp"
#include "command/record_json.hpp"
#include "control/mutate.hpp"

namespace cellroute::command {
namespace {

struct PutOptions {
  std::string mappings;
  OneKey key;
  std::string cell;
  std::string topology;
  std::optional<std::uint64_t> expected;
  std::optional<std::uint64_t> epoch;
  std::string tier, region, plan;
  std::vector<std::string> flags;
  TimeOption time;

  bool has_profile() const noexcept {
    return !tier.empty() || !region.empty() || !plan.empty() || !flags.empty();
  }
};

bool known(const NameIndex& names, const std::string& name) {
  return name.empty() || names.find(name) != NameIndex::kNone;
}

// Whether the topology lets the cell take the key.
Error check_cell(const PutOptions& options, const std::optional<MappedProfile>& profile) {
  const auto loaded = compile_file(options.topology);
  if (!loaded.ok()) return loaded.error();
  const CompiledTopology& compiled = **loaded;
  const CellIndex cell = compiled.find_cell(options.cell);
  if (cell == kNoCell) {
    return invalid_argument("--cell " + options.cell + ": " + options.topology +
                            " has no such cell");
  }
  if (compiled.cell(cell).state != CellState::kActive) {
    return invalid_argument("--cell " + options.cell + ": it is not ACTIVE and takes no keys");
  }
  if (!profile) return {};
  if (!known(compiled.tier_names(), profile->tier) ||
      !known(compiled.region_names(), profile->region)) {
    return invalid_argument("the topology has no such tier or region");
  }
  std::uint32_t flags = 0;
  for (const std::string& name : profile->flags) {
    const std::uint32_t flag = compiled.flag_names().find(name);
    if (flag == NameIndex::kNone) return invalid_argument("flag " + name + " is not known");
    flags |= std::uint32_t{1} << flag;
  }
  const Requirement& demand = compiled.requirements()[compiled.requirements().find(flags, false)];
  if (!demand.flags_pass(compiled.facts(cell))) {
    return invalid_argument("--cell " + options.cell + ": it lacks what the key's flags demand");
  }
  return {};
}

int print(const MappingRecord& record) {
  Output output(STDOUT_FILENO);
  output.append(record_to_json(record) + "\n");
  return finish(output, kAllWell);
}

int conflict(const std::string& text) {
  say("cellroute: " + text);
  return kSomeDenied;
}

std::optional<MappedProfile> profile_for(const PutOptions& options, const Lookup& before) {
  if (options.has_profile()) {
    return MappedProfile{options.tier, options.region, options.plan, options.flags};
  }
  return before.answer == Answer::kFound ? before.record.profile : std::nullopt;
}

// The record to write: a first one, one that moved, or one whose profile or epoch alone changes.
Result<MappingRecord> changed(const PutOptions& options, const std::string& key,
                              const Lookup& before, std::optional<MappedProfile> profile) {
  const Result<OpId> op_id = new_op_id();
  if (!op_id.ok()) return op_id.error();
  const Nanos now = options.time.now();
  Result<MappingRecord> record = before.record;
  if (record->state != MigrationState::kStable) {
    return refused("a migration of the key is under way, which alone may change its record");
  }
  if (before.answer == Answer::kAbsent) {
    record = first_record(key, options.cell, profile, before.record, *op_id, now);
  } else if (before.record.cell != options.cell) {
    record = moved_to(before.record, options.cell, *op_id, now);
  } else {
    record->op_id = *op_id;
    record->updated = now;
  }
  if (!record.ok()) return record;
  record->profile = std::move(profile);
  if (options.epoch) {
    if (*options.epoch < record->epoch) {
      return refused("--epoch " + std::to_string(*options.epoch) + ": epochs only rise, and " +
                     std::to_string(record->epoch) + " is the least that this change may have");
    }
    record->epoch = *options.epoch;
  }
  return record;
}

int put(const PutOptions& options, Context& context) {
  const auto key = options.key.get(context);
  if (!key.ok()) return fail(key.error());
  const auto store = open_mappings(options.mappings, true);
  if (!store.ok()) return fail(store.error());
  const Lookup before = (*store)->get(*key, options.time.now());
  if (before.answer == Answer::kUnknown) return fail(before.error);
  const std::uint64_t revision = before.record.revision;
  if (options.expected && *options.expected != revision) {
    return conflict("the record has revision " + std::to_string(revision) + ", not " +
                    std::to_string(*options.expected) + ": get it, and decide again");
  }
  std::optional<MappedProfile> profile = profile_for(options, before);
  if (!options.topology.empty()) {
    if (const Error error = check_cell(options, profile); !error.ok()) return fail(error);
  }
  const bool same = before.answer == Answer::kFound && before.record.cell == options.cell &&
                    before.record.profile == profile &&
                    options.epoch.value_or(before.record.epoch) == before.record.epoch;
  if (same) return print(before.record);
  Result<MappingRecord> record = changed(options, *key, before, std::move(profile));
  if (!record.ok()) {
    const bool refusal = record.error().code() == ErrorCode::kRefused;
    return refusal ? conflict(record.error().text()) : fail(record.error());
  }
  const auto written = put_confirmed(**store, *record, revision, options.time.now());
  if (!written.ok()) {
    const bool lost = written.error().code() == ErrorCode::kConflict;
    return lost ? conflict(written.error().text()) : fail(written.error());
  }
  record->revision = *written;
  return print(*record);
}

}  // namespace

void add_put(CLI::App& mapping, Context& context) {
  CLI::App& command = *mapping.add_subcommand(
      "put", "Give a key a cell. This moves no data: it is for keys whose data is there already");
  auto options = std::make_shared<PutOptions>();
  add_mappings_option(command, options->mappings, true);
  options->key.add_to(command);
  command.add_option("--cell", options->cell, "Id of the cell")->required();
  add_topology_option(command, options->topology, false);
  command.add_option("--expect-revision", options->expected,
                     "Only if the record has this revision; 0: only if there is none");
  command.add_option("--epoch", options->epoch, "The record's epoch, higher than any before");
  constexpr const char* kGroup = "Attributes of the key that the record pins";
  command.add_option("--tier", options->tier, "Tier")->group(kGroup);
  command.add_option("--region", options->region, "Region")->group(kGroup);
  command.add_option("--plan", options->plan, "Plan")->group(kGroup);
  command.add_option("--flag", options->flags, "Flag; repeat it, or separate several with commas")
      ->expected(1)
      ->delimiter(',')
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->allow_extra_args(false)
      ->group(kGroup);
  options->time.add_to(command);
  command.callback([options, &context] { context.exit_code = put(*options, context); });
}

}  // namespace cellroute::command
