// A key names a tenant, customer or account. It is bytes with a length: NUL is a byte like any
// other, nothing is trimmed, folded or truncated.
#pragma once

#include <cstddef>
#include <string_view>

namespace cellroute {

inline constexpr std::size_t kMinKeyBytes = 1;
inline constexpr std::size_t kMaxKeyBytes = 1024;

// A resource (an API, a table) that a request asks for, for limits and endpoints by resource.
inline constexpr std::size_t kMaxResourceBytes = 256;

constexpr bool key_length_ok(std::string_view key) noexcept {
  return key.size() >= kMinKeyBytes && key.size() <= kMaxKeyBytes;
}

}  // namespace cellroute
