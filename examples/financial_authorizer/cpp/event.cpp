#include "event.hpp"

#include <algorithm>
#include <cstddef>

#include "text.hpp"

namespace authorizer {
namespace {

using lambda_host::is_capital;
using lambda_host::is_digit;
using lambda_host::is_letter_or_digit;
using lambda_host::is_small;
using lambda_host::Json;
using lambda_host::lower;
using lambda_host::member;
using lambda_host::members;

// Takes from `rest` what stands before `end`, and `end`: at least one character, all as `is` says.
// Nothing: it is not so.
template <typename Is>
std::optional<std::string_view> taken(std::string_view& rest, char end, Is is) {
  const std::size_t size = rest.find(end);
  if (size == std::string_view::npos || size == 0) return std::nullopt;
  const std::string_view part = rest.substr(0, size);
  if (!std::all_of(part.begin(), part.end(), is)) return std::nullopt;
  rest.remove_prefix(size + 1);
  return part;
}

// arn:PARTITION:execute-api:REGION:ACCOUNT:API/STAGE/METHOD[/PATH]
bool read_arn(std::string_view arn, AuthEvent& about) {
  std::string_view rest = arn;
  if (!rest.starts_with("arn:")) return false;
  rest.remove_prefix(4);
  if (!taken(rest, ':', [](char c) { return is_small(c) || c == '-'; })) return false;
  if (!rest.starts_with("execute-api:")) return false;
  rest.remove_prefix(12);
  if (!taken(rest, ':', [](char c) { return is_small(c) || is_digit(c) || c == '-'; }))
    return false;
  const auto account = taken(rest, ':', is_digit);
  if (!account || account->size() != 12 || !taken(rest, '/', is_letter_or_digit)) return false;
  const auto stage = taken(
      rest, '/', [](char c) { return is_letter_or_digit(c) || c == '_' || c == '$' || c == '-'; });
  const std::string_view method = rest.substr(0, rest.find('/'));
  if (!stage || method.empty() || !std::all_of(method.begin(), method.end(), is_capital)) {
    return false;
  }
  about.arn = arn;
  about.stage_arn = arn.substr(0, arn.size() - rest.size() - 1);
  about.method = method;
  about.path = rest.substr(std::min(method.size() + 1, rest.size()));
  return true;
}

// A server might read it as another one, or API Gateway as a pattern.
bool is_tricky(std::string_view path) {
  return path.find_first_of(std::string_view("%\\*?\0", 5)) != std::string_view::npos ||
         path.find("//") != std::string_view::npos || lambda_host::has_dot_segment(path);
}

// What stands behind "Bearer "; one word, without a comma, which would join two headers.
std::optional<std::string> bearer(const std::string& value) {
  constexpr std::string_view kScheme = "bearer ";
  if (lower(value.substr(0, kScheme.size())) != kScheme) return std::nullopt;
  const std::size_t begin = value.find_first_not_of(' ', kScheme.size());
  if (begin == std::string::npos) return std::nullopt;
  if (value.find_first_of(" \t\n\v\f\r,", begin) != std::string::npos) return std::nullopt;
  return value.substr(begin);
}

bool is_authorization(const std::string& name) { return lower(name) == "authorization"; }

std::vector<Json> authorizations(const Json& event) {
  std::vector<Json> given;
  for (const auto& [name, values] : members(event, "multiValueHeaders").items()) {
    if (!is_authorization(name)) continue;
    given.insert(given.end(), lambda_host::list(values).begin(), values.end());
  }
  if (!given.empty()) return given;
  for (const auto& [name, value] : members(event, "headers").items()) {
    if (is_authorization(name)) given.push_back(value);
  }
  return given;
}

std::optional<std::string> token_of(const Json& event, const std::string& kind) {
  const std::vector<Json> given = kind == "TOKEN"
                                      ? std::vector<Json>{member(event, "authorizationToken")}
                                      : authorizations(event);
  if (given.size() != 1 || !given[0].is_string()) return std::nullopt;
  return bearer(given[0].get<std::string>());
}

std::vector<std::string> named_by(const Json& event, std::string_view path) {
  constexpr std::string_view kOfCustomer = "customers/";
  std::vector<std::string> named;
  if (path.starts_with(kOfCustomer)) {
    path.remove_prefix(kOfCustomer.size());
    named.emplace_back(path.substr(0, path.find('/')));
  }
  const Json& parameter = member(member(event, "pathParameters"), "customerId");
  if (!parameter.is_null()) named.push_back(parameter.get<std::string>());
  return named;
}

}  // namespace

std::optional<AuthEvent> parse_event(const Json& event) try {
  const std::string kind = lambda_host::text(event, "type");
  const bool version_2 = lambda_host::text(event, "version") == "2.0";
  const std::string arn = lambda_host::text(event, version_2 ? "routeArn" : "methodArn");
  AuthEvent about;
  if ((kind != "TOKEN" && kind != "REQUEST") || !read_arn(arn, about)) return std::nullopt;
  const Json& around = member(event, "requestContext");
  const Json& http = member(around, "http");
  const Json& caller = http.empty() ? member(around, "identity") : http;
  about.token = token_of(event, kind);
  about.named = named_by(event, about.path);
  about.tricky = is_tricky(about.path);
  about.source = member(caller, "sourceIp");
  about.agent = member(caller, "userAgent");
  about.request_id = member(around, "requestId");
  return about;
} catch (const Json::exception&) {  // a member of another type than API Gateway gives it
  return std::nullopt;
} catch (const lambda_host::Failure&) {
  return std::nullopt;
}

}  // namespace authorizer
