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

// A TCP port that nobody has now.
inline std::uint16_t free_port() {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  if (::bind(socket, any, size) != 0 || ::getsockname(socket, any, &size) != 0) std::abort();
  ::close(socket);
  return ntohs(address.sin_port);
}

}  // namespace cellroute::testing
