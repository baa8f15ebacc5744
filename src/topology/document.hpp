// What YAML and JSON have in common: a tree of values, each with its place in the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "topology/findings.hpp"

namespace cellroute::loading {

// Bounds of an input, for every format. They hold a topology of 65,535 cells with 32 values each.
inline constexpr std::size_t kMaxInputBytes = std::size_t{64} << 20;
inline constexpr std::size_t kMaxDepth = 64;
inline constexpr std::size_t kMaxValues = std::size_t{1} << 21;
inline constexpr std::size_t kMaxGroups = std::size_t{1} << 20;  // lists, maps, messages

struct Node {
  enum class Kind : std::uint8_t {
    kNull,
    kPlain,   // YAML without quotes: what it means depends on the field
    kString,  // in quotes
    kNumber,  // JSON
    kBool,    // JSON
    kList,
    kMap,
  };

  Kind kind = Kind::kNull;
  Position at;                 // of the value
  Position key_at;             // of the key, in a map
  std::string key;             // in a map
  std::string text;            // of a scalar, as written, less quotes and escapes
  std::vector<Node> children;  // of a list or map, in the order of the file
};

// The tree of a whole file, or nothing and why. Keys of a map are distinct.
std::optional<Node> read_yaml(std::string_view bytes, Findings& findings);
std::optional<Node> read_json(std::string_view bytes, Findings& findings);

// `a list`, `the number 12`, `"text"`: what is there, for error texts.
std::string description(const Node& node);

// Where byte `offset` stands.
Position position_of(std::string_view bytes, std::size_t offset);

// Whether all of it is UTF-8 (RFC 3629).
bool is_utf8(std::string_view bytes);

// False, with a finding, unless the text is UTF-8 without control characters.
bool check_characters(std::string_view bytes, Findings& findings);

// Builds a Node tree from a parser's events, within the bounds. After a call that returns false
// there is a finding, and the parser must stop.
class TreeBuilder {
 public:
  explicit TreeBuilder(Findings& findings) : findings_(findings) {}

  bool scalar(Node::Kind kind, Position at, std::string text);
  bool begin(Node::Kind kind, Position at);  // a list or map
  bool end();
  bool key(Position at, std::string text);

  bool in_map() const noexcept { return !open_.empty() && open_.back()->kind == Node::Kind::kMap; }
  bool expects_key() const noexcept { return in_map() && !has_key_; }

  // Precondition: every list and map has ended, and none of the calls failed.
  Node take() { return std::move(root_); }

 private:
  Node* place(Node::Kind kind, Position at);
  bool refuse(Position at, std::string text);

  Findings& findings_;
  Node root_;
  std::vector<Node*> open_;  // from the root to the list or map being filled
  Node pending_;             // carries the next value's key
  bool has_key_ = false;
  std::size_t values_ = 0;
  std::size_t groups_ = 0;
};

}  // namespace cellroute::loading
