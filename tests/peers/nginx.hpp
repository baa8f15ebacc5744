// A real nginx for the time of a test: own prefix in a temporary directory, one process, listening
// on a socket there, stopped and removed at the end whatever happens.
#pragma once

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace cellroute::test {

class Nginx {
 public:
  // `http`: what stands in the http block beside the temporary paths; it listens on `socket()` by
  // the line "listen unix:SOCKET;".
  explicit Nginx(std::string http) {
    std::string made = (std::filesystem::temp_directory_path() / "cellroute-nginx-XXXXXX").string();
    if (mkdtemp(made.data()) == nullptr) throw std::runtime_error("no temporary directory");
    prefix_ = made;
    const std::string mark = "SOCKET";
    http.replace(http.find(mark), mark.size(), socket());
    std::ofstream config(prefix_ / "nginx.conf");
    config << "daemon off; master_process off; pid " << made << "/pid; error_log " << made
           << "/error.log crit;\nevents { worker_connections 256; }\nhttp {\naccess_log off;\n";
    for (const char* path : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"}) {
      config << path << "_temp_path " << made << '/' << path << ";\n";
    }
    config << http << "}\n";
    config.close();
    start();
  }

  Nginx(const Nginx&) = delete;
  Nginx& operator=(const Nginx&) = delete;

  ~Nginx() {
    stop();
    std::error_code ignored;
    std::filesystem::remove_all(prefix_, ignored);
  }

  std::string socket() const { return (prefix_ / "listen.sock").string(); }

  // A connection to it, or throws, with its error log, if it is not up within five seconds.
  int connect() const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    socket().copy(address.sun_path, sizeof address.sun_path - 1);
    for (int tries = 0; tries < 500; ++tries) {
      const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
      if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
        return fd;
      ::close(fd);
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    std::ifstream log(prefix_ / "error.log");
    throw std::runtime_error("nginx does not answer; is the package nginx-light there? " +
                             std::string(std::istreambuf_iterator<char>(log), {}));
  }

 private:
  void start() {
    const std::string prefix = prefix_.string();
    const std::string config = (prefix_ / "nginx.conf").string();
    const std::string log = (prefix_ / "error.log").string();
    pid_ = fork();
    if (pid_ != 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (const char* program : {"nginx", "/usr/sbin/nginx"}) {  // sbin is not on everyone's path
      execlp(program, "nginx", "-p", prefix.c_str(), "-c", config.c_str(), "-e", log.c_str(),
             nullptr);
    }
    _exit(127);
  }

  void stop() {
    if (pid_ <= 0) return;
    kill(pid_, SIGTERM);
    for (int tries = 0; tries < 200; ++tries) {
      if (waitpid(pid_, nullptr, WNOHANG) == pid_) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

  std::filesystem::path prefix_;
  pid_t pid_ = -1;
};

// Requests sent in batches over one connection; of each answer, the value of the header X-Peer.
inline std::vector<std::string> x_peer_of(const Nginx& nginx,
                                          const std::vector<std::string>& paths) {
  constexpr std::size_t kBatch = 100;
  constexpr std::string_view kHeader = "\r\nX-Peer: ";
  const int fd = nginx.connect();
  std::vector<std::string> values;
  for (std::size_t first = 0; first < paths.size(); first += kBatch) {
    const std::size_t end = std::min(first + kBatch, paths.size());
    std::string requests;
    for (std::size_t i = first; i < end; ++i) {
      requests += "GET " + paths[i] + " HTTP/1.1\r\nHost: x\r\n\r\n";
    }
    for (std::string_view left = requests; !left.empty();) {
      const ssize_t sent = ::send(fd, left.data(), left.size(), MSG_NOSIGNAL);
      if (sent <= 0) break;
      left.remove_prefix(static_cast<std::size_t>(sent));
    }
    std::string received;
    std::size_t from = 0;
    while (values.size() < end) {
      const std::size_t header = received.find(kHeader, from);
      const std::size_t line_end =
          header == received.npos ? header : received.find("\r\n", header + kHeader.size());
      if (line_end != received.npos) {
        const std::size_t value = header + kHeader.size();
        values.push_back(received.substr(value, line_end - value));
        from = line_end;
        continue;
      }
      char buffer[1 << 16];
      const ssize_t got = ::recv(fd, buffer, sizeof buffer, 0);
      if (got <= 0) {
        ::close(fd);
        throw std::runtime_error("nginx closed the connection after " +
                                 std::to_string(values.size()) + " answers");
      }
      received.append(buffer, static_cast<std::size_t>(got));
    }
  }
  ::close(fd);
  return values;
}

}  // namespace cellroute::test
