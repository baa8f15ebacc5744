// The parts of `cellroute snapshot`.
#pragma once

#include "command/command.hpp"

namespace cellroute::command {

void add_build(CLI::App& snapshot, Context& context);

}  // namespace cellroute::command
