#include "cellroute/strategy/detail/crc32.hpp"

#include <catch2/catch.hpp>
#include <cstdint>
#include <string>
#include <string_view>

namespace cellroute::detail {
namespace {

TEST_CASE("crc32 gives the published check value") {
  CHECK(crc32("123456789") == 0xcbf43926);  // "check" of CRC-32/ISO-HDLC
  CHECK(crc32("") == 0);
  CHECK(crc32("a") == 0xe8b7be43);
}

// One bit at a time, straight from the definition.
std::uint32_t slow_crc32(std::string_view bytes) {
  std::uint32_t crc = 0xffffffff;
  for (const char c : bytes) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320u : 0u);
  }
  return ~crc;
}

TEST_CASE("crc32 equals its definition for every length up to 67, all byte values") {
  std::string bytes;
  for (int i = 0; i < 67; ++i) {
    CHECK(crc32(bytes) == slow_crc32(bytes));
    bytes.push_back(static_cast<char>(i * 77 + 200));
  }
}

TEST_CASE("crc32_update goes on where it stopped, by bytes or by four at once") {
  const std::string_view text = "127.0.0.1\0008080\1\2\3\4";
  const std::uint32_t whole = crc32_update(kCrc32Start, text);
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    const std::uint32_t first = crc32_update(kCrc32Start, text.substr(0, cut));
    CHECK(crc32_update(first, text.substr(cut)) == whole);
  }
  const std::uint32_t before = crc32_update(kCrc32Start, "x");
  CHECK(crc32_update(before, std::string_view("\1\2\3\4")) == crc32_update(before, 0x04030201u));
}

}  // namespace
}  // namespace cellroute::detail
