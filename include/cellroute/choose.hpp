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
  CellIndex cell = kNoCell;        // of a mapped key
  const CellPath* home = nullptr;  // the same as the path needs it
  PoolIndex pool = kNoPool;        // of a key to be placed
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

struct Verdict {
  Status status = Status::kOk;
  Reason reason = Reason::kNone;
};

// Why a mapped key is denied, in the order in which reasons count; kOk where it is not.
CELLROUTE_COLD inline Verdict judge_mapped(const Snapshot& snapshot, CellIndex cell,
                                           bool profile_known, std::uint32_t of_key,
                                           MigrationState state) noexcept {
  if (cell == kNoCell) return {Status::kUnavailable, Reason::kMappedCellUnknown};
  const CellFacts& facts = snapshot.compiled().facts(cell);
  if (facts.state == CellState::kOffline) {
    return {Status::kUnavailable, Reason::kMappedCellOffline};
  }
  if (!profile_known) return {Status::kCompliance, Reason::kMappedProfileUnknown};
  const Requirement& requirement = snapshot.compiled().requirements()[of_key];
  if (!requirement.flags_pass(facts)) {
    return {Status::kCompliance, Reason::kMappedCellBreaksFlags};
  }
  if (!requirement.risk_passes(facts)) return {Status::kCompliance, Reason::kMappedCellBreaksRisk};
  if (state == MigrationState::kFreezing) return {Status::kMigrating, Reason::kFreezing};
  if (state == MigrationState::kFrozen) return {Status::kMigrating, Reason::kFrozen};
  return {};
}

