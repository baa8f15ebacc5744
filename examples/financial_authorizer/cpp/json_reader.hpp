// JSON that reads in one way alone, whoever reads it.
#pragma once

#include <string>
#include <string_view>

#include "function.hpp"

namespace authorizer {

// Why a text was not taken: a word for the security log.
struct JsonRefused {
  std::string_view word;
};

// An object without a member twice, of bounded depth and with finite numbers. JsonRefused.
lambda_host::Json read_strict_json(const std::string& text);

}  // namespace authorizer
