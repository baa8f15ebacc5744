#include "command/progress.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "cellroute/check/problems.hpp"

namespace cellroute::command {
namespace {

constexpr auto kBetween = std::chrono::milliseconds(100);
constexpr double kShortest = 1e-9;  // seconds; a rate over none would be infinite

}  // namespace

Progress::Progress(std::string_view what)
    : what_(what), terminal_(::isatty(STDERR_FILENO) == 1), next_(started_ + kBetween) {}

Progress::~Progress() {
  if (shown_) std::fputs("\r\x1b[K", stderr);
}

double Progress::seconds() const noexcept {
  const std::chrono::duration<double> since = Clock::now() - started_;
  return std::max(since.count(), kShortest);
}

void Progress::show() {
  const Clock::time_point now = Clock::now();
  if (now < next_) return;
  next_ = now + kBetween;
  shown_ = true;
  std::fprintf(stderr, "\r\x1b[K%s %s, %s", check::counted(done_).c_str(), what_.c_str(),
               rate_text(done_, seconds()).c_str());
  std::fflush(stderr);
}

std::string rate_text(std::uint64_t done, double seconds) {
  const double rate = static_cast<double>(done) / seconds;
  char text[32];
  if (rate >= 1e6) {
    std::snprintf(text, sizeof text, "%.2f M/s", rate / 1e6);
  } else if (rate >= 1e3) {
    std::snprintf(text, sizeof text, "%.0f k/s", rate / 1e3);
  } else {
    std::snprintf(text, sizeof text, "%.0f/s", rate);
  }
  return text;
}

}  // namespace cellroute::command
