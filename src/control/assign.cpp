#include "control/assign.hpp"

#include <utility>

#include "control/mutate.hpp"
#include "stores/put_rules.hpp"

namespace cellroute {
namespace {

Error unknown(std::string_view key, const Error& error) {
  const bool transient = error.ok() || error.code() == ErrorCode::kConflict;
  return Error(transient ? ErrorCode::kUnavailable : error.code(),
               stores::key_text(key) + " is not assigned, its mapping is UNKNOWN: " + error.text());
}

}  // namespace

Result<Assignment> assign(MappingStore& store, const Proposal& proposal, Nanos now,
                          AssignmentLimiter* limiter) {
  if (Error error = stores::check_key(proposal.key); !error.ok()) return error;
  Lookup found = store.get(proposal.key, now);
  if (found.answer == Answer::kUnknown) return unknown(proposal.key, found.error);
  if (found.answer == Answer::kFound) {
    return Assignment{AssignOutcome::kFound, std::move(found.record), 0};
  }
  const Result<OpId> op_id = new_op_id();
  if (!op_id.ok()) return op_id.error();
  Result<MappingRecord> record =
      first_record(proposal.key, proposal.cell, proposal.profile, found.record, *op_id, now);
  if (!record.ok()) return record.error();
  if (limiter != nullptr) {
    const Nanos retry_after = limiter->take(now);
    if (retry_after > 0) return Assignment{AssignOutcome::kRateLimited, {}, retry_after};
  }
  const Result<std::uint64_t> written = put_confirmed(store, *record, found.record.revision, now);
  if (written.ok()) {
    record->revision = *written;
    return Assignment{AssignOutcome::kAssigned, std::move(*record), 0};
  }
  if (written.error().code() != ErrorCode::kConflict) return unknown(proposal.key, written.error());

  Lookup winner = store.get(proposal.key, now);
  if (winner.answer == Answer::kFound) {
    return Assignment{AssignOutcome::kFound, std::move(winner.record), 0};
  }
  return unknown(proposal.key, winner.answer == Answer::kUnknown ? winner.error : written.error());
}

}  // namespace cellroute
