// What a store knows of a key, and first assignment: both may block on the store.
#include <optional>
#include <string>
#include <utility>

#include "control/assign.hpp"
#include "entry.hpp"
#include "handles.hpp"
#include "profiles.hpp"
#include "requests.hpp"

namespace cellroute::capi {
namespace {

// Of a key without a record, or of which nothing is known.
Mapped without_record(const Snapshot& snapshot, Answer answer) noexcept {
  Mapped mapped;
  mapped.generation = snapshot.generation();
  mapped.answer = answer;
  return mapped;
}

// What is found of a record, in the snapshot's numbers.
Mapped mapped_of(const Snapshot& snapshot, const Lookup& lookup) noexcept {
  if (lookup.answer != Answer::kFound) return without_record(snapshot, lookup.answer);
  Mapped mapped = snapshot.mapped(lookup.record);
  mapped.stale = lookup.stale();
  return mapped;
}

// The names by which the record keeps a key's profile: the topology's own, not aliases.
MappedProfile pinned_of(const Topology& topology, const ProfileNames& names,
                        const Profile& profile) {
  MappedProfile pinned;
  if (!names.tier.empty()) pinned.tier = topology.tiers[profile.tier].name;
  pinned.region = names.region;
  pinned.plan = names.plan;
  for (std::size_t i = 0; i < topology.policy.flags.size(); ++i) {
    if ((profile.flags >> i & 1) != 0) pinned.flags.push_back(topology.policy.flags[i].name);
  }
  return pinned;
}

// One assignment under way, all of it on one snapshot.
class Assigning {
 public:
  Assigning(cellroute_router& router, const Snapshot& snapshot, MappingStore& store,
            const Request& request, Nanos now) noexcept
      : router_(router), snapshot_(snapshot), store_(store), request_(request), now_(now) {}

  // The answer to the host; `error` is the store's.
  Decision decision;
  Mapped mapping;
  Error error;

  void run(std::optional<MappedProfile> pinned) {
    const Decision proposed = decide(without_record(snapshot_, Answer::kAbsent));
    const bool proposes =
        proposed.status == Status::kOk || proposed.reason == Reason::kAwaitsAssignment;
    if (proposes) {
      assign(proposed, std::move(pinned));
    } else {
      keep(proposed);
    }
  }

 private:
  Decision decide(const Mapped& mapped) const noexcept {
    Request request = request_;
    request.mapping = &mapped;
    return Deciding<false>::decide(snapshot_, router_.router->guards(), request, now_);
  }

  // There is no cell for a new key; one that has a mapping already keeps it.
  void keep(const Decision& refused) {
    const Lookup lookup = store_.get(request_.key, now_);
    mapping = mapped_of(snapshot_, lookup);
    decision = lookup.answer == Answer::kAbsent ? refused : decide(mapping);
    if (lookup.answer == Answer::kUnknown) error = lookup.error;
  }

  void assign(const Decision& proposed, std::optional<MappedProfile> pinned) {
    const CellIndex cell = snapshot_.cell_of(proposed.cell);
    const std::shared_ptr<AssignmentLimiter> limiter =
        router_.assignments.limiter(snapshot_.compiled().topology().policy.assignments);
    const Proposal proposal{request_.key, snapshot_.compiled().cell(cell).id, std::move(pinned)};
    Result<Assignment> result = cellroute::assign(store_, proposal, now_, limiter.get());
    if (!result.ok()) return fail(result.error());
    if (result->outcome == AssignOutcome::kRateLimited) return limit(proposed, result->retry_after);
    if (result->outcome == AssignOutcome::kAssigned) {
      router_.router->region().add_placement(proposed.cell);
    }
    mapping = snapshot_.mapped(result->record);
    mapping.stale = result->stale;
    decision = decide(mapping);
  }

  void fail(const Error& failed) {
    mapping = without_record(snapshot_, Answer::kUnknown);
    decision = decide(mapping);
    error = failed;
  }

