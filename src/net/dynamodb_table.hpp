// The table of a store: what it is, and how one is made (dynamodb_format.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cellroute/status.hpp"
#include "net/deadline.hpp"
#include "net/dynamodb_item.hpp"
#include "net/dynamodb_url.hpp"

namespace cellroute::net {

class DynamodbClient;

// An index that a query may use: it has whole items. Thread safety: a plain value.
struct DynamodbIndex {
  std::string name;
  Attribute hash = Attribute::kCell;
  std::string range;  // the attribute that orders it, or none
};

// Thread safety: a plain value.
struct DynamodbTable {
  std::string id;                        // another for every table, also of one name
  std::optional<DynamodbIndex> cells;    // by cell
  std::optional<DynamodbIndex> targets;  // by migration target
};

// What DescribeTable says. kUnsupported: its key is not one string attribute of the URL's name;
// kUnavailable: it is being made or deleted, or the reply is none.
Result<DynamodbTable> read_table(const DynamodbTarget& target, const Json& reply);

// How a table is made. The defaults serve. Thread safety: a plain value.
struct TableOptions {
  // Capacity for strong reads and for writes a second, of the table and of each index. 0: none is
  // provisioned, each request is paid (PAY_PER_REQUEST); both or neither.
  std::uint64_t read_units = 0;
  std::uint64_t write_units = 0;
  // Keep what the table was, second by second, for 35 days (point-in-time recovery).
  bool recovery = true;
  // A key of KMS: its id, alias or ARN; "aws": the account's own for DynamoDB; empty: DynamoDB's.
  std::string encryption;
  // Name the changes, old and new images both, for read_stream_event().
  bool stream = false;
  std::vector<std::pair<std::string, std::string>> tags;
};

// The requests that make one.
Json create_table_request(const DynamodbTarget& target, const TableOptions& options);
Json time_to_live_request(const DynamodbTarget& target);
Json recovery_request(const DynamodbTarget& target);

// Makes the table and waits until it serves, then sets its time to live and recovery. May be run
// again: what is there already stays, and what is missing behind it is set.
//   kInvalidArgument  an option breaks a rule
//   kUnsupported      there is a table of that name with another key
//   kUnavailable      no answer in time, or not all of it could be done
//   kRefused          not allowed
Error create_table(DynamodbClient& client, const DynamodbTarget& target,
                   const TableOptions& options, Deadline deadline);

// The same for a URL of dynamodb_store.hpp; `timeout` is for all of it.
Error create_dynamodb_table(std::string_view url, const TableOptions& options, Nanos timeout);

}  // namespace cellroute::net
