// Runs the built command as its users do, in a directory of its own.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

namespace cellroute::test {

struct Run {
  int exit = -1;  // 128 + the signal's number where one ended it
  std::string out;
  std::string err;
};

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void write_file(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

inline std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

inline std::vector<nlohmann::ordered_json> jsons_of(const std::string& text) {
  std::vector<nlohmann::ordered_json> jsons;
  for (const std::string& line : lines_of(text)) {
    jsons.push_back(nlohmann::ordered_json::parse(line));
  }
  return jsons;
}

// A directory that is gone at the end, and commands that run in it.
class Workplace {
 public:
  Workplace() {
    std::string name = (std::filesystem::temp_directory_path() / "cellroute-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~Workplace() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Workplace(const Workplace&) = delete;
  Workplace& operator=(const Workplace&) = delete;

  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

  void write(const std::string& name, const std::string& text) const {
    write_file(path_ / name, text);
  }

  // `cellroute` with these arguments.
  Run run(std::vector<std::string> arguments, const std::string& input = {}) const {
    arguments.insert(arguments.begin(), CELLROUTE_COMMAND);
    return run_program(arguments, input);
  }

  Run run_program(const std::vector<std::string>& arguments, const std::string& input) const {
    write(".in", input);
    const pid_t child = ::fork();
    if (child == 0) {
      become(arguments);
      ::_exit(127);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    Run result;
    result.exit = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    result.out = read_file(path_ / ".out");
    result.err = read_file(path_ / ".err");
    return result;
  }

 private:
  // Between fork and exec: no more than system calls.
  void become(const std::vector<std::string>& arguments) const {
    std::vector<char*> argv;
    for (const std::string& argument : arguments)
      argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    if (::chdir(path_.c_str()) != 0) return;
    const char* const names[] = {".in", ".out", ".err"};
    for (int i = 0; i < 3; ++i) {
      const int file = ::open(names[i], i == 0 ? O_RDONLY : O_WRONLY | O_CREAT | O_TRUNC, 0600);
      if (file < 0 || ::dup2(file, i) < 0) return;
      if (file > 2) ::close(file);
    }
    ::execv(argv[0], argv.data());
  }

  std::filesystem::path path_;
};

// Two tiers, two regions; `eu-` cells are in the EU, `vault` has the certification and encryption.
inline std::string small_topology(const std::string& policy = "affinity: STATEFUL",
                                  const std::string& us_1 = "", int generation = 1) {
  return "generation: " + std::to_string(generation) + R"(
hash_seed: 9182736455463728190
tiers: [retail, {name: hnw, aliases: [private]}]
regions: [us, eu]
certifications: [FedRAMP]
encryption_levels: [standard, maximum]
cells:
  - {id: us-1, tier: retail, region: us, endpoint: "https://us-1.example.com", )" +
         us_1 + R"(}
  - {id: us-2, tier: retail, region: us, endpoint: "https://us-2.example.com",
     endpoints: {orders: "https://orders.us-2.example.com"}}
  - {id: us-3, tier: retail, region: us, endpoint: "https://us-3.example.com"}
  - {id: us-4, tier: retail, region: us, endpoint: "https://us-4.example.com"}
  - {id: eu-1, tier: retail, region: eu, endpoint: "https://eu-1.example.com"}
  - {id: vault, tier: hnw, region: us, endpoint: "https://vault.example.com",
     certifications: [FedRAMP], encryption: maximum}
policy:
  slots: 1024
  tier_fallback: [{from: retail, to: [hnw]}]
  flags:
    PII: {certifications: [FedRAMP]}
    EU: {regions: [eu]}
  )" + policy +
         "\n";
}

}  // namespace cellroute::test
