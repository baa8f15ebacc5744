#include "net/dynamodb_store.hpp"

#include <algorithm>
#include <limits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cellroute/hash.hpp"
#include "net/back_off.hpp"
#include "net/dynamodb_client.hpp"
#include "net/dynamodb_requests.hpp"
#include "net/dynamodb_table.hpp"
#include "stores/cursor.hpp"
#include "stores/fork_guard.hpp"
#include "stores/put_rules.hpp"
#include "stores/text.hpp"

namespace cellroute {
namespace {

using net::Attribute;
using net::Deadline;
using net::DynamodbIndex;
using net::DynamodbReply;
using net::ItemKind;
using net::Json;
using stores::CursorScope;

constexpr std::size_t kMaxScanItems = 1000;  // of one request

// What a scan walks: the table, or an index.
enum class Walk : char { kTable = 'a', kTargets = 't', kCells = 'c' };

struct Place {
  Walk walk = Walk::kTable;
  Json start;  // null: its beginning
};

Error bad_reply(std::string_view what) {
  return Error(ErrorCode::kUnavailable, "DynamoDB: " + std::string(what) + ": the reply is none");
}

const Json* find(const Json& of, const char* name) {
  if (!of.is_object()) return nullptr;
  const auto at = of.find(name);
  return at == of.end() || at->is_null() ? nullptr : &*at;
}

class Store final : public DynamodbStore {
 public:
  Store(net::DynamodbTarget target, net::AwsEnvironment environment, Nanos timeout)
      : target_(std::move(target)), timeout_(timeout), client_(target_, std::move(environment)) {}

  // Once, before all else.
  Error open();

  StoreCapabilities capabilities() const noexcept override {
    StoreCapabilities can;
    can.durable = true;
    can.shared = true;
    return can;
  }

  Lookup get(std::string_view key, Nanos now) override;
  void get_many(std::span<const std::string_view> keys, Nanos now, std::span<Lookup> out) override;
  Result<std::uint64_t> put_if(const MappingRecord& record, std::uint64_t expected) override;
  Result<Page> scan(const Cursor& cursor, std::size_t limit, Nanos now) override;
  Result<Page> scan_cell(std::string_view cell, const Cursor& cursor, std::size_t limit,
                         Nanos now) override;
  Result<Page> changes(const Cursor& cursor, std::size_t limit) override;
  Result<std::size_t> purge(Nanos before, std::size_t limit) override;
  std::map<std::string, net::DynamodbUsage> usage() const override { return client_.usage(); }

 private:
  using Wanted = std::unordered_map<std::string, std::vector<std::size_t>>;

  Error check_page(std::size_t limit) const {
    if (Error error = fork_.check(); !error.ok()) return error;
    return stores::check_limit(limit);
  }
  Error check_writes() const;
  const DynamodbIndex* index_of(Walk walk) const noexcept {
    if (walk == Walk::kTable) return nullptr;
    return walk == Walk::kCells ? &*table_.cells : &*table_.targets;
  }

  template <class Request, class Take>
  Error get_batch(const std::string& table, const std::string& key, std::vector<std::string> keys,
                  Deadline deadline, Request request, Take take);
  template <class Request, class Take>
  Error get_batches(const std::string& table, const std::string& key, const Wanted& wanted,
                    Deadline deadline, Request request, Take take);
  Error add_profiles(const Wanted& wanted, std::span<MappingRecord* const> records,
                     Deadline deadline);
  Error put_refusal(const DynamodbReply& reply, const MappingRecord& record, std::uint64_t expected,
                    Deadline deadline);

  Result<Place> place_of(const CursorScope& scope, const Cursor& cursor, std::string_view cell,
                         Walk first) const;
  Result<Json> ask(const Place& place, std::string_view cell, std::size_t count, Deadline deadline);
  Result<Page> walk(const CursorScope& scope, const Cursor& cursor, std::string_view cell,
                    std::size_t limit, Nanos now);
  Error take_items(const Json& reply, std::string_view cell, std::size_t most, Nanos now,
                   Place& place, std::size_t& walked, Page& page, bool& full);
  Error add_profiles(Page& page, Deadline deadline);
  Result<bool> lives_by_itself(Deadline deadline);
  Result<bool> remove(const Json& item, Nanos before, Deadline deadline);

