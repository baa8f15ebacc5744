// The rules about tiers and cells.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "cellroute/check/endpoint.hpp"
#include "cellroute/check/names.hpp"
#include "cellroute/check/problems.hpp"
#include "cellroute/check/thresholds.hpp"
#include "cellroute/topology.hpp"

namespace cellroute::check {

inline constexpr std::size_t kMaxAliases = 16;
inline constexpr std::size_t kMaxEndpoints = 256;
inline constexpr std::size_t kMaxLabels = 64;
inline constexpr std::size_t kMaxLabelBytes = 256;
inline constexpr std::uint32_t kMaxWeight = 1'000'000;                 // thousandths
inline constexpr std::uint64_t kMaxCapacity = std::uint64_t{1} << 53;  // exact in every JSON reader

inline void check_tiers(const Topology& topology, Names& names, Problems& problems) {
  const Path root;
  check_count(topology.tiers.size(), kMaxTiers, Path(root, "tiers"), problems);
  for (std::size_t i = 0; i < topology.tiers.size(); ++i) {
    const Path path(root, "tiers", i);
    names.tiers.add(topology.tiers[i].name, Path(path, "name"), problems);
  }
  for (std::size_t i = 0; i < topology.tiers.size(); ++i) {
    const Tier& tier = topology.tiers[i];
    const Path path(root, "tiers", i);
    if (!check_count(tier.aliases.size(), kMaxAliases, Path(path, "aliases"), problems)) continue;
    for (std::size_t j = 0; j < tier.aliases.size(); ++j) {
      const std::string& alias = tier.aliases[j];
      const Path alias_path(path, "aliases", j);
      if (std::string text = name_problem(alias); !text.empty()) {
        problems.add(alias_path, std::move(text));
      } else if (names.tiers.has(alias) ||
                 !names.aliases.add(alias, static_cast<std::uint32_t>(i))) {
        problems.add(alias_path,
                     check::quoted(alias) + " is the name or alias of another tier, or twice here");
      }
    }
    check_override(tier.breaker, merged(topology.policy.breaker, tier.breaker),
                   Path(path, "breaker"), problems);
  }
}

inline void check_name_list(const std::vector<std::string>& list, std::size_t most,
                            std::string_view field, KnownNames& names, Problems& problems) {
  const Path root;
  check_count(list.size(), most, Path(root, field), problems);
  for (std::size_t i = 0; i < list.size(); ++i) names.add(list[i], Path(root, field, i), problems);
}

// A cell's tier and region may be left out where there is no choice.
inline void check_place(const Cell& cell, const Topology& topology, const Names& names,
                        const Path& cell_path, Problems& problems) {
  const auto missing = [&](std::size_t count, const Path& path) {
    if (count < 2) return;
    problems.add(path, "is missing, and the topology has " + counted(count) + " to choose from");
  };
  const Path tier(cell_path, "tier");
  const Path region(cell_path, "region");
  if (cell.tier.empty()) {
    missing(topology.tiers.size(), tier);
  } else {
    names.check_tier(cell.tier, tier, problems);
  }
  if (cell.region.empty()) {
    missing(topology.regions.size(), region);
  } else {
    names.regions.check(cell.region, region, problems);
  }
}

// Why `text` is no template, or nothing.
inline std::string template_problem(std::string_view text) {
  if (text.size() > kMaxLabelBytes) {
    return "has " + counted(text.size()) + " bytes; at most " + counted(kMaxLabelBytes);
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] < ' ' || text[i] > '~') {
      return "has the character " + check::quoted(text.substr(i, 1)) +
             "; labels are printable ASCII";
    }
    if (text[i] == '}') return "has a } without its {";
    if (text[i] != '{') continue;
    const std::size_t close = text.find('}', i);
    if (close == std::string_view::npos) return "has a { without its }";
    const std::string_view name = text.substr(i + 1, close - i - 1);
    if (name != "cell" && name != "key") {
      return "has " + check::quoted(text.substr(i, close - i + 1)) +
             "; only {cell} and {key} are expanded";
    }
    i = close;
  }
  return "";
}

