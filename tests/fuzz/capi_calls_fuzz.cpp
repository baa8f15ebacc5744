// Random sequences of C calls: whatever order they come in and whatever is in their structs, each
// ends with a code, and nothing is read or written beyond what it was given. Input: four bytes a
// call.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "cellroute.h"

namespace {

constexpr std::int64_t kPresent = 1'700'000'000'000'000'000;

struct Call {
  std::uint8_t kind, a, b, c;
};

cellroute_view view(const std::string& text) { return {text.data(), text.size()}; }

template <class T>
T zeroed() {
  T made{};
  made.struct_size = sizeof made;
  return made;
}

std::string topology_text(const Call& call) {
  static const std::array<const char*, 4> kPolicies = {
      "", "  unassigned: ASSIGN\n",
      "  breaker: {consecutive_failures: 1}\n  in_flight: {per_cell: 2}\n",
      "  affinity: STATELESS\n  limits: [{per: KEY, requests: 2, period: 1s}]\n"};
  return "generation: " + std::to_string(call.a % 8) + "\nhash_seed: 1\ncells:\n" +
         "  - {id: a, endpoint: 'https://a.test', labels: {l: '{key}-{cell}'}}\n" +
         (call.b % 2 ? "  - {id: b, endpoint: 'https://b.test'}\n" : "") +
         "policy:\n  slots: 1024\n" + kPolicies[call.c % kPolicies.size()];
}

std::int32_t ignore_record(void*, const cellroute_record*) { return CELLROUTE_OK; }
std::int32_t ignore_page(void*, const cellroute_view*, std::uint32_t) { return CELLROUTE_OK; }

class Host {
 public:
  Host() {
    cellroute_router_options options = zeroed<cellroute_router_options>();
    options.cells = 3;
    options.lanes = 2;
    options.limiter_entries = 16;
    options.guard_seed = 1;
    if (cellroute_router_create(&options, &router_, nullptr) != CELLROUTE_OK) std::abort();
    const cellroute_view memory = {"memory:", 7};
    cellroute_cache_options few = zeroed<cellroute_cache_options>();
    few.max_entries = 3;
    if (cellroute_store_open(memory, nullptr, &store_, nullptr) != CELLROUTE_OK ||
        cellroute_store_cached(store_, &few, &cached_, nullptr) != CELLROUTE_OK) {
      std::abort();
    }
  }
  ~Host() {
    cellroute_topology_destroy(topology_);
    cellroute_snapshot_destroy(snapshot_);
    cellroute_store_destroy(store_);
    cellroute_store_destroy(cached_);
    cellroute_router_destroy(router_);
  }
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  void play(const Call& call) {
    now_ += static_cast<std::int64_t>(call.c) * call.c * 1'000'000;
    switch (call.kind % 16) {
      case 0: load(call); break;
      case 1: publish(call); break;
      case 2: hold(); break;
      case 3: look(call); break;
      case 4: resolve_profile(call); break;
      case 5:
      case 6:
      case 7: decide(call); break;
      case 8: report(call); break;
      case 9: columns(call); break;
      case 10: explain(call); break;
      case 11: mark(call); break;
      case 12: put(call); break;
      case 13: read(call); break;
      case 14: look_up(call); break;
      default: pick(call);
    }
  }

 private:
  void load(const Call& call) {
    cellroute_topology* made = nullptr;
    error_.struct_size = call.c == 255 ? 3 : sizeof error_;
    if (cellroute_topology_load(view(topology_text(call)), nullptr, &made, &error_) !=
        CELLROUTE_OK) {
      return;
    }
    cellroute_topology_destroy(topology_);
    topology_ = made;
  }

  void publish(const Call& call) {
    cellroute_publish_options options;
    if (cellroute_publish_options_default(&options, sizeof options) != CELLROUTE_OK) std::abort();
    options.max_moved_percent = call.a;
    options.max_cells_lost = call.b;
    options.mappings = call.c % 2 ? store_ : nullptr;
    options.now_ns = now_;
    cellroute_router_publish(router_, topology_, &options, &error_);
  }

  void hold() {
    cellroute_snapshot* held = nullptr;
    if (cellroute_snapshot_hold(router_, &held, nullptr) != CELLROUTE_OK) return;
    cellroute_snapshot_destroy(snapshot_);
    snapshot_ = held;
  }

