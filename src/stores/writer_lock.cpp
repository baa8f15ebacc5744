#include "stores/writer_lock.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <thread>

#include "stores/lmdb_error.hpp"

namespace cellroute::stores {
namespace {

using Clock = std::chrono::steady_clock;

struct flock whole_file(short type) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  return lock;
}

Clock::time_point deadline_after(Nanos timeout) {
  constexpr Nanos kLongest = 3600 * 24 * 365 * kSecond;
  return Clock::now() + std::chrono::nanoseconds(std::clamp<Nanos>(timeout, 0, kLongest));
}

std::string milliseconds(Nanos timeout) { return std::to_string(timeout / kMillisecond) + " ms"; }

}  // namespace

WriterLock::~WriterLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Error WriterLock::open(const std::string& path, const std::string& directory) {
  directory_ = directory;
  descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
  return descriptor_ >= 0 ? Error() : lmdb_error(directory, "opening writer.lock", errno);
}

WriterLock::Hold::~Hold() {
  if (lock_ == nullptr) return;
  if (against_ == Against::kEverybody) lock_->release_file();
  lock_->release_process();
}

Error WriterLock::acquire(Hold& hold, Nanos timeout, Against against) {
  const Deadline deadline = deadline_after(timeout);
  if (Error error = acquire_process(deadline, timeout); !error.ok()) return error;
  if (against == Against::kEverybody) {
    if (Error error = acquire_file(deadline, timeout); !error.ok()) {
      release_process();
      return error;
    }
  }
  hold.lock_ = this;
  hold.against_ = against;
  return {};
}

void WriterLock::release_file() {
  struct flock lock = whole_file(F_UNLCK);
  ::fcntl(descriptor_, F_SETLK, &lock);
}

void WriterLock::release_process() {
  const std::lock_guard guard(mutex_);
  taken_ = false;
  free_.notify_one();
}

Error WriterLock::acquire_process(Deadline deadline, Nanos timeout) {
  std::unique_lock guard(mutex_);
  if (!free_.wait_until(guard, deadline, [this] { return !taken_; })) {
    return store_error(ErrorCode::kUnavailable, directory_,
                       "other threads were writing for " + milliseconds(timeout) + "; try again");
  }
  taken_ = true;
  return {};
}

Error WriterLock::acquire_file(Deadline deadline, Nanos timeout) {
  auto pause = std::chrono::microseconds(20);
  for (;;) {
    struct flock lock = whole_file(F_WRLCK);
    if (::fcntl(descriptor_, F_SETLK, &lock) == 0) return {};
    if (errno != EACCES && errno != EAGAIN && errno != EINTR) {
      return lmdb_error(directory_, "locking writer.lock", errno);
    }
    if (Clock::now() >= deadline) break;
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::microseconds(1000));
  }
  struct flock holder = whole_file(F_WRLCK);
  const bool known = ::fcntl(descriptor_, F_GETLK, &holder) == 0 && holder.l_type != F_UNLCK;
  const std::string who = known ? "process " + std::to_string(holder.l_pid) : "another process";
  return store_error(ErrorCode::kUnavailable, directory_,
                     who + " has been writing for " + milliseconds(timeout) + "; try again");
}

}  // namespace cellroute::stores
