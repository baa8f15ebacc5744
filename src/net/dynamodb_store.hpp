// A mapping store in a table of DynamoDB. dynamodb_format.md says how it lies there.
//
// Durable: an acknowledged write is in several zones. The table's own writers but cellroute's are
//   to stop before it first writes: until then it reads what is there as revision 1, epoch 1.
// Consistency: strong unless the URL says eventual, which is for routers that only read. scan_cell
//   asks an index, which is always eventual, so that an empty one proves nothing; where more than
//   1,024 records are on their way to a cell that is scanned, one of those beyond that arrives
//   meanwhile may come twice. Without indexes that have whole items it walks the table.
// One region writes: a global table's others are behind, so they refuse to (write_region).
// Changes: none by itself; a table's stream is read by read_stream_event() (dynamodb_stream.hpp).
// Expiry: the table's time to live removes what expired, in whole seconds and within days; what is
//   still there is absent, and its revision counts. purge() does it where that is not enabled, by a
//   walk through the table.
// Time: every call ends within options.timeout, put_many() within it for each 256 puts, of which 16
//   are under way at once, those of one key in order. Throttling is waited out, with a back-off,
//   and is never a conflict; a put is sent again only where it was not done.
// Threads: any; connections are shared. No signal handler is made, no SIGPIPE is raised; libcurl
//   looks names up in a thread of its own. libcurl is initialized with the first store and stays.
// Fork: as all stores; a child's copy of the handle does not disturb the parent's connections.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "cellroute/mapping_store.hpp"
#include "net/dynamodb_usage.hpp"
#include "stores/open_store.hpp"

namespace cellroute {

class DynamodbStore : public MappingStore {
 public:
  // Calls, throttles and consumed capacity by table, since it was opened. kWrongProcess.
  virtual Result<std::map<std::string, net::DynamodbUsage>> usage() const = 0;
};

// `url` is dynamodb://TABLE, and after a ? options joined by &, %XX being a byte:
//   region=NAME            of AWS; else AWS_REGION, AWS_DEFAULT_REGION
//   endpoint=URL           [https://|http://]HOST[:PORT]; https unless it says http
//   consistency=strong     or eventual
//   write_region=NAME      where alone writes go; elsewhere they are refused
//   index=CellIdIndex      by cell        target_index=TargetCellIdIndex   by migration target
//   prefix=TEXT            what the table's keys begin with, where others share it; none
//   profiles=TABLE         another table with the attributes of keys whose record pins none,
//                          under the key profiles_key_attribute=NAME (key_attribute)
//   key_attribute=NAME     PartitionKey; and so each of net::kAttributeOptions
// Any other is an error. Credentials are in the environment (AWS_ACCESS_KEY_ID, _SECRET_ACCESS_KEY,
// _SESSION_TOKEN) or come from the container's endpoint, never in the URL. A table is not made
// here, whatever options.create says: net::create_dynamodb_table does it, or the command.
//   kInvalidArgument  it is no such URL, or options.timeout is not positive
//   kNotFound         there is no table
//   kUnavailable      no answer in time, or the table is not active
//   kRefused          no credentials, or they do not let us in
//   kUnsupported      the table's key is another
Result<std::unique_ptr<DynamodbStore>> open_dynamodb_store(std::string_view url,
                                                           const StoreOptions& options = {});

}  // namespace cellroute
