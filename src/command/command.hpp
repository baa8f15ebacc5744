// The command `cellroute`: its sub-commands, and what they share.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cellroute/mapping_store.hpp"
#include "cellroute/policy.hpp"
#include "cellroute/status.hpp"
#include "cellroute/time.hpp"
#include "command/decision_output.hpp"
#include "command/input.hpp"
#include "command/output.hpp"

namespace cellroute::command {

// How the command ends.
inline constexpr int kAllWell = 0;     // all routed, found, written, proven
inline constexpr int kSomeDenied = 1;  // some were denied, not found, in conflict, violated
inline constexpr int kBadUsage = 2;    // usage or configuration; nothing can be concluded

// What the sub-commands share with main().
struct Context {
  std::vector<std::string> after_dashes;  // arguments behind --, never looked at as options
  bool took_after_dashes = false;         // by the sub-command that ran
  int exit_code = kAllWell;
};

// Each adds its sub-command, which leaves its end in the context.
void add_validate(CLI::App& app, Context& context);
void add_verify(CLI::App& app, Context& context);
void add_route(CLI::App& app, Context& context);
void add_explain(CLI::App& app, Context& context);
void add_tenant(CLI::App& app, Context& context);
void add_assign(CLI::App& app, Context& context);
void add_mapping(CLI::App& app, Context& context);
void add_snapshot(CLI::App& app, Context& context);
void add_sync(CLI::App& app, Context& context);

// Says the error on standard error; kBadUsage.
int fail(const Error& error);

// Hands out what is left in the buffer; `code`, or kBadUsage when standard output failed.
int finish(Output& output, int code);

void say(std::string_view line);  // on standard error, as one line

// What a key is, where the input does not say it; flags are added to the input's own.
struct ProfileOptions {
  std::string tier;
  std::string region;
  std::string plan;
  std::string resource;
  std::vector<std::string> flags;
  std::optional<double> risk;
  std::string access;

  void add_to(CLI::App& command);
};

// --format takes the words of both sides, which differ: jsonl, csv and keys for the input, json
// and text for the output.
struct FormatOptions {
  std::vector<std::string> words;
  std::optional<InputFormat> input;
  OutputFormat output = OutputFormat::kJson;

  void add_to(CLI::App& command, bool with_input);
  Error resolve();  // words to the other two
};

// Keys as arguments, every byte of them: CLI11 would take those that look like [a,b] apart.
struct KeyArguments {
  void add_to(CLI::App& command, const char* what);

  // Those given, and those behind --. An error names an option that is none.
  Result<std::vector<std::string>> all(Context& context) const;

 private:
  const CLI::App* command_ = nullptr;
  const CLI::Option* option_ = nullptr;
  std::string first_;
};

// Keys as arguments, or --input.
struct KeyOptions {
  KeyArguments arguments;
  std::string input;

  void add_to(CLI::App& command);
  // The reader must not outlive this.
  Result<std::unique_ptr<RecordReader>> open(Context& context, const FormatOptions& format);

 private:
  std::vector<std::string> keys_;
};

struct TimeOption {
  std::optional<Nanos> at;

  void add_to(CLI::App& command);
  Nanos now() const noexcept;  // --now, or the system's clock
};

void add_topology_option(CLI::App& command, std::string& path, bool required);
void add_mappings_option(CLI::App& command, std::string& url, bool required);

// Loaded and compiled, on all processors. An error's text names the file.
Result<std::shared_ptr<const CompiledTopology>> compile_file(const std::string& path);

// A mapping store's URL without user and password, which stand before the last @ of what follows
// the scheme.
std::string without_login(const std::string& url);

// The store at `url` for `mappings`. One that is not there is an error unless `create`.
Result<std::unique_ptr<MappingStore>> open_mappings(const std::string& url, bool create);

}  // namespace cellroute::command
