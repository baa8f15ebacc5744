#include "net/dynamodb_walk.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "net/dynamodb_batches.hpp"
#include "net/dynamodb_requests.hpp"

namespace cellroute::net {
namespace {

constexpr std::size_t kMaxScanItems = 1000;  // of one request

// What is walked: the table, or an index. A cursor's first byte.
enum class Way : char { kTable = 'a', kTargets = 't', kCells = 'c' };

}  // namespace

struct DynamodbWalk::Place {
  Way way = Way::kTable;
  Json start;  // a key; null: its beginning
};

struct DynamodbWalk::Progress {
  Place place;  // behind all that was taken
  Page page;
  std::size_t walked = 0;
  bool full = false;
};

const DynamodbIndex* DynamodbWalk::index_of(const Place& place) const noexcept {
  if (place.way == Way::kTable) return nullptr;
  return place.way == Way::kCells ? &*table_.cells : &*table_.targets;
}

Result<DynamodbWalk::Place> DynamodbWalk::place_of(const PageRequest& request) const {
  const bool indexed = !request.cell.empty() && table_.cells && table_.targets;
  const Result<std::string_view> bytes = request.scope.place(request.cursor);
  if (!bytes.ok()) return bytes.error();
  Place place{indexed ? Way::kTargets : Way::kTable, Json()};
  if (bytes->empty()) return place;
  const Way way = static_cast<Way>(bytes->front());
  if (way != place.way && !(indexed && way == Way::kCells)) return stores::damaged_cursor();
  place.way = way;
  if (bytes->size() == 1) return place;
  place.start = Json::parse(bytes->substr(1), nullptr, false);
  if (!start_key_ok(target_, index_of(place), request.cell, place.start)) {
    return stores::damaged_cursor();
  }
  return place;
}

Result<Json> DynamodbWalk::ask(const Place& place, std::string_view cell, std::size_t count,
                               Deadline deadline) const {
  const DynamodbIndex* const index = index_of(place);
  const Json request = index == nullptr ? scan_request(target_, place.start, count)
                                        : query_request(target_, *index, cell, place.start, count);
  auto reply =
      client_.must({index == nullptr ? "Scan" : "Query", request, target_.table}, deadline);
  if (!reply.ok()) return reply;
  const Json* const items = find_member(*reply, "Items");
  if (items == nullptr || !items->is_array()) return bad_reply("Scan");
  return reply;
}

// Takes what the page has room for.
Error DynamodbWalk::take_items(const Json& items, const PageRequest& request,
                               Progress& progress) const {
  const std::size_t most = std::min(request.limit, kMaxPageRecords);
  std::vector<MappingRecord>& records = progress.page.records;
  MappingRecord record;
  for (const Json& item : items) {
    progress.full = records.size() == most || progress.walked == stores::kMaxPageWalk;
    if (progress.full) return {};
    ++progress.walked;
    Json start = start_key(target_, index_of(progress.place), item);
    const std::string* const stored = find_text(item, target_.name(Attribute::kKey));
    if (start.is_null() || stored == nullptr) return bad_reply("Scan");
    progress.place.start = std::move(start);
    const std::optional<std::string> key = key_of_stored(target_, *stored);
    if (!key) continue;  // somebody else's, who shares the table
    const auto kind = read_item(target_, item, *key, record);
    if (!kind.ok()) return kind.error();
    const std::string_view cell = request.cell;
    const bool wanted = cell.empty() || record.cell == cell || record.target == cell;
    if (*kind != ItemKind::kNone && wanted && record.answer(request.now) == Answer::kFound) {
      records.push_back(record);
    }
  }
  return {};
}

Result<Page> DynamodbWalk::page(const PageRequest& request, Deadline deadline) const {
  auto place = place_of(request);
  if (!place.ok()) return place.error();
  Progress progress{std::move(*place), {}, 0, false};
  Page& page = progress.page;
  Place& at = progress.place;
  const std::size_t most = std::min(request.limit, kMaxPageRecords);
  for (std::size_t count = 0; !page.done;) {
    // One more, to see whether it goes on; and twice as many each time, where few are wanted.
    count = std::min(std::max(most - page.records.size() + 1, 2 * count), kMaxScanItems);
    const Result<Json> reply = ask(at, request.cell, count, deadline);
    if (!reply.ok()) return reply.error();
    Error error = take_items((*reply)["Items"], request, progress);
    if (!error.ok()) return error;
    if (progress.full) break;
    const Json* const last = find_member(*reply, "LastEvaluatedKey");
    if (last != nullptr) {
      if (!start_key_ok(target_, index_of(at), request.cell, *last)) return bad_reply("Scan");
      at.start = *last;
    } else if (at.way == Way::kTargets) {
      at = {Way::kCells, Json()};
    } else {
      page.done = true;
    }
  }
  std::string bytes(1, static_cast<char>(at.way));
  if (!at.start.is_null()) bytes += at.start.dump();
  page.next = request.scope.make(bytes);
  return std::move(page);
}

namespace {

Result<bool> lives_by_itself(DynamodbClient& client, const DynamodbTarget& target,
                             Deadline deadline) {
  const Json request = {{"TableName", target.table}};
  const auto reply = client.call({"DescribeTimeToLive", request, target.table}, deadline);
  if (!reply.ok()) return reply.error();
  if (reply->is("UnknownOperationException")) return false;
  if (!reply->exception.empty()) return error_of_exception(*reply, "DescribeTimeToLive");
  const Json* const set = find_member(reply->body, "TimeToLiveDescription");
  const Json* const status = set == nullptr ? nullptr : find_member(*set, "TimeToLiveStatus");
  const Json* const name = set == nullptr ? nullptr : find_member(*set, "AttributeName");
  return status != nullptr && *status == "ENABLED" && name != nullptr &&
         *name == target.name(Attribute::kTtl);
}

// Whether it expired by then, and nobody wrote it meanwhile.
Result<bool> remove_expired(DynamodbClient& client, const DynamodbTarget& target, const Json& item,
                            Nanos before, Deadline deadline) {
  const std::string* const stored = find_text(item, target.name(Attribute::kKey));
  if (stored == nullptr) return bad_reply("Scan");
  const std::optional<std::string> key = key_of_stored(target, *stored);
  if (!key) return false;
  MappingRecord record;
  const auto kind = read_item(target, item, *key, record);
  if (!kind.ok()) return kind.error();
  if (*kind == ItemKind::kNone || !record.expired(before)) return false;
  const Json request = delete_request(target, record, *kind);
  const auto reply = client.call({"DeleteItem", request, target.table, true, false}, deadline);
  if (!reply.ok()) return reply.error();
  if (reply->exception.empty()) return true;
  if (reply->is("ConditionalCheckFailedException")) return false;
  return error_of_exception(*reply, "DeleteItem");
}

}  // namespace

Result<std::size_t> purge_expired(DynamodbClient& client, const DynamodbTarget& target,
                                  Nanos before, std::size_t limit, Deadline deadline) {
  const Result<bool> by_itself = lives_by_itself(client, target, deadline);
  if (!by_itself.ok()) return by_itself.error();
  std::size_t purged = 0;
  bool done = *by_itself;
  for (Json start; !done && purged < limit;) {
    const Json request = expired_request(target, start, before);
    const auto reply = client.must({"Scan", request, target.table}, deadline);
    if (!reply.ok()) return reply.error();
    const Json* const items = find_member(*reply, "Items");
    if (items == nullptr || !items->is_array()) return bad_reply("Scan");
    for (std::size_t i = 0; i < items->size() && purged < limit; ++i) {
      const Result<bool> removed = remove_expired(client, target, (*items)[i], before, deadline);
      if (!removed.ok()) return removed.error();
      if (*removed) ++purged;
    }
    const Json* const last = find_member(*reply, "LastEvaluatedKey");
    done = last == nullptr;
    if (!done) start = *last;
  }
  return purged;
}

}  // namespace cellroute::net
