// A Lambda function as a program of its own, on AWS's C++ runtime library: events in, answers out.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace lambda_host {

using Json = nlohmann::json;
// Keeps the order of its members, for what people read. Looking one up is linear: not for events.
using Line = nlohmann::ordered_json;

struct Invocation {
  std::string id;
  std::int64_t deadline_ns;  // Unix time
};

// Ends an invocation, or the start, as a failure. The invoker is told both texts, and no more.
class Failure : public std::runtime_error {
 public:
  Failure(std::string type, const std::string& text)
      : std::runtime_error(text), type_(std::move(type)) {}
  const std::string& type() const noexcept { return type_; }

 private:
  std::string type_;
};

using Handler = std::function<Json(const Json& event, const Invocation& invocation)>;

// Calls `make` once, then its handler with one event at a time, until the Runtime API named in
// AWS_LAMBDA_RUNTIME_API ends. What `make` throws is reported as the start's failure, what the
// handler throws as that invocation's alone. Returns the program's exit status.
int run(const std::function<Handler()>& make);

// Unix time by the system's clock, in nanoseconds.
std::int64_t now_ns();

// An environment variable; `fallback` where it is missing or empty.
std::string variable(const char* name, std::string_view fallback);

// The same without a fallback. Failure: it is missing or empty.
std::string variable(const char* name);

// A line of the function's log, written out before this returns. Failure: it cannot be.
void write_line(const Line& line);

// `object`'s member, or null where there is none. Failure: `object` is neither an object nor null.
const Json& member(const Json& object, const char* name);

// The same where it is an object or null, to go through its items. Failure: it is neither.
const Json& members(const Json& object, const char* name);

// `value`, to go through its elements. Failure: it is no list.
const Json& list(const Json& value);

// `object`'s member where it is text; `fallback` where there is none or an empty one. Failure: it
// is of another type.
std::string text(const Json& object, const char* name, std::string_view fallback = {});

}  // namespace lambda_host
