#include "function.hpp"

#include <aws/lambda-runtime/runtime.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>

namespace lambda_host {
namespace {

using aws::lambda_runtime::invocation_request;
using aws::lambda_runtime::invocation_response;

// No stack: what API Gateway and callers see of it must tell nothing internal.
invocation_response failed(const std::string& type, const std::string& text) {
  const Json body{{"errorMessage", text}, {"errorType", type}, {"stackTrace", Json::array()}};
  return {body.dump(-1, ' ', true, Json::error_handler_t::replace), "application/json", false, ""};
}

// Nothing may be thrown into AWS's library, which is compiled without exceptions.
invocation_response failure_of_this() noexcept {
  try {
    throw;
  } catch (const Failure& failure) {
    return failed(failure.type(), failure.what());
  } catch (const Json::exception&) {
    return failed("EventError", "the event is none that API Gateway sends");
  } catch (const std::exception& error) {
    return failed("Error", error.what());
  }
}

invocation_response answer(const Handler& handler, const invocation_request& request) noexcept {
  try {
    const auto deadline = request.deadline.time_since_epoch();
    const Json answered = handler(Json::parse(request.payload),
                                  {request.request_id, std::chrono::nanoseconds(deadline).count()});
    return {answered.dump(-1, ' ', false, Json::error_handler_t::replace), "application/json", true,
            ""};
  } catch (...) {
    return failure_of_this();
  }
}

}  // namespace

int run(const std::function<Handler()>& make) {
  std::signal(SIGPIPE, SIG_IGN);  // a cell that hangs up, or a log that is gone, is an error code
  Handler handler;
  try {
    handler = make();
  } catch (...) {
    aws::lambda_runtime::runtime runtime("http://" + variable("AWS_LAMBDA_RUNTIME_API", ""));
    (void)runtime.post_init_error(failure_of_this());
    return 1;
  }
  aws::lambda_runtime::run_handler(
      [&](const invocation_request& request) { return answer(handler, request); });
  return 0;
}

std::int64_t now_ns() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::nanoseconds(now).count();
}

std::string variable(const char* name, std::string_view fallback) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? std::string(value) : std::string(fallback);
}

std::string variable(const char* name) {
  std::string value = variable(name, "");
  if (value.empty()) throw Failure("ConfigurationError", std::string(name) + " is not set");
  return value;
}

void write_line(const Line& line) {
  const std::string text = line.dump(-1, ' ', true, Line::error_handler_t::replace) + "\n";
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    throw Failure("LogError", "the log takes no line");
  }
}

const Json& member(const Json& object, const char* name) {
  static const Json kNone;
  if (object.is_null()) return kNone;
  if (!object.is_object()) throw Failure("EventError", "what should be an object is none");
  const auto found = object.find(name);
  return found == object.end() ? kNone : *found;
}

const Json& members(const Json& object, const char* name) {
  const Json& value = member(object, name);
  if (!value.is_null() && !value.is_object()) {
    throw Failure("EventError", std::string(name) + " is no object");
  }
  return value;
}

const Json& list(const Json& value) {
  if (!value.is_array()) throw Failure("EventError", "what should be a list is none");
  return value;
}

std::string text(const Json& object, const char* name, std::string_view fallback) {
  const Json& value = member(object, name);
  if (value.is_null()) return std::string(fallback);
  if (!value.is_string()) throw Failure("EventError", std::string(name) + " is no text");
  std::string found = value.get<std::string>();
  return found.empty() ? std::string(fallback) : found;
}

}  // namespace lambda_host
