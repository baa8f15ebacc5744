// Where a request came from, through proxies that say so (RFC 7239's older sibling,
// X-Forwarded-For).
#pragma once

#include <cstdint>
#include <string_view>

#include "cellroute/address.hpp"
#include "cellroute/decision.hpp"
#include "cellroute/tenant/pairs.hpp"
#include "cellroute/tenant/request.hpp"
#include "cellroute/tenant/rules.hpp"

namespace cellroute {

// Thread safety: a plain value; the view is into the request.
struct ClientAddress {
  Reason reason = Reason::kNone;  // kAddressMalformed: `address` is the proxy that sent nonsense
  std::uint32_t hops = 0;         // trusted proxies in between
  std::string_view address;
};

namespace tenant {

// The address in `1.2.3.4`, `1.2.3.4:5678`, `2001:db8::1` or `[2001:db8::1]:5678`; or nothing.
constexpr std::string_view forwarded_address(std::string_view entry) noexcept {
  std::string_view address = entry;
  std::string_view port;
  if (entry.starts_with('[')) {
    const std::size_t close = entry.find(']');
    if (close == std::string_view::npos) return {};
    address = entry.substr(1, close - 1);
    port = entry.substr(close + 1);
    if (!parse_ipv6(address)) return {};
  } else if (const std::size_t colon = entry.find(':');
             colon != std::string_view::npos && colon == entry.rfind(':')) {
    address = entry.substr(0, colon);
    port = entry.substr(colon);
  }
  const bool sound = port.empty() || (port[0] == ':' && small_number(port.substr(1), 65'535) > 0);
  return sound && parse_address(address) ? address : std::string_view();
}

}  // namespace tenant

// The client's address: X-Forwarded-For from its right end, as far as trusted proxies wrote it.
// The first address that is none of theirs is the client's; where all are, the last one read is.
// Linear in the headers' bytes. No I/O, allocation, lock or system call.
template <class Fields>
ClientAddress client_address(const tenant::Rules& rules,
                             const HttpRequest<Fields>& request) noexcept {
  ClientAddress client{.address = request.peer};
  if (!rules.is_trusted_proxy(client.address)) return client;
  for (std::size_t i = request.headers.size(); i-- > 0;) {
    const HttpField header = request.headers[i];
    if (!tenant::same_name(header.name, "x-forwarded-for")) continue;
    std::string_view rest = header.value;
    for (bool more = true; more;) {
      const std::size_t comma = rest.rfind(',');
      more = comma != std::string_view::npos;
      const std::string_view entry = tenant::trimmed(more ? rest.substr(comma + 1) : rest);
      rest = rest.substr(0, more ? comma : 0);
      if (entry.empty()) continue;
      const std::string_view address = tenant::forwarded_address(entry);
      if (address.empty()) {
        client.reason = Reason::kAddressMalformed;
        return client;
      }
      client.address = address;
      ++client.hops;
      if (!rules.is_trusted_proxy(address)) return client;
    }
  }
  return client;
}

}  // namespace cellroute
