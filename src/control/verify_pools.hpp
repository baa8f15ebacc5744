// The parts of verify() that look at tables, capacities and settings.
#pragma once

#include "cellroute/policy.hpp"
#include "control/rules.hpp"
#include "control/verify.hpp"

namespace cellroute::verifying {

// Picks for a great many points from each pool's table: no pick may leave the pool (a violation
// otherwise), and the most loaded cell stands in balance.
void check_pools(const CompiledTopology& compiled, Verification& result);

void measure_head_room(const Topology& topology, const Rules& rules, Verification& result);

// What is allowed and may still surprise.
void add_warnings(const CompiledTopology& compiled, Verification& result);

}  // namespace cellroute::verifying
