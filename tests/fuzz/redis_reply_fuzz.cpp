// Redis's replies: any bytes are refused or are replies, the same in whatever pieces they come, and
// what is read from them keeps its bounds.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "net/redis_layout.hpp"
#include "net/redis_reply.hpp"
#include "net/redis_servers.hpp"
#include "net/redis_value.hpp"

namespace {

using namespace cellroute;
using net::RedisReply;

bool same(const RedisReply& a, const RedisReply& b) {
  if (a.type != b.type || a.integer != b.integer || a.text != b.text) return false;
  if (a.elements.size() != b.elements.size()) return false;
  for (std::size_t i = 0; i < a.elements.size(); ++i) {
    if (!same(a.elements[i], b.elements[i])) return false;
  }
  return true;
}

std::vector<RedisReply> parse(std::string_view bytes, std::size_t step) {
  net::RedisReplyParser parser;
  std::vector<RedisReply> replies;
  for (; !bytes.empty(); bytes.remove_prefix(std::min(step, bytes.size()))) {
    if (!parser.feed(bytes.substr(0, step)).ok()) return replies;
    for (;;) {
      RedisReply reply;
      const Result<bool> whole = parser.next(reply);
      if (!whole.ok()) return replies;
      if (!*whole) break;
      replies.push_back(std::move(reply));
    }
  }
  return replies;
}

void use(const RedisReply& reply) {
  const auto redirect = net::read_redirect(reply);
  if (redirect && (redirect->slot >= net::kRedisSlots || redirect->endpoint.port == 0))
    std::abort();
  const auto ranges = net::read_slot_ranges(reply);
  if (ranges.ok()) {
    for (const net::RedisSlotRange& range : *ranges) {
      if (range.first > range.last || range.last >= net::kRedisSlots) std::abort();
    }
  }
  const auto format = net::read_redis_format(reply.text);
  if (format.ok() && (format->partitions == 0 || format->partitions > net::kMaxPartitions)) {
    std::abort();
  }
  static stores::RecordCodec codec;
  static MappingRecord record;
  const bool read = net::read_redis_value(codec, reply.text, "k", record).ok();
  if (read && (broken_rule(record) != nullptr || record.key != "k")) std::abort();
  if (net::error_of_reply(reply, "fuzz").ok()) std::abort();
  for (const RedisReply& element : reply.elements) use(element);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::vector<RedisReply> whole = parse(bytes, size);
  const std::vector<RedisReply> pieces = parse(bytes, 1);
  if (whole.size() != pieces.size()) std::abort();
  for (std::size_t i = 0; i < whole.size(); ++i) {
    if (!same(whole[i], pieces[i])) std::abort();
    use(whole[i]);
  }
  return 0;
}
