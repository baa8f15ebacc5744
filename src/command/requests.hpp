// Records as read to requests as routed.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "cellroute/mapping_store.hpp"
#include "cellroute/snapshot.hpp"
#include "command/command.hpp"
#include "command/input.hpp"

namespace cellroute::command {

// Thread safety: one thread at a time.
class RequestMaker {
 public:
  RequestMaker(const Snapshot& snapshot, const ProfileOptions& options);

  // Fills the request in, whose texts stay the record's, and what the options say into the record.
  // Why the record is refused; kNone if it is not.
  Reason make(InputRecord& record, Request& request);

 private:
  void complete(InputRecord& record);
  std::span<const std::string_view> united_flags(const InputRecord& record);

  const Snapshot& snapshot_;
  const ProfileOptions& options_;
  bool has_options_;
  Access access_;
  std::vector<std::string_view> flags_;  // the options', then the record's
};

// What the store knows of keys, in the snapshot's numbers. A failing store is told on standard
// error, the first few times.
class MappingLookup {
 public:
  MappingLookup(const Snapshot& snapshot, MappingStore& store)
      : snapshot_(snapshot), store_(store), lookups_(kBatchRecords) {}

  // At most kBatchRecords keys; `mapped` is as long.
  void find(std::span<const std::string_view> keys, Nanos now, std::span<Mapped> mapped);

  Mapped find(std::string_view key, Nanos now) {
    Mapped mapped;
    find({&key, 1}, now, {&mapped, 1});
    return mapped;
  }

 private:
  const Snapshot& snapshot_;
  MappingStore& store_;
  std::vector<Lookup> lookups_;
  int errors_ = 0;
};

// The answer to a record that is refused before it is routed.
Decision refusal(const Snapshot& snapshot, Reason reason) noexcept;

// "customers.jsonl:12: " of a record, for errors.
std::string place_of(const InputRecord& record, std::string_view input);

}  // namespace cellroute::command
