// cellroute report: what is told of a month, for the bill.
#include <charconv>
#include <utility>

#include "cellroute/check/problems.hpp"
#include "cellroute/lease_store.hpp"
#include "command/command.hpp"
#include "command/progress.hpp"
#ifdef CELLROUTE_WITH_NET
#include "net/redis_leases.hpp"
#endif

namespace cellroute::command {
namespace {

constexpr std::size_t kPageKeys = 1'000;

struct UsageOptions {
  std::string leases;
  std::string limit = std::string(kFleetLimitName);
  std::string month;
  std::string mappings;
  KeyArguments keys;
  FormatOptions format;
  TimeOption time;
};

// As 2026-11.
Result<Month> read_month(std::string_view text) {
  int year = 0;
  unsigned month = 0;
  const bool shaped = text.size() == 7 && text[4] == '-';
  const auto all = [](std::string_view digits, auto& number) {
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    return read.ec == std::errc() && read.ptr == digits.data() + digits.size();
  };
  if (shaped && all(text.substr(0, 4), year) && all(text.substr(5), month) && year >= 1970 &&
      month >= 1 && month <= 12) {
    return std::chrono::year(year) / std::chrono::month(month);
  }
  return invalid_argument("--month " + printable(text) + ": write it as 2026-11");
}

Result<std::unique_ptr<LeaseStore>> open_leases(const std::string& url) {
#ifdef CELLROUTE_WITH_NET
  auto store = open_redis_leases(url);
#else
  Result<std::unique_ptr<LeaseStore>> store =
      Error(ErrorCode::kUnsupported, "this build has no stores behind a network");
#endif
  if (store.ok()) return store;
  return Error(store.error().code(),
               "--leases " + without_login(url) + ": " + store.error().text());
}

// Prints usages, with the plans of the keys' records where there is a mapping store.
class UsageReport {
 public:
  UsageReport(MappingStore* mappings, const UsageOptions& options, Output& output)
      : mappings_(mappings),
        text_(options.format.output == OutputFormat::kText),
        now_(options.time.now()),
        output_(output) {}

  Error print(const Usage& usage) {
    std::string plan;
    if (mappings_ != nullptr) {
      const Lookup found = mappings_->get(usage.key, now_);
      if (found.answer == Answer::kUnknown) return found.error;
      if (found.answer == Answer::kFound && found.record.profile) plan = found.record.profile->plan;
    }
    output_.append(text_ ? text_of(usage, plan) : json_of(usage, plan));
    ++keys_;
    used_ += usage.used;
    return {};
  }

  std::string summary() const {
    return check::counted(keys_) + (keys_ == 1 ? " key" : " keys") + " used " +
           check::counted(used_);
  }

 private:
  std::string text_of(const Usage& usage, const std::string& plan) const {
    constexpr std::size_t kWidth = 20;
    std::string line = check::counted(usage.used);
    if (line.size() < kWidth) line.insert(0, kWidth - line.size(), ' ');
    line += "  " + printable(usage.key);
    if (!plan.empty()) line += "  " + printable(plan);
    return line + '\n';
  }

  std::string json_of(const Usage& usage, const std::string& plan) const {
    std::string line = "{";
    append_json_key(usage.key, line);
    if (mappings_ != nullptr) {
      line += ",\"plan\":";
      if (plan.empty()) {
        line += "null";
      } else {
        append_json_string(plan, line);
      }
    }
    return line + ",\"used\":" + std::to_string(usage.used) + "}\n";
  }

  MappingStore* mappings_;
  bool text_;
  Nanos now_;
  Output& output_;
  std::uint64_t keys_ = 0;
  std::uint64_t used_ = 0;
};

Error print_keys(LeaseStore& store, const UsageOptions& options, Month month,
                 const std::vector<std::string>& keys, UsageReport& report) {
  for (const std::string& key : keys) {
    const Result<std::uint64_t> used = store.usage(options.limit, key, month);
    if (!used.ok()) return used.error();
    if (Error error = report.print({key, *used}); !error.ok()) return error;
  }
  return {};
}

Error print_all(LeaseStore& store, const UsageOptions& options, Month month, UsageReport& report,
                const Output& output) {
  Progress progress("keys");
  Cursor cursor;
  for (;;) {
    Result<UsagePage> page = store.usages(options.limit, month, cursor, kPageKeys);
    if (!page.ok()) return page.error();
    for (const Usage& usage : page->usages) {
      if (Error error = report.print(usage); !error.ok()) return error;
    }
    progress.add(page->usages.size());
    if (page->done || !output.error().ok()) return {};
    cursor = std::move(page->next);
  }
}

int report_usage(UsageOptions& options, Context& context) {
  if (const Error error = options.format.resolve(); !error.ok()) return fail(error);
  const Result<Month> month = read_month(options.month);
  if (!month.ok()) return fail(month.error());
  const Result<std::vector<std::string>> keys = options.keys.all(context);
  if (!keys.ok()) return fail(keys.error());
  const auto store = open_leases(options.leases);
  if (!store.ok()) return fail(store.error());
  std::unique_ptr<MappingStore> mappings;
  if (!options.mappings.empty()) {
    auto opened = open_mappings(options.mappings, false);
    if (!opened.ok()) return fail(opened.error());
    mappings = std::move(*opened);
  }
  Output output(STDOUT_FILENO);
  UsageReport report(mappings.get(), options, output);
  const Error error = keys->empty() ? print_all(**store, options, *month, report, output)
                                    : print_keys(**store, options, *month, *keys, report);
  const int code = finish(output, kAllWell);
  if (!error.ok()) return fail(error);
  if (code == kAllWell) say(report.summary());
  return code;
}

}  // namespace

void add_report(CLI::App& app, Context& context) {
  CLI::App& report = *app.add_subcommand("report", "Tell what was used, for the bill");
  report.require_subcommand(1);
  CLI::App& command = *report.add_subcommand(
      "usage", "Print what each key used of a MONTHLY limit of the fleet, or some keys alone");
  auto options = std::make_shared<UsageOptions>();
  command.add_option("--leases", options->leases, "Store of leases: redis://HOST[:PORT]")
      ->required();
  command.add_option("--limit", options->limit, "The limit's name; default requests");
  command.add_option("--month", options->month, "Calendar month of UTC, as 2026-11")->required();
  add_mappings_option(command, options->mappings, false);
  options->keys.add_to(command, "Keys, as many as you like; put -- before one that starts with -");
  options->format.add_to(command, false);
  options->time.add_to(command);
  command.callback([options, &context] { context.exit_code = report_usage(*options, context); });
}

}  // namespace cellroute::command
