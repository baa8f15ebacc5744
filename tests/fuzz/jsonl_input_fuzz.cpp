// JSON lines from anybody: no crash, no text outside its bounds, and no record both sound and empty
// of reasons.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "command/jsonl_input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cellroute::command;
  static JsonLine json;
  static Batch batch;
  batch.clear();
  std::string padded(reinterpret_cast<const char*>(data), size);
  padded.resize(size + 64);
  std::string_view rest = std::string_view(padded).substr(0, size);
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (!batch.has_room(line.size())) batch.clear();
    InputRecord& record = batch.add(1);
    json.read(line, batch, record);
    if (!record.malformed.empty()) continue;
    if (record.key.size() > line.size() || record.flags.size() > kMaxFlagsOfRecord) std::abort();
    std::size_t bytes = record.key.size() + record.tier.size() + record.region.size() +
                        record.plan.size() + record.resource.size();
    for (const std::string_view flag : record.flags) bytes += flag.size();
    if (bytes > line.size()) std::abort();
  }
  return 0;
}