  void limit(const Decision& proposed, Nanos retry_after) noexcept {
    mapping = without_record(snapshot_, Answer::kAbsent);
    decision = proposed;
    decision.status = Status::kRateLimited;
    decision.reason = Reason::kAssignmentRate;
    decision.retry_after = retry_after;
  }

  cellroute_router& router_;
  const Snapshot& snapshot_;
  MappingStore& store_;
  const Request& request_;
  Nanos now_;
};

std::int32_t serving(cellroute_router* router, std::shared_ptr<const Snapshot>& snapshot) noexcept {
  snapshot = router->router->snapshot();
  return snapshot ? CELLROUTE_OK : CELLROUTE_E_NO_SNAPSHOT;
}

// The profile that the record is to keep; the code where a name is unknown.
std::int32_t read_pinned(const Snapshot& snapshot, const cellroute_profile_names* names,
                         std::optional<MappedProfile>& pinned, cellroute_error* error) {
  if (names == nullptr) return CELLROUTE_OK;
  NamesIn in;
  if (const std::int32_t code = read_names(names, in); code != CELLROUTE_OK) {
    return fail(error, code);
  }
  const ResolvedProfile resolved = snapshot.profile(in.names);
  if (resolved.reason != Reason::kNone) return fail_unknown(resolved.reason, error);
  pinned = pinned_of(snapshot.compiled().topology(), in.names, resolved.profile);
  if (*pinned == MappedProfile()) pinned.reset();
  return CELLROUTE_OK;
}

std::int32_t check_all(cellroute_router* router, cellroute_store* store,
                       const cellroute_mapping* mapping) noexcept {
  std::int32_t code = check(router);
  if (code == CELLROUTE_OK) code = check(store);
  return code == CELLROUTE_OK ? check_out(mapping) : code;
}

}  // namespace
}  // namespace cellroute::capi

namespace capi = cellroute::capi;

int32_t cellroute_resolve(cellroute_router* router, cellroute_store* store, cellroute_view key,
                          int64_t now_ns, cellroute_mapping* mapping, cellroute_error* error) {
  return capi::enter(error, [&]() -> std::int32_t {
    std::shared_ptr<const cellroute::Snapshot> snapshot;
    std::int32_t code = capi::check_all(router, store, mapping);
    if (code == CELLROUTE_OK && !capi::sound(key)) code = CELLROUTE_E_NULL;
    if (code == CELLROUTE_OK) code = capi::serving(router, snapshot);
    if (code != CELLROUTE_OK) return capi::fail(error, code);
    const cellroute::Lookup found = store->store->get(capi::text(key), now_ns);
    capi::write_struct(mapping, capi::mapping_of(capi::mapped_of(*snapshot, found)));
    const bool unknown = found.answer == cellroute::Answer::kUnknown;
    return unknown ? capi::fail(error, found.error) : CELLROUTE_OK;
  });
}

int32_t cellroute_assign(cellroute_router* router, cellroute_store* store,
                         const cellroute_request* request, const cellroute_profile_names* pinned,
                         int64_t now_ns, cellroute_mapping* mapping, cellroute_decision* decision,
                         cellroute_error* error) {
  return capi::enter(error, [&]() -> std::int32_t {
    std::shared_ptr<const cellroute::Snapshot> snapshot;
    capi::RequestIn in;
    std::int32_t code = capi::check_all(router, store, mapping);
    if (code == CELLROUTE_OK) code = capi::check_out(decision);
    if (code == CELLROUTE_OK) code = capi::read_request(request, in);
    if (code == CELLROUTE_OK) code = capi::serving(router, snapshot);
    if (code != CELLROUTE_OK) return capi::fail(error, code);
    std::optional<cellroute::MappedProfile> kept;
    code = capi::read_pinned(*snapshot, pinned, kept, error);
    if (code != CELLROUTE_OK) return code;
    capi::Assigning assigning(*router, *snapshot, *store->store, in.request, now_ns);
    assigning.run(std::move(kept));
    capi::write_struct(mapping, capi::mapping_of(assigning.mapping));
    capi::write_decision(assigning.decision, decision);
    return assigning.error.ok() ? CELLROUTE_OK : capi::fail(error, assigning.error);
  });
}
