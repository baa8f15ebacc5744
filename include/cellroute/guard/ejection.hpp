// Opening a breaker, where at most a share of a group's cells may be out at once.
//
// Which cells are out is read from their breakers, never counted apart, so that a killed process, a
// cell that left the topology or a group that changed leaves nothing to correct. Openings of
// limited groups go one at a time through one word of the region: it names the cell that is being
// opened, and whoever finds it set finishes that opening first. Closings only make room.
#pragma once

#include <cstdint>
#include <span>

#include "cellroute/guard/breaker_word.hpp"
#include "cellroute/guard/region.hpp"

namespace cellroute {

// The cells of a tier and region, by number. Where `limited`, as in STATELESS pools, an opening
// must leave at most max_ejected_percent of them not closed; one may always open. Otherwise an
// opening asks nobody. `cells` must outlive the call.
struct EjectionGroup {
  std::span<const std::uint32_t> cells;
  bool limited = false;
};

namespace guard {

// The word: under way (bit 63), version (31 bits), cell (32).
inline constexpr std::uint64_t kUnderWay = std::uint64_t{1} << 63;

enum class Opening : std::uint8_t { kOpened, kNotClosed, kRefused };

inline bool open_closed(CellWords& cell, std::uint64_t word, const BreakerRules& rules,
                        std::uint64_t cell_hash, Nanos now) noexcept {
  const std::uint64_t next = pack(opened(unpack(word), rules, cell_hash, now));
  // Release: who sees the breaker open sees the ejection word that permitted it.
  if (!cell.breaker.compare_exchange_strong(word, next, std::memory_order_acq_rel)) return false;
  cell.streak.store(0, std::memory_order_relaxed);
  return true;
}

// Finishes the opening that `word` names. The breaker is read before the word is looked at again:
// if that still stands, the breaker has not been opened and closed in between.
inline void finish_opening(const GuardRegion& region, std::uint64_t word, const BreakerRules& rules,
                           Nanos now) noexcept {
  Word& ejection = region.header().ejection;
  const auto number = static_cast<std::uint32_t>(word);
  if (number < region.geometry().cells) {
    CellWords& cell = region.cell_words(number);
    const std::uint64_t breaker = cell.breaker.load(std::memory_order_acquire);
    if (ejection.load(std::memory_order_acquire) != word) return;
    if (is_closed(breaker)) {
      static_cast<void>(open_closed(cell, breaker, rules, region.id_hash(number), now));
    }
  }
  ejection.compare_exchange_strong(word, word & ~kUnderWay, std::memory_order_acq_rel);
}

// Cells of the group that are open or half-open.
inline std::uint64_t ejected_cells(const GuardRegion& region,
                                   std::span<const std::uint32_t> cells) noexcept {
  std::uint64_t count = 0;
  for (const std::uint32_t number : cells) {
    if (number >= region.geometry().cells) continue;
    const std::uint64_t word = region.cell_words(number).breaker.load(std::memory_order_acquire);
    if (!is_closed(word)) ++count;
  }
  return count;
}

// Whether one more of `size` may go, counted after it went.
constexpr bool may_eject(std::uint64_t ejected, std::uint64_t size,
                         std::uint32_t percent) noexcept {
  return ejected == 0 || (ejected + 1) * 100 <= size * percent;
}

inline Opening open_limited(const GuardRegion& region, std::uint32_t number,
                            const BreakerRules& rules, const EjectionGroup& group,
                            Nanos now) noexcept {
  constexpr int kAttempts = 64;  // each lost one is an opening of another cell
  Word& ejection = region.header().ejection;
  CellWords& cell = region.cell_words(number);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    std::uint64_t word = ejection.load(std::memory_order_acquire);
    if ((word & kUnderWay) != 0) {
      finish_opening(region, word, rules, now);
      continue;
    }
    if (!is_closed(cell.breaker.load(std::memory_order_acquire))) return Opening::kNotClosed;
    if (!may_eject(ejected_cells(region, group.cells), group.cells.size(),
                   rules.max_ejected_percent)) {
      return Opening::kRefused;
    }
    const std::uint64_t version = ((word >> 32) + 1) & 0x7fff'ffff;
    const std::uint64_t next = kUnderWay | version << 32 | number;
    // Succeeds only if no other opening came between the count and this: the reservation.
    if (ejection.compare_exchange_strong(word, next, std::memory_order_acq_rel)) {
      finish_opening(region, next, rules, now);
      return Opening::kOpened;
    }
  }
  return Opening::kRefused;
}

}  // namespace guard
}  // namespace cellroute
