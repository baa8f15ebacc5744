#include "net/redis_reply.hpp"

#include <new>
#include <utility>

#include "cellroute/check/problems.hpp"

namespace cellroute::net {
namespace {

using Type = RedisReply::Type;

Error no_reply(std::string_view why) {
  return Error(ErrorCode::kUnavailable,
               "Redis: what came is no reply: " + check::quoted(why.substr(0, 128)));
}

// hiredis builds replies through these. Called from C: null in place of an exception, which ends
// the parsing. An array's elements are made with it, so every one has its place.
RedisReply* place(const redisReadTask* task, Type type) noexcept {
  auto& elements = *static_cast<std::size_t*>(task->privdata);
  if (task->parent == nullptr) {
    elements = 1;
    RedisReply* const root = new (std::nothrow) RedisReply;
    if (root != nullptr) root->type = type;
    return root;
  }
  auto& parent = *static_cast<RedisReply*>(task->parent->obj);
  RedisReply& made = parent.elements[static_cast<std::size_t>(task->idx)];
  made.type = type;
  return &made;
}

void release(void* root) { delete static_cast<RedisReply*>(root); }

// What `fill` throws is no memory; a root that was not handed over is not hiredis's to free.
template <class Fill>
void* made(const redisReadTask* task, Type type, Fill fill) noexcept {
  RedisReply* const reply = place(task, type);
  if (reply == nullptr) return nullptr;
  try {
    if (fill(*reply)) return reply;
  } catch (...) {
    reply->elements.clear();
  }
  if (task->parent == nullptr) release(reply);
  return nullptr;
}

void* make_string(const redisReadTask* task, char* bytes, std::size_t size) {
  Type type = Type::kString;
  if (task->type == REDIS_REPLY_STATUS) type = Type::kStatus;
  if (task->type == REDIS_REPLY_ERROR) type = Type::kError;
  return made(task, type, [&](RedisReply& reply) {
    reply.text.assign(bytes, size);
    return true;
  });
}

void* make_array(const redisReadTask* task, int count) {
  return made(task, Type::kArray, [&](RedisReply& reply) {
    auto& elements = *static_cast<std::size_t*>(task->privdata);
    const auto wanted = static_cast<std::size_t>(count);
    if (count < 0 || wanted > kMaxReplyElements - elements) return false;
    elements += wanted;
    reply.elements.resize(wanted);
    return true;
  });
}

void* make_integer(const redisReadTask* task, long long integer) {
  return made(task, Type::kInteger, [&](RedisReply& reply) {
    reply.integer = integer;
    return true;
  });
}

void* make_nil(const redisReadTask* task) {
  return made(task, Type::kNil, [](RedisReply&) { return true; });
}

redisReplyObjectFunctions functions = {make_string, make_array, make_integer, make_nil, release};

}  // namespace

bool RedisReply::is_error(std::string_view code) const noexcept {
  const std::string_view said(text);
  return type == Type::kError && said.substr(0, code.size()) == code &&
         (said.size() == code.size() || said[code.size()] == ' ');
}

RedisReplyParser::RedisReplyParser() : reader_(redisReaderCreateWithFunctions(&functions)) {
  if (reader_ == nullptr) throw std::bad_alloc();
  reader_->privdata = &elements_;
}

Error RedisReplyParser::feed(std::string_view bytes) {
  if (bytes.size() > kMaxReplyBytes - bytes_) return no_reply("it is longer than 16 MiB");
  bytes_ += bytes.size();
  if (redisReaderFeed(reader_.get(), bytes.data(), bytes.size()) == REDIS_OK) return {};
  return no_reply(reader_->errstr);
}

Result<bool> RedisReplyParser::next(RedisReply& reply) {
  void* root = nullptr;
  if (redisReaderGetReply(reader_.get(), &root) != REDIS_OK) return no_reply(reader_->errstr);
  if (root == nullptr) return false;
  const std::unique_ptr<RedisReply> whole(static_cast<RedisReply*>(root));
  reply = std::move(*whole);
  bytes_ = 0;
  return true;
}

}  // namespace cellroute::net
