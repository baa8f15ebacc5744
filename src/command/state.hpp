// --state DIR: what the command keeps between runs. The guard region (`guards`, a file that is
// mapped), and the topology that served last (`topology.pb`).
//
// The directory is made with mode 0700 and the files with 0600: the topology holds the placement
// seed. A run publishes under a lock on the directory, so that two at once publish one by one.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "cellroute/guard/region.hpp"
#include "cellroute/status.hpp"
#include "cellroute/topology.hpp"

namespace cellroute::command {

// Thread safety: one thread at a time.
class StateDirectory {
 public:
  // Opens `path`, making it if it is missing and its parent is there, and takes the lock.
  static Result<std::unique_ptr<StateDirectory>> open(const std::string& path);

  ~StateDirectory();
  StateDirectory(const StateDirectory&) = delete;
  StateDirectory& operator=(const StateDirectory&) = delete;

  const std::string& path() const noexcept { return path_; }

  // The topology that served last, if there is one.
  Result<std::optional<Topology>> last_good() const;

  // Replaces it: whole or not at all, whatever happens meanwhile.
  Error keep(const Topology& topology);

  // The guard region's memory, mapped until this ends. Where there is a region already, `geometry`
  // becomes its geometry; a new one is made for `geometry`.
  Result<std::span<std::byte>> map_guards(GuardGeometry& geometry);

  // Lets other runs publish.
  void unlock();

 private:
  StateDirectory(std::string path, int directory) : path_(std::move(path)), directory_(directory) {}

  Error failed(const std::string& what, int code) const;
  Result<std::span<std::byte>> map_file(int file, std::size_t bytes);

  std::string path_;
  int directory_;  // a descriptor
  std::span<std::byte> guards_;
};

}  // namespace cellroute::command
