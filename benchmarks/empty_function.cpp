// A Lambda function that does nothing, beside which others are measured: lambda_bench.py.
#include "function.hpp"

int main() {
  return lambda_host::run([]() -> lambda_host::Handler {
    return [](const auto&, const auto&) { return lambda_host::Json::object(); };
  });
}
