#include "wire.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

#include "text.hpp"

namespace shop_front {
namespace {

using lambda_host::has_dot_segment;
using lambda_host::hex_digit;
using lambda_host::is_letter_or_digit;
using lambda_host::lower;

constexpr std::string_view kPathSafe = "/:@!$&'()*+,;=";
constexpr std::string_view kQuerySafe = "/:@!$&'()*+,;=?[]";

bool is_unreserved(char c) {
  return is_letter_or_digit(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

bool is_encoded_byte(std::string_view text) {
  return text.size() >= 3 && text[0] == '%' && hex_digit(text[1]) >= 0 && hex_digit(text[2]) >= 0;
}

std::string encoded_once(std::string_view text, std::string_view safe) {
  std::string encoded;
  while (!text.empty()) {
    if (is_encoded_byte(text)) {
      encoded += text.substr(0, 3);
      text.remove_prefix(3);
    } else {
      encoded += percent_encoded(text.substr(0, 1), safe);
      text.remove_prefix(1);
    }
  }
  return encoded;
}

// What a cell's server might take for another path than the one that was routed by.
bool is_tricky(std::string_view path) {
  if (path.find_first_of(std::string_view("\\\0", 2)) != std::string_view::npos) return true;
  if (has_dot_segment(path)) return true;
  const std::string folded = lower(path);
  const std::array tricks{"%2e", "%2f", "%5c", "%00"};
  return std::any_of(tricks.begin(), tricks.end(),
                     [&](const char* trick) { return folded.find(trick) != std::string::npos; });
}

}  // namespace

std::string percent_encoded(std::string_view text, std::string_view safe) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    if (is_unreserved(c) || safe.find(c) != std::string_view::npos) {
      encoded += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      encoded += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return encoded;
}

std::optional<std::string> percent_decoded(std::string_view text) {
  std::string decoded;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '%') {
      decoded += text[at];
      continue;
    }
    if (!is_encoded_byte(text.substr(at))) return std::nullopt;
    decoded += static_cast<char>(hex_digit(text[at + 1]) * 16 + hex_digit(text[at + 2]));
    at += 2;
  }
  return decoded;
}

std::optional<std::string> wire_path(std::string_view path, Spelling spelling) {
  if (!path.starts_with('/') || is_tricky(path)) return std::nullopt;
  return spelling == Spelling::kEncoded ? encoded_once(path, kPathSafe)
                                        : percent_encoded(path, kPathSafe);
}

std::string wire_query(std::string_view query) { return encoded_once(query, kQuerySafe); }

}  // namespace shop_front
