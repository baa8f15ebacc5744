#include "net/prober.hpp"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "cellroute/hash.hpp"
#include "net/curl_setter.hpp"
#include "net/http_client.hpp"
#include "net/no_sigpipe.hpp"

namespace cellroute::net {

// A probe under way.
struct Prober::Probe {
  CURL* handle = nullptr;
  std::string body;
  std::size_t bytes = 0;  // headers included
  bool too_large = false;
  Nanos begun = 0;
};

struct Prober::Asked {
  ProbeTarget target;
  std::string url;  // empty: not asked
  ProbeStatus status;
  Nanos due = 0;
  std::unique_ptr<Probe> probe;  // null: none is under way
};

namespace {

constexpr Nanos kShortest = kMillisecond;
constexpr Nanos kLongest = 86'400 * kSecond;

template <class Probe>
bool has_room(Probe& probe, std::size_t size) noexcept {
  probe.too_large = size > kMaxProbeBytes - probe.bytes;
  if (!probe.too_large) probe.bytes += size;
  return !probe.too_large;
}

template <class Probe>
std::size_t take_body(char* bytes, std::size_t, std::size_t size, void* to) noexcept {
  Probe& probe = *static_cast<Probe*>(to);
  if (!has_room(probe, size)) return 0;
  try {
    probe.body.append(bytes, size);
  } catch (...) {
    return 0;
  }
  return size;
}

template <class Probe>
std::size_t take_header(char*, std::size_t, std::size_t size, void* to) noexcept {
  return has_room(*static_cast<Probe*>(to), size) ? size : 0;
}

ProbeResult result_of(CURLcode code) noexcept {
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT: return ProbeResult::kTimeout;
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST: return ProbeResult::kConnectError;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION: return ProbeResult::kTlsError;
    default: return ProbeResult::kBroken;
  }
}

Error check(const ProbeOptions& options) {
  const bool path = options.path.starts_with('/') && options.path.size() <= 1'024 &&
                    std::all_of(options.path.begin(), options.path.end(),
                                [](char c) { return c > ' ' && c < 0x7f && c != '#'; });
  if (!path) {
    return invalid_argument("path: 1 to 1,024 visible ASCII characters that begin with a slash");
  }
  if (options.interval < kShortest || options.interval > kLongest || options.timeout < kShortest ||
      options.timeout > kLongest) {
    return invalid_argument("interval and timeout: between 1 ms and a day");
  }
  if (options.rise < 1 || options.rise > 1'000 || options.fall < 1 || options.fall > 1'000 ||
      options.concurrency < 1 || options.concurrency > 1'024) {
    return invalid_argument("rise and fall: 1 to 1,000; concurrency: 1 to 1,024");
  }
  if (!options.ca_file.empty() && ::access(options.ca_file.c_str(), R_OK) != 0) {
    return Error(ErrorCode::kNotFound, options.ca_file + ": no such file that can be read");
  }
  return initialize_curl();
}

}  // namespace

std::string probe_url(std::string_view endpoint, std::string_view path) {
  if (endpoint.empty() || endpoint.starts_with("unix:")) return "";
  const std::size_t colon = endpoint.find("://");
  if (colon == std::string_view::npos) {
    return "http://" + std::string(endpoint) + std::string(path);
  }
  std::string scheme(endpoint.substr(0, colon));
  for (char& c : scheme) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  if (scheme != "http" && scheme != "https") return "";
  const std::string_view rest = endpoint.substr(colon + 3);
  return scheme + "://" + std::string(rest.substr(0, rest.find('/'))) + std::string(path);
}

Result<std::unique_ptr<Prober>> Prober::create(ProbeOptions options, Take take) {
  if (Error error = check(options); !error.ok()) return error;
  CURLM* const multi = ::curl_multi_init();
  if (multi == nullptr) return Error(ErrorCode::kResourceExhausted, "no memory");
  return std::unique_ptr<Prober>(new Prober(std::move(options), std::move(take), multi));
}

Prober::Prober(ProbeOptions options, Take take, CURLM* multi)
    : options_(std::move(options)), take_(std::move(take)), multi_(multi) {}

