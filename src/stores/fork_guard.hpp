// Tells the process that made it from a child of fork().
#pragma once

#include "cellroute/status.hpp"

namespace cellroute::stores {

// A page that the kernel wipes in every child (MADV_WIPEONFORK), however it was forked; where the
// kernel cannot, the process id. Thread safety: any number of threads may ask.
class ForkGuard {
 public:
  ForkGuard();
  ~ForkGuard();
  ForkGuard(const ForkGuard&) = delete;
  ForkGuard& operator=(const ForkGuard&) = delete;

  bool same_process() const noexcept { return page_ != nullptr ? *page_ == 1 : same_id(); }

  // kWrongProcess in a child, with what to do.
  Error check() const;

 private:
  bool same_id() const noexcept;

  const volatile unsigned char* page_ = nullptr;
  int process_ = 0;
};

}  // namespace cellroute::stores
