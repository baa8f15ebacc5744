#include "net/dynamodb_store.hpp"

#include <algorithm>
#include <limits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cellroute/hash.hpp"
#include "net/dynamodb_batches.hpp"
#include "net/dynamodb_client.hpp"
#include "net/dynamodb_requests.hpp"
#include "net/dynamodb_table.hpp"
#include "net/dynamodb_walk.hpp"
#include "stores/cursor.hpp"
#include "stores/fork_guard.hpp"
#include "stores/put_rules.hpp"
#include "stores/text.hpp"

namespace cellroute {
namespace {

using net::Attribute;
using net::Deadline;
using net::DynamodbReply;
using net::ItemKind;
using net::Json;
using net::WantedKeys;
using stores::CursorScope;

constexpr std::string_view kPut = "UpdateItem";
constexpr std::size_t kPutsAtOnce = 256;  // of put_many, within one timeout

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
  std::vector<Result<std::uint64_t>> put_many(std::span<const ConditionalPut> puts) override;
  Result<Page> scan(const Cursor& cursor, std::size_t limit, Nanos now) override;
  Result<Page> scan_cell(std::string_view cell, const Cursor& cursor, std::size_t limit,
                         Nanos now) override;
  Result<Page> changes(const Cursor& cursor, std::size_t limit) override;
  Result<std::size_t> purge(Nanos before, std::size_t limit) override;
  Result<std::map<std::string, net::DynamodbUsage>> usage() const override {
    if (Error error = fork_.check(); !error.ok()) return error;
    return client_.usage();
  }

 private:
  Error check_page(std::size_t limit) const {
    if (Error error = fork_.check(); !error.ok()) return error;
    return stores::check_limit(limit);
  }
  Error check_writes() const;
  Error add_profiles(std::span<MappingRecord* const> records, Deadline deadline);
  void put_at_once(std::span<const ConditionalPut> puts, std::span<const std::size_t> places,
                   std::vector<Result<std::uint64_t>>& results);
  Result<std::uint64_t> settle_put(const Result<DynamodbReply>& reply, const MappingRecord& record,
                                   std::uint64_t expected, Deadline deadline);
  Error put_refusal(const DynamodbReply& reply, const MappingRecord& record, std::uint64_t expected,
                    Deadline deadline);
  Result<Page> page(const net::PageRequest& request);

