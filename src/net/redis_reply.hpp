// Redis's replies (RESP2), by hiredis's parser into values of our own. Bytes may be hostile.
#pragma once

#include <hiredis/hiredis.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cellroute/status.hpp"

namespace cellroute::net {

// A reply beyond either is an error: more than a page of the longest records, and than the map of a
// cluster whose every slot stands alone.
inline constexpr std::size_t kMaxReplyBytes = std::size_t{16} << 20;
inline constexpr std::size_t kMaxReplyElements = std::size_t{1} << 18;

// Thread safety: a plain value.
struct RedisReply {
  enum class Type : std::uint8_t { kNil, kStatus, kError, kInteger, kString, kArray };

  Type type = Type::kNil;
  std::int64_t integer = 0;
  std::string text;  // of a status, error or string
  std::vector<RedisReply> elements;

  bool is(Type wanted) const noexcept { return type == wanted; }
  // An error whose first word is `code`.
  bool is_error(std::string_view code) const noexcept;
};

// Thread safety: one thread at a time.
class RedisReplyParser {
 public:
  RedisReplyParser();
  RedisReplyParser(const RedisReplyParser&) = delete;
  RedisReplyParser& operator=(const RedisReplyParser&) = delete;

  // Takes bytes as they come. After an error of either function the parser is of no more use.
  Error feed(std::string_view bytes);

  // Whether there was a whole reply, then in `reply`. kUnavailable: the bytes are no reply.
  Result<bool> next(RedisReply& reply);

  // Nothing was fed that is not in a reply yet.
  bool empty() const noexcept { return reader_->pos == reader_->len; }

 private:
  struct Free {
    void operator()(redisReader* reader) const noexcept { redisReaderFree(reader); }
  };

  std::size_t elements_ = 0;  // of the reply being read
  std::size_t bytes_ = 0;     // fed since the last whole one
  std::unique_ptr<redisReader, Free> reader_;
};

}  // namespace cellroute::net
