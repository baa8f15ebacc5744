// cellroute verify: what a topology and its mappings can and cannot do.
#include "control/verify.hpp"

#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "cellroute/check/problems.hpp"
#include "command/command.hpp"
#include "command/progress.hpp"

namespace cellroute::command {
namespace {

using Json = nlohmann::ordered_json;

struct VerifyOptions {
  std::string topology;
  std::string mappings;
  FormatOptions format;
  TimeOption time;
};

std::string fixed(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", value);
  return text;
}

std::string place(const std::string& tier, const std::string& region) {
  if (tier.empty() && region.empty()) return "the whole topology";
  if (tier.empty() || region.empty()) return tier + region;
  return tier + " in " + region;
}

// Texts of a topology are UTF-8 or ASCII; keys in findings are escaped. Should a byte be neither,
// it is shown as a replacement character.
std::string dumped(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Json findings_json(const Findings& findings) {
  return {{"count", findings.count}, {"first", findings.texts}};
}

Json losses_json(const std::vector<Loss>& losses) {
  Json json = Json::array();
  for (const Loss& loss : losses) {
    json.push_back({{"lost", loss.lost}, {"classes", loss.classes}, {"examples", loss.examples}});
  }
  return json;
}

Json groups_json(const Verification& result) {
  Json json = Json::array();
  for (const UnservedGroup& group : result.unserved_groups) {
    json.push_back({{"tier", group.tier},
                    {"region", group.region},
                    {"classes", group.classes},
                    {"of", group.of},
                    {"least", group.least}});
  }
  return json;
}

Json rooms_json(const Verification& result) {
  Json json = Json::array();
  for (const HeadRoom& room : result.head_room) {
    Json entry{{"tier", room.tier},         {"region", room.region}, {"cells", room.cells},
               {"capacity", room.capacity}, {"load", room.load},     {"room", room.room()}};
    entry["room_without_largest"] = room.room_without_largest();
    entry["cells_without_capacity"] = room.unknown;
    json.push_back(std::move(entry));
  }
  return json;
}

Json balance_json(const Verification& result) {
  Json json = Json::array();
  for (const PoolBalance& pool : result.balance) {
    json.push_back({{"cells", pool.cells},
                    {"classes", pool.classes},
                    {"peak_to_mean", pool.peak_to_mean},
                    {"peak_cell", pool.peak_cell},
                    {"points", pool.points}});
  }
  return json;
}

Json mappings_json(const MappingCheck& check) {
  return {{"records", check.records},
          {"unknown_cell", check.unknown_cell},
          {"offline_cell", check.offline_cell},
          {"broken_flags", check.broken_flags},
          {"unknown_profile", check.unknown_profile},
          {"findings", findings_json(check.findings)}};
}

std::string as_json(const Verification& result, const std::optional<MappingCheck>& mappings) {
  Json json{{"proven", result.violations.count == 0},
            {"cells", result.cells},
            {"classes", result.classes},
            {"flag_sets", result.flag_sets},
            {"pools", result.pools},
            {"checked_members", result.checked_members},
            {"violations", findings_json(result.violations)},
            {"classes_without_cell", result.unserved},
            {"without_cell", groups_json(result)},
            {"lost_cells", losses_json(result.cell_losses)},
            {"lost_regions", losses_json(result.region_losses)},
            {"head_room", rooms_json(result)},
            {"balance", balance_json(result)},
            {"warnings", findings_json(result.warnings)}};
  json["mappings"] = mappings ? mappings_json(*mappings) : Json();
  return dumped(json);
}

std::string listed(const std::vector<std::string>& texts) {
  std::string list;
  for (const std::string& text : texts) list += (list.empty() ? "" : "; ") + text;
  return list;
}

std::string findings_text(const std::string& title, const Findings& findings) {
  if (findings.count == 0) return {};
  std::string text = "\n" + title + ": " + check::counted(findings.count) + "\n";
  for (const std::string& finding : findings.texts) text += "  " + finding + "\n";
  if (findings.count > findings.texts.size()) {
    text += "  and " + check::counted(findings.count - findings.texts.size()) + " more\n";
  }
  return text;
}

std::string head_text(const Verification& result) {
  std::string text =
      result.violations.count == 0
          ? "proven: no class can reach a cell that breaks its rules, and none misses one that "
            "may serve it\n"
          : "NOT proven: " + check::counted(result.violations.count) + " violations\n";
  return text + "  " + check::counted(result.classes) + " classes of " +
         check::counted(result.flag_sets) + " sets of flags and risk, " +
         check::counted(result.cells) + " cells, " + check::counted(result.pools) + " pools, " +
         check::counted(result.checked_members) + " memberships checked\n" +
         findings_text("violations", result.violations);
}

std::string unserved_text(const Verification& result) {
  if (result.unserved == 0) return "\nevery class has a cell\n";
  std::string text =
      "\nclasses without a cell (NO_ELIGIBLE_CELL): " + check::counted(result.unserved) + "\n";
  for (const UnservedGroup& group : result.unserved_groups) {
    text += "  " + place(group.tier, group.region) + ": " + check::counted(group.classes) + " of " +
            check::counted(group.of) + "; whatever has " + listed(group.least) + "\n";
  }
  return text;
}

std::string losses_text(const std::string& what, const std::vector<Loss>& losses) {
  if (losses.empty()) return "\nno single " + what + " is the last one of any class\n";
  std::string text = "\nif one " + what + " is gone, these classes have no cell left:\n";
  for (const Loss& loss : losses) {
    text += "  " + loss.lost + ": " + check::counted(loss.classes) + ", such as " +
            listed(loss.examples) + "\n";
  }
  return text;
}

std::string rooms_text(const Verification& result) {
  std::string text = "\nhead-room (capacity - load; without the largest cell)\n";
  for (const HeadRoom& room : result.head_room) {
    text += "  " + place(room.tier, room.region) + ": ";
    if (room.unknown > 0) {
      text += check::counted(room.unknown) + " of " + check::counted(room.cells) +
              " cells state no capacity\n";
      continue;
    }
    text += check::counted(room.capacity) + " - " + check::counted(room.load) + " = " +
            std::to_string(room.room()) + "; " + std::to_string(room.room_without_largest()) + "\n";
  }
  return text;
}

std::string balance_text(const Verification& result) {
  std::string text = "\npools (most keys for its weight, 1.000 is even)\n";
  for (const PoolBalance& pool : result.balance) {
    text += "  " + check::counted(pool.cells) + (pool.cells == 1 ? " cell, " : " cells, ") +
            check::counted(pool.classes) + " classes: peak to mean " + fixed(pool.peak_to_mean) +
            " (" + pool.peak_cell + ")\n";
  }
  return text;
}

std::string mappings_text(const MappingCheck& check) {
  const std::string count = check::counted(check.records);
  if (check.findings.count == 0) return "\nmappings: " + count + ", all of them sound\n";
  return "\nmappings: " + count + "; " + check::counted(check.unknown_cell) +
         " name no cell of the topology, " + check::counted(check.offline_cell) +
         " an OFFLINE one, " + check::counted(check.broken_flags) +
         " a cell that breaks their flags, " + check::counted(check.unknown_profile) +
         " have an unknown profile" + findings_text("mappings to mend", check.findings);
}

std::string as_text(const Verification& result, const std::optional<MappingCheck>& mappings) {
  return head_text(result) + unserved_text(result) + losses_text("cell", result.cell_losses) +
         losses_text("region", result.region_losses) + rooms_text(result) + balance_text(result) +
         (mappings ? mappings_text(*mappings) : std::string()) +
         findings_text("warnings", result.warnings);
}

Result<MappingCheck> check_mappings(const CompiledTopology& compiled,
                                    const VerifyOptions& options) {
  const auto store = open_mappings(options.mappings, false);
  if (!store.ok()) return store.error();
  Progress progress("mappings");
  return verify_mappings(compiled, **store, options.time.now(),
                         [&](std::size_t records) { progress.add(records); });
}

int verify(VerifyOptions& options) {
  options.format.output = OutputFormat::kText;
  if (options.format.words.empty()) options.format.words = {"text"};
  if (const Error error = options.format.resolve(); !error.ok()) return fail(error);
  const auto compiled = compile_file(options.topology);
  if (!compiled.ok()) return fail(compiled.error());
  std::optional<MappingCheck> mappings;
  if (!options.mappings.empty()) {
    Result<MappingCheck> checked = check_mappings(**compiled, options);
    if (!checked.ok()) return fail(checked.error());
    mappings = std::move(*checked);
  }
  const Verification result = cellroute::verify(**compiled);
  Output output(STDOUT_FILENO);
  output.append(options.format.output == OutputFormat::kText ? as_text(result, mappings)
                                                             : as_json(result, mappings));
  const bool sound = result.violations.count == 0 && (!mappings || mappings->findings.count == 0);
  return finish(output, sound ? kAllWell : kSomeDenied);
}

}  // namespace

void add_verify(CLI::App& app, Context& context) {
  CLI::App& command = *app.add_subcommand(
      "verify",
      "Prove that no class of keys can reach a cell that breaks its rules, and tell what "
      "a loss would leave");
  auto options = std::make_shared<VerifyOptions>();
  add_topology_option(command, options->topology, true);
  add_mappings_option(command, options->mappings, false);
  options->format.add_to(command, false);
  options->time.add_to(command);
  command.footer(
      "Exit codes: 0 proven, 1 a violation or a mapping to mend, 2 bad configuration. "
      "Classes without a cell are told and are no violation.");
  command.callback([options, &context] { context.exit_code = verify(*options); });
}

}  // namespace cellroute::command
