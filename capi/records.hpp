// Mapping records between the two worlds.
#pragma once

#include <array>
#include <cstdint>

#include "cellroute.h"
#include "cellroute/mapping.hpp"
#include "cellroute/status.hpp"
#include "structs.hpp"

namespace cellroute::capi {

// What a custom store that breaks its contract gets; the core's codes are a subset of ours.
inline ErrorCode broken_store() noexcept {
  return static_cast<ErrorCode>(CELLROUTE_E_BROKEN_STORE);
}

// Copies. Looks at every size before it reads: what is longer than any rule allows is
// CELLROUTE_E_INVALID_ARGUMENT. Whether the record keeps the rules is broken_rule()'s to say.
std::int32_t read_record(const cellroute_record* from, MappingRecord& to);

// A record as C sees it, for as long as both live.
class RecordView {
 public:
  // A record of a store, which keeps the rules and their bounds.
  explicit RecordView(const MappingRecord& record) noexcept;
  RecordView(const RecordView&) = delete;
  RecordView& operator=(const RecordView&) = delete;

  const cellroute_record* get() const noexcept { return &view_; }

 private:
  void set_profile(const MappedProfile& profile) noexcept;

  cellroute_record view_{};
  std::array<cellroute_view, kMaxMappedFlags> flags_;
  std::array<cellroute_past, kMaxHistory> history_;
};

}  // namespace cellroute::capi
