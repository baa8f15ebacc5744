// Reads a mapping file (.crm): key → cell for a hundred million keys and more, built by
// src/mapping/file_builder.hpp and immutable since. The format is in mapping_file/FORMAT.md.
//
// A look-up reads two lines of 64 bytes. A key that the file does not have is told from those that
// it has by about 60 bits, not by its bytes: wrong_hit_odds() says how often one is mistaken. Keys
// that it has are never mistaken for each other.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cellroute/hot_path.hpp"
#include "cellroute/mapping_file/aside.hpp"
#include "cellroute/mapping_file/check.hpp"
#include "cellroute/mapping_file/layout.hpp"
#include "cellroute/mapping_file/memory.hpp"
#include "cellroute/mapping_file/tables.hpp"
#include "cellroute/status.hpp"

namespace cellroute {

struct MappingFileOptions {
  // Read the file into memory of this process, in huge pages where the system has them, in place of
  // mapping it. Off: the processes of a host share one copy, and a file that is cut short while it
  // is open kills its reader with SIGBUS; replace files by rename, as the builder does. On: nothing
  // that happens to the file is seen any more, and look-ups miss the TLB less.
  bool copy = false;
};

// Thread safety: immutable; any number of threads may read. Fork: a child may read on.
class MappingFile {
 public:
  // A batch of look-ups waits for the memory of so many keys at once; longer ones are cut.
  static constexpr std::size_t kBatch = 32;

  // Opens the file, touches all of it and checks all of it: every byte against its checksum, and
  // what it says. Errors name the file: kNotFound, kUnavailable, kResourceExhausted from the
  // system; kCorrupt with the bytes that do not hold; kUnsupported for another version.
  static Result<std::shared_ptr<const MappingFile>> open(const std::string& path,
                                                         const MappingFileOptions& options = {});

  // The same over the host's memory, which must outlive this. 64-aligned memory is faster.
  static Result<std::shared_ptr<const MappingFile>> attach(std::span<const std::byte> bytes);

  MappingFile(const MappingFile&) = delete;
  MappingFile& operator=(const MappingFile&) = delete;

  // Where a key's entry may be: its two lines and what is looked for there.
  struct Place {
    std::uint64_t mark;
    std::uint64_t first;
    std::uint64_t second;
  };

  class Batch;

  // Asks the memory for both lines of the key and does not wait for them: what a caller does until
  // it comes to find() costs nothing.
  Place ask(std::string_view key) const noexcept;

  // kFound with the key's mapping, or kAbsent. No allocation, no system call. Should the file be
  // damaged after it was opened, an answer may be wrong or kUnknown, and nothing worse.
  FileAnswer find(std::string_view key, const Place& place) const noexcept;
  FileAnswer find(std::string_view key) const noexcept { return find(key, ask(key)); }

  // find() for each of `keys` into the `out` of the same place; as many as the shorter one has.
  void find(std::span<const std::string_view> keys, std::span<FileAnswer> out) const noexcept;

  // Cells and profiles by name, each in the order of its numbers. A record without a profile has a
  // number whose profile is not there.
  const std::vector<std::string>& cells() const noexcept { return tables_.cells; }
  const std::vector<std::optional<MappedProfile>>& profiles() const noexcept {
    return tables_.profiles;
  }
  const std::vector<FeedCursor>& feeds() const noexcept { return tables_.feeds; }

  std::uint64_t generation() const noexcept { return header_.generation; }
  std::uint64_t keys() const noexcept { return header_.keys; }
  std::uint64_t keys_aside() const noexcept { return header_.aside; }
  std::uint64_t bytes() const noexcept { return bytes_.size(); }
  const crm::Header& header() const noexcept { return header_; }

  // The memory of the lines, of 64 bytes each.
  std::span<const std::byte> lines() const noexcept {
    return {lines_, layout_.lines * crm::kLineBytes};
  }

  // Two keys are confused with a chance of 2^-identity_bits().
  double identity_bits() const noexcept { return layout_.identity_bits(); }

  // The chance that find() of a key that the file does not have says kFound: an entry for an entry
  // of its two lines.
  double wrong_hit_odds() const noexcept {
    const double seen =
        2 * static_cast<double>(header_.entries) / static_cast<double>(layout_.lines);
    return std::ldexp(seen, -static_cast<int>(layout_.fingerprint_bits()));
  }

