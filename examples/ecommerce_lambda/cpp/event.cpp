#include "event.hpp"

#include <algorithm>
#include <optional>
#include <string_view>

#include "base64.hpp"
#include "text.hpp"
#include "wire.hpp"

namespace shop_front {
namespace {

using lambda_host::Failure;
using lambda_host::Json;
using lambda_host::list;
using lambda_host::member;
using lambda_host::members;
using lambda_host::text;

std::string checked_method(std::string method) {
  if (method.empty() || method.size() > 16 ||
      !std::all_of(method.begin(), method.end(), lambda_host::is_capital)) {
    throw BadEvent("the method is no word of capital letters");
  }
  return method;
}

// rawPath begins with the stage's name, which is the gateway's and not the API's.
std::string path_2(const Json& event, const Json& around) {
  std::string path = text(event, "rawPath", "/");
  const std::string stage = text(around, "stage", "$default");
  const std::string prefix = "/" + stage;
  if (stage != "$default" && (path == prefix || path.starts_with(prefix + "/"))) {
    path.erase(0, prefix.size());
  }
  return path.empty() ? "/" : path;
}

std::string form_encoded(const std::string& text) {
  std::string encoded = percent_encoded(text, " ");
  std::replace(encoded.begin(), encoded.end(), ' ', '+');
  return encoded;
}

// Payload 1.0 has the query decoded: it is encoded anew, repeated values in order.
std::string query_1(const Json& event) {
  std::string query;
  const auto add = [&](const std::string& name, const Json& value) {
    query += query.empty() ? "" : "&";
    query += form_encoded(name) + "=" + form_encoded(value.get_ref<const std::string&>());
  };
  const Json& repeated = members(event, "multiValueQueryStringParameters");
  for (const auto& [name, values] : repeated.items()) {
    for (const Json& value : list(values)) add(name, value);
  }
  if (!repeated.empty()) return query;
  for (const auto& [name, value] : members(event, "queryStringParameters").items())
    add(name, value);
  return query;
}

Headers single_headers(const Json& event) {
  Headers headers;
  for (const auto& [name, value] : members(event, "headers").items()) {
    headers.emplace_back(name, value.get<std::string>());
  }
  return headers;
}

Headers headers_1(const Json& event) {
  const Json& repeated = members(event, "multiValueHeaders");
  if (repeated.empty()) return single_headers(event);
  Headers headers;
  for (const auto& [name, values] : repeated.items()) {
    for (const Json& value : list(values)) headers.emplace_back(name, value.get<std::string>());
  }
  return headers;
}

// Repeated headers come joined by commas, cookies by themselves.
Headers headers_2(const Json& event) {
  Headers headers = single_headers(event);
  std::string cookies;
  const Json& given = member(event, "cookies");
  for (const Json& cookie : given.is_null() ? given : list(given)) {
    cookies += (cookies.empty() ? "" : "; ") + cookie.get<std::string>();
  }
  if (!cookies.empty()) headers.emplace_back("cookie", cookies);
  return headers;
}

std::string body_of(const Json& event) {
  std::string body = text(event, "body");
  const Json& is_base64 = member(event, "isBase64Encoded");
  if (is_base64.is_null() || !is_base64.get<bool>()) return body;
  std::optional<std::string> decoded = lambda_host::from_base64(body);
  if (!decoded) throw BadEvent("the body is not the base64 that it is said to be");
  return *std::move(decoded);
}

// Decoded once, by the gateway or here: two spellings of a customer would live in two cells.
std::string customer_of(const Json& event, const std::string& parameter, Spelling spelling) {
  const Json& given = member(member(event, "pathParameters"), parameter.c_str());
  if (!given.is_string()) return {};
  std::optional<std::string> customer = given.get<std::string>();
  if (spelling == Spelling::kEncoded) customer = percent_decoded(*customer);
  if (!customer || customer->find('/') != std::string::npos) {
    throw BadEvent("the customer's id is no segment of a path");
  }
  return *std::move(customer);
}

}  // namespace

bool is_version_2(const Json& event) {
  const Json& version = member(event, "version");
  return version.is_string() && version.get_ref<const std::string&>() == "2.0";
}

ApiRequest parse_event(const Json& event, const std::string& parameter) {
  const bool version_2 = is_version_2(event);
  const Spelling spelling =
      member(event, "version").is_null() ? Spelling::kEncoded : Spelling::kDecoded;
  const Json& around = member(event, "requestContext");
  ApiRequest request;
  request.method = checked_method(version_2 ? text(member(around, "http"), "method")
                                            : text(event, "httpMethod"));
  const std::optional<std::string> path =
      wire_path(version_2 ? path_2(event, around) : text(event, "path", "/"), spelling);
  if (!path) throw BadEvent("the path could be read as another one");
  const std::string query = version_2 ? wire_query(text(event, "rawQueryString")) : query_1(event);
  request.target = query.empty() ? *path : *path + "?" + query;
  request.customer = customer_of(event, parameter, spelling);
  request.headers = version_2 ? headers_2(event) : headers_1(event);
  request.body = body_of(event);
  return request;
}

}  // namespace shop_front