  void look(const Call& call) {
    std::uint32_t number = call.a;
    std::size_t size = 0;
    cellroute_view found{};
    cellroute_cell cell = zeroed<cellroute_cell>();
    cellroute_snapshot_cell_at(snapshot_, call.b % 4, &number);
    cellroute_snapshot_cell(snapshot_, number, &cell);
    cellroute_snapshot_endpoint(snapshot_, number, key_of(call), &found);
    cellroute_snapshot_label_at(snapshot_, number, call.b, &found);
    const std::unique_ptr<char[]> text(new char[call.c + 1u]);
    cellroute_snapshot_label(snapshot_, number, view(kLabel), key_of(call), text.get(), call.c,
                             &size);
  }

  void resolve_profile(const Call& call) {
    cellroute_profile_names names = zeroed<cellroute_profile_names>();
    cellroute_view flag = key_of(call);
    names.flags = call.a % 2 ? &flag : nullptr;
    names.flag_count = call.b % 2;
    cellroute_router_profile(router_, &names, &profile_, &error_);
    if (call.c == 255) std::memset(&profile_, call.a, sizeof profile_);
  }

  cellroute_request request_of(const Call& call) {
    cellroute_request request = zeroed<cellroute_request>();
    request.key = key_of(call);
    request.profile = profile_;
    request.lane = call.a % 3;
    request.access = call.b % 3;
    request.risk = call.c / 128.0;
    tried_ = call.c % 4;
    request.tried = call.b & 4 ? &tried_ : nullptr;
    request.tried_count = call.b & 8 ? 1 : 0;
    request.mapping = call.b & 16 ? &mapping_ : nullptr;
    if (call.b == 255) request.struct_size = call.c % sizeof request;
    return request;
  }

  void decide(const Call& call) {
    const cellroute_request request = request_of(call);
    cellroute_decision& decision = decisions_[call.a % decisions_.size()];
    decision.struct_size = call.b == 254 ? call.c % sizeof decision : sizeof decision;
    if (call.kind % 2) {
      const cellroute_call all = {sizeof all, 0, router_, &request, now_, &decision};
      cellroute_route_call(&all);
    } else {
      cellroute_locate_batch(router_, &request, 1, now_, &decision);
    }
  }

  void report(const Call& call) {
    cellroute_outcome outcome = zeroed<cellroute_outcome>();
    outcome.end = call.b % 5;
    outcome.http_status = call.c * 4u;
    cellroute_ticket& ticket = decisions_[call.a % decisions_.size()].ticket;
    if (call.b >= 250) ticket.words[call.a % 5] ^= std::uint64_t{call.c} << (call.b - 250) * 8;
    cellroute_report(router_, &ticket, &outcome, now_);
  }

  void columns(const Call& call) {
    std::array<std::int64_t, 3> offsets = {0, call.a % 5, call.b % 8};
    std::array<std::uint32_t, 2> cells{};
    std::array<cellroute_ticket, 2> tickets{};
    cellroute_keys keys = zeroed<cellroute_keys>();
    cellroute_answers answers = zeroed<cellroute_answers>();
    keys.count = 2;
    keys.bytes = kBytes;
    keys.byte_count = 6;
    keys.offsets = offsets.data();
    keys.profile = profile_;
    if (call.c & 16) {
      keys.offsets = nullptr;
      keys.width = call.a % 5;
    }
    keys.lane = call.c % 3;
    answers.cells = cells.data();
    answers.tickets = tickets.data();
    if (call.c & 8) {
      cellroute_route_keys(router_, &keys, now_, &answers);
    } else {
      cellroute_locate_keys(router_, &keys, now_, &answers);
    }
  }

  void explain(const Call& call) {
    const cellroute_request request = request_of(call);
    std::size_t size = 0;
    const std::size_t capacity = call.c * 8u;
    const std::unique_ptr<char[]> text(new char[capacity + 1]);
    cellroute_explain(router_, &request, now_, text.get(), capacity, &size, &error_);
  }

  void mark(const Call& call) {
    cellroute_cell_metrics metrics = zeroed<cellroute_cell_metrics>();
    cellroute_mark_health(router_, call.a % 4, call.b % 3);
    cellroute_mark_load(router_, call.a % 4, std::uint64_t{call.c} << (call.b % 64));
    cellroute_router_cell_metrics(router_, call.a % 4, now_, &metrics);
  }

