#include "net/http_batch.hpp"

#include <utility>

#include "net/curl_setter.hpp"
#include "net/http_transfer.hpp"
#include "net/no_sigpipe.hpp"

namespace cellroute::net {
namespace {

Error no_memory() { return Error(ErrorCode::kUnavailable, "HTTP: no memory"); }

}  // namespace

struct HttpBatch::Exchange {
  explicit Exchange(std::size_t of, const HttpRequest& request) : id(of), transfer(request) {}
  ~Exchange() {
    if (handle == nullptr) return;
    const NoSigpipe quiet;  // TLS says goodbye
    if (multi != nullptr) ::curl_multi_remove_handle(multi, handle);
    ::curl_easy_cleanup(handle);
  }
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  const std::size_t id;
  HttpTransfer transfer;
  CURL* handle = nullptr;
  CURLM* multi = nullptr;  // it is in there
};

HttpBatch::HttpBatch(std::string authorities) : authorities_(std::move(authorities)) {}

HttpBatch::~HttpBatch() {
  under_way_.clear();
  const NoSigpipe quiet;
  ::curl_multi_cleanup(multi_);
}

Error HttpBatch::start(std::size_t id, const HttpRequest& request, Deadline deadline) {
  if (Error error = initialize_curl(); !error.ok()) return error;
  if (multi_ == nullptr) multi_ = ::curl_multi_init();
  auto exchange = std::make_unique<Exchange>(id, request);
  exchange->handle = ::curl_easy_init();
  if (multi_ == nullptr || exchange->handle == nullptr) return no_memory();
  const CURLcode code = exchange->transfer.prepare(exchange->handle, authorities_, deadline);
  if (code != CURLE_OK) return exchange->transfer.finish(exchange->handle, code).error();
  CURL* const handle = exchange->handle;
  const auto [place, added] = under_way_.emplace(handle, std::move(exchange));
  if (::curl_multi_add_handle(multi_, handle) != CURLM_OK) {
    under_way_.erase(place);
    return no_memory();
  }
  place->second->multi = multi_;
  return {};
}

std::optional<HttpBatch::Ended> HttpBatch::take_ended() {
  int left = 0;
  while (const CURLMsg* const message = ::curl_multi_info_read(multi_, &left)) {
    const auto found = under_way_.find(message->easy_handle);
    if (message->msg != CURLMSG_DONE || found == under_way_.end()) continue;
    const CURLcode code = message->data.result;
    const std::unique_ptr<Exchange> exchange = std::move(found->second);
    under_way_.erase(found);
    return Ended{exchange->id, exchange->transfer.finish(exchange->handle, code),
                 exchange->transfer.sent()};
  }
  return std::nullopt;
}

std::optional<HttpBatch::Ended> HttpBatch::next(Deadline until) {
  const NoSigpipe quiet;
  while (!under_way_.empty()) {
    int running = 0;
    (void)::curl_multi_perform(multi_, &running);  // a handle that fails says so itself
    if (auto ended = take_ended()) return ended;
    if (until.passed()) break;
    const long wait = milliseconds_of(until.left());
    (void)::curl_multi_poll(multi_, nullptr, 0, static_cast<int>(wait), nullptr);
  }
  return std::nullopt;
}

}  // namespace cellroute::net
