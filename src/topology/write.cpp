#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/type_resolver_util.h>

#include <memory>
#include <string>
#include <vector>

#include "topology/document.hpp"
#include "topology/load.hpp"
#include "topology/struct_from_message.hpp"

namespace cellroute {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// Protobuf writes what is not UTF-8 with a complaint on standard error, and reads it never.
bool strings_are_utf8(const Message& message) {
  const auto& reflection = *message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    const bool is_message = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    if (!is_message && field->cpp_type() != FieldDescriptor::CPPTYPE_STRING) continue;
    const int count = field->is_repeated() ? reflection.FieldSize(message, field) : 1;
    for (int i = 0; i < count; ++i) {
      const bool sound =
          is_message ? strings_are_utf8(field->is_repeated()
                                            ? reflection.GetRepeatedMessage(message, field, i)
                                            : reflection.GetMessage(message, field))
                     : loading::is_utf8(field->is_repeated()
                                            ? reflection.GetRepeatedString(message, field, i)
                                            : reflection.GetString(message, field));
      if (!sound) return false;
    }
  }
  return true;
}

std::string to_binary(const Message& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream output(&stream);
  output.SetSerializationDeterministic(true);
  message.SerializeToCodedStream(&output);
  output.Trim();
  return bytes;
}

std::string to_textproto(const Message& message) {
  std::string text;
  google::protobuf::TextFormat::PrintToString(message, &text);
  return text;
}

// By way of the binary form, because only that can be had with sorted maps.
Result<std::string> to_json(const Message& message) {
  const std::unique_ptr<google::protobuf::util::TypeResolver> types(
      google::protobuf::util::NewTypeResolverForDescriptorPool(
          "cellroute", message.GetDescriptor()->file()->pool()));
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.preserve_proto_field_names = true;
  std::string text;
  const auto status = google::protobuf::util::BinaryToJsonString(
      types.get(), "cellroute/" + message.GetDescriptor()->full_name(), to_binary(message), &text,
      options);
  if (!status.ok()) return invalid_argument("cannot be written as JSON: " + status.ToString());
  return text;
}

}  // namespace

Result<std::string> write_topology(const Topology& topology, TopologyFormat format) {
  const v1::Topology message = loading::message_from_struct(topology);
  if (!strings_are_utf8(message)) {
    return invalid_argument("a name or key in the topology is not UTF-8");
  }
  switch (format) {
    case TopologyFormat::kYaml:
    case TopologyFormat::kJson: return to_json(message);
    case TopologyFormat::kTextproto: return to_textproto(message);
    case TopologyFormat::kBinary: return to_binary(message);
  }
  return invalid_argument("there is no such format");
}

}  // namespace cellroute
