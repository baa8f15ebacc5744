// Records for the tests of the stores.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "cellroute/mapping.hpp"

namespace cellroute::testing {

// Never given out before in this process.
inline OpId next_op_id() {
  static std::atomic<std::uint64_t> last{0};
  const std::uint64_t number = ++last;
  OpId id{};
  std::memcpy(id.data(), &number, sizeof number);
  return id;
}

// What a first assignment writes.
inline MappingRecord plain_record(std::string_view key, std::string_view cell = "cell-a") {
  MappingRecord record;
  record.key = key;
  record.cell = cell;
  record.revision = 1;
  record.op_id = next_op_id();
  record.created = record.updated = 1'700'000'000 * kSecond;
  return record;
}

// Every field set.
inline MappingRecord full_record(std::string_view key) {
  MappingRecord record = plain_record(key, "cell-c");
  record.epoch = 5;
  record.revision = 9;
  record.state = MigrationState::kFrozen;
  record.target = "cell-d";
  record.updated += kSecond;
  record.expires = record.updated + kSecond;
  record.ephemeral = true;
  record.profile = MappedProfile{"retail", "eu-west-1", "starter", {"EU_RESIDENT", "HIGH_RISK"}};
  record.history = {{"cell-a", 1, 2}, {"cell-b", 3, 3}};
  return record;
}

}  // namespace cellroute::testing
