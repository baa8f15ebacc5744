#include "net/redis_servers.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "net/back_off.hpp"

namespace cellroute::net {
namespace {

constexpr unsigned kMaxRedirects = 16;
constexpr std::size_t kMaxIdle = 8;
constexpr std::size_t kMaxNodes = 1024;

// The server did not do the command, and may soon.
bool passes(const RedisReply& reply) {
  for (const char* word :
       {"LOADING", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "READONLY", "BUSY"}) {
    if (reply.is_error(word)) return true;
  }
  return false;
}

std::string_view next_word(std::string_view& text) {
  const std::size_t space = text.find(' ');
  const std::string_view word = text.substr(0, space);
  text = space == text.npos ? std::string_view() : text.substr(space + 1);
  return word;
}

}  // namespace

std::optional<RedisRedirect> read_redirect(const RedisReply& reply) {
  if (!reply.is_error("MOVED") && !reply.is_error("ASK")) return std::nullopt;
  RedisRedirect redirect;
  std::string_view text = reply.text;
  redirect.ask = next_word(text) == "ASK";
  const std::string_view slot = next_word(text);
  const auto [end, failed] = std::from_chars(slot.data(), slot.data() + slot.size(), redirect.slot);
  if (failed != std::errc() || end != slot.data() + slot.size()) return std::nullopt;
  Result<RedisEndpoint> endpoint = read_redis_address(text);
  if (redirect.slot >= kRedisSlots || !endpoint.ok()) return std::nullopt;
  redirect.endpoint = std::move(*endpoint);
  return redirect;
}

Result<std::vector<RedisSlotRange>> read_slot_ranges(const RedisReply& reply) {
  using Type = RedisReply::Type;
  const Error bad = error_of_reply(reply, "Redis Cluster's map of slots");
  if (!reply.is(Type::kArray) || reply.elements.size() > kRedisSlots) return bad;
  std::vector<RedisSlotRange> ranges;
  for (const RedisReply& range : reply.elements) {
    if (range.elements.size() < 3) return bad;
    const std::int64_t first = range.elements[0].integer;
    const std::int64_t last = range.elements[1].integer;
    const std::vector<RedisReply>& master = range.elements[2].elements;
    if (first < 0 || last < first || last >= kRedisSlots || master.size() < 2) return bad;
    Result<RedisEndpoint> endpoint =
        read_redis_address(master[0].text + ":" + std::to_string(master[1].integer));
    if (!endpoint.ok()) return endpoint.error();
    ranges.push_back(
        {static_cast<unsigned>(first), static_cast<unsigned>(last), std::move(*endpoint)});
  }
  return ranges;
}

// How far a call has come.
struct RedisServers::Attempt {
  RedisReply reply;
  bool done = false;  // `reply` is the call's
  bool sent = false;  // a command may have been done whose reply is lost
  bool with_script = false;
  unsigned redirects = 0;
  unsigned waits = 0;
  NodeRef ask;  // the one that ASK named, for one attempt
};

RedisServers::RedisServers(RedisTarget target) : target_(std::move(target)) {
  for (const RedisEndpoint& endpoint : target_.endpoints) {
    nodes_.push_back(std::make_shared<Node>(endpoint));
  }
  if (target_.cluster) places_.resize(kRedisSlots);
}

Result<RedisReply> RedisServers::call(unsigned slot, const RedisCommand& command,
                                      Deadline deadline) {
  Attempt attempt;
  for (;;) {
    Error error = try_once(slot, command, deadline, attempt);
    if (attempt.done) return std::move(attempt.reply);
    if (error.ok()) continue;  // redirected, or the script goes along
    const bool again = error.code() == ErrorCode::kUnavailable &&
                       attempt.redirects <= kMaxRedirects && (command.repeatable || !attempt.sent);
    if (!again || !sleep_within(back_off(++attempt.waits), deadline)) return error;
  }
}

Error RedisServers::try_once(unsigned slot, const RedisCommand& command, Deadline deadline,
                             Attempt& attempt) {
  if (target_.cluster) learn_slots(deadline);
  const NodeRef asked = std::exchange(attempt.ask, nullptr);
  const NodeRef held = asked != nullptr ? asked : node_of(slot);
  Node& node = *held;
  attempt.sent = false;
  if (deadline.passed()) {  // a lost reply would speak against a server that is well
    return Error(ErrorCode::kUnavailable, node.endpoint.text() + ": there is no time left for it");
  }
  Result<std::unique_ptr<RedisConnection>> connection = take(node, deadline);
  if (!connection.ok()) return connection.error();
  std::string bytes;
  static constexpr std::string_view kAsking[] = {"ASKING"};
  if (asked != nullptr) append_command(bytes, kAsking);
  append_command(bytes, attempt.with_script ? command.with_script : command.arguments);
  std::array<RedisReply, 2> replies;
  const std::span room = std::span(replies).subspan(asked != nullptr ? 0 : 1);
  attempt.sent = true;
  if (Error error = (*connection)->exchange(bytes, room, deadline); !error.ok()) {
    note_failure(node);
    return error;
  }
  attempt.sent = false;
  give_back(node, std::move(*connection));
  attempt.reply = std::move(replies.back());
  if (attempt.reply.is_error("NOSCRIPT") && !attempt.with_script && !command.with_script.empty()) {
    attempt.with_script = true;
    attempt.ask = asked;
    return {};
  }
  return settle(attempt, node);
}

Error RedisServers::settle(Attempt& attempt, Node& node) {
  if (attempt.reply.is_error("MOVED") || attempt.reply.is_error("ASK")) {
    const std::optional<RedisRedirect> redirect = read_redirect(attempt.reply);
    if (redirect) return follow(*redirect, attempt, node);
    return error_of_reply(attempt.reply, node.endpoint.text());
  }
  if (passes(attempt.reply)) {
    attempt.redirects = 0;  // it goes on after a wait, and so until the deadline
    const std::lock_guard lock(mutex_);
    known_ = false;
    node.idle.clear();  // a server that became a replica is to say so when we log in
    return error_of_reply(attempt.reply, node.endpoint.text());
  }
  attempt.done = true;
  return {};
}

Error RedisServers::follow(const RedisRedirect& redirect, Attempt& attempt, const Node& from) {
  if (!target_.cluster) {
    return Error(ErrorCode::kUnsupported,
                 from.endpoint.text() + ": it is of a cluster; write redis+cluster://");
  }
  if (++attempt.redirects > kMaxRedirects) {
    return Error(ErrorCode::kUnavailable, from.endpoint.text() + ": redirected more than " +
                                              std::to_string(kMaxRedirects) + " times");
  }
  const std::lock_guard lock(mutex_);
  NodeRef node = node_at(redirect.endpoint, from);
  if (node == nullptr) {
    known_ = false;  // to learn the map anew is to forget nodes
    return Error(ErrorCode::kUnavailable, from.endpoint.text() + ": its cluster has no end");
  }
  if (redirect.ask) {
    attempt.ask = std::move(node);
  } else {
    places_[redirect.slot] = std::move(node);
  }
  return {};
}

Result<std::unique_ptr<RedisConnection>> RedisServers::take(Node& node, Deadline deadline) {
  for (;;) {
    std::unique_ptr<RedisConnection> connection;
    {
      const std::lock_guard lock(mutex_);
      if (node.idle.empty()) break;
      connection = std::move(node.idle.back());
      node.idle.pop_back();
    }
    if (connection->reusable()) return connection;
  }
  if (Error error = wait_turn(node, deadline); !error.ok()) return error;
  auto connection = RedisConnection::open(node.endpoint, target_, deadline);
  if (!connection.ok()) {
    note_failure(node);
    return connection.error();
  }
  const std::lock_guard lock(mutex_);
  node.failures = 0;
  return connection;
}

// Who connects next to a server that failed; the others wait for another turn.
Error RedisServers::wait_turn(Node& node, Deadline deadline) {
  for (;;) {
    Nanos wait = 0;
    {
      const std::lock_guard lock(mutex_);
      if (node.failures == 0) return {};
      const Nanos now = monotonic_now();
      if (now >= node.retry_at) {
        node.retry_at = now + back_off(node.failures);
        return {};
      }
      wait = node.retry_at - now;
    }
    if (!sleep_within(wait, deadline)) {
      return Error(ErrorCode::kUnavailable, node.endpoint.text() + ": it does not answer");
    }
  }
}

void RedisServers::give_back(Node& node, std::unique_ptr<RedisConnection> connection) {
  const std::lock_guard lock(mutex_);
  if (node.idle.size() < kMaxIdle) node.idle.push_back(std::move(connection));
}

void RedisServers::note_failure(Node& node) {
  const std::lock_guard lock(mutex_);
  ++node.failures;
  node.retry_at = monotonic_now() + back_off(node.failures);
  node.idle.clear();
  known_ = false;
}

RedisServers::NodeRef RedisServers::node_of(unsigned slot) {
  const std::lock_guard lock(mutex_);
  return target_.cluster && places_[slot] != nullptr ? places_[slot] : nodes_.front();
}

// With mutex_ held. Null where there are as many as may be.
RedisServers::NodeRef RedisServers::node_at(RedisEndpoint endpoint, const Node& from) {
  if (endpoint.host.empty()) endpoint.host = from.endpoint.host;
  for (const NodeRef& node : nodes_) {
    if (node->endpoint == endpoint) return node;
  }
  if (nodes_.size() == kMaxNodes) return nullptr;
  return nodes_.emplace_back(std::make_shared<Node>(std::move(endpoint)));
}

// One that answered lately, where `lately` and there is any; the next in turn.
RedisServers::NodeRef RedisServers::node_to_ask(bool lately) {
  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; lately && i < nodes_.size(); ++i) {
    const NodeRef& node = nodes_[(asked_ + i) % nodes_.size()];
    if (node->idle.empty()) continue;
    asked_ += i + 1;
    return node;
  }
  return nodes_[asked_++ % nodes_.size()];
}