// A child of fork() has the parent's connections too, so it leaves them alone.
Prober::~Prober() {
  if (!same_process()) {
    for (auto& asked : asked_) static_cast<void>(asked->probe.release());
    return;
  }
  set_targets({}, 0);
  ::curl_multi_cleanup(multi_);
}

std::unique_ptr<Prober::Asked> Prober::asked_of(ProbeTarget target, Nanos now) const {
  auto made = std::make_unique<Asked>();
  made->url = probe_url(target.endpoint, options_.path);
  made->status.cell = target.cell;
  if (made->url.empty()) made->status.last = ProbeResult::kNotProbed;
  const std::uint64_t spread = mix(hash_bytes(options_.seed, target.id));
  made->due = add_time(
      now, static_cast<Nanos>(scale(spread, static_cast<std::uint64_t>(options_.interval))));
  made->target = std::move(target);
  return made;
}

// Both lists are in order of number, so that one walk finds who stays.
void Prober::set_targets(std::vector<ProbeTarget> targets, Nanos now) {
  std::sort(targets.begin(), targets.end(),
            [](const ProbeTarget& a, const ProbeTarget& b) { return a.cell < b.cell; });
  std::vector<std::unique_ptr<Asked>> next;
  auto old = asked_.begin();
  for (ProbeTarget& target : targets) {
    while (old != asked_.end() && (*old)->target.cell < target.cell) ++old;
    const bool stays = old != asked_.end() && (*old)->target == target;
    next.push_back(stays ? std::move(*old++) : asked_of(std::move(target), now));
  }
  for (auto& asked : asked_) {
    if (asked != nullptr && asked->probe) end(*asked, ProbeResult::kNone, now);
  }
  asked_ = std::move(next);
}

Nanos Prober::jittered(const Asked& asked) const noexcept {
  const std::uint64_t bits = mix(hash_bytes(options_.seed, asked.target.id) + asked.status.probes);
  const auto quarter = static_cast<std::uint64_t>(options_.interval / 4);
  return options_.interval - options_.interval / 8 + static_cast<Nanos>(scale(bits, quarter));
}

bool Prober::begin(Asked& asked, Nanos now) {
  auto probe = std::make_unique<Probe>();
  probe->handle = ::curl_easy_init();
  if (probe->handle == nullptr) return false;
  probe->begun = now;
  Setter options(probe->handle);
  options.set(CURLOPT_URL, asked.url.c_str());
  options.set(CURLOPT_PRIVATE, &asked);
  options.set(CURLOPT_NOSIGNAL, 1L);
  options.set(CURLOPT_QUICK_EXIT, 1L);
  options.set(CURLOPT_TIMEOUT_MS, milliseconds_of(options_.timeout));
  options.set(CURLOPT_CONNECTTIMEOUT_MS, milliseconds_of(options_.timeout));
  options.set(CURLOPT_FRESH_CONNECT, 1L);
  options.set(CURLOPT_FORBID_REUSE, 1L);
  options.set(CURLOPT_FOLLOWLOCATION, 0L);
  options.set(CURLOPT_NOPROXY, "*");
  options.set(CURLOPT_PROTOCOLS_STR, "http,https");
  options.set(CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_1_1});
  options.set(CURLOPT_USERAGENT, "cellroute-prober");
  options.set(CURLOPT_WRITEFUNCTION, &take_body<Probe>);
  options.set(CURLOPT_WRITEDATA, probe.get());
  options.set(CURLOPT_HEADERFUNCTION, &take_header<Probe>);
  options.set(CURLOPT_HEADERDATA, probe.get());
  if (!options_.ca_file.empty()) options.set(CURLOPT_CAINFO, options_.ca_file.c_str());
  if (options.code() != CURLE_OK || ::curl_multi_add_handle(multi_, probe->handle) != CURLM_OK) {
    ::curl_easy_cleanup(probe->handle);
    return false;
  }
  asked.probe = std::move(probe);
  ++in_flight_;
  return true;
}

