// Mapping records as JSON, for `mapping get`, `list`, `export` and `import`: one spelling for all.
//
//   {"key","cell","epoch","revision","op_id","state","target","created","updated","expires",
//    "ephemeral","deleted","profile":{"tier","region","plan","flags"},"history":
//    [{"cell","first_epoch","last_epoch"}]}
//
// Times are Unix time in nanoseconds; op_id is 32 hex digits; a key that is not UTF-8 stands as
// "key_base64"; target and profile are null where there is none; what a later version stored
// beside them is carried along as "unknown_fields_base64".
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cellroute/mapping.hpp"
#include "cellroute/status.hpp"

namespace cellroute::command {

// One line, without its end.
std::string record_to_json(const MappingRecord& record);

// A record as read. `key` and `cell` must be there; where `epoch` is not, the rest of what a store
// gives to a first record is to be filled in.
struct RecordInput {
  MappingRecord record;
  bool complete = false;  // `epoch` and `op_id` are given
};

// kInvalidArgument with what is wrong: not JSON, a field unknown, of another type or missing.
Result<RecordInput> record_from_json(std::string_view line);

std::string_view name(MigrationState state) noexcept;

}  // namespace cellroute::command
