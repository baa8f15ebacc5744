#include "net/redis_leases.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "net/deadline.hpp"
#include "net/redis_cursor.hpp"
#include "net/redis_lease_script.hpp"
#include "net/redis_servers.hpp"
#include "net/redis_slots.hpp"
#include "net/redis_value.hpp"
#include "stores/cursor.hpp"
#include "stores/fork_guard.hpp"
#include "stores/lease_rules.hpp"

namespace cellroute {
namespace {

using net::Deadline;
using net::RedisReply;
using stores::CursorScope;
using Type = RedisReply::Type;

constexpr unsigned kPartitions = 16;
constexpr std::size_t kBatch = 256;
constexpr std::string_view kFrom = "fleet limits redis";
constexpr std::int64_t kKeptMicros = std::int64_t{100} * 86'400 * 1'000'000;

bool is_array(const RedisReply& reply, std::size_t size) {
  return reply.is(Type::kArray) && reply.elements.size() == size;
}

std::string text_of(Month month) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02u", static_cast<int>(month.year()),
                static_cast<unsigned>(month.month()));
  return text.data();
}

// Of kRate: microseconds that the bucket holds.
std::string ahead_of(const FleetLimit& limit, const LeaseOrder& order) {
  __extension__ using Wide = unsigned __int128;
  const Wide nanos = static_cast<Wide>(limit.period) * order.burst / order.requests;
  return std::to_string(static_cast<std::uint64_t>(nanos / kMicrosecond));
}

bool read_tokens(const RedisReply& reply, const LeaseOrder& order, LeaseGrant& grant) {
  if (!reply.is(Type::kInteger) || reply.integer < 0) return false;
  grant.tokens = static_cast<std::uint64_t>(reply.integer);
  return grant.tokens <= order.wanted;
}

// A command of the script's, built piece by piece. Thread safety: a plain value.
struct ScriptCall {
  std::vector<std::string> keys;
  std::vector<std::string> arguments;

  Result<RedisReply> run(net::RedisServers& servers, bool repeatable, Deadline deadline) const {
    const std::string count = std::to_string(keys.size());
    std::vector<std::string_view> command = {"EVAL", net::kRedisLeaseScript, count};
    command.insert(command.end(), keys.begin(), keys.end());
    command.insert(command.end(), arguments.begin(), arguments.end());
    return servers.call(net::redis_slot(keys.front()),
                        {.arguments = command, .repeatable = repeatable}, deadline);
  }
};

class RedisLeaseStore final : public LeaseStore {
 public:
  RedisLeaseStore(net::RedisTarget target, Nanos timeout)
      : prefix_(target.prefix), timeout_(timeout), servers_(std::move(target)) {}

  void settle(const FleetLimit& limit, std::span<const LeaseOrder> orders, Nanos now,
              std::span<LeaseGrant> grants) override;
  Result<std::uint64_t> usage(std::string_view limit, std::string_view key, Month month) override;
  Result<UsagePage> usages(std::string_view name, Month month, const Cursor& cursor,
                           std::size_t limit) override;

 private:
  // Places in `orders`, of one partition.
  using Places = std::span<const std::size_t>;

  std::string name_of(unsigned partition, std::string_view rest) const {
    return prefix_ + ":{" + std::to_string(partition) + "}:" + std::string(rest);
  }
  void add_month(ScriptCall& call, unsigned partition, std::string_view limit, Month month) const {
    const std::string rest = std::string(limit) + ':' + text_of(month);
    call.keys.push_back(name_of(partition, "usage:" + rest));
    call.keys.push_back(name_of(partition, "users:" + rest));
  }
  Error check(std::string_view limit) const {
    if (Error error = fork_.check(); !error.ok()) return error;
    return stores::check_fleet_name(limit);
  }
  Error settle_rates(unsigned partition, const FleetLimit& limit, Places places,
                     std::span<const LeaseOrder> orders, std::span<LeaseGrant> grants,
                     Deadline deadline);
  Error settle_months(unsigned partition, const FleetLimit& limit, Places places,
                      std::span<const LeaseOrder> orders, Nanos now, std::span<LeaseGrant> grants,
                      Deadline deadline);
  ScriptCall month_call(unsigned partition, const FleetLimit& limit, Places places,
                        std::span<const LeaseOrder> orders, Month before) const;

  const stores::ForkGuard fork_;
  const std::string prefix_;
  const Nanos timeout_;
  net::RedisServers servers_;
};

