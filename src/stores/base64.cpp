#include "stores/base64.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace cellroute {
namespace {

constexpr std::string_view kDigits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t kNoDigit = 0xff;

constexpr std::array<std::uint8_t, 256> values() {
  std::array<std::uint8_t, 256> of{};
  of.fill(kNoDigit);
  for (std::size_t i = 0; i < kDigits.size(); ++i) {
    of[static_cast<unsigned char>(kDigits[i])] = static_cast<std::uint8_t>(i);
  }
  return of;
}

constexpr std::array<std::uint8_t, 256> kValues = values();

std::uint32_t byte_at(std::string_view bytes, std::size_t at) {
  return at < bytes.size() ? static_cast<unsigned char>(bytes[at]) : 0;
}

}  // namespace

void append_base64(std::string_view bytes, std::string& out) {
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::uint32_t group =
        byte_at(bytes, at) << 16 | byte_at(bytes, at + 1) << 8 | byte_at(bytes, at + 2);
    const std::size_t digits = bytes.size() - at >= 3 ? 4 : bytes.size() - at + 1;
    for (std::size_t i = 0; i < 4; ++i) {
      out += i < digits ? kDigits[group >> (18 - 6 * i) & 63] : '=';
    }
  }
}

bool decode_base64(std::string_view text, std::string& out) {
  if (text.size() % 4 != 0) return false;
  const std::size_t start = out.size();
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  const std::size_t digits = text.size() - padding;
  std::uint32_t bits = 0;
  for (std::size_t at = 0; at < digits; ++at) {
    const std::uint8_t value = kValues[static_cast<unsigned char>(text[at])];
    if (value == kNoDigit) {
      out.resize(start);
      return false;
    }
    bits = bits << 6 | value;
    // A group's second, third and fourth digit each complete a byte.
    const unsigned left = (6 - 2 * (at % 4)) % 8;
    if (at % 4 != 0) out += static_cast<char>(bits >> left & 0xff);
  }
  const std::uint32_t unused = padding == 2 ? bits & 15 : padding == 1 ? bits & 3 : 0;
  if (unused != 0) {
    out.resize(start);
    return false;
  }
  return true;
}

}  // namespace cellroute
