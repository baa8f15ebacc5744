// A snapshot: a compiled topology with its mappings, immutable and shared; what one route() reads.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "cellroute/decision.hpp"
#include "cellroute/guard/plan.hpp"
#include "cellroute/overlay.hpp"
#include "cellroute/policy.hpp"
#include "cellroute/request.hpp"

namespace cellroute {

struct ResolvedProfile {
  Profile profile;
  Reason reason = Reason::kNone;  // why a name was refused; kNone: none was
};

// What every request reads, side by side.
struct SnapshotPath {
  std::uint64_t generation = 0;
  std::uint64_t seed = 0;
  double risk_limit = 0;  // risk in billionths, plus a half, is above the threshold from here on
  Nanos timeout = 0;
  Unassigned unassigned = Unassigned::kPlace;
  Affinity affinity = Affinity::kStateful;
  bool has_mappings = false;
  bool has_key_limits = false;
};

// Thread safety: immutable; any number of threads may read.
class Snapshot {
 public:
  // `numbers[i]` is cell i's number in the guard region's directory, and `guards` was made with
  // them. Of several records of a key the newest counts, in whatever order they come.
  Snapshot(std::shared_ptr<const CompiledTopology> compiled, std::vector<std::uint32_t> numbers,
           GuardPlan guards, std::span<const MappingRecord> mappings)
      : compiled_(std::move(compiled)), numbers_(std::move(numbers)), guards_(std::move(guards)) {
    for (CellIndex i = 0; i < numbers_.size(); ++i) {
      if (numbers_[i] >= indexes_.size()) indexes_.resize(numbers_[i] + 1, kNoCell);
      indexes_[numbers_[i]] = i;
    }
    for (const MappingRecord& record : mappings) {
      mappings_.add(record.key, hash_bytes(seed(), record.key), record.revision, mapped(record));
    }
    const Policy& policy = compiled_->topology().policy;
    path_.generation = generation();
    path_.seed = seed();
    path_.risk_limit = static_cast<double>(policy.risk.threshold) + 1;
    path_.timeout = policy.timeout;
    path_.unassigned = policy.unassigned;
    path_.affinity = policy.affinity;
    path_.has_mappings = mappings_.size() > 0;
    for (std::uint32_t plan = 0; plan <= guards_.plan_count(); ++plan) {
      path_.has_key_limits =
          path_.has_key_limits || !guards_.limits(static_cast<std::uint16_t>(plan)).empty();
    }
  }

  const CompiledTopology& compiled() const noexcept { return *compiled_; }
  const std::shared_ptr<const CompiledTopology>& shared_compiled() const noexcept {
    return compiled_;
  }
  std::uint64_t generation() const noexcept { return compiled_->topology().generation; }
  const Overlay& mappings() const noexcept { return mappings_; }
  const GuardPlan& guards() const noexcept { return guards_; }

  const SnapshotPath& path() const noexcept { return path_; }
  std::uint64_t hash(std::string_view key) const noexcept { return hash_bytes(path_.seed, key); }

  std::uint32_t number_of(CellIndex i) const noexcept { return numbers_[i]; }
  // kNoCell where this snapshot has no cell of that number.
  CellIndex cell_of(std::uint32_t number) const noexcept {
    return number < indexes_.size() ? indexes_[number] : kNoCell;
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
    if (record.deleted) {
      mapped.epoch = record.epoch;
      return mapped;
    }
    mapped.answer = Answer::kFound;
    mapped.state = record.state;
    mapped.cell = compiled_->find_cell(record.cell);
    mapped.epoch = record.epoch;
    if (record.profile) {
      mapped.has_profile = true;
      mapped.profile_known = resolve_record(*record.profile, mapped.profile);
    }
    return mapped;
  }

 private:
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

  SnapshotPath path_;
  std::shared_ptr<const CompiledTopology> compiled_;
  std::vector<std::uint32_t> numbers_;
  std::vector<CellIndex> indexes_;  // by number
  GuardPlan guards_;
  Overlay mappings_;
};

}  // namespace cellroute