// Step 2: a mapped key's cell serves it or nobody does. `cell` is that of `mapped`. Most are served
// by what the snapshot worked out beforehand; the rules themselves say of the others why.
CELLROUTE_HOT inline void choose_mapped(const Snapshot& snapshot, const Request& request,
                                        const Mapped& mapped, const CellPath& cell,
                                        Choice& choice) noexcept {
  const SnapshotPath& path = snapshot.path();
  choice.mapped = true;
  choice.cell = mapped.cell;
  choice.home = &cell;
  choice.epoch = mapped.epoch;
  choice.reason = mapped.stale ? Reason::kStaleMapping : Reason::kMapped;
  std::uint32_t flags = request.profile.flags;
  if (mapped.has_profile) {
    flags |= mapped.profile.flags;
    if (mapped.profile.plan != 0) choice.plan = mapped.profile.plan;
  }
  choice.requirement = path.requirements->find(flags, request.risk >= path.risk_above);
  const bool moving =
      mapped.state == MigrationState::kFreezing || mapped.state == MigrationState::kFrozen;
  if (cell.serves_mapped(choice.requirement) && mapped.profile_known && !moving) [[likely]]
    return;
  const Verdict verdict =
      judge_mapped(snapshot, mapped.cell, mapped.profile_known, choice.requirement, mapped.state);
  if (verdict.status != Status::kOk) deny(choice, verdict.status, verdict.reason);
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

// Whether nothing is known of a key: it may be placed.
CELLROUTE_HOT inline bool is_absent(Answer answer, Nanos expires, Nanos now) noexcept {
  return answer == Answer::kAbsent || (expires != 0 && now >= expires);
}

// Steps 2 to 4 for a key of which `mapped` is what is known; null: nothing.
CELLROUTE_HOT inline void choose_by(const Snapshot& snapshot, const Request& request,
                                    const Mapped* mapped, Nanos now, Choice& choice) noexcept {
  if (mapped != nullptr && mapped->answer == Answer::kUnknown) [[unlikely]] {
    deny(choice, Status::kUnavailable, Reason::kLookupUnknown);
  } else if (mapped == nullptr || is_absent(mapped->answer, mapped->expires, now)) {
    choose_pool(snapshot.path(), request, choice);
  } else if (!is_current(snapshot.path(), *mapped)) [[unlikely]] {
    deny(choice, Status::kInvalidArgument, Reason::kMappingStale);
  } else {
    choose_mapped(snapshot, request, *mapped, snapshot.cell_path(mapped->cell), choice);
  }
}

// The same for a key of which the base says `found`.
CELLROUTE_HOT inline void choose_by(const Snapshot& snapshot, const Request& request,
                                    const FileAnswer& found, Nanos now, Choice& choice) noexcept {
  if (found.answer == Answer::kUnknown) [[unlikely]] {
    deny(choice, Status::kUnavailable, Reason::kLookupUnknown);
  } else if (is_absent(found.answer, found.expires, now)) {
    choice.hash = snapshot.hash(request.key);
    choose_pool(snapshot.path(), request, choice);
  } else {
    choose_mapped(snapshot, request, snapshot.mapped(found), snapshot.base_cell(found.cell),
                  choice);
  }
}

// Step 1, and what the next ones begin with. False where the request is not sound.
CELLROUTE_HOT inline bool begin_choice(const Snapshot& snapshot, const Request& request,
                                       Choice& choice) noexcept {
  if (!is_sound(snapshot.path(), request)) [[unlikely]] {
    deny(choice, Status::kInvalidArgument, check_request(snapshot, request));
    return false;
  }
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
  choice.hash = snapshot.hash(request.key);
  const Mapped* mapped = request.mapping;
  if (mapped == nullptr && snapshot.path().has_changes) {
    mapped = snapshot.overlay().find(request.key, choice.hash);
  }
  choose_by(snapshot, request, mapped, now, choice);
  return choice;
}

// Of one with a base, up to where that is asked: true where it need not be. A key is hashed for its
// place where that is needed alone.
CELLROUTE_HOT inline bool choose_before_base(const Snapshot& snapshot, const Request& request,
                                             Nanos now, Choice& choice) noexcept {
  if (!begin_choice(snapshot, request, choice)) [[unlikely]]
    return true;
  const Mapped* mapped = request.mapping;
  if (mapped == nullptr && snapshot.path().has_changes) {
    mapped = snapshot.overlay().find(request.key, snapshot.hash(request.key));
  }
  if (mapped == nullptr) [[likely]]
    return false;
  choice.hash = snapshot.hash(request.key);
  choose_by(snapshot, request, mapped, now, choice);
  return true;
}

// The same to its end. The base's memory is asked before all else, so that its answer comes while
// the request is looked at and the overlay is searched. `found(cell)` hears first which of the
// base's cells it is.
template <class Found>
CELLROUTE_HOT inline Choice choose_over_base(const Snapshot& snapshot, const Request& request,
                                             Nanos now, Found&& found) noexcept {
  const MappingFile& base = *snapshot.path().base;
  const bool sound = key_length_ok(request.key);
  const MappingFile::Place place = sound ? base.ask(request.key) : MappingFile::Place{};
  Choice choice;
  if (!choose_before_base(snapshot, request, now, choice)) [[likely]] {
    const FileAnswer in_base = base.find(request.key, place);
    if (in_base.answer == Answer::kFound) [[likely]]
      found(in_base.cell);
    choose_by(snapshot, request, in_base, now, choice);
  }
  return choice;
}

// The same where the base was asked already: `in_base` is what it says of the key.
CELLROUTE_HOT inline Choice choose_over_base(const Snapshot& snapshot, const Request& request,
                                             Nanos now, const FileAnswer& in_base) noexcept {
  Choice choice;
  if (!choose_before_base(snapshot, request, now, choice)) [[likely]] {
    choose_by(snapshot, request, in_base, now, choice);
  }
  return choice;
}

inline Choice choose(const Snapshot& snapshot, const Request& request, Nanos now,
                     const FileAnswer* in_base = nullptr) noexcept {
  if (snapshot.path().base == nullptr) return choose_without_base(snapshot, request, now);
  if (in_base != nullptr) return choose_over_base(snapshot, request, now, *in_base);
  return choose_over_base(snapshot, request, now, [](std::uint32_t) {});
}

}  // namespace cellroute
