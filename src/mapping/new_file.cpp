#include "mapping/new_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

namespace cellroute::mapping {
namespace {

constexpr mode_t kMode = 0644;  // readers may be other users; the umask narrows it

std::string directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return path.substr(0, std::max<std::size_t>(slash, 1));
}

// Whether the open file is still the one of that name.
bool has_name(const Descriptor& file, const std::string& path) {
  struct stat opened {};
  struct stat named {};
  return ::fstat(file.get(), &opened) == 0 && ::stat(path.c_str(), &named) == 0 &&
         opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

}  // namespace

Descriptor::~Descriptor() {
  if (number_ >= 0) ::close(number_);
}

Descriptor::Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(number_, other.number_);
  return *this;
}

Error system_error(const std::string& path, int code) {
  return Error(code == ENOENT ? ErrorCode::kNotFound : ErrorCode::kUnavailable,
               path + ": " + std::generic_category().message(code));
}

namespace {

// The system may do a part of what it is asked for, or be interrupted before it does any.
template <class Bytes, class Transfer>
Error transfer_all(const std::string& path, std::uint64_t offset, Bytes bytes,
                   const Transfer& transfer) {
  while (!bytes.empty()) {
    const ssize_t done = transfer(bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (done < 0 && errno != EINTR) return system_error(path, errno);
    if (done == 0) return system_error(path, EIO);
    if (done < 0) continue;
    offset += static_cast<std::uint64_t>(done);
    bytes = bytes.subspan(static_cast<std::size_t>(done));
  }
  return {};
}

}  // namespace

Error write_at(const Descriptor& file, const std::string& path, std::uint64_t offset,
               std::span<const std::byte> bytes) {
  return transfer_all(path, offset, bytes, [&](const std::byte* from, std::size_t size, off_t at) {
    return ::pwrite(file.get(), from, size, at);
  });
}

Error read_at(const Descriptor& file, const std::string& path, std::uint64_t offset,
              std::span<std::byte> bytes) {
  return transfer_all(path, offset, bytes, [&](std::byte* to, std::size_t size, off_t at) {
    return ::pread(file.get(), to, size, at);
  });
}

Result<Descriptor> open_nameless(const std::string& path) {
  const std::string name = path + ".spill";
  Descriptor file(::open(name.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.ok() || ::unlink(name.c_str()) != 0) return system_error(name, errno);
  return file;
}

NewFile::NewFile(std::string target, std::string name, Descriptor file)
    : target_(std::move(target)), name_(std::move(name)), file_(std::move(file)) {}

Result<NewFile> NewFile::create(const std::string& path) {
  const std::string name = path + ".new";
  for (;;) {
    Descriptor file(::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, kMode));
    if (!file.ok()) return system_error(name, errno);
    if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) return system_error(name, errno);
      return Error(ErrorCode::kConflict, path + ": another build of it is under way");
    }
    // Whoever held the lock before may have renamed the file: then it is the target, and not ours.
    if (!has_name(file, name)) continue;
    if (::ftruncate(file.get(), 0) != 0) return system_error(name, errno);
    return NewFile(path, name, std::move(file));
  }
}

NewFile::~NewFile() {
  if (file_.ok() && !committed_) ::unlink(name_.c_str());
}

Error NewFile::commit(std::uint64_t bytes) {
  if (::ftruncate(file_.get(), static_cast<off_t>(bytes)) != 0 || ::fsync(file_.get()) != 0) {
    return system_error(name_, errno);
  }
  if (std::rename(name_.c_str(), target_.c_str()) != 0) return system_error(target_, errno);
  committed_ = true;
  return sync_directory_of(target_);
}

Error sync_directory_of(const std::string& path) {
  const std::string directory = directory_of(path);
  const Descriptor opened(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened.ok() || ::fsync(opened.get()) != 0) return system_error(directory, errno);
  return {};
}

}  // namespace cellroute::mapping
