// A snapshot: a compiled topology with its mappings, immutable and shared; what one route() reads.
// Its identity is that of the topology (generation), of the base of its mappings (generation), and
// of the changes laid over it.
#pragma once

#include <cmath>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "cellroute/decision.hpp"
#include "cellroute/guard/plan.hpp"
#include "cellroute/mapping_file.hpp"
#include "cellroute/overlay.hpp"
#include "cellroute/policy.hpp"
#include "cellroute/request.hpp"

namespace cellroute {

struct ResolvedProfile {
  Profile profile;
  Reason reason = Reason::kNone;  // why a name was refused; kNone: none was
};

// A cell as the path needs it, of a size that takes no multiplication to find.
struct alignas(32) CellPath {
  const CellRules* rules = nullptr;
  std::uint64_t serves = 0;   // see serves_mapped()
  std::uint32_t number = 0;   // in the guard region's directory
  CellIndex index = kNoCell;  // kNoCell: the topology has no such cell
  const EjectionGroup* group = nullptr;

  // Whether the cell may serve a key that is mapped to it and has this requirement: it is not
  // OFFLINE, and passes. Of the first 64 requirements alone; false says nothing of another.
  CELLROUTE_HOT bool serves_mapped(std::uint32_t requirement) const noexcept {
    return requirement < 64 && (serves >> requirement & 1) != 0;
  }
};

// What every request reads, side by side.
struct SnapshotPath {
  std::uint64_t generation = 0;
  std::uint64_t seed = 0;
  double risk_above = 0;  // the least risk that is above the threshold
  std::uint16_t tiers = 0;
  std::uint16_t regions = 0;
  std::uint16_t plans = 0;          // the last one's number
  std::uint16_t unknown_flags = 0;  // bits that stand for no flag
  bool has_changes = false;         // in the overlay
  Unassigned unassigned = Unassigned::kPlace;
  // A key goes to its cell or nowhere, and no limit charges keys: where there is no base, and where
  // there is one.
  bool pinned = false;
  bool pinned_over_base = false;
  const MappingFile* base = nullptr;
  const Requirements* requirements = nullptr;
  const PoolIndex* pool_of_class = nullptr;
  const Pool* pools = nullptr;
  const CellPath* cells = nullptr;
  std::size_t cell_count = 0;
  Nanos timeout = 0;
};

// The least risk above a threshold in billionths. Risk counts rounded to billionths, so that a sum
// like 0.1 + 0.2 meets the 0.3 that it means; rounding keeps order, so one comparison will do.
inline double least_above(std::uint32_t threshold) noexcept {
  const double first = static_cast<double>(threshold) + 1;
  const auto above = [&](double risk) { return risk * 1e9 + 0.5 >= first; };
  double risk = (first - 0.5) / 1e9;
  while (above(risk)) risk = std::nextafter(risk, 0.0);
  while (!above(risk)) risk = std::nextafter(risk, 2.0);
  return risk;
}

// Thread safety: immutable; any number of threads may read.
class Snapshot {
 public:
  // `numbers[i]` is cell i's number in the guard region's directory, and `guards` was made with
  // them. A key is what its record among `changes` says, of several the newest, in whatever order
  // they come; else what `base` says, where there is one.
  Snapshot(std::shared_ptr<const CompiledTopology> compiled, std::span<const std::uint32_t> numbers,
           GuardPlan guards, std::shared_ptr<const MappingFile> base,
           std::span<const MappingRecord> changes)
      : compiled_(std::move(compiled)), guards_(std::move(guards)), base_(std::move(base)) {
    for (const std::uint32_t number : numbers) {
      const auto i = static_cast<CellIndex>(cells_.size());
      cells_.push_back({&guards_.rules(i), serves_mapped(i), number, i, &guards_.group(i)});
      if (number >= indexes_.size()) indexes_.resize(number + 1, kNoCell);
      indexes_[number] = i;
    }
    for (const MappingRecord& record : changes) {
      overlay_.add(record.key, hash_bytes(seed(), record.key), record.revision, mapped(record));
    }
    no_cell_.rules = &guards_.default_rules();
    no_cell_.group = &kNoGroup;
    if (base_) name_base();
    make_path();
  }

  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;

