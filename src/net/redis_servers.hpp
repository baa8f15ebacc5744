// The servers of a mapping store in Redis: which one has a slot, and connections to each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cellroute/status.hpp"
#include "net/deadline.hpp"
#include "net/redis_connection.hpp"
#include "net/redis_slots.hpp"
#include "net/redis_url.hpp"

namespace cellroute::net {

// One command, for one slot. Views must outlive the call.
struct RedisCommand {
  std::span<const std::string_view> arguments;
  // What to send where the first ones find no script (NOSCRIPT).
  std::span<const std::string_view> with_script = {};
  // Doing it twice is as good as once: it is tried again after a lost reply, until the deadline.
  bool repeatable = false;
};

// A slot's redirection, in an error reply MOVED or ASK.
struct RedisRedirect {
  bool ask = false;
  unsigned slot = 0;
  RedisEndpoint endpoint;  // an empty host is the one that answered
};
std::optional<RedisRedirect> read_redirect(const RedisReply& reply);

// A range of slots of CLUSTER SLOTS, with its master.
struct RedisSlotRange {
  unsigned first = 0;
  unsigned last = 0;
  RedisEndpoint master;  // an empty host is the one that answered
};
// kUnavailable where `reply` is none of that command.
Result<std::vector<RedisSlotRange>> read_slot_ranges(const RedisReply& reply);

// Every call ends by its deadline. While a server does not answer, attempts to connect to it are
// spaced by a back-off, doubling from 20 ms to 1 s and jittered, that all threads share; a call
// whose deadline comes before the next attempt fails at once.
//
// Thread safety: any thread; a connection serves one call at a time, and eight a server stay open.
class RedisServers {
 public:
  explicit RedisServers(RedisTarget target);

  // The reply, which may be an error of the command's own.
  //   kUnavailable  no answer in time, or not known whether the command was done; or redirected
  //                 more than 16 times without a wait
  //   kUnsupported  a server of a cluster, and the URL does not say so
  Result<RedisReply> call(unsigned slot, const RedisCommand& command, Deadline deadline);

  // Whom a call for that slot would go to, as far as is known.
  std::string server_of(unsigned slot) { return node_of(slot)->endpoint.text(); }

 private:
  struct Node {
    explicit Node(RedisEndpoint at) : endpoint(std::move(at)) {}
    const RedisEndpoint endpoint;
    std::vector<std::unique_ptr<RedisConnection>> idle;
    unsigned failures = 0;  // in a row
    Nanos retry_at = 0;     // by monotonic_now(), where there are failures
  };
  struct Attempt;

  // Whoever uses a node holds it, so that it may be forgotten meanwhile.
  using NodeRef = std::shared_ptr<Node>;

  Error wait_turn(Node& node, Deadline deadline);
  Result<std::unique_ptr<RedisConnection>> take(Node& node, Deadline deadline);
  void give_back(Node& node, std::unique_ptr<RedisConnection> connection);
  void note_failure(Node& node);
  Error try_once(unsigned slot, const RedisCommand& command, Deadline deadline, Attempt& attempt);
  Error settle(Attempt& attempt, Node& node);
  Error follow(const RedisRedirect& redirect, Attempt& attempt, const Node& from);
  NodeRef node_of(unsigned slot);
  NodeRef node_at(RedisEndpoint endpoint, const Node& from);
  NodeRef node_to_ask(bool lately);
  void learn_slots(Deadline deadline);
  bool ask_slots(Node& node, Deadline deadline);

  const RedisTarget target_;
  std::mutex mutex_;             // guards all below, and what nodes hold but their endpoints
  std::vector<NodeRef> nodes_;   // those that the URL names first
  std::vector<NodeRef> places_;  // of a cluster: who has a slot; null: not known
  bool known_ = false;           // places_ is what a server said
  std::size_t asked_ = 0;        // how many nodes were asked for it
};

}  // namespace cellroute::net
