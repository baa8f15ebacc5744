// Base 64 (RFC 4648) through OpenSSL, with one spelling for each string of bytes.
#pragma once

#include <openssl/evp.h>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace lambda_host {

inline std::string base64(std::string_view bytes) {
  std::string spelled((bytes.size() + 2) / 3 * 4 + 1, '\0');  // OpenSSL ends it with a NUL
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(spelled.data()),
                  reinterpret_cast<const unsigned char*>(bytes.data()),
                  static_cast<int>(bytes.size()));
  spelled.pop_back();
  return spelled;
}

// What `text` spells. Nothing: it is no base 64 with padding, or sets bits that no byte uses.
// At most 1 GiB.
inline std::optional<std::string> from_base64(std::string_view text) {
  if (text.empty()) return std::string();
  if (text.size() % 4 != 0 || text.size() > std::size_t{1} << 30) return std::nullopt;
  std::string bytes(text.size() / 4 * 3, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()),
                                   static_cast<int>(text.size()));
  if (size < 0) return std::nullopt;
  // It counts padding as zero bytes, and takes white space, which the comparison finds.
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  bytes.resize(static_cast<std::size_t>(size) - padding);
  if (base64(bytes) != text) return std::nullopt;
  return bytes;
}

}  // namespace lambda_host
