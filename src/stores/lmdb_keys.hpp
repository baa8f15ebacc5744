// How keys of up to 1,024 bytes lie in an LMDB file, whose own keys end at 511.
#pragma once

#include <lmdb.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "stores/lmdb_error.hpp"

namespace cellroute::stores {

inline constexpr std::size_t kMaxStoreKeyBytes = 511;

// The first byte of a store key: behind the names of the other trees, and short keys last, so that
// keys which come in order can be appended to full pages.
//   kShortKey  the key itself follows, at most 510 bytes
//   kLongKey   16 bytes of hash and a number of 4 follow: keys of one hash have different numbers,
//              and the record tells which key it is of
inline constexpr char kLongKey = '\xf0';
inline constexpr char kShortKey = '\xf1';
inline constexpr std::size_t kLongKeyHashBytes = 16;
inline constexpr std::size_t kLongStoreKeyBytes = 1 + kLongKeyHashBytes + 4;

using LongKeyHash = std::array<char, kLongKeyHashBytes>;

// XXH3, 128 bits, seeded by the store's own random number.
LongKeyHash hash_long_key(std::uint64_t seed, std::string_view key) noexcept;

// Thread safety: a plain value.
class StoreKey {
 public:
  StoreKey() = default;
  // Precondition: at most 511 bytes.
  explicit StoreKey(std::string_view bytes) noexcept { append(bytes); }

  static bool fits(std::string_view key) noexcept { return key.size() < kMaxStoreKeyBytes; }

  // Precondition: fits(key).
  static StoreKey short_key(std::string_view key) noexcept {
    StoreKey made(std::string_view(&kShortKey, 1));
    made.append(key);
    return made;
  }

  static StoreKey long_key(const LongKeyHash& hash, std::uint32_t number) noexcept {
    StoreKey made(std::string_view(&kLongKey, 1));
    made.append({hash.data(), hash.size()});
    for (int shift = 24; shift >= 0; shift -= 8) {
      const char byte = static_cast<char>(number >> shift);
      made.append({&byte, 1});
    }
    return made;
  }

  std::string_view bytes() const noexcept { return {bytes_.data(), size_}; }
  MDB_val value() noexcept { return {size_, bytes_.data()}; }

 private:
  void append(std::string_view bytes) noexcept {
    std::memcpy(bytes_.data() + size_, bytes.data(), bytes.size());
    size_ += bytes.size();
  }

  std::array<char, kMaxStoreKeyBytes> bytes_;
  std::size_t size_ = 0;
};

// Is `bytes` a store key of a record?
inline bool store_key_ok(std::string_view bytes) noexcept {
  if (bytes.empty() || bytes.size() > kMaxStoreKeyBytes) return false;
  if (bytes.front() == kShortKey) return bytes.size() > 1;
  return bytes.front() == kLongKey && bytes.size() == kLongStoreKeyBytes;
}

}  // namespace cellroute::stores
