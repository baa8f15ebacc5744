// Several HTTP exchanges at once, of one thread.
#pragma once

#include <curl/curl.h>

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "cellroute/status.hpp"
#include "net/deadline.hpp"
#include "net/http_client.hpp"

namespace cellroute::net {

// As HttpClient, but over connections of its own, which are used again until it ends. What is under
// way when it ends is given up.
//
// Thread safety: one thread at a time.
class HttpBatch {
 public:
  explicit HttpBatch(std::string authorities);
  ~HttpBatch();
  HttpBatch(const HttpBatch&) = delete;
  HttpBatch& operator=(const HttpBatch&) = delete;

  // Begins one, which ends by the deadline; `request` must live until then. `id` is the caller's,
  // and of no other that is under way.
  Error start(std::size_t id, const HttpRequest& request, Deadline deadline);

  struct Ended {
    std::size_t id = 0;
    Result<HttpReply> reply;
    bool sent = false;  // the server may have the request
  };
  // One that ended, or nothing by `until`.
  std::optional<Ended> next(Deadline until);

  std::size_t under_way() const noexcept { return under_way_.size(); }

 private:
  struct Exchange;

  std::optional<Ended> take_ended();

  const std::string authorities_;
  CURLM* multi_ = nullptr;
  std::map<CURL*, std::unique_ptr<Exchange>> under_way_;
};

}  // namespace cellroute::net
