#include "net/http_client.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <utility>

#include "net/http_transfer.hpp"
#include "net/no_sigpipe.hpp"

namespace cellroute::net {
namespace {

constexpr std::size_t kMaxIdle = 8;

}  // namespace

Error initialize_curl() {
  static const CURLcode code = ::curl_global_init(CURL_GLOBAL_DEFAULT);
  if (code == CURLE_OK) return {};
  return Error(ErrorCode::kUnavailable, std::string("libcurl: ") + ::curl_easy_strerror(code));
}

void HttpClient::Free::operator()(CURL* handle) const noexcept {
  const NoSigpipe quiet;  // TLS says goodbye
  ::curl_easy_cleanup(handle);
}

// A child's copies of connections are the parent's as well: what closing one would send must go
// nowhere.
HttpClient::~HttpClient() {
  if (fork_.same_process()) return;
  const int nowhere = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const Handle& handle : idle_) {
    curl_socket_t socket = CURL_SOCKET_BAD;
    const CURLcode code = ::curl_easy_getinfo(handle.get(), CURLINFO_ACTIVESOCKET, &socket);
    if (code == CURLE_OK && socket != CURL_SOCKET_BAD) (void)::dup2(nowhere, socket);
  }
  ::close(nowhere);
}

HttpClient::Handle HttpClient::take() {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      Handle handle = std::move(idle_.back());
      idle_.pop_back();
      return handle;
    }
  }
  return Handle(::curl_easy_init());
}

void HttpClient::give_back(Handle handle) {
  ::curl_easy_reset(handle.get());  // its connection stays
  const std::lock_guard lock(mutex_);
  if (idle_.size() < kMaxIdle) idle_.push_back(std::move(handle));
}

Result<HttpReply> HttpClient::exchange(const HttpRequest& request, Deadline deadline, bool& sent) {
  sent = false;
  if (deadline.passed()) {
    return Error(ErrorCode::kUnavailable, request.url + ": no answer in time");
  }
  if (Error error = initialize_curl(); !error.ok()) return error;
  HttpTransfer transfer(request);
  Handle handle = take();
  CURLcode code = handle == nullptr ? CURLE_OUT_OF_MEMORY
                                    : transfer.prepare(handle.get(), authorities_, deadline);
  if (code == CURLE_OK) {
    const NoSigpipe quiet;
    code = ::curl_easy_perform(handle.get());
    sent = transfer.sent();
  }
  Result<HttpReply> reply = transfer.finish(handle.get(), code);
  if (reply.ok()) give_back(std::move(handle));
  return reply;
}

}  // namespace cellroute::net
