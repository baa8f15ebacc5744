// A record as it lies in Redis: a line that the script reads, and the message behind it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "cellroute/mapping.hpp"
#include "cellroute/status.hpp"
#include "stores/record_codec.hpp"

namespace cellroute::net {

// "revision epoch sequence expires deleted cell target", in the order of redis_format.md.
std::string redis_line(const MappingRecord& record, std::uint64_t sequence);

// Replaces `record` by what `value` holds of `key`. kCorrupt where it is no record, or the line
// says other than the message; kUnsupported as RecordCodec::decode.
Error read_redis_value(stores::RecordCodec& codec, std::string_view value, std::string_view key,
                       MappingRecord& record);

// A decimal number that fills `text`. False where it is none, or has leading zeros.
bool read_decimal(std::string_view text, std::uint64_t& number) noexcept;

}  // namespace cellroute::net
