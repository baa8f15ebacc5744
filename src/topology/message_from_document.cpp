#include "topology/message_from_document.hpp"

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "topology/scalars.hpp"

namespace cellroute::loading {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using Kind = Node::Kind;
using check::Path;

bool is_text(const Node& node) { return node.kind == Kind::kPlain || node.kind == Kind::kString; }

// Numbers may stand in quotes, as in protobuf's JSON form.
bool is_number(const Node& node) { return is_text(node) || node.kind == Kind::kNumber; }

const FieldDescriptor* find_field(const Descriptor& type, const std::string& name) {
  const FieldDescriptor* field = type.FindFieldByName(name);
  return field != nullptr ? field : type.FindFieldByCamelcaseName(name);
}

bool is_duration(const FieldDescriptor& field) {
  return field.message_type() != nullptr &&
         field.message_type()->full_name() == "google.protobuf.Duration";
}

// The field that a value alone stands for: `tiers: [retail]` is `tiers: [{name: retail}]`.
const FieldDescriptor* shorthand(const Descriptor& type) {
  return type.full_name() == "cellroute.v1.Tier" ? type.FindFieldByName("name") : nullptr;
}

class Filler {
 public:
  explicit Filler(Findings& findings) : findings_(findings) {}

  void fill(const Node& node, Message& message, const Path& path) {
    const Descriptor& type = *message.GetDescriptor();
    if (const FieldDescriptor* name = shorthand(type); name != nullptr && is_text(node)) {
      set_scalar(node, message, *name, path);
      return;
    }
    if (node.kind != Kind::kMap) return expected("a map", node, path);
    for (const Node& child : node.children) {
      const FieldDescriptor* field = find_field(type, child.key);
      if (field == nullptr) {
        unknown_field(child, type, path);
      } else if (seen_under_its_other_name(node, child, *field)) {
        findings_.add(child.key_at, Path(path, field->name()), "is given twice");
      } else if (field->is_map()) {
        fill_map(child, message, *field, path);
      } else if (field->is_repeated()) {
        fill_list(child, message, *field, path);
      } else {
        set_one(child, message, *field, Path(path, field->name()));
      }
    }
  }

 private:
  // `hash_seed` and `hashSeed` are one field. Equal keys the reader of the file has refused.
  static bool seen_under_its_other_name(const Node& map, const Node& child,
                                        const FieldDescriptor& field) {
    const std::string& other = child.key == field.name() ? field.camelcase_name() : field.name();
    if (other == child.key) return false;
    const auto end = map.children.begin() + (&child - map.children.data());
    return std::any_of(map.children.begin(), end,
                       [&](const Node& earlier) { return earlier.key == other; });
  }

  void expected(const std::string& what, const Node& node, const Path& path) {
    findings_.add(node.at, path, "expected " + what + ", got " + description(node));
  }

  void unknown_field(const Node& child, const Descriptor& type, const Path& path) {
    std::vector<std::string_view> known;
    for (int i = 0; i < type.field_count(); ++i) known.emplace_back(type.field(i)->name());
    findings_.add(
        child.key_at, path,
        "unknown field " + check::quoted(child.key) + check::suggestion(child.key, known));
  }

  void fill_list(const Node& node, Message& message, const FieldDescriptor& field,
                 const Path& parent) {
    if (node.kind != Kind::kList) return expected("a list", node, Path(parent, field.name()));
    for (std::size_t i = 0; i < node.children.size(); ++i) {
      set_one(node.children[i], message, field, Path(parent, field.name(), i));
    }
  }

  void fill_map(const Node& node, Message& message, const FieldDescriptor& field,
                const Path& parent) {
    if (node.kind != Kind::kMap) return expected("a map", node, Path(parent, field.name()));
    for (const Node& child : node.children) {
      const Path path(parent, field.name(), std::string_view(child.key));
      Message& entry = *message.GetReflection()->AddMessage(&message, &field);
      const Descriptor& type = *field.message_type();
      entry.GetReflection()->SetString(&entry, type.map_key(), child.key);
      set_one(child, entry, *type.map_value(), path);
    }
  }

  void set_one(const Node& node, Message& message, const FieldDescriptor& field, const Path& path) {
    if (node.kind == Kind::kNull) {
      findings_.add(node.key_at.line > 0 ? node.key_at : node.at, path,
                    "has no value: write one, or leave the field out");
    } else if (is_duration(field)) {
      set_duration(node, message, field, path);
    } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      const auto& reflection = *message.GetReflection();
      fill(node,
           field.is_repeated() ? *reflection.AddMessage(&message, &field)
                               : *reflection.MutableMessage(&message, &field),
           path);
    } else {
      set_scalar(node, message, field, path);
    }
  }

