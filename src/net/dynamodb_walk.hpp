// A store's records page by page: through its table, or through its indexes by cell.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "cellroute/mapping_store.hpp"
#include "net/deadline.hpp"
#include "net/dynamodb_client.hpp"
#include "net/dynamodb_table.hpp"
#include "net/dynamodb_url.hpp"
#include "stores/cursor.hpp"

namespace cellroute::net {

// What a page is about. Views must outlive the call.
struct PageRequest {
  stores::CursorScope scope;
  const Cursor& cursor;
  std::string_view cell;  // empty: all records
  std::size_t limit;
  Nanos now;
  std::uint64_t seed = 0;  // of the hashes of keys in cursors, so that nobody can make two alike
};

// Of the records on their way to a cell, a page's cursor names so many by a hash each.
inline constexpr std::size_t kMaxArriving = 1024;

// Thread safety: any thread.
class DynamodbWalk {
 public:
  // What it is given must outlive it.
  DynamodbWalk(DynamodbClient& client, const DynamodbTarget& target, const DynamodbTable& table)
      : client_(client), target_(target), table_(table) {}

  // A page of the table, or of the records of a cell: first those on their way to it, so that one
  // that arrives meanwhile is not missed, and not brought twice: where more than kMaxArriving are
  // on their way, one of those beyond may be. Profiles of another table are not in it.
  Result<Page> page(const PageRequest& request, Deadline deadline) const;

 private:
  struct Place;
  struct Progress;

  const DynamodbIndex* index_of(const Place& place) const noexcept;
  Result<Place> place_of(const PageRequest& request) const;
  Result<Json> ask(const Place& place, std::string_view cell, std::size_t count,
                   Deadline deadline) const;
  Error take_items(const Json& items, const PageRequest& request, Progress& progress) const;
  static bool is_new(const PageRequest& request, const MappingRecord& record, Place& place);

  DynamodbClient& client_;
  const DynamodbTarget& target_;
  const DynamodbTable& table_;
};

// Deletes at most `limit` records that expired at or before `before`, by a walk through the table;
// nobody may have written one meanwhile. 0 where the table's time to live does that.
Result<std::size_t> purge_expired(DynamodbClient& client, const DynamodbTarget& target,
                                  Nanos before, std::size_t limit, Deadline deadline);

}  // namespace cellroute::net
