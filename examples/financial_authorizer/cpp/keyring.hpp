// The allow-list of keys. Each fixes its algorithm; a token only ever chooses one of these by name.
#pragma once

#include <openssl/evp.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "function.hpp"

namespace authorizer {

class Key {
 public:
  // From {"kid", "alg", "pem"}, or for HS256 {"kid", "alg", "secret_variable"}, which names the
  // environment variable that holds the secret in hexadecimal digits. Failure: it is none of
  // HS256 with a secret of at least 32 bytes, RS256 with RSA of at least 2,048 bits, or ES256 with
  // P-256 (RFC 7518, sections 3.2 to 3.4).
  explicit Key(const lambda_host::Json& listed);

  const std::string& kid() const noexcept { return kid_; }
  const std::string& alg() const noexcept { return alg_; }

  // Whether `signature` is this key's of `signed_text`, by this key's algorithm.
  bool verifies(std::string_view signed_text, std::string_view signature) const;

 private:
  std::string kid_;
  std::string alg_;
  std::string secret_;
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> public_{nullptr, &EVP_PKEY_free};
};

// Immutable.
class Keyring {
 public:
  // From a file that holds a JSON list of keys. Failure: it does not, or names a kid twice.
  explicit Keyring(const std::string& path);

  // By equality alone: a kid is no path, query or address. Null: not of the list.
  const Key* find(const std::string& kid) const;

 private:
  std::map<std::string, Key> keys_;
};

}  // namespace authorizer
