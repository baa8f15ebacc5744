#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/unknown_field_set.h>
#include <google/protobuf/wire_format_lite.h>

#include <string>
#include <vector>

#include "topology/document.hpp"
#include "topology/textproto.hpp"

namespace cellroute::loading {
namespace {

using check::Path;
using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

// Counts the values of a serialized message without building it: two bytes can stand for a cell
// of several hundred. False: malformed, or over a bound.
bool count_values(CodedInputStream& input, const Descriptor& type, std::size_t& values,
                  std::size_t& groups) {
  while (const std::uint32_t tag = input.ReadTag()) {
    if (++values > kMaxValues) return false;
    const int number = WireFormatLite::GetTagFieldNumber(tag);
    const FieldDescriptor* field = type.FindFieldByNumber(number);
    const auto wire_type = WireFormatLite::GetTagWireType(tag);
    const bool message = wire_type == WireFormatLite::WIRETYPE_LENGTH_DELIMITED &&
                         field != nullptr && field->message_type() != nullptr;
    if (!message) {
      if (!WireFormatLite::SkipField(&input, tag)) return false;
      continue;
    }
    std::uint32_t length = 0;
    if (++groups > kMaxGroups || !input.ReadVarint32(&length)) return false;
    const auto limit = input.PushLimit(static_cast<int>(length));
    if (!count_values(input, *field->message_type(), values, groups)) return false;
    if (input.BytesUntilLimit() > 0) return false;
    input.PopLimit(limit);
  }
  return input.ConsumedEntireMessage();
}

// Adds a finding for each message that has fields of another release, at any depth.
void check_known(const Message& message, const Path& path, Findings& findings) {
  const auto& reflection = *message.GetReflection();
  const auto& unknown = reflection.GetUnknownFields(message);
  if (!unknown.empty()) {
    findings.add({}, path,
                 "has a field with number " + std::to_string(unknown.field(0).number()) +
                     ", which this release does not know");
  }
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (!field->is_repeated()) {
      check_known(reflection.GetMessage(message, field), Path(path, field->name()), findings);
      continue;
    }
    for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
      check_known(reflection.GetRepeatedMessage(message, field, i),
                  Path(path, field->name(), static_cast<std::size_t>(i)), findings);
    }
  }
}

}  // namespace

bool read_binary(std::string_view bytes, v1::Topology& message, Findings& findings) {
  const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  const int size = static_cast<int>(bytes.size());
  CodedInputStream input(data, size);
  std::size_t values = 0;
  std::size_t groups = 0;
  const bool sound = count_values(input, *v1::Topology::descriptor(), values, groups);
  if (values > kMaxValues || groups > kMaxGroups) {
    findings.add({}, Path(), "more than " + check::counted(kMaxValues) + " values");
    return false;
  }
  const google::protobuf::LogSilencer silencer;  // it would print about strings that are not UTF-8
  if (!sound || !message.ParseFromArray(data, size)) {
    findings.add({}, Path(), "not a serialized cellroute.v1.Topology");
    return false;
  }
  check_known(message, Path(), findings);
  return findings.empty();
}

}  // namespace cellroute::loading
