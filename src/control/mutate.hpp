// Changes of a mapping record that keep its invariants: the epoch rises with every change of cell,
// the history keeps the last 16 cells, a stateful key never just lapses.
//
// Each returns the record to write and leaves the revision as it was read, which is what put_if
// expects. The caller gives op ids: one for each write, the same when it tries again.
#pragma once

#include <optional>
#include <string_view>

#include "cellroute/mapping.hpp"
#include "cellroute/status.hpp"

namespace cellroute {

// 128 random bits from the system: good in threads and after fork. kUnavailable if it has none.
Result<OpId> new_op_id();

// A first record of `key`, with epoch 1; or, where a tombstone or an expired record was left
// (`before` is Lookup::record of a kAbsent answer), with the next epoch, and the history going on.
// kInvalidArgument if it breaks a rule; kRefused if the epochs are used up.
Result<MappingRecord> first_record(std::string_view key, std::string_view cell,
                                   std::optional<MappedProfile> profile,
                                   const MappingRecord& before, const OpId& op_id, Nanos now);

// `record` with `cell` as its home and STABLE, its epoch one higher and the old home in the
// history. kInvalidArgument if it is there already, is a tombstone or breaks a rule; kRefused if a
// migration is under way, which alone may move the key, or the epochs are used up.
Result<MappingRecord> moved_to(const MappingRecord& record, std::string_view cell,
                               const OpId& op_id, Nanos now);

// `record` deleted: the key is ABSENT, and its revision and epoch are kept for `keep_for`
// nanoseconds (more than 0) at least, so that whoever comes next goes on above them. kRefused if a
// migration is under way.
Result<MappingRecord> tombstone(const MappingRecord& record, const OpId& op_id, Nanos now,
                                Nanos keep_for);

}  // namespace cellroute
