// cellroute explain: how a decision came about. Changes nothing.
#include "cellroute/explain.hpp"

#include <utility>

#include "command/command.hpp"
#include "command/requests.hpp"
#include "command/serving.hpp"

namespace cellroute::command {
namespace {

struct ExplainOptions {
  ServingOptions serving;
  std::string mappings;
  KeyOptions keys;
  FormatOptions format;
  ProfileOptions profile;
  TimeOption time;
};

std::string null_or(std::string_view text) {
  if (text.empty()) return "null";
  std::string json;
  append_json_string(text, json);
  return json;
}

class Explainer {
 public:
  Explainer(const ExplainOptions& options, Serving& serving, MappingStore* store, Output& output)
      : options_(options),
        serving_(serving),
        snapshot_(*serving.snapshot),
        maker_(snapshot_, options.profile),
        output_(output) {
    if (store != nullptr) lookup_.emplace(snapshot_, *store);
  }

  bool all_routed() const noexcept { return all_routed_; }

  void explain(InputRecord& record) {
    Request request;
    Explanation explanation;
    const Nanos now = record.at.value_or(options_.time.now());
    const Reason refused = maker_.make(record, request);
    Mapped mapped;
    if (refused != Reason::kNone) {
      explanation.decision = refusal(snapshot_, refused);
      explanation.steps = {{"request", refusal_text(record, refused)}};
    } else {
      if (lookup_) {
        mapped = lookup_->find(record.key, now);
        request.mapping = &mapped;
      }
      explanation = cellroute::explain(*serving_.router, request, now);
    }
    all_routed_ = all_routed_ && explanation.decision.status == Status::kOk;
    if (options_.format.output == OutputFormat::kText) {
      write_text(record, explanation);
    } else {
      write_json(record, explanation);
    }
  }

 private:
  std::string refusal_text(const InputRecord& record, Reason refused) const {
    std::string text(text_of(refused).sentence);
    if (!record.malformed.empty()) {
      text = "line " + std::to_string(record.line) + ": " + std::string(record.malformed);
    } else if (refused == Reason::kTierUnknown) {
      text += ": " + printable(record.tier);
    } else if (refused == Reason::kRegionUnknown) {
      text += ": " + printable(record.region);
    } else if (refused == Reason::kPlanUnknown) {
      text += ": " + printable(record.plan);
    }
    return text;
  }

  std::string_view cell_id(const Decision& decision) const {
    const CellIndex cell = snapshot_.cell_of(decision.cell);
    return cell == kNoCell ? std::string_view() : snapshot_.compiled().cell(cell).id;
  }

  std::string_view endpoint(const InputRecord& record, const Decision& decision) const {
    const CellIndex cell = snapshot_.cell_of(decision.cell);
    if (cell == kNoCell || decision.status != Status::kOk) return {};
    return snapshot_.endpoint(cell, record.resource);
  }

  void write_json(const InputRecord& record, const Explanation& explanation) {
    const Decision& decision = explanation.decision;
    std::string json = "{";
    if (record.malformed.empty()) {
      append_json_key(record.key, json);
    } else {
      json += "\"key\":null";
    }
    json += ",\"status\":" + null_or(name(decision.status));
    json += ",\"cell\":" + null_or(cell_id(decision));
    json += ",\"endpoint\":" + null_or(endpoint(record, decision));
    json += ",\"reason\":" + null_or(name(decision.reason));
    json += ",\"epoch\":" + std::to_string(decision.epoch);
    json += ",\"retry_after_ms\":" + std::to_string(retry_milliseconds(decision.retry_after));
    json += ",\"generation\":" + std::to_string(decision.generation) + ",\"steps\":[";
    for (const Step& step : explanation.steps) {
      json += json.ends_with('[') ? "" : ",";
      json += "{\"step\":" + null_or(step.name) + ",\"text\":" + null_or(step.text) + "}";
    }
    output_.append(json + "]}\n");
  }

  void write_text(const InputRecord& record, const Explanation& explanation) {
    constexpr std::size_t kNameWidth = 12;
    const Decision& decision = explanation.decision;
    const bool sound = record.malformed.empty();
    std::string text = sound ? printable(record.key) : "line " + std::to_string(record.line);
    text += ": " + std::string(name(decision.status));
    if (!cell_id(decision).empty()) text += ", " + std::string(cell_id(decision));
    text += '\n';
    for (const Step& step : explanation.steps) {
      std::string label = step.name;
      label.resize(std::max(label.size(), kNameWidth), ' ');
      text += "  " + label + " " + step.text + '\n';
    }
    output_.append(text);
  }

  const ExplainOptions& options_;
  Serving& serving_;
  const Snapshot& snapshot_;
  RequestMaker maker_;
  std::optional<MappingLookup> lookup_;
  Output& output_;
  bool all_routed_ = true;
};

int explain(ExplainOptions& options, Context& context) {
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
  Output output(STDOUT_FILENO);
  Explainer explainer(options, *serving, store.get(), output);
  Batch batch;
  do {
    if ((*reader)->may_wait()) output.flush();
    if (const Error error = (*reader)->read(batch); !error.ok()) return fail(error);
    for (InputRecord& record : batch.records()) explainer.explain(record);
  } while (!batch.empty() && output.error().ok());
  return finish(output, explainer.all_routed() ? kAllWell : kSomeDenied);
}

}  // namespace

void add_explain(CLI::App& app, Context& context) {
  CLI::App& command =
      *app.add_subcommand("explain", "Tell step by step how a decision comes about");
  auto options = std::make_shared<ExplainOptions>();
  options->serving.add_to(command, false);
  add_mappings_option(command, options->mappings, false);
  options->keys.add_to(command);
  options->format.add_to(command, true);
  options->profile.add_to(command);
  options->time.add_to(command);
  command.callback([options, &context] { context.exit_code = explain(*options, context); });
}

}  // namespace cellroute::command
