#include "mapping/line_table.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <new>

namespace cellroute::mapping {
namespace {

constexpr double kIdentityBits = 60;
constexpr unsigned kMostSpareBits = 18;  // of the number of lines that are there for identity alone
constexpr unsigned kMostPushes = 2000;   // for one entry; at 95 % a few dozen do
constexpr std::size_t kAhead = 32;       // entries whose lines are fetched before their turn
constexpr std::size_t kHugePage = std::size_t{2} << 20;

// So many lines that `keys` fill 95 % of them.
std::uint64_t lines_for(std::uint64_t keys, unsigned entries_a_line) noexcept {
  const std::uint64_t room = std::uint64_t{19} * entries_a_line;  // of twenty lines
  return std::max<std::uint64_t>(1, (keys * 20 + room - 1) / room);
}

}  // namespace

crm::Layout choose_layout(std::uint64_t keys, std::uint32_t cells, std::uint32_t profiles) {
  crm::Layout layout;
  layout.code_bits = static_cast<unsigned>(std::bit_width(cells + 1));
  layout.profile_bits = static_cast<unsigned>(std::bit_width(std::max(profiles, 1U) - 1));
  layout.lines = lines_for(keys, layout.entries_a_line());
  if (layout.identity_bits() >= kIdentityBits) return layout;
  layout.entry_bytes = crm::kEightBytes;
  layout.lines = 1;
  while (layout.identity_bits() < kIdentityBits && layout.lines < 1U << kMostSpareBits) {
    layout.lines *= 2;
  }
  layout.lines = std::max(layout.lines, lines_for(keys, layout.entries_a_line()));
  return layout;
}

void lengthen(crm::Layout& layout) noexcept { layout.lines += layout.lines / 32 + 1; }

void LineTable::Free::operator()(Line* lines) const noexcept { std::free(lines); }

LineTable::LineTable(const crm::Layout& layout)
    : layout_(layout), capacity_(layout.entries_a_line()), filled_(layout.lines) {
  const std::size_t bytes = crm::padded(layout.lines * sizeof(Line), kHugePage);
  void* const memory = std::aligned_alloc(kHugePage, bytes);
  if (memory == nullptr) throw std::bad_alloc();
  // Entries fall anywhere: with small pages each would miss the TLB.
  static_cast<void>(::madvise(memory, bytes, MADV_HUGEPAGE));
  std::memset(memory, 0, bytes);
  lines_.reset(static_cast<Line*>(memory));
}

std::span<const std::byte> LineTable::bytes() const noexcept {
  return std::as_bytes(std::span(lines_.get(), layout_.lines));
}

void LineTable::add(std::span<const NewEntry> entries) {
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (i + kAhead < entries.size()) __builtin_prefetch(&filled_[entries[i + kAhead].line]);
    if (!put(entries[i])) left_.push_back(entries[i]);
  }
  entries_ += entries.size();
}

bool LineTable::settle() noexcept {
  for (std::size_t i = 0; i < left_.size(); ++i) {
    if (i + kAhead < left_.size()) __builtin_prefetch(&filled_[other(left_[i + kAhead])]);
    NewEntry entry = left_[i];
    entry.line = other(entry);
    if (!put(entry) && !push(entry)) return false;
  }
  return true;
}

bool LineTable::put(const NewEntry& added) noexcept {
  if (filled_[added.line] == capacity_) return false;
  store(added.line, filled_[added.line]++, added.entry);
  return true;
}

// The line is full: an entry that has room in its other line makes way, or else any, which then
// does the same there.
bool LineTable::push(NewEntry added) noexcept {
  for (unsigned i = 0; i < kMostPushes; ++i) {
    auto place = static_cast<unsigned>(scale(mix(++pushes_), capacity_));
    for (unsigned j = 0; j < capacity_; ++j) {
      const std::uint64_t other_line = other({added.line, load(added.line, j)});
      if (filled_[other_line] < capacity_) place = j;
    }
    NewEntry pushed{added.line, load(added.line, place)};
    store(added.line, place, added.entry);
    pushed.line = other(pushed);
    if (put(pushed)) return true;
    added = pushed;
  }
  return false;
}

void LineTable::store(std::uint64_t line, unsigned place, std::uint64_t entry) noexcept {
  std::byte* const at = lines_[line].bytes + std::size_t{place} * layout_.entry_bytes;
  std::memcpy(at, &entry, layout_.entry_bytes);
}

std::uint64_t LineTable::load(std::uint64_t line, unsigned place) const noexcept {
  const std::byte* const at = lines_[line].bytes + std::size_t{place} * layout_.entry_bytes;
  return crm::load64(at) & layout_.entry_mask();
}

}  // namespace cellroute::mapping
