#include "net/http_client.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "net/curl_setter.hpp"
#include "net/no_sigpipe.hpp"

namespace cellroute::net {
namespace {

constexpr std::size_t kMaxIdle = 8;
constexpr long kIdleSeconds = 60;

// What libcurl's callbacks fill.
struct Transfer {
  HttpReply reply;
  std::size_t header_bytes = 0;
  bool sent = false;
};

std::size_t take_body(char* bytes, std::size_t, std::size_t size, void* to) noexcept {
  Transfer& transfer = *static_cast<Transfer*>(to);
  if (size > kMaxHttpBodyBytes - transfer.reply.body.size()) return 0;
  try {
    transfer.reply.body.append(bytes, size);
  } catch (...) {
    return 0;
  }
  return size;
}

std::size_t take_header(char*, std::size_t, std::size_t size, void* to) noexcept {
  std::size_t& bytes = static_cast<Transfer*>(to)->header_bytes;
  if (size > kMaxHttpHeaderBytes - bytes) return 0;
  bytes += size;
  return size;
}

int before_sending(void* of, char*, char*, int, int) noexcept {
  return std::exchange(static_cast<Transfer*>(of)->sent, true) ? CURL_PREREQFUNC_ABORT
                                                               : CURL_PREREQFUNC_OK;
}

// A header list; null with `failed` where there is no memory.
class HeaderList {
 public:
  explicit HeaderList(const std::vector<std::string>& headers) {
    for (const std::string& header : headers) {
      curl_slist* const longer = ::curl_slist_append(list_, header.c_str());
      failed_ |= longer == nullptr;
      if (longer != nullptr) list_ = longer;
    }
  }
  ~HeaderList() { ::curl_slist_free_all(list_); }
  HeaderList(const HeaderList&) = delete;
  HeaderList& operator=(const HeaderList&) = delete;

  curl_slist* get() const noexcept { return list_; }
  bool failed() const noexcept { return failed_; }

 private:
  curl_slist* list_ = nullptr;
  bool failed_ = false;
};

void set_bounds(Setter& options, Deadline deadline, Transfer& transfer) {
  const long left = milliseconds_of(deadline.left());
  options.set(CURLOPT_NOSIGNAL, 1L);
  options.set(CURLOPT_QUICK_EXIT, 1L);  // no waiting for a look-up of a name that takes longer
  options.set(CURLOPT_TIMEOUT_MS, left);
  options.set(CURLOPT_CONNECTTIMEOUT_MS, left);
  options.set(CURLOPT_MAXCONNECTS, 1L);
  options.set(CURLOPT_MAXAGE_CONN, kIdleSeconds);
  options.set(CURLOPT_FOLLOWLOCATION, 0L);
  options.set(CURLOPT_PROTOCOLS_STR, "http,https");
  options.set(CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_1_1});
  options.set(CURLOPT_WRITEFUNCTION, &take_body);
  options.set(CURLOPT_WRITEDATA, &transfer);
  options.set(CURLOPT_HEADERFUNCTION, &take_header);
  options.set(CURLOPT_HEADERDATA, &transfer);
  options.set(CURLOPT_PREREQFUNCTION, &before_sending);
  options.set(CURLOPT_PREREQDATA, &transfer);
}

void set_request(Setter& options, const HttpRequest& request, const HeaderList& headers) {
  options.set(CURLOPT_URL, request.url.c_str());
  options.set(CURLOPT_HTTPHEADER, headers.get());
  if (request.direct) options.set(CURLOPT_NOPROXY, "*");
  if (request.body != nullptr) {
    options.set(CURLOPT_POST, 1L);
    options.set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body->size()));
    options.set(CURLOPT_POSTFIELDS, request.body->c_str());
  }
  if (request.signing == nullptr) return;
  const HttpSigning& by = *request.signing;
  const std::string scope = "aws:amz:" + std::string(by.region) + ":" + std::string(by.service);
  options.set(CURLOPT_AWS_SIGV4, scope.c_str());
  options.set(CURLOPT_USERNAME, std::string(by.key_id).c_str());
  options.set(CURLOPT_PASSWORD, std::string(by.secret).c_str());
}

Error unavailable(const std::string& url, const std::string& what) {
  return Error(ErrorCode::kUnavailable, url + ": " + what);
}

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
  if (deadline.passed()) return unavailable(request.url, "no answer in time");
  if (Error error = initialize_curl(); !error.ok()) return error;
  Handle handle = take();
  const HeaderList headers(request.headers);
  if (handle == nullptr || headers.failed()) return unavailable(request.url, "no memory");
  Transfer transfer;
  std::array<char, CURL_ERROR_SIZE> text{};
  Setter options(handle.get());
  set_bounds(options, deadline, transfer);
  set_request(options, request, headers);
  options.set(CURLOPT_ERRORBUFFER, text.data());
  CURLcode code = options.code();
  if (code == CURLE_OK) {
    const NoSigpipe quiet;
    code = ::curl_easy_perform(handle.get());
    sent = transfer.sent;
  }
  if (code != CURLE_OK) {
    return unavailable(request.url, text[0] != '\0' ? text.data() : ::curl_easy_strerror(code));
  }
  ::curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &transfer.reply.status);
  give_back(std::move(handle));
  return std::move(transfer.reply);
}

}  // namespace cellroute::net
