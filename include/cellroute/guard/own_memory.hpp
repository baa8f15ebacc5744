// Memory of this process for the tables that requests share, where the host provides none.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace cellroute::guard {

// Zero, aligned to a page; from 2 MiB on in huge pages where the system has them, since a request
// touches lines that lie far apart. What nobody touches takes no memory. Thread safety: a handle.
class OwnMemory {
 public:
  // None; bytes() is empty.
  OwnMemory() = default;
  // The same where the system has no room.
  explicit OwnMemory(std::size_t bytes) noexcept {
    if (bytes == 0 || bytes > SIZE_MAX - kHugePage) return;
    const std::size_t align = bytes < kHugePage ? 0 : kHugePage;
    void* const base = ::mmap(nullptr, bytes + align, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) return;
    mapped_ = {static_cast<std::byte*>(base), bytes + align};
    bytes_ = mapped_.first(bytes);
    if (align == 0) return;
    const std::size_t skip = (align - reinterpret_cast<std::uintptr_t>(base) % align) % align;
    bytes_ = mapped_.subspan(skip, bytes);
    // Advice: where there are no huge pages, small ones do.
    static_cast<void>(::madvise(bytes_.data(), bytes, MADV_HUGEPAGE));
  }
  ~OwnMemory() {
    if (!mapped_.empty()) ::munmap(mapped_.data(), mapped_.size());
  }
  OwnMemory(OwnMemory&& other) noexcept
      : mapped_(std::exchange(other.mapped_, {})), bytes_(std::exchange(other.bytes_, {})) {}
  OwnMemory& operator=(OwnMemory&& other) noexcept {
    std::swap(mapped_, other.mapped_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }

  std::span<std::byte> bytes() const noexcept { return bytes_; }

 private:
  static constexpr std::size_t kHugePage = std::size_t{2} << 20;

  std::span<std::byte> mapped_;
  std::span<std::byte> bytes_;
};

}  // namespace cellroute::guard
