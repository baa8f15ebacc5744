#include "net/dynamodb_walk.hpp"

#include <algorithm>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "cellroute/hash.hpp"
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
  std::set<std::uint64_t> arriving = {};  // hashes of the keys that the index of targets brought
  Json start = {};                        // a key; null: its beginning

  // A byte for the way; of indexes how many are arriving, in two bytes, and their hashes; the
  // start.
  std::string bytes() const;
  // False where there is nothing of the kind.
  bool read(std::string_view bytes);
};

std::string DynamodbWalk::Place::bytes() const {
  std::string bytes(1, static_cast<char>(way));
  if (way != Way::kTable) {
    bytes += static_cast<char>(arriving.size() >> 8);
    bytes += static_cast<char>(arriving.size() & 0xff);
    for (const std::uint64_t hash : arriving) stores::append_number(bytes, hash);
  }
  if (!start.is_null()) bytes += start.dump();
  return bytes;
}

bool DynamodbWalk::Place::read(std::string_view bytes) {
  if (bytes.empty()) return false;
  way = static_cast<Way>(bytes.front());
  bytes.remove_prefix(1);
  if (way == Way::kTargets || way == Way::kCells) {
    if (bytes.size() < 2) return false;
    const std::size_t count = std::size_t{static_cast<unsigned char>(bytes[0])} << 8 |
                              static_cast<unsigned char>(bytes[1]);
    bytes.remove_prefix(2);
    if (count > kMaxArriving || bytes.size() < 8 * count) return false;
    for (std::size_t i = 0; i < count; ++i) {
      arriving.insert(stores::read_number(bytes));
      bytes.remove_prefix(8);
    }
  } else if (way != Way::kTable) {
    return false;
  }
  if (!bytes.empty()) start = Json::parse(bytes, nullptr, false);
  return true;
}

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
  Place place;
  if (bytes->empty()) {
    place.way = indexed ? Way::kTargets : Way::kTable;
    return place;
  }
  const bool sound = place.read(*bytes) && (place.way != Way::kTable) == indexed;
  if (!sound) return stores::damaged_cursor();
  const bool begins = place.start.is_null();
  if (begins || start_key_ok(target_, index_of(place), request.cell, place.start)) return place;
  return stores::damaged_cursor();
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

// Whether the scan has not brought the record yet, as one on its way to the cell.
bool DynamodbWalk::is_new(const PageRequest& request, const MappingRecord& record, Place& place) {
  if (place.way == Way::kTable) return true;
  const std::uint64_t hash = hash_bytes(request.seed, record.key);
  if (place.way == Way::kCells) return place.arriving.count(hash) == 0;
  if (place.arriving.size() < kMaxArriving) place.arriving.insert(hash);
  return true;
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
    const bool there = *kind != ItemKind::kNone && record.answer(request.now) == Answer::kFound;
    if (wanted && there && is_new(request, record, progress.place)) records.push_back(record);
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
      at.way = Way::kCells;
      at.start = Json();
    } else {
      page.done = true;
    }
  }
  page.next = request.scope.make(at.bytes());
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