 private:
  MappingFile() = default;

  Error start(std::span<const std::byte> bytes);
  // Inlined always: GCC drops calls of a function that does nothing but prefetch.
  CELLROUTE_HOT void prefetch(std::uint64_t line) const noexcept {
    __builtin_prefetch(lines_ + line * crm::kLineBytes);
  }
  CELLROUTE_HOT std::uint64_t entry_in(std::uint64_t line, std::uint64_t mark) const noexcept {
    return reader_.entry_in(lines_ + line * crm::kLineBytes, mark);
  }
  void answer(std::uint64_t entry, std::uint64_t mark, std::string_view key,
              FileAnswer& out) const noexcept;
  [[gnu::noinline, gnu::cold]] FileAnswer find_aside(std::uint32_t code, std::uint64_t mark,
                                                     std::string_view key) const noexcept {
    if (code != cell_count_ + 1) return {.answer = Answer::kUnknown};
    return aside_.find(key, mark);
  }

  // What each look-up reads, side by side.
  const std::byte* lines_ = nullptr;
  std::uint64_t seed_ = 0;
  crm::EntryReader reader_;
  std::uint32_t cell_count_ = 0;
  std::uint32_t profile_count_ = 0;

  crm::Aside aside_;
  crm::Tables tables_;
  crm::Header header_{};
  crm::Layout layout_;
  crm::FileMemory memory_;
  std::span<const std::byte> bytes_;
};

inline Result<std::shared_ptr<const MappingFile>> MappingFile::open(
    const std::string& path, const MappingFileOptions& options) {
  const auto named = [&](const Error& error) {
    return Error(error.code(), path + ": " + error.text());
  };
  Result<crm::FileMemory> memory = crm::FileMemory::load(path, options.copy);
  if (!memory.ok()) return named(memory.error());
  std::shared_ptr<MappingFile> file(new MappingFile);
  file->memory_ = std::move(*memory);
  if (const Error error = file->start(file->memory_.bytes()); !error.ok()) return named(error);
  return std::shared_ptr<const MappingFile>(std::move(file));
}

inline Result<std::shared_ptr<const MappingFile>> MappingFile::attach(
    std::span<const std::byte> bytes) {
  std::shared_ptr<MappingFile> file(new MappingFile);
  if (Error error = file->start(bytes); !error.ok()) return error;
  return std::shared_ptr<const MappingFile>(std::move(file));
}

// Works on a copy of the header: the file's own may change under it.
inline Error MappingFile::start(std::span<const std::byte> bytes) {
  if (bytes.size() < sizeof(crm::Header)) {
    return crm::corrupt("the file is too short for a mapping file");
  }
  std::memcpy(&header_, bytes.data(), sizeof header_);
  if (Error error = crm::check_header(header_, bytes.size()); !error.ok()) return error;
  if (Error error = crm::check_sums(bytes, header_); !error.ok()) return error;
  const crm::Sections at(header_);
  const auto* const names = reinterpret_cast<const char*>(bytes.data() + at.tables);
  Result<crm::Tables> tables = crm::read_tables({names, header_.table_bytes}, header_);
  if (!tables.ok()) return tables.error();
  const std::uint64_t tables_end = at.tables + header_.table_bytes;
  if (!crm::all_zero(bytes.subspan(tables_end, at.lines - tables_end))) {
    return crm::corrupt("the padding of the tables is not zero");
  }
  std::uint64_t marks = 0;
  if (Error error = crm::check_lines(bytes, header_, marks); !error.ok()) return error;
  aside_ = crm::Aside(bytes.subspan(at.aside, header_.aside_bytes),
                      bytes.subspan(at.directory, at.sums - at.directory), header_);
  if (Error error = crm::check_aside(bytes, header_, aside_, marks); !error.ok()) return error;
  tables_ = std::move(*tables);
  bytes_ = bytes;
  layout_ = header_.layout();
  lines_ = bytes.data() + at.lines;
  seed_ = header_.seed;
  reader_ = crm::EntryReader(layout_);
  cell_count_ = header_.cells;
  profile_count_ = header_.profiles;
  return {};
}

// Both lines at once: one after the other would be two waits.
CELLROUTE_HOT inline MappingFile::Place MappingFile::ask(std::string_view key) const noexcept {
  const crm::KeyHash hash = crm::hash_key(seed_, key);
  Place place{hash.mark, scale(hash.place, reader_.lines), 0};
  prefetch(place.first);
  place.second = reader_.other_line(place.first, place.mark);
  prefetch(place.second);
  return place;
}

// Writes field by field: a copy made at once would have to wait until the fields are in the cache.
CELLROUTE_HOT inline void MappingFile::answer(std::uint64_t entry, std::uint64_t mark,
                                              std::string_view key,
                                              FileAnswer& out) const noexcept {
  const crm::EntryValue value = reader_.value_of(entry);
  out.answer = entry == 0 ? Answer::kAbsent : Answer::kFound;
  out.state = MigrationState::kStable;
  out.cell = value.code - 1;
  out.profile = value.profile;
  out.epoch = value.epoch;
  out.expires = 0;
  // The file was checked, but it is shared, and what is mapped may have changed since.
  if (out.cell >= cell_count_ || value.profile >= profile_count_) [[unlikely]] {
    out = entry == 0 ? FileAnswer() : find_aside(value.code, mark, key);
  }
}

CELLROUTE_HOT inline FileAnswer MappingFile::find(std::string_view key,
                                                  const Place& place) const noexcept {
  std::uint64_t entry = entry_in(place.first, place.mark);
  if (entry == 0) entry = entry_in(place.second, place.mark);
  FileAnswer found;
  answer(entry, place.mark, key, found);
  return found;
}

// Look-ups of up to kBatch keys that wait for the memory together: ask() for all of them, then
// look() at all, then find() each. Four of five keys are in their first line. Many waits at once
// cost what the memory can bring, so second lines are asked for where they are needed alone.
// Thread safety: one thread at a time.
class MappingFile::Batch {
 public:
  static constexpr std::uint32_t kNoCell = 0xffff'ffff;

