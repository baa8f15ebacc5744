// The prober of cells' health, over a router of libcellroute.
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "cellroute_net.h"
#include "entry.hpp"
#include "net/prober.hpp"
#include "structs.hpp"

namespace cellroute::capi {
namespace {

constexpr std::uint32_t kProberTag = 0x43527062;
constexpr Nanos kSoon = 10 * kMillisecond;  // for a host's timer, while probes are under way
constexpr Nanos kLongestWait = kSecond;     // of the prober's thread, for a topology that is new

// Keeps signals from a thread that is started meanwhile.
class SignalsBlocked {
 public:
  SignalsBlocked() noexcept {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

Nanos clock_now() noexcept {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

struct HeldSnapshot {
  ~HeldSnapshot() { cellroute_snapshot_destroy(handle); }
  cellroute_snapshot* handle = nullptr;
};

Result<std::vector<net::ProbeTarget>> targets_of(const cellroute_snapshot* snapshot) {
  std::uint32_t count = 0;
  std::int32_t code = cellroute_snapshot_cell_count(snapshot, &count);
  std::vector<net::ProbeTarget> targets;
  for (std::uint32_t i = 0; i < count && code == CELLROUTE_OK; ++i) {
    std::uint32_t number = 0;
    cellroute_cell cell{};
    cell.struct_size = sizeof cell;
    code = cellroute_snapshot_cell_at(snapshot, i, &number);
    if (code == CELLROUTE_OK) code = cellroute_snapshot_cell(snapshot, number, &cell);
    if (code != CELLROUTE_OK || cell.state == CELLROUTE_CELL_OFFLINE) continue;
    targets.push_back({number, std::string(text(cell.id)), std::string(text(cell.endpoint))});
  }
  if (code != CELLROUTE_OK) {
    return Error(static_cast<ErrorCode>(code), cellroute_code_name(code));
  }
  return targets;
}

}  // namespace
}  // namespace cellroute::capi

struct cellroute_net_prober {
  explicit cellroute_net_prober(cellroute_router* of) : router(of) {}

  std::uint32_t tag = cellroute::capi::kProberTag;
  cellroute_router* const router;
  std::unique_ptr<cellroute::net::Prober> prober;
  std::uint64_t generation = 0;  // whose cells are asked

