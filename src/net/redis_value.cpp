#include "net/redis_value.hpp"

#include <charconv>

#include "stores/text.hpp"

namespace cellroute::net {

std::string redis_line(const MappingRecord& record, std::uint64_t sequence) {
  std::string line = std::to_string(record.revision) + ' ' + std::to_string(record.epoch) + ' ' +
                     std::to_string(sequence) + ' ' + std::to_string(record.expires);
  line += record.deleted ? " 1 " : " 0 ";
  return line += record.cell + ' ' + record.target;
}

bool read_decimal(std::string_view text, std::uint64_t& number) noexcept {
  const char* const last = text.data() + text.size();
  const auto [end, failed] = std::from_chars(text.data(), last, number);
  return failed == std::errc() && end == last && (text.size() == 1 || text.front() != '0');
}

Error read_redis_value(stores::RecordCodec& codec, std::string_view value, std::string_view key,
                       MappingRecord& record) {
  const std::size_t end = value.find('\n');
  if (end != value.npos) {
    Error error = codec.decode(value.substr(end + 1), key, record);
    if (!error.ok()) return error;
    // The sequence number is the third word, and the one that the message does not have.
    const std::string_view line = value.substr(0, end);
    const std::size_t second = line.find(' ', line.find(' ') + 1);
    const std::string_view rest = second == line.npos ? "" : line.substr(second + 1);
    std::uint64_t sequence = 0;
    if (read_decimal(rest.substr(0, rest.find(' ')), sequence) &&
        line == redis_line(record, sequence)) {
      return {};
    }
  }
  return Error(ErrorCode::kCorrupt,
               stores::key_text(key) + ": stored record: its line is none, or not of its message");
}

}  // namespace cellroute::net
