// API Gateway's proxy events, of REST APIs and of HTTP APIs (payload 1.0 and 2.0), as one kind of
// request.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "function.hpp"

namespace shop_front {

using Headers = std::vector<std::pair<std::string, std::string>>;

// The client's fault: 400. The text is for the log.
class BadEvent : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct ApiRequest {
  std::string customer;  // empty: the path names none
  std::string method;
  std::string target;  // path and query as they go over the wire
  Headers headers;
  std::string body;
};

// Whether the answer has the shape of payload 2.0.
bool is_version_2(const lambda_host::Json& event);

// BadEvent: it cannot be sent on as it is. Failure: API Gateway does not send such events.
ApiRequest parse_event(const lambda_host::Json& event, const std::string& parameter);

}  // namespace shop_front
