#include <utility>

#include "command/decision_output.hpp"

namespace cellroute::command {

void TextDecisionWriter::write(const InputRecord& record, const Decision& decision) {
  if (!record.malformed.empty()) {
    output_.append("line ");
    output_.append_number(record.line);
  } else {
    output_.append(printable(record.key));
  }
  output_.append("  ");
  output_.append(name(decision.status));
  output_.append("  ");
  const CellIndex cell = snapshot_->cell_of(decision.cell);
  output_.append(cell == kNoCell ? std::string_view("-") : snapshot_->compiled().cell(cell).id);
  if (cell != kNoCell && decision.status == Status::kOk) {
    const std::string_view endpoint = snapshot_->endpoint(cell, record.resource);
    if (!endpoint.empty()) output_.append("  ");
    output_.append(endpoint);
  }
  output_.append("  ");
  output_.append(record.malformed.empty() ? text_of(decision.reason).sentence : record.malformed);
  if (decision.epoch != 0) {
    output_.append("; epoch ");
    output_.append_number(decision.epoch);
  }
  if (decision.retry_after > 0) {
    output_.append("; try again in ");
    output_.append_number(retry_milliseconds(decision.retry_after));
    output_.append(" ms");
  }
  output_.append('\n');
}

std::unique_ptr<DecisionWriter> make_decision_writer(OutputFormat format,
                                                     std::shared_ptr<const Snapshot> snapshot,
                                                     Output& output) {
  if (format == OutputFormat::kText) {
    return std::make_unique<TextDecisionWriter>(std::move(snapshot), output);
  }
  return std::make_unique<JsonDecisionWriter>(std::move(snapshot), output);
}

}  // namespace cellroute::command
