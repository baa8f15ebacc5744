// The characters that a tenant's name may have.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace cellroute::tenant {

// What separates, quotes, encodes or hides in one of the places that tenants come from, so that two
// readers may cut a name at different ends. No topology can allow these.
inline constexpr std::string_view kForbiddenCharacters = "\"#%&+,/;?\\";

// Letters, digits and these, unless the topology says otherwise.
inline constexpr std::string_view kUsualCharacters = "A-Za-z0-9._~@:-";

// A set of visible ASCII characters. Thread safety: a plain value.
class Characters {
 public:
  // As between the brackets of a regular expression: single characters and ranges such as a-z; a
  // '-' at either end stands for itself. Nothing, if `text` is none of that or names a character
  // that is forbidden or not visible ASCII.
  static constexpr std::optional<Characters> parse(std::string_view text) noexcept {
    Characters made;
    if (text.empty()) return std::nullopt;
    for (std::size_t i = 0; i < text.size(); ++i) {
      const bool range = i + 2 < text.size() && text[i + 1] == '-';
      const char last = range ? text[i + 2] : text[i];
      if (last < text[i]) return std::nullopt;
      for (int c = text[i]; c <= last; ++c) {
        if (!made.add(static_cast<char>(c))) return std::nullopt;
      }
      if (range) i += 2;
    }
    return made;
  }

  constexpr bool has(char c) const noexcept {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 128 && (bits_[byte / 64] >> byte % 64 & 1) != 0;
  }

 private:
  constexpr bool add(char c) noexcept {
    const bool forbidden = kForbiddenCharacters.find(c) != std::string_view::npos;
    if (c <= ' ' || c >= 0x7f || forbidden) return false;
    bits_[static_cast<unsigned char>(c) / 64] |= std::uint64_t{1} << c % 64;
    return true;
  }

  std::array<std::uint64_t, 2> bits_{};
};

}  // namespace cellroute::tenant
