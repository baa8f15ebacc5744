// The bytes of a mapping file in memory: mapped and shared by the processes that map it, or copied.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include "cellroute/mapping_file/format.hpp"
#include "cellroute/status.hpp"

namespace cellroute::crm {

// Thread safety: immutable once filled.
class FileMemory {
 public:
  FileMemory() = default;
  ~FileMemory() {
    if (base_ != nullptr) ::munmap(base_, mapped_);
  }
  FileMemory(FileMemory&& other) noexcept
      : base_(std::exchange(other.base_, nullptr)), mapped_(other.mapped_), bytes_(other.bytes_) {}
  FileMemory& operator=(FileMemory&& other) noexcept {
    std::swap(base_, other.base_);
    std::swap(mapped_, other.mapped_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }

  std::span<const std::byte> bytes() const noexcept { return bytes_; }

  // Maps the file, or reads it into memory of its own. Errors' texts lack the path. kNotFound,
  // kUnavailable (the system's own error), kCorrupt (no regular file, too short for a header),
  // kResourceExhausted.
  static Result<FileMemory> load(const std::string& path, bool copy);

 private:
  static constexpr std::size_t kHugePage = std::size_t{2} << 20;

  static Error system_error(int code) {
    return Error(code == ENOENT   ? ErrorCode::kNotFound
                 : code == ENOMEM ? ErrorCode::kResourceExhausted
                                  : ErrorCode::kUnavailable,
                 std::generic_category().message(code));
  }

  static Result<FileMemory> load(int file, bool copy);
  Error map(int file, std::size_t bytes);
  Error read(int file, std::size_t bytes);

  void* base_ = nullptr;
  std::size_t mapped_ = 0;
  std::span<const std::byte> bytes_;
};

inline Result<FileMemory> FileMemory::load(const std::string& path, bool copy) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a FIFO must not hang
  if (file < 0) return system_error(errno);
  Result<FileMemory> memory = load(file, copy);
  ::close(file);
  return memory;
}

inline Result<FileMemory> FileMemory::load(int file, bool copy) {
  struct stat status {};
  if (::fstat(file, &status) != 0) return system_error(errno);
  if (!S_ISREG(status.st_mode)) return corrupt("this is no regular file");
  const auto bytes = static_cast<std::size_t>(status.st_size);
  if (bytes < sizeof(Header)) return corrupt("the file is too short for a mapping file");
  FileMemory memory;
  if (Error error = copy ? memory.read(file, bytes) : memory.map(file, bytes); !error.ok()) {
    return error;
  }
  return memory;
}

inline Error FileMemory::map(int file, std::size_t bytes) {
  void* const base = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED | MAP_POPULATE, file, 0);
  if (base == MAP_FAILED) return system_error(errno);
  base_ = base;
  mapped_ = bytes;
  bytes_ = {static_cast<const std::byte*>(base), bytes};
  return {};
}

inline Error FileMemory::read(int file, std::size_t bytes) {
  const std::size_t room = bytes + kHugePage;
  void* const base =
      ::mmap(nullptr, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) return system_error(errno);
  base_ = base;
  mapped_ = room;
  const auto address = reinterpret_cast<std::uintptr_t>(base);
  auto* const begin = static_cast<std::byte*>(base) + (kHugePage - address % kHugePage) % kHugePage;
  // Advice: where there are no huge pages, small ones do.
  static_cast<void>(::madvise(begin, bytes, MADV_HUGEPAGE));
  for (std::size_t done = 0; done < bytes;) {
    constexpr std::size_t kPiece = std::size_t{1} << 30;
    const ssize_t got =
        ::pread(file, begin + done, std::min(bytes - done, kPiece), static_cast<off_t>(done));
    if (got < 0 && errno != EINTR) return system_error(errno);
    if (got == 0) return corrupt("the file was cut short while it was read");
    if (got > 0) done += static_cast<std::size_t>(got);
  }
  // Nobody writes here any more, by mistake either.
  if (::mprotect(base, room, PROT_READ) != 0) return system_error(errno);
  bytes_ = {begin, bytes};
  return {};
}

}  // namespace cellroute::crm
