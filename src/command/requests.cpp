#include "command/requests.hpp"

#include <utility>

namespace cellroute::command {
namespace {

constexpr int kMostErrors = 3;  // of a store, that are told

}  // namespace

RequestMaker::RequestMaker(const Snapshot& snapshot, const ProfileOptions& options)
    : snapshot_(snapshot),
      options_(options),
      has_options_(!options.tier.empty() || !options.region.empty() || !options.plan.empty() ||
                   !options.resource.empty() || !options.flags.empty() || options.risk),
      access_(options.access == "READ" ? Access::kRead : Access::kWrite) {}

void RequestMaker::complete(InputRecord& record) {
  if (record.tier.empty()) record.tier = options_.tier;
  if (record.region.empty()) record.region = options_.region;
  if (record.plan.empty()) record.plan = options_.plan;
  if (record.resource.empty()) record.resource = options_.resource;
  if (!record.has_risk && options_.risk) record.risk = *options_.risk;
}

std::span<const std::string_view> RequestMaker::united_flags(const InputRecord& record) {
  if (options_.flags.empty()) return record.flags;
  flags_.assign(options_.flags.begin(), options_.flags.end());
  flags_.insert(flags_.end(), record.flags.begin(), record.flags.end());
  return flags_;
}

Reason RequestMaker::make(InputRecord& record, Request& request) {
  if (!record.malformed.empty()) return Reason::kMalformedInput;
  if (has_options_) complete(record);
  request.key = record.key;
  request.risk = record.risk;
  request.access = record.access.value_or(access_);
  request.resource = record.resource;
  request.mapping = nullptr;
  if (record.key.empty()) return Reason::kKeyEmpty;
  if (record.key.size() > kMaxKeyBytes) return Reason::kKeyTooLong;
  const ResolvedProfile resolved =
      snapshot_.profile({record.tier, record.region, record.plan, united_flags(record)});
  request.profile = resolved.profile;
  return resolved.reason;
}

void MappingLookup::find(std::span<const std::string_view> keys, Nanos now,
                         std::span<Mapped> mapped) {
  store_.get_many(keys, now, std::span(lookups_).first(keys.size()));
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const Lookup& lookup = lookups_[i];
    mapped[i] = lookup.answer == Answer::kFound ? snapshot_.mapped(lookup.record) : Mapped();
    mapped[i].answer = lookup.answer;
    if (lookup.answer == Answer::kUnknown && errors_++ < kMostErrors) {
      say("cellroute: " + lookup.error.text());
    }
  }
}

Decision refusal(const Snapshot& snapshot, Reason reason) noexcept {
  Decision decision;
  decision.status = Status::kInvalidArgument;
  decision.reason = reason;
  decision.generation = snapshot.generation();
  return decision;
}

std::string place_of(const InputRecord& record, std::string_view input) {
  return std::string(input) + ":" + std::to_string(record.line) + ": ";
}

}  // namespace cellroute::command
