// Stored records: any bytes are refused, or are a record that keeps the rules and comes back the
// same from its own encoding.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "stores/record_codec.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cellroute;
  static stores::RecordCodec codec;
  static MappingRecord record;  // used again, as stores do
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const Error error = codec.decode_any(bytes, "fuzz", record);
  if (!error.ok()) {
    const bool known =
        error.code() == ErrorCode::kCorrupt || error.code() == ErrorCode::kUnsupported;
    if (!known || error.text().size() > 500) std::abort();
    return 0;
  }
  if (broken_rule(record) != nullptr) std::abort();
  std::string encoded;
  if (!codec.encode(record, encoded).ok()) std::abort();
  MappingRecord again;
  if (!codec.decode(encoded, record.key, again).ok() || !(again == record)) std::abort();
  return 0;
}
