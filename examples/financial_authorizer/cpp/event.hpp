// Authorizer events of API Gateway: TOKEN and REQUEST (payload 1.0), and HTTP API's (2.0).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "function.hpp"

namespace authorizer {

struct AuthEvent {
  std::optional<std::string> token;  // nothing: no bearer token, or more than one
  std::string arn;
  std::string stage_arn;
  std::string method;
  std::string path;                             // without the slash it begins with
  std::vector<std::string> named;               // the customers that path and path parameters name
  bool tricky = false;                          // a server might read the path as another one
  lambda_host::Json source, agent, request_id;  // text or null
};

// Nothing: not an event that API Gateway sends, which is a failure, neither 401 nor 403.
std::optional<AuthEvent> parse_event(const lambda_host::Json& event);

}  // namespace authorizer
