// Every rule that a topology must keep, over the plain struct.
//
// compile() refuses what breaks one; src/topology adds the line of the file. The rules stand in
// check/: names.hpp (what names are made of), endpoint.hpp, cells.hpp (tiers and cells),
// thresholds.hpp (times, breakers, limits), policy.hpp, tenant.hpp. Whether every class has a cell
// is another question, which `verify` answers.
#pragma once

#include <vector>

#include "cellroute/check/cells.hpp"
#include "cellroute/check/names.hpp"
#include "cellroute/check/policy.hpp"
#include "cellroute/check/problems.hpp"
#include "cellroute/check/tenant.hpp"
#include "cellroute/topology.hpp"

namespace cellroute {

// What is wrong, if anything, by field: the first kMaxProblems, and one that tells if there are
// more. Takes O(n log n) at most: 65,535 cells in well under a second.
//
// Thread safety: a pure function.
inline std::vector<Problem> check_topology(const Topology& topology) {
  check::Problems problems;
  check::Names names;
  const check::Path root;
  if (topology.generation < 1) {
    problems.add(check::Path(root, "generation"), "must be at least 1, and grow with every change");
  }
  check::check_tiers(topology, names, problems);
  check::check_name_list(topology.regions, kMaxRegions, "regions", names.regions, problems);
  check::check_name_list(topology.certifications, kMaxNames, "certifications", names.certifications,
                         problems);
  check::check_name_list(topology.encryption_levels, kMaxNames, "encryption_levels", names.levels,
                         problems);
  check::check_cells(topology, names, problems);
  check::check_policy(topology, names, problems);
  if (topology.tenant) check::check_tenant(*topology.tenant, problems);
  return problems.take();
}

}  // namespace cellroute
