// Base 64 as in RFC 4648, section 4: with padding, and one spelling for each string of bytes.
#pragma once

#include <string>
#include <string_view>

namespace cellroute {

// Appends the spelling of `bytes`.
void append_base64(std::string_view bytes, std::string& out);

// Appends what `text` spells. False, and `out` as it was, when it is no base 64 with padding or
// when bits that no byte uses are set: two spellings of one key would be a trap.
bool decode_base64(std::string_view text, std::string& out);

}  // namespace cellroute
