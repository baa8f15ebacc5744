// The keys that a mapping file keeps aside, with all that is known of them: those whose epoch or
// migration an entry has no room for, those that may expire, and those that another key's entry
// would be taken for. Here the whole key is compared.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "cellroute/mapping.hpp"
#include "cellroute/mapping_file/format.hpp"

namespace cellroute {

// What a mapping file says of a key, in the file's own numbers.
struct FileAnswer {
  Answer answer = Answer::kAbsent;  // kUnknown: the file was damaged after it was checked
  MigrationState state = MigrationState::kStable;
  std::uint32_t cell = 0;     // place in cells()
  std::uint32_t profile = 0;  // place in profiles()
  std::uint64_t epoch = 0;    // 0: placed, never recorded
  Nanos expires = 0;          // from when on the key is ABSENT; 0: never

  bool operator==(const FileAnswer&) const = default;
};

namespace crm {

// Thread safety: immutable; any number of threads may read. Whatever its bytes are, nothing outside
// them is read, and a look-up ends after kMaxAsideInBucket keys.
class Aside {
 public:
  Aside() = default;
  // `directory` has aside_buckets() + 1 offsets of 8 bytes.
  Aside(std::span<const std::byte> heap, std::span<const std::byte> directory, const Header& header)
      : heap_(heap),
        directory_(directory),
        buckets_(aside_buckets(header.aside)),
        cells_(header.cells),
        profiles_(header.profiles) {}

  struct Record {
    AsideHead head;
    std::string_view key;
  };

  // What lies in one bucket, record by record. Thread safety: one thread at a time.
  class Bucket {
   public:
    Bucket(const Aside& aside, std::uint64_t bucket) noexcept
        : aside_(aside),
          at_(load64(aside.directory_.data() + bucket * 8)),
          end_(load64(aside.directory_.data() + bucket * 8 + 8)),
          sound_(at_ <= end_ && end_ <= aside.heap_.size()) {}

    std::uint64_t begin() const noexcept { return at_; }
    std::uint64_t end() const noexcept { return end_; }

    // False at the end, or where the bytes are no record: then sound() is false.
    bool next(Record& record) noexcept {
      if (!sound_ || at_ == end_) return false;
      sound_ = steps_++ < kMaxAsideInBucket && end_ - at_ >= sizeof(AsideHead);
      if (!sound_) return false;
      const std::byte* const from = aside_.heap_.data() + at_;
      std::memcpy(&record.head, from, sizeof record.head);
      const std::uint64_t bytes = aside_record_bytes(record.head.key_bytes);
      sound_ = bytes <= end_ - at_ && record.head.cell < aside_.cells_ &&
               record.head.profile < aside_.profiles_ &&
               record.head.state <= static_cast<std::uint8_t>(MigrationState::kFrozen);
      if (!sound_) return false;
      record.key = {reinterpret_cast<const char*>(from) + sizeof(AsideHead), record.head.key_bytes};
      at_ += bytes;
      return true;
    }

    bool sound() const noexcept { return sound_; }

   private:
    const Aside& aside_;
    std::uint64_t at_;
    std::uint64_t end_;
    std::uint64_t steps_ = 0;
    bool sound_;
  };

  std::uint64_t buckets() const noexcept { return buckets_; }

  FileAnswer find(std::string_view key, std::uint64_t mark) const noexcept {
    Bucket bucket(*this, scale(mark, buckets_));
    Record record;
    while (bucket.next(record)) {
      if (record.head.mark != mark || record.key != key) continue;
      return {Answer::kFound,    static_cast<MigrationState>(record.head.state),
              record.head.cell,  record.head.profile,
              record.head.epoch, record.head.expires};
    }
    return {.answer = bucket.sound() ? Answer::kAbsent : Answer::kUnknown};
  }

 private:
  std::span<const std::byte> heap_;
  std::span<const std::byte> directory_;
  std::uint64_t buckets_ = 0;
  std::uint32_t cells_ = 0;
  std::uint32_t profiles_ = 0;
};

}  // namespace crm
}  // namespace cellroute
