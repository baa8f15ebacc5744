#include "topology/document.hpp"

#include <algorithm>
#include <utility>

namespace cellroute::loading {
namespace {

// The length of the UTF-8 sequence at the front of `bytes` (RFC 3629), or 0.
std::size_t utf8_length(std::string_view bytes) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const auto continues = [&](std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < to; ++i) {
      if (i >= bytes.size() || (at(i) & 0xc0) != 0x80) return false;
    }
    return true;
  };
  const unsigned char first = at(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first < 0xe0) return continues(1, 2) ? 2 : 0;
  if (first >= 0xe0 && first < 0xf0 && continues(1, 3)) {
    const bool overlong = first == 0xe0 && at(1) < 0xa0;
    const bool surrogate = first == 0xed && at(1) >= 0xa0;
    return overlong || surrogate ? 0 : 3;
  }
  if (first >= 0xf0 && first < 0xf5 && continues(1, 4)) {
    const bool overlong = first == 0xf0 && at(1) < 0x90;
    const bool beyond = first == 0xf4 && at(1) >= 0x90;
    return overlong || beyond ? 0 : 4;
  }
  return 0;
}

// The second of two children with one key, or null.
const Node* repeated_key(const Node& map) {
  std::vector<const Node*> sorted;
  sorted.reserve(map.children.size());
  for (const Node& child : map.children) sorted.push_back(&child);
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const Node* a, const Node* b) { return a->key < b->key; });
  const auto found = std::adjacent_find(sorted.begin(), sorted.end(),
                                        [](auto* a, auto* b) { return a->key == b->key; });
  return found == sorted.end() ? nullptr : *(found + 1);
}

}  // namespace

std::string description(const Node& node) {
  switch (node.kind) {
    case Node::Kind::kNull: return "nothing";
    case Node::Kind::kPlain:
    case Node::Kind::kString: return check::quoted(node.text);
    case Node::Kind::kNumber: return "the number " + node.text.substr(0, 64);
    case Node::Kind::kBool: return node.text;
    case Node::Kind::kList: return "a list";
    case Node::Kind::kMap: return "a map";
  }
  return "";
}

Position position_of(std::string_view bytes, std::size_t offset) {
  const std::string_view before = bytes.substr(0, offset);
  const std::size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0
  return {static_cast<std::uint32_t>(std::count(before.begin(), before.end(), '\n') + 1),
          static_cast<std::uint32_t>(before.size() - line_start + 1)};
}

bool is_utf8(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t length = utf8_length(bytes);
    if (length == 0) return false;
    bytes.remove_prefix(length);
  }
  return true;
}

bool check_characters(std::string_view bytes, Findings& findings) {
  for (std::size_t i = 0; i < bytes.size();) {
    const auto byte = static_cast<unsigned char>(bytes[i]);
    const bool control =
        (byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r') || byte == 0x7f;
    const std::size_t length = control ? 0 : utf8_length(bytes.substr(i, 4));
    if (length == 0) {
      findings.add(position_of(bytes, i), check::Path(),
                   std::string(control ? "control character " : "not UTF-8: byte ") +
                       check::quoted(bytes.substr(i, 1)));
      return false;
    }
    i += length;
  }
  return true;
}

bool TreeBuilder::refuse(Position at, std::string text) {
  findings_.add(at, check::Path(), std::move(text));
  return false;
}

Node* TreeBuilder::place(Node::Kind kind, Position at) {
  if (++values_ > kMaxValues) {
    refuse(at, "more than " + check::counted(kMaxValues) + " values");
    return nullptr;
  }
  Node node = std::exchange(pending_, Node());
  has_key_ = false;
  node.kind = kind;
  node.at = at;
  if (open_.empty()) {
    root_ = std::move(node);
    return &root_;
  }
  return &open_.back()->children.emplace_back(std::move(node));
}

bool TreeBuilder::scalar(Node::Kind kind, Position at, std::string text) {
  Node* node = place(kind, at);
  if (node == nullptr) return false;
  node->text = std::move(text);
  return true;
}

bool TreeBuilder::begin(Node::Kind kind, Position at) {
  if (open_.size() >= kMaxDepth) {
    return refuse(at, "nested more than " + std::to_string(kMaxDepth) + " deep");
  }
  if (++groups_ > kMaxGroups) {
    return refuse(at, "more than " + check::counted(kMaxGroups) + " lists and maps");
  }
  Node* node = place(kind, at);
  if (node == nullptr) return false;
  open_.push_back(node);
  return true;
}

bool TreeBuilder::end() {
  const Node& ended = *open_.back();
  open_.pop_back();
  if (ended.kind != Node::Kind::kMap) return true;
  const Node* twice = repeated_key(ended);
  if (twice == nullptr) return true;
  return refuse(twice->key_at, check::quoted(twice->key) + " is given twice");
}

bool TreeBuilder::key(Position at, std::string text) {
  pending_.key = std::move(text);
  pending_.key_at = at;
  has_key_ = true;
  return true;
}

}  // namespace cellroute::loading
