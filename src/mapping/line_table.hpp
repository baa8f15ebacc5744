// The lines of a mapping file while they are filled.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "cellroute/mapping_file/format.hpp"

namespace cellroute::mapping {

// How a file of so many keys (or a few more than it will have) and names is cut: nine entries a
// line, filled to 95 %, where that tells 2^60 keys apart; else eight wider ones, on more lines than
// the keys need where there are few, up to 16 MiB.
crm::Layout choose_layout(std::uint64_t keys, std::uint32_t cells, std::uint32_t profiles);

// The next longer table to try, where the keys did not fit.
void lengthen(crm::Layout& layout) noexcept;

// An entry to be put in either of its lines.
struct NewEntry {
  std::uint64_t line;  // the first
  std::uint64_t entry;
};

// The same entries in the same order give the same lines. Thread safety: one thread at a time.
class LineTable {
 public:
  explicit LineTable(const crm::Layout& layout);

  // Puts those in that find room in their first line.
  void add(std::span<const NewEntry> entries);

  // Finds room for those that are left, once all are added. False where there is none; then the
  // table is of no use.
  bool settle() noexcept;

  std::uint64_t entries() const noexcept { return entries_; }
  std::span<const std::byte> bytes() const noexcept;

 private:
  struct alignas(crm::kLineBytes) Line {
    std::byte bytes[crm::kLineBytes];
  };
  struct Free {
    void operator()(Line* lines) const noexcept;
  };

  bool put(const NewEntry& added) noexcept;
  bool push(NewEntry added) noexcept;
  void store(std::uint64_t line, unsigned place, std::uint64_t entry) noexcept;
  std::uint64_t load(std::uint64_t line, unsigned place) const noexcept;
  std::uint64_t other(const NewEntry& entry) const noexcept {
    return layout_.other_line(entry.line, entry.entry >> layout_.value_bits());
  }

  crm::Layout layout_;
  unsigned capacity_;  // entries a line
  std::unique_ptr<Line[], Free> lines_;
  std::vector<std::uint8_t> filled_;  // entries of each line
  std::vector<NewEntry> left_;
  std::uint64_t entries_ = 0;
  std::uint64_t pushes_ = 0;
};

}  // namespace cellroute::mapping
