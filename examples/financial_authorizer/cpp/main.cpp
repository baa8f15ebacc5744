// The authorizer as a custom runtime. Environment: CELLROUTE_TOPOLOGY and KEYRING, files; ISSUER
// and AUDIENCE of tokens; CACHED_SECONDS, the authorizer's TTL at API Gateway (300).
#include <charconv>
#include <memory>

#include "authorizer.hpp"

namespace {

std::int64_t seconds(const char* name, std::int64_t fallback) {
  const std::string text = lambda_host::variable(name, std::to_string(fallback));
  std::int64_t value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) {
    throw lambda_host::Failure("ConfigurationError",
                               std::string(name) + " is no number of seconds");
  }
  return value;
}

}  // namespace

int main() {
  return lambda_host::run([]() -> lambda_host::Handler {
    auto authorizer = std::make_shared<authorizer::Authorizer>(
        lambda_host::variable("CELLROUTE_TOPOLOGY"), lambda_host::variable("KEYRING"),
        authorizer::Rules{.issuer = lambda_host::variable("ISSUER"),
                          .audience = lambda_host::variable("AUDIENCE"),
                          .cached_s = seconds("CACHED_SECONDS", 300)});
    return [authorizer](const auto& event, const auto& invocation) {
      return (*authorizer)(event, invocation);
    };
  });
}
