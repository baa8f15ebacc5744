// Random topologies and requests, decided in C++ and through the C interface, which must agree in
// every field.
//
//   agreement          a hundred topologies, 10,000 requests each; exits 1 at the first difference
//   agreement NUMBER   that topology alone: writes it, its mappings, and each request with its
//                      decision, a line of JSON each, for other languages to compare with
#include <cellroute.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "cellroute/router.hpp"
#include "random_topology.hpp"
#include "topology/load.hpp"

namespace {

using namespace cellroute;

constexpr int kTopologies = 100;
constexpr int kRequests = 10'000;
constexpr std::uint64_t kGuardSeed = 7;

[[noreturn]] void fail(int number, int request, const std::string& what) {
  std::cerr << "agreement: topology " << number << ", request " << request << ": " << what << '\n';
  std::exit(1);
}

struct Asked {
  std::string key, tier, region, resource;
  std::vector<std::string> flags;
  double risk = 0;
  Access access = Access::kWrite;
  Nanos now = 0;
  std::uint16_t http_status = 0;  // what is reported at once; 0: nothing ever is
};

struct Answered {
  Decision decision;
  std::string endpoint;  // for the resource
};

// The key `i` is mapped where this is a cell.
std::vector<MappingRecord> random_mappings(std::mt19937_64& random, const Topology& topology) {
  std::vector<MappingRecord> made;
  for (int i = 0; i < 3000; ++i) {
    if (random() % 2 == 0) continue;
    MappingRecord record;
    record.key = std::to_string(i);
    record.cell = topology.cells[random() % topology.cells.size()].id;
    record.epoch = 1 + random() % 3;
    record.revision = 1;
    record.op_id = {1};
    made.push_back(record);
  }
  return made;
}

Asked random_request(std::mt19937_64& random, const Topology& topology, Nanos now) {
  const auto below = [&](std::uint64_t n) { return random() % n; };
  Asked asked;
  asked.key = below(200) == 0 ? std::string(below(2) * 1025, 'x') : std::to_string(below(3000));
  if (!topology.tiers.empty()) asked.tier = topology.tiers[below(topology.tiers.size())].name;
  if (!topology.regions.empty()) asked.region = topology.regions[below(topology.regions.size())];
  if (below(100) == 0) asked.tier = "unknown";
  if (below(100) == 0) asked.region = "";
  for (const char* flag : {"F0", "F1", "F2"}) {
    if (below(6) == 0) asked.flags.emplace_back(flag);
  }
  asked.risk = static_cast<double>(below(12)) / 10;  // up to 1.1, which is refused
  asked.access = below(2) ? Access::kRead : Access::kWrite;
  if (below(3) == 0) asked.resource = "orders";
  asked.now = now;
  asked.http_status = below(30) == 0 ? 503 : below(8) == 0 ? 0 : 200;
  return asked;
}

class InCxx {
 public:
  InCxx(const Topology& topology, const std::vector<MappingRecord>& mappings) {
    RouterOptions options;
    options.geometry = {.cells = 64, .lanes = 1, .limiter_entries = 1024};
    options.guard_seed = kGuardSeed;
    router_ = std::move(*Router::create(options));
    auto compiled = compile(topology);
    const Error error =
        compiled.ok() ? router_->publish(*compiled, mappings, {}) : compiled.error();
    if (!error.ok()) fail(0, 0, error.text());
    snapshot_ = router_->snapshot();
  }

