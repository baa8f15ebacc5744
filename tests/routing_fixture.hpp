// A small topology and short words for what the routing tests ask of it.
#pragma once

#include <catch2/catch.hpp>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cellroute/router.hpp"

namespace routing {

using namespace cellroute;

inline constexpr Nanos kNow = 1'700'000'000 * kSecond;

inline Cell cell(std::string id, std::string tier, std::string region, std::string encryption = "",
                 std::vector<std::string> certifications = {}) {
  Cell made;
  made.id = std::move(id);
  made.tier = std::move(tier);
  made.region = std::move(region);
  made.encryption = std::move(encryption);
  made.certifications = std::move(certifications);
  made.endpoint = "https://" + made.id + ".example.com";
  return made;
}

// Tiers retail and private, regions us and eu, the usual rules; STATEFUL, PLACE, no guards.
inline Topology topology(std::vector<Cell> cells) {
  Topology made;
  made.generation = 1;
  made.hash_seed = 42;
  made.tiers = {{"retail", {}, {}}, {"private", {"hnw"}, {}}};
  made.regions = {"us", "eu"};
  made.certifications = {"SOC2", "FedRAMP"};
  made.encryption_levels = {"standard", "enhanced", "maximum"};
  made.cells = std::move(cells);
  made.policy.slots = 1024;
  made.policy.limiter_entries = 1024;
  made.policy.risk = {800'000'000, "maximum", RiskMode::kPrefer};
  made.policy.flags = {{"EU_RESIDENT", {}, {"eu"}, ""},
                       {"HIGH_RISK", {}, {}, "maximum"},
                       {"PII_RESTRICTED", {"FedRAMP"}, {}, ""}};
  return made;
}

inline std::vector<Cell> four_cells() {
  return {cell("r-us-1", "retail", "us"), cell("r-us-2", "retail", "us"),
          cell("r-eu-1", "retail", "eu"), cell("p-us-1", "private", "us", "maximum", {"FedRAMP"})};
}

inline Topology stateless(std::vector<Cell> cells) {
  Topology made = topology(std::move(cells));
  made.policy.affinity = Affinity::kStateless;
  return made;
}

inline Topology assigning(std::vector<Cell> cells) {
  Topology made = topology(std::move(cells));
  made.policy.unassigned = Unassigned::kAssign;
  return made;
}

inline MappingRecord record(std::string key, std::string cell, std::uint64_t epoch = 1) {
  MappingRecord made;
  made.key = std::move(key);
  made.cell = std::move(cell);
  made.epoch = epoch;
  made.revision = 1;
  return made;
}

struct Ask {
  std::string_view tier = "retail";
  std::string_view region = "us";
  std::vector<std::string_view> flags = {};
  double risk = 0;
  std::string_view plan = {};
  Access access = Access::kWrite;
  std::string_view resource = {};
  std::vector<std::uint32_t> tried = {};
  const Mapped* mapping = nullptr;
};

// A router that serves one topology.
class Served {
 public:
  explicit Served(Topology topology, std::vector<MappingRecord> mappings = {}) {
    RouterOptions options;
    options.geometry.cells = 256;
    options.geometry.lanes = 2;
    options.geometry.limiter_entries = 1024;
    options.guard_seed = 7;
    auto made = Router::create(options);
    REQUIRE(made.ok());
    router_ = std::move(*made);
    publish(std::move(topology), std::move(mappings));
  }

  void publish(Topology topology, std::vector<MappingRecord> mappings = {}) {
    const Error error = try_publish(std::move(topology), std::move(mappings), {100, 100, true});
    INFO(error.text());
    REQUIRE(error.ok());
  }

  Error try_publish(Topology topology, std::vector<MappingRecord> mappings = {},
                    PublishOptions options = {}) {
    auto compiled = compile(std::move(topology));
    if (!compiled.ok()) return compiled.error();
    return router_->publish(*compiled, mappings, options);
  }

  Decision route(std::string_view key, const Ask& ask = {}, Nanos now = kNow) {
    return answer(key, ask, [&](const Request& request) { return router_->route(request, now); });
  }
  Decision place(std::string_view key, const Ask& ask = {}, Nanos now = kNow) {
    return answer(key, ask, [&](const Request& request) { return router_->place(request, now); });
  }

  std::string cell_of(const Decision& decision) const {
    if (decision.cell == kNoCellNumber) return "";
    const auto snapshot = router_->snapshot();
    return snapshot->compiled().cell(snapshot->cell_of(decision.cell)).id;
  }
  std::uint32_t number_of(std::string_view id) const {
    const auto snapshot = router_->snapshot();
    return snapshot->number_of(snapshot->compiled().find_cell(id));
  }

  // Failures in a row, each routed by `key` and reported at once.
  void fail(std::string_view key, int times, const Ask& ask = {}, Nanos now = kNow) {
    for (int i = 0; i < times; ++i) {
      Decision decision = route(key, ask, now);
      router_->report(decision.ticket, {CallEnd::kConnectError, 0, false}, now);
    }
  }

  Router& operator*() { return *router_; }
  Router* operator->() { return router_.get(); }

 private:
  template <class Answer>
  Decision answer(std::string_view key, const Ask& ask, const Answer& by) {
    const auto snapshot = router_->snapshot();
    const ResolvedProfile resolved = snapshot->profile({ask.tier, ask.region, ask.plan, ask.flags});
    if (resolved.reason != Reason::kNone) {
      Decision refused;
      refused.status = Status::kInvalidArgument;
      refused.reason = resolved.reason;
      return refused;
    }
    Request request;
    request.key = key;
    request.profile = resolved.profile;
    request.risk = ask.risk;
    request.access = ask.access;
    request.resource = ask.resource;
    request.tried = ask.tried;
    request.mapping = ask.mapping;
    return by(request);
  }

  std::unique_ptr<Router> router_;
};

// So that a failing CHECK names what it saw.
inline std::string said(const Decision& decision) {
  return std::string(name(decision.status)) + " " + std::string(name(decision.reason));
}

}  // namespace routing
