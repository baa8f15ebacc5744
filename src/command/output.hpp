// Standard output through one large buffer: a system call for thousands of lines.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "cellroute/status.hpp"

namespace cellroute::command {

// Once a write has failed, everything after it is dropped and error() says why.
// Thread safety: one thread at a time.
class Output {
 public:
  explicit Output(int descriptor) : descriptor_(descriptor), bytes_(new char[kCapacity]) {}

  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  void append(std::string_view text) {
    if (text.size() > kCapacity - size_) return append_long(text);
    std::memcpy(bytes_.get() + size_, text.data(), text.size());
    size_ += text.size();
  }

  void append(char c) { append(std::string_view(&c, 1)); }

  template <class Integer>
  void append_number(Integer number) {
    constexpr std::size_t kMostDigits = 24;
    if (kCapacity - size_ < kMostDigits) flush();
    char* begin = bytes_.get() + size_;
    size_ +=
        static_cast<std::size_t>(std::to_chars(begin, begin + kMostDigits, number).ptr - begin);
  }

  // Hands the buffer to the system.
  void flush();

  const Error& error() const noexcept { return error_; }

  // Whoever reads has gone (EPIPE): nothing to complain of.
  bool reader_gone() const noexcept { return reader_gone_; }

 private:
  static constexpr std::size_t kCapacity = 256 * 1024;

  void append_long(std::string_view text);
  void write_all(std::string_view text);

  int descriptor_;
  bool reader_gone_ = false;
  std::unique_ptr<char[]> bytes_;
  std::size_t size_ = 0;
  Error error_;
};

// Appends `text` as a JSON string with its quotes. Precondition: it is UTF-8.
void append_json_string(std::string_view text, std::string& out);

// Whether `text` can stand between JSON's quotes as it is: printable ASCII without `"` and `\`.
bool plain_json(std::string_view text) noexcept;

// Whether `text` is UTF-8 (RFC 3629).
bool is_utf8(std::string_view text) noexcept;

// `text` for a terminal: control characters and what is not UTF-8 as \xNN, a backslash as \\.
std::string printable(std::string_view text);

// `"key":…` in JSON, or `"key_base64":…` for a key that is not UTF-8.
void append_json_key(std::string_view key, std::string& out);

}  // namespace cellroute::command