  std::mutex changing;  // starting and stopping
  std::mutex mutex;     // all of the prober but wait() and wake()
  std::thread thread;
  std::atomic<bool> stopping{false};
};

namespace cellroute::capi {
namespace {

std::int32_t check(const cellroute_net_prober* prober) noexcept {
  if (prober == nullptr) return CELLROUTE_E_NULL;
  if (prober->tag != kProberTag) return CELLROUTE_E_WRONG_HANDLE;
  return prober->prober->same_process() ? CELLROUTE_OK : CELLROUTE_E_FORKED;
}

// What cannot be marked any more left the topology meanwhile.
void mark(cellroute_router* router, const net::ProbeFinding& finding) noexcept {
  if (finding.healthy) {
    static_cast<void>(cellroute_mark_health(router, finding.cell, *finding.healthy ? 1 : 0));
  }
  if (finding.load) static_cast<void>(cellroute_mark_load(router, finding.cell, *finding.load));
}

// Nothing published asks nobody.
std::int32_t follow(cellroute_net_prober& prober, Nanos now, cellroute_error* error) {
  HeldSnapshot snapshot;
  const std::int32_t held = cellroute_snapshot_hold(prober.router, &snapshot.handle, error);
  if (held == CELLROUTE_E_NO_SNAPSHOT) return CELLROUTE_OK;
  if (held != CELLROUTE_OK) return held;
  std::uint64_t generation = 0;
  const std::int32_t code = cellroute_snapshot_generation(snapshot.handle, &generation);
  if (code != CELLROUTE_OK || generation == prober.generation) return code;
  auto targets = targets_of(snapshot.handle);
  if (!targets.ok()) return fail(error, targets.error());
  prober.prober->set_targets(std::move(*targets), now);
  prober.generation = generation;
  return CELLROUTE_OK;
}

void run(cellroute_net_prober& prober) noexcept {
  while (!prober.stopping.load()) {
    Nanos wait = kLongestWait;
    try {
      const std::lock_guard lock(prober.mutex);
      const Nanos now = clock_now();
      static_cast<void>(follow(prober, now, nullptr));
      wait = std::min(wait, prober.prober->poll(now) - now);
    } catch (...) {  // no memory: later, perhaps
    }
    prober.prober->wait(wait);
  }
}

std::int32_t read_options(const cellroute_net_prober_options* from, net::ProbeOptions& to) {
  cellroute_net_prober_options room;
  if (const std::int32_t code = read_optional(from, room); code != CELLROUTE_OK) return code;
  if (!sound(from->path) || !sound(from->ca_file)) return CELLROUTE_E_NULL;
  if (from->rise != 0) to.rise = from->rise;
  if (from->fall != 0) to.fall = from->fall;
  if (from->concurrency != 0) to.concurrency = from->concurrency;
  if (from->interval_ns != 0) to.interval = from->interval_ns;
  if (from->timeout_ns != 0) to.timeout = from->timeout_ns;
  if (from->path.size != 0) to.path = text(from->path);
  to.ca_file = text(from->ca_file);
  if (to.ca_file.find('\0') != std::string::npos) return CELLROUTE_E_INVALID_ARGUMENT;
  to.seed = from->seed;
  while (to.seed == 0)
    to.seed = std::uint64_t{std::random_device{}()} << 32 | std::random_device{}();
  return CELLROUTE_OK;
}

std::int32_t create(cellroute_router* router, net::ProbeOptions options,
                    cellroute_net_prober** prober, cellroute_error* error) {
  auto made = std::make_unique<cellroute_net_prober>(router);
  auto core = net::Prober::create(
      std::move(options), [router](const net::ProbeFinding& finding) { mark(router, finding); });
  if (!core.ok()) return fail(error, core.error());
  made->prober = std::move(*core);
  *prober = made.release();
  return CELLROUTE_OK;
}

std::int32_t start(cellroute_net_prober& prober, cellroute_error* error) {
  const std::lock_guard lock(prober.changing);
  if (prober.thread.joinable()) {
    return fail(error, CELLROUTE_E_CONFLICT, "the prober has a thread already");
  }
  prober.stopping = false;
  try {
    const SignalsBlocked blocked;
    prober.thread = std::thread([&prober] { run(prober); });
  } catch (const std::system_error&) {
    return fail(error, CELLROUTE_E_UNAVAILABLE, "the system gives no thread");
  }
  return CELLROUTE_OK;
}

void stop(cellroute_net_prober& prober) {
  const std::lock_guard lock(prober.changing);
  if (!prober.thread.joinable()) return;
  prober.stopping = true;
  prober.prober->wake();
  prober.thread.join();
}

std::int32_t poll(cellroute_net_prober& prober, Nanos now, Nanos* next, cellroute_error* error) {
  const std::lock_guard changing(prober.changing);
  if (prober.thread.joinable()) {
    return fail(error, CELLROUTE_E_CONFLICT, "the prober's own thread polls");
  }
  const std::lock_guard lock(prober.mutex);
  const std::int32_t code = follow(prober, now, error);
  if (code != CELLROUTE_OK) return code;
  Nanos then = prober.prober->poll(now);
  if (prober.prober->busy()) then = std::min(then, add_time(now, kSoon));
  if (next != nullptr) *next = then;
  return CELLROUTE_OK;
}

cellroute_net_probe probe_of(const net::ProbeStatus& status) noexcept {
  cellroute_net_probe made{};
  made.state = static_cast<std::uint32_t>(status.verdict.state());
  made.last = static_cast<std::uint32_t>(status.last);
  made.http_status = static_cast<std::uint32_t>(status.http_status);
  made.successes = status.verdict.successes();
  made.failures = status.verdict.failures();
  made.probes = status.probes;
  made.ended_ns = status.ended;
  made.took_ns = status.took;
  return made;
}

}  // namespace
}  // namespace cellroute::capi

namespace capi = cellroute::capi;

int32_t cellroute_net_prober_create(cellroute_router* router,
                                    const cellroute_net_prober_options* options,
                                    cellroute_net_prober** prober, cellroute_error* error) {
  return capi::enter(error, [&]() -> std::int32_t {
    cellroute::net::ProbeOptions given;
    if (router == nullptr || prober == nullptr) return capi::fail(error, CELLROUTE_E_NULL);
    if (const std::int32_t code = capi::read_options(options, given); code != CELLROUTE_OK) {
      return capi::fail(error, code);
    }
    cellroute_readiness readiness{};  // whether it is a router, and of this process
    readiness.struct_size = sizeof readiness;
    const std::int32_t code = cellroute_router_readiness(router, 0, 0, &readiness);
    if (code != CELLROUTE_OK) return capi::fail(error, code);
    return capi::create(router, std::move(given), prober, error);
  });
}

// As a router: what a child of fork() has may be half-changed, and not to be walked through.
void cellroute_net_prober_destroy(cellroute_net_prober* prober) {
  if (capi::check(prober) != CELLROUTE_OK) return;
  capi::stop(*prober);
  prober->tag = 0;
  delete prober;
}

int32_t cellroute_net_prober_poll(cellroute_net_prober* prober, int64_t now_ns, int64_t* next_ns,
                                  cellroute_error* error) {
  return capi::enter(error, [&]() -> std::int32_t {
    const std::int32_t code = capi::check(prober);
    return code == CELLROUTE_OK ? capi::poll(*prober, now_ns, next_ns, error)
                                : capi::fail(error, code);
  });
}

int32_t cellroute_net_prober_start(cellroute_net_prober* prober, cellroute_error* error) {
  return capi::enter(error, [&]() -> std::int32_t {
    const std::int32_t code = capi::check(prober);
    return code == CELLROUTE_OK ? capi::start(*prober, error) : capi::fail(error, code);
  });
}

int32_t cellroute_net_prober_stop(cellroute_net_prober* prober) {
  if (const std::int32_t code = capi::check(prober); code != CELLROUTE_OK) return code;
  capi::stop(*prober);
  return CELLROUTE_OK;
}

int32_t cellroute_net_prober_cell(cellroute_net_prober* prober, uint32_t cell,
                                  cellroute_net_probe* probe) {
  if (const std::int32_t code = capi::check(prober); code != CELLROUTE_OK) return code;
  if (const std::int32_t code = capi::check_out(probe); code != CELLROUTE_OK) return code;
  const std::lock_guard lock(prober->mutex);
  const cellroute::net::ProbeStatus* const status = prober->prober->status(cell);
  if (status == nullptr) return CELLROUTE_E_NOT_FOUND;
  capi::write_struct(probe, capi::probe_of(*status));
  return CELLROUTE_OK;
}
