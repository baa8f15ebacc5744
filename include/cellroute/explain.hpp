// The whole derivation of a decision, for people and tools. Changes nothing.
#pragma once

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "cellroute/router.hpp"

namespace cellroute {

// One step of the derivation: what was looked at, and what came of it.
struct Step {
  std::string name;  // request, mapping, requirement, candidates, pool, guards, fleet, decision
  std::string text;
};

struct Explanation {
  Decision decision;  // what place() answers
  std::vector<Step> steps;
};

namespace explain_detail {

inline std::string hex(std::uint64_t value) {
  char text[19];
  std::snprintf(text, sizeof text, "0x%016llx", static_cast<unsigned long long>(value));
  return text;
}

template <class Names>
std::string join(const Names& names, const char* between = ", ") {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : between) + std::string(name);
  return text;
}

class Explaining {
 public:
  Explaining(const Snapshot& snapshot, const Guards& guards, const Request& request, Nanos now)
      : snapshot_(snapshot),
        compiled_(snapshot.compiled()),
        guards_(guards),
        request_(request),
        now_(now),
        choice_(choose(snapshot, request, now)) {}

  std::vector<Step> steps(const Decision& decision) {
    explain_request();
    if (check_request(snapshot_, request_) == Reason::kNone) {
      explain_mapping();
      if (choice_.mapped) {
        explain_requirement();
      } else if (choice_.pool != kNoPool || choice_.status == Status::kNoEligibleCell) {
        explain_requirement();
        explain_candidates();
      }
      if (choice_.pool != kNoPool) explain_pool();
      if (decision.cell != kNoCellNumber) explain_guards(snapshot_.cell_of(decision.cell));
      if (choice_.status == Status::kOk) explain_fleet();
    }
    add("decision", std::string(name(decision.status)) + ", " + std::string(name(decision.reason)) +
                        ": " + std::string(text_of(decision.reason).sentence));
    return std::move(steps_);
  }

 private:
  const Topology& topology() const { return compiled_.topology(); }

  void add(std::string step, std::string text) {
    steps_.push_back({std::move(step), std::move(text)});
  }

  std::string tier_name(std::size_t i) const {
    return topology().tiers.empty() ? "the only tier" : topology().tiers[i].name;
  }
  std::string region_name(std::size_t i) const {
    return topology().regions.empty() ? "the only region" : topology().regions[i];
  }
  std::string level_name(std::size_t i) const {
    return topology().encryption_levels.empty() ? "none" : topology().encryption_levels[i];
  }

  void explain_request() {
    add("request", "key of " + std::to_string(request_.key.size()) + " bytes, hash " +
                       hex(snapshot_.hash(request_.key)) + ", " +
                       (request_.access == Access::kRead ? "READ" : "WRITE") + ", generation " +
                       std::to_string(snapshot_.generation()));
  }

  void explain_mapping() {
    Mapped in_base;
    const Mapped* mapped = request_.mapping;
    if (mapped == nullptr) mapped = snapshot_.overlay().find(request_.key, choice_.hash);
    if (mapped == nullptr && snapshot_.base()) {
      in_base = snapshot_.mapped(snapshot_.base()->find(request_.key));
      mapped = &in_base;
    }
    const bool expired = mapped != nullptr && mapped->expires != 0 && now_ >= mapped->expires;
    if (mapped == nullptr || mapped->answer == Answer::kAbsent || expired) {
      const char* const then[] = {"PLACE: the strategy's pick is the key's home",
                                  "ASSIGN: a cell is proposed, assign writes it",
                                  "REJECT: a key without a mapping is not served"};
      add("mapping", "ABSENT; policy " +
                         std::string(then[static_cast<std::size_t>(topology().policy.unassigned)]));
    } else if (choice_.reason == Reason::kMappingStale) {
      add("mapping", "FOUND, but resolved for another generation");
    } else if (mapped->answer == Answer::kUnknown) {
      add("mapping", "UNKNOWN: the store did not answer, so the key is not placed");
    } else {
      const std::string cell = mapped->cell == kNoCell ? "a cell that the topology lacks"
                                                       : compiled_.cell(mapped->cell).id;
      add("mapping", "FOUND: " + cell + " since epoch " + std::to_string(mapped->epoch));
    }
  }

