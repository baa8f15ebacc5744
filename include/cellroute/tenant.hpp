// The tenant of an HTTP request: which key it is for, by the topology's section `tenant`.
//
// A request names its tenant in its host, path, headers, query, cookies or verified claims. Those
// who forward it may read each of them in more than one way; so extraction takes only what all read
// alike, and refuses the rest with a reason. In the order of a request's way:
//   tenant/request.hpp       the request, undecoded
//   tenant/target.hpp        its target cut into authority, path and query
//   tenant/host.hpp          the one form of a host
//   tenant/path_pattern.hpp  the tenant's segment of a path
//   tenant/pairs.hpp         queries and cookies
//   tenant/key_writer.hpp    the key, found once or several times alike
//   tenant/rules.hpp         all that the topology says about it, compiled
//   tenant/client_address.hpp  who asked, through trusted proxies
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "cellroute/decision.hpp"
#include "cellroute/key.hpp"
#include "cellroute/tenant/client_address.hpp"
#include "cellroute/tenant/host.hpp"
#include "cellroute/tenant/key_writer.hpp"
#include "cellroute/tenant/pairs.hpp"
#include "cellroute/tenant/path_pattern.hpp"
#include "cellroute/tenant/request.hpp"
#include "cellroute/tenant/rules.hpp"
#include "cellroute/tenant/target.hpp"

namespace cellroute {

inline constexpr std::uint32_t kNoTenantSource = 0xffff'ffff;

// Thread safety: a plain value; the key is in the caller's room.
struct Extracted {
  Reason reason = Reason::kNone;  // kNone: there is a key
  // The first of the sources that named the key, or the one at fault, by its place.
  std::uint32_t source = kNoTenantSource;
  std::string_view key;

  // OK, INVALID_ARGUMENT or UNAUTHENTICATED.
  constexpr Status status() const noexcept {
    if (reason == Reason::kNone) return Status::kOk;
    return reason == Reason::kClaimMissing ? Status::kUnauthenticated : Status::kInvalidArgument;
  }
};

namespace tenant {

template <class Fields>
class Extraction {
 public:
  Extraction(const Rules& rules, const HttpRequest<Fields>& request,
             std::span<char, kMaxKeyBytes> room) noexcept
      : rules_(rules), request_(request), key_(room, rules.characters()) {}

  Extracted run() noexcept {
    std::uint32_t named_by = kNoTenantSource;
    bool claims_alone = true;
    for (std::uint32_t i = 0; i < rules_.sources().size(); ++i) {
      const Source& source = rules_.sources()[i];
      claims_alone = claims_alone && source.kind == TenantSourceKind::kClaim;
      found_here_ = false;
      if (const Reason reason = look(source); reason != Reason::kNone) return {reason, i, {}};
      if (!found_here_ && source.required) return {missing(source.kind), i, {}};
      if (!found_here_) continue;
      if (named_by == kNoTenantSource) named_by = i;
      if (rules_.first_wins()) break;
    }
    if (named_by != kNoTenantSource) return {Reason::kNone, named_by, key_.key()};
    return {claims_alone ? Reason::kClaimMissing : Reason::kTenantMissing, kNoTenantSource, {}};
  }

 private:
  static Reason missing(TenantSourceKind kind) noexcept {
    return kind == TenantSourceKind::kClaim ? Reason::kClaimMissing : Reason::kTenantMissing;
  }

  Reason look(const Source& source) noexcept {
    switch (source.kind) {
      case TenantSourceKind::kHosts:
      case TenantSourceKind::kSubdomain: return look_at_host(source);
      case TenantSourceKind::kPath: return look_at_path(source);
      case TenantSourceKind::kHeader: return look_at_headers(source);
      case TenantSourceKind::kQuery: return look_at_query(source);
      case TenantSourceKind::kCookie: return look_at_cookies(source);
      case TenantSourceKind::kClaim: return look_at_claims(source);
    }
    return Reason::kNone;
  }

  Reason take(std::string_view text, Encoding encoding, bool lower) noexcept {
    found_here_ = true;
    return key_.take(text, encoding, lower);
  }

  const Target& target() noexcept {
    if (!target_) target_ = parse_target(request_.target);
    return *target_;
  }

  // The request's one host. The authority of HTTP/2, the Host header and an absolute target must
  // agree where there are several (RFC 9112, 3.2; RFC 9113, 8.3.1); an absolute target alone does
  // not do, since it is not forwarded as one.
  Reason find_host() noexcept {
    std::string_view header;
    std::size_t headers = 0;
    for (std::size_t i = 0; i < request_.headers.size(); ++i) {
      const HttpField field = request_.headers[i];
      if (!same_name(field.name, "host")) continue;
      header = trimmed(field.value);
      ++headers;
    }
    if (headers > 1) return Reason::kHostAmbiguous;
    if (!target().sound) return Reason::kPathMalformed;
    std::string_view first = request_.authority;
    if (first.empty()) first = header;
    if (first.empty()) return target().absolute ? Reason::kHostAmbiguous : Reason::kNone;
    host_ = Host::canonical(first);
    if (host_->kind() == HostKind::kMalformed) return Reason::kHostMalformed;
    const bool both = !request_.authority.empty() && headers == 1;
    if (both && !is_same_host(header)) return Reason::kHostAmbiguous;
    if (target().absolute && !is_same_host(target().authority)) return Reason::kHostAmbiguous;
    return Reason::kNone;
  }

