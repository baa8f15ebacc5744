// Policy documents for API Gateway, made to be cached.
//
// API Gateway keeps an answer for the token, not for the path, and checks every request of the next
// minutes against it. So a policy says which paths the token opens, whatever path was asked for
// first: this customer's own, and those that name no customer. It must never open "*".
//
// A '*' stands for slashes too: STAGE/*/me would open GET/customers/ANYBODY/me. So methods are
// spelled out, and a '*' stands at the end alone.
#pragma once

#include <string>

#include "event.hpp"

namespace authorizer {

// Whether allow_own() opens the path that was asked for.
bool opened(const AuthEvent& event, const std::string& customer);

// `customer` has no '*' or '?': token_rules sees to it.
lambda_host::Json allow_own(const AuthEvent& event, const std::string& customer,
                            const lambda_host::Json& context);

// Refuses the path that was asked for, and leaves open what the token opens: a wrong path must not
// shut a customer out for as long as the answer is kept.
lambda_host::Json deny_path(const AuthEvent& event, const std::string& customer,
                            const lambda_host::Json& context);

lambda_host::Json deny_all(const AuthEvent& event, const std::string& customer);

}  // namespace authorizer
