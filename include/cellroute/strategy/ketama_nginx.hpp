// ketama-nginx: the ring of nginx's `hash $key consistent`, so that its keys stay where they are
// (it is Cache::Memcached::Fast's ring too). Written from nginx 1.22.1's behaviour; tests/peers
// compares the two.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cellroute/strategy/detail/checks.hpp"
#include "cellroute/strategy/detail/crc32.hpp"
#include "cellroute/strategy/detail/ring_index.hpp"
#include "cellroute/strategy/strategy.hpp"

namespace cellroute {

// The server's name is Member::ketama_name (the id, if empty), as it stands in nginx's `server`
// line: host, host:port or unix:/path. nginx does not add a port that the line leaves out, nor
// does this. A member of weight w, a whole number, has 160 * w points; of equal points the lower
// id's counts, as in an nginx whose servers stand in that order. The seed plays no part.
// Immutable once built; any number of threads.
class KetamaNginx {
 public:
  static constexpr std::string_view kName = "ketama-nginx";
  static constexpr bool kMinimal = true;
  static constexpr bool kOrdered = false;
  static constexpr unsigned kPointBits = 32;
  static constexpr std::uint64_t kPointsPerUnit = 160;

  static Result<KetamaNginx> build(std::span<const Member> members,
                                   const StrategyOptions& options) {
    if (Error e = detail::check_members(kName, members, kOrdered); !e.ok()) return e;
    if (Error e = detail::check_whole_weights(kName, members); !e.ok()) return e;
    std::vector<std::string> names;
    std::uint64_t points = 0;
    for (const Member& member : members) {
      names.push_back(server_name(member));
      points += points_of(member);
    }
    if (Error e = detail::check_distinct_names(kName, names); !e.ok()) return e;
    if (Error e = detail::check_ring_size(kName, points, Index::kMaxPoints); !e.ok()) return e;
    if (Error e = detail::check_table_bytes(kName, Index::bytes_for(points), options); !e.ok()) {
      return e;
    }
    std::vector<Index::Owned> owned;
    owned.reserve(points);
    for (std::size_t i = 0; i < members.size(); ++i) {
      const std::uint32_t base = detail::crc32_update(detail::kCrc32Start, names[i]);
      std::uint32_t point = 0;
      for (std::uint64_t k = points_of(members[i]); k > 0; --k) {
        point = ~detail::crc32_update(base, point);  // each from the one before
        owned.push_back({point, static_cast<std::uint16_t>(i), members[i].cell});
      }
    }
    return KetamaNginx(Index(std::move(owned)));
  }

  static constexpr Point point(std::string_view key, std::uint64_t) noexcept {
    return {detail::crc32(key), 0};
  }

  CellIndex pick(Point point) const noexcept {
    return index_.owner(static_cast<std::uint32_t>(point.lo));
  }

  std::size_t table_bytes() const noexcept { return index_.bytes(); }

 private:
  using Index = detail::RingIndex<std::uint32_t>;

  explicit KetamaNginx(Index index) : index_(std::move(index)) {}

  static constexpr std::uint64_t points_of(const Member& member) noexcept {
    return kPointsPerUnit * (member.weight / kUnitWeight);
  }

  // What nginx hashes for a server: host, NUL, port. The port is what follows the last colon, if
  // that is digits alone (or nothing); a socket's host is its path.
  static std::string server_name(const Member& member) {
    const std::string_view name = member.ketama_name.empty() ? member.id : member.ketama_name;
    if (is_socket(name)) return std::string(name.substr(5)) + '\0';
    const std::size_t colon = name.find_last_not_of("0123456789");
    if (colon == name.npos || name[colon] != ':') return std::string(name) + '\0';
    return std::string(name.substr(0, colon)) + '\0' + std::string(name.substr(colon + 1));
  }

  static bool is_socket(std::string_view name) noexcept {
    constexpr std::string_view kPrefix = "unix:";
    if (name.size() < kPrefix.size()) return false;
    for (std::size_t i = 0; i < kPrefix.size(); ++i) {
      const char lower = static_cast<char>(name[i] | 0x20);  // sets nothing in ':'
      if (lower != kPrefix[i]) return false;
    }
    return true;
  }

  Index index_;
};

static_assert(Strategy<KetamaNginx>);

}  // namespace cellroute
