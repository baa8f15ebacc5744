// cellroute assign: gives keys that have no mapping a cell, the first writer winning.
#include "control/assign.hpp"

#include <charconv>
#include <chrono>
#include <thread>
#include <utility>

#include "command/command.hpp"
#include "command/progress.hpp"
#include "command/requests.hpp"
#include "command/serving.hpp"
#include "command/summary.hpp"

namespace cellroute::command {
namespace {

struct AssignOptions {
  ServingOptions serving;
  std::string mappings;
  KeyOptions keys;
  FormatOptions format;
  ProfileOptions profile;
  TimeOption time;
  std::string rate;
  bool wait = false;
};

// "100/s", "6000/m", "50000/h"; the period is a second where none is given.
Result<AssignmentRate> parse_rate(std::string_view text) {
  AssignmentRate rate;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), rate.requests);
  const std::string_view period(end, static_cast<std::size_t>(text.data() + text.size() - end));
  const bool known = period.empty() || period == "/s" || period == "/m" || period == "/h";
  if (error != std::errc() || !known || rate.requests == 0) {
    return invalid_argument(
        "--rate " + std::string(text) +
        ": must be a number from 1 and a period, such as 100/s, 6000/m, 9000/h");
  }
  rate.period = period == "/h" ? 3600 * kSecond : period == "/m" ? 60 * kSecond : kSecond;
  return rate;
}

class Assigner {
 public:
  Assigner(const AssignOptions& options, const AssignmentRate& rate, Serving& serving,
           MappingStore& store, Output& output)
      : options_(options),
        router_(*serving.router),
        snapshot_(*serving.snapshot),
        store_(store),
        limiter_(rate.requests, rate.period),
        maker_(snapshot_, options.profile),
        writer_(make_decision_writer(options.format.output, serving.snapshot, output)),
        summary_(snapshot_) {}

  void assign(InputRecord& record) {
    Request request;
    const Reason refused = maker_.make(record, request);
    const Decision decision =
        refused == Reason::kNone ? assigned(record, request) : refusal(snapshot_, refused);
    writer_->write(record, decision);
    summary_.add(decision);
  }

  const Summary& summary() const noexcept { return summary_; }
  std::uint64_t written() const noexcept { return written_; }

 private:
  Decision assigned(const InputRecord& record, Request& request);
  Decision unavailable(const Error& error);
  std::optional<MappedProfile> pinned(const InputRecord& record, const Profile& profile) const;

  Nanos now(const InputRecord& record) const noexcept {
    return record.at ? *record.at : options_.time.now();
  }

  const AssignOptions& options_;
  Router& router_;
  const Snapshot& snapshot_;
  MappingStore& store_;
  AssignmentLimiter limiter_;
  RequestMaker maker_;
  std::unique_ptr<DecisionWriter> writer_;
  Summary summary_;
  std::uint64_t written_ = 0;
};

Decision Assigner::assigned(const InputRecord& record, Request& request) {
  // What the router would propose if the key had no mapping; assign() itself looks that up.
  const Mapped absent;
  request.mapping = &absent;
  Decision proposed = router_.place(request, now(record));
  const bool proposes =
      proposed.status == Status::kOk || proposed.reason == Reason::kAwaitsAssignment;
  if (!proposes) {
    // No cell for a new key; one that has a mapping already keeps it.
    Lookup lookup = store_.get(record.key, now(record));
    if (lookup.answer == Answer::kAbsent) return proposed;
    if (lookup.answer == Answer::kUnknown) return unavailable(lookup.error);
    const Mapped mapped = snapshot_.mapped(lookup.record);
    request.mapping = &mapped;
    return router_.place(request, now(record));
  }
  const std::string& cell = snapshot_.compiled().cell(snapshot_.cell_of(proposed.cell)).id;
  const Proposal proposal{record.key, cell, pinned(record, request.profile)};
  for (;;) {
    const Result<Assignment> result = cellroute::assign(store_, proposal, now(record), &limiter_);
    if (!result.ok()) return unavailable(result.error());
    if (result->outcome == AssignOutcome::kRateLimited) {
      if (options_.wait) {
        std::this_thread::sleep_for(std::chrono::nanoseconds(result->retry_after));
        continue;
      }
      proposed.status = Status::kRateLimited;
      proposed.reason = Reason::kAssignmentRate;
      proposed.retry_after = result->retry_after;
      return proposed;
    }
    if (result->outcome == AssignOutcome::kAssigned) {
      ++written_;
      router_.region().add_placement(proposed.cell);
    }
    const Mapped mapped = snapshot_.mapped(result->record);
    request.mapping = &mapped;
    return router_.place(request, now(record));
  }
}

