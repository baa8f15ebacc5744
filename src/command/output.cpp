#include "command/output.hpp"

#include <simdjson.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>

#include "stores/base64.hpp"

namespace cellroute::command {
namespace {

constexpr char kHex[] = "0123456789abcdef";

// Eight bytes at a time (Mycroft's tests, as in Warren, Hacker's Delight, 6-1): a set top bit says
// that some byte is no printable ASCII, or is `"` or `\`.
constexpr std::uint64_t each(std::uint64_t byte) { return byte * 0x0101010101010101; }
constexpr std::uint64_t below(std::uint64_t word, std::uint64_t byte) {
  return (word - each(byte)) & ~word;
}
constexpr std::uint64_t equal(std::uint64_t word, std::uint64_t byte) {
  return below(word ^ each(byte), 1);
}
constexpr bool all_plain(std::uint64_t word) {
  const std::uint64_t odd =
      word | below(word, ' ') | equal(word, '"') | equal(word, '\\') | equal(word, 0x7f);
  return (odd & each(0x80)) == 0;
}

void append_hex(char c, std::string& out) {
  const auto byte = static_cast<unsigned char>(c);
  out += "\\x";
  out += kHex[byte >> 4];
  out += kHex[byte & 15];
}

}  // namespace

void Output::flush() {
  write_all({bytes_.get(), size_});
  size_ = 0;
}

void Output::append_long(std::string_view text) {
  flush();
  if (text.size() > kCapacity) return write_all(text);
  append(text);
}

void Output::write_all(std::string_view text) {
  while (!text.empty() && error_.ok()) {
    const ssize_t written = ::write(descriptor_, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno != EINTR) {
      reader_gone_ = errno == EPIPE;
      error_ = Error(ErrorCode::kUnavailable,
                     "standard output: " + std::generic_category().message(errno));
    }
  }
}

void append_json_string(std::string_view text, std::string& out) {
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (byte < 0x20 || byte == 0x7f) {
      out += "\\u00";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
  out += '"';
}

bool plain_json(std::string_view text) noexcept {
  std::uint64_t word = 0;
  while (text.size() >= sizeof word) {
    std::memcpy(&word, text.data(), sizeof word);
    if (!all_plain(word)) return false;
    text.remove_prefix(sizeof word);
  }
  word = each('a');
  std::memcpy(&word, text.data(), text.size());
  return all_plain(word);
}

bool is_utf8(std::string_view text) noexcept {
  return simdjson::validate_utf8(text.data(), text.size());
}

std::string printable(std::string_view text) {
  const bool letters = is_utf8(text);
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool control = byte < 0x20 || byte == 0x7f;
    // U+0080 to U+009F, which terminals obey: 0xc2, then a byte below 0xa0.
    const bool upper_control =
        byte == 0xc2 && letters && static_cast<unsigned char>(text[i + 1]) < 0xa0;
    if (text[i] == '\\') {
      out += "\\\\";
    } else if (upper_control || control || (byte > 0x7f && !letters)) {
      const std::size_t bytes = upper_control ? 2 : 1;
      for (const char c : text.substr(i, bytes)) append_hex(c, out);
      i += bytes - 1;
    } else {
      out += text[i];
    }
  }
  return out;
}

void append_json_key(std::string_view key, std::string& out) {
  if (is_utf8(key)) {
    out += "\"key\":";
    append_json_string(key, out);
  } else {
    out += "\"key_base64\":\"";
    append_base64(key, out);
    out += '"';
  }
}

}  // namespace cellroute::command
