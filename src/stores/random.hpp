// Random bytes from the system.
#pragma once

#include <sys/random.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "cellroute/status.hpp"

namespace cellroute::stores {

// Good in threads and after fork.
inline Error fill_random(void* bytes, std::size_t size) {
  auto* at = static_cast<unsigned char*>(bytes);
  while (size > 0) {
    const ssize_t got = ::getrandom(at, size, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      return Error(ErrorCode::kUnavailable,
                   std::string("the system gives no random bytes: ") + std::strerror(errno));
    }
    at += got;
    size -= static_cast<std::size_t>(got);
  }
  return {};
}

}  // namespace cellroute::stores
