// Topologies of every kind, from one seed each.
#pragma once

#include <random>
#include <string>
#include <vector>

#include "cellroute/topology.hpp"

namespace agreement {

using namespace cellroute;

class TopologyMaker {
 public:
  explicit TopologyMaker(std::uint64_t seed) : random_(seed) {}

  Topology make() {
    made_.generation = 1 + below(1000);
    made_.hash_seed = random_();
    for (std::uint64_t i = below(4); i > 0; --i) made_.tiers.push_back({numbered("t", i), {}, {}});
    for (std::uint64_t i = below(4); i > 0; --i) made_.regions.push_back(numbered("r", i));
    made_.certifications = {"SOC2", "PCI-DSS", "FedRAMP"};
    made_.encryption_levels = {"standard", "enhanced", "maximum"};
    made_.policy.affinity = below(2) ? Affinity::kStateful : Affinity::kStateless;
    made_.policy.unassigned = static_cast<Unassigned>(below(3));
    choose_strategy();
    for (std::uint64_t i = 1 + below(24); i > 0; --i) add_cell(i);
    for (Cell& cell : made_.cells) add_replica(cell);
    order_cells();
    choose_rules();
    choose_guards();
    return made_;
  }

 private:
  std::uint64_t below(std::uint64_t n) { return random_() % n; }
  static std::string numbered(const char* letter, std::uint64_t i) {
    return letter + std::to_string(i);
  }

  std::vector<std::string> some(const std::vector<std::string>& names) {
    std::vector<std::string> chosen;
    for (const std::string& name : names) {
      if (below(3) == 0) chosen.push_back(name);
    }
    return chosen;
  }
  std::string one(const std::vector<std::string>& names) {
    return names.empty() ? "" : names[below(names.size())];
  }

  bool stateless() const { return made_.policy.affinity == Affinity::kStateless; }
  bool placed() const { return !stateless() && made_.policy.unassigned == Unassigned::kPlace; }
  bool ordered() const { return Picker::ordered(made_.policy.strategy); }

  void choose_strategy() {
    Policy& policy = made_.policy;
    policy.strategy = static_cast<StrategyKind>(below(kStrategyKinds));
    policy.slots = 1024u << below(3);
    if (!placed()) policy.selection = static_cast<Selection>(below(3));
    if (stateless() && below(3) == 0) policy.shuffle_shard = static_cast<std::uint32_t>(below(5));
    if (stateless() && below(3) == 0) policy.bounded_load = 1250;
  }

  void add_cell(std::uint64_t number) {
    Cell cell;
    cell.id = numbered("cell-", number);
    if (!made_.tiers.empty()) cell.tier = made_.tiers[below(made_.tiers.size())].name;
    cell.region = one(made_.regions);
    cell.endpoint = "https://" + cell.id + ".example.com";
    if (below(2)) cell.endpoints = {{"orders", "https://orders." + cell.id + ".example.com"}};
    cell.capacity = below(2) ? 100 + below(1000) : 0;
    cell.load = below(100);
    if (!ordered() && below(3) == 0) {
      cell.weight = kUnitWeight * static_cast<std::uint32_t>(1 + below(4));
    }
    if (!placed() && below(6) == 0) cell.state = CellState::kDraining;
    if (below(12) == 0) cell.state = CellState::kOffline;
    if (below(12) == 0) cell.health = Health::kUnhealthy;
    cell.certifications = some(made_.certifications);
    cell.encryption = one(made_.encryption_levels);
    made_.cells.push_back(cell);
  }

  void add_replica(Cell& cell) {
    const std::string& id = made_.cells[below(made_.cells.size())].id;
    if (id != cell.id && below(2)) cell.replicas = {id};
  }

  void order_cells() {
    if (!ordered()) return;
    for (const Cell& cell : made_.cells) made_.policy.order.push_back(cell.id);
  }

  void choose_rules() {
    Policy& policy = made_.policy;
    for (const char* name : {"F0", "F1", "F2"}) {
      policy.flags.push_back({name, some(made_.certifications), some(made_.regions),
                              below(2) ? one(made_.encryption_levels) : ""});
    }
    policy.risk = {800'000'000, one(made_.encryption_levels),
                   below(2) ? RiskMode::kPrefer : RiskMode::kRequire};
    for (std::size_t i = 0; i + 1 < made_.tiers.size(); ++i) {
      policy.tier_fallback.push_back({made_.tiers[i].name, {made_.tiers[i + 1].name}});
    }
    for (std::size_t i = 0; i + 1 < made_.regions.size(); ++i) {
      if (below(2)) policy.region_fallback.push_back({made_.regions[i], {made_.regions[i + 1]}});
    }
  }

  void choose_guards() {
    Policy& policy = made_.policy;
    policy.timeout = static_cast<Nanos>(1 + below(60)) * kSecond;
    policy.limiter_entries = 1024;
    if (below(2)) policy.breaker.consecutive_failures = 2 + static_cast<std::uint32_t>(below(4));
    if (below(2)) policy.in_flight = {static_cast<std::uint32_t>(1 + below(30)), kSecond};
    for (const LimitPer per : {LimitPer::kKey, LimitPer::kKeyAndResource, LimitPer::kCell}) {
      if (below(2)) continue;
      Limit limit;
      limit.per = per;
      limit.kind = below(2) ? LimitKind::kBucket : LimitKind::kWindow;
      limit.requests = (per == LimitPer::kCell ? 100 : 3) + below(20);
      policy.limits.push_back(limit);
    }
  }

  std::mt19937_64 random_;
  Topology made_;
};

}  // namespace agreement