  Answered decide(const Asked& asked) {
    const std::vector<std::string_view> flags(asked.flags.begin(), asked.flags.end());
    const ResolvedProfile resolved = snapshot_->profile({asked.tier, asked.region, "", flags});
    Answered answered;
    if (resolved.reason != Reason::kNone) {
      answered.decision.status = Status::kInvalidArgument;
      answered.decision.reason = resolved.reason;
      return answered;
    }
    Request request;
    request.key = asked.key;
    request.profile = resolved.profile;
    request.risk = asked.risk;
    request.access = asked.access;
    request.resource = asked.resource;
    answered.decision = router_->route(request, asked.now);
    const std::uint32_t cell = answered.decision.cell;
    if (cell != kNoCellNumber) {
      answered.endpoint = snapshot_->endpoint(snapshot_->cell_of(cell), asked.resource);
    }
    if (asked.http_status != 0) {
      Ticket ticket = answered.decision.ticket;
      router_->report(ticket, {CallEnd::kAnswered, asked.http_status, false}, asked.now);
    }
    return answered;
  }

 private:
  std::unique_ptr<Router> router_;
  std::shared_ptr<const Snapshot> snapshot_;
};

cellroute_view view(std::string_view text) { return {text.data(), text.size()}; }

template <class T>
T sized() {
  T made;
  std::memset(static_cast<void*>(&made), 0, sizeof made);
  made.struct_size = sizeof made;
  return made;
}

class InC {
 public:
  InC(const Topology& topology, const std::vector<MappingRecord>& mappings, int number) {
    constexpr std::uint32_t kFormats[] = {CELLROUTE_FORMAT_YAML, CELLROUTE_FORMAT_JSON,
                                          CELLROUTE_FORMAT_TEXTPROTO, CELLROUTE_FORMAT_BINARY};
    auto load = sized<cellroute_load_options>();
    load.format = kFormats[number % 4];
    const auto text = write_topology(topology, static_cast<TopologyFormat>(number % 4));
    auto options = sized<cellroute_router_options>();
    options.cells = 64;
    options.limiter_entries = 1024;
    options.guard_seed = kGuardSeed;
    std::vector<cellroute_record> records;
    for (const MappingRecord& mapping : mappings) {
      auto& record = records.emplace_back(sized<cellroute_record>());
      record.key = view(mapping.key);
      record.cell = view(mapping.cell);
      record.epoch = mapping.epoch;
      record.revision = mapping.revision;
      record.op_id[0] = 1;
    }
    cellroute_publish_options publish;
    must(cellroute_publish_options_default(&publish, sizeof publish));
    publish.records = records.data();
    publish.record_count = records.size();
    cellroute_topology* loaded = nullptr;
    must(cellroute_topology_load(view(*text), &load, &loaded, &error_));
    must(cellroute_router_create(&options, &router_, &error_));
    must(cellroute_router_publish(router_, loaded, &publish, &error_));
    must(cellroute_snapshot_hold(router_, &snapshot_, &error_));
    cellroute_topology_destroy(loaded);
  }
  ~InC() {
    cellroute_snapshot_destroy(snapshot_);
    cellroute_router_destroy(router_);
  }
  InC(const InC&) = delete;
  InC& operator=(const InC&) = delete;

  // A name that is unknown becomes the decision that it would be.
  cellroute_decision decide(const Asked& asked, std::string& endpoint) {
    auto request = sized<cellroute_request>();
    auto decision = sized<cellroute_decision>();
    decision.cell = CELLROUTE_NO_CELL;
    if (const std::uint32_t reason = resolve(asked, request.profile); reason != 0) {
      decision.status = CELLROUTE_STATUS_INVALID_ARGUMENT;
      decision.reason = reason;
      return decision;
    }
    request.key = view(asked.key);
    request.resource = view(asked.resource);
    request.risk = asked.risk;
    request.access = static_cast<std::uint32_t>(asked.access);
    must(cellroute_route(router_, &request, asked.now, &decision));
    cellroute_view found{};
    if (decision.cell != CELLROUTE_NO_CELL) {
      must(cellroute_snapshot_endpoint(snapshot_, decision.cell, request.resource, &found));
      endpoint.assign(found.data, found.size);
    }
    if (asked.http_status != 0) {
      auto outcome = sized<cellroute_outcome>();
      outcome.http_status = asked.http_status;
      must(cellroute_report(router_, &decision.ticket, &outcome, asked.now));
    }
    return decision;
  }

