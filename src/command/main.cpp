// The command `cellroute`.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "cellroute/version.hpp"
#include "command/command.hpp"

namespace {

int run(int argc, char** argv) {
  namespace command = cellroute::command;
  CLI::App app("Which cell serves this key, may it be served now, and why.");
  app.name("cellroute");
  app.set_version_flag("--version", std::string("cellroute ") + cellroute::kVersion);
  app.require_subcommand(1);
  app.footer("Exit codes: 0 all routed, 1 some denied, 2 usage or bad configuration.");
  command::Context context;
  command::add_validate(app, context);
  command::add_verify(app, context);
  command::add_route(app, context);
  command::add_explain(app, context);
  command::add_tenant(app, context);
  command::add_assign(app, context);
  command::add_mapping(app, context);
  command::add_snapshot(app, context);
  command::add_sync(app, context);
  std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  const auto dashes = std::find(arguments.begin(), arguments.end(), "--");
  if (dashes != arguments.end()) {
    context.after_dashes.assign(dashes + 1, arguments.end());
    arguments.erase(dashes, arguments.end());
  }
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
  try {
    app.parse(std::move(arguments));
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? command::kAllWell : command::kBadUsage;
  }
  if (!context.after_dashes.empty() && !context.took_after_dashes) {
    return command::fail(cellroute::invalid_argument("arguments behind -- are for keys alone"));
  }
  return context.exit_code;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "cellroute: %s\n", error.what());
  } catch (...) {
    std::fputs("cellroute: an error of an unknown kind\n", stderr);
  }
  return cellroute::command::kBadUsage;
}
