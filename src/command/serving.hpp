// A router with a topology in service, as the sub-commands that decide need one.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "cellroute/router.hpp"
#include "command/state.hpp"

namespace cellroute::command {

struct ServingOptions {
  std::string topology;
  std::string state;  // empty: nothing is kept
  PublishOptions publish;

  // --topology, and where `with_state`, --state with what a publisher allows.
  void add_to(CLI::App& command, bool with_state);
};

struct Serving {
  std::unique_ptr<StateDirectory> state;  // outlives the router, whose guards lie in it
  std::unique_ptr<Router> router;
  std::shared_ptr<const Snapshot> snapshot;
};

// Publishes the topology. With a state directory, against the one that served last: one that is
// broken or refused is told on standard error, and the last good one serves.
Result<Serving> start_serving(const ServingOptions& options);

}  // namespace cellroute::command
