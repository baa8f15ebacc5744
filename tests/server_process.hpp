// Other programs as servers for tests.
#pragma once

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "cellroute/time.hpp"
#include "child_process.hpp"

namespace cellroute::testing {

inline constexpr Nanos kPatience = 20 * kSecond;  // for what must come, on a busy machine

// A program that dies with this one, quiet, in `directory`.
inline Child run_program(const std::vector<std::string>& arguments, const std::string& directory) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  return Child([&] {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int quiet = ::open("/dev/null", O_RDWR);
    ::dup2(quiet, STDIN_FILENO);
    ::dup2(quiet, STDOUT_FILENO);
    ::dup2(quiet, STDERR_FILENO);
    if (::chdir(directory.c_str()) != 0) return 126;
    ::execvp(argv[0], argv.data());
    return 127;
  });
}

// A TCP port that nobody has now: below those that the kernel gives to connections, one of which
// could have it before the server does.
inline std::uint16_t free_port() {
  constexpr std::uint16_t kFirst = 20'000;
  constexpr std::uint16_t kCount = 12'000;
  static auto next = static_cast<unsigned>(::getpid());
  for (unsigned tries = 0; tries < kCount; ++tries) {
    const auto port = static_cast<std::uint16_t>(kFirst + next++ % kCount);
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    const bool free = ::bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    ::close(socket);
    if (free) return port;
  }
  std::abort();
}

}  // namespace cellroute::testing
