// Errors of the operations off the routing path: loading, compiling, publishing, stores.
//
// route() itself never returns one of these: it answers with a Decision, whose Status and Reason
// are in decision.hpp.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>

namespace cellroute {

// Zero is success; the numbers are part of the C ABI and only ever grow.
enum class ErrorCode : std::int32_t {
  kOk = 0,
  kInvalidArgument = -1,  // the caller's input breaks a rule; the text says which and where
  kNotFound = -2,         // the thing named does not exist
  kConflict = -3,         // a compare-and-set lost: the record has another revision
  kUnavailable = -4,  // a store did not answer, or answered with an error; trying again may help
  kRefused = -5,      // sound, but against a bound or a gate (older generation, moves too much)
  kResourceExhausted = -6,  // a table, a map or memory is full
  kCorrupt = -7,            // stored bytes fail their check; trying again will not help
  kUnsupported = -8,        // this store or build cannot do it
  kWrongProcess = -9,       // the handle was opened before fork() and is used in the child
};

// An error's code, and its text for people: what is wrong, where, and what to do.
class [[nodiscard]] Error {
 public:
  Error() = default;  // success
  Error(ErrorCode code, std::string text) : code_(code), text_(std::move(text)) {}

  bool ok() const noexcept { return code_ == ErrorCode::kOk; }
  ErrorCode code() const noexcept { return code_; }
  const std::string& text() const noexcept { return text_; }

 private:
  ErrorCode code_ = ErrorCode::kOk;
  std::string text_;
};

inline Error invalid_argument(std::string text) {
  return Error(ErrorCode::kInvalidArgument, std::move(text));
}
inline Error refused(std::string text) { return Error(ErrorCode::kRefused, std::move(text)); }

// A value, or the error that stood in its way.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : held_(std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : held_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const noexcept { return held_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }

  // Precondition: ok().
  T& operator*() noexcept { return *std::get_if<0>(&held_); }
  const T& operator*() const noexcept { return *std::get_if<0>(&held_); }
  T* operator->() noexcept { return std::get_if<0>(&held_); }
  const T* operator->() const noexcept { return std::get_if<0>(&held_); }

  // Precondition: !ok().
  const Error& error() const noexcept { return *std::get_if<1>(&held_); }

 private:
  std::variant<T, Error> held_;
};

}  // namespace cellroute
