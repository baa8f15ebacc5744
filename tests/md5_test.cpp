#include "cellroute/strategy/detail/md5.hpp"

#include <catch2/catch.hpp>
#include <cstdint>
#include <string>
#include <string_view>

namespace cellroute::detail {
namespace {

std::string hex(const Md5Words& words) {
  std::string text;
  for (const std::uint32_t word : words) {
    for (unsigned byte = 0; byte < 4; ++byte) {
      for (const unsigned shift : {4u, 0u}) {
        text += "0123456789abcdef"[(word >> (8 * byte) >> shift) & 15];
      }
    }
  }
  return text;
}

TEST_CASE("md5 gives RFC 1321's test suite (appendix A.5)") {
  CHECK(hex(md5("")) == "d41d8cd98f00b204e9800998ecf8427e");
  CHECK(hex(md5("a")) == "0cc175b9c0f1b6a831c399e269772661");
  CHECK(hex(md5("abc")) == "900150983cd24fb0d6963f7d28e17f72");
  CHECK(hex(md5("message digest")) == "f96b697d7cb7938d525a2f31aaf161d0");
  CHECK(hex(md5("abcdefghijklmnopqrstuvwxyz")) == "c3fcd3d76192e4007dfb496cca67e13b");
  CHECK(hex(md5("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")) ==
        "d174ab98d277d9f5a5611c2c9f419d9f");
  CHECK(hex(md5("1234567890123456789012345678901234567890"
                "1234567890123456789012345678901234567890")) == "57edf4a22be3c955ac49da2e2107b67a");
}

// Padding and length change block at 55/56 and 63/64 bytes. Expected values from Python's hashlib.
TEST_CASE("md5 pads rightly on both sides of every boundary, up to a key's greatest length") {
  CHECK(hex(md5(std::string(3, 'x'))) == "f561aaf6ef0bf14d4208bb46a4ccb3ad");
  CHECK(hex(md5(std::string(4, 'x'))) == "ea416ed0759d46a8de58f63a59077499");
  CHECK(hex(md5(std::string(55, 'x'))) == "04364420e25c512fd958a70738aa8f72");
  CHECK(hex(md5(std::string(56, 'x'))) == "668a72d5ba17f08e62dabcafad6db14b");
  CHECK(hex(md5(std::string(57, 'x'))) == "693037871c4a9d3d8685018905cb530a");
  CHECK(hex(md5(std::string(63, 'x'))) == "7dc2ca208106a2f703567bdff99d8981");
  CHECK(hex(md5(std::string(64, 'x'))) == "c1bb4f81d892b2d57947682aeb252456");
  CHECK(hex(md5(std::string(65, 'x'))) == "1bc932052302d074bdec39795fe00cf6");
  CHECK(hex(md5(std::string(119, 'x'))) == "ab347a5f68c8a443cfcddc633f12c24f");
  CHECK(hex(md5(std::string(120, 'x'))) == "fb98667f98096de92620b64f46e1c5b5");
  CHECK(hex(md5(std::string(128, 'x'))) == "d69cb61a6ee87200676eb0d4b90edbcb");
  CHECK(hex(md5(std::string(1024, 'x'))) == "7265f4d211b56873a381d321f586e4a9");
}

TEST_CASE("md5 takes bytes above 127 and NUL for what they are") {
  CHECK(hex(md5(std::string_view("\0\xff\x80\x7f", 4))) == "35913419231430075897c28e5e159b65");
}

static_assert(md5("abc")[0] == 0x98500190, "usable in constant expressions");

}  // namespace
}  // namespace cellroute::detail
