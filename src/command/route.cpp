// cellroute route: a decision for each key of the input, in its order.
#include <array>
#include <utility>

#include "cellroute/check/problems.hpp"
#include "command/command.hpp"
#include "command/progress.hpp"
#include "command/requests.hpp"
#include "command/serving.hpp"
#include "command/summary.hpp"
#include "mapping/file_store.hpp"

namespace cellroute::command {
namespace {

constexpr int kMostMalformed = 10;  // lines that are told one by one

struct RouteOptions {
  ServingOptions serving;
  std::string mappings;
  KeyOptions keys;
  FormatOptions format;
  ProfileOptions profile;
  TimeOption time;
  bool strict = false;
  bool limits = false;
};

class RouteRun {
 public:
  RouteRun(const RouteOptions& options, Serving& serving, MappingStore* store, Output& output)
      : options_(options),
        router_(*serving.router),
        snapshot_(*serving.snapshot),
        maker_(snapshot_, options.profile),
        writer_(make_decision_writer(options.format.output, serving.snapshot, output)),
        output_(output),
        summary_(snapshot_),
        progress_("keys"),
        input_name_(options.keys.input == "-" ? "standard input" : options.keys.input),
        now_(options.time.now()) {
    if (store != nullptr) lookup_.emplace(snapshot_, *store);
  }

  Error run(RecordReader& reader);

  const Summary& summary() const noexcept { return summary_; }
  double seconds() const noexcept { return progress_.seconds(); }

 private:
  Error decide(std::span<InputRecord> records);
  Error tell_malformed(const InputRecord& record);
  void look_up(std::size_t count, bool same_time);
  void decide_at_once(std::size_t count, bool same_time);
  void route_and_report(Request& request, Decision& decision, Nanos now);

  Nanos time_of(const InputRecord& record) const noexcept { return record.at.value_or(now_); }

  const RouteOptions& options_;
  Router& router_;
  const Snapshot& snapshot_;
  RequestMaker maker_;
  std::optional<MappingLookup> lookup_;
  std::unique_ptr<DecisionWriter> writer_;
  Output& output_;
  Summary summary_;
  Progress progress_;
  std::string input_name_;
  Nanos now_;
  int malformed_ = 0;

