// Memory of this process for the tables that requests share, where the host provides none.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace cellroute::guard {

// Zero, aligned to a page; from 512 KiB on in huge pages of 2 MiB where the system has them, since
// a request touches lines that lie far apart. Pages that nobody touches take no memory. Thread
// safety: a handle.
class OwnMemory {
 public:
  // None; bytes() is empty.
  OwnMemory() = default;
  // The same where the system has no room.
  explicit OwnMemory(std::size_t bytes) noexcept {
    if (bytes == 0 || bytes > SIZE_MAX - 2 * kHugePage) return;
    const std::size_t align = bytes < kHugePage / 4 ? 0 : kHugePage;
    const std::size_t whole = align == 0 ? bytes : (bytes + align - 1) / align * align;
    void* const base = ::mmap(nullptr, whole + align, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) return;
    mapped_ = {static_cast<std::byte*>(base), whole + align};
    bytes_ = mapped_.first(bytes);
    if (align == 0) return;
    const std::size_t skip = (align - reinterpret_cast<std::uintptr_t>(base) % align) % align;
    bytes_ = mapped_.subspan(skip, bytes);
    // Advice: where there are no huge pages, small ones do.
    static_cast<void>(::madvise(bytes_.data(), whole, MADV_HUGEPAGE));
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
