// Cursors: which call of which store they belong to, and the place where it goes on.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "cellroute/hash.hpp"
#include "cellroute/mapping_store.hpp"
#include "cellroute/status.hpp"

namespace cellroute::stores {

// A page examines at most so many records, wanted or not, so that a call's time is bounded where
// nearly all of them are tombstones.
inline constexpr std::size_t kMaxPageWalk = kMaxPageRecords;

// 64-bit numbers in byte order of their value.
inline void append_number(std::string& bytes, std::uint64_t number) {
  for (int shift = 56; shift >= 0; shift -= 8) bytes += static_cast<char>(number >> shift);
}

// Precondition: at least eight bytes.
inline std::uint64_t read_number(std::string_view bytes) noexcept {
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    number = number << 8 | static_cast<unsigned char>(bytes[i]);
  }
  return number;
}

inline Error damaged_cursor() {
  return invalid_argument("this cursor is of another call, or damaged; begin with an empty one");
}

// Thread safety: a plain value.
class CursorScope {
 public:
  // `kind` names the call, `argument` what it was asked about.
  CursorScope(char kind, std::uint64_t store_id, std::string_view argument = {})
      : kind_(kind), scope_(argument.empty() ? store_id : hash_bytes(store_id, argument)) {}

  Cursor make(std::string_view place) const {
    Cursor cursor(1, kind_);
    append_number(cursor, scope_);
    return cursor += place;
  }

  // The place in `cursor`, empty for an empty cursor; `cursor` must outlive it.
  // kInvalidArgument if it is no cursor of this call; kRefused if it is of another store.
  Result<std::string_view> place(std::string_view cursor) const {
    if (cursor.empty()) return std::string_view();
    if (cursor.size() < 10 || cursor.front() != kind_) {
      return invalid_argument(
          "this cursor is of another call, or damaged; begin with an empty one");
    }
    if (read_number(cursor.substr(1)) != scope_) {
      return refused("this cursor is of another store; begin with an empty one");
    }
    return cursor.substr(9);
  }

  // The same for places that are a number.
  Cursor make(std::uint64_t place) const {
    std::string bytes;
    append_number(bytes, place);
    return make(std::string_view(bytes));
  }
  Result<std::uint64_t> number(std::string_view cursor) const {
    const Result<std::string_view> bytes = place(cursor);
    if (!bytes.ok()) return bytes.error();
    if (bytes->empty()) return std::uint64_t{0};
    if (bytes->size() != 8) return damaged_cursor();
    return read_number(*bytes);
  }

 private:
  char kind_;
  std::uint64_t scope_;
};

inline Error check_limit(std::size_t limit) {
  return limit > 0 ? Error() : invalid_argument("the limit is 0; ask for at least one record");
}

inline Error check_cell(std::string_view cell) {
  return mapped_name_ok(cell) ? Error()
                              : invalid_argument("the cell is not 1 to 128 plain ASCII bytes");
}

// Where a reader of a feed is: past `sequence`, having known of every tombstone that was purged
// until then, the last of which had the number `forgotten`.
struct FeedPlace {
  std::uint64_t sequence = 0;
  std::uint64_t forgotten = 0;

  Cursor make(std::uint64_t store_id) const {
    std::string bytes;
    append_number(bytes, sequence);
    append_number(bytes, forgotten);
    return CursorScope('f', store_id).make(bytes);
  }
};

// The place in `cursor`, against a feed that gave out numbers up to `last` and purged tombstones up
// to `forgotten`. A reader that begins now, or read nothing yet, has missed none; one that is past
// them all neither.
inline Result<FeedPlace> feed_place(const Cursor& cursor, std::uint64_t store_id,
                                    std::uint64_t last, std::uint64_t forgotten) {
  const Result<std::string_view> bytes = CursorScope('f', store_id).place(cursor);
  if (!bytes.ok()) return bytes.error();
  if (cursor.empty()) return FeedPlace{0, forgotten};
  if (bytes->size() != 16) return damaged_cursor();
  const FeedPlace place{read_number(*bytes), read_number(bytes->substr(8))};
  if (place.sequence > last) {
    return refused(
        "this cursor is ahead of the store, which is older than it was (restored?); "
        "begin with an empty one");
  }
  if (place.sequence != 0 && place.sequence < forgotten && place.forgotten < forgotten) {
    return refused(
        "tombstones behind this cursor have been purged; begin with an empty one and "
        "drop what it does not bring");
  }
  return FeedPlace{place.sequence, forgotten};
}

}  // namespace cellroute::stores
