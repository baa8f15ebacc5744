// What the handles of cellroute.h are made of. The first word of each says which type it is, so
// that a handle of another type is noticed.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "cellroute.h"
#include "cellroute/mapping_store.hpp"
#include "cellroute/router.hpp"
#include "control/assign.hpp"
#include "counts.hpp"
#include "metric_counts.hpp"
#include "stores/fork_guard.hpp"
#include "stores/near_cache.hpp"

namespace cellroute::capi {

enum class Handle : std::uint32_t {
  kGone = 0,
  kTopology = 0x43527470,
  kSnapshot = 0x4352736e,
  kRouter = 0x43527274,
  kStore = 0x43527374,
  kPicker = 0x43527069,
  kMetrics = 0x43526d74,
};

// Cleared on destruction, so that a handle used afterwards is noticed where its memory is not yet
// somebody else's.
class Tag {
 public:
  explicit Tag(Handle type) noexcept : type_(type) {}
  ~Tag() { *const_cast<volatile Handle*>(&type_) = Handle::kGone; }
  Tag(const Tag&) = delete;
  Tag& operator=(const Tag&) = delete;

  bool is(Handle type) const noexcept { return type_ == type; }

 private:
  Handle type_;
};

// The rate at which first mappings may be written, kept as long as the policy stays.
// Thread safety: any thread.
class AssignmentCap {
 public:
  std::shared_ptr<AssignmentLimiter> limiter(const AssignmentRate& rate) {
    const std::lock_guard lock(mutex_);
    if (!limiter_ || !(rate == rate_)) {
      limiter_ = std::make_shared<AssignmentLimiter>(rate.requests, rate.period);
      rate_ = rate;
    }
    return limiter_;
  }

 private:
  std::mutex mutex_;
  AssignmentRate rate_;
  std::shared_ptr<AssignmentLimiter> limiter_;
};

}  // namespace cellroute::capi

struct cellroute_topology {
  cellroute::capi::Tag tag{cellroute::capi::Handle::kTopology};
  std::shared_ptr<const cellroute::CompiledTopology> compiled;
};

struct cellroute_snapshot {
  cellroute::capi::Tag tag{cellroute::capi::Handle::kSnapshot};
  std::shared_ptr<const cellroute::Snapshot> held;
};

struct cellroute_router {
  cellroute_router(std::unique_ptr<cellroute::Router> made, std::uint32_t lanes)
      : router(std::move(made)), counts(lanes) {}

  cellroute::capi::Tag tag{cellroute::capi::Handle::kRouter};
  const cellroute::stores::ForkGuard fork;
  const std::unique_ptr<cellroute::Router> router;
  cellroute::capi::Counts counts;
  cellroute::capi::AssignmentCap assignments;
  std::atomic<cellroute::Nanos> fresh{0};  // when what serves was last known to be; 0: not known
};

struct cellroute_store {
  cellroute::capi::Tag tag{cellroute::capi::Handle::kStore};
  std::shared_ptr<cellroute::MappingStore> store;
  const cellroute::MappingStore* origin = nullptr;  // behind all caches: `store`, if it is none
  cellroute::NearCache* cache = nullptr;            // `store`, if it is one
};

struct cellroute_picker {
  cellroute::capi::Tag tag{cellroute::capi::Handle::kPicker};
  cellroute::Picker picker;
  std::uint64_t seed = 0;
};

struct cellroute_metrics {
  cellroute::capi::Tag tag{cellroute::capi::Handle::kMetrics};
  std::unique_ptr<std::byte, decltype(&std::free)> own{nullptr, &std::free};
  cellroute::capi::MetricCounts counts;
};

namespace cellroute::capi {

inline std::int32_t check(const cellroute_topology* handle) noexcept {
  if (handle == nullptr) return CELLROUTE_E_NULL;
  return handle->tag.is(Handle::kTopology) ? CELLROUTE_OK : CELLROUTE_E_WRONG_HANDLE;
}
inline std::int32_t check(const cellroute_snapshot* handle) noexcept {
  if (handle == nullptr) return CELLROUTE_E_NULL;
  return handle->tag.is(Handle::kSnapshot) ? CELLROUTE_OK : CELLROUTE_E_WRONG_HANDLE;
}
inline std::int32_t check(const cellroute_store* handle) noexcept {
  if (handle == nullptr) return CELLROUTE_E_NULL;
  return handle->tag.is(Handle::kStore) ? CELLROUTE_OK : CELLROUTE_E_WRONG_HANDLE;
}
inline std::int32_t check(const cellroute_picker* handle) noexcept {
  if (handle == nullptr) return CELLROUTE_E_NULL;
  return handle->tag.is(Handle::kPicker) ? CELLROUTE_OK : CELLROUTE_E_WRONG_HANDLE;
}
inline std::int32_t check(const cellroute_metrics* handle) noexcept {
  if (handle == nullptr) [[unlikely]]
    return CELLROUTE_E_NULL;
  return handle->tag.is(Handle::kMetrics) ? CELLROUTE_OK : CELLROUTE_E_WRONG_HANDLE;
}
// A router serves in the process that created it alone.
inline std::int32_t check(const cellroute_router* handle) noexcept {
  if (handle == nullptr) [[unlikely]]
    return CELLROUTE_E_NULL;
  if (!handle->tag.is(Handle::kRouter)) [[unlikely]]
    return CELLROUTE_E_WRONG_HANDLE;
  return handle->fork.same_process() ? CELLROUTE_OK : CELLROUTE_E_FORKED;
}

}  // namespace cellroute::capi
