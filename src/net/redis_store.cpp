#include "net/redis_store.hpp"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <limits>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cellroute/hash.hpp"
#include "net/deadline.hpp"
#include "net/redis_cursor.hpp"
#include "net/redis_layout.hpp"
#include "net/redis_script.hpp"
#include "net/redis_servers.hpp"
#include "net/redis_value.hpp"
#include "stores/cursor.hpp"
#include "stores/fork_guard.hpp"
#include "stores/put_rules.hpp"
#include "stores/random.hpp"
#include "stores/record_codec.hpp"
#include "stores/text.hpp"

namespace cellroute {
namespace {

using net::Deadline;
using net::RedisPartition;
using net::RedisReply;
using stores::CursorScope;
using Type = RedisReply::Type;

// Records of one command: a reply stays below 5 MiB, and no command keeps the server for long.
constexpr std::size_t kBatch = 256;
constexpr std::size_t kScriptHashBytes = 40;
constexpr std::string_view kFrom = "mapping store redis";

Error corrupt(std::string text) { return Error(ErrorCode::kCorrupt, std::move(text)); }

Error another_store() {
  return refused("mapping store redis: another store has taken its place; open it again");
}

bool is_array(const RedisReply& reply, std::size_t size) {
  return reply.is(Type::kArray) && reply.elements.size() == size;
}

bool says(const RedisReply& reply, std::string_view word) {
  return is_array(reply, 1) && reply.elements[0].text == word;
}

// Are `keys` and `values` the two columns of a page?
bool is_page(const RedisReply& keys, const RedisReply& values) {
  return keys.is(Type::kArray) && is_array(values, keys.elements.size());
}

Error read_found(stores::RecordCodec& codec, const RedisReply& key, const RedisReply& value,
                 MappingRecord& record) {
  if (!value.is(Type::kString)) {
    return corrupt(stores::key_text(key.text) + ": an index names it, and there is no record");
  }
  return net::read_redis_value(codec, value.text, key.text, record);
}

// 20 digits, in the order of the numbers.
std::string padded(std::uint64_t number) {
  const std::string digits = std::to_string(number);
  return std::string(20 - digits.size(), '0') + digits;
}

// A record on its way.
struct Outgoing {
  const MappingRecord* record = nullptr;
  std::uint64_t expected = 0;
  std::array<std::string, 4> numbers;  // expected, revision, epoch, expires
  std::string message;
  Result<std::uint64_t>* result = nullptr;
};

// What stands against the record before any server is asked, or else `out` with all but its result.
Error prepare(const MappingRecord& record, std::uint64_t expected, Outgoing& out) {
  if (Error error = stores::check_record(record); !error.ok()) return error;
  if (expected == std::numeric_limits<std::uint64_t>::max()) {
    return refused(stores::key_text(record.key) + ": its revisions are used up");
  }
  MappingRecord next = record;
  next.revision = expected + 1;
  stores::RecordCodec codec;
  out.record = &record;
  out.expected = expected;
  out.numbers = {std::to_string(expected), std::to_string(next.revision),
                 std::to_string(next.epoch), std::to_string(next.expires)};
  return codec.encode(next, out.message);
}

class RedisStore final : public MappingStore {
 public:
  RedisStore(net::RedisTarget target, Nanos timeout)
      : cluster_(target.cluster),
        prefix_(target.prefix),
        timeout_(timeout),
        servers_(std::move(target)) {}

  // Once, before all else.
  Error open(bool create);