  const stores::ForkGuard fork_;
  const net::DynamodbTarget target_;
  const Nanos timeout_;
  net::DynamodbClient client_;
  const net::BatchSource mappings_{target_.table, target_.name(Attribute::kKey),
                                   [this](std::span<const std::string> keys) {
                                     return net::batch_request(target_, keys, target_.strong);
                                   }};
  const net::BatchSource profiles_{
      target_.profiles, target_.profiles_key,
      [this](std::span<const std::string> keys) { return net::profiles_request(target_, keys); }};
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

Lookup Store::get(std::string_view key, Nanos now) {
  Lookup found;
  get_many({&key, 1}, now, {&found, 1});
  return found;
}

void Store::get_many(std::span<const std::string_view> keys, Nanos now, std::span<Lookup> out) {
  const Deadline deadline = Deadline::after(timeout_);
  const Error forked = fork_.check();
  WantedKeys wanted;
  for (std::size_t i = 0; i < keys.size() && i < out.size(); ++i) {
    out[i] = Lookup{};
    out[i].error = forked.ok() ? stores::check_key(keys[i]) : forked;
    if (!out[i].error.ok()) continue;
    out[i].answer = Answer::kAbsent;
    out[i].record.epoch = 0;
    wanted[net::stored_key(target_, keys[i])].push_back(i);
  }
  std::vector<MappingRecord*> found;
  const auto take = [&](const std::vector<std::size_t>& places, const Json& item) -> Error {
    for (const std::size_t i : places) {
      const auto kind = net::read_item(target_, item, keys[i], out[i].record);
      if (!kind.ok()) {
        out[i].error = kind.error();
        out[i].answer = Answer::kUnknown;
      } else if (*kind != ItemKind::kNone) {
        out[i].answer = out[i].record.answer(now);
        found.push_back(&out[i].record);
      }
    }
    return {};
  };
  Error error = net::get_items(client_, mappings_, wanted, deadline, take);
  if (error.ok()) error = add_profiles(found, deadline);
  if (error.ok()) return;
  for (const auto& [stored, places] : wanted) {
    for (const std::size_t i : places) {
      if (out[i].error.ok()) out[i].error = error;
      out[i].answer = Answer::kUnknown;
    }
  }
}

// To those of `records` that pin none, from the table of profiles, where there is one.
Error Store::add_profiles(std::span<MappingRecord* const> records, Deadline deadline) {
  if (target_.profiles.empty()) return {};
  WantedKeys wanted;
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (!records[i]->profile) wanted[net::stored_key(target_, records[i]->key)].push_back(i);
  }
  const auto take = [&](const std::vector<std::size_t>& places, const Json& item) -> Error {
    for (const std::size_t i : places) {
      auto profile = net::read_profile(target_, item);
      if (!profile.ok()) return profile.error();
      records[i]->profile = std::move(*profile);
      const char* const rule = broken_rule(*records[i]);
      if (rule == nullptr) continue;
      return Error(ErrorCode::kCorrupt, stores::key_text(records[i]->key) + ": " + rule);
    }
    return {};
  };
  return net::get_items(client_, profiles_, wanted, deadline, take);
}

// What stands against a put before the table is asked.
Error check_put(const MappingRecord& record, std::uint64_t expected) {
  if (Error error = stores::check_record(record); !error.ok()) return error;
  if (expected != std::numeric_limits<std::uint64_t>::max()) return {};
  return refused(stores::key_text(record.key) + ": its revisions are used up");
}

Json put_request_of(const net::DynamodbTarget& target, const MappingRecord& record,
                    std::uint64_t expected) {
  MappingRecord next = record;
  next.revision = expected + 1;
  return net::put_request(target, next, expected);
}

Result<std::uint64_t> Store::put_if(const MappingRecord& record, std::uint64_t expected) {
  if (Error error = check_writes(); !error.ok()) return error;
  if (Error error = check_put(record, expected); !error.ok()) return error;
  const Json request = put_request_of(target_, record, expected);
  const Deadline deadline = Deadline::after(timeout_);
  const auto reply = client_.call({kPut, request, target_.table, true, false}, deadline);
  return settle_put(reply, record, expected, deadline);
}

Result<std::uint64_t> Store::settle_put(const Result<DynamodbReply>& reply,
                                        const MappingRecord& record, std::uint64_t expected,
                                        Deadline deadline) {
  if (!reply.ok()) return reply.error();
  if (reply->exception.empty()) return expected + 1;
  if (!reply->is("ConditionalCheckFailedException")) return net::error_of_exception(*reply, kPut);
  return put_refusal(*reply, record, expected, deadline);
}

// Conditional writes go one by one, so several are under way at once; those of one key never.
std::vector<Result<std::uint64_t>> Store::put_many(std::span<const ConditionalPut> puts) {
  std::vector<Result<std::uint64_t>> results(puts.size(), std::uint64_t{0});
  const Error refusal = check_writes();
  std::unordered_map<std::string_view, std::size_t> turns;  // of a key's puts
  std::vector<std::vector<std::size_t>> by_turn;
  for (std::size_t i = 0; i < puts.size(); ++i) {
    const auto& [record, expected] = puts[i];
    Error error = refusal.ok() ? check_put(record, expected) : refusal;
    if (!error.ok()) {
      results[i] = std::move(error);
      continue;
    }
    const std::size_t turn = turns[record.key]++;
    if (turn == by_turn.size()) by_turn.emplace_back();
    by_turn[turn].push_back(i);
  }
  for (const std::vector<std::size_t>& places : by_turn) {
    for (std::size_t first = 0; first < places.size(); first += kPutsAtOnce) {
      const std::size_t count = std::min(kPutsAtOnce, places.size() - first);
      put_at_once(puts, std::span(places).subspan(first, count), results);
    }
  }
  return results;
}

// Of `puts` those at `places`, each of another key.
void Store::put_at_once(std::span<const ConditionalPut> puts, std::span<const std::size_t> places,
                        std::vector<Result<std::uint64_t>>& results) {
  const Deadline deadline = Deadline::after(timeout_);
  std::vector<Json> requests;
  for (const std::size_t i : places) {
    requests.push_back(put_request_of(target_, puts[i].record, puts[i].expected));
  }
  std::vector<net::DynamodbCall> calls;
  for (const Json& request : requests) calls.push_back({kPut, request, target_.table, true, false});
  const auto replies = client_.call_many(calls, deadline);
  for (std::size_t n = 0; n < places.size(); ++n) {
    const auto& [record, expected] = puts[places[n]];
    results[places[n]] = settle_put(replies[n], record, expected, deadline);
  }
}

// Nothing was written. Why, by the rules and in the words of all stores, as far as it can be told.
Error Store::put_refusal(const DynamodbReply& reply, const MappingRecord& record,
                         std::uint64_t expected, Deadline deadline) {
  MappingRecord stored;
  Result<ItemKind> kind = ItemKind::kNone;
  const auto take = [&](const std::vector<std::size_t>&, const Json& item) {
    kind = net::read_item(target_, item, record.key, stored);
    return kind.ok() ? Error() : kind.error();
  };
  const Json* const item = net::find_member(reply.body, "Item");
  const net::BatchSource now{
      target_.table, target_.name(Attribute::kKey),
      [&](std::span<const std::string> keys) { return net::batch_request(target_, keys, true); }};
  const Error error =
      item != nullptr ? take({}, *item)
                      : net::get_items(client_, now, {{net::stored_key(target_, record.key), {0}}},
                                       deadline, take);
  if (!kind.ok()) return kind.error();
  if (error.ok()) {
    const MappingRecord* const there = *kind == ItemKind::kNone ? nullptr : &stored;
    Error refusal = stores::check_successor(there, record, expected);
    if (!refusal.ok()) return refusal;
  }
  MappingRecord another;
  another.revision = expected == 0 ? 1 : 0;
  return stores::check_successor(&another, record, expected);
}

Result<Page> Store::page(const net::PageRequest& request) {
  const Deadline deadline = Deadline::after(timeout_);
  auto page = net::DynamodbWalk(client_, target_, table_).page(request, deadline);
  if (!page.ok()) return page;
  std::vector<MappingRecord*> records;
  for (MappingRecord& record : page->records) records.push_back(&record);
  Error error = add_profiles(records, deadline);
  if (!error.ok()) return error;
  return page;
}

Result<Page> Store::scan(const Cursor& cursor, std::size_t limit, Nanos now) {
  if (Error error = check_page(limit); !error.ok()) return error;
  return page({CursorScope('s', id_), cursor, {}, limit, now});
}

Result<Page> Store::scan_cell(std::string_view cell, const Cursor& cursor, std::size_t limit,
                              Nanos now) {
  if (Error error = check_page(limit); !error.ok()) return error;
  if (Error error = stores::check_cell(cell); !error.ok()) return error;
  return page({CursorScope('c', id_, cell), cursor, cell, limit, now, id_});
}

Result<Page> Store::changes(const Cursor&, std::size_t limit) {
  if (Error error = check_page(limit); !error.ok()) return error;
  return Error(ErrorCode::kUnsupported,
               "mapping store dynamodb: a table has no feed of changes; read its stream, or scan");
}

Result<std::size_t> Store::purge(Nanos before, std::size_t limit) {
  if (Error error = check_page(limit); !error.ok()) return error;
  if (Error error = check_writes(); !error.ok()) return error;
  if (before < 0) return std::size_t{0};
  return net::purge_expired(client_, target_, before, std::min(limit, kMaxPageRecords),
                            Deadline::after(timeout_));
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