 private:
  void must(std::int32_t code) {
    if (code != CELLROUTE_OK) fail(0, 0, error_.text);
  }

  std::uint32_t resolve(const Asked& asked, cellroute_profile& profile) {
    std::vector<cellroute_view> flags;
    for (const std::string& flag : asked.flags) flags.push_back(view(flag));
    auto names = sized<cellroute_profile_names>();
    names.tier = view(asked.tier);
    names.region = view(asked.region);
    names.flags = flags.data();
    names.flag_count = static_cast<std::uint32_t>(flags.size());
    const std::int32_t code = cellroute_router_profile(router_, &names, &profile, &error_);
    if (code == CELLROUTE_E_UNKNOWN_NAME) return error_.reason;
    must(code);
    return 0;
  }

  cellroute_error error_ = sized<cellroute_error>();
  cellroute_router* router_ = nullptr;
  cellroute_snapshot* snapshot_ = nullptr;
};

bool same(const Decision& a, const cellroute_decision& b) {
  return static_cast<std::uint32_t>(a.status) == b.status &&
         static_cast<std::uint32_t>(a.reason) == b.reason && a.cell == b.cell &&
         a.epoch == b.epoch && a.generation == b.generation && a.retry_after == b.retry_after_ns &&
         a.timeout == b.timeout_ns && a.read_only == ((b.marks & CELLROUTE_READ_ONLY) != 0);
}

nlohmann::json line(const Asked& asked, const Answered& answered) {
  const Decision& made = answered.decision;
  return {asked.key,
          asked.tier,
          asked.region,
          asked.flags,
          asked.risk,
          asked.access == Access::kRead ? "READ" : "WRITE",
          asked.resource,
          asked.now,
          asked.http_status,
          static_cast<int>(made.status),
          static_cast<int>(made.reason),
          made.cell,
          made.epoch,
          made.generation,
          made.retry_after,
          made.timeout,
          made.read_only,
          answered.endpoint};
}

void write_setting(const Topology& topology, const std::vector<MappingRecord>& mappings) {
  auto lines = nlohmann::json::array();
  for (const MappingRecord& mapping : mappings) {
    lines.push_back({mapping.key, mapping.cell, mapping.epoch});
  }
  std::cout << nlohmann::json(*write_topology(topology, TopologyFormat::kJson)).dump() << '\n'
            << lines.dump() << '\n';
}

// How many were OK.
int compare(int number, bool write) {
  std::mt19937_64 random(static_cast<std::uint64_t>(number));
  const Topology topology = agreement::TopologyMaker(random()).make();
  const std::vector<MappingRecord> mappings = random_mappings(random, topology);
  InCxx cxx(topology, mappings);
  InC c(topology, mappings, number);
  if (write) write_setting(topology, mappings);
  Nanos now = 1'800'000'000 * kSecond;
  int ok = 0;
  for (int i = 0; i < kRequests; ++i) {
    now += static_cast<Nanos>(random() % 20) * kMillisecond;
    const Asked asked = random_request(random, topology, now);
    const Answered answered = cxx.decide(asked);
    std::string endpoint;
    const cellroute_decision through_c = c.decide(asked, endpoint);
    if (!same(answered.decision, through_c)) fail(number, i, "C decides otherwise than C++");
    if (answered.endpoint != endpoint) fail(number, i, "C names another endpoint than C++");
    if (write) std::cout << line(asked, answered).dump() << '\n';
    ok += answered.decision.status == Status::kOk;
  }
  return ok;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) {
    compare(std::atoi(argv[1]), true);
    return 0;
  }
  int ok = 0;
  for (int number = 0; number < kTopologies; ++number) ok += compare(number, false);
  std::cout << kTopologies * kRequests << " decisions agree, " << ok << " of them OK\n";
  // or the topologies were not worth much
  return ok > kTopologies * kRequests / 10 && ok < kTopologies * kRequests * 9 / 10 ? 0 : 1;
}