void RedisLeaseStore::settle(const FleetLimit& limit, std::span<const LeaseOrder> orders, Nanos now,
                             std::span<LeaseGrant> grants) {
  const Deadline deadline = Deadline::after(timeout_);
  const Error forked = fork_.check();
  std::array<std::vector<std::size_t>, kPartitions> wanted;
  for (std::size_t i = 0; i < orders.size() && i < grants.size(); ++i) {
    grants[i] = {};
    grants[i].error = forked.ok() ? stores::check_order(limit, orders[i], now) : forked;
    if (!grants[i].error.ok()) continue;
    wanted[net::redis_partition(orders[i].key, kPartitions)].push_back(i);
  }
  for (unsigned p = 0; p < kPartitions; ++p) {
    const Places all(wanted[p]);
    for (std::size_t at = 0; at < all.size(); at += kBatch) {
      const Places places = all.subspan(at, std::min(kBatch, all.size() - at));
      const Error error = limit.kind == FleetKind::kRate
                              ? settle_rates(p, limit, places, orders, grants, deadline)
                              : settle_months(p, limit, places, orders, now, grants, deadline);
      if (error.ok()) continue;
      for (const std::size_t i : places) grants[i] = {.error = error};
    }
  }
}

Error RedisLeaseStore::settle_rates(unsigned partition, const FleetLimit& limit, Places places,
                                    std::span<const LeaseOrder> orders,
                                    std::span<LeaseGrant> grants, Deadline deadline) {
  ScriptCall call;
  call.arguments = {"rate", std::to_string(limit.period / kMicrosecond)};
  for (const std::size_t i : places) {
    const LeaseOrder& order = orders[i];
    call.keys.push_back(name_of(partition, "rate:" + limit.name + ':' + std::string(order.key)));
    call.arguments.insert(call.arguments.end(),
                          {std::to_string(order.requests), ahead_of(limit, order),
                           std::to_string(order.settled), std::to_string(order.wanted)});
  }
  const auto reply = call.run(servers_, false, deadline);
  if (!reply.ok()) return reply.error();
  if (!is_array(*reply, places.size())) return net::error_of_reply(*reply, kFrom);
  for (std::size_t n = 0; n < places.size(); ++n) {
    const LeaseOrder& order = orders[places[n]];
    LeaseGrant& grant = grants[places[n]];
    const RedisReply& said = reply->elements[n];
    if (!is_array(said, 2) || !read_tokens(said.elements[0], order, grant)) {
      return net::error_of_reply(said, kFrom);
    }
    grant.lasts = order.lasting;
    if (grant.tokens == order.wanted) continue;
    grant.retry_after = std::min(said.elements[1].integer, guard::kMaxPeriod / kMicrosecond);
    grant.retry_after = std::max<Nanos>(grant.retry_after, 1) * kMicrosecond;
  }
  return {};
}

// Of three months, of which `before` is the first.
ScriptCall RedisLeaseStore::month_call(unsigned partition, const FleetLimit& limit, Places places,
                                       std::span<const LeaseOrder> orders, Month before) const {
  ScriptCall call;
  call.arguments = {"month"};
  for (int i = 0; i < 3; ++i)
    add_month(call, partition, limit.name, before + std::chrono::months(i));
  for (int i = 0; i < 4; ++i) {
    const Nanos bound = start_of(before + std::chrono::months(i));
    call.arguments.push_back(std::to_string(bound / kMicrosecond));
  }
  call.arguments.push_back(std::to_string(kKeptMicros));
  for (const std::size_t i : places) {
    const LeaseOrder& order = orders[i];
    const auto which = order.settled == 0 ? 1 : (order.month - before).count() + 1;
    call.arguments.insert(
        call.arguments.end(),
        {std::string(order.key), std::to_string(order.requests), std::to_string(order.settled),
         std::to_string(which), std::to_string(order.wanted)});
  }
  return call;
}

