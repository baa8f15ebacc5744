// Checks the whole of a mapping file: every byte against its checksum, then what the bytes say,
// since whoever can write a file can write its checksums too.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "cellroute/check/problems.hpp"
#include "cellroute/key.hpp"
#include "cellroute/mapping_file/aside.hpp"

namespace cellroute::crm {

// Precondition of all that follow: check_header() passed for these bytes.

inline Error check_sums(std::span<const std::byte> bytes, const Header& header) {
  const Sections at(header);
  if (sum_of(bytes.data() + at.sums, at.end - at.sums, 0) != header.sums_sum) {
    return corrupt("bytes " + check::counted(at.sums) + " to " + check::counted(at.end - 1) +
                   ", the checksums, do not match their own");
  }
  for (std::uint64_t begin = at.tables, block = 0; begin < at.sums; ++block) {
    const std::uint64_t end = std::min((block + 1) * kBlockBytes, at.sums);
    if (sum_of(bytes.data() + begin, end - begin, block) !=
        load64(bytes.data() + at.sums + block * 8)) {
      return corrupt("bytes " + check::counted(begin) + " to " + check::counted(end - 1) +
                     " do not match their checksum");
    }
    begin = end;
  }
  return {};
}

inline bool all_zero(std::span<const std::byte> bytes) noexcept {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

// What the lines hold.
struct LineCounts {
  std::uint64_t entries = 0;
  std::uint64_t marks = 0;  // of keys that are kept aside
  bool sound = true;

  void add(const Header& header, const EntryReader& reader, std::uint64_t entry) noexcept {
    if (entry == 0) return;
    const EntryValue value = reader.value_of(entry);
    const bool mark = value.code == header.cells + 1;
    const bool names =
        value.code >= 1 && value.code <= header.cells && value.profile < header.profiles;
    sound = sound && entry >> reader.value_bits != 0 &&
            (mark ? value.profile == 0 && value.epoch == 0 : names);
    ++entries;
    marks += mark ? 1U : 0U;
  }
};

inline Error check_lines(std::span<const std::byte> bytes, const Header& header,
                         std::uint64_t& marks) {
  const Sections at(header);
  const Layout layout = header.layout();
  const EntryReader reader(layout);
  LineCounts counts;
  for (std::uint64_t offset = at.lines; offset < at.aside; offset += kLineBytes) {
    const std::byte* const line = bytes.data() + offset;
    for (unsigned i = 0; i < layout.entries_a_line(); ++i) {
      const std::uint64_t entry = load64(line + i * layout.entry_bytes) & layout.entry_mask();
      counts.add(header, reader, entry);
    }
    const bool spare = layout.entry_bytes == kNineBytes && line[kLineBytes - 1] != std::byte{0};
    if (counts.sound && !spare) continue;
    return corrupt("the line at byte " + check::counted(offset) + " holds what is no entry");
  }
  if (counts.entries != header.entries ||
      header.keys != counts.entries - counts.marks + header.aside) {
    return corrupt("the lines hold another number of keys than the header says");
  }
  marks = counts.marks;
  return {};
}

// Whether a line of the key says that it is kept aside.
inline bool is_marked(std::span<const std::byte> lines, const Header& header,
                      const KeyHash& hash) noexcept {
  const EntryReader reader(header.layout());
  const std::uint64_t first = header.layout().first_line(hash);
  for (const std::uint64_t line : {first, reader.other_line(first, hash.mark)}) {
    const std::uint64_t entry = reader.entry_in(lines.data() + line * kLineBytes, hash.mark);
    if (entry != 0) return reader.value_of(entry).code == header.cells + 1;
  }
  return false;
}

inline Error check_aside(std::span<const std::byte> bytes, const Header& header, const Aside& aside,
                         std::uint64_t marks) {
  const Sections at(header);
  const auto lines = bytes.subspan(at.lines, at.aside - at.lines);
  Error error = corrupt("the keys kept aside are not as they must be");
  std::uint64_t keys = 0;
  std::uint64_t end = 0;
  for (std::uint64_t i = 0; i < aside.buckets(); ++i) {
    Aside::Bucket bucket(aside, i);
    if (bucket.begin() != end) return error;
    end = bucket.end();
    std::uint64_t last_mark = 0;
    std::string_view last_key;
    Aside::Record record;
    while (bucket.next(record)) {
      const auto& [head, key] = record;
      const KeyHash hash = hash_key(header.seed, key);
      const auto padding =
          std::as_bytes(std::span(key.data() + key.size(), (8 - key.size() % 8) % 8));
      const bool ascends = head.mark > last_mark || (head.mark == last_mark && key > last_key);
      if (!key_length_ok(key) || hash.mark != head.mark || scale(head.mark, aside.buckets()) != i ||
          !ascends || head.expires < 0 || !all_zero(std::as_bytes(std::span(head.zeroes))) ||
          !all_zero(padding) || !is_marked(lines, header, hash)) {
        return error;
      }
      last_mark = head.mark;
      last_key = key;
      ++keys;
    }
    if (!bucket.sound()) return error;
  }
  return keys == header.aside && end == header.aside_bytes && marks <= keys ? Error() : error;
}

}  // namespace cellroute::crm
