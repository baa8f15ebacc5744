// A file that replaces another at once and whole, or not at all.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "cellroute/status.hpp"

namespace cellroute::mapping {

// A file descriptor that closes itself.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept;
  Descriptor& operator=(Descriptor&& other) noexcept;

  int get() const noexcept { return number_; }
  bool ok() const noexcept { return number_ >= 0; }

 private:
  int number_ = -1;
};

// kUnavailable, or kNotFound for what is not there: "path: the system's text".
Error system_error(const std::string& path, int code);

Error write_at(const Descriptor& file, const std::string& path, std::uint64_t offset,
               std::span<const std::byte> bytes);

// All of `bytes`; a file that ends before is an error.
Error read_at(const Descriptor& file, const std::string& path, std::uint64_t offset,
              std::span<std::byte> bytes);

// After it a rename of `path` survives a loss of power.
Error sync_directory_of(const std::string& path);

// A file without a name, beside `path`: gone with its last descriptor, whatever happens. Whoever
// calls this holds the lock on `path`.
Result<Descriptor> open_nameless(const std::string& path);

// PATH.new, locked against other writers, until commit() renames it. One that a killed process left
// is begun anew. Thread safety: one thread at a time.
class NewFile {
 public:
  static Result<NewFile> create(const std::string& path);
  ~NewFile();
  NewFile(NewFile&& other) noexcept = default;
  NewFile& operator=(NewFile&&) = delete;

  const Descriptor& descriptor() const noexcept { return file_; }
  const std::string& name() const noexcept { return name_; }
  const std::string& target() const noexcept { return target_; }

  // Cuts the file to `bytes`, syncs it, renames it and syncs the directory.
  Error commit(std::uint64_t bytes);

 private:
  NewFile(std::string target, std::string name, Descriptor file);

  std::string target_;
  std::string name_;
  Descriptor file_;
  bool committed_ = false;
};

}  // namespace cellroute::mapping
