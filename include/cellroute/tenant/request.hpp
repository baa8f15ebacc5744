// An HTTP request as extraction reads it, and how names of headers compare.
#pragma once

#include <cstddef>
#include <string_view>

#include "cellroute/ascii.hpp"

namespace cellroute {

// A header, or a verified claim. Thread safety: a plain value of views.
struct HttpField {
  std::string_view name;
  std::string_view value;
};

// A request as the host received it, undecoded: what a host has normalised hides what is forwarded.
// `Fields` has size() and an operator[] that gives an HttpField, as std::span<const HttpField> has.
// Thread safety: a plain value of views.
template <class Fields>
struct HttpRequest {
  std::string_view authority;  // :authority of HTTP/2 and 3; empty: none
  std::string_view target;     // the request line's, or :path
  std::string_view peer;       // the connection's other end: an address, or unix:...
  Fields headers;              // all, in order, with Host and duplicates
  Fields claims;               // of a token that was verified, and of no other
};

namespace tenant {

// Names of headers have no case (RFC 9110, 5.1).
constexpr bool same_name(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (ascii::lower(a[i]) != ascii::lower(b[i])) return false;
  }
  return true;
}

// Whether CGI and its like (RFC 3875, 4.1.18) may make one variable of both names: all but letters
// and digits is one sign there.
constexpr bool alike(std::string_view a, std::string_view b) noexcept {
  constexpr auto sign = [](char c) {
    return ascii::is_letter(c) || ascii::is_digit(c) ? ascii::lower(c) : '_';
  };
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (sign(a[i]) != sign(b[i])) return false;
  }
  return true;
}

}  // namespace tenant
}  // namespace cellroute
