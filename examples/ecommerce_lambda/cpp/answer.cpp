#include "answer.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <map>

#include "base64.hpp"
#include "headers.hpp"
#include "text.hpp"

namespace shop_front {
namespace {

using lambda_host::Json;
using lambda_host::lower;

constexpr std::int64_t kSecond = 1'000'000'000;

bool is_word(char c) { return lambda_host::is_letter_or_digit(c) || c == '_'; }

// text/…, or application/json and its like, also as application/problem+json; in lower case.
bool is_textual(std::string_view type) {
  if (type.starts_with("text/")) return true;
  constexpr std::string_view kApplication = "application/";
  if (!type.starts_with(kApplication)) return false;
  type.remove_prefix(kApplication.size());
  type = type.substr(0, type.find_first_of("; \t,"));
  const std::size_t plus = type.rfind('+');
  if (plus != std::string_view::npos) type.remove_prefix(plus + 1);
  const std::array words{"json", "xml", "javascript", "x-www-form-urlencoded"};
  return std::any_of(words.begin(), words.end(), [&](std::string_view word) {
    return type.starts_with(word) && (type.size() == word.size() || !is_word(type[word.size()]));
  });
}

bool is_utf8(const std::string& text) {
  try {
    (void)Json(text).dump();
    return true;
  } catch (const Json::type_error&) {
    return false;
  }
}

// HTTP says nothing of what a header's bytes beyond ASCII mean: ISO 8859-1, which loses none.
std::string utf8_of_latin1(const std::string& bytes) {
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x80) text += static_cast<char>(0xc0 | (byte >> 6));
    text += byte >= 0x80 ? static_cast<char>(0x80 | (byte & 0x3f)) : c;
  }
  return text;
}

// What says that it is text, is, and is not compressed.
bool is_text(const CellAnswer& cell) {
  std::string type;
  for (const auto& [name, value] : cell.headers) {
    const std::string folded = lower(name);
    if (folded == "content-encoding") return cell.body.empty();
    if (folded == "content-type") type = lower(value);
  }
  return cell.body.empty() || (is_textual(type) && is_utf8(cell.body));
}

Json shaped_2(const Headers& headers, Json shaped) {
  std::map<std::string, std::string> joined;
  Json cookies = Json::array();
  for (const auto& [name, value] : headers) {
    const std::string text = utf8_of_latin1(value);
    if (lower(name) == "set-cookie") {
      cookies.push_back(text);
    } else if (const auto [at, added] = joined.emplace(name, text); !added) {
      at->second += "," + text;
    }
  }
  shaped["headers"] = joined;
  if (!cookies.empty()) shaped["cookies"] = std::move(cookies);
  return shaped;
}

Json shaped(std::uint32_t status, const Headers& headers, std::string body, bool is_base64,
            bool version_2) {
  Json shaped{{"statusCode", status}, {"body", std::move(body)}, {"isBase64Encoded", is_base64}};
  if (version_2) return shaped_2(headers, std::move(shaped));
  Json repeated = Json::object();
  for (const auto& [name, value] : headers) repeated[name].push_back(utf8_of_latin1(value));
  shaped["multiValueHeaders"] = std::move(repeated);
  return shaped;
}

}  // namespace

Json answer_of_cell(const CellAnswer& cell, bool version_2) {
  const bool text = is_text(cell);
  return shaped(cell.status, back(cell.headers), text ? cell.body : lambda_host::base64(cell.body),
                !text, version_2);
}

Json refusal(std::uint32_t status, std::string_view code, std::string_view reason,
             std::string_view request_id, bool version_2, std::int64_t retry_after_ns) {
  Headers headers{{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}};
  if (retry_after_ns > 0) {
    const std::int64_t seconds = retry_after_ns / kSecond + (retry_after_ns % kSecond > 0 ? 1 : 0);
    headers.emplace_back("Retry-After", std::to_string(seconds));
  }
  const Json told{{"code", code}, {"reason", reason}, {"request_id", request_id}};
  return shaped(status, headers, told.dump(), false, version_2);
}

}  // namespace shop_front
