// Records on their way into a mapping file, in a file without a name, parted by the top of their
// key's mark: what is sorted together fits memory, and keys that may be confused are in one part.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cellroute/status.hpp"
#include "cellroute/time.hpp"
#include "mapping/new_file.hpp"

namespace cellroute::mapping {

// One record; cell and profile are numbers in the order in which the names came.
struct Spilled {
  std::string_view key;
  std::uint32_t cell = 0;
  std::uint32_t profile = 0;
  std::uint64_t epoch = 0;
  std::uint64_t revision = 0;
  std::uint64_t number = 0;
  Nanos expires = 0;
  std::uint8_t state = 0;
  bool deleted = false;
};

// Appends the record.
void append_spilled(const Spilled& record, std::string& out);

// Takes the record at the start of `bytes`, which append_spilled() wrote. The key points into them.
Spilled take_spilled(std::string_view& bytes);

// Thread safety: one thread adds; then any number may read.
class Spill {
 public:
  static constexpr std::size_t kParts = 256;

  static Result<Spill> create(const std::string& path);

  static constexpr std::size_t part_of(std::uint64_t mark) noexcept {
    return static_cast<std::size_t>(mark >> 56);
  }

  Error add(std::size_t part, std::string_view bytes);
  Error flush();

  // Of all parts, as far as they are written. After flush(): all.
  std::uint64_t bytes() const noexcept { return end_; }

  // All that was added to the part, as one. Precondition: flush() came after the last add().
  Result<std::string> read(std::size_t part) const;

 private:
  static constexpr std::size_t kChunk = std::size_t{1} << 16;

  struct Chunk {
    std::uint64_t offset;
    std::uint32_t bytes;
  };
  struct Part {
    std::string pending;
    std::vector<Chunk> written;
  };

  Spill(std::string name, Descriptor file) : name_(std::move(name)), file_(std::move(file)) {}
  Error write(Part& part);

  std::string name_;  // of the target, for error texts
  Descriptor file_;
  std::uint64_t end_ = 0;
  std::vector<Part> parts_ = std::vector<Part>(kParts);
};

}  // namespace cellroute::mapping
