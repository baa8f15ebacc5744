// Calendar months as cellroute.h writes them: 202611 is November 2026.
#pragma once

#include <cstdint>

#include "cellroute/calendar.hpp"

namespace cellroute::capi {

// One that is not ok() where the number is none, or before 1970.
inline Month month_of_number(std::uint32_t number) noexcept {
  if (number < 197'000 || number > 999'999) return Month{};
  return std::chrono::year(static_cast<int>(number / 100)) / std::chrono::month(number % 100);
}

inline std::uint32_t number_of(Month month) noexcept {
  if (!month.ok() || static_cast<int>(month.year()) < 1970) return 0;
  return static_cast<std::uint32_t>(static_cast<int>(month.year())) * 100 +
         static_cast<unsigned>(month.month());
}

}  // namespace cellroute::capi
