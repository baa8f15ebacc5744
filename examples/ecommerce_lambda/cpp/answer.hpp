// Answers in the two shapes that API Gateway takes.
#pragma once

#include <cstdint>
#include <string_view>

#include "event.hpp"
#include "forward.hpp"

namespace shop_front {

lambda_host::Json answer_of_cell(const CellAnswer& cell, bool version_2);

// What a client is told, and nothing internal. `retry_after_ns` 0: nothing of when to come back.
lambda_host::Json refusal(std::uint32_t status, std::string_view code, std::string_view reason,
                          std::string_view request_id, bool version_2,
                          std::int64_t retry_after_ns = 0);

}  // namespace shop_front