  bool is_same_host(std::string_view authority) const noexcept {
    const Host other = Host::canonical(authority);
    return other.kind() != HostKind::kMalformed && other.text() == host_->text();
  }

  Reason look_at_host(const Source& source) noexcept {
    if (!looked_for_host_) {
      looked_for_host_ = true;
      if (const Reason reason = find_host(); reason != Reason::kNone) return reason;
    }
    if (!host_ || host_->kind() != HostKind::kName) return Reason::kNone;
    const std::string_view host = host_->text();
    if (source.kind == TenantSourceKind::kHosts) {
      const std::uint32_t place = source.hosts.find(host);
      if (place == NameIndex::kNone) return Reason::kNone;
      return take(source.tenants[place], Encoding::kPlain, false);
    }
    const std::string_view label = source.label_of(host);
    return label.empty() ? Reason::kNone : take(label, Encoding::kPlain, false);
  }

  Reason look_at_path(const Source& source) noexcept {
    if (!target().sound || !is_plain_path(target().path)) return Reason::kPathMalformed;
    std::string_view segment;
    switch (source.pattern.match(target().path, segment)) {
      case PathMatch::kNone: return Reason::kNone;
      case PathMatch::kAmbiguous: return Reason::kPathMalformed;
      case PathMatch::kTenant: break;
    }
    return take(segment, Encoding::kPercent, source.lower);
  }

  Reason look_at_headers(const Source& source) noexcept {
    for (std::size_t i = 0; i < request_.headers.size(); ++i) {
      const HttpField field = request_.headers[i];
      if (!alike(field.name, source.name)) continue;
      if (!same_name(field.name, source.name)) return Reason::kHeaderAmbiguous;
      const Reason reason = take(trimmed(field.value), Encoding::kPlain, source.lower);
      if (reason != Reason::kNone) return reason;
    }
    return Reason::kNone;
  }

  // Some cut queries at ';' too: a parameter that only they see, or see shorter, is refused.
  Reason look_at_query(const Source& source) noexcept {
    if (!target().sound) return Reason::kPathMalformed;
    Pairs pairs(target().query, "&;");
    for (Pair pair; pairs.next(pair);) {
      if (!decodes_to(pair.name, source.name)) continue;
      if (pair.before == ';' || pair.after == ';') return Reason::kTenantMalformed;
      const Reason reason = take(pair.value, Encoding::kPercent, source.lower);
      if (reason != Reason::kNone) return reason;
    }
    return Reason::kNone;
  }

  Reason look_at_cookies(const Source& source) noexcept {
    for (std::size_t i = 0; i < request_.headers.size(); ++i) {
      const HttpField field = request_.headers[i];
      if (!same_name(field.name, "cookie")) continue;
      Pairs pairs(field.value, ";");
      for (Pair pair; pairs.next(pair);) {
        if (trimmed(pair.name) != source.name) continue;
        const Reason reason = take(trimmed(pair.value), Encoding::kPlain, source.lower);
        if (reason != Reason::kNone) return reason;
      }
    }
    return Reason::kNone;
  }

  Reason look_at_claims(const Source& source) noexcept {
    for (std::size_t i = 0; i < request_.claims.size(); ++i) {
      const HttpField claim = request_.claims[i];
      if (claim.name != source.name) continue;
      const Reason reason = take(claim.value, Encoding::kPlain, source.lower);
      if (reason != Reason::kNone) return reason;
    }
    return Reason::kNone;
  }

  const Rules& rules_;
  const HttpRequest<Fields>& request_;
  KeyWriter key_;
  std::optional<Target> target_;
  std::optional<Host> host_;
  bool looked_for_host_ = false;
  bool found_here_ = false;
};

}  // namespace tenant

// The key that `request` is for, written into `room`, or why there is none. With several sources
// all that name a tenant must name the same one, unless the topology says that the first wins: then
// those behind it are not looked at. Within one source all occurrences must agree always. Takes
// time linear in the request's bytes. No I/O, allocation, lock, system call or clock.
template <class Fields>
Extracted extract(const tenant::Rules& rules, const HttpRequest<Fields>& request,
                  std::span<char, kMaxKeyBytes> room) noexcept {
  return tenant::Extraction<Fields>(rules, request, room).run();
}

}  // namespace cellroute
