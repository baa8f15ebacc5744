// Where a cell is reached: scheme://host[:port][/path], host:port or unix:/path.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "cellroute/check/problems.hpp"

namespace cellroute::check {

inline constexpr std::size_t kMaxEndpointBytes = 1'024;
inline constexpr std::size_t kMaxUnixPathBytes = 107;  // what the kernel's sockaddr_un holds

constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
constexpr bool is_letter(char c) noexcept { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }
constexpr bool is_hex_digit(char c) noexcept {
  return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

// Decimal, without a sign or leading zeros; -1 if it is none or above `most`.
constexpr std::int32_t small_number(std::string_view text, std::int32_t most) noexcept {
  if (text.empty() || text.size() > 5 || (text.size() > 1 && text[0] == '0')) return -1;
  std::int32_t value = 0;
  for (const char c : text) {
    if (!is_digit(c)) return -1;
    value = value * 10 + (c - '0');
  }
  return value <= most ? value : -1;
}

// Four decimal numbers up to 255 (RFC 3986, IPv4address).
constexpr bool is_ipv4(std::string_view text) noexcept {
  for (int part = 0; part < 4; ++part) {
    const std::size_t dot = text.find('.');
    if ((dot == std::string_view::npos) != (part == 3)) return false;
    if (small_number(text.substr(0, dot), 255) < 0) return false;
    text.remove_prefix(part == 3 ? text.size() : dot + 1);
  }
  return true;
}

// Without brackets (RFC 3986, IPv6address): eight groups, one run of zeros may be `::`, the last
// two may be an IPv4 address. No zone.
constexpr bool is_ipv6(std::string_view text) noexcept {
  int groups = 0;
  bool gap = false;
  if (text.starts_with(':') && !text.starts_with("::")) return false;
  while (!text.empty()) {
    if (text.starts_with("::")) {
      if (gap) return false;
      gap = true;
      text.remove_prefix(2);
      continue;
    }
    if (text.starts_with(':')) text.remove_prefix(1);
    const std::size_t end = text.find(':');
    const std::string_view group = text.substr(0, end);
    if (end == std::string_view::npos && group.find('.') != std::string_view::npos) {
      groups += 2;
      return is_ipv4(group) && (gap ? groups <= 7 : groups == 8);
    }
    if (group.empty() || group.size() > 4) return false;
    for (const char c : group) {
      if (!is_hex_digit(c)) return false;
    }
    ++groups;
    text.remove_prefix(group.size());
  }
  return gap ? groups <= 7 : groups == 8;
}

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
      if (!is_letter(c) && !is_digit(c) && c != '-' && c != '_') return false;
    }
    if (dot == std::string_view::npos) break;
    rest.remove_prefix(dot + 1);
  }
  // A name that ends in a number is an address (WHATWG URL, 3.5).
  const bool is_number = label.find_first_not_of("0123456789") == std::string_view::npos;
  return !is_number || is_ipv4(host);
}

// Why `authority`, host[:port], is none; or nothing.
inline std::string authority_problem(std::string_view authority, bool needs_port) {
  if (authority.find('@') != std::string_view::npos) return "holds user information: leave it out";
  std::string_view host = authority;
  std::string_view rest;
  if (authority.starts_with('[')) {
    const std::size_t close = authority.find(']');
    if (close == std::string_view::npos || !is_ipv6(authority.substr(1, close - 1))) {
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
  bool sound = !scheme.empty() && is_letter(scheme[0]);
  for (const char c : scheme) {
    sound = sound && (is_letter(c) || is_digit(c) || c == '+' || c == '-' || c == '.');
  }
  if (!sound) return "has no scheme such as https: " + check::quoted(scheme);
  const std::string_view rest = endpoint.substr(colon + 3);
  return authority_problem(rest.substr(0, rest.find('/')), false);
}

}  // namespace cellroute::check
