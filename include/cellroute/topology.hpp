// The topology: cells, tiers, regions and policy, as plain structs that anybody may fill in.
//
// src/topology reads them from YAML, JSON or protobuf; compile() in policy.hpp checks one whole
// and turns it into what route() uses. Names are as in the schema, cellroute.v1.Topology.
// Shares and factors are integers in thousandths, so that every platform computes alike.
//
// Thread safety: plain values, like any struct.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cellroute/strategy/picker.hpp"
#include "cellroute/time.hpp"

namespace cellroute {

// Bounds of a topology. Beyond one, compile() refuses with the count.
inline constexpr std::size_t kMaxCells = 65'535;
inline constexpr std::size_t kMaxCellIdBytes = 128;
inline constexpr std::size_t kMaxFlags = 16;
inline constexpr std::size_t kMaxClasses = 65'536;
inline constexpr std::size_t kMaxTiers = 256;
inline constexpr std::size_t kMaxRegions = 256;
inline constexpr std::size_t kMaxNames = 64;  // of certifications, and of encryption levels
inline constexpr std::size_t kMaxReplicas = 8;
inline constexpr std::size_t kMaxTenantSources = 16;
inline constexpr std::size_t kMaxTenantHosts = 65'536;   // of a source
inline constexpr std::size_t kMaxTenantDomains = 1'024;  // of a source, and as many reserved labels
inline constexpr std::size_t kMaxTrustedHeaders = 64;
inline constexpr std::size_t kMaxTrustedProxies = 1'024;

enum class CellState : std::uint8_t { kActive, kDraining, kOffline };
enum class Health : std::uint8_t { kHealthy, kUnhealthy };
enum class Affinity : std::uint8_t { kStateful, kStateless };
enum class Unassigned : std::uint8_t { kPlace, kAssign, kReject };
enum class Selection : std::uint8_t { kByHash, kTwoChoices, kLeastLoad };
enum class RiskMode : std::uint8_t { kPrefer, kRequire };
enum class LimitPer : std::uint8_t { kKey, kKeyAndResource, kCell };
enum class LimitKind : std::uint8_t { kBucket, kWindow };
enum class OnExceed : std::uint8_t { kRefuse, kCount };
enum class TenantSourceKind : std::uint8_t {
  kHosts,
  kSubdomain,
  kPath,
  kHeader,
  kQuery,
  kCookie,
  kClaim
};
enum class TenantCase : std::uint8_t { kKeep, kLower };
enum class OnDisagreement : std::uint8_t { kRefuse, kFirst };

// When a cell's breaker opens and how it closes again. A trigger that is 0 is off; with all three
// off the breaker never opens. Windows slide in tenths; half-open admits at most `probes` at once.
struct BreakerPolicy {
  std::uint32_t consecutive_failures = 0;
  std::uint32_t failure_rate = 0;    // thousandths of the calls in the window
  Nanos slow_call = 0;               // a call at least this long is slow; 0: none is
  std::uint32_t slow_rate = 0;       // thousandths of the calls in the window
  std::uint32_t minimum_calls = 20;  // below it in a window, rates open nothing
  Nanos window = 10 * kSecond;
  Nanos open = 30 * kSecond;  // the first open time; doubles with each opening in a row
  Nanos open_max = 300 * kSecond;
  std::uint32_t probes = 3;
  Nanos probe_deadline = 5 * kSecond;      // an unreported probe counts as lost after this
  std::uint32_t max_ejected_percent = 50;  // of a tier and region; limits STATELESS spill only
  std::vector<std::uint16_t> failure_statuses = {502, 503, 504};

  friend bool operator==(const BreakerPolicy&, const BreakerPolicy&) = default;
};

// The fields of a BreakerPolicy that a tier or a cell sets for itself; the rest is inherited:
// cell before tier before policy.
struct BreakerOverride {
  std::optional<std::uint32_t> consecutive_failures;
  std::optional<std::uint32_t> failure_rate;
  std::optional<Nanos> slow_call;
  std::optional<std::uint32_t> slow_rate;
  std::optional<std::uint32_t> minimum_calls;
  std::optional<Nanos> window;
  std::optional<Nanos> open;
  std::optional<Nanos> open_max;
  std::optional<std::uint32_t> probes;
  std::optional<Nanos> probe_deadline;

  friend bool operator==(const BreakerOverride&, const BreakerOverride&) = default;
};

struct Tier {
  std::string name;
  std::vector<std::string> aliases;  // other words for it that callers use
  BreakerOverride breaker;

  friend bool operator==(const Tier&, const Tier&) = default;
};

struct Cell {
  std::string id;    // unique, stable, 1 to 128 visible ASCII bytes
  std::string tier;  // may be empty where the topology has at most one
  std::string region;
  std::string endpoint;                                        // URL or host:port
  std::vector<std::pair<std::string, std::string>> endpoints;  // by resource
  std::uint64_t capacity = 0;                                  // 0: unknown, never full
  std::uint64_t load = 0;                                      // in capacity's unit
  std::uint32_t weight = kUnitWeight;
  CellState state = CellState::kActive;
  Health health = Health::kHealthy;
  std::vector<std::string> certifications;
  std::string encryption;             // empty: the weakest level
  std::vector<std::string> replicas;  // ids of cells that hold a copy and may serve READs
  std::vector<std::pair<std::string, std::string>> labels;  // {cell} and {key} are expanded
  BreakerOverride breaker;

