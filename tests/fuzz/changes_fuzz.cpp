// Files of changes: any bytes behind a right checksum are refused, or are changes that keep the
// rules and come back the same from their own encoding.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "cellroute/mapping_file/format.hpp"
#include "mapping/change_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cellroute;
  std::string bytes(reinterpret_cast<const char*>(data), size);
  static_cast<void>(mapping::decode_changes(bytes));
  char sum[8];
  const std::uint64_t value = crm::sum_of(bytes.data(), bytes.size(), 0);
  std::memcpy(sum, &value, sizeof sum);
  bytes.append(sum, sizeof sum);
  const auto changes = mapping::decode_changes(bytes);
  if (!changes.ok()) {
    const ErrorCode code = changes.error().code();
    const bool known = code == ErrorCode::kCorrupt || code == ErrorCode::kUnsupported;
    if (!known || changes.error().text().size() > 500) std::abort();
    return 0;
  }
  for (const MappingRecord& record : changes->records) {
    if (broken_rule(record) != nullptr) std::abort();
  }
  const auto encoded = mapping::encode_changes(*changes);
  if (!encoded.ok()) std::abort();
  const auto again = mapping::decode_changes(*encoded);
  if (!again.ok() || !(*again == *changes)) std::abort();
  return 0;
}
