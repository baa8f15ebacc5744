// Bearer tokens (RFC 7519, RFC 8725): what is read before a signature holds, and what only after.
//
// The key fixes the algorithm: a token's `kid` chooses a key of the allow-list, and must then name
// the algorithm that the list gives to this key. Signatures are checked by OpenSSL. Time is an
// argument.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cell_router.hpp"
#include "keyring.hpp"

namespace authorizer {

// Why a token is not believed: a word for the security log. Callers are told nothing of it.
struct TokenRefused {
  std::string word;
  std::optional<std::string> kid;  // of the allow-list, so it may be logged
};

// What a verified token says. Only verify() makes it.
struct Claims {
  std::string customer;
  lambda_host::Profile profile;
  std::string kid;
};

struct Rules {
  std::string issuer;
  std::string audience;
  // Seconds. The authorizer's TTL at API Gateway: it serves answers that long, so a token must live
  // on for it.
  std::int64_t cached_s = 300;
  // Clocks may differ by this for nbf and iat; exp has no leeway.
  std::int64_t leeway_s = 5;
  std::int64_t longest_life_s = 3600;
};

// The claims of a token whose signature and claims hold; else throws TokenRefused.
Claims verify(const std::string& token, const Keyring& keyring, const Rules& rules,
              std::int64_t now_ns);

}  // namespace authorizer
