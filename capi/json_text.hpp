// JSON's strings.
#pragma once

#include <string>
#include <string_view>

namespace cellroute::capi {

// What is written is ASCII, as all names of a topology are; any other byte shows as U+FFFD.
inline void append_string(std::string_view text, std::string& json) {
  constexpr char kDigits[] = "0123456789abcdef";
  json += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      json += '\\';
      json += c;
    } else if (byte < ' ') {
      json += "\\u00";
      json += kDigits[byte >> 4];
      json += kDigits[byte & 15];
    } else if (byte > '~') {
      json += "\\ufffd";
    } else {
      json += c;
    }
  }
  json += '"';
}

}  // namespace cellroute::capi