  void explain_requirement() {
    const Requirement& demand = compiled_.requirements()[choice_.requirement];
    std::vector<std::string> parts;
    std::vector<std::string> names;
    for (std::size_t i = 0; i < topology().certifications.size(); ++i) {
      if ((demand.certifications >> i & 1) != 0) names.push_back(topology().certifications[i]);
    }
    if (!names.empty()) parts.push_back("certified " + join(names, " and "));
    names.clear();
    for (std::size_t i = 0; i < topology().regions.size(); ++i) {
      if (demand.regions.test(i)) names.push_back(topology().regions[i]);
    }
    if (names.size() < topology().regions.size()) parts.push_back("in " + join(names, " or "));
    const std::size_t least = std::max(demand.flag_encryption, demand.risk_encryption);
    if (least > 0) parts.push_back("encryption at least " + level_name(least));
    if (demand.preferred_encryption > 0) {
      parts.push_back("encryption " + level_name(demand.preferred_encryption) + " preferred");
    }
    add("requirement", parts.empty() ? "none beyond tier and region" : join(parts));
  }

  // Why `cell` is not eligible; empty where it is.
  std::string against(CellIndex cell) const {
    const Requirement& demand = compiled_.requirements()[choice_.requirement];
    const CellFacts& facts = compiled_.facts(cell);
    if (facts.state == CellState::kDraining) return "is DRAINING";
    if (facts.state == CellState::kOffline) return "is OFFLINE";
    for (std::size_t i = 0; i < topology().certifications.size(); ++i) {
      if (((demand.certifications & ~facts.certifications) >> i & 1) != 0) {
        return "lacks " + topology().certifications[i];
      }
    }
    if (!demand.regions.test(facts.region)) return "is in a forbidden region";
    const std::size_t least = std::max(demand.flag_encryption, demand.risk_encryption);
    if (facts.encryption < least) return "has encryption " + level_name(facts.encryption) + " only";
    return {};
  }

  template <class Name>
  std::vector<std::size_t> order(std::size_t own, const std::vector<Fallback>& fallbacks,
                                 const NameIndex& index, const Name& name_of) const {
    std::vector<std::size_t> places{own};
    for (const Fallback& fallback : fallbacks) {
      if (index.find(fallback.from) != index.find(name_of(own))) continue;
      for (const std::string& to : fallback.to) places.push_back(index.find(to));
    }
    return places;
  }

  void explain_candidates() {
    const Policy& policy = topology().policy;
    const auto regions =
        order(request_.profile.region, policy.region_fallback, compiled_.region_names(),
              [&](std::size_t i) { return region_name(i); });
    const auto tiers = order(request_.profile.tier, policy.tier_fallback, compiled_.tier_names(),
                             [&](std::size_t i) { return tier_name(i); });
    for (const std::size_t region : regions) {
      for (const std::size_t tier : tiers) {
        if (explain_set(region, tier)) return;
      }
    }
  }

  // True where the set is not empty, which ends the search.
  bool explain_set(std::size_t region, std::size_t tier) {
    constexpr std::size_t kShown = 16;
    std::vector<std::string> passing, failing;
    for (std::size_t place = 0; place < compiled_.cell_count(); ++place) {
      const auto i = static_cast<CellIndex>(place);
      const CellFacts& facts = compiled_.facts(i);
      if (facts.region != region || facts.tier != tier) continue;
      const std::string why = against(i);
      if (why.empty()) {
        passing.push_back(compiled_.cell(i).id);
      } else {
        failing.push_back(compiled_.cell(i).id + " " + why);
      }
    }
    const auto shown = [&](std::vector<std::string> all) {
      const std::size_t more = all.size() > kShown ? all.size() - kShown : 0;
      all.resize(all.size() - more);
      if (more > 0) all.push_back(std::to_string(more) + " more");
      return all.empty() ? std::string("none") : join(all);
    };
    add("candidates", region_name(region) + ", " + tier_name(tier) + ": " + shown(passing) +
                          (failing.empty() ? "" : "; " + shown(failing)));
    return !passing.empty();
  }

