// What a store asked of its tables.
#pragma once

#include <cstdint>

namespace cellroute::net {

// What was asked of a table since the store was opened. Thread safety: a plain value.
struct DynamodbUsage {
  std::uint64_t calls = 0;      // requests sent, each attempt by itself
  std::uint64_t throttles = 0;  // those refused because the table was asked too much
  std::uint64_t failures = 0;   // those without a sound reply
  double read_units = 0;        // capacity that DynamoDB says it took
  double write_units = 0;
};

}  // namespace cellroute::net
