#include "policy.hpp"

#include <algorithm>
#include <array>

namespace authorizer {
namespace {

using lambda_host::Json;

constexpr std::array kMethods{"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"};

// Paths that a server might read as another customer's, whatever the beginning looks like.
constexpr std::array kTricks{"*/../*", "*/..",  "*/./*", "*//*",  "*\\*", "*%2e*",
                             "*%2E*",  "*%2f*", "*%2F*", "*%5c*", "*%5C*"};

// What a customer's token opens, each with all below it. Below the second the token alone says who
// is meant.
std::array<std::string, 2> roots(const std::string& customer) {
  return {"customers/" + customer, "me"};
}

Json statement(const char* effect, Json resources) {
  return {{"Action", "execute-api:Invoke"}, {"Effect", effect}, {"Resource", std::move(resources)}};
}

Json document(const std::string& principal, Json statements, const Json& context) {
  return {{"principalId", principal},
          {"policyDocument", {{"Version", "2012-10-17"}, {"Statement", std::move(statements)}}},
          {"context", context}};
}

}  // namespace

bool opened(const AuthEvent& event, const std::string& customer) {
  const auto own = roots(customer);
  return std::find(kMethods.begin(), kMethods.end(), event.method) != kMethods.end() &&
         std::any_of(own.begin(), own.end(), [&](const std::string& root) {
           return event.path == root || event.path.starts_with(root + "/");
         });
}

Json allow_own(const AuthEvent& event, const std::string& customer, const Json& context) {
  Json allowed = Json::array();
  for (const char* method : kMethods) {
    for (const std::string& root : roots(customer)) {
      for (const char* below : {"", "/*"}) {
        allowed.push_back(event.stage_arn + "/" + method + "/" + root + below);
      }
    }
  }
  Json closed = Json::array();
  for (const char* trick : kTricks) closed.push_back(event.stage_arn + "/*" + trick);
  return document(customer, {statement("Allow", allowed), statement("Deny", closed)}, context);
}

Json deny_path(const AuthEvent& event, const std::string& customer, const Json& context) {
  Json answer = allow_own(event, customer, context);
  answer["policyDocument"]["Statement"].push_back(statement("Deny", Json::array({event.arn})));
  return answer;
}

Json deny_all(const AuthEvent& event, const std::string& customer) {
  Json closed = Json::array({event.stage_arn + "/*"});
  return document(customer, Json::array({statement("Deny", std::move(closed))}), Json::object());
}

}  // namespace authorizer
