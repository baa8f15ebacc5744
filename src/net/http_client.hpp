// HTTP by libcurl: an exchange at a time for each thread, over connections that are kept.
#pragma once

#include <curl/curl.h>

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cellroute/status.hpp"
#include "net/deadline.hpp"
#include "stores/fork_guard.hpp"

namespace cellroute::net {

// A reply's bounds, beyond which it is an error: more than DynamoDB's longest (16 MB).
inline constexpr std::size_t kMaxHttpBodyBytes = std::size_t{32} << 20;
inline constexpr std::size_t kMaxHttpHeaderBytes = std::size_t{64} << 10;

// What signs a request (AWS Signature Version 4). Views must outlive the exchange.
struct HttpSigning {
  std::string_view key_id;
  std::string_view secret;
  std::string_view region;
  std::string_view service;
};

struct HttpRequest {
  std::string url;
  std::vector<std::string> headers;      // "Name: value", all of them signed
  const std::string* body = nullptr;     // null: a GET; else a POST
  const HttpSigning* signing = nullptr;  // null: not signed
  bool direct = false;                   // by no proxy, whatever the environment says
};

// Thread safety: a plain value.
struct HttpReply {
  long status = 0;
  std::string body;
};

// Follows no redirection, and sends a request once: libcurl by itself would send it again where a
// kept connection ends without a byte. By https it speaks TLS 1.2 or later, and always verifies the
// server's certificate and name. Proxies are those that libcurl finds in its environment. Names are
// looked up by a thread of libcurl's, which may outlast the call, not the deadline.
//
// Thread safety: any thread. Eight connections stay open, of which none is used after a minute.
// A copy in a child of fork() may be destroyed.
class HttpClient {
 public:
  // `authorities` is a file of the certificates (PEM) of those whose word on a server counts;
  // empty: the system's.
  explicit HttpClient(std::string authorities = {}) : authorities_(std::move(authorities)) {}
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // The reply, of whatever status. `sent` says whether the server may have the request.
  //   kUnavailable  there was none by the deadline, or it broke a bound
  //   kRefused      the server's certificate is of nobody who is trusted, or of another host, or
  //                 the file of authorities cannot be read
  Result<HttpReply> exchange(const HttpRequest& request, Deadline deadline, bool& sent);

 private:
  struct Free {
    void operator()(CURL* handle) const noexcept;
  };
  using Handle = std::unique_ptr<CURL, Free>;

  Handle take();
  void give_back(Handle handle);

  const stores::ForkGuard fork_;
  const std::string authorities_;
  std::mutex mutex_;
  std::vector<Handle> idle_;  // each with one connection at most
};

// Initializes libcurl for the process, once, from any thread (libcurl 7.84 and later); never
// undone, since the host may use libcurl too.
Error initialize_curl();

}  // namespace cellroute::net
