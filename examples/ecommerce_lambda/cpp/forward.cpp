#include "forward.hpp"

#include <array>
#include <cstddef>
#include <filesystem>
#include <utility>

#include "cellroute.h"
#include "text.hpp"

namespace shop_front {
namespace {

using lambda_host::lower;

// Lambda takes 6 MB of answer, of which base64 and JSON need their share.
constexpr std::size_t kLargestBody = std::size_t{4} << 20;

// Where systems keep the certificates of authorities: Amazon Linux, Debian.
constexpr std::array kAuthorities{"/etc/pki/tls/certs/ca-bundle.crt",
                                  "/etc/ssl/certs/ca-certificates.crt"};

std::string authorities_file() {
  for (const char* file : kAuthorities) {
    if (std::filesystem::exists(file)) return lambda_host::variable("SSL_CERT_FILE", file);
  }
  return lambda_host::variable("SSL_CERT_FILE", "");
}

std::size_t take_body(char* data, std::size_t size, std::size_t count, void* self) {
  auto& body = *static_cast<std::string*>(self);
  if (size * count > kLargestBody - body.size()) return CURL_WRITEFUNC_ERROR;
  body.append(data, size * count);
  return size * count;
}

using HeaderList = std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)>;

void append(HeaderList& list, const std::string& line) {
  curl_slist* longer = curl_slist_append(list.get(), line.c_str());
  if (longer == nullptr) throw std::bad_alloc();
  (void)list.release();
  list.reset(longer);
}

// In libcurl's spelling: it takes "Name:" for a header to be left out, and "Name;" for an empty
// one.
HeaderList listed(const Headers& headers) {
  HeaderList list(nullptr, &curl_slist_free_all);
  bool accepts = false;
  bool has_type = false;
  for (const auto& [name, value] : headers) {
    const bool is_blank = value.find_first_not_of(" \t") == std::string::npos;
    append(list, is_blank ? name + ";" : name + ": " + value);
    accepts |= lower(name) == "accept";
    has_type |= lower(name) == "content-type";
  }
  append(list, "Expect:");
  if (!accepts) append(list, "Accept:");
  if (!has_type) append(list, "Content-Type:");
  return list;
}

// Those of the answer itself, neither of an interim one nor behind its body.
Headers answered_headers(CURL* curl) {
  Headers headers;
  for (curl_header* header = nullptr;
       (header = curl_easy_nextheader(curl, CURLH_HEADER, -1, header)) != nullptr;) {
    std::string value = header->value;
    value.erase(value.find_last_not_of(" \t\r") + 1);  // libcurl 7.88 leaves an empty one's CR
    headers.emplace_back(header->name, std::move(value));
  }
  return headers;
}

}  // namespace

CellClient::CellClient()
    : curl_(curl_easy_init(), &curl_easy_cleanup), authorities_(authorities_file()) {
  if (!curl_) throw lambda_host::Failure("CurlError", "libcurl cannot start");
}

void CellClient::prepare(const std::string& url, const ApiRequest& request,
                         std::chrono::milliseconds timeout) {
  CURL* curl = curl_.get();
  curl_easy_reset(curl);
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_1_1});
  curl_easy_setopt(curl, CURLOPT_PROXY, "");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
  curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(timeout.count()));
  if (!authorities_.empty()) curl_easy_setopt(curl, CURLOPT_CAINFO, authorities_.c_str());
  const bool may_lack_body =
      request.method == "GET" || request.method == "OPTIONS" || request.method == "DELETE";
  if (request.method == "HEAD") {
    curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
  } else if (!request.body.empty() || !may_lack_body) {
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(request.body.size()));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request.body.data());
  }
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request.method.c_str());
}

CellAnswer CellClient::call(std::string_view endpoint, const ApiRequest& request,
                            const Headers& headers, std::chrono::milliseconds timeout) {
  CellAnswer answer;
  if (!endpoint.starts_with("http://") && !endpoint.starts_with("https://")) {
    answer.failed = {CELLROUTE_CONNECT_ERROR, "the cell's endpoint is no http or https address"};
    return answer;
  }
  while (endpoint.ends_with('/')) endpoint.remove_suffix(1);
  const std::string url = std::string(endpoint) + request.target;
  prepare(url, request, timeout);
  CURL* curl = curl_.get();
  const HeaderList list = listed(headers);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list.get());
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &take_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer.body);

  const CURLcode code = curl_easy_perform(curl);
  if (code == CURLE_OPERATION_TIMEDOUT) {
    answer.failed = {CELLROUTE_TIMEOUT,
                     "no whole answer within " + std::to_string(timeout.count()) + " ms"};
  } else if (code == CURLE_WRITE_ERROR) {
    answer.failed = {CELLROUTE_ANSWERED,
                     "the cell's body has more than " + std::to_string(kLargestBody) + " bytes"};
  } else if (code != CURLE_OK) {
    answer.failed = {CELLROUTE_CONNECT_ERROR, curl_easy_strerror(code)};
  }
  if (answer.failed) return answer;
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  answer.status = static_cast<std::uint32_t>(status);
  answer.headers = answered_headers(curl);
  return answer;
}

}  // namespace shop_front
