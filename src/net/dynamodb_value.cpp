#include "net/dynamodb_value.hpp"

#include <algorithm>
#include <optional>

#include "cellroute/mapping.hpp"
#include "net/iso_time.hpp"
#include "net/redis_value.hpp"
#include "stores/base64.hpp"

namespace cellroute::net {

Json text_value(std::string_view text) { return {{"S", std::string(text)}}; }
Json number_value(std::uint64_t number) { return {{"N", std::to_string(number)}}; }

Json bytes_value(std::string_view bytes) {
  std::string text;
  append_base64(bytes, text);
  return {{"B", text}};
}

Json texts_value(const std::vector<std::string>& texts) {
  Json list = Json::array();
  for (const std::string& text : texts) list.push_back(text_value(text));
  return {{"L", list}};
}

const Json* of_type(const Json& value, const char* type) {
  if (!value.is_object() || value.size() != 1) return nullptr;
  const auto at = value.find(type);
  return at == value.end() ? nullptr : &*at;
}

const std::string* find_text(const Json& item, const std::string& name) {
  if (!item.is_object()) return nullptr;
  const auto at = item.find(name);
  const Json* const found = at == item.end() ? nullptr : of_type(*at, "S");
  return found == nullptr ? nullptr : found->get_ptr<const std::string*>();
}

bool read_number(const Json& value, std::uint64_t& number) {
  const Json* const digits = of_type(value, "N");
  return digits != nullptr && digits->is_string() &&
         read_decimal(digits->get_ref<const std::string&>(), number);
}

bool read_text(const Json& value, std::string& text) {
  const Json* const found = of_type(value, "S");
  if (found == nullptr || !found->is_string()) return false;
  text = found->get<std::string>();
  return true;
}

bool read_bytes(const Json& value, std::string& bytes) {
  const Json* const found = of_type(value, "B");
  return found != nullptr && found->is_string() &&
         decode_base64(found->get_ref<const std::string&>(), bytes);
}

bool read_bool(const Json& value, bool& flag) {
  const Json* const found = of_type(value, "BOOL");
  if (found == nullptr || !found->is_boolean()) return false;
  flag = found->get<bool>();
  return true;
}

// A list of strings, or a set of them, which has no order of its own.
bool read_texts(const Json& value, std::vector<std::string>& texts) {
  const Json* const list = of_type(value, "L");
  const Json* const set = of_type(value, "SS");
  const Json* const found = list != nullptr ? list : set;
  if (found == nullptr || !found->is_array() || found->size() > kMaxMappedFlags) return false;
  for (const Json& element : *found) {
    std::string& text = texts.emplace_back();
    if (list != nullptr && !read_text(element, text)) return false;
    if (list != nullptr) continue;
    if (!element.is_string()) return false;
    text = element.get<std::string>();
  }
  if (list == nullptr) std::sort(texts.begin(), texts.end());
  return true;
}

bool read_time(const Json& value, Nanos& time) {
  std::string text;
  if (!read_text(value, text)) return false;
  const std::optional<Nanos> read = read_iso_time(text);
  time = read.value_or(0);
  return read.has_value();
}

}  // namespace cellroute::net
