#include "topology/textproto.hpp"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <string>
#include <vector>

#include "topology/document.hpp"
#include "topology/locate.hpp"

namespace cellroute::loading {
namespace {

using check::Path;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::TextFormat;

class Collector : public google::protobuf::io::ErrorCollector {
 public:
  explicit Collector(Findings& findings) : findings_(findings) {}

  void AddError(int line, google::protobuf::io::ColumnNumber column,
                const std::string& message) override {
    Position at;
    if (line >= 0) {
      at = {static_cast<std::uint32_t>(line + 1), static_cast<std::uint32_t>(column + 1)};
    }
    constexpr std::size_t kMaxShown = 200;
    findings_.add(at, Path(), check::escaped(message, kMaxShown) + suggestion(message));
  }

 private:
  // For `Message type "cellroute.v1.Cell" has no field named "wieght".`
  static std::string suggestion(const std::string& message) {
    const auto quoted_after = [&](std::string_view words) {
      const std::size_t found = message.find(words);
      if (found == std::string::npos) return std::string();
      const std::size_t begin = found + words.size();
      return message.substr(begin, message.find('"', begin) - begin);
    };
    const auto* type = v1::Topology::descriptor()->file()->pool()->FindMessageTypeByName(
        quoted_after("Message type \""));
    const std::string name = quoted_after("has no field named \"");
    if (type == nullptr || name.empty()) return "";
    std::vector<std::string_view> known;
    for (int i = 0; i < type->field_count(); ++i) known.emplace_back(type->field(i)->name());
    return check::suggestion(name, known);
  }

  Findings& findings_;
};

// Every value of a textproto brings at least one of these, and every message a bracket; so
// counting them bounds the memory that parsing takes.
bool check_size(std::string_view bytes, Findings& findings) {
  std::size_t values = 0;
  std::size_t groups = 0;
  for (const char c : bytes) {
    if (c == '{' || c == '<') ++groups;
    if (c == ':' || c == ',') ++values;
  }
  if (values + groups <= kMaxValues && groups <= kMaxGroups) return true;
  findings.add({}, Path(), "more than " + check::counted(kMaxValues) + " values");
  return false;
}

// Calls `visit(parent, field, map)` for each map field in use, at any depth.
template <class Visit>
void each_map(const Message& message, const Path& path, const Visit& visit) {
  const auto& reflection = *message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->is_map()) {
      visit(message, *field, path);
    } else if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
      continue;
    } else if (field->is_repeated()) {
      for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
        each_map(reflection.GetRepeatedMessage(message, field, i),
                 Path(path, field->name(), static_cast<std::size_t>(i)), visit);
      }
    } else {
      each_map(reflection.GetMessage(message, field), Path(path, field->name()), visit);
    }
  }
}

// The parser lets a later entry of a map replace an earlier one silently.
void check_repeated_keys(const Message& message, const TextFormat::ParseInfoTree& tree,
                         Findings& findings) {
  each_map(message, Path(),
           [&](const Message& parent, const FieldDescriptor& field, const Path& path) {
             const auto& reflection = *parent.GetReflection();
             const FieldDescriptor* name = field.message_type()->map_key();
             std::vector<std::string> keys;
             for (int i = 0; i < reflection.FieldSize(parent, &field); ++i) {
               const Message& entry = reflection.GetRepeatedMessage(parent, &field, i);
               keys.push_back(entry.GetReflection()->GetString(entry, name));
             }
             std::sort(keys.begin(), keys.end());
             const auto twice = std::adjacent_find(keys.begin(), keys.end());
             if (twice == keys.end()) return;
             const Path at(path, field.name(), std::string_view(*twice));
             findings.add(locate(message, tree, at.text()), at, "is given twice");
           });
}

}  // namespace

bool read_textproto(std::string_view bytes, v1::Topology& message, TextFormat::ParseInfoTree& tree,
                    Findings& findings) {
  if (!check_size(bytes, findings)) return false;
  Collector collector(findings);
  TextFormat::Parser parser;
  parser.RecordErrorsTo(&collector);
  parser.WriteLocationsTo(&tree);
  parser.SetRecursionLimit(static_cast<int>(kMaxDepth));
  google::protobuf::io::ArrayInputStream input(bytes.data(), static_cast<int>(bytes.size()));
  const bool parsed = parser.Parse(&input, &message);
  if (!parsed && findings.empty()) findings.add({}, Path(), "not a textproto");
  if (parsed) check_repeated_keys(message, tree, findings);
  return findings.empty();
}

}  // namespace cellroute::loading
