// Texts as they go over the wire in a request's target (RFC 3986).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace shop_front {

// How API Gateway hands over a path: REST APIs as the client sent it, HTTP APIs decoded.
enum class Spelling { kEncoded, kDecoded };

// Every byte but letters, digits, "-._~" and those in `safe` as %XX.
std::string percent_encoded(std::string_view text, std::string_view safe = {});

// Decoded once. Nothing: a '%' begins no %XX.
std::optional<std::string> percent_decoded(std::string_view text);

// The path, percent-encoded once. Nothing: it begins without a slash, or a server could read it as
// another one.
std::optional<std::string> wire_path(std::string_view path, Spelling spelling);

// The query, percent-encoded once: what is encoded already stays as it is.
std::string wire_query(std::string_view query);

}  // namespace shop_front