// The longest due first, so that nobody waits for ever where probes are many.
void Prober::begin_due(Nanos now) {
  std::vector<Asked*> due;
  for (const auto& asked : asked_) {
    if (asked->url.empty() || asked->probe) continue;
    asked->due = std::min(asked->due, add_time(now, options_.interval + options_.interval / 8));
    if (asked->due <= now) due.push_back(asked.get());
  }
  std::sort(due.begin(), due.end(), [](const Asked* a, const Asked* b) {
    return a->due != b->due ? a->due < b->due : a->target.cell < b->target.cell;
  });
  for (Asked* const asked : due) {
    if (in_flight_ >= options_.concurrency || !begin(*asked, now)) return;
  }
}

// kNone: it was broken off and says nothing.
void Prober::end(Asked& asked, ProbeResult result, Nanos now) {
  const std::unique_ptr<Probe> probe = std::move(asked.probe);
  --in_flight_;
  ProbeFinding finding;
  finding.cell = asked.target.cell;
  if (result != ProbeResult::kNone) {
    ProbeStatus& status = asked.status;
    status.http_status = 0;
    ::curl_easy_getinfo(probe->handle, CURLINFO_RESPONSE_CODE, &status.http_status);
    if (result == ProbeResult::kHealthy) {  // whole, so far; what it says decides
      const ProbeAnswer answer = judge(status.http_status, probe->body, asked.target.id);
      result = answer.result;
      finding.load = answer.load;
    }
    status.last = result;
    status.ended = now;
    status.took = elapsed_since(probe->begun, now);
    status.verdict.add(result, options_.rise, options_.fall);
    ++status.probes;
    asked.due = std::max(now, add_time(probe->begun, jittered(asked)));
  }
  ::curl_multi_remove_handle(multi_, probe->handle);
  ::curl_easy_cleanup(probe->handle);
  if (result == ProbeResult::kNone) return;
  if (asked.status.verdict.state() != ProbeVerdict::State::kUnknown) {
    finding.healthy = asked.status.verdict.state() == ProbeVerdict::State::kHealthy;
  }
  take_(finding);
}

void Prober::finish(Asked& asked, CURLcode code, Nanos now) {
  if (code == CURLE_OK) return end(asked, ProbeResult::kHealthy, now);
  end(asked, asked.probe->too_large ? ProbeResult::kTooLarge : result_of(code), now);
}

void Prober::collect(Nanos now) {
  int running = 0;
  ::curl_multi_perform(multi_, &running);
  int left = 0;
  while (const CURLMsg* const message = ::curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    Asked* asked = nullptr;
    ::curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &asked);
    finish(*asked, message->data.result, now);
  }
  for (const auto& asked : asked_) {
    if (!asked->probe) continue;
    asked->probe->begun = std::min(asked->probe->begun, now);  // a clock that stepped back
    if (now - asked->probe->begun >= options_.timeout) end(*asked, ProbeResult::kTimeout, now);
  }
}

Nanos Prober::next_event(Nanos now) const noexcept {
  Nanos next = add_time(now, options_.interval);
  for (const auto& asked : asked_) {
    if (asked->probe) {
      next = std::min(next, add_time(asked->probe->begun, options_.timeout));
    } else if (!asked->url.empty() && in_flight_ < options_.concurrency) {
      next = std::min(next, asked->due);
    }
  }
  return std::max(next, now);
}

Nanos Prober::poll(Nanos now) {
  const NoSigpipe quiet;
  collect(now);
  begin_due(now);
  int running = 0;
  ::curl_multi_perform(multi_, &running);
  return next_event(now);
}

void Prober::wait(Nanos most) {
  ::curl_multi_poll(multi_, nullptr, 0, static_cast<int>(milliseconds_of(most)), nullptr);
}

void Prober::wake() noexcept { ::curl_multi_wakeup(multi_); }

const ProbeStatus* Prober::status(std::uint32_t cell) const noexcept {
  const auto found =
      std::lower_bound(asked_.begin(), asked_.end(), cell,
                       [](const auto& asked, std::uint32_t n) { return asked->target.cell < n; });
  return found != asked_.end() && (*found)->target.cell == cell ? &(*found)->status : nullptr;
}

}  // namespace cellroute::net
