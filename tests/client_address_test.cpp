// Addresses, blocks of them, and who asked through proxies.
#include "cellroute/tenant/client_address.hpp"

#include <catch2/catch.hpp>

#include "tenant_fixture.hpp"

using namespace tenant_fixture;

namespace {

// The address with its hops, or the reason's name in brackets.
std::string client(std::string_view peer, Fields headers,
                   std::vector<std::string> proxies = {"10.0.0.0/8", "fd00::/8", "unix:"}) {
  TenantPolicy made = policy({header()});
  made.trusted_proxies = std::move(proxies);
  const tenant::Rules rules(made);
  const ClientAddress found = client_address(rules, request_of({.headers = headers, .peer = peer}));
  const std::string text = std::string(found.address) + ' ' + std::to_string(found.hops);
  return found.reason == Reason::kNone ? text : text + " [" + std::string(name(found.reason)) + ']';
}

}  // namespace

TEST_CASE("X-Forwarded-For counts from its right end, as far as trusted proxies wrote it") {
  CHECK(client("192.0.2.1", {}) == "192.0.2.1 0");
  CHECK(client("192.0.2.1", {{"X-Forwarded-For", "10.0.0.1"}}) == "192.0.2.1 0");
  CHECK(client("10.0.0.9", {}) == "10.0.0.9 0");
  CHECK(client("10.0.0.9", {{"X-Forwarded-For", "1.1.1.1, 192.0.2.7"}}) == "192.0.2.7 1");
  CHECK(client("10.0.0.9", {{"x-forwarded-for", "1.1.1.1, 192.0.2.7,10.1.1.1"}}) == "192.0.2.7 2");
  CHECK(client("10.0.0.9", {{"X-Forwarded-For", "192.0.2.7"}, {"X-Forwarded-For", "10.1.1.1"}}) ==
        "192.0.2.7 2");
  CHECK(client("10.0.0.9", {{"X-Forwarded-For", "10.0.0.3, 10.0.0.2"}}) == "10.0.0.3 2");
  CHECK(client("10.0.0.9", {{"X-Forwarded-For", ""}}) == "10.0.0.9 0");
  CHECK(client("10.0.0.9", {{"X-Forwarded-For", "192.0.2.7,, "}}) == "192.0.2.7 1");
  CHECK(client("10.0.0.9", {{"X_Forwarded_For", "192.0.2.7"}}) == "10.0.0.9 0");
  CHECK(client("unix:/run/x", {{"X-Forwarded-For", "192.0.2.7"}}) == "192.0.2.7 1");
  CHECK(client("unix:", {{"X-Forwarded-For", "192.0.2.7"}}, {"10.0.0.0/8"}) == "unix: 0");
  CHECK(client("", {{"X-Forwarded-For", "192.0.2.7"}}) == " 0");
  CHECK(client("10.0.0.9", {{"X-Forwarded-For", "192.0.2.7"}}, {}) == "10.0.0.9 0");
}

TEST_CASE("an entry may have a port and brackets") {
  CHECK(client("10.0.0.9", {{"X-Forwarded-For", "192.0.2.7:5678"}}) == "192.0.2.7 1");
  CHECK(client("10.0.0.9", {{"X-Forwarded-For", "2001:db8::1"}}) == "2001:db8::1 1");
  CHECK(client("10.0.0.9", {{"X-Forwarded-For", "[2001:db8::1]"}}) == "2001:db8::1 1");
  CHECK(client("10.0.0.9", {{"X-Forwarded-For", "[2001:db8::1]:80"}}) == "2001:db8::1 1");
}

TEST_CASE("an entry that counts and is no address is refused, with the proxy that sent it") {
  for (const char* entry : {"unknown", "_hidden", "192.0.2", "192.0.2.7:", "192.0.2.7:x",
                            "192.0.2.7:0", "[192.0.2.7]", "[2001:db8::1", "[2001:db8::1]x",
                            "2001:db8::1%eth0", "192.0.2.07", "a, b c", "\"192.0.2.7\""}) {
    CAPTURE(entry);
    CHECK(client("10.0.0.9", {{"X-Forwarded-For", entry}}) == "10.0.0.9 0 [ADDRESS_MALFORMED]");
  }
  CHECK(client("10.0.0.9", {{"X-Forwarded-For", "x, 10.0.0.1"}}) ==
        "10.0.0.1 1 [ADDRESS_MALFORMED]");
  CHECK(client("10.0.0.9", {{"X-Forwarded-For", "x, 192.0.2.7"}}) == "192.0.2.7 1");
}

