// cellroute validate: is a topology sound?
#include "command/command.hpp"

#include "cellroute/check/problems.hpp"

namespace cellroute::command {
namespace {

std::string counted(std::size_t count, std::string_view one, std::string_view many) {
  return check::counted(count) + ' ' + std::string(count == 1 ? one : many);
}

std::string summary_of(const CompiledTopology& compiled) {
  const Topology& topology = compiled.topology();
  return "valid: generation " + std::to_string(topology.generation) + ", " +
         counted(compiled.cell_count(), "cell", "cells") + ", " +
         counted(topology.tiers.size(), "tier", "tiers") + ", " +
         counted(topology.regions.size(), "region", "regions") + ", " +
         counted(compiled.class_count(), "class", "classes") + ", " +
         counted(compiled.pools().size(), "pool", "pools") + ", " +
         check::counted(compiled.table_bytes()) + " bytes of tables\n";
}

int validate(const std::vector<std::string>& paths) {
  Output output(STDOUT_FILENO);
  int code = kAllWell;
  for (const std::string& path : paths) {
    const auto compiled = compile_file(path);
    if (compiled.ok()) {
      output.append(path + ": " + summary_of(**compiled));
    } else {
      say(compiled.error().text());
      code = kBadUsage;
    }
  }
  return finish(output, code);
}

}  // namespace

void add_validate(CLI::App& app, Context& context) {
  CLI::App& command = *app.add_subcommand("validate", "Check topologies and tell every problem");
  auto paths = std::make_shared<std::vector<std::string>>();
  command.add_option("--topology,files", *paths, "Topologies: .yaml, .json, .textproto or .pb")
      ->required();
  command.callback([paths, &context] { context.exit_code = validate(*paths); });
}

}  // namespace cellroute::command
