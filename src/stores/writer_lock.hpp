// One writer at a time, over threads and processes, with an end to waiting. LMDB's own lock has no
// end: a stopped writer would stop every other.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>

#include "cellroute/status.hpp"
#include "cellroute/time.hpp"

namespace cellroute::stores {

// A POSIX record lock, which the system drops when the process dies and which a child of fork()
// does not inherit. Closing any other descriptor of the same file in this process would drop it
// too, so a process may have one WriterLock a file.
// Thread safety: every call, from any thread.
class WriterLock {
 public:
  WriterLock() = default;
  ~WriterLock();
  WriterLock(const WriterLock&) = delete;
  WriterLock& operator=(const WriterLock&) = delete;

  // In a child of fork(): leaves the descriptor open, because closing it would drop the lock that
  // the child may have taken by another WriterLock since.
  void abandon() noexcept { descriptor_ = -1; }

  // Makes the file (0600) if it is missing. Once, before all else.
  Error open(const std::string& path, const std::string& directory);

  enum class Against { kEverybody, kThreads };  // threads: those of this process alone

  // Holds the lock from a successful acquire() to its end. Thread safety: one thread at a time.
  class Hold {
   public:
    Hold() = default;
    ~Hold();
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;

   private:
    friend class WriterLock;
    WriterLock* lock_ = nullptr;
    Against against_ = Against::kEverybody;
  };

  // kUnavailable, with the holder, when `timeout` passes before it is free.
  Error acquire(Hold& hold, Nanos timeout, Against against = Against::kEverybody);

 private:
  using Deadline = std::chrono::steady_clock::time_point;

  Error acquire_process(Deadline deadline, Nanos timeout);
  Error acquire_file(Deadline deadline, Nanos timeout);
  void release_process();
  void release_file();

  std::string directory_;
  int descriptor_ = -1;
  std::mutex mutex_;
  std::condition_variable free_;
  bool taken_ = false;
};

}  // namespace cellroute::stores