  void set_duration(const Node& node, Message& message, const FieldDescriptor& field,
                    const Path& path) {
    const auto value = is_text(node) ? parse_seconds(node.text) : std::nullopt;
    if (!value) return expected("seconds such as 10s or 0.5s", node, path);
    Message& duration = *message.GetReflection()->MutableMessage(&message, &field);
    const Descriptor& type = *duration.GetDescriptor();
    duration.GetReflection()->SetInt64(&duration, type.FindFieldByName("seconds"), value->seconds);
    duration.GetReflection()->SetInt32(&duration, type.FindFieldByName("nanos"), value->nanos);
  }

  void set_scalar(const Node& node, Message& message, const FieldDescriptor& field,
                  const Path& path) {
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_STRING: return set_text(node, message, field, path);
      case FieldDescriptor::CPPTYPE_ENUM: return set_enum(node, message, field, path);
      case FieldDescriptor::CPPTYPE_BOOL: return set_bool(node, message, field, path);
      case FieldDescriptor::CPPTYPE_DOUBLE: return set_real(node, message, field, path);
      default: return set_whole(node, message, field, path);
    }
  }

  void set_text(const Node& node, Message& message, const FieldDescriptor& field,
                const Path& path) {
    if (!is_text(node)) return expected("text", node, path);
    const auto& reflection = *message.GetReflection();
    if (field.is_repeated()) {
      reflection.AddString(&message, &field, node.text);
    } else {
      reflection.SetString(&message, &field, node.text);
    }
  }

  void set_enum(const Node& node, Message& message, const FieldDescriptor& field,
                const Path& path) {
    const auto& type = *field.enum_type();
    const EnumValueDescriptor* value = is_text(node) ? type.FindValueByName(node.text) : nullptr;
    if (value == nullptr && (node.kind == Kind::kPlain || node.kind == Kind::kNumber)) {
      const auto number = parse_whole(node.text, false);
      if (number && *number <= std::numeric_limits<int>::max()) {
        value = type.FindValueByNumber(static_cast<int>(*number));
      }
    }
    if (value != nullptr) return message.GetReflection()->SetEnum(&message, &field, value);
    std::string names;
    for (int i = 0; i < type.value_count(); ++i) {
      if (i > 0) names += i + 1 == type.value_count() ? " or " : ", ";
      names += type.value(i)->name();
    }
    expected(names, node, path);
  }

  void set_bool(const Node& node, Message& message, const FieldDescriptor& field,
                const Path& path) {
    const bool may_be = node.kind == Kind::kPlain || node.kind == Kind::kBool;
    if (!may_be || (node.text != "true" && node.text != "false")) {
      return expected("true or false", node, path);
    }
    message.GetReflection()->SetBool(&message, &field, node.text == "true");
  }

  void set_real(const Node& node, Message& message, const FieldDescriptor& field,
                const Path& path) {
    const auto value = is_number(node) ? parse_real(node.text) : std::nullopt;
    if (!value) return expected("a number", node, path);
    message.GetReflection()->SetDouble(&message, &field, *value);
  }

  void set_whole(const Node& node, Message& message, const FieldDescriptor& field,
                 const Path& path) {
    const bool is_64 = field.cpp_type() == FieldDescriptor::CPPTYPE_UINT64;
    const std::uint64_t most = is_64 ? std::numeric_limits<std::uint64_t>::max()
                                     : std::numeric_limits<std::uint32_t>::max();
    const auto value =
        is_number(node) ? parse_whole(node.text, node.kind == Kind::kPlain) : std::nullopt;
    if (!value || *value > most) {
      return expected("a whole number from 0 to " + check::counted(most), node, path);
    }
    const auto& reflection = *message.GetReflection();
    if (is_64) {
      reflection.SetUInt64(&message, &field, *value);
    } else if (field.is_repeated()) {
      reflection.AddUInt32(&message, &field, static_cast<std::uint32_t>(*value));
    } else {
      reflection.SetUInt32(&message, &field, static_cast<std::uint32_t>(*value));
    }
  }

  Findings& findings_;
};

}  // namespace

void fill_message(const Node& root, Message& message, Findings& findings) {
  Filler(findings).fill(root, message, Path());
}

}  // namespace cellroute::loading
