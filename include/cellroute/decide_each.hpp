// Many decisions on one snapshot, one after the other as they stand. Over a base the keys of some
// requests are looked up together: the memory brings many lines in the time of one.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "cellroute/decide.hpp"

namespace cellroute {

inline constexpr Decision kLaneOutOfRange = {.status = Status::kInvalidArgument,
                                             .reason = Reason::kLaneOutOfRange};
inline constexpr Decision kNoSnapshot = {.reason = Reason::kNoSnapshot};

// `next` and `take` as Router::route_each() has them.
template <bool kReserve, class Next, class Take>
class DecidingEach {
 public:
  using One = Deciding<kReserve>;
  using GuardsRef = typename One::GuardsRef;

  // `snapshot` may be null.
  DecidingEach(const Snapshot* snapshot, GuardsRef guards, Next& next, Take& take,
               Nanos now) noexcept
      : snapshot_(snapshot),
        guards_(guards),
        lanes_(guards.region().geometry().lanes),
        next_(next),
        take_(take),
        now_(now) {}

  void decide(std::size_t count) noexcept {
    if (snapshot_ != nullptr && snapshot_->path().base != nullptr) {
      for (std::size_t done = 0; done < count; done += MappingFile::kBatch) {
        decide_few(done, std::min(count - done, MappingFile::kBatch));
      }
      return;
    }
    for (std::size_t i = 0; i < count; ++i) {
      const Request& request = next_(i);
      if (request.lane >= lanes_) {
        take_(i, kLaneOutOfRange);
      } else if (snapshot_ == nullptr) {
        take_(i, kNoSnapshot);
      } else {
        take_(i, One::decide(*snapshot_, guards_, request, now_));
      }
    }
  }

 private:
  // What each step asks the memory for, the next one finds in the cache.
  void decide_few(std::size_t first, std::size_t count) noexcept {
    MappingFile::Batch keys(*snapshot_->path().base);
    std::array<std::uint32_t, MappingFile::kBatch> lanes;
    for (std::size_t i = 0; i < count; ++i) {
      const Request& request = next_(first + i);
      keys.ask(i, request.key.substr(0, kMaxKeyBytes));  // a longer one is refused
      lanes[i] = request.lane;
    }
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint32_t cell = keys.look(i);
      if (cell == MappingFile::Batch::kNoCell || lanes[i] >= lanes_) continue;
      const std::uint32_t number = snapshot_->base_cell(cell).number;
      if constexpr (kReserve) {
        guards_.prefetch(number, lanes[i]);
      } else {
        guards_.prefetch(number);
      }
    }
    for (std::size_t i = 0; i < count; ++i) decide_one(keys, i, first + i);
  }

  CELLROUTE_HOT void decide_one(const MappingFile::Batch& keys, std::size_t i,
                                std::size_t place) noexcept {
    const Request& request = next_(place);
    if (request.lane >= lanes_) [[unlikely]] {
      return take_(place, kLaneOutOfRange);
    }
    FileAnswer in_base;
    keys.find(i, request.key, in_base);
    Decision decision;
    if (One::decide_quickly(*snapshot_, guards_, request, now_, in_base, decision)) [[likely]] {
      return take_(place, decision);
    }
    const FileAnswer held = in_base;  // of its own, so that the other stays in registers
    take_(place, One::decide_in_full(*snapshot_, guards_, request, now_, &held));
  }

  const Snapshot* snapshot_;
  GuardsRef guards_;
  std::uint32_t lanes_;
  Next& next_;
  Take& take_;
  Nanos now_;
};

}  // namespace cellroute
