// What route() answers: a status, always a reason, and what the host needs to act on it.
#pragma once

#include <cstdint>
#include <string_view>

#include "cellroute/guard/guards.hpp"
#include "cellroute/time.hpp"

namespace cellroute {

enum class Status : std::uint8_t {
  kOk = 0,
  kInvalidArgument = 1,
  kUnauthenticated = 2,
  kCompliance = 3,
  kForbidden = 4,
  kUnassigned = 5,
  kRateLimited = 6,
  kNoEligibleCell = 7,
  kUnavailable = 8,
  kMigrating = 9,
};

// Why. The numbers are public and append-only: one is never given another meaning.
enum class Reason : std::uint16_t {
  kNone = 0,

  // OK
  kPlaced = 1,        // the strategy's pick for the key
  kMapped = 2,        // an explicit mapping
  kReplica = 3,       // the home is unavailable; a READ goes to a declared replica
  kSpilled = 4,       // STATELESS: a later cell of the preference order
  kLeastLoaded = 5,   // STATELESS: chosen by load
  kStaleMapping = 6,  // the store does not answer; the last good mapping serves

  // INVALID_ARGUMENT
  kKeyEmpty = 100,
  kKeyTooLong = 101,
  kTierUnknown = 102,
  kTierMissing = 103,
  kRegionUnknown = 104,
  kRegionMissing = 105,
  kFlagUnknown = 106,
  kPlanUnknown = 107,
  kRiskNotFinite = 108,
  kRiskOutOfRange = 109,
  kProfileStale = 110,
  kTooManyTried = 111,
  kLaneOutOfRange = 112,
  kResourceTooLong = 113,
  kMalformedInput = 114,
  kMappingStale = 115,
  // INVALID_ARGUMENT, of tenant.hpp
  kTenantMissing = 116,
  kTenantMalformed = 117,
  kTenantSourcesDisagree = 118,
  kHostMalformed = 119,
  kHostAmbiguous = 120,
  kPathMalformed = 121,
  kHeaderAmbiguous = 122,
  kAddressMalformed = 123,

  // COMPLIANCE
  kMappedCellBreaksFlags = 200,
  kMappedCellBreaksRisk = 201,
  kMappedProfileUnknown = 202,  // the record names a tier, region or flag that the topology lacks

  // UNASSIGNED
  kAwaitsAssignment = 300,
  kUnassignedRejected = 301,

  // RATE_LIMITED
  kKeyLimit = 400,
  kKeyResourceLimit = 401,
  kCellLimit = 402,
  kAssignmentRate = 403,
  kFleetLimit = 404,  // by fleet_limit.hpp, beside route()

  // NO_ELIGIBLE_CELL
  kNoCellPasses = 500,  // no ACTIVE cell of an allowed region and tier meets the requirement
  kAllCellsFull = 501,  // some do, but none has capacity for a new key

  // UNAVAILABLE
  kMappedCellOffline = 600,
  kMappedCellUnknown = 601,
  kLookupUnknown = 602,
  kCellUnhealthy = 603,
  kBreakerOpen = 604,
  kProbesTaken = 605,
  kCellFull = 606,
  kAlreadyTried = 607,
  kAllCellsOut = 608,  // STATELESS: every cell of the pool
  kNoSnapshot = 609,

  // MIGRATING
  kFreezing = 700,
  kFrozen = 701,

