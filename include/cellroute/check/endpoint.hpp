// Where a cell is reached: scheme://host[:port][/path], host:port or unix:/path.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "cellroute/address.hpp"
#include "cellroute/ascii.hpp"
#include "cellroute/check/problems.hpp"

namespace cellroute::check {

inline constexpr std::size_t kMaxEndpointBytes = 1'024;
inline constexpr std::size_t kMaxUnixPathBytes = 107;  // what the kernel's sockaddr_un holds

// A DNS name (RFC 1123, and the underscores that container networks use) or an IPv4 address.
constexpr bool is_host_name(std::string_view host) noexcept {
  if (host.ends_with('.')) host.remove_suffix(1);
  if (host.empty() || host.size() > 253) return false;
  std::string_view label;
  for (std::string_view rest = host;;) {
    const std::size_t dot = rest.find('.');
    label = rest.substr(0, dot);
    if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-') {
      return false;
    }
    for (const char c : label) {
      if (!ascii::is_letter(c) && !ascii::is_digit(c) && c != '-' && c != '_') return false;
    }
    if (dot == std::string_view::npos) break;
    rest.remove_prefix(dot + 1);
  }
  // A name that ends in a number is an address (WHATWG URL, 3.5).
  const bool is_number = label.find_first_not_of("0123456789") == std::string_view::npos;
  return !is_number || parse_ipv4(host).has_value();
}

// Why `authority`, host[:port], is none; or nothing.
inline std::string authority_problem(std::string_view authority, bool needs_port) {
  if (authority.find('@') != std::string_view::npos) return "holds user information: leave it out";
  std::string_view host = authority;
  std::string_view rest;
  if (authority.starts_with('[')) {
    const std::size_t close = authority.find(']');
    if (close == std::string_view::npos || !parse_ipv6(authority.substr(1, close - 1))) {
      return "has no IPv6 address in its brackets";
    }
    rest = authority.substr(close + 1);
  } else {
    host = authority.substr(0, authority.find(':'));
    rest = authority.substr(host.size());
    if (!is_host_name(host)) return "has no host name or address: " + check::quoted(host);
  }
  if (rest.empty()) {
    return needs_port ? "has no port: write host:port, or scheme://host" : "";
  }
  if (rest[0] != ':' || small_number(rest.substr(1), 65'535) < 1) {
    return "has no port from 1 to 65535: " + check::quoted(rest);
  }
  return "";
}

// Why `endpoint` is none, or nothing.
inline std::string endpoint_problem(std::string_view endpoint) {
  if (endpoint.empty()) return "is empty: leave it out";
  if (endpoint.size() > kMaxEndpointBytes) {
    return "has " + counted(endpoint.size()) + " bytes; at most " + counted(kMaxEndpointBytes);
  }
  for (const char c : endpoint) {
    if (c <= ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>') {
      return "has the character " + check::quoted({&c, 1}) + ", which must be percent-encoded";
    }
  }
  if (endpoint.find_first_of("?#") != std::string_view::npos) {
    return "has a query or a fragment: an endpoint ends with its path";
  }
  if (endpoint.starts_with("unix:")) {
    const std::string_view path = endpoint.substr(5);
    if (path.starts_with('/') && path.size() > 1 && path.size() <= kMaxUnixPathBytes) return "";
    return "is no unix:/path of at most 107 bytes";
  }
  const std::size_t colon = endpoint.find("://");
  if (colon == std::string_view::npos) return authority_problem(endpoint, true);
  const std::string_view scheme = endpoint.substr(0, colon);
  bool sound = !scheme.empty() && ascii::is_letter(scheme[0]);
  for (const char c : scheme) {
    sound =
        sound && (ascii::is_letter(c) || ascii::is_digit(c) || c == '+' || c == '-' || c == '.');
  }
  if (!sound) return "has no scheme such as https: " + check::quoted(scheme);
  const std::string_view rest = endpoint.substr(colon + 3);
  return authority_problem(rest.substr(0, rest.find('/')), false);
}

}  // namespace cellroute::check
