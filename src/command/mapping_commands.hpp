// The parts of `cellroute mapping`.
#pragma once

#include <string>

#include "command/command.hpp"
#include "stores/base64.hpp"

namespace cellroute::command {

void add_put(CLI::App& mapping, Context& context);
void add_import(CLI::App& mapping, Context& context);
void add_restore(CLI::App& mapping, Context& context);
void add_create_table(CLI::App& mapping, Context& context);  // where there are network stores

// The one key that a sub-command is about.
struct OneKey {
  KeyArguments arguments;
  bool base64 = false;

  void add_to(CLI::App& command);
  Result<std::string> get(Context& context) const;
};

}  // namespace cellroute::command
