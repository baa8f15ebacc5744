// SIGPIPE kept from the host while a library of ours writes to sockets.
#pragma once

#include <signal.h>

#include <ctime>

namespace cellroute::net {

// Keeps a SIGPIPE that this thread raises from the host. libcurl does so by a handler of the whole
// process, which CURLOPT_NOSIGNAL forbids.
class NoSigpipe {
 public:
  NoSigpipe() noexcept {
    ::sigemptyset(&pipe_);
    ::sigaddset(&pipe_, SIGPIPE);
    sigset_t pending;
    ::sigpending(&pending);
    pending_ = ::sigismember(&pending, SIGPIPE) == 1;
    ::pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~NoSigpipe() {
    const timespec at_once{};
    if (!pending_) (void)::sigtimedwait(&pipe_, nullptr, &at_once);
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  NoSigpipe(const NoSigpipe&) = delete;
  NoSigpipe& operator=(const NoSigpipe&) = delete;

 private:
  sigset_t pipe_;
  sigset_t before_;
  bool pending_ = false;  // somebody else's
};

}  // namespace cellroute::net