  const stores::ForkGuard fork_;
  const net::DynamodbTarget target_;
  const Nanos timeout_;
  net::DynamodbClient client_;
  net::DynamodbTable table_;
  std::uint64_t id_ = 0;
};

Error Store::open() {
  const Json request = {{"TableName", target_.table}};
  const auto reply =
      client_.must({"DescribeTable", request, target_.table}, Deadline::after(timeout_));
  if (!reply.ok()) {
    if (reply.error().code() != ErrorCode::kNotFound) return reply.error();
    return Error(ErrorCode::kNotFound, "mapping store dynamodb: there is no table " +
                                           target_.table +
                                           "; cellroute mapping create-table makes one");
  }
  auto table = net::read_table(target_, *reply);
  if (!table.ok()) return table.error();
  table_ = std::move(*table);
  id_ = hash_bytes(0, table_.id + target_.address() + ' ' + target_.table + ' ' + target_.prefix);
  return {};
}

Error Store::check_writes() const {
  if (Error error = fork_.check(); !error.ok()) return error;
  if (target_.write_region.empty() || target_.write_region == target_.region) return {};
  return refused("mapping store dynamodb: writes go to region " + target_.write_region +
                 " alone, and this store is in " + target_.region);
}

// What is there of `keys` (distinct, at most kMaxBatchKeys) goes to `take(stored key, item)`. Keys
// that DynamoDB leaves for later are asked for again.
template <class Request, class Take>
Error Store::get_batch(const std::string& table, const std::string& key,
                       std::vector<std::string> keys, Deadline deadline, Request request,
                       Take take) {
  for (unsigned waits = 0; !keys.empty();) {
    const Json body = request(std::span<const std::string>(keys));
    const auto reply = client_.must({"BatchGetItem", body, table}, deadline);
    if (!reply.ok()) return reply.error();
    const Json* const responses = find(*reply, "Responses");
    const Json* const items = responses == nullptr ? nullptr : find(*responses, table.c_str());
    const Json* const unprocessed = find(*reply, "UnprocessedKeys");
    const Json* const left = unprocessed == nullptr ? nullptr : find(*unprocessed, table.c_str());
    // Only an answer about the table says that a key is absent.
    if (items == nullptr ? left == nullptr : !items->is_array()) return bad_reply("BatchGetItem");
    for (std::size_t i = 0; items != nullptr && i < items->size(); ++i) {
      const std::string* const stored = net::find_text((*items)[i], key);
      if (stored == nullptr) return bad_reply("BatchGetItem");
      if (Error error = take(*stored, (*items)[i]); !error.ok()) return error;
    }
    keys.clear();
    const Json* const left_keys = left == nullptr ? nullptr : find(*left, "Keys");
    for (std::size_t i = 0; left_keys != nullptr && i < left_keys->size(); ++i) {
      const std::string* const stored =
          left_keys->is_array() ? net::find_text((*left_keys)[i], key) : nullptr;
      if (stored == nullptr || keys.size() == net::kMaxBatchKeys) return bad_reply("BatchGetItem");
      keys.push_back(*stored);
    }
    if (!keys.empty() && !net::sleep_within(net::back_off(++waits), deadline)) {
      return Error(ErrorCode::kUnavailable, "DynamoDB: BatchGetItem: throttled until the end");
    }
  }
  return {};
}

// The same for any number of keys; `take` gets where each one was wanted.
template <class Request, class Take>
Error Store::get_batches(const std::string& table, const std::string& key, const Wanted& wanted,
                         Deadline deadline, Request request, Take take) {
  std::vector<std::string> keys;
  for (auto next = wanted.begin(); next != wanted.end();) {
    keys.push_back(next->first);
    ++next;
    if (keys.size() < net::kMaxBatchKeys && next != wanted.end()) continue;
    Error error =
        get_batch(table, key, std::exchange(keys, {}), deadline, request,
                  [&](const std::string& stored, const Json& item) {
                    const auto at = wanted.find(stored);
                    return at == wanted.end() ? bad_reply("BatchGetItem") : take(at->second, item);
                  });
    if (!error.ok()) return error;
  }
  return {};
}

Lookup Store::get(std::string_view key, Nanos now) {
  Lookup found;
  get_many({&key, 1}, now, {&found, 1});
  return found;
}

void Store::get_many(std::span<const std::string_view> keys, Nanos now, std::span<Lookup> out) {
  const Deadline deadline = Deadline::after(timeout_);
  const Error forked = fork_.check();
  Wanted wanted;
  for (std::size_t i = 0; i < keys.size() && i < out.size(); ++i) {
    out[i] = Lookup{};
    out[i].error = forked.ok() ? stores::check_key(keys[i]) : forked;
    if (!out[i].error.ok()) continue;
    out[i].answer = Answer::kAbsent;
    out[i].record.epoch = 0;
    wanted[net::stored_key(target_, keys[i])].push_back(i);
  }
  Wanted found;
  std::vector<MappingRecord*> records;
  const auto take = [&](const std::vector<std::size_t>& places, const Json& item) -> Error {
    for (const std::size_t i : places) {
      const auto kind = net::read_item(target_, item, keys[i], out[i].record);
      if (!kind.ok()) {
        out[i].error = kind.error();
        out[i].answer = Answer::kUnknown;
      } else if (*kind != ItemKind::kNone) {
        out[i].answer = out[i].record.answer(now);
        found[net::stored_key(target_, keys[i])].push_back(records.size());
        records.push_back(&out[i].record);
      }
    }
    return {};
  };
  Error error = get_batches(
      target_.table, target_.name(Attribute::kKey), wanted, deadline,
      [&](std::span<const std::string> batch) { return net::batch_request(target_, batch); }, take);
  if (error.ok()) error = add_profiles(found, records, deadline);
  if (error.ok()) return;
  for (const auto& [stored, places] : wanted) {
    for (const std::size_t i : places) {
      if (out[i].error.ok()) out[i].error = error;
      out[i].answer = Answer::kUnknown;
    }
  }
}

// To those of `records` that pin none, from the table of profiles, where there is one.
Error Store::add_profiles(const Wanted& wanted, std::span<MappingRecord* const> records,
                          Deadline deadline) {
  if (target_.profiles.empty()) return {};
  return get_batches(
      target_.profiles, target_.profiles_key, wanted, deadline,
      [&](std::span<const std::string> batch) { return net::profiles_request(target_, batch); },
      [&](const std::vector<std::size_t>& places, const Json& item) -> Error {
        for (const std::size_t i : places) {
          MappingRecord& record = *records[i];
          if (record.profile) continue;
          auto profile = net::read_profile(target_, item);
          if (!profile.ok()) return profile.error();
          record.profile = std::move(*profile);
          const char* const rule = broken_rule(record);
          if (rule != nullptr) {
            return Error(ErrorCode::kCorrupt, stores::key_text(record.key) + ": " + rule);
          }
        }
        return {};
      });
}

Error Store::add_profiles(Page& page, Deadline deadline) {
  Wanted wanted;
  std::vector<MappingRecord*> records;
  for (MappingRecord& record : page.records) {
    if (record.profile) continue;
    wanted[net::stored_key(target_, record.key)].push_back(records.size());
    records.push_back(&record);
  }
  return add_profiles(wanted, records, deadline);
}

Result<std::uint64_t> Store::put_if(const MappingRecord& record, std::uint64_t expected) {
  if (Error error = check_writes(); !error.ok()) return error;
  if (Error error = stores::check_record(record); !error.ok()) return error;
  if (expected == std::numeric_limits<std::uint64_t>::max()) {
    return refused(stores::key_text(record.key) + ": its revisions are used up");
  }
  MappingRecord next = record;
  next.revision = expected + 1;
  const Json request = net::put_request(target_, next, expected);
  const Deadline deadline = Deadline::after(timeout_);
  const auto reply = client_.call({"UpdateItem", request, target_.table, true, false}, deadline);
  if (!reply.ok()) return reply.error();
  if (reply->exception.empty()) return next.revision;
  if (!reply->is("ConditionalCheckFailedException")) {
    return net::error_of_exception(*reply, "UpdateItem");
  }
  return put_refusal(*reply, record, expected, deadline);
}

// Nothing was written. Why, by the rules and in the words of all stores, as far as it can be told.
Error Store::put_refusal(const DynamodbReply& reply, const MappingRecord& record,
                         std::uint64_t expected, Deadline deadline) {
  MappingRecord stored;
  Result<ItemKind> kind = ItemKind::kNone;
  const auto take = [&](const std::string&, const Json& item) {
    kind = net::read_item(target_, item, record.key, stored);
    return kind.ok() ? Error() : kind.error();
  };
  const Json* const item = find(reply.body, "Item");
  const Error error = item != nullptr
                          ? take({}, *item)
                          : get_batch(
                                target_.table, target_.name(Attribute::kKey),
                                {net::stored_key(target_, record.key)}, deadline,
                                [&](std::span<const std::string> batch) {
                                  Json request = net::batch_request(target_, batch);
                                  request["RequestItems"][target_.table]["ConsistentRead"] = true;
                                  return request;
                                },
                                take);
  if (error.ok() && kind.ok()) {
    const MappingRecord* const there = *kind == ItemKind::kNone ? nullptr : &stored;
    Error refusal = stores::check_successor(there, record, expected);
    if (!refusal.ok()) return refusal;
  }
  MappingRecord another;
  another.revision = expected == 0 ? 1 : 0;
  return stores::check_successor(&another, record, expected);
}

Result<Place> Store::place_of(const CursorScope& scope, const Cursor& cursor, std::string_view cell,
                              Walk first) const {
  const Result<std::string_view> bytes = scope.place(cursor);
  if (!bytes.ok()) return bytes.error();
  Place place{first, Json()};
  if (bytes->empty()) return place;
  place.walk = static_cast<Walk>(bytes->front());
  const bool of_cell = place.walk == Walk::kCells || place.walk == Walk::kTargets;
  if (of_cell ? first == Walk::kTable : place.walk != first) return stores::damaged_cursor();
  if (bytes->size() == 1) return place;
  place.start = Json::parse(bytes->substr(1), nullptr, false);
  if (!net::start_key_ok(target_, index_of(place.walk), cell, place.start)) {
    return stores::damaged_cursor();
  }
  return place;
}

Result<Json> Store::ask(const Place& place, std::string_view cell, std::size_t count,
                        Deadline deadline) {
  const DynamodbIndex* const index = index_of(place.walk);
  const Json request = index == nullptr
                           ? net::scan_request(target_, place.start, count)
                           : net::query_request(target_, *index, cell, place.start, count);
  auto reply =
      client_.must({index == nullptr ? "Scan" : "Query", request, target_.table}, deadline);
  if (!reply.ok()) return reply;
  const Json* const items = find(*reply, "Items");
  if (items == nullptr || !items->is_array()) return bad_reply("Scan");
  return reply;
}

// Takes what the page has room for, and moves `place` behind it.
Error Store::take_items(const Json& reply, std::string_view cell, std::size_t most, Nanos now,
                        Place& place, std::size_t& walked, Page& page, bool& full) {
  MappingRecord record;
  for (const Json& item : reply["Items"]) {
    full = page.records.size() == most || walked == stores::kMaxPageWalk;
    if (full) return {};
    ++walked;
    Json start = net::start_key(target_, index_of(place.walk), item);
    const std::string* const stored = net::find_text(item, target_.name(Attribute::kKey));
    if (start.is_null() || stored == nullptr) return bad_reply("Scan");
    place.start = std::move(start);
    const std::optional<std::string> key = net::key_of_stored(target_, *stored);
    if (!key) continue;  // somebody else's, who shares the table
    const auto kind = net::read_item(target_, item, *key, record);
    if (!kind.ok()) return kind.error();
    const bool wanted = cell.empty() || record.cell == cell || record.target == cell;
    if (*kind != ItemKind::kNone && wanted && record.answer(now) == Answer::kFound) {
      page.records.push_back(record);
    }
  }
  return {};
}

// A page of the table, or of the records of `cell`: first those on their way to it, so that one
// that arrives meanwhile is not missed.
Result<Page> Store::walk(const CursorScope& scope, const Cursor& cursor, std::string_view cell,
                         std::size_t limit, Nanos now) {
  const Deadline deadline = Deadline::after(timeout_);
  const bool indexed = !cell.empty() && table_.cells && table_.targets;
  auto place = place_of(scope, cursor, cell, indexed ? Walk::kTargets : Walk::kTable);
  if (!place.ok()) return place.error();
  Page page;
  const std::size_t most = std::min(limit, kMaxPageRecords);
  std::size_t walked = 0;
  std::size_t count = 0;
  bool full = false;
  while (!full && !page.done) {
    // One more, to see whether it goes on; and twice as many each time, where few are wanted.
    count = std::min(std::max(most - page.records.size() + 1, 2 * count), kMaxScanItems);
    const Result<Json> reply = ask(*place, cell, count, deadline);
    if (!reply.ok()) return reply.error();
    Error error = take_items(*reply, cell, most, now, *place, walked, page, full);
    if (!error.ok()) return error;
    if (full) break;
    const Json* const last = find(*reply, "LastEvaluatedKey");
    if (last != nullptr) {
      if (!net::start_key_ok(target_, index_of(place->walk), cell, *last)) return bad_reply("Scan");
      place->start = *last;
    } else if (place->walk == Walk::kTargets) {
      *place = {Walk::kCells, Json()};
    } else {
      page.done = true;
    }
  }
  if (Error error = add_profiles(page, deadline); !error.ok()) return error;
  std::string bytes(1, static_cast<char>(place->walk));
  if (!place->start.is_null()) bytes += place->start.dump();
  page.next = scope.make(bytes);
  return page;
}

Result<Page> Store::scan(const Cursor& cursor, std::size_t limit, Nanos now) {
  if (Error error = check_page(limit); !error.ok()) return error;
  return walk(CursorScope('s', id_), cursor, {}, limit, now);
}

Result<Page> Store::scan_cell(std::string_view cell, const Cursor& cursor, std::size_t limit,
                              Nanos now) {
  if (Error error = check_page(limit); !error.ok()) return error;
  if (Error error = stores::check_cell(cell); !error.ok()) return error;
  return walk(CursorScope('c', id_, cell), cursor, cell, limit, now);
}

Result<Page> Store::changes(const Cursor&, std::size_t limit) {
  if (Error error = check_page(limit); !error.ok()) return error;
  return Error(ErrorCode::kUnsupported,
               "mapping store dynamodb: a table has no feed of changes; read its stream, or scan");
}

// Whether the table's time to live does what purge is for.
Result<bool> Store::lives_by_itself(Deadline deadline) {
  const Json request = {{"TableName", target_.table}};
  const auto reply = client_.call({"DescribeTimeToLive", request, target_.table}, deadline);
  if (!reply.ok()) return reply.error();
  if (reply->is("UnknownOperationException")) return false;
  if (!reply->exception.empty()) return net::error_of_exception(*reply, "DescribeTimeToLive");
  const Json* const set = find(reply->body, "TimeToLiveDescription");
  const Json* const status = set == nullptr ? nullptr : find(*set, "TimeToLiveStatus");
  const Json* const name = set == nullptr ? nullptr : find(*set, "AttributeName");
  return status != nullptr && *status == "ENABLED" && name != nullptr &&
         *name == target_.name(Attribute::kTtl);
}

// Whether it expired by then, and nobody wrote it meanwhile.
Result<bool> Store::remove(const Json& item, Nanos before, Deadline deadline) {
  const std::string* const stored = net::find_text(item, target_.name(Attribute::kKey));
  if (stored == nullptr) return bad_reply("Scan");
  const std::optional<std::string> key = net::key_of_stored(target_, *stored);
  if (!key) return false;
  MappingRecord record;
  const auto kind = net::read_item(target_, item, *key, record);
  if (!kind.ok()) return kind.error();
  if (*kind == ItemKind::kNone || !record.expired(before)) return false;
  const Json request = net::delete_request(target_, record, *kind);
  const auto reply = client_.call({"DeleteItem", request, target_.table, true, false}, deadline);
  if (!reply.ok()) return reply.error();
  if (reply->exception.empty()) return true;
  if (reply->is("ConditionalCheckFailedException")) return false;
  return net::error_of_exception(*reply, "DeleteItem");
}

Result<std::size_t> Store::purge(Nanos before, std::size_t limit) {
  if (Error error = check_page(limit); !error.ok()) return error;
  if (Error error = check_writes(); !error.ok()) return error;
  if (before < 0) return std::size_t{0};
  const Deadline deadline = Deadline::after(timeout_);
  const Result<bool> by_itself = lives_by_itself(deadline);
  if (!by_itself.ok()) return by_itself.error();
  if (*by_itself) return std::size_t{0};
  const std::size_t most = std::min(limit, kMaxPageRecords);
  std::size_t purged = 0;
  for (Json start; purged < most;) {
    const Json request = net::expired_request(target_, start, before);
    const auto reply = client_.must({"Scan", request, target_.table}, deadline);
    if (!reply.ok()) return reply.error();
    const Json* const items = find(*reply, "Items");
    if (items == nullptr || !items->is_array()) return bad_reply("Scan");
    for (std::size_t i = 0; i < items->size() && purged < most; ++i) {
      const Result<bool> removed = remove((*items)[i], before, deadline);
      if (!removed.ok()) return removed.error();
      if (*removed) ++purged;
    }
    const Json* const last = find(*reply, "LastEvaluatedKey");
    if (last == nullptr) break;
    start = *last;
  }
  return purged;
}

}  // namespace

Result<std::unique_ptr<DynamodbStore>> open_dynamodb_store(std::string_view url,
                                                           const StoreOptions& options) {
  if (options.timeout <= 0) {
    return invalid_argument("mapping store dynamodb: the timeout is not positive");
  }
  net::AwsEnvironment environment = net::read_aws_environment();
  Result<net::DynamodbTarget> target = net::read_dynamodb_url(url, environment.region);
  if (!target.ok()) return target.error();
  auto store = std::make_unique<Store>(std::move(*target), std::move(environment), options.timeout);
  if (Error error = store->open(); !error.ok()) return error;
  std::unique_ptr<DynamodbStore> made = std::move(store);
  return made;
}

}  // namespace cellroute