  friend bool operator==(const Cell&, const Cell&) = default;
};

// What a flag demands of the cell: all of the certifications, one of the regions, at least the
// encryption level. An empty field demands nothing.
struct FlagRule {
  std::string name;
  std::vector<std::string> certifications;
  std::vector<std::string> regions;
  std::string encryption;

  friend bool operator==(const FlagRule&, const FlagRule&) = default;
};

// Risk strictly above the threshold asks for an encryption level.
struct RiskRule {
  std::uint32_t threshold = 1'000'000'000;  // billionths; the default is never exceeded
  std::string encryption;                   // empty: no rule
  RiskMode mode = RiskMode::kPrefer;

  friend bool operator==(const RiskRule&, const RiskRule&) = default;
};

struct Fallback {
  std::string from;
  std::vector<std::string> to;  // in order of preference

  friend bool operator==(const Fallback&, const Fallback&) = default;
};

// Another allowance for one key. `unlimited` wins over `requests`.
struct LimitOverride {
  std::string key;
  std::uint64_t requests = 0;
  std::uint64_t burst = 0;
  bool unlimited = false;

  friend bool operator==(const LimitOverride&, const LimitOverride&) = default;
};

// BUCKET: `burst` at once, then `requests` a `period` (GCRA). WINDOW: never more than `requests`
// in any `period`. With a plan it binds only keys of that plan; without one, keys of every plan
// but those that a limit of the same `per` names.
struct Limit {
  LimitPer per = LimitPer::kKey;
  LimitKind kind = LimitKind::kBucket;
  std::string plan;
  std::uint64_t requests = 0;
  Nanos period = kSecond;
  std::uint64_t burst = 0;  // BUCKET: 0 means `requests`
  bool unlimited = false;   // a plan without a limit
  OnExceed on_exceed = OnExceed::kRefuse;
  std::vector<LimitOverride> overrides;

  friend bool operator==(const Limit&, const Limit&) = default;
};

struct InFlightPolicy {
  std::uint32_t per_cell = 0;  // 0: no cap
  Nanos deadline = 60 * kSecond;

  friend bool operator==(const InFlightPolicy&, const InFlightPolicy&) = default;
};

// The rate at which assign() may write first mappings; 0: no cap.
struct AssignmentRate {
  std::uint64_t requests = 0;
  Nanos period = kSecond;

  friend bool operator==(const AssignmentRate&, const AssignmentRate&) = default;
};

struct Policy {
  Affinity affinity = Affinity::kStateful;
  Unassigned unassigned = Unassigned::kPlace;
  StrategyKind strategy = StrategyKind::kRendezvousSlots;
  std::uint32_t slots = 65'536;
  std::vector<std::string> order;  // for jump, modulo and md5-modulo: every cell id, in order
  Selection selection = Selection::kByHash;
  std::uint32_t shuffle_shard = 0;  // STATELESS; 0: off
  std::uint32_t bounded_load = 0;   // STATELESS; thousandths above 1000, 1250 is 1.25; 0: off
  std::vector<Fallback> tier_fallback;
  std::vector<Fallback> region_fallback;
  RiskRule risk;
  std::vector<FlagRule> flags;
  Nanos timeout = 30 * kSecond;
  BreakerPolicy breaker;
  std::vector<Limit> limits;
  InFlightPolicy in_flight;
  AssignmentRate assignments;
  std::uint64_t max_table_bytes = 256u << 20;
  std::uint32_t limiter_entries = 1u << 20;

  friend bool operator==(const Policy&, const Policy&) = default;
};

// A place in an HTTP request that names its tenant.
struct TenantSource {
  TenantSourceKind kind = TenantSourceKind::kHosts;
  // kPath: the pattern, `/tenant/{tenant}`; kHeader, kQuery, kCookie, kClaim: the field's name.
  std::string name;
  std::vector<std::pair<std::string, std::string>> hosts;  // kHosts: a host, and whose it is
  std::vector<std::string> domains;   // kSubdomain: whose sub-domains are tenants
  std::vector<std::string> reserved;  // kSubdomain: labels that are none, such as www
  bool version_prefix = false;        // kPath: a path may begin with v1 or its like
  TenantCase letters = TenantCase::kKeep;
  bool required = false;  // a request without it is refused

  friend bool operator==(const TenantSource&, const TenantSource&) = default;
};

// How hosts find the key of an HTTP request (tenant.hpp).
struct TenantPolicy {
  std::vector<TenantSource> sources;  // in order
  OnDisagreement on_disagreement = OnDisagreement::kRefuse;
  std::string
      characters;  // that a tenant's name has (tenant/characters.hpp); empty: the usual ones
  std::vector<std::string> trusted_headers;  // that cells believe: from hosts alone
  std::vector<std::string> trusted_proxies;  // addresses and blocks whose X-Forwarded-For counts

  friend bool operator==(const TenantPolicy&, const TenantPolicy&) = default;
};

struct Topology {
  std::uint64_t generation = 0;  // at least 1; only grows
  std::uint64_t hash_seed = 0;   // a deployment secret; never changes once keys are placed
  std::vector<Tier> tiers;
  std::vector<std::string> regions;
  std::vector<std::string> certifications;
  std::vector<std::string> encryption_levels;  // weakest first
  std::vector<Cell> cells;
  Policy policy;
  std::optional<TenantPolicy> tenant;

  friend bool operator==(const Topology&, const Topology&) = default;
};

}  // namespace cellroute
