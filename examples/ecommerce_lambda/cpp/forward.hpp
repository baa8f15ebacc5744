// One call to a cell, with one deadline for all of it.
#pragma once

#include <curl/curl.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "event.hpp"

namespace shop_front {

// How a call failed. `end` is what the router is told; for a cell that answered too much that is
// CELLROUTE_ANSWERED.
struct CallFailed {
  std::uint32_t end;
  std::string text;
};

struct CellAnswer {
  std::uint32_t status = 0;
  Headers headers;  // values as bytes
  std::string body;
  std::optional<CallFailed> failed;  // then the rest is of no use
};

// For one thread.
class CellClient {
 public:
  // Failure: libcurl cannot start.
  CellClient();

  // Redirects are the client's to follow. A connection a call: one kept may have died over a
  // freeze, and a write cannot be safely tried twice. The body of a HEAD is not sent.
  CellAnswer call(std::string_view endpoint, const ApiRequest& request, const Headers& headers,
                  std::chrono::milliseconds timeout);

 private:
  void prepare(const std::string& url, const ApiRequest& request,
               std::chrono::milliseconds timeout);

  std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl_;
  std::string authorities_;
};

}  // namespace shop_front
