// The key as it is found in a request: once, or several times alike.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "cellroute/ascii.hpp"
#include "cellroute/decision.hpp"
#include "cellroute/key.hpp"
#include "cellroute/tenant/characters.hpp"
#include "cellroute/tenant/percent.hpp"

namespace cellroute::tenant {

enum class Encoding : std::uint8_t { kPlain, kPercent };

// The first occurrence writes the key, each other must spell the same one. Thread safety: one
// thread's own.
class KeyWriter {
 public:
  // `room` and `characters` outlive the writer.
  KeyWriter(std::span<char, kMaxKeyBytes> room, const Characters& characters) noexcept
      : room_(room), characters_(characters) {}

  // kNone, or why `text` is no key or not the one that was found before.
  Reason take(std::string_view text, Encoding encoding, bool lower) noexcept {
    std::size_t size = 0;
    bool same = true;
    const auto put = [&](char c) {
      c = lower ? ascii::lower(c) : c;
      if (!characters_.has(c)) return Reason::kTenantMalformed;
      if (size == room_.size()) return Reason::kKeyTooLong;
      if (!found_) room_[size] = c;
      same = same && room_[size] == c;
      ++size;
      return Reason::kNone;
    };
    if (encoding == Encoding::kPlain) {
      for (const char c : text) {
        if (const Reason reason = put(c); reason != Reason::kNone) return reason;
      }
    } else {
      PercentReader reader(text);
      for (char c = 0; reader.next(c);) {
        if (const Reason reason = put(c); reason != Reason::kNone) return reason;
      }
      if (reader.broken()) return Reason::kTenantMalformed;
    }
    if (size == 0) return Reason::kKeyEmpty;
    if (found_ && (!same || size != size_)) return Reason::kTenantSourcesDisagree;
    found_ = true;
    size_ = size;
    return Reason::kNone;
  }

  bool found() const noexcept { return found_; }
  std::string_view key() const noexcept { return {room_.data(), found_ ? size_ : 0}; }

 private:
  std::span<char, kMaxKeyBytes> room_;
  const Characters& characters_;
  std::size_t size_ = 0;
  bool found_ = false;
};

}  // namespace cellroute::tenant
