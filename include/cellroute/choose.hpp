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
  CellIndex cell = kNoCell;       // of a mapped key
  PoolIndex pool = kNoPool;       // of a key to be placed
  std::uint16_t plan = 0;
  std::uint32_t requirement = 0;
  std::uint64_t epoch = 0;
  std::uint64_t hash = 0;         // of the key, under the placement seed
};

// Step 1: kNone, or what is wrong with the request.
inline Reason check_request(const Snapshot& snapshot, const Request& request) noexcept {
  if (request.key.empty()) return Reason::kKeyEmpty;
  if (request.key.size() > kMaxKeyBytes) return Reason::kKeyTooLong;
  if (request.profile.generation != snapshot.generation()) return Reason::kProfileStale;
  if (!(request.risk >= 0 && request.risk <= 1)) {
    return std::isfinite(request.risk) ? Reason::kRiskOutOfRange : Reason::kRiskNotFinite;
  }
  if (request.resource.size() > kMaxResourceBytes) return Reason::kResourceTooLong;
  if (request.tried.size() > kMaxTried) return Reason::kTooManyTried;
  return Reason::kNone;
}

// Risk is compared in billionths, so that sums like 0.5 + 0.2 + 0.1 meet the threshold they mean.
inline bool above_threshold(const RiskRule& rule, double risk) noexcept {
  return static_cast<std::uint32_t>(risk * 1e9 + 0.5) > rule.threshold;
}

inline void deny(Choice& choice, Status status, Reason reason) noexcept {
  choice.status = status;
  choice.reason = reason;
}

// Step 2: a mapped key's cell serves it or nobody does.
inline void choose_mapped(const Snapshot& snapshot, const Request& request, const Mapped& mapped,
                          Choice& choice) noexcept {
  const CompiledTopology& compiled = snapshot.compiled();
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
  const bool above = above_threshold(compiled.topology().policy.risk, request.risk);
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
inline void choose_pool(const Snapshot& snapshot, const Request& request, Choice& choice) noexcept {
  const CompiledTopology& compiled = snapshot.compiled();
  const Policy& policy = compiled.topology().policy;
  if (policy.unassigned == Unassigned::kReject) {
    return deny(choice, Status::kUnassigned, Reason::kUnassignedRejected);
  }
  const Profile& profile = request.profile;
  if (profile.tier == kUnnamed) {
    return deny(choice, Status::kInvalidArgument, Reason::kTierMissing);
  }
  if (profile.region == kUnnamed) {
    return deny(choice, Status::kInvalidArgument, Reason::kRegionMissing);
  }
  choice.requirement =
      compiled.requirements().find(profile.flags, above_threshold(policy.risk, request.risk));
  choice.pool = compiled.pool_of(profile.tier, profile.region, choice.requirement);
  if (choice.pool == kNoPool) {
    return deny(choice, Status::kNoEligibleCell, Reason::kNoCellPasses);
  }
  if (policy.unassigned == Unassigned::kAssign) {
    deny(choice, Status::kUnassigned, Reason::kAwaitsAssignment);
  }
}

inline Choice choose(const Snapshot& snapshot, const Request& request) noexcept {
  Choice choice;
  if (const Reason wrong = check_request(snapshot, request); wrong != Reason::kNone) {
    deny(choice, Status::kInvalidArgument, wrong);
    return choice;
  }
  choice.hash = snapshot.hash(request.key);
  choice.plan = request.profile.plan;
  const Mapped* mapped =
      request.mapping ? request.mapping : snapshot.mappings().find(request.key, choice.hash);
  if (mapped == nullptr || mapped->answer == Answer::kAbsent) {
    choose_pool(snapshot, request, choice);
  } else if (mapped->answer == Answer::kFound) {
    choose_mapped(snapshot, request, *mapped, choice);
  } else {
    deny(choice, Status::kUnavailable, Reason::kLookupUnknown);
  }
  return choice;
}

}  // namespace cellroute