  // Of the batch: the records that are sound, one behind the other.
  std::array<Request, kBatchRecords> requests_;
  std::array<Decision, kBatchRecords> decisions_;
  std::array<std::string_view, kBatchRecords> keys_;
  std::array<Mapped, kBatchRecords> mapped_;
  std::array<Nanos, kBatchRecords> times_;
  std::array<Reason, kBatchRecords> refused_;  // by record
};

Error RouteRun::run(RecordReader& reader) {
  Batch batch;
  for (;;) {
    if (reader.may_wait()) output_.flush();
    if (Error error = reader.read(batch); !error.ok()) return error;
    if (batch.empty()) return {};
    if (!options_.time.at && reader.may_wait()) now_ = options_.time.now();
    if (Error error = decide(batch.records()); !error.ok()) return error;
    progress_.add(batch.records().size());
    if (!output_.error().ok()) return {};  // finish() tells it
  }
}

Error RouteRun::decide(std::span<InputRecord> records) {
  std::size_t count = 0;
  bool same_time = true;
  Error stop;
  for (std::size_t i = 0; i < records.size(); ++i) {
    refused_[i] = maker_.make(records[i], requests_[count]);
    if (refused_[i] == Reason::kMalformedInput) {
      stop = tell_malformed(records[i]);
      if (!stop.ok()) records = records.first(i);
    }
    if (refused_[i] != Reason::kNone) continue;
    times_[count] = time_of(records[i]);
    same_time = same_time && times_[count] == times_[0];
    ++count;
  }
  if (lookup_) look_up(count, same_time);
  decide_at_once(count, same_time);
  std::size_t next = 0;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const Decision decision =
        refused_[i] == Reason::kNone ? decisions_[next++] : refusal(snapshot_, refused_[i]);
    writer_->write(records[i], decision);
    summary_.add(decision);
  }
  return stop;
}

void RouteRun::look_up(std::size_t count, bool same_time) {
  for (std::size_t i = 0; i < count; ++i) keys_[i] = requests_[i].key;
  const std::size_t step = same_time ? count : 1;  // records expire by their own time
  for (std::size_t i = 0; i < count; i += step) {
    lookup_->find(std::span(keys_).subspan(i, step), times_[i],
                  std::span(mapped_).subspan(i, step));
  }
  for (std::size_t i = 0; i < count; ++i) requests_[i].mapping = &mapped_[i];
}

void RouteRun::decide_at_once(std::size_t count, bool same_time) {
  if (!options_.limits && same_time) {
    router_.place_batch(std::span(requests_).first(count), decisions_,
                        count > 0 ? times_[0] : now_);
    return;
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (options_.limits) {
      route_and_report(requests_[i], decisions_[i], times_[i]);
    } else {
      decisions_[i] = router_.place(requests_[i], times_[i]);
    }
  }
}

// As if each call to a cell took no time and went well.
void RouteRun::route_and_report(Request& request, Decision& decision, Nanos now) {
  decision = router_.route(request, now);
  if (decision.status == Status::kOk) router_.report(decision.ticket, CallReport{}, now);
}

Error RouteRun::tell_malformed(const InputRecord& record) {
  const std::string text = place_of(record, input_name_) + std::string(record.malformed);
  if (options_.strict) return invalid_argument(text + "; --strict stops here");
  if (++malformed_ <= kMostMalformed) say(text);
  if (malformed_ == kMostMalformed) say("further malformed lines are only counted");
  return {};
}

Error serve_by(Serving& serving, const MappingFileStore& file) {
  const auto files = file.files();
  Error error = serving.router->publish(serving.snapshot->shared_compiled(), files->base,
                                        files->changes.records);
  serving.snapshot = serving.router->snapshot();
  return error;
}

int route(RouteOptions& options, Context& context) {
  if (const Error error = options.format.resolve(); !error.ok()) return fail(error);
  const auto reader = options.keys.open(context, options.format);
  if (!reader.ok()) return fail(reader.error());
  Result<Serving> serving = start_serving(options.serving);
  if (!serving.ok()) return fail(serving.error());
  std::unique_ptr<MappingStore> store;
  if (!options.mappings.empty()) {
    auto opened = open_mappings(options.mappings, false);
    if (!opened.ok()) return fail(opened.error());
    store = std::move(*opened);
  }
  if (const auto* const file = dynamic_cast<const MappingFileStore*>(store.get())) {
    if (const Error error = serve_by(*serving, *file); !error.ok()) return fail(error);
    store.reset();  // the snapshot answers
  }
  Output output(STDOUT_FILENO);
  const auto run = std::make_unique<RouteRun>(options, *serving, store.get(), output);
  const Error error = run->run(**reader);
  const Summary& summary = run->summary();
  const int code = finish(output, summary.routed() == summary.total() ? kAllWell : kSomeDenied);
  if (!error.ok()) return fail(error);
  if (code != kBadUsage) say(summary.text(run->seconds()));
  return code;
}

}  // namespace

void add_route(CLI::App& app, Context& context) {
  CLI::App& command = *app.add_subcommand(
      "route", "Print which cell serves each key, whether it may be served now, and why");
  auto options = std::make_shared<RouteOptions>();
  options->serving.add_to(command, true);
  add_mappings_option(command, options->mappings, false);
  options->keys.add_to(command);
  options->format.add_to(command, true);
  options->profile.add_to(command);
  options->time.add_to(command);
  command.add_flag("--strict", options->strict, "Stop at the first malformed line");
  command.add_flag("--limits", options->limits,
                   "Apply limits and in-flight caps too, each call ending at once and well; the "
                   "time is a line's at_ns, or --now. Limits of the fleet as one router alone");
  command.callback([options, &context] { context.exit_code = route(*options, context); });
}

}  // namespace cellroute::command
