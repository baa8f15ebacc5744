#include "net/http_transfer.hpp"

#include <utility>

#include "net/curl_setter.hpp"

namespace cellroute::net {
namespace {

constexpr long kIdleSeconds = 60;

void set_bounds(Setter& options, Deadline deadline) {
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
}

// The server's certificate is always verified, and its name.
void set_trust(Setter& options, const std::string& authorities) {
  options.set(CURLOPT_SSLVERSION, long{CURL_SSLVERSION_TLSv1_2});
  options.set(CURLOPT_SSL_VERIFYPEER, 1L);
  options.set(CURLOPT_SSL_VERIFYHOST, 2L);
  if (authorities.empty()) return;
  options.set(CURLOPT_CAINFO, authorities.c_str());
  options.set(CURLOPT_CAPATH, nullptr);  // these alone
}

void set_request(Setter& options, const HttpRequest& request, const curl_slist* headers) {
  options.set(CURLOPT_URL, request.url.c_str());
  options.set(CURLOPT_HTTPHEADER, headers);
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

// Trying again would not help: whom to trust is ours to say.
bool mistrusts(CURLcode code) {
  return code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
         code == CURLE_SSL_ISSUER_ERROR;
}

}  // namespace

HttpTransfer::HttpTransfer(const HttpRequest& request) : request_(request) {
  for (const std::string& header : request.headers) {
    curl_slist* const longer = ::curl_slist_append(headers_, header.c_str());
    no_memory_ |= longer == nullptr;
    if (longer != nullptr) headers_ = longer;
  }
}

HttpTransfer::~HttpTransfer() { ::curl_slist_free_all(headers_); }

std::size_t HttpTransfer::take_body(char* bytes, std::size_t, std::size_t size, void* to) noexcept {
  HttpReply& reply = static_cast<HttpTransfer*>(to)->reply_;
  if (size > kMaxHttpBodyBytes - reply.body.size()) return 0;
  try {
    reply.body.append(bytes, size);
  } catch (...) {
    return 0;
  }
  return size;
}

std::size_t HttpTransfer::take_header(char*, std::size_t, std::size_t size, void* to) noexcept {
  std::size_t& bytes = static_cast<HttpTransfer*>(to)->header_bytes_;
  if (size > kMaxHttpHeaderBytes - bytes) return 0;
  bytes += size;
  return size;
}

// libcurl by itself would send a request again where a kept connection ends without a byte.
int HttpTransfer::before_sending(void* of, char*, char*, int, int) noexcept {
  return std::exchange(static_cast<HttpTransfer*>(of)->sent_, true) ? CURL_PREREQFUNC_ABORT
                                                                    : CURL_PREREQFUNC_OK;
}

CURLcode HttpTransfer::prepare(CURL* handle, const std::string& authorities, Deadline deadline) {
  if (no_memory_) return CURLE_OUT_OF_MEMORY;
  Setter options(handle);
  set_bounds(options, deadline);
  set_trust(options, authorities);
  set_request(options, request_, headers_);
  options.set(CURLOPT_WRITEFUNCTION, &HttpTransfer::take_body);
  options.set(CURLOPT_WRITEDATA, this);
  options.set(CURLOPT_HEADERFUNCTION, &HttpTransfer::take_header);
  options.set(CURLOPT_HEADERDATA, this);
  options.set(CURLOPT_PREREQFUNCTION, &HttpTransfer::before_sending);
  options.set(CURLOPT_PREREQDATA, this);
  options.set(CURLOPT_ERRORBUFFER, text_.data());
  return options.code();
}

Result<HttpReply> HttpTransfer::finish(CURL* handle, CURLcode code) {
  if (code == CURLE_OK) {
    ::curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &reply_.status);
    return std::move(reply_);
  }
  const std::string what = text_[0] != '\0' ? text_.data() : ::curl_easy_strerror(code);
  if (!mistrusts(code)) return Error(ErrorCode::kUnavailable, request_.url + ": " + what);
  return refused(request_.url + ": " + what +
                 "; whom to trust says AWS_CA_BUNDLE, or else the system");
}

}  // namespace cellroute::net
