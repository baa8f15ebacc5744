// Memory for a guard region in tests: zeroed, aligned, and, where asked for, shared with children.
#pragma once

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <cstddef>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "cellroute/guard/guards.hpp"

namespace cellroute::guard_test {

inline constexpr Nanos kStart = 1'700'000'000 * kSecond;

// Anonymous shared pages: children of fork() see the same bytes.
class Memory {
 public:
  explicit Memory(std::size_t size)
      : size_(size),
        bytes_(static_cast<std::byte*>(
            mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {}
  ~Memory() { munmap(bytes_, size_); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  std::span<std::byte> span() const { return {bytes_, size_}; }
  std::vector<std::byte> copy() const { return {bytes_, bytes_ + size_}; }

 private:
  std::size_t size_;
  std::byte* bytes_;
};

// A region of its own with guards over it.
struct Room {
  explicit Room(GuardGeometry geometry = {8, 4, 256}, std::uint64_t seed = 7)
      : memory(GuardRegion::bytes(geometry)),
        guards(*GuardRegion::create(memory.span(), geometry, seed)) {}

  std::uint32_t claim(const std::string& id) { return *guards.region().claim(id); }

  Memory memory;
  Guards guards;
};

// Starts a child that ends with what `work` returns, and of itself after a minute.
template <class Work>
pid_t start_child(const Work& work) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    alarm(60);
    _exit(work());
  }
  return child;
}

// How it exited; -1 where it was killed.
inline int wait_for(pid_t child) {
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

inline void kill_at_once(pid_t child) {
  REQUIRE(child > 0);
  kill(child, SIGKILL);
  CHECK(wait_for(child) == -1);
}

template <class Work>
int in_child(const Work& work) {
  return wait_for(start_child(work));
}

template <class Work>
void in_threads(std::uint32_t count, const Work& work) {
  std::vector<std::thread> threads;
  for (std::uint32_t i = 0; i < count; ++i) threads.emplace_back([&work, i] { work(i); });
  for (std::thread& thread : threads) thread.join();
}

}  // namespace cellroute::guard_test