  void put(const Call& call) {
    cellroute_record record = zeroed<cellroute_record>();
    record.key = key_of(call);
    record.cell = view(call.b % 4 == 0 ? kNoCell : kCell);
    record.epoch = call.c % 16;
    record.marks = call.b % 8;
    record.op_id[0] = static_cast<std::uint8_t>(call.c | 1);
    record.flag_count = call.b == 255 ? call.c : 0;
    record.expires_ns = (record.marks & CELLROUTE_RECORD_EPHEMERAL) != 0 ? now_ + call.c : 0;
    cellroute_store_put_if(store_of(call), &record, call.a % 4, now_, nullptr, &error_);
    record.revision = call.a % 4;
    if (call.c % 4 == 0) cellroute_store_observe(store_of(call), &record, &error_);
    if (call.c % 4 == 1) cellroute_store_invalidate(store_of(call), record.key, &error_);
  }

  void read(const Call& call) {
    cellroute_sink sink = zeroed<cellroute_sink>();
    sink.record = ignore_record;
    sink.page = call.b % 2 ? ignore_page : nullptr;
    cellroute_store_get(store_of(call), key_of(call), now_, &sink, &error_);
    cellroute_store_scan(store_of(call), {}, call.c, now_, &sink, &error_);
    cellroute_cache_counts counts = zeroed<cellroute_cache_counts>();
    if (cellroute_store_cache_counts(cached_, &counts) != CELLROUTE_OK || counts.entries > 3) {
      std::abort();
    }
  }

  void look_up(const Call& call) {
    const cellroute_request request = request_of(call);
    cellroute_decision decision = zeroed<cellroute_decision>();
    mapping_.struct_size = sizeof mapping_;
    if (call.c % 2) {
      cellroute_resolve(router_, store_of(call), key_of(call), now_, &mapping_, &error_);
    } else {
      cellroute_assign(router_, store_of(call), &request, nullptr, now_, &mapping_, &decision,
                       &error_);
    }
    if (call.c < 8) mapping_.cell ^= call.a;
    if (call.c == 8) std::memset(&mapping_.profile, call.a, sizeof mapping_.profile);
  }

  void pick(const Call& call) {
    static const std::array<std::string, 3> kNames = {"ring", "jump", "rendezvous"};
    std::uint32_t member = 0;
    cellroute_picker* picker = nullptr;
    cellroute_member only = zeroed<cellroute_member>();
    only.id = key_of(call);
    only.weight = call.b;
    if (cellroute_picker_create(view(kNames[call.a % 3]), &only, call.c % 2, nullptr, &picker,
                                &error_) != CELLROUTE_OK) {
      return;
    }
    cellroute_picker_pick(picker, key_of(call), &member);
    if (member != 0) std::abort();
    cellroute_picker_destroy(picker);
  }

  cellroute_store* store_of(const Call& call) const { return call.b % 2 ? cached_ : store_; }

  static cellroute_view key_of(const Call& call) {
    if (call.a == 255) return {nullptr, call.b};
    return {kBytes, call.a % 7u};
  }

  static constexpr const char* kBytes = "abcdef";
  const std::string kLabel = "l", kCell = "a", kNoCell = "none";

  cellroute_topology* topology_ = nullptr;
  cellroute_router* router_ = nullptr;
  cellroute_snapshot* snapshot_ = nullptr;
  cellroute_store* store_ = nullptr;
  cellroute_store* cached_ = nullptr;  // in front of store_
  cellroute_profile profile_{};
  cellroute_mapping mapping_ = zeroed<cellroute_mapping>();
  cellroute_error error_ = zeroed<cellroute_error>();
  std::array<cellroute_decision, 4> decisions_{};
  std::uint32_t tried_ = 0;
  std::int64_t now_ = kPresent;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Host host;
  constexpr std::size_t kMostCalls = 256;
  for (std::size_t i = 0; i + sizeof(Call) <= size && i < kMostCalls * sizeof(Call);
       i += sizeof(Call)) {
    Call call;
    std::memcpy(&call, data + i, sizeof call);
    host.play(call);
  }
  return 0;
}
