#include "net/redis_layout.hpp"

#include "net/redis_value.hpp"

namespace cellroute::net {

Result<RedisFormat> read_redis_format(std::string_view text) {
  const auto next_number = [&text](std::uint64_t& number) {
    const std::size_t space = text.find(' ');
    const bool read = read_decimal(text.substr(0, space), number);
    text = space == text.npos ? std::string_view() : text.substr(space + 1);
    return read;
  };
  const Error bad(ErrorCode::kCorrupt, "mapping store redis: its format record is none");
  std::uint64_t version = 0;
  std::uint64_t partitions = 0;
  RedisFormat format;
  if (!next_number(version) || version == 0) return bad;
  if (version > kRedisFormatVersion) {
    return Error(ErrorCode::kUnsupported,
                 "mapping store redis: a later version of cellroute made it; use that version");
  }
  if (!next_number(format.store_id) || !next_number(partitions) || !text.empty()) return bad;
  if (partitions == 0 || partitions > kMaxPartitions) return bad;
  format.partitions = static_cast<unsigned>(partitions);
  return format;
}

}  // namespace cellroute::net
