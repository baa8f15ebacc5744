// One exchange as libcurl makes it: its options, and what its callbacks fill.
#pragma once

#include <curl/curl.h>

#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include "cellroute/status.hpp"
#include "net/deadline.hpp"
#include "net/http_client.hpp"

namespace cellroute::net {

// Thread safety: one thread at a time. Stays where it is while its handle is at work.
class HttpTransfer {
 public:
  // `request` must outlive it.
  explicit HttpTransfer(const HttpRequest& request);
  ~HttpTransfer();
  HttpTransfer(const HttpTransfer&) = delete;
  HttpTransfer& operator=(const HttpTransfer&) = delete;

  // Sets all of the handle's options.
  CURLcode prepare(CURL* handle, const std::string& authorities, Deadline deadline);

  // Whether the server may have the request.
  bool sent() const noexcept { return sent_; }

  // The reply, or why there is none, of a handle that ended with `code`.
  Result<HttpReply> finish(CURL* handle, CURLcode code);

 private:
  static std::size_t take_body(char* bytes, std::size_t, std::size_t size, void* to) noexcept;
  static std::size_t take_header(char*, std::size_t, std::size_t size, void* to) noexcept;
  static int before_sending(void* of, char*, char*, int, int) noexcept;

  const HttpRequest& request_;
  curl_slist* headers_ = nullptr;
  bool no_memory_ = false;
  HttpReply reply_;
  std::size_t header_bytes_ = 0;
  bool sent_ = false;
  std::array<char, CURL_ERROR_SIZE> text_{};
};

}  // namespace cellroute::net
