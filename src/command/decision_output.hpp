// Decisions as the command prints them, one a line, in the order of the input.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cellroute/decision.hpp"
#include "cellroute/snapshot.hpp"
#include "command/input.hpp"
#include "command/output.hpp"

namespace cellroute::command {

enum class OutputFormat : std::uint8_t { kJson, kText };

// Retry-after in milliseconds, rounded up, so that nobody comes back too early.
constexpr Nanos retry_milliseconds(Nanos retry_after) noexcept {
  return retry_after / kMillisecond + (retry_after % kMillisecond > 0 ? 1 : 0);
}

// Thread safety: one thread at a time.
class DecisionWriter {
 public:
  virtual ~DecisionWriter() = default;
  DecisionWriter(const DecisionWriter&) = delete;
  DecisionWriter& operator=(const DecisionWriter&) = delete;

  virtual void write(const InputRecord& record, const Decision& decision) = 0;

 protected:
  DecisionWriter() = default;
};

// {"key","status","cell","endpoint","reason","epoch","retry_after_ms"}; a malformed line has a null
// key and its number as "line". `endpoint` is null unless the cell may be called now.
class JsonDecisionWriter final : public DecisionWriter {
 public:
  JsonDecisionWriter(std::shared_ptr<const Snapshot> snapshot, Output& output);
  void write(const InputRecord& record, const Decision& decision) override;

 private:
  void write_key(const InputRecord& record);
  void write_cell(const InputRecord& record, const Decision& decision);

  std::shared_ptr<const Snapshot> snapshot_;
  Output& output_;
  std::vector<std::string> ids_;        // ,"cell":…  by cell
  std::vector<std::string> endpoints_;  // ,"endpoint":…  the general ones
  std::string scratch_;
};

// For people: key, status, cell, reason, and when to try again.
class TextDecisionWriter final : public DecisionWriter {
 public:
  TextDecisionWriter(std::shared_ptr<const Snapshot> snapshot, Output& output)
      : snapshot_(std::move(snapshot)), output_(output) {}
  void write(const InputRecord& record, const Decision& decision) override;

 private:
  std::shared_ptr<const Snapshot> snapshot_;
  Output& output_;
};

std::unique_ptr<DecisionWriter> make_decision_writer(OutputFormat format,
                                                     std::shared_ptr<const Snapshot> snapshot,
                                                     Output& output);

}  // namespace cellroute::command
