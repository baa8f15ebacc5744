// How far long work has come, on a terminal: "12,345 keys, 1.20 M/s", at most ten times a second.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace cellroute::command {

// Says nothing where standard error is no terminal. The line is wiped when this ends.
// Thread safety: one thread at a time.
class Progress {
 public:
  // `what` is counted: "keys", "records".
  explicit Progress(std::string_view what);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void add(std::uint64_t done) {
    done_ += done;
    if (terminal_) show();
  }

  std::uint64_t done() const noexcept { return done_; }
  double seconds() const noexcept;

 private:
  using Clock = std::chrono::steady_clock;

  void show();

  std::string what_;
  bool terminal_;
  bool shown_ = false;
  std::uint64_t done_ = 0;
  Clock::time_point started_ = Clock::now();
  Clock::time_point next_;
};

// "1.25 M/s", "845 k/s", "12/s".
std::string rate_text(std::uint64_t done, double seconds);

}  // namespace cellroute::command
