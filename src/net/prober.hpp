// Asks cells how they are, over HTTP, and tells whoever keeps their marks.
#pragma once

#include <curl/curl.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cellroute/status.hpp"
#include "cellroute/time.hpp"
#include "net/probe_answer.hpp"
#include "stores/fork_guard.hpp"

namespace cellroute::net {

// An answer's bound, headers and body together.
inline constexpr std::size_t kMaxProbeBytes = std::size_t{64} << 10;

struct ProbeOptions {
  std::string path = "/health";    // at the root of the cell's general endpoint
  Nanos interval = 5 * kSecond;    // between probes of a cell, give or take an eighth by a hash
  Nanos timeout = 2 * kSecond;     // of a probe, from its beginning to the last byte
  std::uint32_t rise = 2;          // good answers in a row that make a cell healthy
  std::uint32_t fall = 2;          // bad ones that make it unhealthy
  std::uint32_t concurrency = 16;  // probes at once
  std::string ca_file = {};        // authorities as PEM; empty: the system's
  std::uint64_t seed = 0;          // of the jitter, another one for each router
};

struct ProbeTarget {
  std::uint32_t cell = 0;  // its number
  std::string id;
  std::string endpoint;  // as a topology has it

  friend bool operator==(const ProbeTarget&, const ProbeTarget&) = default;
};

// A cell as its probes see it. Thread safety: a plain value.
struct ProbeStatus {
  std::uint32_t cell = 0;
  ProbeVerdict verdict;
  ProbeResult last = ProbeResult::kNone;
  long http_status = 0;  // of the last answer; 0: there was none
  Nanos ended = 0;       // when the last probe ended; 0: none has
  Nanos took = 0;        // by it
  std::uint64_t probes = 0;
};

// What a probe that ended says. `healthy` is there once it is known.
struct ProbeFinding {
  std::uint32_t cell = 0;
  std::optional<bool> healthy;
  std::optional<std::uint64_t> load;
};

// Where the health of a cell at `endpoint` is asked: the root of http and https endpoints, and of
// host:port by http. Empty for others.
std::string probe_url(std::string_view endpoint, std::string_view path);

// Each probe is a connection of its own, by no proxy; no redirect is followed. Times are `now` as
// poll() is told, so that tests move them; libcurl holds probes to the real timeout besides.
// A clock that steps back delays a probe by one interval at most.
//
// Thread safety: one thread at a time, but wake(), for which any will do.
// Fork: for the process that made it; in a child it may be destroyed and nothing else.
class Prober {
 public:
  using Take = std::function<void(const ProbeFinding&)>;

  // `take` gets each finding inside poll(). Errors: kInvalidArgument (an option out of range),
  // kNotFound (no such ca_file), kUnavailable (libcurl).
  static Result<std::unique_ptr<Prober>> create(ProbeOptions options, Take take);
  ~Prober();
  Prober(const Prober&) = delete;
  Prober& operator=(const Prober&) = delete;

  // The cells to ask from now on. Those that are as they were go on; another id or endpoint of a
  // number begins anew. The first probe of a cell comes within one interval, spread by a hash.
  void set_targets(std::vector<ProbeTarget> targets, Nanos now);

  // Takes what has come, ends what is overdue, begins what is due. Never blocks. Returns when it
  // wants to be called again at the latest; while busy(), sooner serves better.
  Nanos poll(Nanos now);
  bool busy() const noexcept { return in_flight_ != 0; }

  // Returns when something has come, after wake(), or after `most` of real time.
  void wait(Nanos most);
  void wake() noexcept;

  bool same_process() const noexcept { return fork_.same_process(); }
  const ProbeStatus* status(std::uint32_t cell) const noexcept;  // null: it is no target

 private:
  struct Probe;
  struct Asked;

  Prober(ProbeOptions options, Take take, CURLM* multi);

  std::unique_ptr<Asked> asked_of(ProbeTarget target, Nanos now) const;
  void begin_due(Nanos now);
  bool begin(Asked& asked, Nanos now);
  void collect(Nanos now);
  void end(Asked& asked, ProbeResult result, Nanos now);
  void finish(Asked& asked, CURLcode code, Nanos now);
  Nanos jittered(const Asked& asked) const noexcept;
  Nanos next_event(Nanos now) const noexcept;

  const stores::ForkGuard fork_;
  const ProbeOptions options_;
  const Take take_;
  CURLM* multi_;
  std::vector<std::unique_ptr<Asked>> asked_;  // by number
  std::uint32_t in_flight_ = 0;
};

}  // namespace cellroute::net
