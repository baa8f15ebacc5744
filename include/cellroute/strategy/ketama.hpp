// ketama: the ring of libmemcached's weighted ketama (MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED, which
// hashes with MD5), so that its clients' keys stay where they are. Written from libmemcached
// 1.1.4's behaviour; tests/peers compares the two.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cellroute/strategy/detail/checks.hpp"
#include "cellroute/strategy/detail/md5.hpp"
#include "cellroute/strategy/detail/ring_index.hpp"
#include "cellroute/strategy/detail/single.hpp"
#include "cellroute/strategy/strategy.hpp"

namespace cellroute {

// The server's name is Member::ketama_name (the id, if empty): host, host:port, [IPv6] or
// [IPv6]:port. Port 11211 and none are the same. A socket is /path:0 if it was added by
// memcached_server_add_unix_socket. Of equal points the lower id's counts, as in a libmemcached
// whose servers were added in that order.
//
// Weights are whole units. As in libmemcached, a server far below the mean may get no point and so
// no key; `verify` shows it. libmemcached itself stops at 100 servers, this does not. The seed
// plays no part. Immutable once built; any number of threads.
class Ketama {
 public:
  static constexpr std::string_view kName = "ketama";
  static constexpr bool kMinimal =
      false;  // a weight counts against the mean: all share counts move
  static constexpr bool kOrdered = false;
  static constexpr unsigned kPointBits = 32;

  static Result<Ketama> build(std::span<const Member> members, const StrategyOptions& options) {
    if (Error e = detail::check_members(kName, members, kOrdered); !e.ok()) return e;
    if (Error e = detail::check_whole_weights(kName, members); !e.ok()) return e;
    std::vector<std::string> names;
    for (const Member& member : members) {
      auto name = server_name(member);
      if (!name) return name.error();
      names.push_back(std::move(*name));
    }
    if (Error e = detail::check_distinct_names(kName, names); !e.ok()) return e;
    const std::vector<std::uint64_t> hashes = hashes_of(members);
    std::uint64_t points = 0;
    for (const std::uint64_t count : hashes) points += count * kPointsPerHash;
    if (Error e = detail::check_ring_size(kName, points, Index::kMaxPoints); !e.ok()) return e;
    if (Error e = detail::check_table_bytes(kName, Index::bytes_for(points), options); !e.ok()) {
      return e;
    }
    std::vector<Index::Owned> owned;
    owned.reserve(points);
    for (std::size_t i = 0; i < members.size(); ++i) {
      for (std::uint64_t k = 0; k < hashes[i]; ++k) {
        for (const std::uint32_t word : detail::md5(names[i] + '-' + std::to_string(k))) {
          owned.push_back({word, static_cast<std::uint16_t>(i), members[i].cell});
        }
      }
    }
    return Ketama(Index(std::move(owned)));
  }

  static constexpr Point point(std::string_view key, std::uint64_t) noexcept {
    return {detail::md5(key)[0], 0};
  }

  CellIndex pick(Point point) const noexcept {
    return index_.owner(static_cast<std::uint32_t>(point.lo));
  }

  std::size_t table_bytes() const noexcept { return index_.bytes(); }

 private:
  using Index = detail::RingIndex<std::uint32_t>;
  static constexpr std::uint64_t kPointsPerHash = 4;  // the words of one MD5 digest

  explicit Ketama(Index index) : index_(std::move(index)) {}

  static Error bad_name(const Member& member, std::string_view name, std::string_view what) {
    return invalid_argument(detail::at_cell(kName, member) + ": server name " +
                            detail::quoted(name) + ": " + std::string(what) +
                            "; set the cell's label ketama_name to host, host:port or [IPv6]:port");
  }

  // What libmemcached hashes for a server, but for the "-0", "-1", … after it.
  static Result<std::string> server_name(const Member& member) {
    constexpr std::uint32_t kDefaultPort = 11'211;
    const std::string_view name = member.ketama_name.empty() ? member.id : member.ketama_name;
    if (name.find('\0') != name.npos) return bad_name(member, name, "it contains a NUL byte");
    std::string_view host = name.substr(0, name.find(':'));
    std::string_view rest = name.substr(host.size());
    if (name.starts_with('[')) {
      const std::size_t close = name.find(']');
      if (close == name.npos) return bad_name(member, name, "']' is missing");
      host = name.substr(1, close - 1);
      rest = name.substr(close + 1);
    }
    if (host.empty()) return bad_name(member, name, "the host is missing");
    if (rest.empty()) return std::string(host);
    std::uint32_t port = 0;
    const char* end = rest.data() + rest.size();
    const auto parsed = std::from_chars(rest.data() + 1, end, port);
    if (rest[0] != ':' || parsed.ec != std::errc() || parsed.ptr != end || port > 65'535) {
      return bad_name(member, name, "what follows the host is no port from 0 to 65535");
    }
    if (port == 0 && !host.starts_with('/')) port = kDefaultPort;
    if (port == kDefaultPort) return std::string(host);
    return std::string(host) + ':' + std::to_string(port);
  }

  // How many MD5 digests each member gets. libmemcached computes, in single precision from left to
  // right, weight / total * 160 / 4 * servers + 1e-10, and rounds down. The last addition is left
  // out here: where it is not lost in rounding, the sum is far below 1.
  static std::vector<std::uint64_t> hashes_of(std::span<const Member> members) {
    std::uint64_t total = 0;
    for (const Member& member : members) total += member.weight / kUnitWeight;
    const detail::Single servers = detail::to_single(members.size());
    std::vector<std::uint64_t> hashes;
    hashes.reserve(members.size());
    for (const Member& member : members) {
      const detail::Single weight = detail::to_single(member.weight / kUnitWeight);
      const detail::Single share = weight / detail::to_single(total);
      const detail::Single per_server = share * detail::to_single(160) / detail::to_single(4);
      hashes.push_back(detail::whole_part(per_server * servers));
    }
    return hashes;
  }

  Index index_;
};

static_assert(Strategy<Ketama>);

}  // namespace cellroute
