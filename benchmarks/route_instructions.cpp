// Calls that .ci/instructions counts under callgrind, which counts alike on any machine. Run alone
// it only checks that every call was served.
//
//   route_instructions CASE    guarded, publishing, unguarded, mapped, base, swapping, extract
//
// The counted functions are named counted_*; everything else happens outside of them.
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "cellroute/router.hpp"
#include "cellroute/tenant.hpp"
#include "keys.hpp"
#include "mapping/file_builder.hpp"

namespace {

using namespace cellroute;

constexpr Nanos kNow = 1'700'000'000 * kSecond;
constexpr int kCalls = 20'000;
constexpr std::size_t kWarmUp = 2'000;

Topology fleet(bool guarded) {
  Topology made;
  made.generation = 1;
  made.hash_seed = 11;
  made.tiers = {{"retail", {}, {}}, {"corporate", {}, {}}};
  made.regions = {"us-east-1", "eu-west-1"};
  made.encryption_levels = {"standard", "maximum"};
  for (int i = 0; i < 1000; ++i) {
    Cell cell;
    cell.id = "cell-" + std::to_string(i);
    cell.tier = "retail";
    cell.region = "us-east-1";
    made.cells.push_back(std::move(cell));
  }
  made.policy.flags = {{"HIGH_RISK", {}, {}, "maximum"}};
  if (guarded) {
    made.policy.breaker.consecutive_failures = 5;
    made.policy.breaker.failure_rate = 500;
    made.policy.in_flight = {1'000'000, 60 * kSecond};
    made.policy.limits = {{LimitPer::kCell,
                           LimitKind::kBucket,
                           "",
                           1'000'000'000,
                           kSecond,
                           0,
                           false,
                           OnExceed::kRefuse,
                           {}}};
  }
  return made;
}

// As in a gateway: by sub-domain, then path, then header, which must agree.
tenant::Rules gateway_rules() {
  TenantPolicy policy;
  policy.sources.resize(3);
  policy.sources[0].kind = TenantSourceKind::kSubdomain;
  policy.sources[0].domains = {"example.com"};
  policy.sources[0].reserved = {"www", "api"};
  policy.sources[1].kind = TenantSourceKind::kPath;
  policy.sources[1].name = "/tenant/{tenant}";
  policy.sources[1].version_prefix = true;
  policy.sources[2].kind = TenantSourceKind::kHeader;
  policy.sources[2].name = "X-Tenant-ID";
  return tenant::Rules(policy);
}

using HttpFields = std::span<const HttpField>;

// What a browser sends.
constexpr std::array<HttpField, 14> kHeaders = {{
    {"Host", "acme-4711.example.com"},
    {"User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"},
    {"Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
    {"Accept-Encoding", "gzip, deflate, br"},
    {"Accept-Language", "en-GB,en;q=0.9"},
    {"Cache-Control", "no-cache"},
    {"Connection", "keep-alive"},
    {"Content-Type", "application/json"},
    {"Cookie", "session=0123456789abcdef0123456789abcdef; theme=dark"},
    {"Origin", "https://acme-4711.example.com"},
    {"Referer", "https://acme-4711.example.com/orders"},
    {"Sec-Fetch-Mode", "cors"},
    {"Sec-Fetch-Site", "same-origin"},
    {"X-Request-ID", "7b9a8c3e-1f2d-4e5a-9b8c-7d6e5f4a3b2c"},
}};

// A base that has all keys.
std::shared_ptr<const MappingFile> base_of(const std::vector<std::string>& keys) {
  const char* const parent = std::getenv("TMPDIR");
  const std::string path = std::string(parent != nullptr ? parent : "/tmp") +
                           "/cellroute-instructions-" + std::to_string(::getpid()) + ".crm";
  auto builder = std::move(*FileBuilder::create(path, {.seed = 42}));
  const auto must = [](bool ok) {
    if (!ok) std::abort();
  };
  for (std::size_t i = 0; i < keys.size(); ++i) {
    FileRecord record;
    const std::string cell = "cell-" + std::to_string(i);
    record.key = keys[i];
    record.cell = cell;
    must(builder->add(record).ok());
  }
  must(builder->finish([](std::uint64_t) {}).ok());
  auto file = MappingFile::open(path, {.copy = true});
  ::unlink(path.c_str());
  must(file.ok());
  return *file;
}

}  // namespace

// Outside of the anonymous namespace and never inlined, so that callgrind knows them by name.
[[gnu::noinline]] Decision counted_route(Router& router, const Request& request, Nanos now);
[[gnu::noinline]] void counted_report(Router& router, Ticket& ticket, Nanos now);
[[gnu::noinline]] Extracted counted_extract(const tenant::Rules& rules,
                                            const HttpRequest<HttpFields>& request,
                                            std::span<char, kMaxKeyBytes> room);

Decision counted_route(Router& router, const Request& request, Nanos now) {
  return router.route(request, now);
}

void counted_report(Router& router, Ticket& ticket, Nanos now) { router.report(ticket, {}, now); }

Extracted counted_extract(const tenant::Rules& rules, const HttpRequest<HttpFields>& request,
                          std::span<char, kMaxKeyBytes> room) {
  return extract(rules, request, room);
}

static int extract_all() {
  const tenant::Rules rules = gateway_rules();
  const HttpRequest<HttpFields> request{{}, "/v1/orders/4711?page=2&size=50", {}, kHeaders, {}};
  std::array<char, kMaxKeyBytes> room;
  int found = 0;
  for (int i = 0; i < kCalls; ++i) {
    found += counted_extract(rules, request, room).key == "acme-4711";
  }
  std::printf("%d\n", found);
  return found == kCalls ? 0 : 1;
}

int main(int count, char** arguments) {
  const std::string what = count == 2 ? arguments[1] : "";
  if (what == "extract") return extract_all();
  const std::vector<std::string> keys = bench::keys(1000);
  RouterOptions options;
  options.geometry.cells = 4096;
  options.geometry.limiter_entries = 16;
  auto router = std::move(*Router::create(options));
  const auto compiled = std::move(*compile(fleet(what != "unguarded")));
  std::vector<MappingRecord> mappings;
  for (std::size_t i = 0; what == "mapped" && i < keys.size(); ++i) {
    mappings.emplace_back();
    mappings.back().key = keys[i];
    mappings.back().cell = "cell-" + std::to_string(i);
  }
  std::vector<std::shared_ptr<const MappingFile>> bases(2);
  if (what == "base" || what == "swapping") bases = {base_of(keys), base_of(keys)};
  if (const Error error = router->publish(compiled, bases[0], mappings); !error.ok()) {
    std::fprintf(stderr, "%s\n", error.text().c_str());
    return 2;
  }
  Request request;
  request.profile = router->snapshot()->profile({"retail", "us-east-1", {}, {}}).profile;
  // Once around uncounted: lanes borrow from cells when they first come to them.
  for (std::size_t i = 0; i < kWarmUp; ++i) {
    request.key = keys[i % keys.size()];
    Decision decision = router->route(request, kNow);
    router->report(decision.ticket, {}, kNow);
  }
  int served = 0;
  for (int i = 0; i < kCalls; ++i) {
    if (what == "publishing" && i % 16 == 0) static_cast<void>(router->publish(compiled, mappings));
    if (what == "swapping" && i % 16 == 0) {
      static_cast<void>(router->publish(compiled, bases[i / 16 % 2 == 0 ? 1 : 0], mappings));
    }
    const Nanos now = kNow + i * 100;
    request.key = keys[static_cast<std::size_t>(i) % keys.size()];
    Decision decision = counted_route(*router, request, now);
    served += decision.status == Status::kOk;
    counted_report(*router, decision.ticket, now);
  }
  std::printf("%d\n", served);
  return served == kCalls ? 0 : 1;
}
