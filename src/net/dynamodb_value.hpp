// Values of attributes in DynamoDB's JSON: {"S": text}, {"N": digits}, {"B": base 64}, {"L":
// [...]}.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "cellroute/time.hpp"

namespace cellroute::net {

using Json = nlohmann::json;

Json text_value(std::string_view text);
Json number_value(std::uint64_t number);
Json bytes_value(std::string_view bytes);
Json texts_value(const std::vector<std::string>& texts);

// The value of `type` in the attribute value `value`; null where it is of another type.
const Json* of_type(const Json& value, const char* type);

// The text of a string attribute of `item`; null where there is none.
const std::string* find_text(const Json& item, const std::string& name);

// Each is false where `value` is of another type, or not what is read, and `to` is then
// unspecified.
bool read_number(const Json& value, std::uint64_t& to);
bool read_text(const Json& value, std::string& to);
bool read_bytes(const Json& value, std::string& to);
bool read_bool(const Json& value, bool& to);
// At most kMaxMappedFlags, from a list, or from a set, which has no order of its own: sorted.
bool read_texts(const Json& value, std::vector<std::string>& to);
// As ISO 8601 writes it.
bool read_time(const Json& value, Nanos& to);

}  // namespace cellroute::net
