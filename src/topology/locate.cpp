#include "topology/locate.hpp"

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>

namespace cellroute::loading {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::TextFormat;

// One part of a path: `cells[3]`, `labels["schema"]` or `id`.
struct Step {
  std::string_view name;
  std::optional<std::size_t> index;
  std::optional<std::string_view> key;  // with its quotes and escapes
};

// Takes the first step off `path`; false at its end.
bool next_step(std::string_view& path, Step& step) {
  if (path.empty()) return false;
  step = Step();
  step.name = path.substr(0, path.find_first_of(".["));
  path.remove_prefix(step.name.size());
  if (path.starts_with("[\"")) {
    std::size_t end = 2;
    while (end < path.size() && path[end] != '"') end += path[end] == '\\' ? 2u : 1u;
    end = std::min(path.find(']', end), path.size());
    step.key = path.substr(1, end - 1);
    path.remove_prefix(std::min(end + 1, path.size()));
  } else if (path.starts_with('[')) {
    const std::size_t end = std::min(path.find(']'), path.size());
    std::size_t index = 0;
    std::from_chars(path.data() + 1, path.data() + end, index);
    step.index = index;
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  if (path.starts_with('.')) path.remove_prefix(1);
  return true;
}

bool is_spelling_of(std::string_view key, std::string_view name) {
  if (key == name) return true;
  std::string camel;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const bool capital = name[i] == '_' && i + 1 < name.size();
    if (capital) ++i;
    const char c = name[i];
    camel += capital && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return key == camel;
}

template <class Matches>
const Node* child(const Node& map, Matches matches) {
  const auto found = std::find_if(map.children.begin(), map.children.end(),
                                  [&](const Node& candidate) { return matches(candidate.key); });
  return found == map.children.end() ? nullptr : &*found;
}

Position place_of(const Node& node) { return node.key_at.line > 0 ? node.key_at : node.at; }

// The place of the index-th value. Of values in one `[…]`, only the first has a place of its own.
Position place_of(const TextFormat::ParseInfoTree& tree, const FieldDescriptor& field, int index) {
  for (;; --index) {
    const TextFormat::ParseLocation at = tree.GetLocation(&field, index);
    if (at.line >= 0) {
      return {static_cast<std::uint32_t>(at.line + 1), static_cast<std::uint32_t>(at.column + 1)};
    }
    if (index <= 0) return {};
  }
}

int index_of_key(const Message& message, const FieldDescriptor& field, std::string_view key) {
  const auto& reflection = *message.GetReflection();
  for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
    const Message& entry = reflection.GetRepeatedMessage(message, &field, i);
    const FieldDescriptor& name = *field.message_type()->map_key();
    if (check::quoted(entry.GetReflection()->GetString(entry, &name)) == key) return i;
  }
  return -1;
}

}  // namespace

Position locate(const Node& root, std::string_view path) {
  const Node* node = &root;
  Position at = root.at;
  for (Step step; next_step(path, step);) {
    const Node* next = child(*node, [&](auto& key) { return is_spelling_of(key, step.name); });
    if (next == nullptr) break;
    node = next;
    at = place_of(*node);
    if (step.index) {
      if (*step.index >= node->children.size()) break;
      node = &node->children[*step.index];
      at = node->at;
    } else if (step.key) {
      next = child(*node, [&](auto& key) { return check::quoted(key) == *step.key; });
      if (next == nullptr) break;
      node = next;
      at = place_of(*node);
    }
  }
  return at;
}

Position locate(const Message& root, const TextFormat::ParseInfoTree& root_tree,
                std::string_view path) {
  const Message* message = &root;
  const TextFormat::ParseInfoTree* tree = &root_tree;
  Position at;
  for (Step step; next_step(path, step);) {
    const FieldDescriptor* field =
        message->GetDescriptor()->FindFieldByName(std::string(step.name));
    if (field == nullptr) break;
    const auto& reflection = *message->GetReflection();
    int index = -1;
    if (field->is_repeated()) {
      if (step.index) index = static_cast<int>(*step.index);
      if (step.key) index = index_of_key(*message, *field, *step.key);
      const Position first = place_of(*tree, *field, std::max(index, 0));
      if (first.line > 0) at = first;
      if (index < 0 || index >= reflection.FieldSize(*message, field)) break;
    } else if (const Position here = place_of(*tree, *field, -1); here.line > 0) {
      at = here;
    }
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) break;
    tree = tree->GetTreeForNested(field, index);
    if (tree == nullptr) break;
    if (field->is_repeated()) {
      message = &reflection.GetRepeatedMessage(*message, field, index);
    } else {
      message = &reflection.GetMessage(*message, field);
    }
    if (field->is_map()) {
      const FieldDescriptor* value = field->message_type()->map_value();
      if (value->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) break;
      tree = tree->GetTreeForNested(value, -1);
      if (tree == nullptr) break;
      message = &message->GetReflection()->GetMessage(*message, value);
    }
  }
  return at;
}

}  // namespace cellroute::loading
