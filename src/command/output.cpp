#include "command/output.hpp"

#include <simdjson.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "command/base64.hpp"

namespace cellroute::command {
namespace {

constexpr char kHex[] = "0123456789abcdef";

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

bool is_utf8(std::string_view text) noexcept {
  return simdjson::validate_utf8(text.data(), text.size());
}

std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\\') {
      out += "\\\\";
    } else if (byte >= 0x20 && byte <= 0x7e) {
      out += c;
    } else {
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
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
