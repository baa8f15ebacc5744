// compile(): a topology checked whole and turned into what route() reads.
//
// A class is (tier, region, requirement). Each class is answered when the topology is compiled:
// its pool holds the cells that may serve it, with the strategy's table over them. Classes with
// equal members share one pool. On the path that leaves two loads: flags → requirement, class →
// pool.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cellroute/names.hpp"
#include "cellroute/requirement.hpp"
#include "cellroute/status.hpp"
#include "cellroute/strategy/picker.hpp"
#include "cellroute/tenant/rules.hpp"
#include "cellroute/topology.hpp"
#include "cellroute/topology_check.hpp"

namespace cellroute {

using PoolIndex = std::uint16_t;
inline constexpr PoolIndex kNoPool = 0xffff;

struct Pool {
  std::vector<CellIndex> members;  // in byte order of id
  Picker picker;
};

struct CompileOptions {
  unsigned threads = 1;  // that build tables, the caller's included
};

class CompiledTopology;
Result<std::shared_ptr<const CompiledTopology>> compile(Topology topology,
                                                        const CompileOptions& options = {});

// Thread safety: immutable; any number of threads may read.
class CompiledTopology {
 public:
  // As given, with the cells in byte order of id: a CellIndex is a place in topology().cells.
  const Topology& topology() const noexcept { return topology_; }
  std::size_t cell_count() const noexcept { return facts_.size(); }
  const Cell& cell(CellIndex i) const noexcept { return topology_.cells[i]; }
  const CellFacts& facts(CellIndex i) const noexcept { return facts_[i]; }
  CellIndex find_cell(std::string_view id) const noexcept {
    return static_cast<CellIndex>(cell_ids_.find(id));  // NameIndex::kNone becomes kNoCell
  }

  // Tiers and regions that a topology leaves out count as one without a name.
  std::size_t tier_count() const noexcept { return tier_count_; }
  std::size_t region_count() const noexcept { return region_count_; }
  const NameIndex& tier_names() const noexcept { return tier_names_; }  // aliases included
  const NameIndex& region_names() const noexcept { return region_names_; }
  const NameIndex& flag_names() const noexcept { return flag_names_; }

  // Whose an HTTP request is; null where the topology does not say.
  const tenant::Rules* tenant_rules() const noexcept {
    return tenant_rules_ ? &*tenant_rules_ : nullptr;
  }

  const Requirements& requirements() const noexcept { return requirements_; }
  std::size_t class_count() const noexcept { return pool_of_class_.size(); }
  PoolIndex pool_of(std::size_t tier, std::size_t region, std::size_t requirement) const noexcept {
    return pool_of_class_[class_place(tier, region, requirement, tier_count(), region_count())];
  }
  std::span<const PoolIndex> pool_of_class() const noexcept { return pool_of_class_; }
  // A class's place in pool_of_class().
  static constexpr std::size_t class_place(std::size_t tier, std::size_t region,
                                           std::size_t requirement, std::size_t tiers,
                                           std::size_t regions) noexcept {
    return (requirement * regions + region) * tiers + tier;
  }
  std::span<const Pool> pools() const noexcept { return pools_; }
  const Pool& pool(PoolIndex i) const noexcept { return pools_[i]; }
  StrategyKind strategy() const noexcept { return topology_.policy.strategy; }
  std::size_t table_bytes() const noexcept { return table_bytes_; }

  // The cells that may stand in for `i` on a READ.
  std::span<const CellIndex> replicas(CellIndex i) const noexcept {
    return std::span(replicas_).subspan(replica_starts_[i],
                                        replica_starts_[i + 1] - replica_starts_[i]);
  }

 private:
  friend Result<std::shared_ptr<const CompiledTopology>> compile(Topology, const CompileOptions&);

  CompiledTopology() = default;

  void index_names();
  void index_cells();
  Error make_classes();
  Error make_pools(unsigned threads);
  Result<PoolIndex> pool_with(std::vector<CellIndex> members);
  std::vector<CellIndex> eligible(std::size_t region, std::size_t tier,
                                  const Requirement& requirement) const;
  std::vector<std::uint32_t> order_of(std::uint32_t own, const NameIndex& names,
                                      const std::string& own_name,
                                      const std::vector<Fallback>& fallbacks) const;
  Result<Picker> build_table(std::span<const CellIndex> members_by_id,
                             std::span<const std::uint32_t> order_places) const;