// Asks one node after another where the slots are, unless that is known; each for a part of the
// time, so that one that hangs does not take it all. Where none says, the old map stays.
void RedisServers::learn_slots(Deadline deadline) {
  std::size_t most = 0;
  {
    const std::lock_guard lock(mutex_);
    if (known_) return;
    most = std::min(nodes_.size(), std::size_t{8});
  }
  for (std::size_t i = 0; i < most && !deadline.passed(); ++i) {
    const NodeRef node = node_to_ask(i == 0);
    if (ask_slots(*node, deadline.within(deadline.left() / 4))) return;
  }
}

bool RedisServers::ask_slots(Node& node, Deadline deadline) {
  static constexpr std::string_view kSlots[] = {"CLUSTER", "SLOTS"};
  Result<std::unique_ptr<RedisConnection>> connection = take(node, deadline);
  if (!connection.ok()) return false;
  std::string bytes;
  append_command(bytes, kSlots);
  RedisReply reply;
  if (!(*connection)->exchange(bytes, {&reply, 1}, deadline).ok()) {
    note_failure(node);
    return false;
  }
  give_back(node, std::move(*connection));
  const Result<std::vector<RedisSlotRange>> ranges = read_slot_ranges(reply);
  if (!ranges.ok() || ranges->empty()) return false;
  const std::lock_guard lock(mutex_);
  for (const RedisSlotRange& range : *ranges) {
    const NodeRef master = node_at(range.master, node);
    std::fill(places_.begin() + range.first, places_.begin() + range.last + 1, master);
  }
  // Nodes that have no slot any more go, or the addresses of many years would add up.
  const auto learned = nodes_.begin() + static_cast<std::ptrdiff_t>(target_.endpoints.size());
  nodes_.erase(std::remove_if(learned, nodes_.end(),
                              [](const NodeRef& known) { return known.use_count() == 1; }),
               nodes_.end());
  known_ = true;
  return true;
}

}  // namespace cellroute::net
