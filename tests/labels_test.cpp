#include "cellroute/labels.hpp"

#include <array>
#include <catch2/catch.hpp>
#include <string>

namespace {

using namespace cellroute;

std::string expanded(std::string_view label, std::string_view cell, std::string_view key) {
  std::string text(kMaxExpandedBytes, '\0');
  text.resize(expand_label(label, cell, key, text));
  return text;
}

TEST_CASE("a label puts the cell and the key in their places") {
  CHECK(expanded("Orders-{cell}", "retail-us-east-1", "k") == "Orders-retail-us-east-1");
  CHECK(expanded("tenant_{key}", "c", "cust_42") == "tenant_cust_42");
  CHECK(expanded("{key}{cell}{key}", "c", "k") == "kck");
  CHECK(expanded("plain", "c", "k") == "plain");
  CHECK(expanded("", "c", "k").empty());
}

TEST_CASE("a key cannot break out of its place in a label") {
  CHECK(expanded("t_{key}", "c", "a\"; drop") == "t_a%22%3B%20drop");
  CHECK(expanded("/{key}/x", "c", "../..") == "/%2E%2E%2F%2E%2E/x");
  CHECK(expanded("{key}", "c", std::string_view("a\0\xff", 3)) == "a%00%FF");
  CHECK(expanded("{key}", "c", "{cell}") == "%7Bcell%7D");
}

TEST_CASE("no two keys give one text") {
  CHECK(expanded("{key}", "c", "%2E") == "%252E");
  CHECK(expanded("{key}", "c", ".") == "%2E");
}

TEST_CASE("a label is cut where the room ends, and its whole size told") {
  std::array<char, 5> room{'x', 'x', 'x', 'x', 'x'};
  CHECK(expand_label("ab{key}", "c", "..", std::span(room).first(4)) == 8);
  CHECK(std::string_view(room.data(), 5) == "ab%2x");
  CHECK(expand_label("ab{key}", "c", "..", {}) == 8);
}

TEST_CASE("a label is found by its name") {
  Cell cell;
  cell.labels = {{"schema", "tenant_{key}"}, {"table", "Orders-{cell}"}};
  CHECK(label_of(cell, "table") == "Orders-{cell}");
  CHECK_FALSE(label_of(cell, "tables"));
  CHECK(label_needs_key("tenant_{key}"));
  CHECK_FALSE(label_needs_key("Orders-{cell}"));
}

}  // namespace
