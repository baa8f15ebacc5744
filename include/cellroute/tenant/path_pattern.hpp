// Where in a path the tenant stands: `/tenant/{tenant}` is the tenant of /tenant/acme/orders.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cellroute/ascii.hpp"
#include "cellroute/tenant/percent.hpp"
#include "cellroute/tenant/target.hpp"

namespace cellroute::tenant {

inline constexpr std::string_view kTenantSegment = "{tenant}";

// v1, v2, v2024: what APIs put before their paths.
constexpr bool is_version(std::string_view encoded) noexcept {
  PercentReader reader(encoded);
  char c = 0;
  if (!reader.next(c) || c != 'v') return false;
  int digits = 0;
  for (; reader.next(c); ++digits) {
    if (!ascii::is_digit(c)) return false;
  }
  return digits >= 1 && digits <= 4 && !reader.broken();
}

enum class PathMatch : std::uint8_t { kNone, kTenant, kAmbiguous };

// Thread safety: immutable; any number of threads may match.
class PathPattern {
 public:
  PathPattern() = default;
  // `pattern` begins with '/' and has one segment {tenant} (check/tenant.hpp). With
  // `version_prefix` a path may have a version before it.
  PathPattern(std::string_view pattern, bool version_prefix) : version_prefix_(version_prefix) {
    Segments segments(pattern);
    for (std::string_view segment; segments.next(segment);) segments_.emplace_back(segment);
  }

  // `tenant` becomes the segment, still encoded. kAmbiguous: an empty segment, which many leave
  // out, stands among those that are compared.
  PathMatch match(std::string_view path, std::string_view& tenant) const noexcept {
    Segments segments(path);
    std::string_view segment;
    if (!segments.next(segment)) return PathMatch::kNone;
    if (version_prefix_ && is_version(segment) && !segments.next(segment)) return PathMatch::kNone;
    for (std::size_t i = 0; i < segments_.size(); ++i) {
      if (i > 0 && !segments.next(segment)) return PathMatch::kNone;
      if (segment.empty()) return segments.at_end() ? PathMatch::kNone : PathMatch::kAmbiguous;
      if (segments_[i] == kTenantSegment) {
        tenant = segment;
      } else if (!decodes_to(segment, segments_[i])) {
        return PathMatch::kNone;
      }
    }
    return PathMatch::kTenant;
  }

 private:
  std::vector<std::string> segments_;
  bool version_prefix_ = false;
};

}  // namespace cellroute::tenant