  Topology topology_;
  std::size_t tier_count_ = 1;
  std::size_t region_count_ = 1;
  std::vector<CellFacts> facts_;
  NameIndex cell_ids_, tier_names_, region_names_, flag_names_;
  std::optional<tenant::Rules> tenant_rules_;
  Requirements requirements_;
  std::vector<PoolIndex> pool_of_class_;
  std::vector<Pool> pools_;
  std::vector<CellIndex> replicas_;
  std::vector<std::uint32_t> replica_starts_;
  std::size_t table_bytes_ = 0;

  // While compiling.
  std::vector<std::vector<CellIndex>> active_;   // [region * tier_count + tier], by id
  std::vector<std::vector<CellIndex>> members_;  // of each pool
  std::unordered_multimap<std::uint64_t, PoolIndex> pools_by_members_;
};

inline void CompiledTopology::index_names() {
  tier_count_ = std::max<std::size_t>(1, topology_.tiers.size());
  region_count_ = std::max<std::size_t>(1, topology_.regions.size());
  for (std::uint32_t i = 0; i < topology_.tiers.size(); ++i) {
    tier_names_.add(topology_.tiers[i].name, i);
    for (const std::string& alias : topology_.tiers[i].aliases) tier_names_.add(alias, i);
  }
  for (std::uint32_t i = 0; i < topology_.regions.size(); ++i) {
    region_names_.add(topology_.regions[i], i);
  }
  for (std::uint32_t i = 0; i < topology_.policy.flags.size(); ++i) {
    flag_names_.add(topology_.policy.flags[i].name, i);
  }
}

inline void CompiledTopology::index_cells() {
  NameIndex certifications, levels;
  for (std::uint32_t i = 0; i < topology_.certifications.size(); ++i) {
    certifications.add(topology_.certifications[i], i);
  }
  for (std::uint32_t i = 0; i < topology_.encryption_levels.size(); ++i) {
    levels.add(topology_.encryption_levels[i], i);
  }
  active_.resize(region_count() * tier_count());
  for (std::uint32_t i = 0; i < topology_.cells.size(); ++i) {
    const Cell& cell = topology_.cells[i];
    CellFacts facts;
    for (const std::string& name : cell.certifications) {
      facts.certifications |= std::uint64_t{1} << certifications.find(name);
    }
    // An empty name stands for the only one (topology_check.hpp), or for the weakest level.
    if (!cell.tier.empty()) facts.tier = static_cast<std::uint16_t>(tier_names_.find(cell.tier));
    if (!cell.region.empty()) {
      facts.region = static_cast<std::uint16_t>(region_names_.find(cell.region));
    }
    if (!cell.encryption.empty()) {
      facts.encryption = static_cast<std::uint8_t>(levels.find(cell.encryption));
    }
    facts.state = cell.state;
    facts_.push_back(facts);
    cell_ids_.add(cell.id, i);
    if (cell.state == CellState::kActive) {
      active_[facts.region * tier_count() + facts.tier].push_back(static_cast<CellIndex>(i));
    }
  }
  for (const Cell& cell : topology_.cells) {
    replica_starts_.push_back(static_cast<std::uint32_t>(replicas_.size()));
    for (const std::string& id : cell.replicas) replicas_.push_back(find_cell(id));
  }
  replica_starts_.push_back(static_cast<std::uint32_t>(replicas_.size()));
}

// The active cells of one region and tier that pass; the preferred ones alone if there are any.
inline std::vector<CellIndex> CompiledTopology::eligible(std::size_t region, std::size_t tier,
                                                         const Requirement& requirement) const {
  std::vector<CellIndex> passing;
  for (const CellIndex i : active_[region * tier_count() + tier]) {
    if (requirement.passes(facts_[i])) passing.push_back(i);
  }
  std::vector<CellIndex> preferred;
  for (const CellIndex i : passing) {
    if (facts_[i].encryption >= requirement.preferred_encryption) preferred.push_back(i);
  }
  return preferred.empty() ? passing : preferred;
}

inline Result<PoolIndex> CompiledTopology::pool_with(std::vector<CellIndex> members) {
  if (members.empty()) return kNoPool;
  const std::uint64_t hash = XXH3_64bits(members.data(), members.size() * sizeof(CellIndex));
  const auto [begin, end] = pools_by_members_.equal_range(hash);
  for (auto at = begin; at != end; ++at) {
    if (members_[at->second] == members) return at->second;
  }
  table_bytes_ += members.size() * sizeof(CellIndex);
  if (members_.size() >= kNoPool || table_bytes_ > topology_.policy.max_table_bytes) {
    return refused("policy.max_table_bytes: " + std::to_string(members_.size() + 1) +
                   " distinct pools need more than " +
                   std::to_string(topology_.policy.max_table_bytes) + " bytes");
  }
  const auto index = static_cast<PoolIndex>(members_.size());
  members_.push_back(std::move(members));
  pools_by_members_.emplace(hash, index);
  return index;
}

// Own name first, then its fallbacks.
inline std::vector<std::uint32_t> CompiledTopology::order_of(
    std::uint32_t own, const NameIndex& names, const std::string& own_name,
    const std::vector<Fallback>& fallbacks) const {
  std::vector<std::uint32_t> order{own};
  for (const Fallback& fallback : fallbacks) {
    if (names.find(fallback.from) != names.find(own_name)) continue;
    for (const std::string& to : fallback.to) order.push_back(names.find(to));
  }
  return order;
}

inline Error CompiledTopology::make_classes() {
  const std::size_t classes = tier_count() * region_count() * requirements_.size();
  if (classes > kMaxClasses) {
    return refused("the topology has " + std::to_string(classes) + " classes (" +
                   std::to_string(tier_count()) + " tiers × " + std::to_string(region_count()) +
                   " regions × " + std::to_string(requirements_.size()) +
                   " requirements); at most 65,536 are allowed: merge flags or tiers");
  }
  std::vector<std::vector<std::uint32_t>> tier_orders, region_orders;
  for (std::uint32_t t = 0; t < tier_count(); ++t) {
    const std::string own = topology_.tiers.empty() ? std::string() : topology_.tiers[t].name;
    tier_orders.push_back(order_of(t, tier_names_, own, topology_.policy.tier_fallback));
  }
  for (std::uint32_t r = 0; r < region_count(); ++r) {
    const std::string own = topology_.regions.empty() ? std::string() : topology_.regions[r];
    region_orders.push_back(order_of(r, region_names_, own, topology_.policy.region_fallback));
  }
  pool_of_class_.reserve(classes);
  std::vector<PoolIndex> pool_of_set(active_.size());
  for (std::size_t q = 0; q < requirements_.size(); ++q) {
    for (std::size_t r = 0; r < region_count(); ++r) {
      for (std::size_t t = 0; t < tier_count(); ++t) {
        Result<PoolIndex> pool = pool_with(eligible(r, t, requirements_[q]));
        if (!pool.ok()) return pool.error();
        pool_of_set[r * tier_count() + t] = *pool;
      }
    }
    const auto first_of = [&](std::size_t region, std::size_t tier) {
      for (const std::uint32_t r : region_orders[region]) {
        for (const std::uint32_t t : tier_orders[tier]) {
          const PoolIndex pool = pool_of_set[r * tier_count() + t];
          if (pool != kNoPool) return pool;
        }
      }
      return kNoPool;
    };
    for (std::size_t r = 0; r < region_count(); ++r) {
      for (std::size_t t = 0; t < tier_count(); ++t) pool_of_class_.push_back(first_of(r, t));
    }
  }
  return {};
}

// `order_places[i]` is cell i's place in policy.order, for the strategies that read it.
inline Result<Picker> CompiledTopology::build_table(
    std::span<const CellIndex> members_by_id, std::span<const std::uint32_t> order_places) const {
  std::vector<CellIndex> cells(members_by_id.begin(), members_by_id.end());
  if (!order_places.empty()) {
    std::sort(cells.begin(), cells.end(),
              [&](CellIndex a, CellIndex b) { return order_places[a] < order_places[b]; });
  }
  std::vector<Member> members;
  members.reserve(cells.size());
  for (const CellIndex i : cells) {
    Member member{i, topology_.cells[i].id, topology_.cells[i].weight, {}};
    for (const auto& [label, value] : topology_.cells[i].labels) {
      if (label == "ketama_name") member.ketama_name = value;
    }
    members.push_back(member);
  }
  const StrategyOptions options{topology_.hash_seed, topology_.policy.slots,
                                static_cast<std::size_t>(topology_.policy.max_table_bytes)};
  return Picker::build(strategy(), members, options);
}

inline Error CompiledTopology::make_pools(unsigned threads) {
  std::vector<std::uint32_t> order_places;
  if (!topology_.policy.order.empty()) {
    order_places.resize(topology_.cells.size());
    for (std::uint32_t place = 0; place < topology_.policy.order.size(); ++place) {
      order_places[find_cell(topology_.policy.order[place])] = place;
    }
  }
  std::vector<std::optional<Result<Picker>>> tables(members_.size());
  std::atomic<std::size_t> next{0};
  std::atomic<std::size_t> bytes{table_bytes_};
  const auto build_some = [&] {
    for (std::size_t i = next++; i < tables.size(); i = next++) {
      if (bytes.load() > topology_.policy.max_table_bytes) return;
      tables[i] = build_table(members_[i], order_places);
      if (tables[i]->ok()) bytes += (*tables[i])->table_bytes();
    }
  };
  std::vector<std::thread> helpers;
  for (unsigned i = 1; i < std::min<std::size_t>(threads, tables.size()); ++i) {
    try {
      helpers.emplace_back(build_some);
    } catch (const std::system_error&) {
      break;  // no thread to be had: the ones there are do the work
    }
  }
  build_some();
  for (std::thread& helper : helpers) helper.join();
  table_bytes_ = bytes.load();
  if (table_bytes_ > topology_.policy.max_table_bytes) {
    return refused("policy.max_table_bytes: the tables of " + std::to_string(tables.size()) +
                   " pools need more than " + std::to_string(topology_.policy.max_table_bytes) +
                   " bytes: lower policy.slots, or raise the bound");
  }
  pools_.reserve(tables.size());
  for (std::size_t i = 0; i < tables.size(); ++i) {
    if (!tables[i]->ok()) return tables[i]->error();
    pools_.push_back({std::move(members_[i]), std::move(**tables[i])});
  }
  return {};
}

// Checks `topology` whole and compiles it. kInvalidArgument with the first problems if it breaks
// a rule, kRefused with the count if it is over a bound. Does not depend on the order of cells.
// Allocates; may run for seconds on a large topology: call it off the event loop.
inline Result<std::shared_ptr<const CompiledTopology>> compile(Topology topology,
                                                               const CompileOptions& options) {
  const std::vector<Problem> problems = check_topology(topology);
  if (!problems.empty()) {
    std::string text;
    for (std::size_t i = 0; i < std::min<std::size_t>(problems.size(), 5); ++i) {
      text += (i ? "; " : "") + problems[i].path + ": " + problems[i].text;
    }
    if (problems.size() > 5) text += "; and " + std::to_string(problems.size() - 5) + " more";
    return invalid_argument(std::move(text));
  }
  std::sort(topology.cells.begin(), topology.cells.end(),
            [](const Cell& a, const Cell& b) { return a.id < b.id; });
  std::shared_ptr<CompiledTopology> compiled(new CompiledTopology);
  compiled->topology_ = std::move(topology);
  compiled->requirements_ = Requirements(compiled->topology_);
  if (const auto& tenant = compiled->topology_.tenant) compiled->tenant_rules_.emplace(*tenant);
  compiled->index_names();
  compiled->index_cells();
  if (Error error = compiled->make_classes(); !error.ok()) return error;
  if (Error error = compiled->make_pools(options.threads); !error.ok()) return error;
  compiled->active_ = {};
  compiled->members_ = {};
  compiled->pools_by_members_ = {};
  return std::shared_ptr<const CompiledTopology>(std::move(compiled));
}

}  // namespace cellroute
