#include <utility>

#include "command/decision_output.hpp"

namespace cellroute::command {
namespace {

std::string field(std::string_view name, std::string_view value) {
  std::string text(name);
  append_json_string(value, text);
  return text;
}

std::string endpoint_field(std::string_view endpoint) {
  return endpoint.empty() ? ",\"endpoint\":null" : field(",\"endpoint\":", endpoint);
}

}  // namespace

JsonDecisionWriter::JsonDecisionWriter(std::shared_ptr<const Snapshot> snapshot, Output& output)
    : snapshot_(std::move(snapshot)), output_(output) {
  for (const Cell& cell : snapshot_->compiled().topology().cells) {
    ids_.push_back(field(",\"cell\":", cell.id));
    endpoints_.push_back(endpoint_field(cell.endpoint));
  }
}

void JsonDecisionWriter::write(const InputRecord& record, const Decision& decision) {
  write_key(record);
  output_.append(",\"status\":\"");
  output_.append(name(decision.status));
  output_.append('"');
  write_cell(record, decision);
  output_.append(",\"reason\":\"");
  output_.append(name(decision.reason));
  output_.append("\",\"epoch\":");
  output_.append_number(decision.epoch);
  output_.append(",\"retry_after_ms\":");
  output_.append_number(retry_milliseconds(decision.retry_after));
  if (!record.malformed.empty()) {
    output_.append(",\"line\":");
    output_.append_number(record.line);
  }
  output_.append("}\n");
}

void JsonDecisionWriter::write_key(const InputRecord& record) {
  if (!record.malformed.empty()) {
    output_.append("{\"key\":null");
  } else if (plain_json(record.key)) {
    output_.append("{\"key\":\"");
    output_.append(record.key);
    output_.append('"');
  } else {
    scratch_ = '{';
    append_json_key(record.key, scratch_);
    output_.append(scratch_);
  }
}

void JsonDecisionWriter::write_cell(const InputRecord& record, const Decision& decision) {
  const CellIndex cell = snapshot_->cell_of(decision.cell);
  if (cell == kNoCell) {
    output_.append(",\"cell\":null,\"endpoint\":null");
    return;
  }
  output_.append(ids_[cell]);
  if (decision.status != Status::kOk) {
    output_.append(",\"endpoint\":null");
    return;
  }
  const std::string_view endpoint = snapshot_->endpoint(cell, record.resource);
  const bool general = endpoint.data() == snapshot_->compiled().cell(cell).endpoint.data();
  output_.append(general ? endpoints_[cell] : endpoint_field(endpoint));
}

}  // namespace cellroute::command
