#include "token_rules.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

#include "base64.hpp"
#include "json_reader.hpp"
#include "text.hpp"

namespace authorizer {
namespace {

using lambda_host::Json;
using lambda_host::member;

constexpr std::size_t kLargestToken = 8192;
constexpr std::size_t kLargestHeader = 1024;
constexpr std::size_t kLargestClaims = 4096 * 4 / 3 + 4;
constexpr std::size_t kLongestName = 128;
constexpr std::size_t kMostNames = 18;           // tier, region, 16 flags
constexpr double kLatestTime = 1099511627776.0;  // 2^40 s

bool is_base64url(char c) { return lambda_host::is_letter_or_digit(c) || c == '-' || c == '_'; }

// base64url as RFC 7515 has it: one spelling for each value, so no second token with one meaning.
std::string decoded(std::string_view segment) {
  std::string text(segment);
  std::replace(text.begin(), text.end(), '-', '+');
  std::replace(text.begin(), text.end(), '_', '/');
  text.append((4 - text.size() % 4) % 4, '=');
  std::optional<std::string> bytes = lambda_host::from_base64(text);
  if (!bytes) throw TokenRefused{"token_malformed", {}};
  return *std::move(bytes);
}

// Header, claims and signature, as they came.
std::array<std::string_view, 3> segments_of(std::string_view token) {
  std::array<std::string_view, 3> segments;
  for (std::size_t i = 0; i < 3; ++i) {
    const std::size_t end = i < 2 ? token.find('.') : token.size();
    const std::string_view segment = token.substr(0, end);
    if (end == std::string_view::npos || segment.empty() ||
        !std::all_of(segment.begin(), segment.end(), is_base64url)) {
      throw TokenRefused{"token_malformed", {}};
    }
    segments[i] = segment;
    token.remove_prefix(std::min(end + 1, token.size()));
  }
  return segments;
}

Json strict_json(const std::string& text, const std::optional<std::string>& kid) {
  try {
    return read_strict_json(text);
  } catch (const JsonRefused& refused) {
    throw TokenRefused{std::string(refused.word), kid};
  }
}

// Good for choosing a key, and for nothing else.
struct UnverifiedHeader {
  std::string alg;
  std::string kid;
};

UnverifiedHeader header_of(std::string_view segment) {
  if (segment.size() > kLargestHeader) throw TokenRefused{"header_too_long", {}};
  const Json members = strict_json(decoded(segment), {});
  const Json& alg = member(members, "alg");
  const Json& kid = member(members, "kid");
  const Json& type = member(members, "typ");
  if (!alg.is_string() || !kid.is_string() ||
      (!type.is_null() && type != "JWT" && type != "jwt" && type != "at+jwt")) {
    throw TokenRefused{"header_malformed", {}};
  }
  // Others would name keys of the token's own (jwk, jku, x5u), or change how it is read (crit,
  // b64).
  for (const auto& [name, value] : members.items()) {
    if (name != "alg" && name != "kid" && name != "typ") throw TokenRefused{"header_members", {}};
  }
  return {alg.get<std::string>(), kid.get<std::string>()};
}

// The claims of a token whose signature holds, checked one by one.
class ClaimChecker {
 public:
  ClaimChecker(const Json& members, const Key& key, const Rules& rules, std::int64_t now_ns)
      : members_(members), key_(key), rules_(rules), now_s_(static_cast<double>(now_ns) / 1e9) {}

  Claims claims() const {
    check_times();
    check_parties();
    const Json& customer = member(members_, "sub");
    require(customer.is_string() && is_customer(customer.get<std::string>()), "customer_malformed");
    return {customer.get<std::string>(), profile(), key_.kid()};
  }

 private:
  void require(bool holds, std::string_view word) const {
    if (!holds) throw TokenRefused{std::string(word), key_.kid()};
  }

  // Seconds, RFC 7519, section 2.
  std::optional<double> time(const char* name) const {
    if (!members_.contains(name)) return std::nullopt;
    const Json& value = member(members_, name);
    const double seconds = value.is_number() ? value.get<double>() : -1;
    require(seconds >= 0 && seconds <= kLatestTime, std::string(name) + "_malformed");
    return seconds;
  }

  void check_times() const {
    const std::optional<double> expires = time("exp");
    require(expires.has_value(), "exp_missing");
    require(now_s_ < *expires, "expired");
    require(now_s_ + static_cast<double>(rules_.cached_s) < *expires, "expires_while_cached");
    const std::int64_t longest = rules_.longest_life_s + rules_.leeway_s;
    require(*expires <= now_s_ + static_cast<double>(longest), "exp_too_far");
    for (const char* name : {"nbf", "iat"}) {
      const std::optional<double> begins = time(name);
      require(!begins || *begins <= now_s_ + static_cast<double>(rules_.leeway_s),
              std::string(name) + "_in_future");
    }
  }

  void check_parties() const {
    require(member(members_, "iss") == rules_.issuer, "issuer_wrong");
    const Json& audience = member(members_, "aud");
    const bool meant = audience.is_array() ? std::find(audience.begin(), audience.end(),
                                                       rules_.audience) != audience.end()
                                           : audience == rules_.audience;
    require(meant, "audience_wrong");
  }

  // A word that stands for itself in a path, and in a policy's pattern.
  static bool is_customer(std::string_view customer) {
    return !customer.empty() && customer.size() <= 64 && customer[0] != '-' && customer[0] != '_' &&
           std::all_of(customer.begin(), customer.end(), is_base64url);
  }

  std::string name_of(const Json& value) const {
    require(value.is_string(), "profile_malformed");
    std::string name = value.get<std::string>();
    const auto is_first = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; };
    const auto characters = std::count_if(name.begin(), name.end(), is_first);
    require(!name.empty() && static_cast<std::size_t>(characters) <= kLongestName,
            "profile_malformed");
    return name;
  }

  lambda_host::Profile profile() const {
    lambda_host::Profile profile{
        name_of(member(members_, "tier")), name_of(member(members_, "region")), {}};
    if (!members_.contains("flags")) return profile;
    const Json& flags = member(members_, "flags");
    require(flags.is_array() && flags.size() + 2 <= kMostNames, "profile_malformed");
    for (const Json& flag : flags) profile.flags.push_back(name_of(flag));
    return profile;
  }

  const Json& members_;
  const Key& key_;
  const Rules& rules_;
  double now_s_;
};

}  // namespace

Claims verify(const std::string& token, const Keyring& keyring, const Rules& rules,
              std::int64_t now_ns) {
  if (token.size() > kLargestToken) throw TokenRefused{"token_too_long", {}};
  const auto [header_text, claims_text, signature_text] = segments_of(token);
  const UnverifiedHeader header = header_of(header_text);
  const Key* key = keyring.find(header.kid);
  if (key == nullptr) throw TokenRefused{"kid_unknown", {}};
  if (header.alg != key->alg()) throw TokenRefused{"alg_mismatch", key->kid()};
  if (claims_text.size() > kLargestClaims) throw TokenRefused{"claims_too_long", key->kid()};
  const std::string claims = decoded(claims_text);
  const std::string signature = decoded(signature_text);
  const std::string_view signed_text =
      std::string_view(token).substr(0, token.size() - signature_text.size() - 1);
  if (!key->verifies(signed_text, signature)) throw TokenRefused{"signature_wrong", key->kid()};
  const Json members = strict_json(claims, key->kid());
  return ClaimChecker(members, *key, rules, now_ns).claims();
}

}  // namespace authorizer
