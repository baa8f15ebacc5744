#include "control/assign.hpp"

#include <cstddef>
#include <string_view>
#include <unordered_set>
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

// The answer where nothing has to be written; else `write` is filled in.
std::optional<Result<Assignment>> answer(const Proposal& proposal, Lookup& found, Nanos now,
                                         AssignmentLimiter* limiter, ConditionalPut& write) {
  if (Error error = stores::check_key(proposal.key); !error.ok()) return error;
  if (found.answer == Answer::kUnknown) return unknown(proposal.key, found.error);
  if (found.answer == Answer::kFound) {
    return Assignment{AssignOutcome::kFound, std::move(found.record), 0, found.stale()};
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
  write = {std::move(*record), found.record.revision};
  return std::nullopt;
}

// What became of a write: one's own success, also where the reply was lost, or the winner's record.
Result<Assignment> settle(MappingStore& store, ConditionalPut& write,
                          const Result<std::uint64_t>& written, Nanos now) {
  MappingRecord& record = write.record;
  const auto assigned = [&] {
    record.revision = write.expected + 1;
    return Assignment{AssignOutcome::kAssigned, std::move(record), 0};
  };
  if (written.ok()) return assigned();
  const ErrorCode code = written.error().code();
  if (code != ErrorCode::kConflict && code != ErrorCode::kUnavailable) {
    return unknown(record.key, written.error());
  }
  Lookup stored = store.get(record.key, now);
  if (stored.answer == Answer::kUnknown || stored.stale()) {
    return unknown(record.key,
                   Error(ErrorCode::kUnavailable,
                         written.error().text() + "; read back: " + stored.error.text()));
  }
  const bool own =
      stored.record.op_id == record.op_id && stored.record.revision == write.expected + 1;
  if (own) return assigned();
  if (code == ErrorCode::kConflict && stored.answer == Answer::kFound) {
    return Assignment{AssignOutcome::kFound, std::move(stored.record), 0};
  }
  return unknown(record.key, written.error());
}

}  // namespace

Result<Assignment> assign(MappingStore& store, const Proposal& proposal, Nanos now,
                          AssignmentLimiter* limiter) {
  return std::move(assign_many(store, {&proposal, 1}, now, limiter).front());
}

std::vector<Result<Assignment>> assign_many(MappingStore& store,
                                            std::span<const Proposal> proposals, Nanos now,
                                            AssignmentLimiter* limiter) {
  std::vector<std::string_view> keys;
  for (const Proposal& proposal : proposals) keys.push_back(proposal.key);
  std::vector<Lookup> found(keys.size());
  store.get_many(keys, now, found);
  std::vector<Result<Assignment>> results(keys.size(), Assignment{});
  std::vector<ConditionalPut> writes;
  std::vector<std::size_t> places;  // of the writes' proposals
  std::unordered_set<std::string_view> writing;
  std::vector<std::size_t> again;  // proposals for a key that an earlier one is about to write
  for (std::size_t i = 0; i < proposals.size(); ++i) {
    if (writing.contains(keys[i])) {
      again.push_back(i);
      continue;
    }
    ConditionalPut write;
    if (auto known = answer(proposals[i], found[i], now, limiter, write)) {
      results[i] = std::move(*known);
    } else {
      writes.push_back(std::move(write));
      places.push_back(i);
      writing.insert(keys[i]);
    }
  }
  const std::vector<Result<std::uint64_t>> written = store.put_many(writes);
  for (std::size_t i = 0; i < writes.size(); ++i) {
    results[places[i]] = settle(store, writes[i], written[i], now);
  }
  for (const std::size_t i : again) results[i] = assign(store, proposals[i], now, limiter);
  return results;
}

}  // namespace cellroute
