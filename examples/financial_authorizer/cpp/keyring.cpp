#include "keyring.hpp"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <array>
#include <cstddef>
#include <fstream>
#include <utility>

#include "text.hpp"

namespace authorizer {
namespace {

using lambda_host::Failure;
using lambda_host::Json;

constexpr std::size_t kShortestSecret = 32;  // bytes; RFC 7518, section 3.2
constexpr int kShortestRsa = 2048;           // bits; section 3.3
constexpr std::size_t kCoordinate = 32;      // bytes of R and of S; section 3.4

using PublicKey = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

const unsigned char* bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

// Nothing: they are no pairs of hexadecimal digits.
std::string from_hex(std::string_view digits) {
  if (digits.size() % 2 != 0) return {};
  std::string decoded;
  for (std::size_t at = 0; at < digits.size(); at += 2) {
    const int high = lambda_host::hex_digit(digits[at]);
    const int low = lambda_host::hex_digit(digits[at + 1]);
    if (high < 0 || low < 0) return {};
    decoded += static_cast<char>(high * 16 + low);
  }
  return decoded;
}

// Null: it is no public key. Never asks for a password.
PublicKey read_pem(const std::string& pem) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> text(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &BIO_free);
  PublicKey key(PEM_read_bio_PUBKEY(
                    text.get(), nullptr, [](char*, int, int, void*) { return 0; }, nullptr),
                &EVP_PKEY_free);
  ERR_clear_error();
  return key;
}

bool is_p256(const EVP_PKEY* key) {
  std::array<char, 64> group{};
  return EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
         EVP_PKEY_get_group_name(key, group.data(), group.size(), nullptr) == 1 &&
         std::string_view(group.data()) == "prime256v1";
}

bool fits(const EVP_PKEY* key, const std::string& alg) {
  if (key == nullptr) return false;
  if (alg == "ES256") return is_p256(key);
  return alg == "RS256" && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA &&
         EVP_PKEY_get_bits(key) >= kShortestRsa;
}

bool is_mac(std::string_view secret, std::string_view text, std::string_view given) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> mac{};
  unsigned int size = 0;
  return HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()), bytes(text),
              text.size(), mac.data(), &size) != nullptr &&
         given.size() == size && CRYPTO_memcmp(mac.data(), given.data(), size) == 0;
}

// RFC 7518 has R and S side by side, OpenSSL takes them as ASN.1. Nothing: it is no such signature.
std::string der_of(std::string_view signature) {
  if (signature.size() != 2 * kCoordinate) return {};
  const std::unique_ptr<ECDSA_SIG, decltype(&ECDSA_SIG_free)> both(ECDSA_SIG_new(),
                                                                   &ECDSA_SIG_free);
  BIGNUM* r = BN_bin2bn(bytes(signature), kCoordinate, nullptr);
  BIGNUM* s = BN_bin2bn(bytes(signature.substr(kCoordinate)), kCoordinate, nullptr);
  if (!both || r == nullptr || s == nullptr || ECDSA_SIG_set0(both.get(), r, s) != 1) {
    BN_free(r);
    BN_free(s);
    return {};
  }
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(both.get(), &der);
  if (size <= 0) return {};
  std::string spelled(reinterpret_cast<char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  return spelled;
}

bool is_signed(EVP_PKEY* key, std::string_view text, std::string_view signature) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        &EVP_MD_CTX_free);
  EVP_PKEY_CTX* of_key = nullptr;
  bool holds = context && !signature.empty() &&
               EVP_DigestVerifyInit(context.get(), &of_key, EVP_sha256(), nullptr, key) == 1;
  if (holds && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA) {
    holds = EVP_PKEY_CTX_set_rsa_padding(of_key, RSA_PKCS1_PADDING) == 1;
  }
  holds = holds && EVP_DigestVerify(context.get(), bytes(signature), signature.size(), bytes(text),
                                    text.size()) == 1;
  ERR_clear_error();
  return holds;
}

}  // namespace

Key::Key(const Json& listed)
    : kid_(lambda_host::text(listed, "kid")), alg_(lambda_host::text(listed, "alg")) {
  bool fit = !kid_.empty();
  if (alg_ == "HS256") {
    const std::string variable = lambda_host::text(listed, "secret_variable");
    secret_ = from_hex(lambda_host::variable(variable.c_str(), ""));
    fit = fit && secret_.size() >= kShortestSecret;
  } else {
    public_ = read_pem(lambda_host::text(listed, "pem"));
    fit = fit && fits(public_.get(), alg_);
  }
  if (!fit) {
    throw Failure("KeyringError", "key \"" + kid_ +
                                      "\": an algorithm is HS256 with a secret of at least 32 "
                                      "bytes, RS256 with RSA of at least 2048 bits, or ES256 with "
                                      "P-256");
  }
}

bool Key::verifies(std::string_view signed_text, std::string_view signature) const {
  if (alg_ == "HS256") return is_mac(secret_, signed_text, signature);
  if (alg_ == "RS256") return is_signed(public_.get(), signed_text, signature);
  return is_signed(public_.get(), signed_text, der_of(signature));
}

Keyring::Keyring(const std::string& path) {
  std::ifstream file(path);
  const Json listed = Json::parse(file, nullptr, false);
  if (!file || !listed.is_array() || listed.empty()) {
    throw Failure("KeyringError", path + " holds no JSON list of keys");
  }
  for (const Json& item : listed) {
    Key key(item);
    std::string kid = key.kid();
    if (!keys_.emplace(std::move(kid), std::move(key)).second) {
      throw Failure("KeyringError", "a keyring has no kid twice");
    }
  }
}

const Key* Keyring::find(const std::string& kid) const {
  const auto found = keys_.find(kid);
  return found == keys_.end() ? nullptr : &found->second;
}

}  // namespace authorizer
