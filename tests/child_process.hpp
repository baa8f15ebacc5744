// Processes for tests, forked from the test program.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <functional>

namespace cellroute::testing {

// A pipe that closes itself. Thread safety: one thread at a time.
class Pipe {
 public:
  Pipe() {
    if (::pipe(ends_) != 0) std::abort();
  }
  ~Pipe() {
    close_read();
    close_write();
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  int read_end() const { return ends_[0]; }
  int write_end() const { return ends_[1]; }
  void close_read() { close_end(0); }
  void close_write() { close_end(1); }

  template <class T>
  bool write(const T& value) const {
    return ::write(ends_[1], &value, sizeof value) == static_cast<ssize_t>(sizeof value);
  }
  template <class T>
  bool read(T& value) const {
    return ::read(ends_[0], &value, sizeof value) == static_cast<ssize_t>(sizeof value);
  }

 private:
  void close_end(int end) {
    if (ends_[end] >= 0) ::close(ends_[end]);
    ends_[end] = -1;
  }

  int ends_[2] = {-1, -1};
};

// A child that runs `body` and exits with what it returns. In `body` no assertion of the test
// framework may be used. A child that is not waited for is killed at the end.
class Child {
 public:
  explicit Child(const std::function<int()>& body) : process_(::fork()) {
    if (process_ < 0) std::abort();
    if (process_ == 0) ::_exit(body());
  }
  ~Child() {
    if (process_ > 0) kill();
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  Child(Child&& other) noexcept : process_(other.process_) { other.process_ = -1; }
  Child& operator=(Child&&) = delete;

  pid_t process() const { return process_; }

  // The exit code; 1000 and the signal's number where a signal ended it.
  int wait() {
    int status = 0;
    while (::waitpid(process_, &status, 0) < 0 && errno == EINTR) {
    }
    process_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  }

  void kill() {
    ::kill(process_, SIGKILL);
    wait();
  }

 private:
  pid_t process_;
};

}  // namespace cellroute::testing
