// A mapping file of hostile bytes: it is refused, or it serves without leaving its memory, also
// when the bytes change after they were checked. Input: a byte (bit 0: make the checksums right, so
// that what is behind them is reached; bit 1: the length too), then the file.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "../mapping_file_bytes.hpp"
#include "cellroute/mapping_file.hpp"

namespace {

using namespace cellroute;

void must(bool holds) {
  if (!holds) std::abort();
}

// What the small golden file holds, and what it does not.
constexpr std::array<std::string_view, 6> kKeys = {
    "customer-0", "customer-x1", "customer-xxx3", "customer-xxxxxx6", "customer-xxx11", "nobody"};

void look_up(const MappingFile& file) {
  std::vector<FileAnswer> batch(kKeys.size());
  file.find(kKeys, batch);
  for (std::size_t i = 0; i < kKeys.size(); ++i) {
    must(batch[i] == file.find(kKeys[i]));
    if (batch[i].answer != Answer::kFound) continue;
    must(batch[i].cell < file.cells().size() && batch[i].profile < file.profiles().size());
    must(batch[i].state <= MigrationState::kFrozen);
  }
}

void check_opened(const MappingFile& file) {
  must(file.identity_bits() >= crm::kMinFingerprintBits - 1);
  must(file.wrong_hit_odds() >= 0);
  for (const std::string& cell : file.cells()) must(mapped_name_ok(cell));
  look_up(file);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::uint8_t how = data[0];
  const auto* const begin = reinterpret_cast<const std::byte*>(data + 1);
  testing::FileBytes bytes(begin, begin + size - 1);
  bytes.shrink_to_fit();  // so that a sanitizer sees the first byte beyond it
  if (bytes.size() >= sizeof(crm::Header)) {
    const crm::Header header = testing::header_of(bytes);
    constexpr std::uint64_t kMost = 1 << 20;
    const bool fits = crm::broken_header(header) == nullptr && crm::Sections(header).end <= kMost;
    if ((how & 2) != 0 && fits) {
      bytes.resize(crm::Sections(header).end);
      bytes.shrink_to_fit();
    }
    if ((how & 1) != 0) testing::mend_sums(bytes);
  }
  const auto file = MappingFile::attach(bytes);
  if (!file.ok()) {
    must(file.error().code() == ErrorCode::kCorrupt ||
         file.error().code() == ErrorCode::kUnsupported);
    must(file.error().text().size() < 500);
    return 0;
  }
  check_opened(**file);
  std::minstd_rand random(static_cast<unsigned>(size));
  for (int i = 0; i < 64; ++i) {
    bytes[random() % bytes.size()] = static_cast<std::byte>(random());
    look_up(**file);
  }
  return 0;
}
