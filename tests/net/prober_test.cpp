// Probes of cells: what answers mean, where cells are asked, and what is left of probes broken off.
// tests/python/prober_test.py has the whole of it against real servers.
#include <catch2/catch.hpp>
#include <chrono>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "dynamodb/fake_http.hpp"
#include "net/prober.hpp"
#include "store_fixtures.hpp"

namespace cellroute::net {
namespace {

using testing::code_of;
using testing::FakeHttp;
using testing::FakeRequest;
using testing::http_reply;
using testing::must;

constexpr Nanos kNow = 1'700'000'000 * kSecond;
constexpr Nanos kHour = 3'600 * kSecond;

TEST_CASE("probe answer: the status of HTTP decides, and only for the cell itself") {
  const auto result = [](long status, std::string_view body) {
    return judge(status, body, "a").result;
  };
  const std::string mine = R"({"cell_id":"a","status":"ok","checks":{}})";
  CHECK(result(200, mine) == ProbeResult::kHealthy);
  CHECK(result(200, R"({"cell_id":"a"})") == ProbeResult::kHealthy);
  CHECK(result(503, mine) == ProbeResult::kUnhealthy);
  CHECK(result(503, "no JSON") == ProbeResult::kUnhealthy);
  CHECK(result(200, R"({"cell_id":"A"})") == ProbeResult::kWrongCell);
  CHECK(result(503, R"({"cell_id":"b"})") == ProbeResult::kWrongCell);
  CHECK(result(200, R"({"cell_id":"a)"
                    "\\u0000"
                    R"("})") == ProbeResult::kWrongCell);
  CHECK(result(200, "") == ProbeResult::kBadBody);
  CHECK(result(200, R"({"cell_id":"a","checks":7})") == ProbeResult::kBadBody);
  CHECK(result(299, mine) == ProbeResult::kBadStatus);
  CHECK(result(300, mine) == ProbeResult::kRedirect);
  CHECK(result(399, mine) == ProbeResult::kRedirect);
  CHECK(result(400, mine) == ProbeResult::kBadStatus);
  CHECK(result(0, mine) == ProbeResult::kBadStatus);
}

TEST_CASE("probe answer: a load is a number from 0 to 2^62") {
  const auto load = [](const std::string& text) {
    return judge(200, R"({"cell_id":"a","checks":{"load":)" + text + "}}", "a");
  };
  CHECK(load("0").load == 0u);
  CHECK(load("12.999").load == 12u);
  CHECK(load("4611686018427387904").load == std::uint64_t{1} << 62);
  for (const char* const text : {"-1", "-0.5", "1e19", "4611686018427387905", "9223372036854775807",
                                 "18446744073709551616", "\"1\"", "null", "true", "[]"}) {
    INFO(text);
    CHECK(load(text).result == ProbeResult::kBadBody);
    CHECK_FALSE(load(text).load);
  }
  CHECK(judge(503, R"({"cell_id":"a","checks":{"load":5}})", "a").load == 5u);
  CHECK_FALSE(judge(200, R"({"cell_id":"b","checks":{"load":5}})", "a").load);
}

TEST_CASE("probe url: the root of what HTTP reaches") {
  CHECK(probe_url("https://a.example.com", "/health") == "https://a.example.com/health");
  CHECK(probe_url("HTTP://[::1]:8080/api/v1", "/up") == "http://[::1]:8080/up");
  CHECK(probe_url("10.0.0.1:80", "/health") == "http://10.0.0.1:80/health");
  CHECK(probe_url("unix:/run/a.sock", "/health").empty());
  CHECK(probe_url("grpc://a.example.com", "/health").empty());
  CHECK(probe_url("", "/health").empty());
}

// A prober of one cell "a" at `endpoint`, and what it found.
struct Watched {
  explicit Watched(const std::string& endpoint, ProbeOptions options = {}) {
    options.interval = kHour;
    prober = must(Prober::create(
        std::move(options), [this](const ProbeFinding& finding) { findings.push_back(finding); }));
    prober->set_targets({{7, "a", endpoint}}, kNow);
  }

  // One more probe, to its end.
  void round() {
    now += 2 * kHour;
    const std::size_t before = findings.size();
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (findings.size() == before && std::chrono::steady_clock::now() < end) {
      (void)prober->poll(now);
      prober->wait(kMillisecond);
    }
    REQUIRE(findings.size() == before + 1);
  }

  std::vector<ProbeFinding> findings;
  std::unique_ptr<Prober> prober;
  Nanos now = kNow;
};

TEST_CASE("prober: findings say what is known") {
  int status = 200;
  FakeHttp cell([&](const FakeRequest&) {
    return http_reply(status, R"({"cell_id":"a","checks":{"load":3}})");
  });
  Watched watched(cell.address());
  watched.round();
  CHECK_FALSE(watched.findings[0].healthy);
  CHECK(watched.findings[0].load == 3u);
  watched.round();
  CHECK(watched.findings[1].healthy == true);
  CHECK(watched.findings[1].cell == 7);
  CHECK(cell.connections() == 2);  // each probe has its own
  CHECK(watched.prober->status(7)->probes == 2);
  CHECK(watched.prober->status(8) == nullptr);
}

TEST_CASE("prober: what a broken server leaves is let go") {
  for (const std::string& said :
       {testing::kHangUp, testing::kHalfClose, std::string("HTTP/1.1 200 O"), std::string("\0x", 2),
        http_reply(200, std::string(70'000, ' '))}) {
    FakeHttp cell([&](const FakeRequest&) { return said; });
    Watched watched(cell.address(), {.timeout = kSecond / 5, .fall = 1});
    watched.round();
    CHECK(watched.findings[0].healthy == false);
  }
}

TEST_CASE("prober: probes under way are broken off with their cell or their prober") {
  FakeHttp cell([](const FakeRequest&) { return testing::kDrip; });
  Watched watched(cell.address(), {.timeout = kHour});
  watched.now += 2 * kHour;
  while (!watched.prober->busy()) (void)watched.prober->poll(watched.now);
  watched.prober->set_targets({}, watched.now);
  CHECK_FALSE(watched.prober->busy());
  watched.prober->set_targets({{7, "a", cell.address()}, {3, "b", cell.address()}}, watched.now);
  watched.now += 2 * kHour;
  (void)watched.prober->poll(watched.now);
  CHECK(watched.prober->busy());
  CHECK(watched.findings.empty());
}

TEST_CASE("prober: a thread that waits is woken") {
  Watched watched("");
  std::thread waits([&] { watched.prober->wait(600 * kSecond); });
  watched.prober->wake();
  waits.join();
  CHECK(watched.prober->poll(kNow) == kNow + kHour);
}

TEST_CASE("prober: options out of range are refused") {
  const auto code = [](ProbeOptions options) {
    return code_of(Prober::create(std::move(options), [](const ProbeFinding&) {}));
  };
  CHECK(code({.rise = 0}) == ErrorCode::kInvalidArgument);
  CHECK(code({.fall = 1'001}) == ErrorCode::kInvalidArgument);
  CHECK(code({.concurrency = 0}) == ErrorCode::kInvalidArgument);
  CHECK(code({.path = "x"}) == ErrorCode::kInvalidArgument);
  CHECK(code({.interval = std::numeric_limits<Nanos>::max()}) == ErrorCode::kInvalidArgument);
  CHECK(code({.timeout = 0}) == ErrorCode::kInvalidArgument);
  CHECK(code({.ca_file = "/nonexistent/ca.pem"}) == ErrorCode::kNotFound);
}

}  // namespace
}  // namespace cellroute::net
