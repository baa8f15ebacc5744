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

  void assign(std::span<InputRecord> records);

  const Summary& summary() const noexcept { return summary_; }
  std::uint64_t written() const noexcept { return written_; }

 private:
  void assign_together(std::span<InputRecord> records);
  bool propose(InputRecord& record, Request& request, Decision& decision);
  Decision settled(const Proposal& proposal, Request& request, const Decision& proposed,
                   Result<Assignment> result);
  Decision unavailable(const Error& error);
  std::optional<MappedProfile> pinned(const InputRecord& record, const Profile& profile) const;

  const AssignOptions& options_;
  Router& router_;
  const Snapshot& snapshot_;
  MappingStore& store_;
  AssignmentLimiter limiter_;
  RequestMaker maker_;
  std::unique_ptr<DecisionWriter> writer_;
  Summary summary_;
  std::uint64_t written_ = 0;
  Nanos now_ = 0;
};

void Assigner::assign(std::span<InputRecord> records) {
  // Where load decides, each proposal must see the ones before it.
  const Policy& policy = snapshot_.compiled().topology().policy;
  const std::size_t step = policy.selection == Selection::kByHash ? records.size() : 1;
  for (std::size_t i = 0; i < records.size(); i += step) {
    now_ = options_.time.now();
    assign_together(records.subspan(i, step));
  }
}

void Assigner::assign_together(std::span<InputRecord> records) {
  std::vector<Request> requests(records.size());
  std::vector<Decision> decisions(records.size());
  std::vector<Proposal> proposals;
  std::vector<std::size_t> places;  // of the proposals' records
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (!propose(records[i], requests[i], decisions[i])) continue;
    const CellIndex cell = snapshot_.cell_of(decisions[i].cell);
    proposals.push_back({records[i].key, snapshot_.compiled().cell(cell).id,
                         pinned(records[i], requests[i].profile)});
    places.push_back(i);
  }
  std::vector<Result<Assignment>> results = assign_many(store_, proposals, now_, &limiter_);
  for (std::size_t i = 0; i < places.size(); ++i) {
    const std::size_t place = places[i];
    decisions[place] =
        settled(proposals[i], requests[place], decisions[place], std::move(results[i]));
  }
  for (std::size_t i = 0; i < records.size(); ++i) {
    writer_->write(records[i], decisions[i]);
    summary_.add(decisions[i]);
  }
}

// True with the cell in `decision` that a new key should have; else the decision is the answer.
bool Assigner::propose(InputRecord& record, Request& request, Decision& decision) {
  const Reason refused = maker_.make(record, request);
  if (refused != Reason::kNone) {
    decision = refusal(snapshot_, refused);
    return false;
  }
  const Mapped absent;
  request.mapping = &absent;
  decision = router_.place(request, now_);
  request.mapping = nullptr;
  const bool proposes =
      decision.status == Status::kOk || decision.reason == Reason::kAwaitsAssignment;
  if (proposes) return true;
  // No cell for a new key; one that has a mapping already keeps it.
  const Lookup lookup = store_.get(record.key, now_);
  if (lookup.answer == Answer::kUnknown) {
    decision = unavailable(lookup.error);
  } else if (lookup.answer == Answer::kFound) {
    const Mapped mapped = snapshot_.mapped(lookup.record);
    request.mapping = &mapped;
    decision = router_.place(request, now_);
  }
  return false;
}

// The answer once the store has the key's record, as route would give it from now on.
Decision Assigner::settled(const Proposal& proposal, Request& request, const Decision& proposed,
                           Result<Assignment> result) {
  while (options_.wait && result.ok() && result->outcome == AssignOutcome::kRateLimited) {
    std::this_thread::sleep_for(std::chrono::nanoseconds(result->retry_after));
    now_ = options_.time.now();
    result = cellroute::assign(store_, proposal, now_, &limiter_);
  }
  if (!result.ok()) return unavailable(result.error());
  if (result->outcome == AssignOutcome::kRateLimited) {
    Decision limited = proposed;
    limited.status = Status::kRateLimited;
    limited.reason = Reason::kAssignmentRate;
    limited.retry_after = result->retry_after;
    return limited;
  }
  if (result->outcome == AssignOutcome::kAssigned) {
    ++written_;
    router_.region().add_placement(proposed.cell);
  }
  const Mapped mapped = snapshot_.mapped(result->record);
  request.mapping = &mapped;
  return router_.place(request, now_);
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
  if (options.wait && options.time.at) {
    return fail(invalid_argument("--wait needs a clock that goes on: leave out --now"));
  }
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
    assigner.assign(batch.records());
    progress.add(batch.records().size());
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
