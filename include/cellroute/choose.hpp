// Steps 1 to 4 of a decision: is the request sound, where does a mapping put its key, and which
// pool may serve it. Reads the snapshot alone.
#pragma once

#include <cmath>
#include <cstdint>

#include "cellroute/decision.hpp"
#include "cellroute/request.hpp"
#include "cellroute/snapshot.hpp"

namespace cellroute {

// What is known of a key before the guards are asked.
struct Choice {
  Status status = Status::kOk;
  Reason reason = Reason::kPlaced;
  bool mapped = false;
  CellIndex cell = kNoCell;  // of a mapped key
  PoolIndex pool = kNoPool;  // of a key to be placed
  std::uint16_t plan = 0;
  std::uint32_t requirement = 0;
  std::uint64_t epoch = 0;
  std::uint64_t hash = 0;  // of the key, under the placement seed
};

// Whether the handle is of this topology. Its numbers come from the host's memory: those of tier
// and region are checked where they are used.
CELLROUTE_HOT inline bool is_current(const SnapshotPath& path, const Profile& profile) noexcept {
  return profile.generation == path.generation && (profile.flags & path.unknown_flags) == 0 &&
         profile.plan <= path.plans;
}

// Step 1, in short.
CELLROUTE_HOT inline bool is_sound(const SnapshotPath& path, const Request& request) noexcept {
  return key_length_ok(request.key) && is_current(path, request.profile) && request.risk >= 0 &&
         request.risk <= 1 && request.resource.size() <= kMaxResourceBytes &&
         request.tried.size() <= kMaxTried;
}

// Step 1: kNone, or what is wrong with the request.
CELLROUTE_COLD inline Reason check_request(const Snapshot& snapshot,
                                           const Request& request) noexcept {
  if (is_sound(snapshot.path(), request)) return Reason::kNone;
  if (request.key.empty()) return Reason::kKeyEmpty;
  if (request.key.size() > kMaxKeyBytes) return Reason::kKeyTooLong;
  if (!is_current(snapshot.path(), request.profile)) return Reason::kProfileStale;
  if (!std::isfinite(request.risk)) return Reason::kRiskNotFinite;
  if (request.risk < 0 || request.risk > 1) return Reason::kRiskOutOfRange;
  return request.tried.size() > kMaxTried ? Reason::kTooManyTried : Reason::kResourceTooLong;
}

inline void deny(Choice& choice, Status status, Reason reason) noexcept {
  choice.status = status;
  choice.reason = reason;
}

// Whether a mapping is of this topology; its numbers too come from the host's memory.
CELLROUTE_HOT inline bool is_current(const SnapshotPath& path, const Mapped& mapped) noexcept {
  return mapped.generation == path.generation &&
         (mapped.cell < path.cell_count || mapped.cell == kNoCell) &&
         (mapped.profile.flags & path.unknown_flags) == 0 && mapped.profile.plan <= path.plans;
}

// Step 2: a mapped key's cell serves it or nobody does.
CELLROUTE_HOT inline void choose_mapped(const Snapshot& snapshot, const Request& request,
                                        const Mapped& mapped, Choice& choice) noexcept {
  const CompiledTopology& compiled = snapshot.compiled();
  if (!is_current(snapshot.path(), mapped)) [[unlikely]] {
    return deny(choice, Status::kInvalidArgument, Reason::kMappingStale);
  }
  choice.mapped = true;
  choice.cell = mapped.cell;
  choice.epoch = mapped.epoch;
  choice.reason = mapped.stale ? Reason::kStaleMapping : Reason::kMapped;
  std::uint32_t flags = request.profile.flags;
  if (mapped.has_profile) {
    flags |= mapped.profile.flags;
    if (mapped.profile.plan != 0) choice.plan = mapped.profile.plan;
  }
  if (mapped.cell == kNoCell) {
    return deny(choice, Status::kUnavailable, Reason::kMappedCellUnknown);
  }
  const CellFacts& cell = compiled.facts(mapped.cell);
  if (cell.state == CellState::kOffline) {
    return deny(choice, Status::kUnavailable, Reason::kMappedCellOffline);
  }
  if (!mapped.profile_known) {
    return deny(choice, Status::kCompliance, Reason::kMappedProfileUnknown);
  }
  const bool above = request.risk >= snapshot.path().risk_above;
  choice.requirement = compiled.requirements().find(flags, above);
  const Requirement& requirement = compiled.requirements()[choice.requirement];
  if (!requirement.flags_pass(cell)) {
    return deny(choice, Status::kCompliance, Reason::kMappedCellBreaksFlags);
  }
  if (!requirement.risk_passes(cell)) {
    return deny(choice, Status::kCompliance, Reason::kMappedCellBreaksRisk);
  }
  if (mapped.state == MigrationState::kFreezing) {
    return deny(choice, Status::kMigrating, Reason::kFreezing);
  }
  if (mapped.state == MigrationState::kFrozen) {
    return deny(choice, Status::kMigrating, Reason::kFrozen);
  }
}

// Steps 3 and 4: the pool of the key's class.
CELLROUTE_HOT inline void choose_pool(const SnapshotPath& path, const Request& request,
                                      Choice& choice) noexcept {
  if (path.unassigned == Unassigned::kReject) [[unlikely]] {
    return deny(choice, Status::kUnassigned, Reason::kUnassignedRejected);
  }
  const Profile& profile = request.profile;
  if (profile.tier >= path.tiers) [[unlikely]] {
    return deny(choice, Status::kInvalidArgument,
                profile.tier == kUnnamed ? Reason::kTierMissing : Reason::kProfileStale);
  }
  if (profile.region >= path.regions) [[unlikely]] {
    return deny(choice, Status::kInvalidArgument,
                profile.region == kUnnamed ? Reason::kRegionMissing : Reason::kProfileStale);
  }
  choice.requirement = path.requirements->find(profile.flags, request.risk >= path.risk_above);
  choice.pool = path.pool_of_class[CompiledTopology::class_place(
      profile.tier, profile.region, choice.requirement, path.tiers, path.regions)];
  if (choice.pool == kNoPool) [[unlikely]] {
    return deny(choice, Status::kNoEligibleCell, Reason::kNoCellPasses);
  }
  if (path.unassigned == Unassigned::kAssign) [[unlikely]] {
    deny(choice, Status::kUnassigned, Reason::kAwaitsAssignment);
  }
}

// Steps 2 to 4 for a key of which `mapped` is what is known; null: nothing.
CELLROUTE_HOT inline void choose_by(const Snapshot& snapshot, const Request& request,
                                    const Mapped* mapped, Nanos now, Choice& choice) noexcept {
  if (mapped != nullptr && mapped->answer == Answer::kUnknown) [[unlikely]] {
    deny(choice, Status::kUnavailable, Reason::kLookupUnknown);
  } else if (mapped == nullptr || mapped->answer == Answer::kAbsent ||
             (mapped->expires != 0 && now >= mapped->expires)) {
    choose_pool(snapshot.path(), request, choice);
  } else {
    choose_mapped(snapshot, request, *mapped, choice);
  }
}

// Step 1, and what the next ones begin with. False where the request is not sound.
CELLROUTE_HOT inline bool begin_choice(const Snapshot& snapshot, const Request& request,
                                       Choice& choice) noexcept {
  if (!is_sound(snapshot.path(), request)) [[unlikely]] {
    deny(choice, Status::kInvalidArgument, check_request(snapshot, request));
    return false;
  }
  choice.hash = snapshot.hash(request.key);
  choice.plan = request.profile.plan;
  return true;
}

// Of a snapshot without a base. Inlined into the path, where the compiler keeps a Choice in
// registers.
CELLROUTE_HOT inline Choice choose_without_base(const Snapshot& snapshot, const Request& request,
                                                Nanos now) noexcept {
  Choice choice;
  if (!begin_choice(snapshot, request, choice)) [[unlikely]]
    return choice;
  const Mapped* mapped = request.mapping;
  if (mapped == nullptr && snapshot.path().has_changes) {
    mapped = snapshot.overlay().find(request.key, choice.hash);
  }
  choose_by(snapshot, request, mapped, now, choice);
  return choice;
}

// Of one with a base; `in_base` is what the base says of the key, where it was asked already. Its
// memory is asked before the overlay is, so that the one's answer comes while the other is
// searched.
CELLROUTE_HOT inline Choice choose_over_base(const Snapshot& snapshot, const Request& request,
                                             Nanos now, const FileAnswer* in_base) noexcept {
  Choice choice;
  if (!is_sound(snapshot.path(), request)) [[unlikely]] {
    begin_choice(snapshot, request, choice);
    return choice;
  }
  const MappingFile& base = *snapshot.base();
  MappingFile::Place place{};
  if (in_base == nullptr) place = base.ask(request.key);
  begin_choice(snapshot, request, choice);
  const Mapped* mapped = request.mapping;
  if (mapped == nullptr && snapshot.path().has_changes) {
    mapped = snapshot.overlay().find(request.key, choice.hash);
  }
  if (mapped != nullptr) {
    choose_by(snapshot, request, mapped, now, choice);
    return choice;
  }
  const FileAnswer found = in_base != nullptr ? *in_base : base.find(request.key, place);
  const Mapped in_numbers = snapshot.mapped(found);
  choose_by(snapshot, request, &in_numbers, now, choice);
  return choice;
}

inline Choice choose(const Snapshot& snapshot, const Request& request, Nanos now,
                     const FileAnswer* in_base = nullptr) noexcept {
  return snapshot.path().has_base ? choose_over_base(snapshot, request, now, in_base)
                                  : choose_without_base(snapshot, request, now);
}

}  // namespace cellroute