inline void check_labels(const Cell& cell, const Path& path, Problems& problems) {
  if (!check_count(cell.labels.size(), kMaxLabels, Path(path, "labels"), problems)) return;
  NameIndex seen;
  for (const auto& [name, text] : cell.labels) {
    const Path label(path, "labels", std::string_view(name));
    if (std::string problem = name_problem(name); !problem.empty()) {
      problems.add(label, "the label's name " + problem);
    } else if (!seen.add(name, 0)) {
      problems.add(label, "is given twice");
    }
    if (std::string problem = template_problem(text); !problem.empty()) {
      problems.add(label, std::move(problem));
    }
  }
}

inline void check_endpoints(const Cell& cell, const Path& path, Problems& problems) {
  if (!cell.endpoint.empty()) {
    if (std::string text = endpoint_problem(cell.endpoint); !text.empty()) {
      problems.add(Path(path, "endpoint"), check::quoted(cell.endpoint) + ' ' + text);
    }
  }
  if (!check_count(cell.endpoints.size(), kMaxEndpoints, Path(path, "endpoints"), problems)) return;
  NameIndex seen;
  for (const auto& [resource, endpoint] : cell.endpoints) {
    const Path at(path, "endpoints", std::string_view(resource));
    if (std::string text = name_problem(resource); !text.empty()) {
      problems.add(at, "the resource's name " + text);
    } else if (!seen.add(resource, 0)) {
      problems.add(at, "is given twice");
    }
    if (std::string text = endpoint_problem(endpoint); !text.empty()) {
      problems.add(at, check::quoted(endpoint) + ' ' + text);
    }
  }
}

inline void check_replicas(const Cell& cell, const KnownNames& cells, const Path& path,
                           Problems& problems) {
  if (!check_count(cell.replicas.size(), kMaxReplicas, Path(path, "replicas"), problems)) return;
  cells.check_list(cell.replicas, path, "replicas", problems);
  for (std::size_t i = 0; i < cell.replicas.size(); ++i) {
    if (cell.replicas[i] != cell.id) continue;
    problems.add(Path(path, "replicas", i), "is the cell itself: a replica is another cell");
  }
}

inline void check_numbers(const Cell& cell, const Path& path, Problems& problems) {
  if (cell.weight < 1 || cell.weight > kMaxWeight) {
    problems.add(Path(path, "weight"), "must be from 0.001 to 1,000");
  }
  if (cell.capacity > kMaxCapacity) {
    problems.add(Path(path, "capacity"), "must be at most " + counted(kMaxCapacity));
  }
  if (cell.load > kMaxCapacity) {
    problems.add(Path(path, "load"), "must be at most " + counted(kMaxCapacity));
  }
}

inline void check_cell(const Topology& topology, const Cell& cell, const Names& names,
                       const Path& path, Problems& problems) {
  check_place(cell, topology, names, path, problems);
  check_endpoints(cell, path, problems);
  check_numbers(cell, path, problems);
  names.certifications.check_list(cell.certifications, path, "certifications", problems);
  if (!cell.encryption.empty()) {
    names.levels.check(cell.encryption, Path(path, "encryption"), problems);
  }
  check_replicas(cell, names.cells, path, problems);
  check_labels(cell, path, problems);
  if (cell.breaker == BreakerOverride()) return;
  const std::uint32_t tier = names.tiers.find(cell.tier);
  BreakerPolicy in_effect = topology.policy.breaker;
  if (tier < topology.tiers.size()) in_effect = merged(in_effect, topology.tiers[tier].breaker);
  check_override(cell.breaker, merged(in_effect, cell.breaker), Path(path, "breaker"), problems);
}

inline void check_cells(const Topology& topology, Names& names, Problems& problems) {
  const Path root;
  if (topology.cells.empty()) problems.add(Path(root, "cells"), "is empty: list at least one cell");
  if (!check_count(topology.cells.size(), kMaxCells, Path(root, "cells"), problems)) return;
  for (std::size_t i = 0; i < topology.cells.size(); ++i) {
    const Path path(root, "cells", i);
    names.cells.add(topology.cells[i].id, Path(path, "id"), problems);
  }
  for (std::size_t i = 0; i < topology.cells.size(); ++i) {
    check_cell(topology, topology.cells[i], names, Path(root, "cells", i), problems);
  }
}

}  // namespace cellroute::check