  const CompiledTopology& compiled() const noexcept { return *compiled_; }
  const std::shared_ptr<const CompiledTopology>& shared_compiled() const noexcept {
    return compiled_;
  }
  std::uint64_t generation() const noexcept { return compiled_->topology().generation; }
  const Overlay& overlay() const noexcept { return overlay_; }
  const std::shared_ptr<const MappingFile>& base() const noexcept { return base_; }
  const GuardPlan& guards() const noexcept { return guards_; }

  const SnapshotPath& path() const noexcept { return path_; }
  std::uint64_t hash(std::string_view key) const noexcept { return hash_bytes(path_.seed, key); }

  // Of kNoCell: a cell that serves nothing.
  const CellPath& cell_path(CellIndex i) const noexcept {
    return i == kNoCell ? no_cell_ : cells_[i];
  }
  std::uint32_t number_of(CellIndex i) const noexcept { return cells_[i].number; }
  // kNoCell where this snapshot has no cell of that number.
  CellIndex cell_of(std::uint32_t number) const noexcept {
    return number < indexes_.size() ? indexes_[number] : kNoCell;
  }

  // The cell of that number. Where this snapshot has none: one under the policy's own rules.
  CELLROUTE_HOT const CellPath& cell_numbered(std::uint32_t number) const noexcept {
    return cell_path(cell_of(number));
  }

  // The cell's endpoint for `resource`, its general one where it has none of its own.
  std::string_view endpoint(CellIndex i, std::string_view resource = {}) const noexcept {
    for (const auto& [name, endpoint] : compiled_->cell(i).endpoints) {
      if (name == resource) return endpoint;
    }
    return compiled_->cell(i).endpoint;
  }

  // Names to a handle that is good for this generation. An unknown name is refused, never guessed.
  ResolvedProfile profile(const ProfileNames& names) const noexcept {
    ResolvedProfile resolved;
    Profile& profile = resolved.profile;
    profile.generation = generation();
    if (!resolve(names.tier, compiled_->tier_names(), compiled_->tier_count(), profile.tier)) {
      resolved.reason = Reason::kTierUnknown;
    } else if (!resolve(names.region, compiled_->region_names(), compiled_->region_count(),
                        profile.region)) {
      resolved.reason = Reason::kRegionUnknown;
    } else if (!resolve_flags(names.flags, profile.flags)) {
      resolved.reason = Reason::kFlagUnknown;
    } else if (!resolve_plan(names.plan, profile.plan)) {
      resolved.reason = Reason::kPlanUnknown;
    }
    return resolved;
  }

  // A record in this snapshot's numbers.
  Mapped mapped(const MappingRecord& record) const noexcept {
    Mapped mapped;
    mapped.generation = generation();
    if (record.deleted) {
      mapped.epoch = record.epoch;
      return mapped;
    }
    mapped.answer = Answer::kFound;
    mapped.state = record.state;
    mapped.cell = compiled_->find_cell(record.cell);
    mapped.epoch = record.epoch;
    mapped.expires = record.expires;
    if (record.profile) {
      mapped.has_profile = true;
      mapped.profile_known = resolve_record(*record.profile, mapped.profile);
    }
    return mapped;
  }

  // An answer of base() in this snapshot's numbers.
  Mapped mapped(const FileAnswer& answer) const noexcept {
    Mapped mapped;
    mapped.generation = path_.generation;
    mapped.answer = answer.answer;
    if (answer.answer != Answer::kFound) return mapped;
    const BaseProfile& profile = base_profiles_[answer.profile];
    mapped.state = answer.state;
    mapped.has_profile = profile.given;
    mapped.profile_known = profile.known;
    mapped.cell = base_cells_[answer.cell].index;
    mapped.profile = profile.profile;
    mapped.epoch = answer.epoch;
    mapped.expires = answer.expires;
    return mapped;
  }

  // The base's cell number `cell`.
  const CellPath& base_cell(std::uint32_t cell) const noexcept { return base_cells_[cell]; }
  // Its number in the guard region, sooner than base_cell() has it: a hint, 0 where there is none.
  std::uint32_t base_number(std::uint32_t cell) const noexcept { return base_numbers_[cell]; }

 private:
  static constexpr EjectionGroup kNoGroup = {};

  // A profile of the base: some records have none.
  struct BaseProfile {
    Profile profile;
    bool given = false;
    bool known = true;
  };

  std::uint64_t seed() const noexcept { return compiled_->topology().hash_seed; }

