// Options of libcurl's handles.
#pragma once

#include <curl/curl.h>

#include <algorithm>
#include <limits>

#include "cellroute/time.hpp"

namespace cellroute::net {

// Sets options of one handle; the first that fails stays.
class Setter {
 public:
  explicit Setter(CURL* handle) : handle_(handle) {}

  template <class Value>
  void set(CURLoption option, Value value) {
    if (code_ == CURLE_OK) code_ = ::curl_easy_setopt(handle_, option, value);
  }
  CURLcode code() const noexcept { return code_; }

 private:
  CURL* handle_;
  CURLcode code_ = CURLE_OK;
};

// As libcurl takes times; never 0, which it takes for none.
inline long milliseconds_of(Nanos time) {
  const Nanos rounded_up = time / kMillisecond + (time % kMillisecond != 0 ? 1 : 0);
  return static_cast<long>(
      std::clamp(rounded_up, Nanos{1}, Nanos{std::numeric_limits<int>::max()}));
}

}  // namespace cellroute::net
