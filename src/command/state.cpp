#include "command/state.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string_view>
#include <system_error>
#include <utility>

#include "topology/load.hpp"

namespace cellroute::command {
namespace {

constexpr const char* kTopology = "topology.pb";
constexpr const char* kTopologyNew = "topology.pb.new";
constexpr const char* kGuards = "guards";
constexpr mode_t kDirectoryMode = 0700;
constexpr mode_t kFileMode = 0600;

// A descriptor that is closed at the end.
class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  int get() const noexcept { return descriptor_; }
  bool ok() const noexcept { return descriptor_ >= 0; }

 private:
  int descriptor_;
};

// True when all is on the disk; else errno says why not.
bool write_synced(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno != EINTR) return false;
    if (written > 0) bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return ::fsync(file) == 0;
}

}  // namespace

Result<std::unique_ptr<StateDirectory>> StateDirectory::open(const std::string& path) {
  const auto error = [&](int code) {
    return Error(ErrorCode::kUnavailable,
                 "--state " + path + ": " + std::generic_category().message(code));
  };
  if (::mkdir(path.c_str(), kDirectoryMode) != 0 && errno != EEXIST) return error(errno);
  const int directory = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return error(errno);
  std::unique_ptr<StateDirectory> state(new StateDirectory(path, directory));
  while (::flock(directory, LOCK_EX) != 0) {
    if (errno != EINTR) return error(errno);
  }
  return state;
}

StateDirectory::~StateDirectory() {
  if (!guards_.empty()) ::munmap(guards_.data(), guards_.size());
  ::close(directory_);
}

Error StateDirectory::failed(const std::string& what, int code) const {
  return Error(ErrorCode::kUnavailable,
               path_ + "/" + what + ": " + std::generic_category().message(code));
}

Result<std::optional<Topology>> StateDirectory::last_good() const {
  Result<Topology> kept = load_topology_file(path_ + "/" + kTopology);
  if (kept.ok()) return std::optional<Topology>(std::move(*kept));
  if (kept.error().code() == ErrorCode::kNotFound) return std::optional<Topology>();
  return kept.error();
}

Error StateDirectory::keep(const Topology& topology) {
  const Result<std::string> bytes = write_topology(topology, TopologyFormat::kBinary);
  if (!bytes.ok()) return bytes.error();
  const File file(
      ::openat(directory_, kTopologyNew, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, kFileMode));
  if (!file.ok() || !write_synced(file.get(), *bytes)) return failed(kTopologyNew, errno);
  if (::renameat(directory_, kTopologyNew, directory_, kTopology) != 0 ||
      ::fsync(directory_) != 0) {
    return failed(kTopology, errno);
  }
  return {};
}

Result<std::span<std::byte>> StateDirectory::map_file(int file, std::size_t bytes) {
  void* const memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (memory == MAP_FAILED) return failed(kGuards, errno);
  guards_ = {static_cast<std::byte*>(memory), bytes};
  return guards_;
}

Result<std::span<std::byte>> StateDirectory::map_guards(GuardGeometry& geometry) {
  const File file(::openat(directory_, kGuards, O_RDWR | O_CREAT | O_CLOEXEC, kFileMode));
  struct stat status {};
  if (!file.ok() || ::fstat(file.get(), &status) != 0) return failed(kGuards, errno);
  if (status.st_size > 0) {
    Result<std::span<std::byte>> memory =
        map_file(file.get(), static_cast<std::size_t>(status.st_size));
    if (!memory.ok()) return memory;
    const Result<GuardRegion> region = GuardRegion::attach(*memory);
    if (region.ok()) {
      geometry = region->geometry();
      return memory;
    }
    // Not formatted yet: the run that made the file died before it came to that.
    if (region.error().code() != ErrorCode::kUnavailable) {
      return Error(region.error().code(), path_ + "/" + kGuards + ": " + region.error().text() +
                                              "; remove the file to start with fresh guards");
    }
    ::munmap(guards_.data(), guards_.size());
    guards_ = {};
  }
  const std::size_t bytes = GuardRegion::bytes(geometry);
  if (::ftruncate(file.get(), static_cast<off_t>(bytes)) != 0) return failed(kGuards, errno);
  return map_file(file.get(), bytes);
}

void StateDirectory::unlock() { ::flock(directory_, LOCK_UN); }

}  // namespace cellroute::command