  void explain_pool() {
    constexpr int kShown = 5;
    const Pool& pool = compiled_.pool(choice_.pool);
    const Point point = Picker::point(pool.picker.kind(), request_.key, choice_.hash);
    Preference preference(pool.picker, pool.members, point);
    std::vector<std::string> names;
    for (int i = 0; i < kShown; ++i) {
      const CellIndex cell = preference.next();
      if (cell == kNoCell) break;
      names.push_back(compiled_.cell(cell).id);
    }
    add("pool",
        std::to_string(pool.members.size()) + (pool.members.size() == 1 ? " cell, " : " cells, ") +
            std::string(Picker::name(pool.picker.kind())) + "; preference order: " + join(names) +
            (pool.members.size() > names.size() ? ", …" : ""));
  }

  void explain_guards(CellIndex cell) {
    const std::uint32_t number = snapshot_.number_of(cell);
    const Admission admission = guards_.available(number, snapshot_.guards().rules(cell), now_);
    const char* const health = admission.ok()                               ? "available"
                               : admission.refusal == Refusal::kUnhealthy   ? "marked UNHEALTHY"
                               : admission.refusal == Refusal::kBreakerOpen ? "breaker open"
                                                                            : "probes out";
    add("guards", compiled_.cell(cell).id + ": " + health + ", " +
                      std::to_string(guards_.in_flight(number)) + " in flight, load " +
                      std::to_string(guards_.region().load(number)) + " of capacity " +
                      std::to_string(compiled_.cell(cell).capacity));
  }

  // What all routers together grant the key. A step for each limit.
  void explain_fleet() {
    for (const KeyLimit* const limit : snapshot_.guards().limits(choice_.plan)) {
      if (limit->by != CountedBy::kFleet) continue;
      const FleetLimiter& limiter = *limit->rule.fleet;
      const FleetRule& rule = limiter.rule(limit->rule.fleet_plan);
      const bool monthly = limiter.limit().kind == FleetKind::kMonthly;
      std::string text = limiter.limit().name + ": ";
      if (rule.free) {
        text += "unlimited";
      } else if (rule.share.unlimited) {
        text += "unlimited, counted by calendar month";
      } else if (monthly) {
        text += std::to_string(rule.requests) + " in a calendar month";
      } else {
        text += std::to_string(rule.burst) + " at once, " + std::to_string(rule.requests) + " in " +
                std::to_string(limiter.limit().period) + " ns";
      }
      add("fleet", text + ", of " + std::to_string(limiter.options().routers) +
                       (limiter.options().routers == 1 ? " router" : " routers"));
    }
  }

  const Snapshot& snapshot_;
  const CompiledTopology& compiled_;
  const Guards& guards_;
  const Request& request_;
  Nanos now_;
  Choice choice_;
  std::vector<Step> steps_;
};

}  // namespace explain_detail

// What place() answers to `request`, step by step, on one snapshot. Allocates; for use off the
// path.
inline Explanation explain(const Router& router, const Request& request, Nanos now) {
  Explanation explanation;
  const std::shared_ptr<const Snapshot> snapshot = router.snapshot();
  if (!snapshot) {
    explanation.decision.reason = Reason::kNoSnapshot;
    return explanation;
  }
  explanation.decision = Deciding<false>::decide(*snapshot, router.guards(), request, now);
  explain_detail::Explaining explaining(*snapshot, router.guards(), request, now);
  explanation.steps = explaining.steps(explanation.decision);
  return explanation;
}

}  // namespace cellroute
