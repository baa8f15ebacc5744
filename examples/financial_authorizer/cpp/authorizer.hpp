// The financial platform's authorizer: token verified, customer's cell by tier, policy for the
// gateway.
#pragma once

#include <string>

#include "cell_router.hpp"
#include "event.hpp"
#include "keyring.hpp"
#include "record.hpp"
#include "token_rules.hpp"

namespace authorizer {

// Serves one event at a time, as Lambda sends them.
class Authorizer {
 public:
  Authorizer(const std::string& topology_path, const std::string& keyring_path, Rules rules)
      : router_(topology_path), keyring_(keyring_path), rules_(std::move(rules)) {}

  // Throws Failure: "Unauthorized" for a token that is not believed, which REST APIs answer by 401
  // where the text is exactly this (of HTTP APIs we found no document that says); any other, which
  // they answer by 500, where no decision can be made.
  lambda_host::Json operator()(const lambda_host::Json& event,
                               const lambda_host::Invocation& invocation);

 private:
  Claims verified(const AuthEvent& about) const;
  lambda_host::Json decide(const AuthEvent& about, const Claims& claims, const Recorder& record);

  lambda_host::CellRouter router_;
  Keyring keyring_;
  Rules rules_;
};

}  // namespace authorizer
