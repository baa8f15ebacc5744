#include "headers.hpp"

#include <algorithm>
#include <set>
#include <string_view>

#include "text.hpp"

namespace shop_front {
namespace {

using lambda_host::lower;

// A cell believes these, so they are ours alone: whatever a client sends under such a name is
// dropped.
const std::set<std::string, std::less<>> kTrusted{"x-cell-id", "x-cell-epoch", "x-tenant-id",
                                                  "x-encryption-level", "x-request-signature"};

// Of one connection, or made anew for the next one.
const std::set<std::string, std::less<>> kOfAConnection{"connection",
                                                        "keep-alive",
                                                        "proxy-authenticate",
                                                        "proxy-authorization",
                                                        "proxy-connection",
                                                        "te",
                                                        "trailer",
                                                        "transfer-encoding",
                                                        "upgrade",
                                                        "host",
                                                        "content-length",
                                                        "expect"};

constexpr std::string_view kTokenMarks = "!#$%&'*+.^_`|~-";

bool is_token(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return lambda_host::is_letter_or_digit(c) || kTokenMarks.find(c) != std::string_view::npos;
  });
}

// As servers may fold names: in any case, and CGI's kind takes '_' for '-'.
bool is_trusted(const std::string& name) {
  std::string folded = lower(name);
  std::replace(folded.begin(), folded.end(), '_', '-');
  return kTrusted.contains(folded);
}

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = std::min(text.find_first_not_of(" \t"), text.size());
  return text.substr(begin, text.find_last_not_of(" \t") + 1 - begin);
}

std::set<std::string, std::less<>> of_this_connection(const Headers& headers) {
  std::set<std::string, std::less<>> names = kOfAConnection;
  for (const auto& [name, value] : headers) {
    if (lower(name) != "connection") continue;
    for (std::string_view rest = value; !rest.empty();) {
      const std::size_t comma = std::min(rest.find(','), rest.size());
      names.insert(lower(trimmed(rest.substr(0, comma))));
      rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
  }
  return names;
}

}  // namespace

Headers onward(const Headers& headers, const Headers& ours) {
  const auto dropped = of_this_connection(headers);
  Headers kept;
  for (const auto& [name, value] : headers) {
    if (!is_token(name) ||
        value.find_first_of(std::string_view("\0\r\n", 3)) != std::string::npos) {
      throw BadEvent("a header cannot be sent on");
    }
    if (!is_trusted(name) && !dropped.contains(lower(name))) kept.emplace_back(name, value);
  }
  kept.insert(kept.end(), ours.begin(), ours.end());
  return kept;
}

Headers back(const Headers& headers) {
  const auto dropped = of_this_connection(headers);
  Headers kept;
  for (const auto& [name, value] : headers) {
    if (!is_trusted(name) && !dropped.contains(lower(name))) kept.emplace_back(name, value);
  }
  return kept;
}

}  // namespace shop_front