Decision Assigner::unavailable(const Error& error) {
  say("cellroute: " + error.text());
  Decision decision = refusal(snapshot_, Reason::kLookupUnknown);
  decision.status = Status::kUnavailable;
  decision.retry_after = kDefaultRetryAfter;
  return decision;
}

// What is known of the key, by the topology's own names and not by aliases.
std::optional<MappedProfile> Assigner::pinned(const InputRecord& record,
                                              const Profile& profile) const {
  const Topology& topology = snapshot_.compiled().topology();
  MappedProfile pinned;
  if (!record.tier.empty()) pinned.tier = topology.tiers[profile.tier].name;
  pinned.region = record.region;
  pinned.plan = record.plan;
  for (std::size_t i = 0; i < topology.policy.flags.size(); ++i) {
    if ((profile.flags >> i & 1) != 0) pinned.flags.push_back(topology.policy.flags[i].name);
  }
  if (pinned == MappedProfile()) return std::nullopt;
  return pinned;
}

int assign(AssignOptions& options, Context& context) {
  if (const Error error = options.format.resolve(); !error.ok()) return fail(error);
  const auto reader = options.keys.open(context, options.format);
  if (!reader.ok()) return fail(reader.error());
  Result<Serving> serving = start_serving(options.serving);
  if (!serving.ok()) return fail(serving.error());
  Result<AssignmentRate> rate = serving->snapshot->compiled().topology().policy.assignments;
  if (!options.rate.empty()) rate = parse_rate(options.rate);
  if (!rate.ok()) return fail(rate.error());
  const auto store = open_mappings(options.mappings, true);
  if (!store.ok()) return fail(store.error());
  Output output(STDOUT_FILENO);
  Assigner assigner(options, *rate, *serving, **store, output);
  Progress progress("keys");
  Batch batch;
  do {
    if ((*reader)->may_wait()) output.flush();
    if (const Error error = (*reader)->read(batch); !error.ok()) return fail(error);
    for (InputRecord& record : batch.records()) {
      assigner.assign(record);
      progress.add(1);
    }
  } while (!batch.empty() && output.error().ok());
  const Summary& summary = assigner.summary();
  const int code = finish(output, summary.routed() == summary.total() ? kAllWell : kSomeDenied);
  if (code != kBadUsage) {
    say(summary.text(progress.seconds()) + "new mappings: " + std::to_string(assigner.written()));
  }
  return code;
}

}  // namespace

void add_assign(CLI::App& app, Context& context) {
  CLI::App& command = *app.add_subcommand(
      "assign", "Give keys without a mapping a cell, and write it down; the first writer wins");
  auto options = std::make_shared<AssignOptions>();
  options->serving.add_to(command, false);
  add_mappings_option(command, options->mappings, true);
  options->keys.add_to(command);
  options->format.add_to(command, true);
  options->profile.add_to(command);
  options->time.add_to(command);
  command.add_option("--rate", options->rate,
                     "Most first mappings a period, such as 100/s; default policy.assignments");
  command.add_flag("--wait", options->wait, "Wait where the rate is used up, and do not refuse");
  command.callback([options, &context] { context.exit_code = assign(*options, context); });
}

}  // namespace cellroute::command
