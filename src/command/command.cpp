#include "command/command.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>
#include <utility>

#ifdef CELLROUTE_WITH_NET
#include "net/open_net_store.hpp"
#else
#include "stores/open_store.hpp"
#endif
#include "topology/load.hpp"

namespace cellroute::command {

void say(std::string_view line) {
  std::string text(line);
  if (!text.ends_with('\n')) text += '\n';
  std::fwrite(text.data(), 1, text.size(), stderr);
}

int fail(const Error& error) {
  say("cellroute: " + error.text());
  return kBadUsage;
}

int finish(Output& output, int code) {
  output.flush();
  if (output.error().ok()) return code;
  if (!output.reader_gone()) fail(output.error());
  return kBadUsage;
}

void ProfileOptions::add_to(CLI::App& command) {
  constexpr const char* kGroup = "What the keys are, where the input does not say it";
  command.add_option("--tier", tier, "Tier, or an alias of it")->group(kGroup);
  command.add_option("--region", region, "Region")->group(kGroup);
  command.add_option("--flag", flags, "Flag; repeat it, or separate several with commas")
      ->expected(1)
      ->delimiter(',')
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->allow_extra_args(false)
      ->group(kGroup);
  command.add_option("--risk", risk, "Risk from 0 to 1; default 0")->group(kGroup);
  command.add_option("--resource", resource, "What of the cell is asked for")->group(kGroup);
  command.add_option("--plan", plan, "Plan, which limits may name")->group(kGroup);
  command.add_option("--access", access, "READ or WRITE; default WRITE")
      ->check(CLI::IsMember({"READ", "WRITE"}))
      ->group(kGroup);
}

void FormatOptions::add_to(CLI::App& command, bool with_input) {
  const std::string outputs = "output: json (default) or text";
  CLI::Option* option = command.add_option(
      "--format", words,
      with_input ? "Input: jsonl, csv or keys (a key a line); " + outputs : "Of the " + outputs);
  option->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->allow_extra_args(false);
  if (with_input) {
    option->check(CLI::IsMember({"jsonl", "csv", "keys", "json", "text"}));
    command.add_option("--input-format", words, "Input: jsonl, csv or keys")
        ->expected(1)
        ->allow_extra_args(false)
        ->check(CLI::IsMember({"jsonl", "csv", "keys"}))
        ->group("");
  } else {
    option->check(CLI::IsMember({"json", "text"}));
  }
}

Error FormatOptions::resolve() {
  std::optional<OutputFormat> chosen;
  for (const std::string& word : words) {
    const bool is_output = word == "json" || word == "text";
    const bool repeated = is_output ? chosen.has_value() : input.has_value();
    if (repeated) {
      return invalid_argument(std::string("--format ") + word + ": the " +
                              (is_output ? "output" : "input") + "'s format is given already");
    }
    if (is_output) chosen = word == "text" ? OutputFormat::kText : OutputFormat::kJson;
    if (word == "jsonl") input = InputFormat::kJsonLines;
    if (word == "csv") input = InputFormat::kCsv;
    if (word == "keys") input = InputFormat::kKeys;
  }
  output = chosen.value_or(OutputFormat::kJson);
  return {};
}

void KeyArguments::add_to(CLI::App& command, const char* what) {
  command_ = &command;
  option_ = command.add_option("key", first_, what);
  command.allow_extras();
}

Result<std::vector<std::string>> KeyArguments::all(Context& context) const {
  std::vector<std::string> keys;
  if (option_->count() > 0) keys.push_back(first_);
  for (std::string& extra : command_->remaining()) {
    if (extra.size() > 1 && extra.front() == '-') {
      return invalid_argument(extra + " is no option of " + command_->get_name() +
                              " (--help lists them); if it is a key, put -- before it");
    }
    keys.push_back(std::move(extra));
  }
  context.took_after_dashes = true;
  keys.insert(keys.end(), context.after_dashes.begin(), context.after_dashes.end());
  return keys;
}

void KeyOptions::add_to(CLI::App& command) {
  arguments.add_to(command, "Keys, as many as you like; put -- before one that starts with -");
  command.add_option("--input", input, "File of requests, or - for standard input");
}

Result<std::unique_ptr<RecordReader>> KeyOptions::open(Context& context,
                                                       const FormatOptions& format) {
  Result<std::vector<std::string>> given = arguments.all(context);
  if (!given.ok()) return given.error();
  keys_ = std::move(*given);
  if (!keys_.empty() && !input.empty()) {
    return invalid_argument("give keys as arguments, or --input, not both");
  }
  if (!keys_.empty() && format.input) {
    return invalid_argument("--format jsonl, csv or keys is about --input, which is not given");
  }
  if (!keys_.empty()) return read_keys(keys_);
  if (input.empty()) {
    return invalid_argument(
        "no keys: give some as arguments, or --input FILE (- is standard input)");
  }
  return open_input(input, format.input);
}

void TimeOption::add_to(CLI::App& command) {
  command.add_option("--now", at, "Unix time in nanoseconds, in place of the clock's");
}

Nanos TimeOption::now() const noexcept {
  if (at) return *at;
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(since).count();
}

void add_topology_option(CLI::App& command, std::string& path, bool required) {
  command.add_option("--topology", path, "Topology: .yaml, .json, .textproto or .pb")
      ->required(required);
}

void add_mappings_option(CLI::App& command, std::string& url, bool required) {
#ifdef CELLROUTE_WITH_NET
  const char* const what =
      "Mapping store: lmdb:PATH, file:PATH.crm, memory:, redis://HOST[:PORT] or dynamodb://TABLE";
#else
  const char* const what = "Mapping store: lmdb:PATH, file:PATH.crm or memory:";
#endif
  command.add_option("--mappings", url, what)->required(required);
}

Result<std::shared_ptr<const CompiledTopology>> compile_file(const std::string& path) {
  Result<Topology> topology = load_topology_file(path);
  if (!topology.ok()) return topology.error();
  const CompileOptions options{std::max(1U, std::thread::hardware_concurrency())};
  auto compiled = compile(std::move(*topology), options);
  if (!compiled.ok()) {
    return Error(compiled.error().code(), path + ": " + compiled.error().text());
  }
  return compiled;
}

std::string without_login(const std::string& url) {
  const std::size_t start = url.find("://");
  const std::size_t at = url.rfind('@');
  if (start == url.npos || at == url.npos || at < start + 3) return url;
  return url.substr(0, start + 3) + url.substr(at + 1);
}

namespace {

Result<std::unique_ptr<MappingStore>> open_any_store(const std::string& url,
                                                     const StoreOptions& options) {
#ifdef CELLROUTE_WITH_NET
  return open_net_store(url, options);
#else
  return open_store(url, options);
#endif
}

}  // namespace

Result<std::unique_ptr<MappingStore>> open_mappings(const std::string& url, bool create) {
  StoreOptions options;
  options.create = create;
  auto store = open_any_store(url, options);
  if (store.ok()) return store;
  const bool missing = !create && store.error().code() == ErrorCode::kNotFound;
  return Error(store.error().code(),
               "--mappings " + without_login(url) + ": " + store.error().text() +
                   (missing ? "; assign, mapping put and mapping import make one" : ""));
}

}  // namespace cellroute::command