Error RedisLeaseStore::settle_months(unsigned partition, const FleetLimit& limit, Places places,
                                     std::span<const LeaseOrder> orders, Nanos now,
                                     std::span<LeaseGrant> grants, Deadline deadline) {
  const Month before = month_of(now) - std::chrono::months(1);
  const ScriptCall call = month_call(partition, limit, places, orders, before);
  const auto reply = call.run(servers_, false, deadline);
  if (!reply.ok()) return reply.error();
  if (is_array(*reply, 1) && reply->elements[0].is(Type::kInteger)) {
    return Error(ErrorCode::kUnavailable, std::string(kFrom) +
                                              ": the server's clock is more than a month away from "
                                              "this one's");
  }
  if (!is_array(*reply, places.size() + 2)) return net::error_of_reply(*reply, kFrom);
  const std::int64_t which = reply->elements[0].integer;
  if (which < 1 || which > 3) return net::error_of_reply(*reply, kFrom);
  const Nanos left =
      std::clamp<Nanos>(reply->elements[1].integer, 0, guard::kMaxPeriod / kMicrosecond) *
      kMicrosecond;
  for (std::size_t n = 0; n < places.size(); ++n) {
    const LeaseOrder& order = orders[places[n]];
    LeaseGrant& grant = grants[places[n]];
    const RedisReply& said = reply->elements[n + 2];
    if (!read_tokens(said, order, grant)) return net::error_of_reply(said, kFrom);
    grant.lasts = std::min(order.lasting, left);
    grant.month = before + std::chrono::months(which - 1);
    if (grant.tokens < order.wanted) grant.retry_after = std::max<Nanos>(left, 1);
  }
  return {};
}

Result<std::uint64_t> RedisLeaseStore::usage(std::string_view limit, std::string_view key,
                                             Month month) {
  if (Error error = check(limit); !error.ok()) return error;
  if (Error error = stores::check_key(key); !error.ok()) return error;
  ScriptCall names;
  add_month(names, net::redis_partition(key, kPartitions), limit, month);
  const std::string_view get[] = {"HGET", names.keys[0], key};
  const auto reply =
      servers_.call(net::redis_slot(names.keys[0]), {.arguments = get, .repeatable = true},
                    Deadline::after(timeout_));
  if (!reply.ok()) return reply.error();
  if (reply->is(Type::kNil)) return std::uint64_t{0};
  std::uint64_t used = 0;
  if (!reply->is(Type::kString)) return net::error_of_reply(*reply, kFrom);
  if (net::read_decimal(reply->text, used)) return used;
  return Error(ErrorCode::kCorrupt, std::string(kFrom) + ": a counter is no number");
}

Result<UsagePage> RedisLeaseStore::usages(std::string_view name, Month month, const Cursor& cursor,
                                          std::size_t limit) {
  if (Error error = check(name); !error.ok()) return error;
  if (Error error = stores::check_limit(limit); !error.ok()) return error;
  const Deadline deadline = Deadline::after(timeout_);
  const CursorScope scope('u', 0, std::string(name) + ':' + text_of(month));
  Result<net::RedisScanPlace> place = net::read_scan_cursor(scope, cursor, kPartitions);
  if (!place.ok()) return place.error();
  const std::size_t most = std::min(limit, kMaxPageRecords);
  UsagePage page;
  while (!page.done && page.usages.size() < most) {
    const std::size_t count = std::min(kBatch, most - page.usages.size());
    ScriptCall call;
    add_month(call, place->partition, name, month);
    call.arguments = {"usages", place->after, std::to_string(count)};
    const auto reply = call.run(servers_, true, deadline);
    if (!reply.ok()) return reply.error();
    if (!is_array(*reply, 2) || !reply->elements[0].is(Type::kArray) ||
        !is_array(reply->elements[1], reply->elements[0].elements.size())) {
      return net::error_of_reply(*reply, kFrom);
    }
    const std::vector<RedisReply>& keys = reply->elements[0].elements;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      Usage usage{keys[i].text, 0};
      if (!net::read_decimal(reply->elements[1].elements[i].text, usage.used)) {
        return Error(ErrorCode::kCorrupt, std::string(kFrom) + ": a counter is no number");
      }
      place->after = usage.key;
      page.usages.push_back(std::move(usage));
    }
    if (keys.size() >= count) continue;
    page.done = place->partition + 1 == kPartitions;
    if (!page.done) *place = {place->partition + 1, {}};
  }
  page.next = net::make_scan_cursor(scope, *place);
  return page;
}

}  // namespace

Result<std::unique_ptr<LeaseStore>> open_redis_leases(std::string_view url,
                                                      const StoreOptions& options) {
  if (options.timeout <= 0) {
    return invalid_argument("fleet limits redis: the timeout is not positive");
  }
  Result<net::RedisTarget> target = net::read_redis_url(url);
  if (!target.ok()) return target.error();
  std::unique_ptr<LeaseStore> made =
      std::make_unique<RedisLeaseStore>(std::move(*target), options.timeout);
  return made;
}

}  // namespace cellroute
