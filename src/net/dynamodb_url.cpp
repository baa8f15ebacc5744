#include "net/dynamodb_url.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include "cellroute/check/problems.hpp"
#include "net/url_text.hpp"

namespace cellroute::net {
namespace {

constexpr std::size_t kMaxRegionBytes = 32;
constexpr std::size_t kMaxPrefixBytes = 256;
constexpr std::size_t kMaxAttributeNameBytes = 255;  // of DynamoDB

Error bad(const std::string& why) { return invalid_argument("mapping store dynamodb: " + why); }

bool letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// Names of tables and of indexes (DynamoDB's naming rules).
bool name_ok(std::string_view name) {
  return name.size() >= 3 && name.size() <= 255 &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return letter_or_digit(c) || c == '_' || c == '.' || c == '-'; });
}

bool region_ok(std::string_view region) {
  return !region.empty() && region.size() <= kMaxRegionBytes &&
         std::all_of(region.begin(), region.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
         });
}

bool visible(std::string_view text, std::size_t most) {
  return !text.empty() && text.size() <= most &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

std::string part(CURLU* url, CURLUPart which) {
  char* text = nullptr;
  if (::curl_url_get(url, which, &text, 0) != CURLUE_OK) return {};
  const std::unique_ptr<char, decltype(&::curl_free)> held(text, ::curl_free);
  return held.get();
}

// https unless it says http, a host, perhaps a port, and nothing else.
Error read_address(const std::string& value, std::string& endpoint) {
  const Error error = bad("endpoint is [https://|http://]HOST[:PORT]");
  const std::unique_ptr<CURLU, decltype(&::curl_url_cleanup)> url(::curl_url(), ::curl_url_cleanup);
  const unsigned flags = CURLU_DEFAULT_SCHEME | CURLU_DISALLOW_USER;
  if (!visible(value, 300) || url == nullptr ||
      ::curl_url_set(url.get(), CURLUPART_URL, value.c_str(), flags) != CURLUE_OK) {
    return error;
  }
  const std::string scheme = part(url.get(), CURLUPART_SCHEME);
  const std::string port = part(url.get(), CURLUPART_PORT);
  const bool more =
      part(url.get(), CURLUPART_PATH) != "/" || value.find_first_of("?#@") != value.npos;
  if (more || (scheme != "https" && scheme != "http")) return error;
  endpoint = scheme + "://" + part(url.get(), CURLUPART_HOST) + (port.empty() ? "" : ":" + port);
  return {};
}

Error take_name(const std::string& option, std::string value, std::string& to) {
  if (!name_ok(value)) {
    return bad(option + " has 3 to 255 letters, digits and the signs _ . -");
  }
  to = std::move(value);
  return {};
}

Error take_region(const std::string& option, std::string value, std::string& to) {
  if (!region_ok(value)) return bad(option + " is a region such as eu-west-1");
  to = std::move(value);
  return {};
}

Error take_attribute(const std::string& option, std::string value, std::string& to) {
  if (!visible(value, kMaxAttributeNameBytes)) {
    return bad(option + " has 1 to 255 visible ASCII characters");
  }
  to = std::move(value);
  return {};
}

Error take_option(const std::string& option, std::string value, DynamodbTarget& target) {
  for (std::size_t i = 0; i < kAttributes; ++i) {
    if (option != kAttributeOptions[i].option) continue;
    return take_attribute(option, std::move(value), target.names[i]);
  }
  if (option == "region") return take_region(option, std::move(value), target.region);
  if (option == "write_region") return take_region(option, std::move(value), target.write_region);
  if (option == "endpoint") return read_address(value, target.endpoint);
  if (option == "index") return take_name(option, std::move(value), target.index);
  if (option == "target_index") return take_name(option, std::move(value), target.target_index);
  if (option == "profiles") return take_name(option, std::move(value), target.profiles);
  if (option == "profiles_key_attribute") {
    return take_attribute(option, std::move(value), target.profiles_key);
  }
  if (option == "consistency") {
    target.strong = value == "strong";
    return target.strong || value == "eventual" ? Error()
                                                : bad("consistency is strong or eventual");
  }
  if (option == "prefix") {
    if (!visible(value, kMaxPrefixBytes))
      return bad("prefix has 1 to 256 visible ASCII characters");
    target.prefix = std::move(value);
    return {};
  }
  return bad(check::quoted(option) + " is no option; a misspelt one would be lost silently");
}

Error check_whole(const DynamodbTarget& target, const std::set<std::string>& given) {
  if (target.region.empty()) {
    return bad("there is no region: write ?region=NAME, or set AWS_REGION");
  }
  const std::set<std::string> names(target.names.begin(), target.names.end());
  if (names.size() != kAttributes) return bad("two attributes have one name");
  if (given.count("profiles_key_attribute") != 0 && target.profiles.empty()) {
    return bad("profiles_key_attribute is about the table profiles, which is not given");
  }
  if (target.index == target.target_index) return bad("index and target_index are two");
  return {};
}

}  // namespace

std::string DynamodbTarget::address() const {
  if (!endpoint.empty()) return endpoint;
  const bool china = region.substr(0, 3) == "cn-";
  return "https://dynamodb." + region + (china ? ".amazonaws.com.cn" : ".amazonaws.com");
}

Result<DynamodbTarget> read_dynamodb_url(std::string_view url, std::string_view default_region) {
  DynamodbTarget target;
  for (std::size_t i = 0; i < kAttributes; ++i) target.names[i] = kAttributeOptions[i].name;
  if (!take(url, "dynamodb://")) return bad("it begins with dynamodb://");
  std::string_view query = url;
  const std::string_view table = take_until(query, '?');
  if (Error error = take_name("a table's name", std::string(table), target.table); !error.ok()) {
    return error;
  }
  std::set<std::string> given;
  while (!query.empty()) {
    std::string_view rest = take_until(query, '&');
    const std::string option(take_until(rest, '='));
    std::string value;
    if (!decode_percents(rest, value))
      return bad(check::quoted(option) + ": a % has no two digits");
    if (!given.insert(option).second) return bad(check::quoted(option) + " is given twice");
    if (Error error = take_option(option, std::move(value), target); !error.ok()) return error;
  }
  if (target.region.empty() && !default_region.empty()) {
    Error error = take_region("AWS_REGION", std::string(default_region), target.region);
    if (!error.ok()) return error;
  }
  if (target.profiles_key.empty()) target.profiles_key = target.name(Attribute::kKey);
  if (Error error = check_whole(target, given); !error.ok()) return error;
  return target;
}

}  // namespace cellroute::net