  // UNAUTHENTICATED
  kClaimMissing = 800,
};

inline constexpr std::uint32_t kNoCellNumber = 0xffff'ffff;

// Thread safety: a plain value.
struct Decision {
  Status status = Status::kUnavailable;
  Reason reason = Reason::kNone;
  bool read_only = false;              // the cell may serve reads, not writes
  std::uint32_t cell = kNoCellNumber;  // number in the guard region's directory; with UNASSIGNED,
                                       // the proposed cell; set too where the key's own cell is
                                       // known but may not serve
  std::uint64_t epoch = 0;             // 0 placed by the strategy; else the mapping's
  std::uint64_t generation = 0;        // of the topology that decided
  Nanos retry_after = 0;               // 0: trying again later does not help, or not known
  Nanos timeout = 0;                   // for the call to the cell
  Ticket ticket = {};                  // hand to report() when status is OK; else empty
};

constexpr std::string_view name(Status status) noexcept {
  switch (status) {
    case Status::kOk: return "OK";
    case Status::kInvalidArgument: return "INVALID_ARGUMENT";
    case Status::kUnauthenticated: return "UNAUTHENTICATED";
    case Status::kCompliance: return "COMPLIANCE";
    case Status::kForbidden: return "FORBIDDEN";
    case Status::kUnassigned: return "UNASSIGNED";
    case Status::kRateLimited: return "RATE_LIMITED";
    case Status::kNoEligibleCell: return "NO_ELIGIBLE_CELL";
    case Status::kUnavailable: return "UNAVAILABLE";
    case Status::kMigrating: return "MIGRATING";
  }
  return "UNKNOWN";
}

// The status code of an HTTP host's answer.
constexpr int http_status(Status status) noexcept {
  switch (status) {
    case Status::kOk: return 200;
    case Status::kInvalidArgument: return 400;
    case Status::kUnauthenticated: return 401;
    case Status::kCompliance:
    case Status::kForbidden: return 403;
    case Status::kUnassigned: return 404;
    case Status::kRateLimited: return 429;
    case Status::kNoEligibleCell:
    case Status::kUnavailable:
    case Status::kMigrating: return 503;
  }
  return 500;
}

// A reason's name, as in logs, metrics and the command's output, and a sentence for people.
struct ReasonText {
  Reason reason;
  std::string_view name;
  std::string_view sentence;
};

inline constexpr ReasonText kReasons[] = {
    {Reason::kNone, "NONE", "no decision was made"},
    {Reason::kPlaced, "PLACED", "the strategy's pick for the key"},
    {Reason::kMapped, "MAPPED", "an explicit mapping names the cell"},
    {Reason::kReplica, "REPLICA", "the home cell is unavailable; a replica serves this read"},
    {Reason::kSpilled, "SPILLED", "earlier cells of the preference order are out"},
    {Reason::kLeastLoaded, "LEAST_LOADED", "chosen by load relative to capacity"},
    {Reason::kStaleMapping, "STALE_MAPPING", "the store does not answer; the last good mapping"},
    {Reason::kKeyEmpty, "KEY_EMPTY", "a key has at least 1 byte"},
    {Reason::kKeyTooLong, "KEY_TOO_LONG", "a key has at most 1,024 bytes"},
    {Reason::kTierUnknown, "TIER_UNKNOWN", "the topology has no such tier"},
    {Reason::kTierMissing, "TIER_MISSING",
     "the topology has several tiers; the request names none"},
    {Reason::kRegionUnknown, "REGION_UNKNOWN", "the topology has no such region"},
    {Reason::kRegionMissing, "REGION_MISSING",
     "the topology has several regions; the request names none"},
    {Reason::kFlagUnknown, "FLAG_UNKNOWN", "the topology has no such flag"},
    {Reason::kPlanUnknown, "PLAN_UNKNOWN", "no limit names this plan"},
    {Reason::kRiskNotFinite, "RISK_NOT_FINITE", "risk must be a number"},
    {Reason::kRiskOutOfRange, "RISK_OUT_OF_RANGE", "risk must be between 0 and 1"},
    {Reason::kProfileStale, "PROFILE_STALE", "the profile was resolved for another generation"},
    {Reason::kTooManyTried, "TOO_MANY_TRIED", "at most 7 cells may have been tried"},
    {Reason::kLaneOutOfRange, "LANE_OUT_OF_RANGE", "the guard region has fewer lanes"},
    {Reason::kResourceTooLong, "RESOURCE_TOO_LONG", "a resource has at most 256 bytes"},
    {Reason::kMalformedInput, "MALFORMED_INPUT", "the line is not a request"},
    {Reason::kMappingStale, "MAPPING_STALE", "the mapping was resolved for another generation"},
    {Reason::kTenantMissing, "TENANT_MISSING", "nothing in the request names a tenant"},
    {Reason::kTenantMalformed, "TENANT_MALFORMED",
     "the tenant's name has a character that the topology does not allow"},
    {Reason::kTenantSourcesDisagree, "TENANT_SOURCES_DISAGREE",
     "the request names more than one tenant"},
    {Reason::kHostMalformed, "HOST_MALFORMED", "the host is neither a DNS name nor an address"},
    {Reason::kHostAmbiguous, "HOST_AMBIGUOUS", "the request has more than one host"},
    {Reason::kPathMalformed, "PATH_MALFORMED",
     "the path is none, or others may read it as another path"},
    {Reason::kHeaderAmbiguous, "HEADER_AMBIGUOUS",
     "a header's name is one that others may read as the tenant's header"},
    {Reason::kAddressMalformed, "ADDRESS_MALFORMED",
     "a trusted proxy forwarded for something that is no address"},
    {Reason::kMappedCellBreaksFlags, "MAPPED_CELL_BREAKS_FLAGS",
     "the mapped cell lacks what a flag demands"},
    {Reason::kMappedCellBreaksRisk, "MAPPED_CELL_BREAKS_RISK",
     "the mapped cell's encryption is too weak for this risk"},
    {Reason::kMappedProfileUnknown, "MAPPED_PROFILE_UNKNOWN",
     "the mapping names a tier, region, plan or flag that the topology lacks"},
    {Reason::kAwaitsAssignment, "AWAITS_ASSIGNMENT", "the key has no cell yet; one is proposed"},
    {Reason::kUnassignedRejected, "UNASSIGNED_REJECTED",
     "the key has no cell, and policy places none"},
    {Reason::kKeyLimit, "KEY_LIMIT", "the key's limit is used up"},
    {Reason::kKeyResourceLimit, "KEY_RESOURCE_LIMIT",
     "the key's limit for this resource is used up"},
    {Reason::kCellLimit, "CELL_LIMIT", "the cell's limit is used up"},
    {Reason::kAssignmentRate, "ASSIGNMENT_RATE", "first assignments are capped in rate"},
    {Reason::kFleetLimit, "FLEET_LIMIT", "what all routers together grant the key is used up"},
    {Reason::kNoCellPasses, "NO_CELL_PASSES",
     "no active cell of an allowed region and tier meets the requirement"},
    {Reason::kAllCellsFull, "ALL_CELLS_FULL", "no eligible cell has capacity for a new key"},
    {Reason::kMappedCellOffline, "MAPPED_CELL_OFFLINE", "the mapped cell is OFFLINE"},
    {Reason::kMappedCellUnknown, "MAPPED_CELL_UNKNOWN",
     "the mapping names a cell that the topology lacks"},
    {Reason::kLookupUnknown, "LOOKUP_UNKNOWN", "the mapping store did not answer"},
    {Reason::kCellUnhealthy, "CELL_UNHEALTHY", "the cell is marked UNHEALTHY"},
    {Reason::kBreakerOpen, "BREAKER_OPEN", "the cell's breaker is open"},
    {Reason::kProbesTaken, "PROBES_TAKEN", "the cell's breaker is half-open, its probes are out"},
    {Reason::kCellFull, "CELL_FULL", "the cell has its most requests in flight"},
    {Reason::kAlreadyTried, "ALREADY_TRIED", "the request already tried the key's cell"},
    {Reason::kAllCellsOut, "ALL_CELLS_OUT", "every cell of the pool is out"},
    {Reason::kNoSnapshot, "NO_SNAPSHOT", "no topology has been published"},
    {Reason::kFreezing, "FREEZING", "the key is being moved to another cell"},
    {Reason::kFrozen, "FROZEN", "the key is being moved to another cell"},
    {Reason::kClaimMissing, "CLAIM_MISSING",
     "the topology asks for a claim of a verified token, and there is none"},
};

constexpr const ReasonText& text_of(Reason reason) noexcept {
  for (const ReasonText& text : kReasons) {
    if (text.reason == reason) return text;
  }
  return kReasons[0];
}

constexpr std::string_view name(Reason reason) noexcept { return text_of(reason).name; }

}  // namespace cellroute