  // Left as it is until written to.
  explicit Batch(const MappingFile& file) noexcept : file_(file) {}

  // Asks the memory for the first line of key number i.
  CELLROUTE_HOT void ask(std::size_t i, std::string_view key) noexcept {
    const crm::KeyHash hash = crm::hash_key(file_.seed_, key);
    const std::uint64_t line = scale(hash.place, file_.reader_.lines);
    file_.prefetch(line);
    marks_[i] = hash.mark;
    lines_[i] = line;
  }

  // Reads that line, or asks for the second. The key's cell as far as it is known now: its place in
  // cells(), or kNoCell.
  CELLROUTE_HOT std::uint32_t look(std::size_t i) noexcept {
    entries_[i] = file_.entry_in(lines_[i], marks_[i]);
    if (entries_[i] == 0) {
      lines_[i] = file_.reader_.other_line(lines_[i], marks_[i]);
      file_.prefetch(lines_[i]);
      return kNoCell;
    }
    const std::uint32_t cell = file_.reader_.value_of(entries_[i]).code - 1;
    return cell < file_.cell_count_ ? cell : kNoCell;
  }

  // What MappingFile::find() says of the key that was asked for.
  CELLROUTE_HOT void find(std::size_t i, std::string_view key, FileAnswer& out) const noexcept {
    std::uint64_t entry = entries_[i];
    if (entry == 0) entry = file_.entry_in(lines_[i], marks_[i]);
    file_.answer(entry, marks_[i], key, out);
  }

 private:
  const MappingFile& file_;
  std::array<std::uint64_t, kBatch> marks_;
  std::array<std::uint64_t, kBatch> lines_;  // the first; the second where that has no entry
  std::array<std::uint64_t, kBatch> entries_;
};

inline void MappingFile::find(std::span<const std::string_view> keys,
                              std::span<FileAnswer> out) const noexcept {
  const std::size_t count = std::min(keys.size(), out.size());
  for (std::size_t done = 0; done < count; done += kBatch) {
    const std::size_t few = std::min(count - done, kBatch);
    Batch batch(*this);
    for (std::size_t i = 0; i < few; ++i) batch.ask(i, keys[done + i]);
    for (std::size_t i = 0; i < few; ++i) static_cast<void>(batch.look(i));
    for (std::size_t i = 0; i < few; ++i) batch.find(i, keys[done + i], out[done + i]);
  }
}

}  // namespace cellroute