TEST_CASE("an IPv4 address is the IPv6 address that stands for it") {
  CHECK(client("::ffff:10.0.0.9", {{"X-Forwarded-For", "192.0.2.7"}}) == "192.0.2.7 1");
  CHECK(client("::ffff:a00:9", {{"X-Forwarded-For", "192.0.2.7"}}) == "192.0.2.7 1");
  CHECK(client("fd12::1", {{"X-Forwarded-For", "192.0.2.7"}}) == "192.0.2.7 1");
  CHECK(client("fe80::1", {{"X-Forwarded-For", "192.0.2.7"}}) == "fe80::1 0");
}

TEST_CASE("a block holds the addresses that share its first bits") {
  const auto holds = [](std::string_view block, std::string_view address) {
    return parse_block(block)->holds(*parse_address(address));
  };
  CHECK(holds("10.0.0.0/8", "10.255.255.255"));
  CHECK_FALSE(holds("10.0.0.0/8", "11.0.0.0"));
  CHECK(holds("192.0.2.128/25", "192.0.2.128"));
  CHECK_FALSE(holds("192.0.2.128/25", "192.0.2.127"));
  CHECK(holds("192.0.2.1", "192.0.2.1"));
  CHECK_FALSE(holds("192.0.2.1", "192.0.2.0"));
  CHECK(holds("2001:db8::/33", "2001:db8:7fff::1"));
  CHECK_FALSE(holds("2001:db8::/33", "2001:db8:8000::1"));
  CHECK_FALSE(holds("10.0.0.0/8", "a00::"));
  CHECK(parse_block("10.0.0.1/8")->reaches_beyond());
  CHECK_FALSE(parse_block("10.0.0.0/8")->reaches_beyond());
  CHECK(parse_block("fd00::1/127")->reaches_beyond());
  CHECK_FALSE(parse_block("::1")->reaches_beyond());
}

TEST_CASE("an address is whole, or none") {
  for (const char* text :
       {"::", "::1", "1::", "1:2:3:4:5:6:7:8", "1::8", "1:2:3:4:5:6:7::", "::1.2.3.4",
        "1:2:3:4:5:6:1.2.3.4", "ABCD::ef01", "0.0.0.0", "255.255.255.255"}) {
    CAPTURE(text);
    CHECK(parse_address(text));
  }
  for (const char* text : {"",
                           ":",
                           ":::",
                           "1:::2",
                           "1::2::3",
                           "1:2:3:4:5:6:7",
                           ":1",
                           "1:",
                           "1:2:3:4:5:6:7:8:9",
                           "1:2:3:4:5:6:7:8::",
                           "12345::",
                           "g::",
                           "1.2.3",
                           "1.2.3.4.5",
                           "1.2.3.256",
                           "01.2.3.4",
                           "1.2.3.4 ",
                           "+1.2.3.4",
                           "1:2:3:4:5:6:7:1.2.3.4",
                           "::1.2.3",
                           "1.2.3.4::"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_address(text));
  }
  CHECK(parse_address("1::8") == parse_address("1:0:0:0:0:0:0:8"));
  CHECK(parse_address("::ffff:1.2.3.4") == parse_address("1.2.3.4"));
  CHECK(parse_address("1:2:3:4:5:6:7::") == parse_address("1:2:3:4:5:6:7:0"));
  CHECK_FALSE(parse_block("10.0.0.0/33"));
  CHECK_FALSE(parse_block("10.0.0.0/"));
  CHECK_FALSE(parse_block("10.0.0.0/08"));
  CHECK_FALSE(parse_block("fd00::/129"));
}