  StoreCapabilities capabilities() const noexcept override {
    StoreCapabilities can;
    can.loses_acknowledged = true;
    can.shared = true;
    can.changes = true;
    can.ordered_changes = partitions_.size() == 1;
    can.consistent_scan_cell = true;
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
  Error renew_feed() override;
  Result<std::size_t> purge(Nanos before, std::size_t limit) override;

 private:
  Error check_page(std::size_t limit) const {
    if (Error error = fork_.check(); !error.ok()) return error;
    return stores::check_limit(limit);
  }
  const RedisPartition& partition_of(std::string_view key) const {
    return partitions_[net::redis_partition(key, format_.partitions)];
  }

  Result<net::RedisFormat> stored_format(const net::RedisFormat* wanted, Deadline deadline);
  Result<RedisReply> run(const RedisPartition& partition,
                         std::span<const std::string_view> arguments, bool repeatable,
                         Deadline deadline);
  Result<RedisReply> run(const RedisPartition& partition,
                         std::initializer_list<std::string_view> arguments, bool repeatable,
                         Deadline deadline) {
    return run(partition, std::span(arguments.begin(), arguments.size()), repeatable, deadline);
  }
  bool get_batch(const RedisPartition& partition, std::span<const std::string_view> keys,
                 std::span<const std::size_t> wanted, Nanos now, std::span<Lookup> out,
                 Deadline deadline);
  bool put_batch(const RedisPartition& partition, std::span<const Outgoing> batch,
                 Deadline deadline);
  Result<RedisReply> put_once(const RedisPartition& partition, std::span<const Outgoing> batch,
                              bool claim, Deadline deadline);
  Error put_refusal(const RedisReply& reply, const MappingRecord& record,
                    std::uint64_t expected) const;
  // Of many keys, those of each partition in turn and at most kBatch at once, by their places, to
  // `take(partition, places, deadline)`, which tells whether a server answered in time. Of a server
  // that did not the batches come behind all others', so that it holds up its own keys alone; with
  // them the one that got no answer, where it is `repeatable`.
  template <class Take>
  void each_batch(const std::vector<std::vector<std::size_t>>& wanted, bool repeatable,
                  Deadline deadline, Take take);

  // A page through the partitions. `ask` gets at most `count` entries behind `after`; `wanted` is
  // the record to be in the page.
  template <class Ask, class Wanted>
  Result<Page> walk(const CursorScope& scope, const Cursor& cursor, std::size_t limit, Ask ask,
                    Wanted wanted);

  Error settle_position(const RedisReply& reply, net::RedisFeedPosition& position) const;

  const stores::ForkGuard fork_;
  const bool cluster_;
  const std::string prefix_;
  const Nanos timeout_;
  net::RedisServers servers_;
  net::RedisFormat format_;
  std::vector<RedisPartition> partitions_;
  std::string script_hash_;
};

Error RedisStore::open(bool create) {
  const Deadline deadline = Deadline::after(timeout_);
  if (cluster_) {
    constexpr std::string_view kSlots[] = {"CLUSTER", "SLOTS"};
    const auto slots = servers_.call(0, {.arguments = kSlots, .repeatable = true}, deadline);
    if (!slots.ok()) return slots.error();
    if (slots->is(Type::kError)) {
      return Error(ErrorCode::kUnsupported, net::error_of_reply(*slots, kFrom).text());
    }
  }
  net::RedisFormat fresh;
  fresh.partitions = cluster_ ? net::kClusterPartitions : net::kAlonePartitions;
  if (Error error = stores::fill_random(&fresh.store_id, sizeof fresh.store_id); !error.ok()) {
    return error;
  }
  const auto format = stored_format(create ? &fresh : nullptr, deadline);
  if (!format.ok()) return format.error();
  format_ = *format;
  for (unsigned i = 0; i < format_.partitions; ++i) partitions_.emplace_back(prefix_, i);
  const std::string_view load[] = {"SCRIPT", "LOAD", net::kRedisScript};
  const auto loaded =
      servers_.call(partitions_[0].slot(), {.arguments = load, .repeatable = true}, deadline);
  if (!loaded.ok()) return loaded.error();
  if (!loaded->is(Type::kString) || loaded->text.size() != kScriptHashBytes) {
    return net::error_of_reply(*loaded, kFrom);
  }
  script_hash_ = loaded->text;
  return {};
}

// `wanted`, which may be null, is what to write where there is none.
Result<net::RedisFormat> RedisStore::stored_format(const net::RedisFormat* wanted,
                                                   Deadline deadline) {
  const std::string key = net::redis_format_key(prefix_);
  const unsigned slot = net::redis_slot(key);
  const std::string_view get[] = {"GET", key};
  auto reply = servers_.call(slot, {.arguments = get, .repeatable = true}, deadline);
  if (reply.ok() && reply->is(Type::kNil)) {
    if (wanted == nullptr) {
      return Error(ErrorCode::kNotFound, std::string(kFrom) + ": there is no store");
    }
    const std::string text = wanted->text();
    const std::string_view set[] = {"SET", key, text, "NX"};  // of two, the first one's holds
    reply = servers_.call(slot, {.arguments = set, .repeatable = true}, deadline);
    if (reply.ok() && !reply->is(Type::kError)) {
      reply = servers_.call(slot, {.arguments = get, .repeatable = true}, deadline);
    }
  }
  if (!reply.ok()) return reply.error();
  if (!reply->is(Type::kString)) return net::error_of_reply(*reply, kFrom);
  return net::read_redis_format(reply->text);
}

Result<RedisReply> RedisStore::run(const RedisPartition& partition,
                                   std::span<const std::string_view> arguments, bool repeatable,
                                   Deadline deadline) {
  std::vector<std::string_view> by_hash = {"EVALSHA", script_hash_, "6"};
  by_hash.insert(by_hash.end(), partition.keys().begin(), partition.keys().end());
  by_hash.insert(by_hash.end(), arguments.begin(), arguments.end());
  std::vector<std::string_view> with_script = by_hash;
  with_script[0] = "EVAL";
  with_script[1] = net::kRedisScript;
  auto reply = servers_.call(
      partition.slot(),
      {.arguments = by_hash, .with_script = with_script, .repeatable = repeatable}, deadline);
  if (reply.ok() && reply->is(Type::kError)) return net::error_of_reply(*reply, kFrom);
  return reply;
}

Lookup RedisStore::get(std::string_view key, Nanos now) {
  Lookup found;
  found.error = fork_.check();
  if (found.error.ok()) found.error = stores::check_key(key);
  if (!found.error.ok()) return found;
  constexpr std::size_t kFirst[] = {0};
  get_batch(partition_of(key), {&key, 1}, kFirst, now, {&found, 1}, Deadline::after(timeout_));
  return found;
}

void RedisStore::get_many(std::span<const std::string_view> keys, Nanos now,
                          std::span<Lookup> out) {
  const Deadline deadline = Deadline::after(timeout_);
  const Error forked = fork_.check();
  std::vector<std::vector<std::size_t>> wanted(partitions_.size());
  for (std::size_t i = 0; i < keys.size() && i < out.size(); ++i) {
    out[i].error = forked.ok() ? stores::check_key(keys[i]) : forked;
    out[i].answer = Answer::kUnknown;
    if (!out[i].error.ok()) continue;
    wanted[net::redis_partition(keys[i], format_.partitions)].push_back(i);
  }
  each_batch(wanted, true, deadline,
             [&](const RedisPartition& partition, std::span<const std::size_t> batch,
                 Deadline until) { return get_batch(partition, keys, batch, now, out, until); });
}

template <class Take>
void RedisStore::each_batch(const std::vector<std::vector<std::size_t>>& wanted, bool repeatable,
                            Deadline deadline, Take take) {
  std::vector<std::pair<const RedisPartition*, std::span<const std::size_t>>> later;
  std::set<std::string> silent;
  const auto begin = [&](const RedisPartition& partition, std::span<const std::size_t> batch) {
    if (!cluster_) return static_cast<void>(take(partition, batch, deadline));
    const std::string server = servers_.server_of(partition.slot());
    if (!silent.contains(server)) {
      if (take(partition, batch, deadline.within(deadline.left() / (repeatable ? 4 : 2)))) return;
      silent.insert(server);
      if (!repeatable) return;
    }
    later.emplace_back(&partition, batch);
  };
  for (std::size_t p = 0; p < wanted.size(); ++p) {
    const std::span<const std::size_t> all(wanted[p]);
    for (std::size_t i = 0; i < all.size(); i += kBatch) {
      begin(partitions_[p], all.subspan(i, std::min(kBatch, all.size() - i)));
    }
  }
  for (const auto& [partition, batch] : later) take(*partition, batch, deadline);
}

// False where no server answered in time.
bool RedisStore::get_batch(const RedisPartition& partition, std::span<const std::string_view> keys,
                           std::span<const std::size_t> wanted, Nanos now, std::span<Lookup> out,
                           Deadline deadline) {
  std::vector<std::string_view> command = {"HMGET", partition.records()};
  for (const std::size_t i : wanted) command.push_back(keys[i]);
  const auto reply =
      servers_.call(partition.slot(), {.arguments = command, .repeatable = true}, deadline);
  Error error = reply.ok() ? Error() : reply.error();
  if (reply.ok() && !is_array(*reply, wanted.size())) error = net::error_of_reply(*reply, kFrom);
  stores::RecordCodec codec;
  for (std::size_t n = 0; n < wanted.size(); ++n) {
    Lookup& lookup = out[wanted[n]];
    lookup.answer = Answer::kUnknown;
    lookup.error = error;
    if (!error.ok()) continue;
    const RedisReply& value = reply->elements[n];
    if (value.is(Type::kNil)) {
      lookup.answer = Answer::kAbsent;
      lookup.record = MappingRecord{};
      lookup.record.epoch = 0;
    } else if (!value.is(Type::kString)) {
      lookup.error = net::error_of_reply(value, kFrom);
    } else {
      lookup.error = net::read_redis_value(codec, value.text, keys[wanted[n]], lookup.record);
      if (lookup.error.ok()) lookup.answer = lookup.record.answer(now);
    }
  }
  return error.code() != ErrorCode::kUnavailable;
}

Result<std::uint64_t> RedisStore::put_if(const MappingRecord& record, std::uint64_t expected) {
  if (Error error = fork_.check(); !error.ok()) return error;
  Outgoing out;
  if (Error error = prepare(record, expected, out); !error.ok()) return error;
  Result<std::uint64_t> result = std::uint64_t{0};
  out.result = &result;
  put_batch(partition_of(record.key), {&out, 1}, Deadline::after(timeout_));
  return result;
}

std::vector<Result<std::uint64_t>> RedisStore::put_many(std::span<const ConditionalPut> puts) {
  const Deadline deadline = Deadline::after(timeout_);
  const Error forked = fork_.check();
  std::vector<Result<std::uint64_t>> results(puts.size(), std::uint64_t{0});
  std::vector<std::vector<std::size_t>> wanted(partitions_.size());
  for (std::size_t i = 0; i < puts.size(); ++i) {
    wanted[net::redis_partition(puts[i].record.key, format_.partitions)].push_back(i);
  }
  const auto put = [&](const RedisPartition& partition, std::span<const std::size_t> batch,
                       Deadline until) {
    std::vector<Outgoing> outgoing;
    for (const std::size_t i : batch) {
      Outgoing out;
      Error error = forked.ok() ? prepare(puts[i].record, puts[i].expected, out) : forked;
      out.result = &results[i];
      if (error.ok()) {
        outgoing.push_back(std::move(out));
      } else {
        results[i] = std::move(error);
      }
    }
    return outgoing.empty() || put_batch(partition, outgoing, until);
  };
  // Whether a batch without an answer was put is not known: it is not put again.
  each_batch(wanted, false, deadline, put);
  return results;
}

// Gives each of `batch` its result. False where no server answered in time.
bool RedisStore::put_batch(const RedisPartition& partition, std::span<const Outgoing> batch,
                           Deadline deadline) {
  auto reply = put_once(partition, batch, false, deadline);
  if (reply.ok() && says(reply->elements[0], "unclaimed")) {
    // The partition's first record, or the server lost all that it had, the format too.
    const auto format = stored_format(&format_, deadline);
    if (!format.ok()) {
      reply = format.error();
    } else if (format->text() != format_.text()) {
      reply = another_store();
    } else {
      reply = put_once(partition, batch, true, deadline);
    }
  }
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const auto& [record, expected, numbers, message, result] = batch[i];
    if (!reply.ok()) {
      *result = reply.error();
    } else if (says(reply->elements[i], "put")) {
      *result = expected + 1;
    } else {
      *result = put_refusal(reply->elements[i], *record, expected);
    }
  }
  return reply.ok() || reply.error().code() != ErrorCode::kUnavailable;
}

// As many replies as there are in `batch`, which is not empty.
Result<RedisReply> RedisStore::put_once(const RedisPartition& partition,
                                        std::span<const Outgoing> batch, bool claim,
                                        Deadline deadline) {
  const std::string store = std::to_string(format_.store_id);
  std::vector<std::string_view> arguments = {"put", store, claim ? "1" : "0"};
  for (const Outgoing& out : batch) {
    const MappingRecord& record = *out.record;
    arguments.insert(arguments.end(), out.numbers.begin(), out.numbers.end());
    arguments.insert(arguments.end(), {record.deleted ? "1" : "0", record.cell, record.target,
                                       record.key, out.message});
  }
  auto reply = run(partition, arguments, false, deadline);
  if (reply.ok() && !is_array(*reply, batch.size())) return net::error_of_reply(*reply, kFrom);
  return reply;
}

// What the script found, by the rules and in the words of all stores.
Error RedisStore::put_refusal(const RedisReply& reply, const MappingRecord& record,
                              std::uint64_t expected) const {
  if (says(reply, "another")) return another_store();
  if (says(reply, "damaged")) {
    return corrupt(stores::key_text(record.key) + ": stored record: its line is none");
  }
  MappingRecord stored;
  if (!is_array(reply, 5) || reply.elements[0].text != "stored" ||
      !net::read_decimal(reply.elements[1].text, stored.revision) ||
      !net::read_decimal(reply.elements[2].text, stored.epoch)) {
    return net::error_of_reply(reply, kFrom);
  }
  stored.deleted = reply.elements[3].text == "1";
  stored.cell = reply.elements[4].text;
  Error error = stores::check_successor(stored.revision == 0 ? nullptr : &stored, record, expected);
  if (!error.ok()) return error;
  return Error(ErrorCode::kUnavailable,
               stores::key_text(record.key) + ": the server refused what the rules allow");
}

template <class Ask, class Wanted>
Result<Page> RedisStore::walk(const CursorScope& scope, const Cursor& cursor, std::size_t limit,
                              Ask ask, Wanted wanted) {
  Result<net::RedisScanPlace> place = net::read_scan_cursor(scope, cursor, format_.partitions);
  if (!place.ok()) return place.error();
  Page page;
  MappingRecord record;
  stores::RecordCodec codec;
  const std::size_t most = std::min(limit, kMaxPageRecords);
  std::size_t walked = 0;
  bool full = false;
  while (!full && !page.done) {
    const std::size_t room = std::min(most - page.records.size(), stores::kMaxPageWalk - walked);
    const std::size_t count = std::min(kBatch, room + 1);  // one more, to see whether it goes on
    const Result<RedisReply> reply = ask(partitions_[place->partition], place->after, count);
    if (!reply.ok()) return reply.error();
    if (!is_array(*reply, 2) || !is_page(reply->elements[0], reply->elements[1])) {
      return net::error_of_reply(*reply, kFrom);
    }
    const std::vector<RedisReply>& keys = reply->elements[0].elements;
    for (std::size_t i = 0; i < keys.size() && !full; ++i) {
      full = page.records.size() == most || walked == stores::kMaxPageWalk;
      if (full) break;
      Error error = read_found(codec, keys[i], reply->elements[1].elements[i], record);
      if (!error.ok()) return error;
      ++walked;
      place->after = keys[i].text;
      if (wanted(record)) page.records.push_back(record);
    }
    if (full || keys.size() >= count) continue;
    page.done = place->partition + 1 == format_.partitions;
    if (!page.done) *place = {place->partition + 1, {}};
  }
  page.next = net::make_scan_cursor(scope, *place);
  return page;
}

Result<Page> RedisStore::scan(const Cursor& cursor, std::size_t limit, Nanos now) {
  if (Error error = check_page(limit); !error.ok()) return error;
  const Deadline deadline = Deadline::after(timeout_);
  return walk(
      CursorScope('s', format_.store_id), cursor, limit,
      [&](const RedisPartition& partition, const std::string& after, std::size_t count) {
        return run(partition, {"scan", after, std::to_string(count)}, true, deadline);
      },
      [&](const MappingRecord& record) { return record.answer(now) == Answer::kFound; });
}

Result<Page> RedisStore::scan_cell(std::string_view cell, const Cursor& cursor, std::size_t limit,
                                   Nanos now) {
  if (Error error = check_page(limit); !error.ok()) return error;
  if (Error error = stores::check_cell(cell); !error.ok()) return error;
  const Deadline deadline = Deadline::after(timeout_);
  return walk(
      CursorScope('c', format_.store_id, cell), cursor, limit,
      [&](const RedisPartition& partition, const std::string& after, std::size_t count) {
        return run(partition, {"scan_cell", cell, after, std::to_string(count)}, true, deadline);
      },
      [&](const MappingRecord& record) {
        return record.answer(now) == Answer::kFound &&
               (record.cell == cell || record.target == cell);
      });
}

// Holds `position` against what the partition is now, and brings it there.
Error RedisStore::settle_position(const RedisReply& reply, net::RedisFeedPosition& position) const {
  const std::string_view store = reply.elements[1].text;
  std::uint64_t last = 0;
  std::uint64_t forgotten = 0;
  const auto read = [](const RedisReply& number, std::uint64_t& to) {
    return number.text.empty() || net::read_decimal(number.text, to);
  };
  if (!read(reply.elements[2], last) || !read(reply.elements[3], forgotten)) {
    return corrupt("mapping store redis: a partition's head is damaged");
  }
  if (!store.empty() && store != std::to_string(format_.store_id)) return another_store();
  const std::uint64_t line = hash_bytes(0, reply.elements[0].text);
  if (position.sequence != 0) {
    if (position.line != line || position.sequence > last) {
      return refused(
          "the server's history of writes is another than this cursor's (failover? restart? moved "
          "slot?), and may lack some; begin with an empty one");
    }
    if (position.sequence < forgotten && position.forgotten < forgotten) {
      return refused(
          "tombstones behind this cursor have been purged; begin with an empty one and drop what "
          "it does not bring");
    }
  }
  position.forgotten = forgotten;
  position.line = line;
  return {};
}

Result<Page> RedisStore::changes(const Cursor& cursor, std::size_t limit) {
  if (Error error = check_page(limit); !error.ok()) return error;
  const Deadline deadline = Deadline::after(timeout_);
  net::RedisFeedPlace place;
  Error bad = net::read_feed_cursor(format_.store_id, cursor, format_.partitions, place);
  if (!bad.ok()) return bad;
  Page page;
  MappingRecord record;
  stores::RecordCodec codec;
  const std::size_t most = std::min(limit, kMaxPageRecords);
  bool full = false;
  for (unsigned ended = 0; ended < format_.partitions && !full;) {
    net::RedisFeedPosition& position = place.positions[place.partition];
    const std::size_t count = std::min(kBatch, most - page.records.size() + 1);
    const auto reply =
        run(partitions_[place.partition],
            {"changes", std::to_string(position.sequence), std::to_string(count)}, true, deadline);
    if (!reply.ok()) return reply.error();
    if (!is_array(*reply, 7) || !is_page(reply->elements[5], reply->elements[6]) ||
        !is_array(reply->elements[4], reply->elements[5].elements.size())) {
      return net::error_of_reply(*reply, kFrom);
    }
    if (Error error = settle_position(*reply, position); !error.ok()) return error;
    const std::vector<RedisReply>& keys = reply->elements[5].elements;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      full = page.records.size() == most;
      if (full) break;
      Error error = read_found(codec, keys[i], reply->elements[6].elements[i], record);
      if (!error.ok()) return error;
      if (!net::read_decimal(reply->elements[4].elements[i].text, position.sequence)) {
        return corrupt("mapping store redis: a partition's changes are damaged");
      }
      page.records.push_back(record);
    }
    if (full || keys.size() >= count) continue;
    ++ended;
    place.partition = (place.partition + 1) % format_.partitions;
  }
  page.done = !full;
  page.next = net::make_feed_cursor(format_.store_id, place);
  return page;
}

// The partitions first: until `:format` says it too, whoever is not done refuses to write.
Error RedisStore::renew_feed() {
  if (Error error = fork_.check(); !error.ok()) return error;
  const Deadline deadline = Deadline::after(timeout_);
  const auto stored = stored_format(nullptr, deadline);
  if (!stored.ok()) return stored.error();
  if (stored->text() != format_.text()) return another_store();
  net::RedisFormat fresh = format_;
  if (Error error = stores::fill_random(&fresh.store_id, sizeof fresh.store_id); !error.ok()) {
    return error;
  }
  const std::string id = std::to_string(fresh.store_id);
  for (const RedisPartition& partition : partitions_) {
    const auto reply = run(partition, {"renew", id}, true, deadline);
    if (!reply.ok()) return reply.error();
    if (!reply->is(Type::kInteger)) return net::error_of_reply(*reply, kFrom);
  }
  const std::string key = net::redis_format_key(prefix_);
  const std::string text = fresh.text();
  const std::string_view set[] = {"SET", key, text};
  const auto reply =
      servers_.call(net::redis_slot(key), {.arguments = set, .repeatable = true}, deadline);
  if (!reply.ok()) return reply.error();
  return reply->is(Type::kError) ? net::error_of_reply(*reply, kFrom) : Error();
}

Result<std::size_t> RedisStore::purge(Nanos before, std::size_t limit) {
  if (Error error = check_page(limit); !error.ok()) return error;
  if (before < 0) return std::size_t{0};
  const Deadline deadline = Deadline::after(timeout_);
  const std::string store = std::to_string(format_.store_id);
  const std::string bound = padded(static_cast<std::uint64_t>(before) + 1);
  const std::size_t most = std::min(limit, kMaxPageRecords);
  std::size_t purged = 0;
  for (std::size_t p = 0; p < partitions_.size() && purged < most;) {
    const std::size_t count = std::min(kBatch, most - purged);
    const auto reply =
        run(partitions_[p], {"purge", store, bound, std::to_string(count)}, false, deadline);
    if (!reply.ok()) return reply.error();
    if (!reply->is(Type::kInteger)) return net::error_of_reply(*reply, kFrom);
    if (reply->integer == -1) return another_store();
    if (reply->integer < 0 || static_cast<std::size_t>(reply->integer) > count) {
      return corrupt("mapping store redis: a record that expired is damaged");
    }
    purged += static_cast<std::size_t>(reply->integer);
    if (static_cast<std::size_t>(reply->integer) < count) ++p;
  }
  return purged;
}

}  // namespace

Result<std::unique_ptr<MappingStore>> open_redis_store(std::string_view url,
                                                       const StoreOptions& options) {
  if (options.timeout <= 0)
    return invalid_argument("mapping store redis: the timeout is not positive");
  Result<net::RedisTarget> target = net::read_redis_url(url);
  if (!target.ok()) return target.error();
  auto store = std::make_unique<RedisStore>(std::move(*target), options.timeout);
  if (Error error = store->open(options.create); !error.ok()) return error;
  std::unique_ptr<MappingStore> made = std::move(store);
  return made;
}

}  // namespace cellroute