  // An empty name is the only one there is, or kUnnamed where there are several.
  static bool resolve(std::string_view name, const NameIndex& names, std::size_t count,
                      std::uint16_t& place) noexcept {
    if (name.empty()) {
      place = count == 1 ? 0 : kUnnamed;
      return true;
    }
    const std::uint32_t found = names.find(name);
    if (found == NameIndex::kNone) return false;
    place = static_cast<std::uint16_t>(found);
    return true;
  }

  template <class Names>
  bool resolve_flags(const Names& names, std::uint16_t& flags) const noexcept {
    for (const auto& name : names) {
      const std::uint32_t found = compiled_->flag_names().find(name);
      if (found == NameIndex::kNone) return false;
      flags = static_cast<std::uint16_t>(flags | 1u << found);
    }
    return true;
  }

  // Where no limit names a plan, plans decide nothing and any will do.
  bool resolve_plan(std::string_view name, std::uint16_t& plan) const noexcept {
    if (name.empty() || guards_.plan_count() == 0) return true;
    const std::uint32_t found = guards_.find_plan(name);
    if (found == NameIndex::kNone) return false;
    plan = static_cast<std::uint16_t>(found);
    return true;
  }

  bool resolve_record(const MappedProfile& names, Profile& profile) const noexcept {
    profile.generation = generation();
    return resolve(names.tier, compiled_->tier_names(), compiled_->tier_count(), profile.tier) &&
           resolve(names.region, compiled_->region_names(), compiled_->region_count(),
                   profile.region) &&
           resolve_flags(names.flags, profile.flags) && resolve_plan(names.plan, profile.plan);
  }

  // As CellPath::serves.
  std::uint64_t serves_mapped(CellIndex cell) const noexcept {
    const CellFacts& facts = compiled_->facts(cell);
    if (facts.state == CellState::kOffline) return 0;
    const Requirements& requirements = compiled_->requirements();
    std::uint64_t serves = 0;
    for (std::size_t i = 0; i < requirements.size() && i < 64; ++i) {
      if (requirements[i].passes(facts)) serves |= std::uint64_t{1} << i;
    }
    return serves;
  }

  // The base's cells and profiles in this snapshot's numbers.
  void name_base() {
    for (const std::string& name : base_->cells()) {
      const CellIndex cell = compiled_->find_cell(name);
      base_cells_.push_back(cell == kNoCell ? CellPath() : cells_[cell]);
      base_numbers_.push_back(static_cast<std::uint16_t>(base_cells_.back().number));
    }
    for (const std::optional<MappedProfile>& names : base_->profiles()) {
      BaseProfile& made = base_profiles_.emplace_back();
      if (!names) continue;
      made.given = true;
      made.known = resolve_record(*names, made.profile);
    }
  }

  void make_path() noexcept {
    const Policy& policy = compiled_->topology().policy;
    path_.generation = generation();
    path_.seed = seed();
    path_.risk_above = least_above(policy.risk.threshold);
    path_.tiers = static_cast<std::uint16_t>(compiled_->tier_count());
    path_.regions = static_cast<std::uint16_t>(compiled_->region_count());
    path_.plans = static_cast<std::uint16_t>(guards_.plan_count());
    path_.unknown_flags = static_cast<std::uint16_t>(0xffffu << policy.flags.size());
    path_.base = base_.get();
    path_.has_changes = overlay_.size() > 0;
    path_.unassigned = policy.unassigned;
    const bool pinned = policy.affinity == Affinity::kStateful && !guards_.limits_keys();
    path_.pinned = pinned && base_ == nullptr;
    path_.pinned_over_base = pinned && base_ != nullptr;
    path_.requirements = &compiled_->requirements();
    path_.pool_of_class = compiled_->pool_of_class().data();
    path_.pools = compiled_->pools().data();
    path_.cells = cells_.data();
    path_.cell_count = cells_.size();
    path_.timeout = policy.timeout;
  }

  SnapshotPath path_;
  std::shared_ptr<const CompiledTopology> compiled_;
  std::vector<CellPath> cells_;
  std::vector<CellIndex> indexes_;  // by number
  CellPath no_cell_;
  GuardPlan guards_;
  Overlay overlay_;
  std::shared_ptr<const MappingFile> base_;
  std::vector<CellPath> base_cells_;
  std::vector<std::uint16_t> base_numbers_;  // so few bytes that they stay in the nearest cache
  std::vector<BaseProfile> base_profiles_;
};

}  // namespace cellroute
