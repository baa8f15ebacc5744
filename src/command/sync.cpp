// cellroute sync: keeps a mapping file and its changes up to date with a store, for routers that
// read files alone.
#include <csignal>
#include <ctime>
#include <fstream>
#include <iterator>
#include <utility>
#include <vector>

#include "cellroute/check/problems.hpp"
#include "command/command.hpp"
#include "command/progress.hpp"
#include "control/sync.hpp"
#ifdef CELLROUTE_WITH_NET
#include "net/dynamodb_stream.hpp"
#endif

namespace cellroute::command {
namespace {

struct SyncCommandOptions {
  std::string mappings;
  SyncOptions sync;
  double every = 10;
  double fold_every = 3600;
  bool once = false;
  bool fold = false;
  std::string event;
  TimeOption time;
};

volatile std::sig_atomic_t stopped = 0;

void stop(int) { stopped = 1; }

// So that the files are whole and the process ends well; the next system call that waits ends.
void stop_on_signals() {
  struct sigaction action {};
  action.sa_handler = stop;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

double steady_seconds() {
  timespec at{};
  ::clock_gettime(CLOCK_MONOTONIC, &at);
  return static_cast<double>(at.tv_sec) + static_cast<double>(at.tv_nsec) * 1e-9;
}

void sleep_until(double at) {
  const double left = at - steady_seconds();
  if (left <= 0 || stopped != 0) return;
  timespec wait{};
  wait.tv_sec = static_cast<time_t>(left);
  wait.tv_nsec = static_cast<long>((left - static_cast<double>(wait.tv_sec)) * 1e9);
  static_cast<void>(::nanosleep(&wait, nullptr));
}

std::string told(const std::string& path, const SyncReport& report) {
  return printable(path) + ": generation " + std::to_string(report.generation) + ", " +
         check::counted(report.keys) + " keys, " + check::counted(report.changes) +
         " changed since; " + check::counted(report.read) + " records read";
}

// The keys that an event of a table's stream names.
Result<std::vector<std::string>> keys_of_event(const std::string& mappings,
                                               const std::string& path) {
#ifdef CELLROUTE_WITH_NET
  std::ifstream file(path, std::ios::binary);
  const std::string event{std::istreambuf_iterator<char>(file), {}};
  if (!file.good() && event.empty()) return invalid_argument(path + ": it cannot be read");
  const auto target = net::read_dynamodb_url(mappings, "none");
  if (!target.ok()) return target.error();
  std::vector<std::string> keys;
  const auto read = net::read_stream_event(*target, event, [&](const net::StreamChange& change) {
    keys.push_back(change.key);
    return Error();
  });
  if (!read.ok()) return Error(read.error().code(), path + ": " + read.error().text());
  if (!read->error.ok()) return Error(read->error.code(), path + ": " + read->error.text());
  return keys;
#else
  return Error(ErrorCode::kUnsupported, path + ": this build knows no streams of " + mappings);
#endif
}

// One store and one file, beat by beat. An error is told when it begins and when it changes; what
// the files hold serves on.
class Syncing {
 public:
  Syncing(const SyncCommandOptions& options, MappingSync& sync) : options_(options), sync_(sync) {}

  bool beat(bool fold) {
    const Result<SyncReport> report = options_.event.empty() ? try_beat(fold) : try_event();
    if (!report.ok()) {
      if (report.error().text() != last_error_) say("cellroute: " + report.error().text());
      last_error_ = report.error().text();
      return false;
    }
    if (report->folded || !last_error_.empty() || options_.once) {
      say(told(options_.sync.path, *report));
    }
    last_error_.clear();
    return true;
  }

 private:
  Error open_store() {
    if (store_) return {};
    auto store = open_mappings(options_.mappings, false);
    if (!store.ok()) return store.error();
    store_ = std::move(*store);
    return {};
  }

  Result<SyncReport> try_event() {
    const Result<std::vector<std::string>> keys = keys_of_event(options_.mappings, options_.event);
    if (!keys.ok()) return keys.error();
    if (Error error = open_store(); !error.ok()) return error;
    return sync_.look(*store_, *keys, options_.time.now(), [](std::uint64_t) {});
  }

  Result<SyncReport> try_beat(bool fold) {
    if (Error error = open_store(); !error.ok()) return error;
    Progress progress("records read");
    const auto seen = [&](std::uint64_t records) { progress.add(records); };
    const Nanos now = options_.time.now();
    return fold ? sync_.fold(*store_, now, seen) : sync_.step(*store_, now, seen);
  }

  const SyncCommandOptions& options_;
  MappingSync& sync_;
  std::unique_ptr<MappingStore> store_;
  std::string last_error_;
};

int sync(SyncCommandOptions& options) {
  options.sync.feed = without_login(options.mappings);
  const auto opened = MappingSync::open(options.sync);
  if (!opened.ok()) return fail(opened.error());
  Syncing syncing(options, **opened);
  if (options.once) return syncing.beat(options.fold) ? kAllWell : kBadUsage;
  stop_on_signals();
  // It begins with a new base: nobody knows what became of the store meanwhile, and a feed whose
  // store was put back and has passed the old cursor again looks like one that went on.
  double next_fold = steady_seconds();
  for (double next = next_fold; stopped == 0;) {
    const bool fold = steady_seconds() >= next_fold;
    if (syncing.beat(fold) && fold) next_fold = steady_seconds() + options.fold_every;
    while (next <= steady_seconds()) next += options.every;
    sleep_until(next);
  }
  return kAllWell;
}

}  // namespace

void add_sync(CLI::App& app, Context& context) {
  CLI::App& command =
      *app.add_subcommand("sync", "Keep a mapping file up to date with a store, until stopped");
  auto options = std::make_shared<SyncCommandOptions>();
  add_mappings_option(command, options->mappings, true);
  command.add_option("--output", options->sync.path, "The mapping file, .crm")->required();
  command.add_option("--every", options->every, "Seconds between two looks at what changed; 10")
      ->check(CLI::Range(0.01, 86400.0));
  command
      .add_option("--fold-every", options->fold_every,
                  "Seconds between two new bases, whatever changed; 3600")
      ->check(CLI::Range(0.01, 864000.0));
  command
      .add_option("--max-keys-lost-percent", options->sync.max_keys_lost_percent,
                  "Of its keys that a new base may lack; default 10")
      ->check(CLI::Range(0, 100));
  CLI::Option* const once =
      command.add_flag("--once", options->once, "Bring the file up to date and end");
  command.add_flag("--fold", options->fold, "With a new base, whatever changed")->needs(once);
  command
      .add_option(
          "--event", options->event,
          "File with an event of the table's stream, as Lambda hands it to a function: only "
          "the keys that it names are read")
      ->needs(once);
  options->time.add_to(command);
  command.footer(
      "Exit codes: 0 stopped or up to date, 2 usage, bad configuration or --once failed.");
  command.callback([options, &context] { context.exit_code = sync(*options); });
}

}  // namespace cellroute::command
